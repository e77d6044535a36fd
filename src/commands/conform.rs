//! `conform`: the suite of conformance against the engine, clients that are started, or one that runs.

mod outputs;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::clock;
use harness::conform::arm::socket::Terms;
use harness::conform::case::Case;
use harness::conform::suite::{self, Made, Report, Target};
use harness::conform::{cases, report};
use harness::launch::{Net, With};
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::cli::Conform;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::{note, safe};
use crate::{stop, target};
use outputs::Outputs;

/// The longest file of results that is read.
const MAX_RESULTS: u64 = 64 << 20;
/// Clients at a time where nothing else is said: most of a case is waiting.
const JOBS: u16 = 4;
/// The patience where no setup file says another.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a case may take where nothing else is said.
const LIMIT: Duration = Duration::from_secs(90);
/// The network that this machine has for itself anyway.
const LOOPBACK: u8 = 127;

pub fn conform(args: &Conform, out: &mut impl Write) -> Outcome {
    let chosen = chosen(args)?;
    if args.list {
        for case in &chosen {
            writeln!(out, "{:<44} {:<6} {}", case.id, case.requirement, case.description)?;
        }
        return Ok(Exit::Ok);
    }
    if !args.engine && args.client.is_empty() && args.address.is_none() {
        nobody(args)?;
    }
    let outputs = Outputs::of(args)?;
    let mut reports = Vec::new();
    for path in &args.merge {
        for report in earlier(path)? {
            let at = place(&mut reports, &report);
            reports[at].renew(report);
        }
    }
    // Who is started to be looked at is ended too.
    let stop = stop::watch();
    let net = Net::new(args.net.unwrap_or(LOOPBACK), std::process::id());
    let mut run = Run { args, cases: &chosen, outputs, out, reports, warned: false };
    let mut ran = Vec::new();
    for target in targets(args, &chosen, &net)? {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        ran.push(run.one(&target, &net)?);
    }
    let Run { outputs, reports, out, .. } = run;
    // Who stops it before it has begun keeps what an earlier run wrote.
    if !reports.is_empty() || !stop.load(Ordering::Relaxed) {
        outputs.write(&reports, out, args.quiet)?;
    }
    let idle = ran.iter().find(|report| report.is_idle());
    // What was found stays found, whatever came after.
    match (ran.iter().all(Report::holds), stop.load(Ordering::Relaxed), idle) {
        (false, ..) => Ok(Exit::Failed),
        (true, true, _) => Ok(Exit::Interrupted),
        (true, false, Some(report)) => Err(untested(report)),
        (true, false, None) => Ok(Exit::Ok),
    }
}

/// A command line that names nobody to be tested: whether it is one for earlier results alone.
fn nobody(args: &Conform) -> Result<(), Failure> {
    if args.merge.is_empty() {
        return Err(Failure::input("who is to be tested?")
            .help("give an address and --torrent, --client FILE, or --engine"));
    }
    let given = [
        ("--filter", !args.filter.is_empty()),
        ("--jobs", args.jobs.is_some()),
        ("--timeout", args.timeout.is_some()),
        ("--patience", args.patience.is_some()),
        ("--net", args.net.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Failure::input(format!("{option} is about a run, and nobody is to be tested"))
                .help("leave it out, or say who is: an address and --torrent, --client FILE, or --engine"))
        }
        None => Ok(()),
    }
}

/// A run in which every case was skipped: nothing is known of the client.
fn untested(report: &Report) -> Failure {
    let title = safe(&report.title());
    let reasons: BTreeSet<String> = report.results.iter().map(|result| safe(&result.note)).collect();
    let reasons: Vec<String> = reasons.into_iter().take(3).collect();
    let all = match report.results.len() {
        1 => "the only case".to_owned(),
        many => format!("each of the {many} cases"),
    };
    Failure::input(format!("{title} was not tested: {all} was skipped ({})", reasons.join("; ")))
        .help("choose cases that apply to it (--filter, --list), or start it in another way (--client FILE)")
}

/// The cases that were asked for.
fn chosen(args: &Conform) -> Result<Vec<Case>, Failure> {
    let wanted = |case: &Case, filter: &String| {
        case.id.starts_with(filter.as_str()) || case.id.contains(&format!("/{filter}"))
    };
    let all = cases::all();
    if let Some(filter) = args.filter.iter().find(|filter| !all.iter().any(|case| wanted(case, filter))) {
        return Err(Failure::input(format!("no case has an id with \"{}\"", safe(filter)))
            .help("`swarmlab conform --list` has them all"));
    }
    let any = |case: &Case| args.filter.is_empty() || args.filter.iter().any(|filter| wanted(case, filter));
    Ok(all.into_iter().filter(any).collect())
}

/// All who are to be tested, each of them there.
fn targets(args: &Conform, cases: &[Case], net: &Net) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    if args.engine {
        targets.push(Target::Memory);
    }
    for path in &args.client {
        targets.push(Target::Client(Box::new(target::setup(path)?)));
    }
    if let (Some(address), Some(path)) = (&args.address, &args.torrent) {
        let subject = target::torrent(path)?;
        let addr = target::seed(address, &subject, net)?;
        targets.push(Target::At(addr, Box::new(subject)));
    }
    for target in &targets {
        if let Target::Client(client) = target {
            target::starts(client, &roles(cases), net)?;
        }
    }
    Ok(targets)
}

