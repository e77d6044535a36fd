//! What simulating costs: processor time and memory against the size of the swarm, beside the floor.
//!
//! Guarantees: swarms that differ in more than their size are lines of their own, as many as there are colours; what was
//! not measured is left out; of a size that was measured again, the last counts.

use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Swatch};
use super::scale::Axis;
use super::style::SERIES;

/// What one size has cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// What it shares with others of one line: content, connections.
    pub kind: String,
    /// Leechers.
    pub peers: u32,
    /// Nanoseconds of processor time for each delivered block.
    pub nanos: Option<f64>,
    /// The same of the bare loop, for as many events.
    pub floor: Option<f64>,
    /// Bytes that each peer takes.
    pub memory: Option<f64>,
}

/// What a line is of, and where it goes.
type Pick = fn(&Cost) -> Option<f64>;

/// Draws costs: a panel for time, one for memory. `subtitle` says where they were measured.
pub fn figure(costs: &[Cost], subtitle: Vec<String>) -> Figure {
    const TITLE: &str = "What a simulated peer costs";
    let mut kinds: Vec<&str> = Vec::new();
    for cost in costs {
        if !kinds.contains(&cost.kind.as_str()) {
            kinds.push(&cost.kind);
        }
    }
    let (all, mut subtitle) = (kinds.len(), subtitle);
    kinds.truncate(SERIES);
    if kinds.len() < all {
        subtitle.push(format!("The first {} of {all} lines are shown.", kinds.len()));
    }
    let costs: Vec<&Cost> = costs.iter().filter(|cost| kinds.contains(&cost.kind.as_str())).collect();
    let sizes: Vec<f64> = costs.iter().map(|cost| f64::from(cost.peers)).collect();
    let Some(x) = Axis::log("peers", sizes.clone()).filter(|_| !costs.is_empty()) else {
        return Figure::empty(TITLE, subtitle, "No size was measured.");
    };
    let line = |kind: &str, pick: Pick, unit: f64| {
        let of_kind = costs.iter().filter(|cost| cost.kind == kind);
        let mut points: Vec<(f64, f64)> =
            of_kind.filter_map(|cost| Some((f64::from(cost.peers), pick(cost)? / unit))).collect();
        points.retain(|(_, y)| y.is_finite() && *y > 0.0);
        points.reverse();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.dedup_by_key(|point| point.0);
        points
    };
    let panel = |label: &str, marks: Vec<Mark>| {
        let values: Vec<f64> = marks.iter().flat_map(|mark| mark.shape.points()).map(|(_, y)| y).collect();
        Panel { y: Axis::from_zero(label, values), marks }
    };
    let lines = |pick: Pick, unit: f64| -> Vec<Mark> {
        let lines = kinds.iter().enumerate().map(|(at, kind)| (at, line(kind, pick, unit)));
        let lines = lines.filter(|(_, points)| !points.is_empty());
        lines.map(|(at, points)| Mark::series(at, Shape::Marked(points))).collect()
    };
    let floors =
        kinds.iter().map(|kind| line(kind, |cost| cost.floor, 1e3)).filter(|points| !points.is_empty());
    let floors: Vec<Mark> = floors.map(|points| Mark::reference(Shape::Line(points))).collect();
    let mut legend: Vec<Entry> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| Entry { label: (*kind).to_owned(), look: Look::Series(at), swatch: Swatch::Marked })
        .collect();
    if !floors.is_empty() {
        let label = "a bare loop over as many events and records".to_owned();
        legend.push(Entry { label, look: Look::Reference, swatch: Swatch::Line });
    }
    let time = panel(
        "processor time for each block (µs)",
        floors.into_iter().chain(lines(|cost| cost.nanos, 1e3)).collect(),
    );
    let memory = panel("memory of each peer (KiB)", lines(|cost| cost.memory, 1024.0));
    Figure {
        title: TITLE.to_owned(),
        subtitle,
        x: x.with_ticks_at(sizes).with_grid(),
        panels: vec![time, memory],
        legend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_line_and_what_is_unknown_none() {
        let cost = |kind: &str, peers, nanos, memory| Cost {
            kind: kind.to_owned(),
            peers,
            nanos,
            floor: nanos.map(|nanos| nanos / 8.0),
            memory,
        };
        let costs = [
            cost("64 MiB", 1000, Some(7_000.0), Some(50_960.0)),
            cost("64 MiB", 1000, Some(2_000.0), Some(40_960.0)),
            cost("64 MiB", 100, Some(1_000.0), None),
            cost("16 MiB", 100_000, None, Some(20_480.0)),
        ];
        let figure = figure(&costs, vec!["here".to_owned()]);
        assert_eq!(figure.stray(), None);
        let [time, memory] = &figure.panels[..] else { panic!("{:?}", figure.panels) };
        let shapes = |panel: &Panel| panel.marks.iter().map(|mark| mark.shape.clone()).collect::<Vec<_>>();
        let floor = Shape::Line(vec![(100.0, 0.125), (1000.0, 0.25)]);
        assert_eq!(shapes(time), [floor, Shape::Marked(vec![(100.0, 1.0), (1000.0, 2.0)])]);
        let kinds = [Shape::Marked(vec![(1000.0, 40.0)]), Shape::Marked(vec![(100_000.0, 20.0)])];
        assert_eq!(shapes(memory), kinds);
        assert_eq!(figure.legend.len(), 3);
        assert!(super::figure(&[], Vec::new()).panels.is_empty());
    }
}
