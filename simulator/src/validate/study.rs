//! Runs for claims: the shipped scenarios, with changes, on seeds of their own, over all cores.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use engine::Seed;
use rayon::prelude::*;

use crate::run::{Options, RunError, run};
use crate::scenario::{Scenario, ScenarioError};
use crate::spec::Spec;

/// The scenarios that ship, by name.
const SHIPPED: [(&str, &str); 7] = [
    ("choking-strategies", include_str!("../../../scenarios/choking-strategies.toml")),
    ("flash-crowd", include_str!("../../../scenarios/flash-crowd.toml")),
    ("piece-picking", include_str!("../../../scenarios/piece-picking.toml")),
    ("seed-leech-ratio", include_str!("../../../scenarios/seed-leech-ratio.toml")),
    ("share-ratio", include_str!("../../../scenarios/share-ratio.toml")),
    ("swarm-scaling", include_str!("../../../scenarios/swarm-scaling.toml")),
    ("three-friends", include_str!("../../../scenarios/three-friends.toml")),
];

/// Why a claim could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A scenario does not load.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A run cannot be made, or was interrupted.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no such scenario, or it has not the points that a claim speaks of.
    #[error("no scenario or point `{0}`")]
    Missing(String),
    /// No threads to run it on.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// One point to be run.
#[derive(Clone, Debug)]
pub struct Point {
    /// The values of the scenario's axes.
    pub values: Vec<String>,
    /// What is run.
    pub spec: Spec,
}

/// The runs of one point, one for each seed, in the same order for all points.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The values of the scenario's axes.
    pub values: Vec<String>,
    /// What was run.
    pub spec: Spec,
    /// One for each seed.
    pub runs: Vec<record::Run>,
}

/// The points of a shipped scenario, with `--set` of these keys and values.
pub fn points(name: &str, sets: &[(&str, &str)]) -> Result<Vec<Point>, StudyError> {
    let shipped = SHIPPED.iter().find(|(known, _)| *known == name);
    let (_, text) = shipped.ok_or_else(|| StudyError::Missing(name.to_string()))?;
    let sets: Vec<_> = sets.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
    let scenario = Scenario::parse(&format!("{name}.toml"), text, Path::new("."), &sets)?;
    let point =
        |point: &crate::scenario::Point| Point { values: point.values.clone(), spec: point.spec.clone() };
    Ok(scenario.points().iter().map(point).collect())
}

/// How claims are checked.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// Runs of each point, each with a seed of its own; the same seeds for every point.
    pub seeds: u32,
    /// What the seeds are derived from.
    pub seed: u64,
    /// Runs at a time; 0: as many as there are cores.
    pub jobs: usize,
    /// Told what is being run, and how many of how many runs are done; stops everything when it says false.
    pub progress: &'a (dyn Fn(&str, usize, usize) -> bool + Sync),
}

impl Bench<'_> {
    /// Runs every point on every seed.
    pub fn run(&self, what: &str, points: Vec<Point>) -> Result<Vec<Runs>, StudyError> {
        let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let specs: Vec<Arc<Spec>> = points.iter().map(|point| Arc::new(point.spec.clone())).collect();
        // The large ones first, so that no core is left with one at the end.
        let mut jobs: Vec<(usize, u32)> =
            (0..points.len()).flat_map(|point| (0..self.seeds).map(move |seed| (point, seed))).collect();
        jobs.sort_by_key(|&(point, seed)| (std::cmp::Reverse(size(&specs[point])), point, seed));
        let total = jobs.len();
        let tell = |done| {
            if !(self.progress)(what, done, total) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let one = |(point, number): (usize, u32)| {
            let seed = Seed(self.seed).derive("validate", u64::from(number)).0;
            let run = run(&specs[point], seed, Options::default(), None, |_| {
                tell(done.load(Ordering::Relaxed));
                !stop.load(Ordering::Relaxed)
            })?;
            tell(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(((point, number), run))
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.jobs).build()?;
        let all = || jobs.into_par_iter().with_max_len(1).map(one).collect::<Result<Vec<_>, RunError>>();
        let mut results = pool.install(all)?;
        results.sort_by_key(|(key, _)| *key);
        let mut results = results.into_iter().map(|(_, run)| run);
        Ok(points
            .into_iter()
            .map(|Point { values, spec }| Runs {
                values,
                spec,
                runs: results.by_ref().take(self.seeds as usize).collect(),
            })
            .collect())
    }
}

/// Bytes to be delivered: what a run takes grows with it.
fn size(spec: &Spec) -> u64 {
    let leechers: u64 =
        spec.groups.iter().filter(|group| !group.seed).map(|group| u64::from(group.count)).sum();
    leechers.saturating_mul(spec.content)
}
