//! All runs of a scenario, in parallel, to one record.
//!
//! Guarantees: each run is single-threaded and a function of its specification and seed alone, so that the
//! record does not depend on the number of jobs; runs stand in the record in order of (point, replicate). A
//! run's seed is derived from the scenario's seed and the replicate's number only ([`run_seed`]): points are
//! paired by replicate (common random numbers), so that two points of one replicate differ by what the sweep
//! changes and not by luck. When told to stop, finished runs are kept whole; and [`Keep`] is given the record as it
//! grows, so that what kills the process need not take them along.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::Seed;
use record::Record;

use crate::run::{self, Options, Progress, RunError, Stack, Watch};
use crate::scenario::Scenario;
use crate::spec::Spec;

/// The version that goes into records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Below this a run's threads would wait for each other more than they work.
const HOSTS_WORTH_THREADS: u64 = 500;

/// How a scenario's runs are carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Instead of the scenario's seed.
    pub seed: Option<u64>,
    /// The layers under the peers.
    pub stack: Stack,
    /// Threads at work, each with runs of its own, or, where runs are fewer, several with a large one; 0 is taken as 1.
    pub jobs: usize,
    /// Check the invariants as it goes.
    pub checks: bool,
    /// The overrides that the scenario was read with, each as `KEY=VALUE`: for the record.
    pub overrides: Vec<String>,
}

impl Default for Settings {
    /// As the scenario says, the message stack, one run at a time.
    fn default() -> Self {
        let Options { stack, checks, .. } = Options::default();
        Self { seed: None, stack, jobs: 1, checks, overrides: Vec::new() }
    }
}

impl Settings {
    fn seed_for(&self, scenario: &Scenario) -> u64 {
        self.seed.unwrap_or(scenario.seed())
    }
}

impl Stack {
    /// Both, with their names in records and on the command line.
    pub const NAMES: [(&'static str, Self); 2] = [("message", Self::Message), ("wire", Self::Wire)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Wire => "wire",
        }
    }

    /// The stack of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|known| known.0 == name).map(|known| known.1)
    }
}

/// One run that is to be made.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its place among the jobs, from 0.
    pub number: usize,
    /// The value of each axis.
    pub point: Vec<String>,
    /// Replicate number, from 0.
    pub replicate: u32,
    /// Its seed.
    pub seed: u64,
    spec: Arc<Spec>,
}

