//! Distribution of share ratios by group and point: bytes uploaded over content length, which is also defined for
//! a leecher that got nothing.

use record::Record;

use super::distribution::{self, Words};
use super::figure::Figure;
use crate::facts;

/// Guarantees every leecher counts, completed or not.
pub fn figure(record: &Record) -> Figure {
    let populations = distribution::populations(record, facts::per_content);
    let words = Words {
        title: "Share ratios of the leechers",
        boxes: "Share ratios of the leechers",
        without: ("Left out:", "leechers without one"),
        y: "leechers with at most this share ratio (%)",
        none: "No run has a leecher.",
    };
    let x = |values: &[&[f64]]| {
        let last = values.iter().filter_map(|values| values.last()).copied().chain([1.0]);
        (distribution::from_zero("share ratio (bytes uploaded ÷ content length)", last), 1.0)
    };
    distribution::figure(record, &populations, &words, x, Some((1.0, "gave as much as the content")))
}
