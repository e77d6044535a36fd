//! The checkers can fail: bugs on purpose, each found within a budget of seeds, and what finds one is made small.

use std::io::Write as _;
use std::sync::atomic::AtomicBool;

use engine::planted::{Bug, plant};
use simulator::scenario::Scenario;
use torture::{Finding, draw, shrink, trial};

/// Seeds that a bug may take.
const BUDGET: u64 = 80;

fn findings(text: &str) -> Vec<Finding> {
    trial("drawn.toml", text).expect("it can be run").findings
}

/// The first seed that finds what is planted, and what it finds.
fn found() -> Option<(u64, Vec<Finding>)> {
    (0..BUDGET).map(|seed| (seed, findings(&draw(seed)))).find(|(_, findings)| !findings.is_empty())
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let said = match found() {
            Some((seed, findings)) => format!("seed {seed}: {}", findings[0]),
            None => {
                missed.push(bug);
                "not found".to_owned()
            }
        };
        let _ = writeln!(std::io::stderr(), "{bug:?}: {said}");
    }
    plant(None);
    assert!(missed.is_empty(), "not found within {BUDGET} seeds: {missed:?}");
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    plant(None);
    for seed in 0..BUDGET {
        assert_eq!(findings(&draw(seed)), [], "seed {seed}");
    }
}

fn size(text: &str) -> (u32, usize, u64, u64) {
    let scenario = Scenario::parse("x.toml", text, ".".as_ref(), &[]).expect("it can be run");
    let spec = &scenario.points()[0].spec;
    let peers = spec.groups.iter().map(|group| group.count).sum();
    (peers, spec.faults.len(), spec.content, spec.time_limit.as_secs())
}

#[test]
fn what_fails_is_shrunk_to_a_file_that_fails_alike() {
    for bug in [Bug::CancelNotSent, Bug::InnocentBanned, Bug::LastBlockShort, Bug::SlotTooMany] {
        plant(Some(bug));
        let (seed, drawn) = found().expect("it is found");
        let small = shrink(&draw(seed), &drawn, 300, &AtomicBool::new(false));
        let again = findings(&small.text);
        let (from, to) = (size(&draw(seed)), size(&small.text));
        let _ =
            writeln!(std::io::stderr(), "{bug:?}: {from:?} to {to:?}, {} tries\n{}", small.tries, small.text);
        assert_eq!(again, small.findings, "{bug:?}: the file reproduces it");
        assert!(again.iter().any(|finding| finding.checker == drawn[0].checker), "{bug:?}: {again:?}");
        assert!(to.0 <= from.0 && to.1 <= from.1 && to.2 <= from.2 && to.3 < from.3, "{bug:?}");
        assert!(to.0 <= 8 && to.1 <= 1 && to.3 < 600, "{bug:?}: {to:?}");
        plant(None);
        assert_eq!(findings(&small.text), [], "{bug:?}: nothing else is wrong with it");
    }
}