/// What is told while the runs go on. Calls come from several threads.
#[derive(Clone, Copy, Debug)]
pub enum Update<'a> {
    /// A run has begun.
    Started(&'a Job),
    /// A run is so far.
    Running(&'a Job, Progress),
    /// A run has ended, or an earlier one is taken again.
    Finished(&'a Job, &'a record::Run),
}

/// Where the record goes while its runs are made. Calls come from several threads.
pub trait Keep: Sync {
    /// Whether to be given the record now. Asked often, while a run has ended since it was given last.
    fn is_due(&self) -> bool;

    /// The record with the runs that have ended so far; no other run is entered until this returns.
    fn keep(&self, record: &Record);
}

/// Nothing is kept until all is done.
impl Keep for () {
    fn is_due(&self) -> bool {
        false
    }

    fn keep(&self, _: &Record) {}
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A run cannot be made.
    #[error("run {replicate} of {point}: {source}", point = describe(point))]
    Run {
        /// Its point.
        point: Vec<String>,
        /// Its replicate.
        replicate: u32,
        /// Why.
        source: RunError,
    },
    /// No threads to run it on.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// A point in words.
pub fn describe(point: &[String]) -> String {
    if point.is_empty() { "the only point".to_owned() } else { format!("point {}", point.join(", ")) }
}

/// The seed of every point's run number `replicate`: `Seed(scenario).derive("replicate", replicate)`.
pub fn run_seed(scenario: u64, replicate: u32) -> u64 {
    Seed(scenario).derive("replicate", u64::from(replicate)).0
}

/// The runs that a scenario asks for, with the seed that theirs are derived from, in order of (point, replicate).
pub fn jobs(scenario: &Scenario, seed: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    for point in scenario.points() {
        let spec = Arc::new(point.spec.clone());
        for replicate in 0..point.replicates {
            jobs.push(Job {
                number: jobs.len(),
                point: point.values.clone(),
                replicate,
                seed: run_seed(seed, replicate),
                spec: Arc::clone(&spec),
            });
        }
    }
    jobs
}

impl Job {
    /// What is run.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// Carries it out; see [`run::run`].
    pub fn run(
        &self,
        options: Options,
        watch: Option<Watch>,
        progress: impl FnMut(Progress) -> bool,
    ) -> Result<record::Run, RunError> {
        let run = run::run(&self.spec, self.seed, options, watch, progress)?;
        Ok(record::Run { point: self.point.clone(), replicate: self.replicate, ..run })
    }

    /// Peers, seeds included.
    fn hosts(&self) -> u64 {
        self.spec.groups.iter().map(|group| u64::from(group.count)).sum()
    }

    /// Blocks that are to be delivered: what the run costs, about.
    pub fn cost(&self) -> u64 {
        let leechers = self.spec.groups.iter().filter(|group| !group.seed);
        let count: u64 = leechers.map(|group| u64::from(group.count)).sum();
        count.saturating_mul(self.spec.content / u64::from(engine::BLOCK) + 1)
    }
}

/// In what the runs of an earlier record differ from those that `settings` would make of `scenario`; nothing,
/// if they can be taken again. The number of replicates may differ.
pub fn differences(record: &Record, scenario: &Scenario, settings: &Settings) -> Vec<&'static str> {
    fn decisive(overrides: &[String]) -> impl Iterator<Item = &String> {
        let key = |set: &String| set.split('=').next().is_some_and(|key| key.trim().ends_with("replicates"));
        overrides.iter().filter(move |set| !key(set))
    }
    let checks = [
        (record.format == record::FORMAT && record.version == VERSION, "the version of swarmlab"),
        (record.source == scenario.source(), "the scenario's text"),
        (same_files(record, scenario), "the files it names"),
        (record.seed == settings.seed_for(scenario), "the seed"),
        (record.stack == settings.stack.name(), "the stack"),
        (
            record.axes == scenario.axes() && decisive(&record.overrides).eq(decisive(&settings.overrides)),
            "what --set says",
        ),
    ];
    checks.iter().filter(|(same, _)| !same).map(|(_, what)| *what).collect()
}

fn same_files(record: &Record, scenario: &Scenario) -> bool {
    let files = scenario.files().iter().map(|(name, text)| (name, &**text));
    record.files.iter().map(|(name, text)| (name, text.as_str())).eq(files)
}

/// Makes every run of a scenario and returns them in order. Runs of `earlier`, if it has no [`differences`],
/// are not made again. Once `cancel` is true no run begins and those that are under way are given up: the
/// record is then partial.
pub fn run_all(
    scenario: &Scenario,
    settings: &Settings,
    earlier: Option<Record>,
    cancel: &AtomicBool,
    on_update: impl Fn(Update<'_>) + Sync,
) -> Result<Record, RunnerError> {
    run_all_keeping(scenario, settings, earlier, cancel, on_update, &())
}

/// The same, and gives `keep` the record while it grows.
pub fn run_all_keeping(
    scenario: &Scenario,
    settings: &Settings,
    earlier: Option<Record>,
    cancel: &AtomicBool,
    on_update: impl Fn(Update<'_>) + Sync,
    keep: &dyn Keep,
) -> Result<Record, RunnerError> {
    let jobs = jobs(scenario, settings.seed_for(scenario));
    let earlier = earlier.filter(|record| differences(record, scenario, settings).is_empty());
    let mut known: BTreeMap<(Vec<String>, u32), record::Run> = earlier
        .into_iter()
        .flat_map(|record| record.runs)
        .map(|run| ((run.point.clone(), run.replicate), run))
        .collect();
    let mut book = Book { record: empty_record(scenario, settings), numbers: Vec::new(), all: jobs.len() };
    let mut todo = Vec::new();
    for job in &jobs {
        let run = known.remove(&(job.point.clone(), job.replicate));
        match run.filter(|run| run.seed == job.seed.to_string()) {
            Some(run) => {
                on_update(Update::Finished(job, &run));
                book.enter(job.number, run);
            }
            None => todo.push(job),
        }
    }
    let (book, unkept) = (Mutex::new(book), AtomicBool::new(false));
    let look = || {
        // One thread is enough to keep it; the others go on.
        if unkept.load(Ordering::Relaxed) && keep.is_due() && unkept.swap(false, Ordering::Relaxed) {
            keep.keep(&lock(&book).record);
        }
    };
    let on_update = |update: Update<'_>| {
        on_update(update);
        look();
    };
    let on_end = |job: &Job, run| {
        lock(&book).enter(job.number, run);
        unkept.store(true, Ordering::Relaxed);
        look();
    };
    make(&todo, settings, cancel, on_update, on_end)?;
    Ok(book.into_inner().unwrap_or_else(PoisonError::into_inner).record)
}

/// A record that grows.
struct Book {
    record: Record,
    /// The numbers of the jobs of its runs, ascending.
    numbers: Vec<usize>,
    /// Runs that it will have.
    all: usize,
}

impl Book {
    fn enter(&mut self, number: usize, run: record::Run) {
        let at = self.numbers.partition_point(|known| *known < number);
        self.numbers.insert(at, number);
        self.record.runs.insert(at, run);
        self.record.partial = self.numbers.len() < self.all;
    }
}

/// The record of a scenario before its first run.
fn empty_record(scenario: &Scenario, settings: &Settings) -> Record {
    Record {
        format: record::FORMAT,
        version: VERSION.to_owned(),
        scenario: scenario.name().to_owned(),
        question: scenario.question().to_owned(),
        charts: scenario.charts().to_vec(),
        source: scenario.source().to_owned(),
        files: scenario.files().iter().map(|(name, text)| (name.clone(), text.to_string())).collect(),
        overrides: settings.overrides.clone(),
        seed: settings.seed_for(scenario),
        stack: settings.stack.name().to_owned(),
        axes: scenario.axes().to_vec(),
        partial: true,
        runs: Vec::new(),
    }
}

/// Makes some of a scenario's runs, the largest first so that the threads end together, and returns those that
/// ended under their jobs' numbers. Of `settings` the stack, the checks and the number of jobs count.
pub fn run_jobs(
    jobs: &[&Job],
    settings: &Settings,
    cancel: &AtomicBool,
    on_update: impl Fn(Update<'_>) + Sync,
) -> Result<BTreeMap<usize, record::Run>, RunnerError> {
    let done = Mutex::new(BTreeMap::new());
    let on_end = |job: &Job, run| {
        lock(&done).insert(job.number, run);
    };
    make(jobs, settings, cancel, on_update, on_end)?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The same, and hands each run over when it ends.
fn make(
    jobs: &[&Job],
    settings: &Settings,
    cancel: &AtomicBool,
    on_update: impl Fn(Update<'_>) + Sync,
    on_end: impl Fn(&Job, record::Run) + Sync,
) -> Result<(), RunnerError> {
    let mut queue = jobs.to_vec();
    queue.sort_by_key(|job| (std::cmp::Reverse(job.cost()), job.number));
    let threads = settings.jobs.clamp(1, queue.len().max(1));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let spare = settings.jobs.max(1) / threads;
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed = Mutex::new(None);
    let halted = || cancel.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed);
    pool.broadcast(|_| {
        while !halted()
            && let Some(job) = queue.get(next.fetch_add(1, Ordering::Relaxed))
        {
            on_update(Update::Started(job));
            let tell = |progress| {
                on_update(Update::Running(job, progress));
                !halted()
            };
            let threads = if job.hosts() < HOSTS_WORTH_THREADS { 1 } else { spare };
            let options = Options { stack: settings.stack, checks: settings.checks, threads };
            match job.run(options, None, tell) {
                Ok(run) => {
                    on_update(Update::Finished(job, &run));
                    on_end(job, run);
                }
                Err(RunError::Interrupted) => return,
                Err(source) => {
                    stop.store(true, Ordering::Relaxed);
                    let point = job.point.clone();
                    *lock(&failed) = Some(RunnerError::Run { point, replicate: job.replicate, source });
                }
            }
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A thread that panics takes the pool down with it; nobody looks at what it left.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
