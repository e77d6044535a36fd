//! Mean download speed of the completed leechers against an axis of the sweep, with the bound of Kumar and Ross.
//!
//! Guarantees: every point is the mean over its replicates, with a 95 % interval where there are two or more; an
//! axis whose values are not all numbers of one kind is drawn as categories, without lines between them.

use std::collections::BTreeSet;

use record::{Record, Run};

use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Swatch};
use super::scale::Axis;
use super::style::SERIES;
use super::{facts, select};
use crate::facts::{Facts, Measure};
use crate::stats::{self, Estimate};
use crate::summary::{self, PointRuns};
use crate::{axes, units};

/// The fields of `record::Chart::Speed`.
pub struct Options<'a> {
    /// The axis to plot against; empty: the number of leechers.
    pub x: &'a str,
    /// Logarithmic x axis.
    pub log_x: bool,
    /// Logarithmic y axis.
    pub log_y: bool,
    /// Draw the bound.
    pub bound: bool,
}

/// More x values than this get a band instead of error bars.
const WHISKERS: usize = 24;
/// Up to this many points have their ticks at their own places.
const TICKS: usize = 60;
/// Two bounds that differ by no more than this share are one.
const SAME: f64 = 1e-6;

/// One point of the sweep: its place on x, its series, its speed and its bound, in bytes a second.
struct Dot {
    x: f64,
    key: Vec<String>,
    speed: Option<Estimate>,
    bound: Option<f64>,
}

/// The points of one series, by ascending x.
struct Series<'a> {
    key: &'a [String],
    dots: Vec<&'a Dot>,
}

/// Computes the figure.
pub fn figure(record: &Record, options: Options<'_>) -> Figure {
    let points = summary::points(record);
    let axis =
        record.axes.iter().position(|axis| axis == options.x).or_else(|| counting_axis(record, &points));
    let (places, mut x) = x_axis(record, &points, axis, options.log_x);
    let title = title(record, axis);
    let mut subtitle = facts::facts(record);
    let dots: Vec<Dot> =
        points.iter().zip(places).map(|(point, x)| dot(point, x, axis, options.bound)).collect();
    if dots.iter().all(|dot| dot.speed.is_none()) {
        return Figure::empty(title, subtitle, "No leecher completed, so there is no speed to show.");
    }
    let all = series(&dots);
    let keys: Vec<Vec<String>> = all.iter().map(|series| series.key.to_vec()).collect();
    let shown: Vec<&Series<'_>> = select::select(&keys, SERIES).into_iter().map(|at| &all[at]).collect();
    let mut notes: Vec<String> = select::note(shown.len(), all.len(), "lines").into_iter().collect();
    notes.push(match dots.iter().any(|dot| dot.speed.is_some_and(|speed| speed.half.is_some())) {
        true => "Content length over mean download time; mean over replicates, 95 % interval.".to_owned(),
        false => "Content length over mean download time.".to_owned(),
    });
    if dots.iter().any(|dot| dot.bound.is_some()) {
        notes.push("The bound is on the last leecher: a mean may lie above it.".to_owned());
    }
    subtitle.push(notes.join(" "));
    let top =
        shown.iter().flat_map(|series| &series.dots).flat_map(|dot| [dot.speed.map(|s| s.high()), dot.bound]);
    let unit = units::rate(top.flatten().fold(0.0, f64::max));
    let categories = x.low == -0.5 && !x.log && !x.grid;
    let (mut marks, mut legend) = bounds(&shown, unit.size, &x);
    for (number, series) in shown.iter().enumerate() {
        marks.extend(series_marks(number, series, unit.size, categories, options.log_y));
        let label = facts::series_label(record, &label_values(series.key, axis), axis);
        let swatch = if categories { Swatch::Dot } else { Swatch::Marked };
        legend.insert(number, Entry { label, look: Look::Series(number), swatch });
    }
    if shown.len() == 1 && legend[0].label.is_empty() {
        legend[0].label = "the swarm".to_owned();
    }
    let values: Vec<f64> = marks.iter().flat_map(|mark| mark.shape.points()).map(|(_, y)| y).collect();
    let label = format!("mean download speed ({})", unit.name);
    let logarithmic = options.log_y.then(|| Axis::log(label.clone(), values.clone())).flatten();
    let y = logarithmic.unwrap_or_else(|| Axis::from_zero(label, values));
    x = if categories { x } else { x.with_grid() };
    Figure { title, subtitle, x, panels: vec![Panel { y, marks }], legend }
}

