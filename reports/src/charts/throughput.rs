//! Swarm throughput and uplink utilisation against time.

use record::Record;

use super::figure::Figure;
use super::timeline::{self, Curve, Quantity};
use crate::units;

/// Guarantees both panels share their points and times.
pub fn figure(record: &Record) -> Figure {
    let quantities = [
        Quantity {
            label: "throughput of the swarm",
            curve: Curve::Rate(|sample| sample.downloaded as f64),
            unit: units::rate,
            full: 0.0,
            log: true,
        },
        Quantity {
            label: "uplinks in use",
            curve: Curve::Utilisation,
            unit: |_| units::Unit { name: "%", size: 1.0 },
            full: 100.0,
            log: false,
        },
    ];
    timeline::figure(
        record,
        "Payload received by all peers, and how much of their uplinks it took",
        &quantities,
    )
}
