//! Several flows on common links: the model's local rules against exact max-min fairness.

use engine::Seed;
use engine::rng::{Rng, below};
use simulator::spec::{Group, Transport};

use crate::common::{close, rates, readers, servers, spec};

const TOLERANCE: f64 = 0.05;

#[test]
fn two_flows_share_an_uplink_equally() {
    // One MB/s and 100 ms: 6 blocks are on the way, 32 are asked for.
    for transport in [Transport::Ideal, Transport::TCP] {
        let groups = vec![servers(1, 1_000_000), readers("readers", 2, None, 32)];
        let rates = rates(&spec(200 << 20, 50, transport, groups), 1, 20, 120);
        close("first of two", rates[1], 500_000.0, TOLERANCE);
        close("second of two", rates[2], 500_000.0, TOLERANCE);
    }
}

#[test]
fn a_far_flow_gets_as_much_as_a_near_one() {
    let far = Group { latency: std::time::Duration::from_millis(100), ..readers("far", 1, None, 64) };
    let groups = vec![servers(1, 1_000_000), readers("near", 1, None, 64), far];
    let rates = rates(&spec(200 << 20, 10, Transport::Ideal, groups), 1, 20, 120);
    close("near", rates[1], 500_000.0, TOLERANCE);
    close("far", rates[2], 500_000.0, TOLERANCE);
}

#[test]
fn a_slow_reader_does_not_slow_a_fast_one() {
    let groups = vec![
        servers(1, 1_000_000),
        readers("slow", 1, Some(100_000), 32),
        readers("fast", 1, Some(5_000_000), 32),
    ];
    let rates = rates(&spec(200 << 20, 50, Transport::Ideal, groups), 1, 20, 120);
    close("slow reader", rates[1], 100_000.0, TOLERANCE);
    close("fast reader", rates[2], 900_000.0, TOLERANCE);
}

/// Max-min fair rates by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all flows grow
/// alike until a link is full, whose flows then stay. `flows` are the links each crosses.
fn max_min(capacity: &[f64], flows: &[Vec<usize>]) -> Vec<f64> {
    let mut rate = vec![0.0; flows.len()];
    let mut frozen = vec![false; flows.len()];
    while frozen.contains(&false) {
        let open = |link: usize| (0..flows.len()).filter(move |&f| flows[f].contains(&link));
        let room = |link: usize, rate: &[f64]| capacity[link] - open(link).map(|f| rate[f]).sum::<f64>();
        let growing = |link: usize, frozen: &[bool]| open(link).filter(|&f| !frozen[f]).count() as f64;
        let step = (0..capacity.len())
            .filter(|&link| growing(link, &frozen) > 0.0)
            .map(|link| room(link, &rate) / growing(link, &frozen))
            .fold(f64::INFINITY, f64::min);
        for f in 0..flows.len() {
            if !frozen[f] {
                rate[f] += step;
            }
        }
        let full: Vec<usize> =
            (0..capacity.len()).filter(|&link| room(link, &rate) < 1e-6 * capacity[link]).collect();
        for f in 0..flows.len() {
            frozen[f] |= flows[f].iter().any(|link| full.contains(link));
        }
    }
    rate
}

#[test]
fn progressive_filling_of_known_cases() {
    // Links of 10 and 4; flows over both, the first, the second: 2, 8, 2.
    let rates = max_min(&[10.0, 4.0], &[vec![0, 1], vec![0], vec![1]]);
    for (rate, expected) in rates.iter().zip([2.0, 8.0, 2.0]) {
        assert!((rate - expected).abs() < 1e-9, "{rates:?}");
    }
}

/// Rates of the leechers of a random swarm, measured and by the solver. Every seed serves every leecher, no
/// leecher uploads.
fn random_swarm(seed: u64) -> Vec<(f64, f64)> {
    let mut rng = Seed(seed).derive("max-min", 0).rng();
    let draw = |rng: &mut Rng, from: u32, to: u32| u64::from(from + below(rng, to - from));
    let seeds = 1 + below(&mut rng, 5) as usize;
    let leechers = 2 + below(&mut rng, 14) as usize;
    let ups: Vec<u64> = (0..seeds).map(|_| draw(&mut rng, 200_000, 2_000_000)).collect();
    let downs: Vec<u64> = (0..leechers).map(|_| draw(&mut rng, 50_000, 1_000_000)).collect();
    let groups = ups.iter().map(|&up| servers(1, up));
    // 2 MB/s and 20 ms are 2.4 blocks: four times that and more are asked for.
    let groups = groups.chain(downs.iter().map(|&down| readers("reader", 1, Some(down), 12))).collect();
    let measured = rates(&spec(1 << 30, 10, Transport::Ideal, groups), seed, 200, 600);

    let capacity: Vec<f64> = ups.iter().chain(&downs).map(|&rate| rate as f64).collect();
    let pairs = (0..leechers).flat_map(|l| (0..seeds).map(move |s| vec![s, seeds + l]));
    let flows = max_min(&capacity, &pairs.collect::<Vec<_>>());
    let expected = flows.chunks(seeds).map(|of| of.iter().sum::<f64>());
    measured[seeds..].iter().copied().zip(expected).collect()
}

#[test]
fn random_swarms_share_max_min() {
    let (mut worst, mut sum, mut count) = (0.0f64, 0.0, 0.0);
    for seed in 0..12 {
        for (measured, expected) in random_swarm(seed) {
            let error = (measured / expected - 1.0).abs();
            worst = worst.max(error);
            sum += error;
            count += 1.0;
            assert!(error <= 0.15, "seed {seed}: {measured:.0} for {expected:.0} bytes a second");
        }
    }
    eprintln!("max-min: mean error {:.4}, worst {worst:.4} over {count} leechers", sum / count);
    assert!(sum / count <= 0.05, "mean error {:.3}", sum / count);
}
