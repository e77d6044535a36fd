//! scratch
#![allow(missing_docs, clippy::all, clippy::disallowed_methods)]
use simulator::Options;
use simulator::runner;
use simulator::scenario::Scenario;
use std::path::Path;
const TEXT: &str = include_str!("../../scenarios/swarm-scaling.toml");
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let o = [
        ("content.size", a[2].as_str()),
        ("groups.leechers.count", a[1].as_str()),
        ("variants", "{ swarm = {} }"),
        ("groups.*.connections", "40"),
        ("replicates", "1"),
    ];
    let o = o.map(|(k, v)| (k.to_owned(), v.to_owned()));
    let s = Scenario::parse("swarm-scaling.toml", TEXT, Path::new("."), &o).unwrap();
    let j = runner::jobs(&s, s.seed()).remove(0);
    let t = |()| {
        std::fs::read_to_string("/proc/self/schedstat")
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let t0 = t(());
    let r = j
        .run(
            Options {
                checks: false,
                threads: std::env::var("T").map_or(1, |t| t.parse().unwrap()),
                ..Options::default()
            },
            None,
            |_| true,
        )
        .unwrap();
    let cpu = (t(()) - t0) as f64 / 1e9;
    let b = r.counters["blocks_delivered"] as f64;
    let hwm = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .to_owned();
    println!(
        "{} peers: {:.2} s, {:.0} blocks/s, {} events, {:.2}/block, {hwm}, {}",
        a[1],
        cpu,
        b / cpu,
        r.counters["events"],
        r.counters["events"] as f64 / b,
        r.digest
    );
    if a.len() > 3 {
        println!("{:#?}", r.counters);
    }
}
