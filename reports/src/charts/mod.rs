//! Charts from records, one file for each kind of [`record::Chart`].
//!
//! Guarantees: every chart can be drawn from every record, if only to say why it is empty; axes hold all values
//! that are drawn; the same record gives the same bytes.

mod availability;
mod boxes;
mod canvas;
mod categories;
mod completion;
pub mod cost;
mod distribution;
mod ecdf;
pub mod facts;
pub mod figure;
mod population;
pub mod render;
pub mod scale;
pub mod select;
mod share_ratio;
mod speed;
mod speed_by_group;
mod style;
mod throughput;
mod timeline;

#[cfg(test)]
mod tests;

use record::{Chart, Record};

pub use figure::Figure;

/// The chart's file name without its ending.
pub fn name(chart: &Chart) -> &'static str {
    match chart {
        Chart::Speed { .. } => "speed",
        Chart::Completion => "completion",
        Chart::ShareRatio => "share-ratio",
        Chart::SpeedByGroup => "speed-by-group",
        Chart::Throughput => "throughput",
        Chart::Availability => "availability",
        Chart::Population => "population",
    }
}

/// Computes a chart of a record.
pub fn figure(record: &Record, chart: &Chart) -> Figure {
    match chart {
        Chart::Speed { x, log_x, log_y, bound } => {
            speed::figure(record, speed::Options { x, log_x: *log_x, log_y: *log_y, bound: *bound })
        }
        Chart::Completion => completion::figure(record),
        Chart::ShareRatio => share_ratio::figure(record),
        Chart::SpeedByGroup => speed_by_group::figure(record),
        Chart::Throughput => throughput::figure(record),
        Chart::Availability => availability::figure(record),
        Chart::Population => population::figure(record),
    }
}
