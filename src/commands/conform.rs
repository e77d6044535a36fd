//! `conform`: the suite of conformance against the engine, clients that are started, or one that runs.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::conform::arm::socket::Terms;
use harness::conform::case::Case;
use harness::conform::suite::{self, Report, Target};
use harness::conform::{cases, report};
use harness::launch::{Net, With};
use indicatif::{ProgressBar, ProgressStyle};

use super::Outcome;
use crate::cli::Conform;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::{counted, note, safe};
use crate::{stop, target};

/// The longest file of results that is read.
const MAX_RESULTS: u64 = 64 << 20;
/// Clients at a time where nothing else is said: most of a case is waiting.
const JOBS: u16 = 4;
/// The patience where no setup file says another.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn conform(args: &Conform, out: &mut impl Write) -> Outcome {
    let chosen = chosen(args)?;
    if args.list {
        for case in &chosen {
            writeln!(out, "{:<44} {:<6} {}", case.id, case.requirement, case.description)?;
        }
        return Ok(Exit::Ok);
    }
    let mut reports = Vec::new();
    for path in &args.merge {
        for report in earlier(path)? {
            add(&mut reports, report);
        }
    }
    let net = Net::new(args.net, std::process::id());
    let targets = targets(args, &chosen, &net)?;
    if targets.is_empty() && args.merge.is_empty() {
        return Err(Failure::input("who is to be tested?")
            .help("give an address and --torrent, --client FILE, or --engine"));
    }
    let stop = stop::watch();
    let bare = args.json.as_deref() == Some(Path::new("-"));
    let mut holds = true;
    for target in &targets {
        let report = one(args, target, &chosen, &net, bare);
        if !bare {
            let text = if args.quiet { short(&report) } else { report::text(&report) };
            writeln!(out, "{}", safe_lines(&text))?;
            out.flush()?;
        }
        holds &= report.holds();
        add(&mut reports, report);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    write(args, &reports, out)?;
    Ok(match (stop.load(Ordering::Relaxed), holds) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::Ok,
        (_, false) => Exit::Failed,
    })
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

fn one(args: &Conform, target: &Target, cases: &[Case], net: &Net, bare: bool) -> Report {
    let (patience, jobs) = match target {
        Target::Client(client) => {
            (Duration::from_secs_f64(client.patience_seconds), client.jobs.unwrap_or(JOBS))
        }
        // One that runs may take offence at many at once.
        Target::At(..) => (PATIENCE, 1),
        Target::Memory => (PATIENCE, 1),
    };
    let net = net.clone();
    let patience = args.patience.map_or(patience, |time| time.duration());
    let terms = Terms { patience, limit: args.timeout.duration(), net };
    let bar = ProgressBar::new(cases.len() as u64);
    bar.set_style(
        ProgressStyle::with_template("{bar:24.cyan} {pos}/{len} {msg}  {elapsed} gone")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(target.name());
    if bare || args.quiet {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let jobs = usize::from(args.jobs.unwrap_or(jobs));
    let report = suite::run(target, cases, jobs, &terms, stop::watch(), |_| bar.inc(1));
    bar.finish_and_clear();
    report
}

/// Adds a report; of a client that is there it renews the cases that were run.
fn add(reports: &mut Vec<Report>, report: Report) {
    match reports.iter_mut().find(|earlier| earlier.title() == report.title()) {
        Some(earlier) => earlier.renew(report),
        None => reports.push(report),
    }
}

/// What failed, and the sums.
fn short(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.title(), report.summary());
    for result in report.results.iter().filter(|result| result.verdict.is_failure(result.requirement)) {
        text.push_str(&format!("  {}\n", report::line(result)));
    }
    text
}

/// Lines without control characters.
fn safe_lines(text: &str) -> String {
    text.lines().map(|line| safe(line) + "\n").collect::<String>().trim_end().to_owned()
}

fn earlier(path: &Path) -> Result<Vec<Report>, Failure> {
    let bytes = files::read(path, MAX_RESULTS)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())).help("--json wrote it"))
}

fn write(args: &Conform, reports: &[Report], out: &mut impl Write) -> Result<(), Failure> {
    if let Some(path) = &args.json {
        let text =
            report::json(reports).map_err(|error| Failure::Io(format!("cannot make JSON: {error}")))?;
        match path.as_os_str() == "-" {
            true => out.write_all(text.as_bytes())?,
            false => files::replace(path, text.as_bytes())?,
        }
    }
    let forms = [
        (&args.junit, report::junit as fn(&[Report]) -> String),
        (&args.markdown, report::markdown),
        (&args.html, report::html),
    ];
    for (path, make) in forms {
        if let Some(path) = path {
            files::replace(path, make(reports).as_bytes())?;
            if !args.quiet {
                note(&format!("{}: {}", path.display(), counted(reports.len() as u64, "client")));
            }
        }
    }
    Ok(())
}
