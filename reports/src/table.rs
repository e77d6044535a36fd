//! The summary as text for a terminal.
//!
//! Guarantees: plain text without colour codes; nothing is wrapped, and with names of a usual length a line has at
//! most 100 columns. A column whose values share a unit has it in its head; else each value has its own, so that a
//! time of minutes reads as well as one of days beside it. `±` is half a 95 % interval over replicates.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use record::Record;

use crate::axes::{self, Axis};
use crate::charts::scale::extent;
use crate::facts::Measure;
use crate::stats::Estimate;
use crate::summary::{self, ALL, Point, Row};
use crate::units::{self, Unit};

/// A line under the head, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const NOTHING: &str = "–";
const PLAIN: Unit = Unit { name: "", size: 1.0 };
const PERCENT: Unit = Unit { name: "%", size: 0.01 };

/// The summary of a record: for each point the groups' figures, then the last completion against the bound.
pub fn summary(record: &Record) -> String {
    let points = summary::summarise(record);
    if points.is_empty() {
        return format!("{}: no run ended, so there is nothing to sum up\n", record.scenario);
    }
    let several = points.iter().any(|point| point.replicates > 1);
    let runs = record.runs.len();
    let mut out = format!("{} · {} · seed {}\n", record.scenario, counted(runs, "run"), record.seed);
    out.push_str(&rendered(groups(record, &points)));
    if let Some(bounds) = bounds(record, &points) {
        out.push_str("\nLast completion, counted from the first arrival; no swarm can be below the bound (Kumar & Ross 2006)\n");
        out.push_str(&rendered(bounds));
        if points.iter().any(is_over_time) {
            out.push_str(
                "– leechers come over time, and the bound takes every one as there from the first arrival on\n",
            );
        }
    }
    if several {
        out.push_str("± half the 95 % confidence interval over replicates\n");
    }
    let unfinished: usize = points.iter().map(|point| point.unfinished).sum();
    if unfinished > 0 {
        out.push_str(&format!("{} of {} ended with leechers incomplete\n", unfinished, counted(runs, "run")));
    }
    if record.partial {
        out.push_str("This record is partial: the invocation ended before all runs were done\n");
    }
    out
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A table's text without blanks at the ends of lines.
pub(crate) fn rendered(table: Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

/// An empty table in the house style, numbers to the right after `texts` columns of text.
pub(crate) fn styled(header: Vec<String>, texts: usize) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if at >= texts {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// How the figures of a column are put.
#[derive(Clone, Copy)]
struct Kind {
    /// The unit for a value.
    unit: fn(f64) -> Unit,
    /// Digits of the largest value of a column of one unit.
    digits: i32,
    /// Decimals at most.
    decimals: usize,
    /// A column has one unit if its least value is at least this much in the unit of the largest.
    least: f64,
    /// With intervals.
    interval: bool,
}

const TIME: Kind = Kind { unit: units::short_time, digits: 3, decimals: 2, least: 1.0, interval: true };
const RATE: Kind = Kind { unit: units::rate, digits: 4, decimals: 2, least: 0.1, interval: true };
const RATIO: Kind = Kind { unit: |_| PLAIN, digits: 6, decimals: 2, least: 0.0, interval: true };
const SHARE: Kind = Kind { unit: |_| PERCENT, digits: 2, decimals: 0, least: 0.0, interval: true };

impl Kind {
    /// Without intervals.
    fn bare(self) -> Self {
        Self { interval: false, ..self }
    }

    /// A column: its head and a cell for each estimate.
    fn column(self, name: &str, estimates: &[Option<Estimate>]) -> Column {
        self.column_beside(name, estimates, &[])
    }

    /// A column in the unit that it can share with `others`.
    fn column_beside(
        self,
        name: &str,
        estimates: &[Option<Estimate>],
        others: &[Option<Estimate>],
    ) -> Column {
        let common = self.common(estimates.iter().chain(others));
        let parts: Vec<Option<[String; 3]>> =
            estimates.iter().map(|estimate| Some(self.parts(estimate.as_ref()?, common))).collect();
        let head = match common {
            Some((unit, _)) if !unit.name.is_empty() => format!("{name}\n({})", unit.name),
            _ => name.to_owned(),
        };
        (head, aligned(&parts))
    }

    /// The unit and the decimals of all values; `None` if one is too small for the unit of another.
    fn common<'a>(self, all: impl Iterator<Item = &'a Option<Estimate>>) -> Option<(Unit, usize)> {
        let sizes: Vec<f64> =
            all.flatten().map(|estimate| estimate.mean.abs()).filter(|size| *size > 0.0).collect();
        let (least, most) = extent(sizes.iter().copied()).unwrap_or((0.0, 0.0));
        let unit = (self.unit)(most);
        let (least, most) = (least / unit.size, most / unit.size);
        let decimals = units::decimals(most, self.digits).max(units::decimals(least, 2)).min(self.decimals);
        (unit == (self.unit)(least * unit.size) || least >= self.least).then_some((unit, decimals))
    }

    /// A figure, its interval and its unit.
    fn parts(self, estimate: &Estimate, common: Option<(Unit, usize)>) -> [String; 3] {
        let own = || {
            let unit = (self.unit)(estimate.mean);
            (unit, units::decimals(estimate.mean / unit.size, 3).min(self.decimals))
        };
        let (unit, decimals) = common.unwrap_or_else(own);
        let shown = |value: f64| units::fixed(value / unit.size, decimals);
        let half = estimate.half.filter(|_| self.interval);
        let half = half.map_or(String::new(), |half| format!(" ±{}", shown(half)));
        let unit = if common.is_some() { String::new() } else { format!(" {}", unit.name) };
        [shown(estimate.mean), half, unit]
    }
}

/// The head of a column, and its cells.
type Column = (String, Vec<String>);

/// Each part under the same part of the other rows: figures to the right, intervals and units to the left.
fn aligned(rows: &[Option<[String; 3]>]) -> Vec<String> {
    let width = |at: usize| rows.iter().flatten().map(|parts| parts[at].chars().count()).max().unwrap_or(0);
    let (figure, half, unit) = (width(0), width(1), width(2));
    let cell = |row: &Option<[String; 3]>| {
        let parts = row.clone().unwrap_or([NOTHING.to_owned(), String::new(), String::new()]);
        format!("{:>figure$}{:<half$}{:<unit$}", parts[0], parts[1], parts[2])
    };
    rows.iter().map(cell).collect()
}

fn groups(record: &Record, points: &[Point]) -> Table {
    let folded = folds(points);
    let rows: Vec<(&Point, Vec<&Row>)> = points.iter().map(|point| (point, shown(point, folded))).collect();
    let flat = || rows.iter().flat_map(|(_, rows)| rows);
    let of = |measure: Measure| flat().map(|row| row.get(measure)).collect::<Vec<_>>();
    let mut columns = vec![
        ("completed".to_owned(), flat().map(|row| completed(row)).collect()),
        TIME.column("median", &of(Measure::MedianTime)),
        TIME.bare().column("95 %", &of(Measure::P95Time)),
        RATE.column("speed", &of(Measure::Speed)),
        RATIO.bare().column("share\nratio", &of(Measure::ShareRatio)),
        SHARE.bare().column("uplink", &of(Measure::Utilisation)),
    ];
    let seeds = |point: &Point| point.rows.iter().find(|row| row.seed).map(|row| row.group.clone());
    if let (true, Some(name)) = (folded, points.iter().find_map(seeds)) {
        let of_seeds = |point: &Point| {
            point.rows.iter().find(|row| row.seed).and_then(|row| row.get(Measure::Utilisation))
        };
        let values: Vec<_> = points.iter().map(of_seeds).collect();
        columns.push(SHARE.bare().column(&name, &values));
    }
    let axes = axes::names(record);
    let texts = axes.len() + usize::from(!folded);
    let heads = axes.iter().map(|axis| axis.head.clone()).chain((!folded).then(|| "group".to_owned()));
    let mut table = styled(heads.chain(columns.iter().map(|(head, _)| head.clone())).collect(), texts);
    let mut at = 0;
    for (point, rows) in rows {
        for (nth, row) in rows.into_iter().enumerate() {
            let name = if row.group == ALL { "(all)" } else { &row.group };
            let mut cells = point_cells(&axes, point, nth == 0);
            cells.extend((!folded).then(|| name.to_owned()));
            // A seed has none of the figures but one: it has none to miss.
            let cell = |cell: &String| if row.seed { cell.replace(NOTHING, "") } else { cell.clone() };
            cells.extend(columns.iter().map(|(_, cells)| cell(&cells[at])));
            table.add_row(cells);
            at += 1;
        }
    }
    table
}

/// True if no point has two groups of a kind: then a row says all of a point, and seeds, which have no figure but
/// the use of their uplinks, are a column.
fn folds(points: &[Point]) -> bool {
    let groups = |point: &Point, seed: bool| {
        point.rows.iter().filter(|row| row.group != ALL && row.seed == seed).count()
    };
    points.iter().all(|point| groups(point, false) == 1 && groups(point, true) <= 1)
}

/// The rows of a point: its groups, and all leechers together where that says more than the groups do.
fn shown(point: &Point, folded: bool) -> Vec<&Row> {
    let several = point.rows.iter().filter(|row| row.group != ALL && !row.seed).count() > 1;
    let (all, groups): (Vec<&Row>, Vec<&Row>) = point.rows.iter().partition(|row| row.group == ALL);
    let groups = groups.into_iter().filter(|row| !(folded && row.seed));
    groups.chain(all.into_iter().filter(|_| several)).collect()
}

/// The point's values, said once.
fn point_cells(axes: &[Axis], point: &Point, said: bool) -> Vec<String> {
    let value = |(at, axis): (usize, &Axis)| {
        point.values.get(at).filter(|_| said).map_or(String::new(), |value| axis.plain(value))
    };
    axes.iter().enumerate().map(value).collect()
}

/// `all 25`, or `23.5 of 25`: means over the replicates.
fn completed(row: &Row) -> String {
    let mean = |measure| row.get(measure).map(|estimate| estimate.mean);
    match (mean(Measure::Completed), mean(Measure::Peers)) {
        (Some(completed), Some(peers)) if completed == peers => format!("all {}", units::short(peers)),
        (Some(completed), Some(peers)) => {
            let decimals = usize::from(completed.fract() != 0.0);
            format!("{} of {}", units::fixed(completed, decimals), units::short(peers))
        }
        _ => NOTHING.to_owned(),
    }
}

/// True if there is a last completion and a bound, and yet nothing to be said of the one over the other.
fn is_over_time(point: &Point) -> bool {
    let all = point.rows.iter().find(|row| row.group == ALL);
    let known = |measure| all.is_some_and(|row| row.get(measure).is_some());
    known(Measure::LastCompletion) && known(Measure::Bound) && !known(Measure::OverBound)
}

/// The table of last completions; `None` where no point has one.
fn bounds(record: &Record, points: &[Point]) -> Option<Table> {
    let all: Vec<(&Point, &Row)> = points
        .iter()
        .filter_map(|point| Some((point, point.rows.iter().find(|row| row.group == ALL)?)))
        .collect();
    let of = |measure| all.iter().map(|(_, row)| row.get(measure)).collect::<Vec<_>>();
    if of(Measure::LastCompletion).iter().all(Option::is_none) {
        return None;
    }
    let columns = [
        ("runs".to_owned(), all.iter().map(|(point, _)| point.replicates.to_string()).collect()),
        TIME.column_beside("last", &of(Measure::LastCompletion), &of(Measure::Bound)),
        // The bound hardly varies over replicates, and its spread is no uncertainty of ours.
        TIME.bare().column_beside("bound", &of(Measure::Bound), &of(Measure::LastCompletion)),
        RATIO.column("last ÷ bound", &of(Measure::OverBound)),
    ];
    let axes = axes::names(record);
    let heads = axes.iter().map(|axis| axis.head.clone()).chain(columns.iter().map(|(head, _)| head.clone()));
    let mut table = styled(heads.collect(), axes.len());
    for (at, (point, _)) in all.iter().enumerate() {
        let mut cells = point_cells(&axes, point, true);
        cells.extend(columns.iter().map(|(_, cells)| cells[at].clone()));
        table.add_row(cells);
    }
    Some(table)
}
