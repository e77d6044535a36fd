//! Share of the leechers that have completed against time since their arrival, by group and point.

use record::Record;

use super::distribution::{self, Words};
use super::figure::Figure;
use super::scale::{self, Axis};
use crate::{facts, stats, units};

/// Medians this many times apart are drawn on a logarithmic axis.
const FAR: f64 = 8.0;

/// Guarantees a curve ends at the share that completed at all.
pub fn figure(record: &Record) -> Figure {
    let populations = distribution::populations(record, |_, peer| facts::download_time(peer));
    let words = Words {
        title: "Leechers that have completed, by time since their arrival",
        boxes: "Time from arrival to completion",
        without: ("Left out:", "leechers that did not complete"),
        y: "leechers that have completed (%)",
        none: "No leecher completed.",
    };
    distribution::figure(record, &populations, &words, axis, None)
}

/// A linear axis from zero; a logarithmic one in seconds, where on that the fastest curve would be a wall at zero.
fn axis(values: &[&[f64]]) -> (Axis, f64) {
    let ends = || values.iter().flat_map(|values| [values.first(), values.last()]).flatten().copied();
    let medians = values.iter().filter_map(|values| stats::percentile(values, 0.5));
    let (low, high) = scale::extent(medians).unwrap_or((1.0, 1.0));
    let far = low > 0.0 && high > FAR * low;
    if let Some(axis) = far.then(|| Axis::log_time("time since arrival", ends())).flatten() {
        return (axis, 1.0);
    }
    let unit = units::time(ends().fold(0.0, f64::max));
    let label = format!("time since arrival ({})", unit.name);
    (distribution::from_zero(&label, ends().map(|end| end / unit.size)), unit.size)
}
