//! A whole swarm: `swarm-scaling` with a hundred leechers and a smaller file, in both stacks. Throughput is
//! in delivered blocks.

// The macros of Criterion make public items of their own.
#![allow(missing_docs)]

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simulator::runner::{self, Job};
use simulator::scenario::Scenario;
use simulator::{Options, Stack};

const TEXT: &str = include_str!("../scenarios/swarm-scaling.toml");

/// A hundred leechers of 16 MiB.
fn job() -> Job {
    let overrides = [
        ("content.size", "16 MiB"),
        ("groups.leechers.count", "100"),
        ("variants", "{ swarm = {} }"),
        ("replicates", "1"),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let scenario = Scenario::parse("swarm-scaling.toml", TEXT, Path::new("."), &overrides);
    let scenario = scenario.expect("the shipped scenario reads");
    runner::jobs(&scenario, scenario.seed()).remove(0)
}

fn swarm(criterion: &mut Criterion) {
    let job = job();
    let mut group = criterion.benchmark_group("swarm of 100");
    group.sample_size(10);
    for (name, stack) in Stack::NAMES {
        let options = Options { stack, checks: false, ..Options::default() };
        let run = || job.run(options, None, |_| true).expect("it ends");
        group.throughput(Throughput::Elements(run().counters["blocks_delivered"]));
        group.bench_function(name, |bencher| bencher.iter(run));
    }
    group.finish();
}

criterion_group!(benches, swarm);
criterion_main!(benches);
