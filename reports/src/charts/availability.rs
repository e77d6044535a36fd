//! Copies of the rarest piece and mean number of copies against time.

use record::Record;

use super::figure::Figure;
use super::timeline::{self, Quantity};
use crate::units;

/// Guarantees both panels share their points and times.
pub fn figure(record: &Record) -> Figure {
    let count = |_| units::Unit { name: "", size: 1.0 };
    let quantities = [
        Quantity {
            label: "copies of the rarest piece",
            line: |runs, times| timeline::state(runs, times, |sample| f64::from(sample.rarest)),
            unit: count,
            full: 0.0,
            log: false,
        },
        Quantity {
            label: "copies of a piece, mean",
            line: |runs, times| timeline::state(runs, times, |sample| sample.mean_copies),
            unit: count,
            full: 0.0,
            log: false,
        },
    ];
    timeline::figure(record, "Copies of the pieces among the peers present", &quantities)
}