/// What a client has to be for these cases, without repeats.
fn roles(cases: &[Case]) -> Vec<With> {
    let is = |with: &With| cases.iter().any(|case| case.setup.role.with() == *with);
    [With::Seed, With::Leech, With::Magnet].into_iter().filter(is).collect()
}

/// Where a client's report is among them; a new one, without results, if it has none.
fn place(reports: &mut Vec<Report>, of: &Report) -> usize {
    let at = reports.iter().position(|report| report.title() == of.title());
    at.unwrap_or_else(|| {
        reports.push(Report { results: Vec::new(), made: Vec::new(), ..of.clone() });
        reports.len() - 1
    })
}

/// What goes on while cases are run.
struct Run<'a, W> {
    args: &'a Conform,
    cases: &'a [Case],
    outputs: Outputs<'a>,
    out: &'a mut W,
    /// All that is written: of earlier runs, and of this one.
    reports: Vec<Report>,
    /// It was said that results cannot be written.
    warned: bool,
}

impl<W: Write> Run<'_, W> {
    /// Tests one; what came of it in this run.
    fn one(&mut self, target: &Target, net: &Net) -> Result<Report, Failure> {
        let (patience, jobs) = match target {
            Target::Client(client) => {
                (Duration::from_secs_f64(client.patience_seconds), client.jobs.unwrap_or(JOBS))
            }
            // One that runs may take offence at many at once.
            Target::At(..) => (PATIENCE, 1),
            Target::Memory => (PATIENCE, 1),
        };
        let terms = Terms {
            patience: self.args.patience.map_or(patience, |time| time.duration()),
            limit: self.args.timeout.map_or(LIMIT, |time| time.duration()),
            net: net.clone(),
        };
        let jobs = self.args.jobs.unwrap_or(jobs);
        let mut ran = target.report(Some(self.made(target, &terms, jobs)));
        let at = place(&mut self.reports, &ran);
        self.reports[at].renew(ran.clone());
        let bar = self.bar(target);
        self.tell(&bar, &ran.title())?;
        let stop = stop::watch();
        let mut failed = None;
        suite::run(target, self.cases, jobs.into(), &terms, stop, |result| {
            bar.inc(1);
            self.reports[at].take(result.clone());
            // What is printed is kept.
            self.keep(&bar);
            if failed.is_none()
                && let Err(failure) = self.tell(&bar, &report::line(&result))
            {
                // Nobody reads on: nothing more is begun.
                stop.store(true, Ordering::Relaxed);
                failed = Some(failure);
            }
            ran.take(result);
        });
        bar.finish_and_clear();
        if let Some(failure) = failed {
            return Err(failure);
        }
        let ending = report::ending(&ran);
        match self.args.quiet {
            true => self.say(&ending)?,
            false => self.say(&format!("\n{ending}"))?,
        }
        Ok(ran)
    }

    fn made(&self, target: &Target, terms: &Terms, jobs: u16) -> Made {
        use harness::words::time;
        let quoted = |text: String| format!("'{text}'");
        let mut options = Vec::new();
        if !matches!(target, Target::Memory) {
            options.push(format!("--timeout {}", quoted(time(terms.limit))));
            options.push(format!("--patience {}", quoted(time(terms.patience))));
            options.push(format!("--jobs {jobs}"));
            options.extend(self.args.net.map(|net| format!("--net {net}")));
        }
        options.extend(self.args.filter.iter().map(|filter| format!("--filter {filter}")));
        let by = env!("CARGO_PKG_VERSION").to_owned();
        Made { date: clock::today(), by, options: options.join(" ") }
    }

    fn bar(&self, target: &Target) -> ProgressBar {
        let bar = ProgressBar::new(self.cases.len() as u64);
        bar.set_style(
            ProgressStyle::with_template("{bar:24.cyan} {pos}/{len} {msg}  {elapsed} gone")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(target.name());
        if self.args.quiet {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        bar
    }

    /// Prints a line at once, unless little is to be printed.
    fn tell(&mut self, bar: &ProgressBar, line: &str) -> Result<(), Failure> {
        if self.args.quiet { Ok(()) } else { bar.suspend(|| self.say(line)) }
    }

    /// Prints lines without control characters: beside the output, if that is to be results alone.
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        let lines: Vec<String> = text.lines().map(safe).collect();
        match self.outputs.is_bare() {
            true => note(&lines.join("\n")),
            false => {
                writeln!(self.out, "{}", lines.join("\n"))?;
                self.out.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what there is so far, so that nothing is lost by whatever ends the run.
    fn keep(&mut self, bar: &ProgressBar) {
        if let Err(failure) = self.outputs.keep(&self.reports)
            && !std::mem::replace(&mut self.warned, true)
        {
            // The run goes on: there may be room again at its end, and if not it is an error then.
            let text = format!("warning: results are not kept yet: {}", failure.message());
            bar.suspend(|| note(&text));
        }
    }
}

fn earlier(path: &Path) -> Result<Vec<Report>, Failure> {
    let bytes = files::read(path, MAX_RESULTS)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())).help("--json wrote it"))
}
