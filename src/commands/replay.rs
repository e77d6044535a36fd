//! `replay`: makes a record's runs again, from the record alone, and compares the digests.

use std::io::Write;
use std::sync::atomic::Ordering;

use simulator::Stack;
use simulator::runner::{self, Job, Settings};

use super::Outcome;
use crate::cli::Replay;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note, safe};
use crate::progress::Bars;
use crate::{files, selection, stop};

pub fn replay(args: &Replay, out: &mut impl Write) -> Outcome {
    let record = files::read_record(&args.record)?;
    let scenario = selection::scenario(&record, args.which.base.as_deref())?;
    let runs = selection::runs(&record, &scenario, &args.which)?;
    let stack = stack_of(&record)?;
    let settings = Settings { stack, jobs: super::jobs(&args.jobs), ..Settings::default() };
    let stop = stop::watch();
    let jobs: Vec<&Job> = runs.iter().map(|(_, job)| job).collect();
    let bars = Bars::new(jobs.iter().copied(), args.quiet);
    let again = runner::run_jobs(&jobs, &settings, stop, |update| bars.update(update));
    bars.clear();
    let again = again?;
    if stop.load(Ordering::Relaxed) {
        note(&format!("interrupted: {} of {} made again", again.len(), counted(runs.len() as u64, "run")));
        return Ok(Exit::Interrupted);
    }
    let mut different = 0;
    for (before, job) in &runs {
        let now = again.get(&job.number).map_or("", |run| run.digest.as_str());
        let same = now == before.digest;
        different += u64::from(!same);
        let what = format!("{}, replicate {}", runner::describe(&job.point), job.replicate);
        match same {
            true if args.quiet => {}
            true => writeln!(out, "same       {now}  {what}")?,
            false => writeln!(out, "different  {now}  {what}: the record has {}", safe(&before.digest))?,
        }
    }
    if different > 0 {
        writeln!(out, "{different} of {} differ", counted(runs.len() as u64, "run"))?;
        return Ok(Exit::Failed);
    }
    Ok(Exit::Ok)
}

/// The stack that a record was made with.
pub(super) fn stack_of(record: &record::Record) -> Result<Stack, Failure> {
    Stack::by_name(&record.stack)
        .ok_or_else(|| Failure::input(format!("the record has an unknown stack: {}", safe(&record.stack))))
}
