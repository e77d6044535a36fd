//! Every chart from every kind of record.

use super::*;
use crate::testing::{self, group, peer, run, sample, swarm, sweep};
use proptest::prelude::*;
use record::End;

/// Records that charts have to survive, by name.
fn records() -> Vec<(&'static str, Record)> {
    let mut unfinished = sweep(&[10, 30], &["swarm"], 2);
    for run in &mut unfinished.runs {
        run.end = End::Stuck;
        run.peers.iter_mut().for_each(|peer| peer.completed = None);
    }
    let mut short = testing::record(&[], vec![swarm(&[], 0, 10, 0.9)]);
    short.runs[0].series.truncate(1);
    let mut instant = testing::record(&[], vec![run(vec![group("leechers", false, 2, 0)], 0.0)]);
    instant.runs[0].peers = vec![peer(0, 0.0, Some(0.0)), peer(0, 0.0, Some(0.0))];
    instant.runs[0].series = vec![sample(0.0, 0), sample(0.0, 5)];
    let mut hostile = sweep(&[10], &["<b>&\"swarm\""], 2);
    hostile.scenario = "a name that is much too long for any figure ".repeat(9);
    hostile.runs[0].bound = Some(0.0);
    hostile.runs[1].peers[3].group = 99;
    hostile.runs[1].point.pop();
    vec![
        ("one-run", testing::record(&[], vec![swarm(&[], 0, 60, 0.9)])),
        ("replicates", testing::record(&[], (0..5).map(|n| swarm(&[], n, 60, 0.9)).collect())),
        ("no-run", testing::record(&["leechers"], Vec::new())),
        ("no-peers", testing::record(&[], vec![run(vec![group("leechers", false, 0, 1000)], 5.0)])),
        ("one-sample", short),
        ("instant", instant),
        ("none-completed", unfinished),
        ("hostile", hostile),
        ("two-variants", sweep(&[10, 30, 100, 300, 1000], &["swarm", "client-server"], 5)),
        (
            "large-sweep",
            sweep(
                &[10, 15, 20, 30, 45, 70, 100, 150, 220, 330, 500, 750],
                &["swarm", "client-server", "no-choking"],
                3,
            ),
        ),
        ("many-series", sweep(&[10, 40, 160], &["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 2)),
    ]
}

fn text_of(figure: &Figure) -> String {
    format!("{figure:?}")
}

#[test]
fn every_chart_holds_what_it_draws() {
    for (name, record) in records() {
        for chart in &record.charts {
            let figure = figure(&record, chart);
            assert_eq!(figure.stray(), None, "{name} {chart:?}");
            let text = text_of(&figure);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{name} {chart:?}: {text}");
            let svg = render::svg(&figure).expect("an SVG");
            assert!(svg.starts_with("<svg width=\"860\" height=\""), "{}", &svg[..80]);
            assert!(svg.contains("viewBox=\"0 0 3440 ") && svg.trim_end().ends_with("</svg>"));
            assert!(!svg.contains("NaN"));
        }
    }
}

#[test]
fn no_data_is_said() {
    let records = records();
    let of = |name: &str| &records.iter().find(|(other, _)| *other == name).expect("a record").1;
    for (name, chart) in [
        ("no-run", Chart::Completion),
        ("no-peers", Chart::SpeedByGroup),
        ("no-peers", Chart::ShareRatio),
        ("one-sample", Chart::Throughput),
        ("instant", Chart::Population),
        ("none-completed", Chart::Completion),
        ("none-completed", records[0].1.charts[0].clone()),
    ] {
        let figure = figure(of(name), &chart);
        assert!(figure.panels.is_empty(), "{name} {chart:?}");
        assert!(render::svg(&figure).expect("an SVG").contains("No data"));
    }
}

#[test]
fn same_record_same_bytes() {
    let record = sweep(&[10, 100], &["swarm", "client-server"], 3);
    for chart in &record.charts {
        let draw = || {
            let figure = figure(&record, chart);
            (render::svg(&figure).expect("an SVG"), render::png(&figure).expect("a PNG"))
        };
        assert_eq!(draw(), draw(), "{chart:?}");
    }
}

#[test]
fn no_more_series_than_can_be_told_apart() {
    for (name, record) in records() {
        for chart in &record.charts {
            let figure = figure(&record, chart);
            let series =
                figure.legend.iter().filter(|entry| matches!(entry.look, figure::Look::Series(_))).count();
            assert!(series <= style::SERIES, "{name} {chart:?}: {series}");
        }
    }
    let (_, large) = records().remove(9);
    let words = figure(&large, &Chart::Completion).subtitle.join(" ");
    assert!(words.contains("6 of 72 distributions shown"), "{words}");
}

#[test]
fn the_speed_chart_shows_means_and_the_bound() {
    let record = sweep(&[10, 100], &["swarm"], 4);
    let figure =
        figure(&record, &Chart::Speed { x: "leechers".into(), log_x: true, log_y: false, bound: true });
    let points = summary_speeds(&record);
    let marked = figure.panels[0].marks.iter().find_map(|mark| match &mark.shape {
        figure::Shape::Marked(points) => Some(points.clone()),
        _ => None,
    });
    assert_eq!(marked, Some(points));
    let bound = figure.panels[0].marks.iter().find_map(|mark| match (&mark.look, &mark.shape) {
        (figure::Look::Reference, figure::Shape::Line(points)) => Some(points.clone()),
        _ => None,
    });
    let expected = |run: &record::Run| run.content as f64 / run.bound.unwrap_or(1.0) / 125e3;
    let expected = vec![(10.0, expected(&record.runs[0])), (100.0, expected(&record.runs[4]))];
    assert_eq!(bound, Some(expected));
}

fn summary_speeds(record: &Record) -> Vec<(f64, f64)> {
    let speed =
        |point: &crate::summary::Point| point.rows[0].get(crate::facts::Measure::Speed).map(|e| e.mean);
    let points = crate::summary::summarise(record);
    let x = |point: &crate::summary::Point| point.values[0].parse().unwrap_or(0.0);
    points.iter().filter_map(|point| Some((x(point), speed(point)? * (1.0 / 125e3)))).collect()
}

#[test]
fn far_durations_have_a_logarithmic_axis() {
    let mut record = sweep(&[10], &["swarm", "client-server"], 2);
    for run in record.runs.iter_mut().filter(|run| run.point[1] == "client-server") {
        run.series.iter_mut().for_each(|sample| sample.time *= 300.0);
        run.ended_at *= 300.0;
    }
    let drawn = figure(&record, &Chart::Throughput);
    assert!(drawn.x.log && drawn.panels[0].y.log, "{:?}", drawn.x);
    assert!(
        drawn.x.ticks.iter().any(|(at, label)| (*at, label.as_str()) == (3600.0, "1 h")),
        "{:?}",
        drawn.x
    );
    assert!((100.0..=110.0).contains(&drawn.panels[1].y.high), "{:?}", drawn.panels[1].y);
    assert_eq!(drawn.stray(), None);
    let near = figure(&sweep(&[10], &["swarm"], 2), &Chart::Throughput);
    assert!(!near.x.log && !near.panels[0].y.log);
}

#[test]
fn boxes_where_curves_would_leave_out_a_name() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let record = sweep(&[30], &names, 2);
    for chart in [Chart::Completion, Chart::ShareRatio] {
        let figure = figure(&record, &chart);
        let boxes = figure.panels[0].marks.iter().filter_map(|mark| match &mark.shape {
            figure::Shape::Boxes(boxes) => Some(boxes.len()),
            _ => None,
        });
        assert_eq!(boxes.collect::<Vec<_>>(), [8, 8], "two groups at eight points");
        assert_eq!(figure.x.ticks.len(), 8);
    }
}

/// A box of that height and width in pixels, about, drawn: how many dots it has.
fn dots_of_box(height: f64, width: f64) -> usize {
    let half = width / 2.0 / 600.0;
    let spread = figure::Spread {
        left: 0.5 - half,
        right: 0.5 + half,
        low: 0.1,
        lower: 0.5,
        median: 0.5 + height / 640.0,
        upper: 0.5 + height / 320.0,
        high: 0.99,
    };
    let figure = Figure {
        title: String::new(),
        subtitle: Vec::new(),
        x: scale::Axis::from_zero("", [0.0, 1.0]),
        panels: vec![figure::Panel {
            y: scale::Axis::from_zero("", [0.0, 1.0]),
            marks: vec![figure::Mark::series(0, figure::Shape::Boxes(vec![spread]))],
        }],
        legend: Vec::new(),
    };
    assert_eq!(figure.stray(), None);
    // A dot is a disc in another.
    render::svg(&figure).expect("an SVG").matches("<circle").count() / 2
}

#[test]
fn a_median_is_seen_in_a_thin_box_too() {
    assert_eq!(dots_of_box(60.0, 60.0), 0, "it has a line");
    for (height, width) in [(0.0, 60.0), (3.0, 60.0), (60.0, 4.0), (0.0, 0.0)] {
        assert_eq!(dots_of_box(height, width), 1, "{height} x {width}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// plotters clamps what lies outside of its range into a false line at the edge.
    #[test]
    fn nothing_is_drawn_outside_of_the_axes(
        leechers in prop::collection::vec(1u32..60, 1..5),
        variants in 1usize..4,
        replicates in 1u32..4,
        log_x in any::<bool>(),
        log_y in any::<bool>(),
        scale in -9i32..9,
    ) {
        let mut record = sweep(&leechers, &["swarm", "client-server", "none"][..variants], replicates);
        let factor = libm::pow(10.0, f64::from(scale) / 3.0);
        for run in &mut record.runs {
            run.ended_at *= factor;
            run.bound = run.bound.map(|bound| bound * factor);
            run.series.iter_mut().for_each(|sample| sample.time *= factor);
            for peer in &mut run.peers {
                peer.arrived *= factor;
                peer.completed = peer.completed.map(|time| time * factor);
                peer.left = peer.left.map(|time| time * factor);
            }
        }
        record.charts.push(Chart::Speed { x: "leechers".to_owned(), log_x, log_y, bound: true });
        record.charts.push(Chart::Speed { x: "variant".to_owned(), log_x, log_y, bound: log_x });
        for chart in &record.charts {
            let figure = figure(&record, chart);
            prop_assert_eq!(figure.stray(), None, "{:?}", chart);
        }
    }
}

/// Draws every chart of every record into the folder that `REPORTS_LOOK` names, for people to look at.
#[test]
#[ignore = "for the eye"]
fn look() {
    let Some(dir) = std::env::var_os("REPORTS_LOOK") else { return };
    for (name, record) in records() {
        crate::write(&record, &std::path::Path::new(&dir).join(name)).expect("files");
        println!("{name}\n{}", crate::table::summary(&record));
    }
}
