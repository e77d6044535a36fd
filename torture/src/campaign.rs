//! Many seeds, side by side. Each is a function of itself alone, so that the number of threads changes nothing but the
//! order in which they end.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::iter::{ParallelBridge as _, ParallelIterator as _};
use simulator::scenario::Scenario;

use crate::draw::draw;
use crate::trial::{Outcome, TrialError, trial_of};

/// What is told while it goes on. Calls come from several threads.
#[derive(Clone, Copy, Debug)]
pub enum Update<'a> {
    /// A seed has drawn this and is about to be run: the text, and what was read from it.
    Drawn(u64, &'a str, &'a Scenario),
    /// That came of it.
    Ended(u64, &'a str, &'a Outcome),
}

/// What a seed draws, in a line.
pub fn describe(scenario: &Scenario) -> String {
    let Some(point) = scenario.points().first() else { return String::new() };
    let spec = &point.spec;
    let group = |group: &simulator::spec::Group| {
        let role = match (group.behaviour.name(), group.seed) {
            ("honest", true) => "seeding",
            ("honest", false) => "leeching",
            (name, _) => name,
        };
        format!("{} {role}", group.count)
    };
    let groups: Vec<String> = spec.groups.iter().map(group).collect();
    let faults: Vec<&str> = spec.faults.iter().map(|fault| fault.what.name()).collect();
    let faults = if faults.is_empty() { "no faults".to_owned() } else { faults.join(", ") };
    let (kib, piece) = (spec.content.div_ceil(1024), spec.piece_length / 1024);
    format!("{}; {kib} KiB in pieces of {piece}; {faults}", groups.join(", "))
}

/// Puts seeds to the test, `jobs` at a time, until they end or `stop` is true.
pub fn run(
    seeds: impl Iterator<Item = u64> + Send,
    jobs: usize,
    stop: &AtomicBool,
    told: impl Fn(Update<'_>) + Sync,
) -> Result<(), CampaignError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build()?;
    let seeds = seeds.take_while(|_| !stop.load(Ordering::Relaxed));
    pool.install(|| {
        seeds.par_bridge().try_for_each(|seed| {
            let text = draw(seed);
            let scenario = Scenario::parse(&format!("seed-{seed}.toml"), &text, ".".as_ref(), &[])
                .map_err(|error| TrialError::Scenario(Box::new(error)))?;
            told(Update::Drawn(seed, &text, &scenario));
            told(Update::Ended(seed, &text, &trial_of(&scenario)?));
            Ok(())
        })
    })
}

/// Why seeds could not be put to the test.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// What was drawn cannot be run.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// No threads to run on.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
