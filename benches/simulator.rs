//! What the simulator does all the time, each part alone: the event queue, an uplink, what a path and a connection do to a
//! block, a downlink.

// The macros of Criterion make public items of their own.
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::rng::below;
use engine::{BLOCK, Seed};
use simulator::bench::{BusyUplink, Calendar};
use simulator::network::downlink::Downlink;
use simulator::network::flow::{Cap, Departure, Flow};
use simulator::network::latency::between;
use simulator::network::rate::Rate;
use simulator::spec::{Latency, Transport};

/// A block's message.
const SIZE: u32 = BLOCK + 13;
/// 8 Mbit/s.
const RATE: u64 = 1_000_000;

fn calendar(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calendar");
    group.throughput(Throughput::Elements(1));
    for hosts in [100, 1000, 10_000] {
        let mut calendar = Calendar::new(hosts);
        group.bench_function(format!("take an event and put one in, {hosts} hosts"), |bencher| {
            bencher.iter(|| calendar.turn());
        });
    }
    group.finish();
}

fn uplink(criterion: &mut Criterion) {
    for connections in [4, 40] {
        let mut uplink = BusyUplink::new(RATE, connections);
        let name = format!("uplink: a block and four small messages, {connections} connections");
        criterion.bench_function(&name, |bencher| bencher.iter(|| uplink.block()));
    }
}

fn flow(criterion: &mut Criterion) {
    let tcp = Transport::Tcp { window: 256 << 10, mss: 1460, loss: 0.001 };
    let cap = Cap::of(tcp).expect("only an ideal transport has no cap");
    // A second of blocks from slow start on.
    criterion.bench_function("flow: 61 blocks over 80 ms and back", |bencher| {
        bencher.iter_batched_ref(
            Flow::default,
            |flow| {
                let mut out = Departure { last: 0, ready_at: 0 };
                for _ in 0..61 {
                    let start = out.ready_at.max(out.last);
                    let finish = start + Rate::new(RATE).takes(SIZE);
                    out = flow.depart(black_box(&cap), 80_000_000, start, finish, SIZE);
                }
                out
            },
            BatchSize::SmallInput,
        );
    });
}

fn latency(criterion: &mut Criterion) {
    let ms = Duration::from_millis;
    let mut rng = Seed(1).rng();
    let delays = (0..200 * 200).map(|_| ms(u64::from(1 + below(&mut rng, 200)))).collect();
    let kinds = [
        ("constant", Latency::Constant(ms(40))),
        ("uniform", Latency::Uniform(ms(10), ms(100))),
        ("quantiles", Latency::Quantiles((1..=100).map(ms).collect::<Arc<[_]>>())),
        ("matrix of 200", Latency::Matrix { n: 200, delays }),
    ];
    for (name, kind) in kinds {
        let mut pair = 0u32;
        criterion.bench_function(&format!("latency of a pair: {name}"), |bencher| {
            bencher.iter(|| {
                pair = pair.wrapping_add(1);
                between(black_box(&kind), Seed(1), pair % 1009, pair % 997)
            });
        });
    }
}

fn downlink(criterion: &mut Criterion) {
    let mut link = Downlink::new(Some(RATE));
    let mut now = 0;
    criterion.bench_function("downlink: a block", |bencher| {
        bencher.iter(|| {
            now += Rate::new(RATE).takes(SIZE);
            link.pass(black_box(now), now, SIZE)
        });
    });
}

criterion_group!(benches, calendar, uplink, flow, latency, downlink);
criterion_main!(benches);
