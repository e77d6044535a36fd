//! What claims measure: plain functions of one run.

use record::{Peer, Run};

use super::stats::{Line, mean};

/// Leechers of the groups that `of` names (none: all), with the group each is in.
pub fn leechers<'a>(run: &'a Run, of: &'a [&str]) -> impl Iterator<Item = &'a Peer> {
    run.peers.iter().filter(move |peer| {
        let group = &run.groups[peer.group as usize];
        !group.seed && (of.is_empty() || of.contains(&group.name.as_str()))
    })
}

/// Mean time from arrival to completion, seconds; infinite unless every one of them completed.
pub fn mean_time(run: &Run, of: &[&str]) -> f64 {
    let times: Vec<f64> = leechers(run, of)
        .map(|peer| peer.completed.map_or(f64::INFINITY, |completed| completed - peer.arrived))
        .collect();
    mean(&times)
}

/// Content over mean time, bytes a second.
pub fn speed(run: &Run, of: &[&str]) -> f64 {
    run.content as f64 / mean_time(run, of)
}

/// Last completion after the first arrival, seconds; infinite unless every leecher completed.
pub fn last_time(run: &Run) -> f64 {
    let first = run.peers.iter().map(|peer| peer.arrived).fold(f64::INFINITY, f64::min);
    leechers(run, &[]).map(|peer| peer.completed.unwrap_or(f64::INFINITY)).fold(0.0, f64::max) - first
}

/// The share ratios of the leechers that hold everything, summed: payload sent over content length, or if
/// `wasted` over all that was received.
pub fn ratio_sum(run: &Run, wasted: bool) -> f64 {
    let ratio = |peer: &Peer| {
        let taken = if wasted { peer.downloaded } else { run.content };
        peer.uploaded as f64 / taken as f64
    };
    leechers(run, &[]).filter(|peer| peer.completed.is_some()).map(ratio).sum()
}

/// Payload bytes that the leechers that hold everything have sent: all that was sent, less what the others
/// did.
pub fn uploads(run: &Run) -> f64 {
    let sent: u64 = run.peers.iter().map(|peer| peer.uploaded).sum();
    let holds = |peer: &&Peer| !run.groups[peer.group as usize].seed && peer.completed.is_some();
    let others: u64 = run.peers.iter().filter(|peer| !holds(peer)).map(|peer| peer.uploaded).sum();
    (sent - others) as f64
}

/// Payload that the peers have sent, less what they received, what was lost, and what is on its way, bytes.
pub fn unaccounted(run: &Run) -> i64 {
    let counter = |name: &str| run.counters.get(name).map_or(0, |&value| value as i64);
    let sent: u64 = run.peers.iter().map(|peer| peer.uploaded).sum();
    let received: u64 = run.peers.iter().map(|peer| peer.downloaded).sum();
    sent as i64 - received as i64 - counter("payload_lost_bytes") - counter("payload_in_flight_bytes")
}

/// Share of the uplinks present that carried payload, for each interval of the series: its middle and that.
pub fn utilisation(run: &Run) -> Vec<(f64, f64)> {
    run.series
        .windows(2)
        .map(|pair| {
            let seconds = pair[1].time - pair[0].time;
            let bytes = (pair[1].downloaded - pair[0].downloaded) as f64;
            ((pair[0].time + pair[1].time) / 2.0, bytes / seconds / pair[1].uplink.max(1) as f64)
        })
        .collect()
}

/// The growth of a swarm's service capacity between `from` and `to` of its uplinks: the line through the
/// logarithm of the utilisation against time. `None` if it never gets there.
pub fn growth(run: &Run, from: f64, to: f64) -> Option<Line> {
    let series = utilisation(run);
    let end = series.iter().position(|(_, share)| *share >= to)?;
    let start = series[..end].iter().rposition(|(_, share)| *share < from).map_or(0, |last| last + 1);
    let points: Vec<(f64, f64)> = series[start..=end]
        .iter()
        .filter(|(_, share)| *share > 0.0)
        .map(|&(time, share)| (time, libm::log(share)))
        .collect();
    (points.len() >= 3).then(|| Line::through(&points))
}
