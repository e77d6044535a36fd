//! `torture`: seeds in, verdicts out; what fails is shrunk to a scenario file.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use torture::{Finding, Outcome as Trial, Update};

use super::Outcome;
use crate::cli::{Seeds, Torture};
use crate::failure::{Exit, Failure};
use crate::output::{counted, note, safe};
use crate::{files, scenarios, stop};

/// Scenarios that are tried to make one that fails small.
const TRIES: u32 = 400;
/// Findings that are printed of one seed.
const SHOWN: usize = 5;
/// What is run if nothing is asked for.
const SEEDS: Seeds = Seeds { from: 1, to: Some(20) };

/// What the seeds come to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    failed: u64,
    simulated: f64,
    faults: u64,
}

impl Sum {
    fn add(&mut self, trial: &Trial) {
        self.seeds += 1;
        self.failed += u64::from(!trial.findings.is_empty());
        self.simulated += trial.simulated;
        self.faults += trial.faults as u64;
    }

    fn words(&self) -> String {
        let (seeds, faults) = (counted(self.seeds, "seed"), counted(self.faults, "fault"));
        let failed =
            if self.failed == 0 { "none failed".to_owned() } else { format!("{} failed", self.failed) };
        format!("{seeds}, {:.1} hours simulated, {faults} injected, {failed}", self.simulated / 3600.0)
    }
}

/// What comes from the threads that run seeds.
enum News {
    /// To be printed.
    Line(String),
    /// A seed has ended.
    Ended(Trial),
}

pub fn torture(args: &Torture, out: &mut impl Write) -> Outcome {
    if args.scenarios.is_empty() { seeds(args, out) } else { named(args, out) }
}

/// Scenario files, each put to the test once.
fn named(args: &Torture, out: &mut impl Write) -> Outcome {
    let mut exit = Exit::Ok;
    for wanted in &args.scenarios {
        let scenario = scenarios::load(wanted, &[])?;
        if !args.quiet {
            writeln!(out, "{wanted}: {}", torture::describe(&scenario))?;
        }
        if args.show {
            for line in scenario.source().lines() {
                writeln!(out, "{}", safe(line))?;
            }
        }
        out.flush()?;
        let trial = torture::trial_of(&scenario).map_err(|error| Failure::input(error.to_string()))?;
        if trial.findings.is_empty() {
            if !args.quiet {
                writeln!(out, "{wanted}: nothing was found")?;
            }
        } else {
            write!(out, "{}", findings(wanted, &trial.findings))?;
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn seeds(args: &Torture, out: &mut impl Write) -> Outcome {
    let stop = stop::watch();
    let asked = match (args.seeds, args.hours) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => Seeds { from: fresh(), to: None },
        (None, None) => SEEDS,
    };
    if asked.to.is_none() && args.hours.is_none() {
        return Err(
            Failure::input("seeds without an end need --hours").help("write --seeds 1..20, or add --hours 1")
        );
    }
    files::probe(&args.out)?;
    if args.hours.is_some() {
        note(&format!("from seed {} on", asked.from));
    }
    let over = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    let bar = bar(asked.to.map(|to| to - asked.from + 1), args.quiet);
    let clock = clock();
    // On a terminal there is a bar; elsewhere a line now and then says that it goes on.
    let speaks = args.hours.is_some() && !args.quiet && bar.is_hidden();
    let mut spoken = 0;
    let mut sum = Sum::default();
    let ended = std::thread::scope(|scope| {
        let runs = scope.spawn(|| {
            let tell = std::sync::Mutex::new(tell);
            let say = |news: News| {
                // Nobody listens any more when printing has failed: then it is over.
                let tell = tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if tell.send(news).is_err() {
                    over.store(true, Ordering::Relaxed);
                }
            };
            let seeds = asked.from..=asked.to.unwrap_or(u64::MAX);
            torture::run(seeds, super::jobs(&args.jobs), &over, |update| match update {
                Update::Drawn(seed, text, scenario) => {
                    let mut line = format!("seed {seed}: {}", torture::describe(scenario));
                    if args.show {
                        // A String takes whatever is written to it.
                        let _ = write!(line, "\n{text}");
                    }
                    if !args.quiet {
                        say(News::Line(line));
                    }
                }
                Update::Ended(seed, text, trial) => {
                    if !trial.findings.is_empty() {
                        say(News::Line(reported(seed, text, trial, &args.out, stop)));
                    }
                    say(News::Ended(trial.clone()));
                }
            })
        });
        let printed = print(&told, out, &bar, &mut sum, |sum| {
            let minutes = clock.elapsed().as_secs() / 60;
            if speaks && minutes > std::mem::replace(&mut spoken, minutes) {
                note(&sum.words());
            }
            let late = args.hours.is_some_and(|hours| clock.elapsed().as_secs_f64() > hours * 3600.0);
            if late || stop.load(Ordering::Relaxed) {
                over.store(true, Ordering::Relaxed);
            }
        });
        drop(told);
        let ended = runs.join();
        printed.map(|()| ended)
    })?;
    bar.finish_and_clear();
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Failure::input(error.to_string())),
        Err(panic) => std::panic::resume_unwind(panic),
    }
    writeln!(out, "{}", sum.words())?;
    Ok(match (sum.failed, stop.load(Ordering::Relaxed)) {
        (1.., _) => Exit::Failed,
        (0, true) => Exit::Interrupted,
        (0, false) => Exit::Ok,
    })
}

/// Prints what comes until nothing more does; `look` is called now and then.
fn print(
    told: &mpsc::Receiver<News>,
    out: &mut impl Write,
    bar: &ProgressBar,
    sum: &mut Sum,
    mut look: impl FnMut(&Sum),
) -> Result<(), Failure> {
    loop {
        match told.recv_timeout(Duration::from_millis(200)) {
            Ok(News::Line(line)) => {
                bar.suspend(|| writeln!(out, "{}", line.trim_end()).and_then(|()| out.flush()))?;
            }
            Ok(News::Ended(trial)) => {
                sum.add(&trial);
                bar.inc(1);
                bar.set_message(sum.words());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(()),
        }
        look(sum);
    }
}

fn findings(name: &str, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(SHOWN) {
        let _ = writeln!(text, "{name}: {finding}");
    }
    if let Some(more) = findings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "{name}: and {more} more");
    }
    text
}

/// What is said of a seed that failed, once it is small and written.
fn reported(seed: u64, text: &str, trial: &Trial, folder: &Path, stop: &AtomicBool) -> String {
    let mut said = findings(&format!("seed {seed}"), &trial.findings);
    let small = torture::shrink(text, &trial.findings, TRIES, stop);
    let path = folder.join(format!("seed-{seed}.toml"));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, &small.text));
    let _ = match written {
        Ok(()) => writeln!(said, "seed {seed}: shrunk: swarmlab torture {}", path.display()),
        // It is worth more than the file.
        Err(error) => writeln!(said, "cannot write {}: {error}; it is:\n{}", path.display(), small.text),
    };
    said
}

/// A seed that nobody has chosen.
fn fresh() -> u64 {
    // The one source of randomness that the standard library has; short enough to be typed again.
    std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000_000_000
}

#[expect(clippy::disallowed_methods, reason = "how long it goes on is real time; no run sees it")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

fn bar(seeds: Option<u64>, quiet: bool) -> ProgressBar {
    let (bar, template) = match seeds {
        _ if quiet => return ProgressBar::hidden(),
        Some(seeds) => (ProgressBar::new(seeds), "{bar:24.green} {msg}  {elapsed} gone, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed} gone"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
