//! A swarm in full swing allocates next to nothing: what a message, a block or an event needs is in tables that are
//! there. What is left are a few announces, and a table here and there that still grows.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use simulator::Options;
use simulator::spec::{Group, Spec};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Blocks that pass for each allocation, at the least.
const BLOCKS: u64 = 10_000;

#[test]
fn blocks_and_events_allocate_nothing() {
    let spec = Spec {
        content: 64 << 20,
        piece_length: 256 << 10,
        // A sample is taken at each, which is for who looks on.
        sample_every: Duration::from_secs(20),
        groups: vec![
            Group::seeds("seed", 1, 1_000_000, None),
            Group { connections: 40, ..Group::leechers("leechers", 100, 250_000, Some(2_500_000)) },
        ],
        ..Spec::default()
    };
    // (pieces, allocations) at the first look after 20 % and at the last before 80 %.
    let (mut first, mut last) = (None, None);
    let look = |progress: simulator::Progress| {
        let share = progress.pieces as f64 / progress.pieces_in_all as f64;
        let stats = ALLOCATOR.stats();
        let now = (progress.pieces, (stats.allocations + stats.reallocations) as u64);
        if share >= 0.2 {
            first.get_or_insert(now);
        }
        if share <= 0.8 {
            last = Some(now);
        }
        true
    };
    let options = Options { checks: false, ..Options::default() };
    let run = simulator::run(&Arc::new(spec), 1, options, None, look).unwrap();
    assert_eq!(run.peers.iter().filter(|peer| peer.completed.is_some()).count(), 100);
    let ((from, before), (to, after)) = first.zip(last).unwrap();
    let (blocks, allocations) = ((to - from) * 16, after - before);
    eprintln!("{allocations} allocations in {blocks} blocks");
    assert!(blocks > 100_000, "{blocks} blocks say little");
    assert!(allocations * BLOCKS < blocks, "{allocations} allocations in {blocks} blocks");
}
