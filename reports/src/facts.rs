//! What one run says, as numbers: for each group, and for all leechers together.
//!
//! Guarantees: nothing is NaN or infinite; what a run cannot say (a median without a completed leecher, a ratio
//! without a download) is `None`. A seed group has no download figures.

use record::{Peer, Run};

use crate::stats;

/// The figures that are estimated over replicates, in the order they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Peers, a count.
    Peers,
    /// Leechers that completed, a count.
    Completed,
    /// Median time from arrival to completion, of the completed: seconds.
    MedianTime,
    /// 95th percentile of that time, by [`stats::percentile`]: seconds.
    P95Time,
    /// Content length over the mean of that time: bytes a second.
    Speed,
    /// Bytes uploaded over bytes downloaded, all peers of the group together.
    ShareRatio,
    /// Mean over the peers of bytes uploaded over content length.
    PerContent,
    /// Payload bytes uploaded over what the uplinks could have carried while their peers were present, 0 to 1.
    Utilisation,
    /// First arrival to the last completion, seconds; only if every leecher completed.
    LastCompletion,
    /// The bound on that time by Kumar and Ross 2006, seconds.
    Bound,
    /// The last completion over the bound: 1 is perfect. Only if all leechers arrive at once: the bound takes them as
    /// there from the first arrival on.
    OverBound,
}

impl Measure {
    /// Every measure, in order.
    pub const ALL: [Self; 11] = [
        Self::Peers,
        Self::Completed,
        Self::MedianTime,
        Self::P95Time,
        Self::Speed,
        Self::ShareRatio,
        Self::PerContent,
        Self::Utilisation,
        Self::LastCompletion,
        Self::Bound,
        Self::OverBound,
    ];

    /// Its column name, unit included.
    pub fn column(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Completed => "completed",
            Self::MedianTime => "median_download_time_s",
            Self::P95Time => "p95_download_time_s",
            Self::Speed => "mean_speed_bytes_per_s",
            Self::ShareRatio => "share_ratio",
            Self::PerContent => "uploaded_per_content",
            Self::Utilisation => "uplink_utilisation",
            Self::LastCompletion => "last_completion_s",
            Self::Bound => "bound_s",
            Self::OverBound => "last_completion_over_bound",
        }
    }
}

/// The figures of one group in one run, or of all its leechers.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    values: [Option<f64>; Measure::ALL.len()],
}

impl Facts {
    /// The value of a measure, `None` where the run cannot say.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        self.values[measure as usize]
    }

    /// The figures of group number `group` of `run`.
    pub fn of_group(run: &Run, group: usize) -> Self {
        Self::of(run, |peer| peer.group as usize == group)
    }

    /// The figures of all leechers of `run`: the only ones that have a bound.
    pub fn of_leechers(run: &Run) -> Self {
        let mut facts = Self::of(run, |peer| is_leecher(run, peer));
        let last = facts.get(Measure::LastCompletion);
        let bound = run.bound.filter(|bound| bound.is_finite() && *bound > 0.0);
        facts.set(Measure::Bound, bound);
        let over = last.zip(bound).filter(|_| arrive_at_once(run)).map(|(last, bound)| last / bound);
        facts.set(Measure::OverBound, over);
        facts
    }

    fn set(&mut self, measure: Measure, value: Option<f64>) {
        self.values[measure as usize] = value.filter(|value| value.is_finite());
    }

    fn of(run: &Run, belongs: impl Fn(&Peer) -> bool) -> Self {
        let peers: Vec<&Peer> = run.peers.iter().filter(|peer| belongs(peer)).collect();
        let leechers: Vec<&Peer> = peers.iter().copied().filter(|peer| is_leecher(run, peer)).collect();
        let times = stats::sorted(leechers.iter().filter_map(|peer| download_time(peer)).collect());
        let uploaded: f64 = peers.iter().map(|peer| peer.uploaded as f64).sum();
        let downloaded: f64 = peers.iter().map(|peer| peer.downloaded as f64).sum();
        let capacity: f64 = peers.iter().map(|peer| uplink(run, peer) * presence(run, peer)).sum();
        let per_content: Vec<f64> = peers.iter().filter_map(|peer| per_content(run, peer)).collect();

        let mut facts = Self { values: [None; Measure::ALL.len()] };
        facts.set(Measure::Peers, Some(peers.len() as f64));
        if !leechers.is_empty() {
            facts.set(Measure::Completed, Some(times.len() as f64));
        }
        facts.set(Measure::MedianTime, stats::percentile(&times, 0.5));
        facts.set(Measure::P95Time, stats::percentile(&times, 0.95));
        let mean = stats::mean(&times).filter(|mean| *mean > 0.0);
        facts.set(Measure::Speed, mean.map(|mean| run.content as f64 / mean));
        facts.set(Measure::ShareRatio, (downloaded > 0.0).then(|| uploaded / downloaded));
        facts.set(Measure::PerContent, stats::mean(&per_content));
        facts.set(Measure::Utilisation, (capacity > 0.0).then(|| uploaded / capacity));
        if !leechers.is_empty() && times.len() == leechers.len() {
            let first = leechers.iter().map(|peer| peer.arrived).min_by(f64::total_cmp);
            let last = leechers.iter().filter_map(|peer| peer.completed).max_by(f64::total_cmp);
            facts.set(Measure::LastCompletion, last.zip(first).map(|(last, first)| last - first));
        }
        facts
    }
}

/// True if the peer began without the content. A peer of a group that the run does not list counts as one.
pub fn is_leecher(run: &Run, peer: &Peer) -> bool {
    run.groups.get(peer.group as usize).is_none_or(|group| !group.seed)
}

