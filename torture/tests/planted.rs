//! The checkers can fail: bugs on purpose, each found within a budget of seeds.

use std::io::Write as _;

use engine::planted::{Bug, plant};
use torture::{draw, trial};

/// Seeds that a bug may take.
const BUDGET: u64 = 60;

/// The first seed that finds the bug, and what it finds.
fn found(bug: Bug) -> Option<(u64, torture::Finding)> {
    plant(Some(bug));
    let found = (0..BUDGET).find_map(|seed| {
        let outcome = trial("drawn.toml", &draw(seed)).expect("it can be run");
        outcome.findings.into_iter().next().map(|finding| (seed, finding))
    });
    plant(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let said = match found(bug) {
            Some((seed, finding)) => format!("seed {seed}: {finding}"),
            None => {
                missed.push(bug);
                "not found".to_owned()
            }
        };
        let _ = writeln!(std::io::stderr(), "{bug:?}: {said}");
    }
    assert!(missed.is_empty(), "not found within {BUDGET} seeds: {missed:?}");
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    plant(None);
    for seed in 0..BUDGET {
        let outcome = trial("drawn.toml", &draw(seed)).expect("it can be run");
        assert_eq!(outcome.findings, [], "seed {seed}");
    }
}
