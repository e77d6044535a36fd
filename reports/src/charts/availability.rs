//! Copies of the rarest piece and mean number of copies against time.

use record::Record;

use super::figure::Figure;
use super::timeline::{self, Quantity};

/// Guarantees both panels share their points and times.
pub fn figure(record: &Record) -> Figure {
    let quantities = [
        Quantity::count("copies of the rarest piece", |sample| f64::from(sample.rarest)),
        Quantity::count("copies of a piece, mean", |sample| sample.mean_copies),
    ];
    timeline::figure(record, "Copies of the pieces among the peers present", &quantities)
}
