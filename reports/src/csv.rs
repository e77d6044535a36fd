//! The CSV files: tidy data, one header, one observation a row, for pandas, R and spreadsheets.
//!
//! Guarantees: units are in the column names; an unknown value is an empty field; numbers are written so that they
//! read back as the same bits; the axes of the sweep come first, an axis whose name is already a column's being
//! prefixed with `point.`. See `docs/record.md`.

use ::csv::{Terminator, Writer, WriterBuilder};
use record::{Record, Run};

use crate::Error;
use crate::facts::{self, Facts, Measure};
use crate::summary::{self, ALL};

const RUN: [&str; 2] = ["replicate", "seed"];
const PEERS: [&str; 16] = [
    "group",
    "starts_with_content",
    "behaviour",
    "choker",
    "picker",
    "peer",
    "arrived_s",
    "completed_s",
    "left_s",
    "download_time_s",
    "uploaded_bytes",
    "downloaded_bytes",
    "wasted_bytes",
    "pieces",
    "content_bytes",
    "uploaded_per_content",
];
const SERIES: [&str; 11] = [
    "time_s",
    "leechers",
    "seeds",
    "completed",
    "downloaded_bytes",
    "uploaded_bytes",
    "uplink_bytes_per_s",
    "rarest_copies",
    "mean_copies",
    "throughput_bytes_per_s",
    "uplink_utilisation",
];

/// One row for each peer of each run.
pub fn peers(record: &Record) -> Result<Vec<u8>, Error> {
    table(record, &[&RUN, &PEERS], |out| {
        for run in &record.runs {
            let mut number = vec![0u32; run.groups.len()];
            for peer in &run.peers {
                let group = run.groups.get(peer.group as usize);
                let nth = number.get_mut(peer.group as usize).map_or(0, |next| {
                    *next += 1;
                    *next - 1
                });
                let mut row = run_fields(record, run);
                row.extend([
                    group.map_or(String::new(), |group| group.name.clone()),
                    group.is_some_and(|group| group.seed).to_string(),
                    group.map_or(String::new(), |group| group.behaviour.clone()),
                    group.map_or(String::new(), |group| group.choker.clone()),
                    group.map_or(String::new(), |group| group.picker.clone()),
                    nth.to_string(),
                    number_field(Some(peer.arrived)),
                    number_field(peer.completed),
                    number_field(peer.left),
                    number_field(facts::download_time(peer).filter(|_| facts::is_leecher(run, peer))),
                    peer.uploaded.to_string(),
                    peer.downloaded.to_string(),
                    peer.wasted.to_string(),
                    peer.pieces.to_string(),
                    run.content.to_string(),
                    number_field(facts::per_content(run, peer)),
                ]);
                out.write_record(row)?;
            }
        }
        Ok(())
    })
}

/// One row for each sample of each run.
pub fn series(record: &Record) -> Result<Vec<u8>, Error> {
    table(record, &[&RUN, &SERIES], |out| {
        for run in &record.runs {
            let times: Vec<f64> = run.series.iter().map(|sample| sample.time).collect();
            let capacity = facts::capacity(run, &times);
            for (at, sample) in run.series.iter().enumerate() {
                let before = at.checked_sub(1).map(|before| &run.series[before]);
                let throughput = before.filter(|before| sample.time > before.time).map(|before| {
                    sample.downloaded.saturating_sub(before.downloaded) as f64 / (sample.time - before.time)
                });
                let utilisation = before.zip(at.checked_sub(1)).map(|(before, last)| {
                    sample.uploaded.saturating_sub(before.uploaded) as f64 / (capacity[at] - capacity[last])
                });
                let mut row = run_fields(record, run);
                row.extend([
                    number_field(Some(sample.time)),
                    sample.leechers.to_string(),
                    sample.seeds.to_string(),
                    sample.completed.to_string(),
                    sample.downloaded.to_string(),
                    sample.uploaded.to_string(),
                    sample.uplink.to_string(),
                    sample.rarest.to_string(),
                    number_field(Some(sample.mean_copies)),
                    number_field(throughput),
                    number_field(utilisation),
                ]);
                out.write_record(row)?;
            }
        }
        Ok(())
    })
}

