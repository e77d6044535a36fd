//! Quantities against time: the mean over a point's replicates, with a band from the least to the largest of them.
//!
//! Guarantees: a run's samples are read between their times by straight lines and nothing else is made up; after a
//! run's end its last state stands, and its counters stand still. At most [`STEPS`] times are drawn. What a
//! logarithmic axis has no place for is left out, and where that is more than a start at zero, it is said.

use record::{Record, Run, Sample};

use super::facts;
use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Swatch};
use super::scale::{Axis, extent};
use super::select;
use super::style::SERIES;
use crate::{stats, summary, units};

/// Times drawn at most, beside the first.
const STEPS: usize = 240;
/// Durations this many times apart are drawn on a logarithmic axis.
const FAR: f64 = 10.0;
/// So many times shorter than the shortest duration are the shortest times on a logarithmic axis.
const EARLY: f64 = 50.0;
/// Lines whose tops are this many times apart are drawn on a logarithmic axis, if the quantity allows one.
const APART: f64 = 30.0;
/// So is a line that begins below its top over [`APART`] and takes this share of the time to reach a quarter of it.
const SLOW: f64 = 0.05;

/// The mean of a quantity at a time, and its least and largest value over the replicates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Seconds.
    pub time: f64,
    /// Over the replicates.
    pub mean: f64,
    /// The least.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spot {
    fn scaled(self, time: f64, unit: f64) -> Self {
        let Self { mean, low, high, .. } = self;
        Self { time: self.time / time, mean: mean / unit, low: low / unit, high: high / unit }
    }
}

/// A line of a panel, by time.
pub type Line = Vec<Spot>;

/// A quantity to draw against time.
pub struct Quantity {
    /// The name of the y axis, without unit.
    pub label: &'static str,
    /// Where its line is from.
    pub curve: Curve,
    /// The unit for values up to the largest.
    pub unit: fn(f64) -> units::Unit,
    /// The axis reaches this value at least, in the unit.
    pub full: f64,
    /// It may have a logarithmic axis.
    pub log: bool,
}

impl Quantity {
    /// A number of things, which has no unit.
    pub fn count(label: &'static str, of: fn(&Sample) -> f64) -> Self {
        let unit = |_| units::Unit { name: "", size: 1.0 };
        Self { label, curve: Curve::State(of), unit, full: 0.0, log: false }
    }
}

/// What a line shows at each time, of one point of the sweep.
#[derive(Clone, Copy)]
pub enum Curve {
    /// A state of the samples.
    State(fn(&Sample) -> f64),
    /// What a counter of the samples grows by in a second.
    Rate(fn(&Sample) -> f64),
    /// The share of the uplinks present that is used, in per cent.
    Utilisation,
}

impl Curve {
    fn line(self, runs: &[&Run], times: &[f64]) -> Line {
        match self {
            Self::State(value) => state(runs, times, value),
            Self::Rate(value) => rate(runs, times, value),
            Self::Utilisation => utilisation(runs, times),
        }
    }
}

/// A figure of quantities against time, a panel for each and a line for each point.
pub fn figure(record: &Record, title: &str, quantities: &[Quantity]) -> Figure {
    let points: Vec<_> =
        summary::points(record).into_iter().filter(|point| grid(&point.runs).len() > 1).collect();
    let mut subtitle = facts::facts(record);
    if points.is_empty() {
        return Figure::empty(title, subtitle, "No run has the two samples that a line against time takes.");
    }
    let keys: Vec<Vec<String>> = points.iter().map(|point| point.values.to_vec()).collect();
    let shown = select::select(&keys, SERIES);
    let mut notes: Vec<String> = select::note(shown.len(), points.len(), "points").into_iter().collect();
    let several = points.iter().any(|point| point.runs.len() > 1);
    if several {
        notes.push(
            "Mean over replicates; band: least to largest. A run that ended counts as it ended.".to_owned(),
        );
    }
    let series: Vec<_> = shown.iter().map(|at| (points[*at].values, None)).collect();
    let (labels, common) = facts::labels(record, &series);
    notes.extend(common);
    let times: Vec<Vec<f64>> = shown.iter().map(|at| grid(&points[*at].runs)).collect();
    let (x, unit) = time_axis(&times);
    let mut panels = Vec::new();
    for quantity in quantities {
        let line = |(at, times): (&usize, &Vec<f64>)| -> Line {
            let line = quantity.curve.line(&points[*at].runs, times);
            line.into_iter().filter(|spot| x.holds(spot.time / unit)).collect()
        };
        let (panel, note) = panel(quantity, shown.iter().zip(&times).map(line).collect(), unit);
        panels.push(panel);
        notes.extend(note);
    }
    subtitle.push(notes.join(" "));
    let entry = |number: usize| Entry {
        label: labels[number].clone(),
        look: Look::Series(number),
        swatch: Swatch::Line,
    };
    Figure { title: title.to_owned(), subtitle, x, panels, legend: (0..shown.len()).map(entry).collect() }
}

