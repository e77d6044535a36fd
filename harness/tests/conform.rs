//! Every case, against the engine in memory.

use harness::conform::arm::memory::Memory;
use harness::conform::{cases, run};

#[test]
fn the_engine_passes_every_case() {
    let mut failed = Vec::new();
    for case in cases::all() {
        let mut arm = Memory::start(case.setup).unwrap_or_else(|error| panic!("{}: {error}", case.id));
        let result = run::run(&case, &mut arm);
        println!(
            "{:<40} {:<6} {:<5} {} {:?} {}",
            case.id,
            case.requirement,
            result.verdict,
            result.reaction.map(|r| r.to_string()).unwrap_or_default(),
            result.after,
            result.note
        );
        if result.verdict.is_failure(case.requirement)
            || result.verdict == harness::conform::case::Verdict::Warn
        {
            failed.push(case.id);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
