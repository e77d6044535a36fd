//! `run --live`: each run of a scenario once more, with real sockets and files, in one record beside the simulated.

use std::sync::atomic::{AtomicBool, Ordering};

use live::LiveError;
use record::{Record, WORLD};
use simulator::runner::{self, Job, Update};
use simulator::scenario::Scenario;

use crate::failure::Failure;
use crate::output::{counted, note};
use crate::progress::Bars;

/// The values of the axis [`WORLD`].
const SIMULATED: &str = "simulated";
const LIVE: &str = "live";

/// Refuses a scenario that cannot be run live, before anything is run.
pub fn check(scenario: &Scenario) -> Result<(), Failure> {
    scenario.points().iter().try_for_each(|point| live::check(&point.spec).map_err(|error| refused(&error)))
}

fn refused(error: &LiveError) -> Failure {
    let help = match error {
        LiveError::TooMany(_) => Some("--set groups.NAME.count=N makes it smaller"),
        LiveError::TooLarge(_) => Some("--set content.size='16 MiB' makes it smaller"),
        _ => None,
    };
    Failure::Input(format!("this cannot be run live: {error}"), help.map(str::to_owned))
}

/// The record with the live runs in it; partial if it was told to stop.
pub fn beside(
    simulated: Record,
    scenario: &Scenario,
    quiet: bool,
    stop: &AtomicBool,
) -> Result<Record, Failure> {
    let jobs = runner::jobs(scenario, simulated.seed);
    if !quiet {
        let seconds: f64 = simulated.runs.iter().map(|run| run.ended_at).sum();
        note(&format!(
            "{}: the same {} live, with sockets and files, about {seconds:.0} s; latency and losses are those of loopback",
            simulated.scenario,
            counted(jobs.len() as u64, "run")
        ));
    }
    let mut record = Record { runs: Vec::new(), ..simulated.clone() };
    record.axes.push(WORLD.to_owned());
    let bars = Bars::new(&jobs, quiet);
    for job in &jobs {
        let like = |run: &&record::Run| run.point == job.point && run.replicate == job.replicate;
        record.runs.extend(simulated.runs.iter().find(like).map(|run| placed(run.clone(), job, SIMULATED)));
        if stop.load(Ordering::Relaxed) {
            continue;
        }
        if let Some(run) = one(job, &bars, stop)? {
            record.runs.push(placed(run, job, LIVE));
        }
    }
    bars.clear();
    record.runs.sort_by_key(|run| {
        let at = jobs.iter().position(|job| run.point.starts_with(&job.point));
        (at, run.point.last().is_some_and(|world| world == LIVE), run.replicate)
    });
    record.partial |= record.runs.len() < 2 * jobs.len();
    Ok(record)
}

/// One live run; none if it was told to stop.
fn one(job: &Job, bars: &Bars, stop: &AtomicBool) -> Result<Option<record::Run>, Failure> {
    bars.update(Update::Started(job));
    let progress = |progress| {
        bars.update(Update::Running(job, progress));
        !stop.load(Ordering::Relaxed)
    };
    match live::run(job.spec(), job.seed, None, progress) {
        Ok(run) => {
            bars.update(Update::Finished(job, &run));
            Ok(Some(run))
        }
        Err(LiveError::Interrupted) => Ok(None),
        Err(error) => {
            let point = runner::describe(&job.point);
            Err(Failure::Io(format!("the live run {} of {point} failed: {error}", job.replicate)))
        }
    }
}

fn placed(run: record::Run, job: &Job, world: &str) -> record::Run {
    let point = job.point.iter().cloned().chain([world.to_owned()]).collect();
    record::Run { point, replicate: job.replicate, ..run }
}