/// The axis that sets the number of leechers: each of its values has a number of its own.
fn counting_axis(record: &Record, points: &[PointRuns<'_>]) -> Option<usize> {
    let counts = |at: usize| {
        let pair = |point: &PointRuns<'_>| {
            Some((point.values.get(at)?.clone(), crate::facts::leechers(point.runs.first()?)))
        };
        points.iter().filter_map(pair).collect::<BTreeSet<(String, u32)>>()
    };
    (0..record.axes.len()).find(|at| {
        let pairs = counts(*at);
        let values: BTreeSet<&str> = pairs.iter().map(|(value, _)| value.as_str()).collect();
        let counts: BTreeSet<u32> = pairs.iter().map(|(_, count)| *count).collect();
        values.len() > 1 && values.len() == pairs.len() && counts.len() == pairs.len()
    })
}

fn title(record: &Record, axis: Option<usize>) -> String {
    let name = axis.map_or("number of leechers".to_owned(), |at| axes::names(record)[at].name.clone());
    format!("Mean download speed by {name}")
}

/// Where each point lies, and the axis.
fn x_axis(record: &Record, points: &[PointRuns<'_>], axis: Option<usize>, log: bool) -> (Vec<f64>, Axis) {
    let Some(at) = axis else {
        let leechers = |point: &PointRuns<'_>| point.runs.first().map_or(0.0, |run| population(run));
        return numeric(points.iter().map(leechers).collect(), "number of leechers".to_owned(), log);
    };
    let name = &axes::names(record)[at].name;
    let texts: Vec<&str> =
        points.iter().map(|point| point.values.get(at).map_or("", String::as_str)).collect();
    if let Some(quantities) = units::quantities(texts.iter().copied()) {
        let unit = if quantities.unit.is_empty() { String::new() } else { format!(" ({})", quantities.unit) };
        return numeric(quantities.values, format!("{name}{unit}"), log);
    }
    let mut names: Vec<String> = Vec::new();
    let place = |text: &&str| match names.iter().position(|name| name == text) {
        Some(at) => at as f64,
        None => {
            names.push((*text).to_owned());
            (names.len() - 1) as f64
        }
    };
    let places = texts.iter().map(place).collect();
    (places, Axis::categories(name.clone(), names))
}

fn population(run: &Run) -> f64 {
    f64::from(crate::facts::leechers(run))
}

fn numeric(values: Vec<f64>, label: String, log: bool) -> (Vec<f64>, Axis) {
    // Zero has no place on a logarithmic axis: such a sweep is drawn on a linear one.
    let logarithmic = log.then(|| Axis::log(label.clone(), values.clone())).flatten();
    let axis = match logarithmic {
        // What was swept says more than round numbers between.
        Some(axis) if values.len() <= TICKS => axis.with_ticks_at(values.iter().copied()),
        Some(axis) => axis,
        None => Axis::around(label, values.clone()).with_grid(),
    };
    (values, axis)
}

fn dot(point: &PointRuns<'_>, x: f64, axis: Option<usize>, bound: bool) -> Dot {
    let facts: Vec<(&Run, Facts)> = point.runs.iter().map(|run| (*run, Facts::of_leechers(run))).collect();
    let speeds: Vec<f64> = facts.iter().filter_map(|(_, facts)| facts.get(Measure::Speed)).collect();
    let limit =
        |(run, facts): &(&Run, Facts)| facts.get(Measure::Bound).map(|bound| run.content as f64 / bound);
    let limits: Vec<f64> = facts.iter().filter_map(limit).collect();
    let others = point.values.iter().enumerate().filter(|(at, _)| Some(*at) != axis);
    Dot {
        x,
        key: others.map(|(_, value)| value.clone()).collect(),
        speed: Estimate::of(&speeds),
        bound: stats::mean(&limits).filter(|_| bound),
    }
}

/// Points that differ on x alone, as lines.
fn series(dots: &[Dot]) -> Vec<Series<'_>> {
    let mut all: Vec<Series<'_>> = Vec::new();
    for dot in dots {
        match all.iter_mut().find(|series| series.key == dot.key) {
            Some(series) => series.dots.push(dot),
            None => all.push(Series { key: &dot.key, dots: vec![dot] }),
        }
    }
    for series in &mut all {
        series.dots.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    all
}

/// A series' key with a place for the x axis again.
fn label_values(key: &[String], axis: Option<usize>) -> Vec<String> {
    let mut values = key.to_vec();
    if let Some(at) = axis {
        values.insert(at.min(values.len()), String::new());
    }
    values
}

fn series_marks(number: usize, series: &Series<'_>, unit: f64, categories: bool, log_y: bool) -> Vec<Mark> {
    let known: Vec<(f64, Estimate)> =
        series.dots.iter().filter_map(|dot| Some((dot.x, dot.speed?.scaled(1.0 / unit)))).collect();
    let low = |speed: &Estimate| match speed.low() {
        low if low > 0.0 => low,
        // No speed is below zero; where zero has no place, the lower half is not drawn.
        _ if log_y => speed.mean,
        _ => 0.0,
    };
    let spread = |(x, speed): &(f64, Estimate)| (*x, low(speed), speed.high());
    let spans: Vec<_> = known.iter().filter(|(_, speed)| speed.half.is_some()).map(spread).collect();
    let points = known.iter().map(|(x, speed)| (*x, speed.mean)).collect();
    let interval =
        if categories || spans.len() <= WHISKERS { Shape::Whiskers(spans) } else { Shape::Band(spans) };
    let points = if categories { Shape::Dots(points) } else { Shape::Marked(points) };
    vec![Mark::series(number, interval), Mark::series(number, points)]
}

/// The bounds' lines, and their entry: one line where all series have the same.
fn bounds(shown: &[&Series<'_>], unit: f64, x: &Axis) -> (Vec<Mark>, Vec<Entry>) {
    let mut lines: Vec<Vec<(f64, f64)>> = Vec::new();
    for series in shown {
        let line: Vec<(f64, f64)> =
            series.dots.iter().filter_map(|dot| dot.bound.map(|bound| (dot.x, bound / unit))).collect();
        // A series may lack some of the points of another whose bound it shares.
        let part = |line: &[(f64, f64)], of: &[(f64, f64)]| {
            line.iter().all(|(x, y)| of.iter().any(|(ox, oy)| x == ox && (y - oy).abs() <= SAME * oy.abs()))
        };
        if line.is_empty() || lines.iter().any(|other| part(&line, other)) {
            continue;
        }
        lines.retain(|other| !part(other, &line));
        lines.push(line);
    }
    if lines.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let label = "bound: no swarm’s last leecher can be faster (Kumar & Ross 2006)".to_owned();
    let entry = Entry { label, look: Look::Reference, swatch: Swatch::Line };
    (lines.into_iter().map(|line| Mark::reference(Shape::Line(widened(line, x)))).collect(), vec![entry])
}

/// A line of one point cannot be seen: it is drawn over the whole width.
fn widened(line: Vec<(f64, f64)>, axis: &Axis) -> Vec<(f64, f64)> {
    match line[..] {
        [(_, y)] => vec![(axis.low, y), (axis.high, y)],
        _ => line,
    }
}
