//! Which of a record's runs are meant, and the jobs that make them again.

use std::path::Path;

use record::{Record, Run, WORLD};
use simulator::runner::{self, Job, VERSION};
use simulator::scenario::Scenario;

use crate::cli::Which;
use crate::failure::Failure;
use crate::output::note;

/// The scenario that a record is of, read from the record alone.
pub fn scenario(record: &Record, base: Option<&Path>) -> Result<Scenario, Failure> {
    let mut overrides = Vec::new();
    for set in &record.overrides {
        let (key, value) = set.split_once('=').ok_or_else(|| {
            Failure::input(format!("the record has an override without `=`: {}", crate::output::safe(set)))
        })?;
        overrides.push((key.to_owned(), value.to_owned()));
    }
    if record.version != VERSION {
        note(&format!(
            "note: the record was made by swarmlab {}, and this is {VERSION}: digests may differ",
            crate::output::safe(&record.version)
        ));
    }
    let name = format!("{}.toml", record.scenario);
    Ok(Scenario::recorded(&name, &record.source, &record.files, base, &overrides)?)
}

/// The record's runs that are meant, each with its job, in the record's order; at least one.
pub fn runs<'a>(
    record: &'a Record,
    scenario: &Scenario,
    which: &Which,
) -> Result<Vec<(&'a Run, Job)>, Failure> {
    let jobs = runner::jobs(scenario, record.seed);
    let mut found = Vec::new();
    for run in record.runs.iter().filter(|run| matches(run, which)) {
        // What was made with real sockets cannot be made again.
        if run.digest.is_empty() {
            continue;
        }
        let point = scenarios_point(record, run);
        let job = jobs.iter().find(|job| job.point == point && job.replicate == run.replicate);
        let Some(job) = job else {
            let point = runner::describe(&run.point);
            return Err(Failure::input(format!(
                "the record's scenario makes no run {} of {point}: the record was changed",
                run.replicate
            )));
        };
        found.push((run, job.clone()));
    }
    if found.is_empty() {
        return Err(nothing(record, which));
    }
    Ok(found)
}

/// A run's point as its scenario has it: without what tells simulated from live.
fn scenarios_point<'a>(record: &Record, run: &'a Run) -> &'a [String] {
    let beside_live = record.axes.last().is_some_and(|axis| axis == WORLD);
    let axes = record.axes.len() - usize::from(beside_live);
    &run.point[..axes.min(run.point.len())]
}

fn matches(run: &Run, which: &Which) -> bool {
    let point = which.point.as_ref().is_none_or(|wanted| {
        let squeeze = |text: &str| text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        let wanted = squeeze(wanted);
        let whole = squeeze(&run.point.join(","));
        let each = || wanted.split(',').all(|part| run.point.iter().any(|value| value == part));
        wanted == whole || each()
    });
    point && which.replicate.is_none_or(|replicate| run.replicate == replicate)
}

fn nothing(record: &Record, which: &Which) -> Failure {
    let mut points: Vec<String> = record.runs.iter().map(|run| run.point.join(",")).collect();
    points.dedup();
    // Where --point leads somewhere, it is --replicate that does not.
    let at_point = Which { point: which.point.clone(), replicate: None, base: None };
    let there = || record.runs.iter().filter(|run| matches(run, &at_point));
    let help = match (points.first().map(String::as_str), &which.point) {
        (None, _) => "it has no run at all".to_owned(),
        (Some(""), Some(_)) => "the scenario sweeps nothing: leave --point out".to_owned(),
        _ if there().next().is_some() => {
            let replicates: std::collections::BTreeSet<u32> = there().map(|run| run.replicate).collect();
            let at = if which.point.is_some() { "there " } else { "" };
            format!("{at}it has the {}", listed(&replicates.into_iter().collect::<Vec<_>>()))
        }
        _ => format!("it has the points {}", crate::output::safe(&points.join("  "))),
    };
    Failure::Input("the record has no such run".to_owned(), Some(help))
}

/// `replicate 0`, `replicates 0 to 3`, `replicates 0, 2, 3`: of numbers that ascend.
fn listed(replicates: &[u32]) -> String {
    match replicates {
        [only] => format!("replicate {only}"),
        [first, .., last] if (last - first) as usize == replicates.len() - 1 => {
            format!("replicates {first} to {last}")
        }
        _ => {
            let numbers: Vec<String> = replicates.iter().map(u32::to_string).collect();
            format!("replicates {}", numbers.join(", "))
        }
    }
}