/// Seconds between two arrivals that are one: real peers take some milliseconds to come.
const AT_ONCE: f64 = 0.1;

/// True if all leechers of the run arrive at the same time.
pub fn arrive_at_once(run: &Run) -> bool {
    let arrivals = || run.peers.iter().filter(|peer| is_leecher(run, peer)).map(|peer| peer.arrived);
    let first = arrivals().min_by(f64::total_cmp);
    arrivals().all(|arrived| first.is_some_and(|first| arrived - first <= AT_ONCE))
}

/// Seconds from arrival to completion, if it completed.
pub fn download_time(peer: &Peer) -> Option<f64> {
    peer.completed.map(|completed| completed - peer.arrived).filter(|time| time.is_finite())
}

/// Bytes uploaded over content length: the share ratio that is defined for a peer that got nothing, too.
pub fn per_content(run: &Run, peer: &Peer) -> Option<f64> {
    (run.content > 0).then(|| peer.uploaded as f64 / run.content as f64)
}

/// The uplink of the peer's group, bytes a second.
pub fn uplink(run: &Run, peer: &Peer) -> f64 {
    run.groups.get(peer.group as usize).map_or(0.0, |group| group.up as f64)
}

/// Seconds the peer was present, up to the end of the run.
pub fn presence(run: &Run, peer: &Peer) -> f64 {
    (peer.left.unwrap_or(run.ended_at) - peer.arrived).max(0.0)
}

/// Leechers in the run's population, by the groups' counts.
pub fn leechers(run: &Run) -> u32 {
    run.groups.iter().filter(|group| !group.seed).map(|group| group.count).sum()
}

/// Bytes that the uplinks present could have carried from the start to each of `times` (ascending).
pub fn capacity(run: &Run, times: &[f64]) -> Vec<f64> {
    let mut changes: Vec<(f64, f64)> = Vec::new();
    for peer in &run.peers {
        let up = uplink(run, peer);
        let left = peer.left.unwrap_or(run.ended_at).max(peer.arrived);
        changes.extend([(peer.arrived, up), (left, -up)]);
    }
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut changes = changes.into_iter().peekable();
    let (mut rate, mut total, mut now) = (0.0, 0.0, 0.0);
    let mut at = |time: f64| {
        while let Some((when, change)) = changes.next_if(|(when, _)| *when <= time) {
            total += rate * (when - now);
            (now, rate) = (when, rate + change);
        }
        total += rate * (time - now);
        now = time;
        total
    };
    times.iter().map(|time| at(*time)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{group, peer, run};

    #[test]
    fn capacity_follows_arrivals_and_departures() {
        let mut run = run(vec![group("leechers", false, 2, 10)], 10.0);
        run.peers = vec![peer(0, 0.0, Some(4.0)), peer(0, 2.0, Some(6.0))];
        run.peers[0].left = Some(4.0);
        // 10 B/s from 0 to 4, another 10 B/s from 2 to the end at 10.
        assert_eq!(capacity(&run, &[0.0, 1.0, 3.0, 5.0, 10.0]), [0.0, 10.0, 40.0, 70.0, 120.0]);
    }

    #[test]
    fn figures_of_a_small_swarm() {
        let mut run = run(vec![group("seeds", true, 1, 100), group("leechers", false, 4, 50)], 40.0);
        run.bound = Some(16.0);
        run.peers = vec![
            peer(0, 0.0, None),
            peer(1, 0.0, Some(10.0)),
            peer(1, 2.0, Some(22.0)),
            peer(1, 0.0, Some(30.0)),
            peer(1, 0.0, Some(20.0)),
        ];
        let uploaded = [1500, 1000, 500, 0, 1000];
        for (peer, uploaded) in run.peers.iter_mut().zip(uploaded) {
            peer.uploaded = uploaded;
        }
        run.peers[1..].iter_mut().for_each(|peer| peer.downloaded = 1000);
        run.peers[1].left = Some(20.0);
        let leechers = Facts::of_group(&run, 1);
        // Download times 10, 20, 20, 30: mean 20, so 1000 B / 20 s; type 7 at 0.95: 20 + 0.85 · 10.
        assert_eq!(leechers.get(Measure::MedianTime), Some(20.0));
        assert!((leechers.get(Measure::P95Time).unwrap_or(0.0) - 28.5).abs() < 1e-9);
        assert_eq!(leechers.get(Measure::Speed), Some(50.0));
        assert_eq!(leechers.get(Measure::ShareRatio), Some(2500.0 / 4000.0));
        assert_eq!(leechers.get(Measure::PerContent), Some(0.625));
        // Present 20 s, 38 s, 40 s and 40 s at 50 B/s each.
        assert_eq!(leechers.get(Measure::Utilisation), Some(2500.0 / (50.0 * 138.0)));
        let seeds = Facts::of_group(&run, 0);
        assert_eq!(seeds.get(Measure::Utilisation), Some(1500.0 / 4000.0));
        assert_eq!((seeds.get(Measure::Completed), seeds.get(Measure::ShareRatio)), (None, None));
        let all = Facts::of_leechers(&run);
        assert_eq!((all.get(Measure::LastCompletion), all.get(Measure::Bound)), (Some(30.0), Some(16.0)));
        assert_eq!(all.get(Measure::OverBound), None, "one comes two seconds later");
        run.peers[2].arrived = 0.0;
        let all = Facts::of_leechers(&run);
        assert_eq!(all.get(Measure::OverBound), Some(30.0 / 16.0));
        run.peers[3].completed = None;
        let all = Facts::of_leechers(&run);
        assert_eq!((all.get(Measure::Completed), all.get(Measure::LastCompletion)), (Some(3.0), None));
    }
}
