//! A distribution over leechers, by group and point, as empirical distribution functions; as boxes, where there are
//! so many that a name would have to be left out.
//!
//! Guarantees: replicates are pooled; the share is of all leechers of the group, those without a value included.

use record::{Peer, Record, Run};

use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Swatch};
use super::scale::Axis;
use super::style::SERIES;
use super::{boxes, ecdf, facts, select};
use crate::{stats, summary};

/// The leechers of one group at one point.
pub struct Population {
    /// The point's values, and the group.
    pub key: Vec<String>,
    /// The group's name.
    pub group: String,
    /// Leechers, replicates together.
    pub count: usize,
    /// The values of those that have one, ascending.
    pub values: Vec<f64>,
}

impl Population {
    /// The point's values.
    pub fn point(&self) -> &[String] {
        &self.key[..self.key.len() - 1]
    }
}

/// The value of each leecher, by point and group; groups without a leecher are left out.
pub fn populations(record: &Record, value: fn(&Run, &Peer) -> Option<f64>) -> Vec<Population> {
    let mut all = Vec::new();
    for point in summary::points(record) {
        for (name, _) in summary::group_names(&point.runs).into_iter().filter(|(_, seed)| !seed) {
            let belongs = |run: &Run, peer: &Peer| {
                run.groups.get(peer.group as usize).is_some_and(|group| group.name == name)
            };
            let peers = || {
                point
                    .runs
                    .iter()
                    .flat_map(|run| run.peers.iter().map(|peer| (*run, peer)))
                    .filter(|(run, peer)| belongs(run, peer))
            };
            let values = peers().filter_map(|(run, peer)| value(run, peer)).filter(|value| value.is_finite());
            let (count, values) = (peers().count(), stats::sorted(values.collect()));
            if count > 0 {
                let key = point.values.iter().chain([&name]).cloned().collect();
                all.push(Population { key, group: name, count, values });
            }
        }
    }
    all
}

/// What a distribution is of.
pub struct Words {
    /// The figure's title.
    pub title: &'static str,
    /// The title of boxes.
    pub boxes: &'static str,
    /// What is said, before and after the number, of leechers without a value.
    pub without: (&'static str, &'static str),
    /// The name of the y axis.
    pub y: &'static str,
    /// Why there may be no data.
    pub none: &'static str,
}

/// A figure of the distributions. `x` makes the axis from the values shown (ascending, a list for each), and says
/// how many base units one of its unit has; `reference` is a vertical line with its label.
pub fn figure(
    record: &Record,
    populations: &[Population],
    words: &Words,
    x: impl Fn(&[&[f64]]) -> (Axis, f64),
    reference: Option<(f64, &str)>,
) -> Figure {
    let mut subtitle = facts::facts(record);
    if populations.iter().all(|population| population.values.is_empty()) {
        return Figure::empty(words.title, subtitle, words.none);
    }
    let keys: Vec<Vec<String>> = populations.iter().map(|population| population.key.clone()).collect();
    let kept = select::select(&keys, SERIES);
    if select::loses_a_name(&keys, &kept) {
        return boxes::figure(record, populations, words, x, reference);
    }
    let shown: Vec<&Population> = kept.into_iter().map(|at| &populations[at]).collect();
    let several = populations.iter().any(|population| population.group != populations[0].group);
    let named = several || (shown.len() == 1 && reference.is_some());
    let series: Vec<_> = shown.iter().map(|p| (p.point(), named.then_some(p.group.as_str()))).collect();
    let (labels, common) = facts::labels(record, &series);
    let notes = select::note(shown.len(), populations.len(), "distributions").into_iter().chain(common);
    subtitle.push(notes.collect::<Vec<_>>().join(" "));

    let (x, unit) = x(&shown.iter().map(|population| population.values.as_slice()).collect::<Vec<_>>());
    let mut marks: Vec<Mark> =
        reference.iter().map(|(at, _)| Mark::reference(Shape::Vertical(at / unit))).collect();
    let mut legend = Vec::new();
    for (number, (population, label)) in shown.iter().zip(labels).enumerate() {
        let values: Vec<f64> = population.values.iter().map(|value| value / unit).collect();
        let line = ecdf::steps(&values, population.count, (x.low, x.high));
        marks.push(Mark::series(number, Shape::Line(line)));
        legend.push(Entry { label, look: Look::Series(number), swatch: Swatch::Line });
    }
    if let Some((_, label)) = reference {
        legend.push(Entry { label: label.to_owned(), look: Look::Reference, swatch: Swatch::Line });
    }
    let y = Axis::from_zero(words.y, [0.0, 100.0]);
    Figure { title: words.title.to_owned(), subtitle, x, panels: vec![Panel { y, marks }], legend }
}

/// A linear axis from zero to a little beyond the last value.
pub fn from_zero(label: &str, last: impl IntoIterator<Item = f64>) -> Axis {
    Axis::time(label, last.into_iter().map(|value| value * 1.03).chain([0.0]))
}
