//! A distribution over leechers as boxes, by point and group: for more distributions than curves can tell apart.
//!
//! Guarantees: replicates are pooled; a box is the middle half, with the median in it, and its whiskers end at the
//! 5th and the 95th percentile of the leechers that have a value. How many have none is said.

use record::Record;

use super::distribution::{Population, Words};
use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Spread, Swatch};
use super::scale::Axis;
use super::style::SERIES;
use super::{categories, facts, select};
use crate::stats::percentile;

/// Computes the figure; `axis` and `reference` as those of the curves.
pub fn figure(
    record: &Record,
    populations: &[Population],
    words: &Words,
    axis: impl Fn(&[&[f64]]) -> (Axis, f64),
    reference: Option<(f64, &str)>,
) -> Figure {
    let mut points: Vec<&[String]> = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    for population in populations {
        if !points.contains(&population.point()) {
            points.push(population.point());
        }
        if !groups.contains(&population.group.as_str()) {
            groups.push(&population.group);
        }
    }
    let all = points.len();
    let kept = categories::fitting(record, &points, groups.len());
    let points: Vec<&[String]> = kept.into_iter().map(|at| points[at]).collect();
    let mut notes: Vec<String> = select::note(points.len(), all, "points").into_iter().collect();
    if groups.len() > SERIES {
        notes.push(format!("{SERIES} of {} groups shown; the CSV files have all.", groups.len()));
        groups.truncate(SERIES);
    }
    notes.push("Box: the middle half and the median, a dot in a thin box; whiskers: 5 to 95 %.".to_owned());
    let place = |population: &Population| {
        let point = points.iter().position(|point| *point == population.point())?;
        Some((point, groups.iter().position(|group| *group == population.group)?))
    };
    let shown: Vec<(usize, usize, &Population)> =
        populations.iter().filter_map(|p| place(p).map(|(point, group)| (point, group, p))).collect();
    let without: usize = shown.iter().map(|(_, _, p)| p.count - p.values.len()).sum();
    if without > 0 {
        notes.push(format!("{} {without} {}.", words.without.0, words.without.1));
    }
    let (y, unit) = axis(&shown.iter().map(|(_, _, p)| p.values.as_slice()).collect::<Vec<_>>());
    let x = categories::axis(record, &points);
    let mut marks = Vec::new();
    if let Some((at, _)) = reference {
        marks.push(Mark::reference(Shape::Line(vec![(x.low, at / unit), (x.high, at / unit)])));
    }
    let mut legend = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let of_group = shown.iter().filter(|(_, group, _)| *group == number);
        let spreads = of_group.filter_map(|(point, _, population)| {
            let (left, right) = categories::slot((*point, points.len()), (number, groups.len()));
            let at = |p: f64| percentile(&population.values, p).map(|value| value / unit);
            let [low, lower, median, upper, high] = [at(0.05)?, at(0.25)?, at(0.5)?, at(0.75)?, at(0.95)?];
            Some(Spread { left, right, low, lower, median, upper, high })
        });
        marks.push(Mark::series(number, Shape::Boxes(spreads.collect())));
        legend.push(Entry { label: (*group).to_owned(), look: Look::Series(number), swatch: Swatch::Box });
    }
    if let Some((_, label)) = reference {
        legend.push(Entry { label: label.to_owned(), look: Look::Reference, swatch: Swatch::Line });
    }
    let mut subtitle = facts::facts(record);
    subtitle.push(notes.join(" "));
    Figure {
        title: words.boxes.to_owned(),
        subtitle,
        x,
        panels: vec![Panel { y: y.with_grid(), marks }],
        legend,
    }
}
