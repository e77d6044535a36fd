//! Synthetic records for tests: plausible swarms, computed in closed form and with a small generator.
//!
//! Guarantees: the same arguments give the same record.

use record::{Chart, End, FORMAT, Group, Peer, Record, Run, Sample};

/// A group that plays by the defaults.
pub fn group(name: &str, seed: bool, count: u32, up: u64) -> Group {
    Group {
        name: name.to_owned(),
        seed,
        count,
        up,
        down: Some(up * 4),
        choker: "tit-for-tat".to_owned(),
        seed_choker: "round-robin".to_owned(),
        picker: "rarest-first".to_owned(),
        behaviour: "honest".to_owned(),
    }
}

/// A run without peers and samples, of 1,000 bytes of content.
pub fn run(groups: Vec<Group>, ended_at: f64) -> Run {
    Run {
        point: Vec::new(),
        replicate: 0,
        seed: "7".to_owned(),
        digest: "00".to_owned(),
        content: 1000,
        pieces: 10,
        ended_at,
        end: End::Done,
        bound: None,
        groups,
        peers: Vec::new(),
        peers_file: None,
        series: Vec::new(),
        counters: Default::default(),
    }
}

/// A peer that stays and moves nothing.
pub fn peer(group: u32, arrived: f64, completed: Option<f64>) -> Peer {
    Peer { group, arrived, completed, left: None, uploaded: 0, downloaded: 0, wasted: 0, pieces: 0 }
}

/// A sample whose counters of bytes are both `bytes`.
pub fn sample(time: f64, bytes: u64) -> Sample {
    Sample {
        time,
        leechers: 0,
        seeds: 0,
        completed: 0,
        downloaded: bytes,
        uploaded: bytes,
        uplink: 0,
        rarest: 0,
        mean_copies: 0.0,
    }
}

/// A record of those runs.
pub fn record(axes: &[&str], runs: Vec<Run>) -> Record {
    Record {
        format: FORMAT,
        version: "0.1.0".to_owned(),
        scenario: "flash-crowd".to_owned(),
        question: "How does the speed change with the crowd?".to_owned(),
        charts: charts(),
        source: String::new(),
        files: Default::default(),
        overrides: Vec::new(),
        seed: 1,
        stack: "message".to_owned(),
        axes: axes.iter().map(|axis| (*axis).to_owned()).collect(),
        partial: false,
        runs,
    }
}

/// Every chart there is.
pub fn charts() -> Vec<Chart> {
    let speed = |x: &str, log_x, log_y| Chart::Speed { x: x.to_owned(), log_x, log_y, bound: true };
    vec![
        speed("leechers", true, true),
        speed("", false, false),
        Chart::Completion,
        Chart::ShareRatio,
        Chart::SpeedByGroup,
        Chart::Throughput,
        Chart::Availability,
        Chart::Population,
    ]
}

/// SplitMix64: enough for synthetic data.
pub struct Noise(pub u64);

