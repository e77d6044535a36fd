//! Points of the sweep side by side on an axis, with room for each of them for a mark of every group.
//!
//! Guarantees: names are broken at hyphens and blanks, so that they do not touch; points are left out only until
//! the rest has room, as [`select`] does.

use record::Record;

use super::scale::Axis;
use super::select;
use super::style::{self, SERIES, Weight};
use crate::axes;

/// Pixels for all categories, about.
const ROOM: f64 = 600.0;
/// Pixels that a mark takes at least.
const MARK: f64 = 9.0;
/// The share of a category's place that its marks take.
const FILL: f64 = 0.78;
/// The share of the whole width that a mark takes at most.
const WIDEST: f64 = 0.12;
/// Pixels between names.
const GAP: f64 = 10.0;
const EM: f64 = 12.0;

/// Indices of the points to show, as many as have room for their names and for a mark of each of `groups`.
pub fn fitting(record: &Record, points: &[&[String]], groups: usize) -> Vec<usize> {
    let keys: Vec<Vec<String>> = points.iter().map(|point| point.to_vec()).collect();
    let marks = groups.min(SERIES) as f64 * MARK / FILL;
    let mut limit = points.len();
    loop {
        let shown = select::select(&keys, limit);
        let values = shown.iter().flat_map(|at| values(record, points[*at]));
        let widest = values.flat_map(|value| pieces(&value)).map(|piece| width(&piece)).fold(0.0, f64::max);
        if limit <= 1 || shown.len() as f64 * (widest + GAP).max(marks) <= ROOM {
            return shown;
        }
        limit = shown.len().min(limit) - 1;
    }
}

/// The axis of those points.
pub fn axis(record: &Record, points: &[&[String]]) -> Axis {
    let slot = ROOM / points.len().max(1) as f64 - GAP;
    let name = |point: &&[String]| {
        let lines: Vec<String> = values(record, point).iter().flat_map(|value| broken(value, slot)).collect();
        lines.join("\n")
    };
    let varying = super::facts::varying(record);
    let axes = axes::names(record).into_iter().zip(varying).filter(|(_, varies)| *varies);
    let label = axes.map(|(axis, _)| axis.name).collect::<Vec<_>>().join(", ");
    Axis::categories(label, points.iter().map(name).collect())
}

/// An axis of those names alone, as of groups.
pub fn named_axis(names: &[String]) -> Axis {
    let slot = ROOM / names.len().max(1) as f64 - GAP;
    Axis::categories("", names.iter().map(|name| broken(name, slot).join("\n")).collect())
}

/// Left and right of mark `number` of `of` at category `place` of `places`.
pub fn slot((place, places): (usize, usize), (number, of): (usize, usize)) -> (f64, f64) {
    let width = (FILL / of as f64).min(WIDEST * places as f64);
    let left = place as f64 - width * of as f64 / 2.0 + number as f64 * width;
    (left + width * 0.06, left + width * 0.94)
}

/// The values of the axes that vary.
fn values(record: &Record, point: &[String]) -> Vec<String> {
    let axes = axes::names(record).into_iter().zip(super::facts::varying(record));
    let varying = point.iter().zip(axes).filter(|(_, (_, varies))| *varies);
    varying.map(|(value, (axis, _))| axis.plain(value)).collect()
}

fn width(text: &str) -> f64 {
    style::width(text, EM, Weight::Regular)
}

/// A name cut after each hyphen and blank.
fn pieces(name: &str) -> Vec<String> {
    name.split_inclusive(['-', ' ']).map(str::to_owned).collect()
}

/// A name in lines no wider than `limit` where its pieces allow it.
fn broken(name: &str, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces(name) {
        match lines.last_mut() {
            Some(line) if width(&format!("{line}{piece}")) <= limit => line.push_str(&piece),
            _ => lines.push(piece),
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_at_hyphens() {
        assert_eq!(broken("seeds-fastest-upload", 60.0), ["seeds-", "fastest-", "upload"]);
        assert_eq!(broken("seeds-fastest-upload", 200.0), ["seeds-fastest-upload"]);
    }

    #[test]
    fn marks_lie_side_by_side() {
        let (a, b) = (slot((1, 6), (0, 2)), slot((1, 6), (1, 2)));
        assert!(0.5 < a.0 && a.0 < a.1 && a.1 < b.0 && b.1 < 1.5, "{a:?} {b:?}");
        assert!((a.1 + b.0 - 2.0).abs() < 1e-9);
    }
}