/// The axis for lines of those times, and the seconds in its unit: linear from zero, or logarithmic if one line is
/// much longer than another.
fn time_axis(times: &[Vec<f64>]) -> (Axis, f64) {
    const NAME: &str = "time since the start of the run";
    let ends = || times.iter().filter_map(|times| times.last()).copied();
    let (shortest, longest) = extent(ends().filter(|end| *end > 0.0)).unwrap_or((0.0, 1.0));
    if shortest > 0.0 && longest > FAR * shortest {
        let first = times.iter().flatten().copied().filter(|time| *time >= shortest / EARLY);
        if let Some(axis) = Axis::log_time(NAME, first.chain([longest])) {
            return (axis, 1.0);
        }
    }
    let end = extent(times.iter().flatten().copied()).map_or(1.0, |(_, end)| end);
    let unit = units::time(end);
    (Axis::time(format!("{NAME} ({})", unit.name), [0.0, end / unit.size]), unit.size)
}

/// A panel, and what has to be said of it.
fn panel(quantity: &Quantity, lines: Vec<Line>, time: f64) -> (Panel, Option<String>) {
    let top = extent(lines.iter().flatten().map(|spot| spot.high)).map_or(0.0, |(_, top)| top);
    let floor = quantity.log.then(|| floor(&lines)).flatten();
    let unit = (quantity.unit)(floor.map_or(top, |floor| (floor * top).sqrt()));
    let named = |text: &str| match unit.name {
        "" => text.to_owned(),
        name => format!("{text} ({name})"),
    };
    let lines: Vec<Vec<Line>> = lines
        .into_iter()
        .map(|line| {
            let line: Line = line.into_iter().map(|spot| spot.scaled(time, unit.size)).collect();
            floor.map_or_else(|| vec![line.clone()], |floor| above(&line, floor / unit.size))
        })
        .collect();
    let mut marks = Vec::new();
    let parts =
        || lines.iter().enumerate().flat_map(|(number, parts)| parts.iter().map(move |part| (number, part)));
    for (number, line) in parts().filter(|(_, line)| line.iter().any(|spot| spot.high > spot.low)) {
        let band = line.iter().map(|spot| (spot.time, spot.low, spot.high)).collect();
        marks.push(Mark::series(number, Shape::Band(band)));
    }
    for (number, line) in parts() {
        let mean = line.iter().map(|spot| (spot.time, spot.mean)).collect();
        marks.push(Mark::series(number, Shape::Line(mean)));
    }
    let values: Vec<f64> = marks.iter().flat_map(|mark| mark.shape.points()).map(|(_, y)| y).collect();
    let logarithmic =
        floor.and_then(|floor| Some((floor, Axis::log(named(quantity.label), values.clone())?)));
    if let Some((floor, y)) = logarithmic {
        let note = format!("Nothing below {} is drawn.", units::with_unit(floor, (quantity.unit)(floor)));
        return (Panel { y, marks }, Some(note));
    }
    (Panel { y: Axis::filled(named(quantity.label), values, quantity.full), marks }, None)
}

/// The least value to draw on a logarithmic axis, if the lines call for one.
fn floor(lines: &[Line]) -> Option<f64> {
    let top = |line: &Line| extent(line.iter().map(|spot| spot.mean)).map_or(0.0, |(_, top)| top);
    let (least, most) = extent(lines.iter().map(top).filter(|top| *top > 0.0))?;
    let slow = |line: &Line| {
        let top = top(line);
        let (Some(first), Some(last)) = (line.first(), line.last()) else { return false };
        let grown = line.iter().find(|spot| spot.mean >= top / 4.0).map_or(first.time, |spot| spot.time);
        first.mean < top / APART && grown > SLOW * last.time
    };
    (most > APART * least || lines.iter().any(slow)).then(|| (least / 3.0).min(most / (10.0 * APART)))
}

/// The parts of a line whose mean is at or above `floor`, their bands cut there.
fn above(line: &Line, floor: f64) -> Vec<Line> {
    let parts = line.split(|spot| spot.mean < floor).filter(|part| !part.is_empty());
    parts.map(|part| part.iter().map(|spot| Spot { low: spot.low.max(floor), ..*spot }).collect()).collect()
}

/// Times to draw: the samples' of the run that lasted longest, thinned evenly, with the first and the last.
fn grid(runs: &[&Run]) -> Vec<f64> {
    let last = |run: &Run| run.series.last().map_or(f64::NEG_INFINITY, |sample| sample.time);
    // Not max_by: of equally long runs, the first is to be taken.
    let mut longest: &[Sample] = &[];
    let mut end = f64::NEG_INFINITY;
    for run in runs {
        if last(run) > end {
            (longest, end) = (&run.series, last(run));
        }
    }
    let stride = longest.len().saturating_sub(2) / STEPS + 1;
    let mut times: Vec<f64> = longest.iter().step_by(stride).map(|sample| sample.time).collect();
    if times.last() != longest.last().map(|sample| &sample.time) {
        times.extend(longest.last().map(|sample| sample.time));
    }
    times.dedup();
    times
}

