//! `run`: scenarios in, records, tables and charts out. The record is written as it grows: what has ended is kept,
//! whatever ends the process.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use record::Record;
use simulator::Stack;
use simulator::runner::{self, Settings, Update};
use simulator::scenario::Scenario;

use super::Outcome;
use crate::cli::Run;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note, safe};
use crate::progress::Bars;
use crate::saving::{self, Saver};
use crate::{files, live, pages, scenarios, stop};

/// What the arguments come to.
struct Plan {
    scenario: Scenario,
    folder: PathBuf,
    settings: Settings,
    earlier: Option<Record>,
    /// There is a record of other runs in the folder.
    other: bool,
    /// Every run is made with real sockets too.
    live: bool,
}

pub fn run(args: &Run, out: &mut impl Write) -> Outcome {
    // Everything is read before anything runs: a mistake in the last scenario is told at once.
    let overrides = overrides(args);
    let load =
        |wanted: &String| scenarios::load(wanted, &overrides).map_err(|failure| of_flag(failure, args));
    let scenarios = args.scenarios.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    // What is no file, a pipe for one, could not be read again.
    if args.scenarios.iter().map(Path::new).all(|path| path.is_file() || !path.exists()) {
        pages::ask_for_large(scenarios.iter().map(most_hosts).max().unwrap_or(0));
    }
    let plans = scenarios.into_iter().map(|scenario| plan(scenario, args)).collect::<Result<Vec<_>, _>>()?;
    for (number, plan) in plans.iter().enumerate() {
        if plans[..number].iter().any(|other| other.folder == plan.folder) {
            let name = plan.scenario.name();
            return Err(Failure::input(format!("two scenarios are called {name}: run them one by one")));
        }
    }
    plans.iter().try_for_each(|plan| files::prepare(&plan.folder))?;
    let stop = stop::watch();
    for plan in plans {
        if carry_out(plan, args.quiet, stop, out)? == Exit::Interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(Exit::Ok)
}

/// What `--set` and other flags say.
fn overrides(args: &Run) -> Vec<(String, String)> {
    let replicates =
        args.replicates.or(args.live.then_some(1)).map(|n| ("replicates".to_owned(), n.to_string()));
    args.set.set.iter().cloned().chain(replicates).collect()
}

/// The hosts of the largest run of a scenario.
fn most_hosts(scenario: &Scenario) -> u64 {
    let hosts = |point: &simulator::scenario::Point| {
        point.spec.groups.iter().map(|group| u64::from(group.count)).sum::<u64>()
    };
    scenario.points().iter().map(hosts).max().unwrap_or(0)
}

fn plan(scenario: Scenario, args: &Run) -> Result<Plan, Failure> {
    if args.live {
        live::check(&scenario)?;
    }
    let folder = args.out.join(scenario.name());
    let settings = Settings {
        seed: args.seed,
        stack: if args.live { Stack::Wire } else { super::stack(args.stack) },
        jobs: super::jobs(&args.jobs),
        overrides: overrides(args).iter().map(|(key, value)| format!("{key}={value}")).collect(),
        ..Settings::default()
    };
    let mut plan = Plan { scenario, folder, settings, earlier: None, other: false, live: args.live };
    if args.resume {
        plan.earlier = earlier(&plan.folder, &plan.scenario, &plan.settings)?;
        plan.other = plan.earlier.as_ref().is_some_and(|record| has_more(record, &plan));
    } else {
        plan.other = look_at_what_is_there(&plan);
    }
    for name in plan.scenario.left_out() {
        note(&format!("note: {} is too large for the record: replay will need --base", safe(name)));
    }
    Ok(plan)
}

/// True if the record has runs that the plan does not make, which is said.
fn has_more(record: &Record, plan: &Plan) -> bool {
    let jobs = runner::jobs(&plan.scenario, record.seed);
    let made: BTreeSet<_> = jobs.iter().map(|job| (&job.point, job.replicate)).collect();
    let more = record.runs.iter().any(|run| !made.contains(&(&run.point, run.replicate)));
    if more {
        let (path, old) = (plan.folder.join(files::RECORD), saving::OLD);
        note(&format!("note: this replaces {}, which has more runs: it is kept as {old}", path.display()));
    }
    more
}

/// What is wrong with `--replicates` is told of it, and not of the override that it comes to.
fn of_flag(failure: Failure, args: &Run) -> Failure {
    match (failure, args.replicates) {
        (Failure::Scenario(error), Some(n)) if *error.source_text == *format!("replicates={n}") => {
            Failure::Input(format!("--replicates {n}: {}", error.message), error.help)
        }
        (failure, _) => failure,
    }
}

/// Says what becomes of a record that is in the folder already; true if it is to be kept beside the new one.
fn look_at_what_is_there(plan: &Plan) -> bool {
    let path = plan.folder.join(files::RECORD);
    if !path.exists() {
        return false;
    }
    let (shown, kept) = (path.display(), format!("it is kept as {}", saving::OLD));
    let record = match files::read_record(&plan.folder) {
        Ok(record) => record,
        Err(_) => {
            note(&format!("note: this replaces {shown}, which cannot be read: {kept}"));
            return true;
        }
    };
    let differences = runner::differences(&record, &plan.scenario, &plan.settings);
    if !differences.is_empty() {
        let what = differences.join(", ");
        note(&format!("note: this replaces {shown}, whose runs differ in {what}: {kept}; --out keeps both"));
        return true;
    }
    if has_more(&record, plan) {
        return true;
    }
    if record.partial && !record.runs.is_empty() {
        let all = counted(plan.scenario.runs(), "run");
        note(&format!("note: {shown} has {} of {all} already: --resume would keep them", record.runs.len()));
    }
    false
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
    let Plan { scenario, folder, settings, earlier, other, live } = plan;
    let saver = Saver::new(&folder, other);
    let jobs = runner::jobs(&scenario, settings.seed.unwrap_or(scenario.seed()));
    if !quiet {
        let kept = earlier.as_ref().map_or(0, |record| record.runs.len());
        let kept = if kept > 0 { format!(", {kept} of them from before") } else { String::new() };
        let cores = counted(settings.jobs as u64, "thread");
        note(&format!("{}: {} on {cores}{kept}", scenario.name(), counted(jobs.len() as u64, "run")));
    }
    let bars = Bars::new(&jobs, quiet);
    let told = |update: Update<'_>| bars.update(update);
    let record = runner::run_all_keeping(&scenario, &settings, earlier, stop, told, &saver);
    bars.clear();
    let mut record = record?;
    if live && !record.partial {
        record = live::beside(record, &scenario, quiet, stop)?;
    }
    if stop.load(Ordering::Relaxed) && record.partial {
        return interrupted(&record, jobs.len(), live, &saver);
    }
    let mut written = vec![saver.write(&record)?];
    written.extend(reports::write(&record, &folder)?);
    if !quiet {
        writeln!(out, "{}", reports::table::summary(&record))?;
        written.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
        out.flush()?;
    }
    Ok(Exit::Ok)
}

fn interrupted(record: &Record, jobs: usize, live: bool, saver: &Saver<'_>) -> Outcome {
    if record.runs.is_empty() {
        saver.forget();
        note("interrupted before a run had ended: nothing is written");
        return Ok(Exit::Interrupted);
    }
    let path = saver.write(record)?;
    // Each run of --live is made in both worlds, and none of them is taken up again.
    let (all, then) = match live {
        true => (2 * jobs, ""),
        false => (jobs, "; the same command with --resume makes the others"),
    };
    let (kept, all) = (record.runs.len(), counted(all as u64, "run"));
    note(&format!("interrupted: {kept} of {all} kept in {}{then}", path.display()));
    Ok(Exit::Interrupted)
}
