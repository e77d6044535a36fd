//! Whole swarms: `swarm-scaling` with a smaller file, in both stacks; the largest in one, as the other hashes 5 GB for it.
//! Throughput is in delivered blocks.

// The macros of Criterion make public items of their own.
#![allow(missing_docs)]

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simulator::runner::{self, Job};
use simulator::scenario::Scenario;
use simulator::{Options, Stack};

const TEXT: &str = include_str!("../scenarios/swarm-scaling.toml");
/// How many leechers there are.
const SIZES: [u32; 3] = [30, 100, 300];
/// The largest of these whose every byte is encoded, decoded and hashed.
const MOST_ON_THE_WIRE: u32 = 100;

/// So many leechers of 16 MiB.
fn job(leechers: u32) -> Job {
    let overrides = [
        ("content.size", "16 MiB"),
        ("groups.leechers.count", &leechers.to_string()),
        ("variants", "{ swarm = {} }"),
        ("replicates", "1"),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let scenario = Scenario::parse("swarm-scaling.toml", TEXT, Path::new("."), &overrides);
    let scenario = scenario.expect("the shipped scenario reads");
    runner::jobs(&scenario, scenario.seed()).remove(0)
}

fn swarm(criterion: &mut Criterion) {
    for leechers in SIZES {
        let job = job(leechers);
        let mut group = criterion.benchmark_group(format!("swarm of {leechers}"));
        group.sample_size(10);
        for (name, stack) in Stack::NAMES {
            if leechers > MOST_ON_THE_WIRE && stack == Stack::Wire {
                continue;
            }
            let options = Options { stack, checks: false, ..Options::default() };
            let run = || job.run(options, None, |_| true).expect("it ends");
            group.throughput(Throughput::Elements(run().counters["blocks_delivered"]));
            group.bench_function(name, |bencher| bencher.iter(run));
        }
        group.finish();
    }
}

criterion_group!(benches, swarm);
criterion_main!(benches);
