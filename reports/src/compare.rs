//! Two records against each other: what changed, and whether it is beyond chance.
//!
//! Guarantees: runs are paired only where the point, the replicate and the seed agree for all replicates that both
//! records have; else the samples are taken as independent (Welch). What has no counterpart is named in
//! [`Comparison::notes`], never dropped in silence.

use std::collections::BTreeMap;
use std::fmt;

use record::{Record, Run};

use crate::facts::{Facts, Measure};
use crate::stats::{self, Estimate};
use crate::summary::{self, ALL, PointRuns};
use crate::{axes, table, units};

/// The figures compared.
pub const MEASURES: [Measure; 3] = [Measure::Speed, Measure::MedianTime, Measure::ShareRatio];

/// How the runs of two records were set against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Pairs of runs of the same seed.
    Paired,
    /// Independent samples: Welch's interval.
    Welch,
}

/// One figure of one group at one point in both records.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The value of each axis.
    pub point: Vec<String>,
    /// The group, or [`ALL`] leechers.
    pub group: String,
    /// What was compared.
    pub measure: Measure,
    /// The mean in the first record, over the runs compared.
    pub a: f64,
    /// The mean in the second.
    pub b: f64,
    /// `b − a`, with its 95 % interval.
    pub difference: Estimate,
    /// How the interval was made.
    pub method: Method,
}

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What the axes of the first record are called in the head of a table.
    pub axes: Vec<String>,
    /// In order of the first record's points, its groups, and [`MEASURES`].
    pub differences: Vec<Difference>,
    /// What could not be compared, and why; a sentence each.
    pub notes: Vec<String>,
}

/// Compares the second record with the first.
pub fn compare(a: &Record, b: &Record) -> Comparison {
    let mut out = Comparison { axes: heads(a), differences: Vec::new(), notes: Vec::new() };
    if a.axes != b.axes {
        let list = |axes: &[String]| if axes.is_empty() { "none".to_owned() } else { axes.join(", ") };
        out.notes.push(format!("the sweeps have other axes: {} against {}", list(&a.axes), list(&b.axes)));
    }
    let (first, second) = (summary::points(a), summary::points(b));
    for point in &first {
        match second.iter().find(|other| other.values == point.values) {
            Some(other) => compare_point(point, other, &mut out),
            None => out.notes.push(format!("{} is only in the first record", described(point.values))),
        }
    }
    for point in second.iter().filter(|point| !first.iter().any(|other| other.values == point.values)) {
        out.notes.push(format!("{} is only in the second record", described(point.values)));
    }
    out
}

fn heads(record: &Record) -> Vec<String> {
    axes::names(record).into_iter().map(|axis| axis.head).collect()
}

fn described(point: &[String]) -> String {
    if point.is_empty() { "the only point".to_owned() } else { format!("point {}", point.join(", ")) }
}

fn compare_point(a: &PointRuns<'_>, b: &PointRuns<'_>, out: &mut Comparison) {
    let (in_a, in_b) = (summary::group_names(&a.runs), summary::group_names(&b.runs));
    let only = |these: &[(String, bool)], those: &[(String, bool)]| -> Vec<String> {
        these
            .iter()
            .filter(|(name, _)| !those.iter().any(|(other, _)| other == name))
            .map(|(name, _)| name.clone())
            .collect()
    };
    for (names, which) in [(only(&in_a, &in_b), "first"), (only(&in_b, &in_a), "second")] {
        for name in names {
            out.notes.push(format!("group {name} of {} is only in the {which} record", described(a.values)));
        }
    }
    let (method, pairs) = method(a, b);
    let unpaired = a.runs.len().max(b.runs.len()) - pairs.len().min(a.runs.len());
    if method == Method::Welch {
        out.notes.push(format!(
            "the seeds of {} differ: its runs are compared as independent samples",
            described(a.values)
        ));
    } else if unpaired > 0 {
        out.notes.push(format!("{} has {unpaired} runs without a partner, left out", described(a.values)));
    }
    let leechers = in_a.iter().filter(|(_, seed)| !seed).count();
    let all = (leechers > 1).then(|| ALL.to_owned());
    let common =
        in_a.iter().map(|(name, _)| name.clone()).filter(|name| in_b.iter().any(|(other, _)| other == name));
    for group in common.chain(all) {
        for measure in MEASURES {
            let difference = match method {
                Method::Paired => paired(&pairs, &group, measure),
                Method::Welch => welch(a, b, &group, measure),
            };
            out.differences.extend(difference.map(|(a_mean, b_mean, difference)| Difference {
                point: a.values.to_vec(),
                group: group.clone(),
                measure,
                a: a_mean,
                b: b_mean,
                difference,
                method,
            }));
        }
    }
}