/// One row for each run and group (and for all leechers together): the figures before they are averaged.
pub fn runs(record: &Record) -> Result<Vec<u8>, Error> {
    let measures = Measure::ALL.map(Measure::column);
    table(record, &[&RUN, &["end", "ended_at_s", "content_bytes", "digest", "group"], &measures], |out| {
        for run in &record.runs {
            let groups = run.groups.iter().enumerate();
            let groups = groups.map(|(at, group)| (group.name.as_str(), Facts::of_group(run, at)));
            for (name, facts) in [(ALL, Facts::of_leechers(run))].into_iter().chain(groups) {
                let mut row = run_fields(record, run);
                row.extend([
                    end(run).to_owned(),
                    number_field(Some(run.ended_at)),
                    run.content.to_string(),
                    run.digest.clone(),
                    name.to_owned(),
                ]);
                row.extend(Measure::ALL.map(|measure| number_field(facts.get(measure))));
                out.write_record(row)?;
            }
        }
        Ok(())
    })
}

/// One row for each point and group (and for all leechers together): means with 95 % intervals over replicates.
pub fn summary(record: &Record) -> Result<Vec<u8>, Error> {
    let columns: Vec<String> = Measure::ALL
        .iter()
        .flat_map(|measure| {
            ["", "_ci95_low", "_ci95_high"].map(|ending| format!("{}{ending}", measure.column()))
        })
        .collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    table(record, &[&["group", "replicates", "unfinished"], &columns], |out| {
        for point in summary::summarise(record) {
            for row in &point.rows {
                let mut fields = padded(record, &point.values);
                fields.extend([
                    row.group.clone(),
                    point.replicates.to_string(),
                    point.unfinished.to_string(),
                ]);
                for estimate in Measure::ALL.map(|measure| row.get(measure)) {
                    let interval = estimate.filter(|estimate| estimate.half.is_some());
                    fields.extend([
                        number_field(estimate.map(|estimate| estimate.mean)),
                        number_field(interval.map(|estimate| estimate.low())),
                        number_field(interval.map(|estimate| estimate.high())),
                    ]);
                }
                out.write_record(fields)?;
            }
        }
        Ok(())
    })
}

fn table(
    record: &Record,
    columns: &[&[&str]],
    rows: impl FnOnce(&mut Writer<Vec<u8>>) -> Result<(), ::csv::Error>,
) -> Result<Vec<u8>, Error> {
    let columns: Vec<&str> = columns.iter().copied().flatten().copied().collect();
    let name = |axis: &String| match columns.contains(&axis.as_str()) {
        true => format!("point.{axis}"),
        false => axis.clone(),
    };
    let mut out = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
    let header = record.axes.iter().map(name).chain(columns.iter().map(|column| (*column).to_owned()));
    out.write_record(header).and_then(|()| rows(&mut out)).map_err(|e| Error::Csv(e.to_string()))?;
    out.into_inner().map_err(|e| Error::Csv(e.to_string()))
}

/// The point's values, as many as there are axes.
fn padded(record: &Record, point: &[String]) -> Vec<String> {
    let mut values = point.to_vec();
    values.resize(record.axes.len(), String::new());
    values
}

fn run_fields(record: &Record, run: &Run) -> Vec<String> {
    let mut fields = padded(record, &run.point);
    fields.extend([run.replicate.to_string(), run.seed.clone()]);
    fields
}

fn end(run: &Run) -> &'static str {
    match run.end {
        record::End::Done => "done",
        record::End::TimeLimit => "time-limit",
        record::End::Stuck => "stuck",
    }
}

/// The shortest text that reads back as the same number; empty for none and for what is no finite number.
fn number_field(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or(String::new(), |value| value.to_string())
}
