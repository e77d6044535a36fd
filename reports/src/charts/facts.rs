//! The words around a chart: the scenario's facts for the subtitle, and names of points and series.
//!
//! Guarantees: only what is common to all runs, or a range over them, is said; axes with a single value are named
//! once in the subtitle and not in every label.

use std::collections::BTreeSet;

use record::{Record, Run};

use super::scale::extent;
use crate::{axes, units};

/// The scenario's facts in a paragraph: its name, content, population, fixed axes, replicates.
pub fn facts(record: &Record) -> Vec<String> {
    let runs: Vec<&Run> = record.runs.iter().collect();
    let mut facts = vec![record.scenario.clone()];
    if let Some(content) = range(runs.iter().map(|run| run.content as f64), units::size) {
        facts.push(format!("{content} of content"));
    }
    facts.extend(population(&runs));
    facts.extend(constants(record));
    match crate::summary::points(record).iter().map(|point| point.runs.len()).max() {
        None => {}
        Some(1) if crate::summary::points(record).len() == 1 => facts.push("one run".to_owned()),
        Some(1) => facts.push("one run each, so no intervals".to_owned()),
        Some(n) => facts.push(format!("{n} replicates")),
    }
    if record.partial {
        facts.push("partial: the invocation ended before all runs were done".to_owned());
    }
    vec![facts.join(" · ")]
}

/// `seeds: 1 (↑ 8, ↓ 32 Mbit/s)`, `cable: 10–1,000 (↑ 2 Mbit/s)`; only a count of many groups.
fn population(runs: &[&Run]) -> Vec<String> {
    let names = crate::summary::group_names(runs);
    if names.len() > 3 {
        return vec![format!("{} groups", names.len())];
    }
    let of = |name: &str| -> Vec<&record::Group> {
        runs.iter().flat_map(|run| &run.groups).filter(|group| group.name == name).collect()
    };
    // One unit for all, so that the groups compare at sight.
    let top = extent(runs.iter().flat_map(|run| &run.groups).map(|group| group.up as f64));
    let unit = units::rate(top.map_or(0.0, |(_, top)| top));
    let describe = |(name, _): &(String, bool)| {
        let groups = of(name);
        let plain = |_| units::Unit { name: "", size: 1.0 };
        let count = range(groups.iter().map(|group| f64::from(group.count)), plain).unwrap_or_default();
        let ups: Vec<f64> = groups.iter().map(|group| group.up as f64).collect();
        let downs: Option<Vec<f64>> = groups.iter().map(|group| group.down.map(|down| down as f64)).collect();
        let numbers = |values: Vec<f64>| range(values.iter().map(|value| value / unit.size), plain);
        let links = match downs.and_then(numbers).zip(numbers(ups.clone())) {
            Some((down, up)) => format!("↑ {up}, ↓ {down} {}", unit.name),
            _ => format!("↑ {} {}", numbers(ups.clone()).unwrap_or_default(), unit.name),
        };
        format!("{name}: {count} ({links})")
    };
    names.iter().map(describe).collect()
}

/// `8 Mbit/s`, or `2–8 Mbit/s`; `None` without a value.
fn range(values: impl IntoIterator<Item = f64>, unit: impl Fn(f64) -> units::Unit) -> Option<String> {
    let (low, high) = extent(values)?;
    let unit = unit(high);
    let (low, high) = (units::short(low / unit.size), units::short(high / unit.size));
    let text = if low == high { high } else { format!("{low}–{high}") };
    Some(format!("{text} {}", unit.name).trim_end().to_owned())
}

/// Whether each axis takes more than one value in the record's runs.
pub fn varying(record: &Record) -> Vec<bool> {
    let takes =
        |at: usize| record.runs.iter().filter_map(|run| run.point.get(at)).collect::<BTreeSet<_>>().len();
    (0..record.axes.len()).map(|at| takes(at) > 1).collect()
}

fn constants(record: &Record) -> Vec<String> {
    let (names, varying) = (axes::names(record), varying(record));
    let Some(run) = record.runs.first() else { return Vec::new() };
    let constant = run.point.iter().zip(&names).zip(&varying).filter(|(_, varies)| !**varies);
    constant.map(|((value, axis), _)| axis.value(value)).collect()
}

/// Labels of the series shown, each of a point and a group if there are several, and what is common to them all:
/// that is said once, in the notes.
pub fn labels(record: &Record, series: &[(&[String], Option<&str>)]) -> (Vec<String>, Option<String>) {
    let parts: Vec<Vec<String>> =
        series.iter().map(|(point, group)| series_parts(record, point, None, *group)).collect();
    let common = |at: usize| parts.len() > 1 && parts.iter().all(|other| other.get(at) == parts[0].get(at));
    let length = parts.iter().map(Vec::len).max().unwrap_or(0);
    let shared: Vec<bool> = (0..length).map(common).collect();
    let label = |parts: &Vec<String>| {
        let own: Vec<&str> = parts
            .iter()
            .zip(&shared)
            .filter(|(_, shared)| !**shared)
            .map(|(part, _)| part.as_str())
            .collect();
        if own.is_empty() { "–".to_owned() } else { own.join(" · ") }
    };
    let said: Vec<&str> = parts.first().map_or(Vec::new(), |parts| {
        parts.iter().zip(&shared).filter(|(_, shared)| **shared).map(|(part, _)| part.as_str()).collect()
    });
    (parts.iter().map(label).collect(), (!said.is_empty()).then(|| format!("All with {}.", said.join(", "))))
}

/// The label of a series: the values of the axes that vary, without axis `but` (its x axis).
pub fn series_label(record: &Record, point: &[String], but: Option<usize>) -> String {
    series_parts(record, point, but, None).join(" · ")
}

fn series_parts(record: &Record, point: &[String], but: Option<usize>, group: Option<&str>) -> Vec<String> {
    let (names, varying) = (axes::names(record), varying(record));
    let axes = (0..record.axes.len()).filter(|at| varying[*at] && Some(*at) != but);
    let values = axes.filter_map(|at| point.get(at).map(|value| names[at].value(value)));
    values.chain(group.map(str::to_owned)).collect()
}
