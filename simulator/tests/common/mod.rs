//! What the tests of whole runs share: small specifications and what is read off their records.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Arc;
use std::time::Duration;

use engine::choker::ChokerFactory;
use simulator::spec::{Arrival, Group, Latency, Network, Pipeline, Spec, Transport, Until};
use simulator::{Options, Stack};

/// Payload bytes of a block.
pub const BLOCK: f64 = 16384.0;

/// The choker that is called `name`.
pub fn choker(name: &str) -> Arc<dyn ChokerFactory> {
    engine::choker::by_name(name).unwrap_or_else(|| panic!("no choker {name}"))
}

/// Seeds that serve everyone at once.
pub fn servers(count: u32, up: u64) -> Group {
    Group { seed_choker: choker("unchoke-all"), ..Group::seeds("seeds", count, up, None) }
}

/// Leechers that never upload, with a fixed pipeline.
pub fn readers(name: &str, count: u32, down: Option<u64>, depth: u32) -> Group {
    Group {
        choker: choker("never"),
        seed_choker: choker("never"),
        pipeline: Pipeline::Fixed(depth),
        ..Group::leechers(name, count, 1_000_000, down)
    }
}

/// `content` bytes, a constant one-way delay of `latency` milliseconds, nothing else in the way.
pub fn spec(content: u64, latency: u64, transport: Transport, groups: Vec<Group>) -> Spec {
    Spec {
        content,
        network: Network {
            latency: Latency::Constant(Duration::from_millis(latency)),
            transport,
            hash_rate: None,
            ..Network::default()
        },
        groups,
        ..Spec::default()
    }
}

/// Runs with every check on.
pub fn run(spec: &Spec, seed: u64) -> record::Run {
    run_on(spec, seed, Stack::Message)
}

/// Runs with every check on, on a stack of choice.
pub fn run_on(spec: &Spec, seed: u64, stack: Stack) -> record::Run {
    run_with(spec, seed, stack, 1)
}

/// Runs with every check on, its hosts shared by several threads.
pub fn run_with(spec: &Spec, seed: u64, stack: Stack, threads: usize) -> record::Run {
    let options = Options { stack, checks: true, threads };
    simulator::run(&Arc::new(spec.clone()), seed, options, None, |_| true).expect("it runs")
}

/// Payload bytes a second that each peer received between two moments, in seconds: the same run ended twice.
pub fn rates(spec: &Spec, seed: u64, from: u64, to: u64) -> Vec<f64> {
    let until = |seconds| {
        let time_limit = Duration::from_secs(seconds);
        run(&Spec { until: Until::TimeLimit, time_limit, ..spec.clone() }, seed)
    };
    let (a, b) = (until(from), until(to));
    assert_eq!(a.peers.len(), b.peers.len());
    let seconds = (to - from) as f64;
    a.peers.iter().zip(&b.peers).map(|(a, b)| (b.downloaded - a.downloaded) as f64 / seconds).collect()
}

/// The group at another arrival.
pub fn arriving(group: Group, arrival: Arrival) -> Group {
    Group { arrival, ..group }
}

/// Panics unless `measured` is `expected` within a share of it.
#[track_caller]
pub fn close(what: &str, measured: f64, expected: f64, share: f64) {
    let error = measured / expected - 1.0;
    assert!(
        error.abs() <= share,
        "{what}: {measured:.6} is {:+.2} % off {expected:.6}, allowed {:.2} %",
        error * 100.0,
        share * 100.0
    );
    eprintln!("{what}: {measured:.6} for {expected:.6}: {:+.3} %", error * 100.0);
}
