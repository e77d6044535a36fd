//! The summary of a record: each figure of [`Facts`] with its mean and 95 % interval over replicates, for every
//! point of the sweep and every group.
//!
//! Guarantees: points come in the order of their first run; each has one row for all leechers ([`ALL`]) and one
//! for each group; a replicate that cannot say a figure is left out of that figure's estimate, and `n` tells.

use record::{Peer, Record, Run};

use crate::facts::{Facts, Measure, is_leecher};
use crate::stats::Estimate;

/// The name of the row of all leechers together.
pub const ALL: &str = "*";

/// The figures of one group (or of all leechers) at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The group's name, or [`ALL`].
    pub group: String,
    /// The group begins with the content.
    pub seed: bool,
    values: [Option<Estimate>; Measure::ALL.len()],
}

impl Row {
    /// The estimate of a measure; `None` if no replicate can say it.
    pub fn get(&self, measure: Measure) -> Option<Estimate> {
        self.values[measure as usize]
    }

    fn of(group: String, seed: bool, facts: &[Facts]) -> Self {
        let values = Measure::ALL.map(|measure| {
            let known: Vec<f64> = facts.iter().filter_map(|facts| facts.get(measure)).collect();
            Estimate::of(&known)
        });
        Self { group, seed, values }
    }
}

/// One point of the sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The value of each axis.
    pub values: Vec<String>,
    /// Runs at this point.
    pub replicates: usize,
    /// Of those, runs that ended with a leecher that was neither complete nor gone.
    pub unfinished: usize,
    /// All leechers, then the groups in the scenario's order.
    pub rows: Vec<Row>,
}

/// The runs of one point, in the record's order.
pub struct PointRuns<'a> {
    /// The value of each axis.
    pub values: &'a [String],
    /// Its runs, at least one.
    pub runs: Vec<&'a Run>,
}

/// The record's runs by point, in the order of each point's first run.
pub fn points(record: &Record) -> Vec<PointRuns<'_>> {
    let mut points: Vec<PointRuns<'_>> = Vec::new();
    let mut index = std::collections::BTreeMap::new();
    for run in &record.runs {
        let at = *index.entry(&run.point).or_insert_with(|| {
            points.push(PointRuns { values: &run.point, runs: Vec::new() });
            points.len() - 1
        });
        points[at].runs.push(run);
    }
    points
}

/// Summarises a record.
pub fn summarise(record: &Record) -> Vec<Point> {
    points(record).iter().map(summarise_point).collect()
}

fn summarise_point(point: &PointRuns<'_>) -> Point {
    let all: Vec<Facts> = point.runs.iter().map(|run| Facts::of_leechers(run)).collect();
    let mut rows = vec![Row::of(ALL.to_owned(), false, &all)];
    for (name, seed) in group_names(&point.runs) {
        let facts: Vec<Facts> = point.runs.iter().filter_map(|run| group_facts(run, &name)).collect();
        rows.push(Row::of(name, seed, &facts));
    }
    let waits =
        |run: &Run, peer: &Peer| is_leecher(run, peer) && peer.completed.is_none() && peer.left.is_none();
    let unfinished = point.runs.iter().filter(|run| run.peers.iter().any(|peer| waits(run, peer))).count();
    Point { values: point.values.to_vec(), replicates: point.runs.len(), unfinished, rows }
}

/// The figures of the group called `name`, if the run has one.
pub fn group_facts(run: &Run, name: &str) -> Option<Facts> {
    run.groups.iter().position(|group| group.name == name).map(|at| Facts::of_group(run, at))
}

/// Names of the groups of `runs` and whether each begins with the content, in the order met.
pub fn group_names<'a>(runs: impl IntoIterator<Item = &'a &'a Run>) -> Vec<(String, bool)> {
    let mut names: Vec<(String, bool)> = Vec::new();
    for group in runs.into_iter().flat_map(|run| &run.groups) {
        if !names.iter().any(|(name, _)| *name == group.name) {
            names.push((group.name.clone(), group.seed));
        }
    }
    names
}