impl Noise {
    /// Uniform in 0..1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

const MBIT: f64 = 125e3;

/// A swarm of `leechers` in a fast and a slow group and one seed, `efficiency` times as fast as the bound allows.
pub fn swarm(point: &[&str], replicate: u32, leechers: u32, efficiency: f64) -> Run {
    let slow = leechers / 3;
    let groups = vec![
        group("seeds", true, 1, 8 * MBIT as u64),
        group("cable", false, leechers - slow, 2 * MBIT as u64),
        group("dsl", false, slow, MBIT as u64 / 2),
    ];
    let content = 100.0 * 1_048_576.0;
    let uplink: f64 = groups.iter().map(|group| (group.up * u64::from(group.count)) as f64).sum();
    let bound =
        (content * f64::from(leechers) / uplink).max(content / (8.0 * MBIT)).max(content / (2.0 * MBIT));
    let mut noise = Noise(u64::from(replicate) * 1009 + u64::from(leechers) + (efficiency * 1000.0) as u64);
    let typical = bound / efficiency * (0.95 + 0.1 * noise.next());
    let mut run = run(groups, 0.0);
    run.point = point.iter().map(|value| (*value).to_owned()).collect();
    (run.replicate, run.seed) = (replicate, (u64::from(replicate) * 77 + 1).to_string());
    (run.content, run.pieces, run.bound) = (content as u64, 400, Some(bound));
    for (at, of) in [(1, leechers - slow), (2, slow)] {
        for _ in 0..of {
            let arrived = 10.0 * noise.next();
            let taken = typical * (0.65 + 0.3 * noise.next() + if at == 2 { 0.25 } else { 0.0 });
            let mut peer = peer(at, arrived, Some(arrived + taken));
            peer.left = Some(arrived + taken + 60.0 * noise.next());
            peer.downloaded = content as u64;
            let ratio = if at == 1 { 0.7 + 0.8 * noise.next() } else { 0.1 + 0.5 * noise.next() };
            (peer.uploaded, peer.pieces) = ((content * ratio) as u64, 400);
            run.peers.push(peer);
        }
    }
    let given: u64 = run.peers.iter().map(|peer| peer.uploaded).sum();
    let taken: u64 = run.peers.iter().map(|peer| peer.downloaded).sum();
    let mut seed = peer(0, 0.0, None);
    (seed.uploaded, seed.pieces) = (taken.saturating_sub(given), 400);
    run.peers.insert(0, seed);
    run.ended_at = run.peers.iter().filter_map(|peer| peer.completed).fold(0.0, f64::max);
    run.series = series(&run, &mut noise);
    run
}

/// Samples on a grid of 5 s that agree with the peers.
fn series(run: &Run, noise: &mut Noise) -> Vec<Sample> {
    let steps = (run.ended_at / 5.0) as u32 + 1;
    let up = |group: u32| run.groups[group as usize].up;
    let at = |time: f64| {
        let present =
            || run.peers.iter().filter(move |p| p.arrived <= time && p.left.is_none_or(|left| left > time));
        let whole = |peer: &Peer| peer.group == 0 || peer.completed.is_some_and(|done| done <= time);
        let got = |peer: &Peer| {
            let share = (time - peer.arrived) / (peer.completed.unwrap_or(1e9) - peer.arrived);
            (peer.downloaded as f64 * share.clamp(0.0, 1.0)) as u64
        };
        let seeds = present().filter(|peer| whole(peer)).count() as u32;
        let bytes: u64 = run.peers.iter().map(got).sum();
        let copies =
            present().map(|peer| if whole(peer) { 1.0 } else { got(peer) as f64 / run.content as f64 }).sum();
        Sample {
            time,
            leechers: present().count() as u32 - seeds,
            seeds,
            completed: run.peers.iter().filter(|peer| peer.group > 0 && whole(peer)).count() as u32,
            downloaded: bytes,
            uploaded: bytes,
            uplink: present().map(|peer| up(peer.group)).sum(),
            rarest: (f64::max(copies, 1.0) * 0.8 + noise_free(time)) as u32,
            mean_copies: copies,
        }
    };
    let _ = noise.next();
    (0..=steps).map(|step| at(f64::from(step) * 5.0)).collect()
}

/// A ripple, so that the rarest piece's curve is no copy of the mean's.
fn noise_free(time: f64) -> f64 {
    (time / 45.0) % 2.0
}

/// A sweep: each number of leechers with each variant, `replicates` times.
pub fn sweep(leechers: &[u32], variants: &[&str], replicates: u32) -> Record {
    let mut runs = Vec::new();
    for count in leechers {
        for (nth, variant) in variants.iter().enumerate() {
            for replicate in 0..replicates {
                let efficiency = match nth {
                    0 => 0.93,
                    1 => 0.93 / (1.0 + f64::from(*count) / 40.0),
                    nth => 0.93 / (nth as f64 * 0.6 + 0.4),
                };
                runs.push(swarm(&[&count.to_string(), variant], replicate, *count, efficiency));
            }
        }
    }
    record(&["leechers", "variant"], runs)
}
