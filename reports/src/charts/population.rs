//! Peers present, and how many of them have the whole content, against time.

use record::Record;

use super::figure::Figure;
use super::timeline::{self, Quantity};

/// Guarantees both panels share their points and times.
pub fn figure(record: &Record) -> Figure {
    let quantities = [
        Quantity::count("leechers: peers without the whole content", |sample| f64::from(sample.leechers)),
        Quantity::count("seeds: peers with the whole content", |sample| f64::from(sample.seeds)),
    ];
    timeline::figure(record, "Peers present", &quantities)
}