/// Pairs of runs of the same replicate and seed; none if a replicate that both have differs in its seed.
fn method<'a>(a: &PointRuns<'a>, b: &PointRuns<'a>) -> (Method, Vec<(&'a Run, &'a Run)>) {
    let second: BTreeMap<u32, &Run> = b.runs.iter().map(|run| (run.replicate, *run)).collect();
    let common: Vec<(&Run, &Run)> =
        a.runs.iter().filter_map(|run| second.get(&run.replicate).map(|other| (*run, *other))).collect();
    match !common.is_empty() && common.iter().all(|(a, b)| a.seed == b.seed) {
        true => (Method::Paired, common),
        false => (Method::Welch, Vec::new()),
    }
}

fn figure(run: &Run, group: &str, measure: Measure) -> Option<f64> {
    let facts = if group == ALL { Some(Facts::of_leechers(run)) } else { summary::group_facts(run, group) };
    facts.and_then(|facts| facts.get(measure))
}

type Means = (f64, f64, Estimate);

fn paired(pairs: &[(&Run, &Run)], group: &str, measure: Measure) -> Option<Means> {
    let both = |(a, b): &(&Run, &Run)| Some((figure(a, group, measure)?, figure(b, group, measure)?));
    let values: Vec<(f64, f64)> = pairs.iter().filter_map(both).collect();
    let (a, b): (Vec<f64>, Vec<f64>) = values.iter().copied().unzip();
    Some((stats::mean(&a)?, stats::mean(&b)?, stats::paired_difference(&values)?))
}

fn welch(a: &PointRuns<'_>, b: &PointRuns<'_>, group: &str, measure: Measure) -> Option<Means> {
    let values = |point: &PointRuns<'_>| -> Vec<f64> {
        point.runs.iter().filter_map(|run| figure(run, group, measure)).collect()
    };
    let (a, b) = (values(a), values(b));
    Some((stats::mean(&a)?, stats::mean(&b)?, stats::welch_difference(&a, &b)?))
}

impl fmt::Display for Comparison {
    /// A table with a row for each difference, then the notes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.axes.len() + 2;
        let heads =
            ["group", "figure", "first", "second", "difference", "change\n(%)", "n", ""].map(str::to_owned);
        let mut rows = table::styled(self.axes.iter().cloned().chain(heads).collect(), texts);
        let mut before: Option<&Difference> = None;
        for row in &self.differences {
            let same_point = before.is_some_and(|before| before.point == row.point);
            let same_group = same_point && before.is_some_and(|before| before.group == row.group);
            rows.add_row(self.row(row, same_point, same_group));
            before = Some(row);
        }
        if !self.differences.is_empty() {
            f.write_str(&table::rendered(rows))?;
            writeln!(f, "± half the 95 % confidence interval; * the interval leaves out zero")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl Comparison {
    fn row(&self, row: &Difference, same_point: bool, same_group: bool) -> Vec<String> {
        let top = row.a.abs().max(row.b.abs());
        let (name, unit) = match row.measure {
            Measure::Speed => ("mean speed", units::rate(top)),
            Measure::MedianTime => ("median time", units::time(top)),
            _ => ("share ratio", units::Unit { name: "", size: 1.0 }),
        };
        let value = |at: usize| row.point.get(at).filter(|_| !same_point).cloned().unwrap_or_default();
        let mut cells: Vec<String> = (0..self.axes.len()).map(value).collect();
        let group = if row.group == ALL { "(all)" } else { &row.group };
        cells.push(if same_group { String::new() } else { group.to_owned() });
        cells.push(if unit.name.is_empty() { name.to_owned() } else { format!("{name} ({})", unit.name) });
        let decimals = units::decimals(top / unit.size, 3).min(3);
        let shown = |value: f64| units::fixed(value / unit.size, decimals);
        let half = row.difference.half.map_or(String::new(), |half| format!(" ±{}", shown(half)));
        let sign = if row.difference.mean > 0.0 { "+" } else { "" };
        cells.extend([shown(row.a), shown(row.b), format!("{sign}{}{half}", shown(row.difference.mean))]);
        let change = (row.a != 0.0).then(|| 100.0 * row.difference.mean / row.a);
        cells.push(change.map_or("–".to_owned(), |change| format!("{sign}{}", units::fixed(change, 1))));
        cells.push(row.difference.n.to_string());
        cells.push(if row.difference.excludes_zero() { "*".to_owned() } else { String::new() });
        cells
    }
}
