//! Many cases against one target, several at a time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use serde::{Deserialize, Serialize};

use super::arm::memory::Memory;
use super::arm::socket::{Refused, Sockets, Terms};
use super::case::{Case, Requirement, Verdict};
use super::run::{self, Result};
use super::subject::Subject;
use crate::launch::{self, Client};
use crate::probe::{self, Absent};
use crate::words;

/// Said of one that ran at an address, and of the cases that are left then.
const GONE: &str = "nobody takes connections at its address any more";

/// Who is tested.
#[derive(Debug)]
pub enum Target {
    /// The engine, in memory.
    Memory,
    /// A client that is started for each case.
    Client(Box<Client>),
    /// A seed that runs already.
    At(SocketAddr, Box<Subject>),
}

/// When and how results were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The day, as in `2026-03-01`.
    pub date: String,
    /// The version of this program.
    pub by: String,
    /// The options that matter, as they could be typed.
    pub options: String,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Who was tested.
    pub client: String,
    /// Its version, if it says so.
    pub version: Option<String>,
    /// The runs that it is of, the first first. Empty in what earlier versions wrote.
    #[serde(default)]
    pub made: Vec<Made>,
    /// What came of each case, in their order.
    pub results: Vec<Result>,
}

impl Target {
    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Memory => "engine".to_owned(),
            Self::Client(client) => client.name.clone(),
            Self::At(addr, _) => addr.to_string(),
        }
    }

    /// A report of it without a result.
    pub fn report(&self, made: Option<Made>) -> Report {
        let made = made.into_iter().collect();
        Report { client: self.name(), version: self.version(), made, results: Vec::new() }
    }

    fn version(&self) -> Option<String> {
        match self {
            Self::Memory => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Client(client) => launch::version(client),
            Self::At(..) => None,
        }
    }

    /// Whether one that ran before is no more: nobody starts it anew for the next case.
    fn is_gone_after(&self, result: &Result, terms: &Terms) -> bool {
        let Self::At(addr, subject) = self else { return false };
        matches!(result.verdict, Verdict::Hang | Verdict::Stuck)
            && matches!(probe::seed(*addr, subject, &terms.net), Err(Absent::Nobody(..)))
    }

    /// Runs one case, on an arm of its own.
    pub fn run(&self, case: &Case, terms: &Terms) -> Result {
        match self {
            Self::Memory => match Memory::start(case.setup) {
                Ok(mut arm) => run::run(case, &mut arm),
                Err(error) => Result::stuck(case, error),
            },
            Self::Client(client) => match Sockets::start(client, case.setup, terms.clone()) {
                Ok(mut arm) => run::run(case, &mut arm),
                Err(Refused::Skip(why)) => Result::skipped(case, why),
                Err(Refused::Stuck(why)) => Result::stuck(case, why),
            },
            Self::At(_, _) if !case.setup.is_plain_seed() => {
                Result::skipped(case, "needs a client that is started for it: --client")
            }
            Self::At(addr, subject) => {
                run::run(case, &mut Sockets::at(*addr, subject.as_ref().clone(), terms.clone()))
            }
        }
    }
}

/// Runs cases, `jobs` at a time; `done` is told of each as it ends, in no promised order, on the thread that calls.
/// When `stop` is set no more are begun, and nothing is said of those that were not.
pub fn run(
    target: &Target,
    cases: &[Case],
    jobs: usize,
    terms: &Terms,
    stop: &AtomicBool,
    mut done: impl FnMut(Result),
) {
    let next = AtomicUsize::new(0);
    let gone = AtomicBool::new(false);
    let jobs = jobs.clamp(1, cases.len().max(1));
    // Who is ahead of `done` waits for it.
    let (sender, results) = sync_channel(jobs);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, gone, sender) = (&next, &gone, sender.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let result = match gone.load(Ordering::Relaxed) {
                        true => Result::skipped(case, GONE),
                        false => target.run(case, terms),
                    };
                    let result = match target.is_gone_after(&result, terms) {
                        true => {
                            gone.store(true, Ordering::Relaxed);
                            Result { verdict: Verdict::Crash, note: GONE.to_owned(), ..result }
                        }
                        false => result,
                    };
                    if sender.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        results.into_iter().for_each(&mut done);
    });
}

impl Report {
    /// Takes a result in, in the order of the cases, in place of an earlier one of the same case.
    pub fn take(&mut self, result: Result) {
        let place = |result: &Result| super::cases::place(&result.id);
        match self.results.iter_mut().find(|earlier| earlier.id == result.id) {
            Some(earlier) => *earlier = result,
            None => {
                let at = self.results.partition_point(|earlier| place(earlier) <= place(&result));
                self.results.insert(at, result);
            }
        }
    }

    /// Takes the results of a later run of some cases in place of its own.
    pub fn renew(&mut self, later: Self) {
        later.results.into_iter().for_each(|result| self.take(result));
        for made in later.made {
            if !self.made.contains(&made) {
                self.made.push(made);
            }
        }
    }

    /// Whether nothing was tested at all.
    pub fn is_idle(&self) -> bool {
        self.results.iter().all(|result| result.verdict == Verdict::Skip)
    }

    /// How many have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Whether nothing that is binding is broken.
    pub fn holds(&self) -> bool {
        !self.results.iter().any(|result| result.verdict.is_failure(result.requirement))
    }

    /// The client and its version.
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.client),
            None => self.client.clone(),
        }
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let of = |verdict, word: &str| match self.count(verdict) {
            0 => None,
            many => Some(format!("{many} {word}")),
        };
        let warned = if self.count(Verdict::Warn) == 1 { "warning" } else { "warnings" };
        let parts = [
            of(Verdict::Pass, "passed"),
            of(Verdict::Info, "noted"),
            of(Verdict::Warn, warned),
            of(Verdict::Fail, "failed"),
            of(Verdict::Crash, "crashed it"),
            of(Verdict::Hang, "hung it"),
            of(Verdict::Stuck, "stuck"),
            of(Verdict::Skip, "skipped"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let musts = self.results.iter().filter(|result| result.requirement != Requirement::May).count();
        let cases = words::counted(self.results.len(), "case");
        let parts = if parts.is_empty() { "none was run".to_owned() } else { parts.join(", ") };
        format!("{cases}, {musts} binding: {parts}")
    }
}
