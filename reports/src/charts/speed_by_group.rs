//! Mean download speed by group for each point of the sweep: bars with confidence intervals.
//!
//! Guarantees: a bar starts at zero; a group of which no leecher completed leaves its place empty; points are left
//! out, and this said, until the names under the bars fit. A record of one point has its groups under the bars.

use record::Record;

use super::figure::{Bar, Entry, Figure, Look, Mark, Panel, Shape, Swatch};
use super::scale::Axis;
use super::style::SERIES;
use super::{categories, facts, select};
use crate::facts::Measure;
use crate::summary::{self, ALL, Point, Row};
use crate::units;

/// Computes the figure.
pub fn figure(record: &Record) -> Figure {
    let points = summary::summarise(record);
    let mut subtitle = facts::facts(record);
    let groups = groups(&points);
    let title = title(record, groups.len());
    let speed = |row: &Row| row.get(Measure::Speed);
    if points.iter().flat_map(|point| &point.rows).all(|row| row.group == ALL || speed(row).is_none()) {
        return Figure::empty(title, subtitle, "No leecher completed, so there is no speed to show.");
    }
    let values: Vec<&[String]> = points.iter().map(|point| point.values.as_slice()).collect();
    let shown: Vec<&Point> =
        categories::fitting(record, &values, groups.len()).into_iter().map(|at| &points[at]).collect();
    let mut notes: Vec<String> = select::note(shown.len(), points.len(), "points").into_iter().collect();
    if groups.len() > SERIES {
        notes.push(format!("{SERIES} of {} groups shown; the CSV files have all.", groups.len()));
    }
    if points.iter().any(|point| point.replicates > 1) {
        notes.push("Mean over replicates, 95 % interval.".to_owned());
    }
    subtitle.push(notes.join(" "));
    let groups = &groups[..groups.len().min(SERIES)];
    let rows = || shown.iter().flat_map(|point| &point.rows).filter(|row| groups.contains(&row.group));
    let unit = units::rate(rows().filter_map(speed).map(|speed| speed.high()).fold(0.0, f64::max));
    // One point's groups stand apart, with their names below.
    let alone = shown.len() == 1;
    let mut marks = Vec::new();
    let mut whiskers = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let (mut bars, mut spans) = (Vec::new(), Vec::new());
        for (place, point) in shown.iter().enumerate() {
            let row = point.rows.iter().find(|row| row.group == *group && !row.seed);
            let Some(speed) = row.and_then(speed).map(|speed| speed.scaled(1.0 / unit.size)) else {
                continue;
            };
            let (left, right) = match alone {
                true => categories::slot((number, groups.len()), (0, 1)),
                false => categories::slot((place, shown.len()), (number, groups.len())),
            };
            bars.push(Bar { left, right, top: speed.mean });
            if speed.half.is_some() {
                spans.push(((left + right) / 2.0, speed.low().max(0.0), speed.high()));
            }
        }
        marks.push(Mark::series(number, Shape::Bars(bars)));
        whiskers.push(Mark::reference(Shape::Whiskers(spans)));
    }
    marks.extend(whiskers);
    let values: Vec<f64> = marks.iter().flat_map(|mark| mark.shape.points()).map(|(_, y)| y).collect();
    let y = Axis::from_zero(format!("mean download speed ({})", unit.name), values);
    let entry = |(number, group): (usize, &String)| Entry {
        label: group.clone(),
        look: Look::Series(number),
        swatch: Swatch::Box,
    };
    let points: Vec<&[String]> = shown.iter().map(|point| point.values.as_slice()).collect();
    Figure {
        title,
        subtitle,
        x: if alone { categories::named_axis(groups) } else { categories::axis(record, &points) },
        panels: vec![Panel { y, marks }],
        legend: if alone { Vec::new() } else { groups.iter().enumerate().map(entry).collect() },
    }
}

/// The title, by what lies side by side: groups, or the points of the only group.
fn title(record: &Record, groups: usize) -> String {
    let varying = facts::varying(record);
    let axes = crate::axes::names(record).into_iter().zip(varying).filter(|(_, varies)| *varies);
    let names: Vec<String> = axes.map(|(axis, _)| axis.name).collect();
    match (groups, names.is_empty()) {
        (0 | 1, false) => format!("Mean download speed by {}", names.join(" and ")),
        _ => "Mean download speed by group".to_owned(),
    }
}

/// Groups with leechers, in the order met.
fn groups(points: &[Point]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for row in points.iter().flat_map(|point| &point.rows).filter(|row| row.group != ALL && !row.seed) {
        if !groups.contains(&row.group) {
            groups.push(row.group.clone());
        }
    }
    groups
}
