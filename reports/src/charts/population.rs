//! Peers present, and how many of them have the whole content, against time.

use record::Record;

use super::figure::Figure;
use super::timeline::{self, Quantity};
use crate::units;

/// Guarantees both panels share their points and times.
pub fn figure(record: &Record) -> Figure {
    let count = |_| units::Unit { name: "", size: 1.0 };
    let quantities = [
        Quantity {
            label: "leechers: peers without the whole content",
            line: |runs, times| timeline::state(runs, times, |sample| f64::from(sample.leechers)),
            unit: count,
            full: 0.0,
            log: false,
        },
        Quantity {
            label: "seeds: peers with the whole content",
            line: |runs, times| timeline::state(runs, times, |sample| f64::from(sample.seeds)),
            unit: count,
            full: 0.0,
            log: false,
        },
    ];
    timeline::figure(record, "Peers present", &quantities)
}
