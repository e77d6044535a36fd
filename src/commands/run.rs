//! `run`: scenarios in, records, tables and charts out. Ctrl-C keeps what has ended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use record::Record;
use simulator::runner::{self, Settings};
use simulator::scenario::Scenario;

use super::Outcome;
use crate::cli::Run;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note};
use crate::progress::Bars;
use crate::{files, scenarios, stop};

/// What the arguments come to.
struct Plan {
    scenario: Scenario,
    folder: PathBuf,
    settings: Settings,
    earlier: Option<Record>,
}

pub fn run(args: &Run, out: &mut impl Write) -> Outcome {
    // Everything is read before anything runs: a mistake in the last scenario is told at once.
    let plans = args.scenarios.iter().map(|wanted| plan(wanted, args)).collect::<Result<Vec<_>, _>>()?;
    for (number, plan) in plans.iter().enumerate() {
        if plans[..number].iter().any(|other| other.folder == plan.folder) {
            let name = plan.scenario.name();
            return Err(Failure::input(format!("two scenarios are called {name}: run them one by one")));
        }
    }
    let stop = stop::watch();
    for plan in plans {
        if carry_out(plan, args.quiet, stop, out)? == Exit::Interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Ok)
}

fn plan(wanted: &str, args: &Run) -> Result<Plan, Failure> {
    let replicates = args.replicates.map(|n| ("replicates".to_owned(), n.to_string()));
    let overrides: Vec<(String, String)> = args.set.set.iter().cloned().chain(replicates).collect();
    let scenario = scenarios::load(wanted, &overrides)?;
    let folder = args.out.join(scenario.name());
    let settings = Settings {
        seed: args.seed,
        stack: super::stack(args.stack),
        jobs: super::jobs(&args.jobs),
        overrides: overrides.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        ..Settings::default()
    };
    let earlier = if args.resume { earlier(&folder, &scenario, &settings)? } else { None };
    Ok(Plan { scenario, folder, settings, earlier })
}

/// The record to go on from; none if nothing was finished yet.
fn earlier(folder: &Path, scenario: &Scenario, settings: &Settings) -> Result<Option<Record>, Failure> {
    if !folder.join(files::RECORD).exists() {
        return Ok(None);
    }
    let record = files::read_record(folder)?;
    let differences = runner::differences(&record, scenario, settings);
    if differences.is_empty() {
        return Ok(Some(record));
    }
    let message =
        format!("cannot resume {}: its runs differ in {}", folder.display(), differences.join(", "));
    let help = "give the same arguments as before, or leave --resume out to start over";
    Err(Failure::Input(message, Some(help.to_owned())))
}

fn carry_out(plan: Plan, quiet: bool, stop: &AtomicBool, out: &mut impl Write) -> Outcome {
    let Plan { scenario, folder, settings, earlier } = plan;
    let jobs = runner::jobs(&scenario, settings.seed.unwrap_or(scenario.seed()));
    if !quiet {
        let kept = earlier.as_ref().map_or(0, |record| record.runs.len());
        let kept = if kept > 0 { format!(", {kept} of them from before") } else { String::new() };
        let cores = counted(settings.jobs as u64, "thread");
        note(&format!("{}: {} on {cores}{kept}", scenario.name(), counted(jobs.len() as u64, "run")));
    }
    let bars = Bars::new(&jobs, quiet);
    let record = runner::run_all(&scenario, &settings, earlier, stop, |update| bars.update(update));
    bars.clear();
    let record = record?;
    if stop.load(Ordering::Relaxed) && record.partial {
        return interrupted(&record, jobs.len(), &folder);
    }
    let mut written = vec![files::write_record(&record, &folder)?];
    written.extend(reports::write(&record, &folder)?);
    if !quiet {
        writeln!(out, "{}", reports::table::summary(&record))?;
        written.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
        out.flush()?;
    }
    Ok(Exit::Ok)
}

fn interrupted(record: &Record, all: usize, folder: &Path) -> Outcome {
    if record.runs.is_empty() {
        note("interrupted before a run had ended: nothing is written");
        return Ok(Exit::Interrupted);
    }
    let path = files::write_record(record, folder)?;
    note(&format!(
        "interrupted: {} of {} kept in {}; the same command with --resume makes the others",
        record.runs.len(),
        counted(all as u64, "run"),
        path.display()
    ));
    Ok(Exit::Interrupted)
}
