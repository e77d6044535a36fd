//! Charts, tables and CSV files from swarmlab records: all that people see of a run.
//!
//! Guarantees: a [`record::Record`] is the only input. No simulator, no system font, no clock: the same record
//! gives the same bytes. Every file is written whole or not at all (to a temporary name, then renamed).
//!
//! [`write()`] makes the files, [`table::summary`] the table for a terminal, [`compare::compare`] the comparison of
//! two records.

pub mod axes;
pub mod charts;
pub mod compare;
pub mod csv;
pub mod facts;
pub mod stats;
pub mod summary;
pub mod table;
pub mod units;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use record::Record;

/// Why files could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Rows could not be put as CSV.
    #[error("cannot make CSV: {0}")]
    Csv(String),
    /// A chart could not be drawn.
    #[error("cannot draw the chart {name}: {reason}")]
    Draw {
        /// The chart's file name without ending.
        name: String,
        /// The drawing library's reason.
        reason: String,
    },
}

/// Writes the CSV files and the charts that the record asks for, each as SVG and PNG, into `dir`, which is made if
/// it is not there. Returns the paths in the order they were written. A second chart of one kind is called, for
/// instance, `speed-2`.
pub fn write(record: &Record, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.to_owned(), source })?;
    let mut paths = Vec::new();
    let mut put = |name: String, bytes: &[u8]| {
        let path = dir.join(name);
        replace(&path, bytes)?;
        paths.push(path);
        Ok(())
    };
    put("peers.csv".to_owned(), &csv::peers(record)?)?;
    put("series.csv".to_owned(), &csv::series(record)?)?;
    put("runs.csv".to_owned(), &csv::runs(record)?)?;
    put("summary.csv".to_owned(), &csv::summary(record)?)?;
    for (name, chart) in chart_names(record).into_iter().zip(&record.charts) {
        paths.extend(draw(&charts::figure(record, chart), &name, dir)?);
    }
    Ok(paths)
}

/// Draws a figure into `dir`, which is there, as `name.svg` and `name.png`; their paths.
pub fn draw(figure: &charts::Figure, name: &str, dir: &Path) -> Result<[PathBuf; 2], Error> {
    let failed = |reason| Error::Draw { name: name.to_owned(), reason };
    let (svg, png) = (dir.join(format!("{name}.svg")), dir.join(format!("{name}.png")));
    replace(&svg, charts::render::svg(figure).map_err(failed)?.as_bytes())?;
    replace(&png, &charts::render::png(figure).map_err(failed)?)?;
    Ok([svg, png])
}

/// The name of each of the record's charts, without ending; no two are alike.
fn chart_names(record: &Record) -> Vec<String> {
    let names: Vec<&str> = record.charts.iter().map(charts::name).collect();
    let nth = |at: usize| names[..at].iter().filter(|name| **name == names[at]).count() + 1;
    (0..names.len())
        .map(|at| match nth(at) {
            1 => names[at].to_owned(),
            n => format!("{}-{n}", names[at]),
        })
        .collect()
}

/// Writes a file under a temporary name beside it and renames: a reader sees the old one or the new, never half.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // What is left of it helps nobody; if it cannot be removed, the first error still tells why.
        let _ = fs::remove_file(&temporary);
        Error::Io { path: path.to_owned(), source }
    })
}
