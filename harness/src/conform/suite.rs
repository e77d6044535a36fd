//! Many cases against one target, several at a time.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::arm::memory::Memory;
use super::arm::socket::{Refused, Sockets, Terms};
use super::case::{Case, Requirement, Verdict};
use super::run::{self, Result};
use super::subject::Subject;
use crate::launch::{self, Client};

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

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Who was tested.
    pub client: String,
    /// Its version, if it says so.
    pub version: Option<String>,
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

    fn version(&self) -> Option<String> {
        match self {
            Self::Memory => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Self::Client(client) => launch::version(client),
            Self::At(..) => None,
        }
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

/// Runs cases, `jobs` at a time; `done` is told of each as it ends, in no promised order. When `stop` is set no more
/// are begun, and those that were not are left out.
pub fn run(
    target: &Target,
    cases: &[Case],
    jobs: usize,
    terms: &Terms,
    stop: &AtomicBool,
    done: impl Fn(&Result) + Sync,
) -> Report {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, cases.len().max(1)) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { return };
                    let result = target.run(case, terms);
                    done(&result);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    let results = results.into_iter().map(|(_, result)| result).collect();
    Report { client: target.name(), version: target.version(), results }
}

impl Report {
    /// Takes the results of a later run of some cases in place of its own.
    pub fn renew(&mut self, later: Self) {
        self.results.retain(|result| !later.results.iter().any(|new| new.id == result.id));
        self.results.extend(later.results);
        self.results.sort_by_key(|result| super::cases::place(&result.id));
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
        let parts = [
            of(Verdict::Pass, "passed"),
            of(Verdict::Info, "noted"),
            of(Verdict::Warn, "warnings"),
            of(Verdict::Fail, "failed"),
            of(Verdict::Crash, "crashed it"),
            of(Verdict::Hang, "hung it"),
            of(Verdict::Stuck, "stuck"),
            of(Verdict::Skip, "skipped"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let musts = self.results.iter().filter(|result| result.requirement != Requirement::May).count();
        format!("{} cases, {musts} binding: {}", self.results.len(), parts.join(", "))
    }
}