/// The mean over runs of a state at each time.
fn state(runs: &[&Run], times: &[f64], value: fn(&Sample) -> f64) -> Line {
    let curves: Vec<Vec<f64>> = with_samples(runs).map(|run| at_times(&run.series, times, value)).collect();
    estimates(&curves, times)
}

/// The mean over runs of a counter's rate between successive times, placed midway between them.
fn rate(runs: &[&Run], times: &[f64], value: fn(&Sample) -> f64) -> Line {
    let curves: Vec<Vec<f64>> = with_samples(runs)
        .map(|run| {
            let totals = at_times(&run.series, times, value);
            totals
                .windows(2)
                .zip(times.windows(2))
                .map(|(v, t)| (v[1] - v[0]).max(0.0) / (t[1] - t[0]))
                .collect()
        })
        .collect();
    estimates(&curves, &midway(times))
}

/// The mean over runs of what was uploaded between successive times over what the uplinks then present could have
/// carried, in per cent. Who was present is taken from the peers, exactly; nobody: nothing was used.
fn utilisation(runs: &[&Run], times: &[f64]) -> Line {
    let curves: Vec<Vec<f64>> = with_samples(runs)
        .map(|run| {
            let sent = at_times(&run.series, times, |sample| sample.uploaded as f64);
            let could = crate::facts::capacity(run, times);
            let share = |(sent, could): (&[f64], &[f64])| {
                let could = could[1] - could[0];
                if could > 0.0 { 100.0 * (sent[1] - sent[0]).max(0.0) / could } else { 0.0 }
            };
            sent.windows(2).zip(could.windows(2)).map(share).collect()
        })
        .collect();
    estimates(&curves, &midway(times))
}

fn with_samples<'a>(runs: &'a [&'a Run]) -> impl Iterator<Item = &'a Run> {
    runs.iter().copied().filter(|run| !run.series.is_empty())
}

fn midway(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect()
}

fn estimates(curves: &[Vec<f64>], times: &[f64]) -> Line {
    let at = |(at, time): (usize, &f64)| {
        let values: Vec<f64> = curves.iter().map(|curve| curve[at]).collect();
        let (low, high) = extent(values.iter().copied())?;
        // Rounding may leave the mean of equal values a hair beside them.
        Some(Spot { time: *time, mean: stats::mean(&values)?.clamp(low, high), low, high })
    };
    times.iter().enumerate().filter_map(at).collect()
}

/// A value at each of `times` (ascending): straight between samples, the first's before and the last's after.
fn at_times(series: &[Sample], times: &[f64], value: fn(&Sample) -> f64) -> Vec<f64> {
    let mut next = 0;
    let at = |time: &f64| {
        while next < series.len() && series[next].time < *time {
            next += 1;
        }
        match (next.checked_sub(1).map(|before| &series[before]), series.get(next)) {
            (Some(before), Some(after)) => {
                let share = (time - before.time) / (after.time - before.time);
                value(before) + share * (value(after) - value(before))
            }
            (Some(only), None) | (None, Some(only)) => value(only),
            (None, None) => 0.0,
        }
    };
    times.iter().map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{group, peer, run, sample};

    #[test]
    fn samples_are_read_between_and_held_after() {
        let series = [sample(0.0, 0), sample(10.0, 100), sample(20.0, 100)];
        let read = at_times(&series, &[0.0, 5.0, 10.0, 30.0], |sample| sample.uploaded as f64);
        assert_eq!(read, [0.0, 50.0, 100.0, 100.0]);
    }

    #[test]
    fn rates_are_differences_of_counters() {
        let mut run = run(vec![group("leechers", false, 1, 20)], 20.0);
        run.peers = vec![peer(0, 0.0, None)];
        run.series = vec![sample(0.0, 0), sample(10.0, 100), sample(20.0, 300)];
        let times = grid(&[&run]);
        let line = rate(&[&run], &times, |sample| sample.uploaded as f64);
        assert_eq!(
            line.iter().map(|spot| (spot.time, spot.mean)).collect::<Vec<_>>(),
            [(5.0, 10.0), (15.0, 20.0)]
        );
        let line = utilisation(&[&run], &times);
        assert_eq!(
            line.iter().map(|spot| (spot.time, spot.mean)).collect::<Vec<_>>(),
            [(5.0, 50.0), (15.0, 100.0)]
        );
    }

    #[test]
    fn long_series_are_thinned_with_both_ends() {
        let mut run = run(Vec::new(), 10_000.0);
        run.series = (0..=10_000).map(|t| sample(f64::from(t), 0)).collect();
        let times = grid(&[&run]);
        assert!(times.len() <= STEPS + 2, "{}", times.len());
        assert_eq!((times[0], times[times.len() - 1]), (0.0, 10_000.0));
    }
}
