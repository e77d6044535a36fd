//! `check`: reads scenarios and says what they come to, or what is wrong. Nothing runs.

use std::io::Write;

use simulator::scenario::Scenario;

use super::Outcome;
use crate::cli::Check;
use crate::failure::Exit;
use crate::output::counted;
use crate::scenarios;

pub fn check(args: &Check, out: &mut impl Write) -> Outcome {
    let mut wrong = None;
    for wanted in &args.scenarios {
        match scenarios::load(wanted, &args.set.set) {
            Ok(scenario) => writeln!(out, "{wanted}: {}", described(&scenario))?,
            Err(failure) => {
                out.flush()?;
                // Every scenario is read; the last failure gives the exit code.
                if let Some(earlier) = wrong.replace(failure) {
                    earlier.report();
                }
            }
        }
    }
    wrong.map_or(Ok(Exit::Ok), Err)
}

/// How many points, runs and peers.
fn described(scenario: &Scenario) -> String {
    let points = scenario.points();
    let peers = points.iter().map(|point| point.spec.groups.iter().map(|group| u64::from(group.count)).sum());
    let peers: Vec<u64> = peers.collect();
    let least = peers.iter().copied().min().unwrap_or(0);
    let most = peers.iter().copied().max().unwrap_or(0);
    let peers = if least == most { counted(most, "peer") } else { format!("{least} to {most} peers") };
    format!("{} of {}, {peers} each", counted(scenario.runs(), "run"), counted(points.len() as u64, "point"))
}
