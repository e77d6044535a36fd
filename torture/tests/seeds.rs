//! Fixed seeds, as they are drawn now: nothing is found in them, and they come to the same however they are run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use torture::{Outcome, Update};

const SEEDS: std::ops::Range<u64> = 0..60;

fn outcomes(jobs: usize) -> BTreeMap<u64, Outcome> {
    let ended = Mutex::new(BTreeMap::new());
    let told = |update: Update<'_>| {
        if let Update::Ended(seed, _, outcome) = update {
            ended.lock().expect("no thread has panicked").insert(seed, outcome.clone());
        }
    };
    torture::run(SEEDS, jobs, &AtomicBool::new(false), told).expect("every draw can be run");
    ended.into_inner().expect("no thread has panicked")
}

#[test]
fn fixed_seeds_find_nothing_on_any_number_of_threads() {
    let two = outcomes(2);
    assert_eq!(two.len() as u64, SEEDS.end);
    for (seed, outcome) in &two {
        assert_eq!(outcome.findings, [], "seed {seed}:\n{}", torture::draw(*seed));
        assert!(outcome.simulated > 0.0);
    }
    // They do something, and much goes wrong in them.
    let moved: u64 = two.values().map(|outcome| outcome.delivered).sum();
    let faults: usize = two.values().map(|outcome| outcome.faults).sum();
    assert!(moved > 500_000_000 && faults > 500, "{moved} bytes, {faults} faults");
    assert_eq!(two, outcomes(1), "one thread comes to the same");
}

#[test]
fn told_to_stop_nothing_is_run() {
    let told = |update: Update<'_>| panic!("{update:?}");
    torture::run(1.., 2, &AtomicBool::new(true), told).expect("nothing is wrong");
}
