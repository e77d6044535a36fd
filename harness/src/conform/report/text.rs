//! For a terminal, section by section.

use std::fmt::Write as _;

use super::{group, seen};
use crate::conform::run::Result;
use crate::conform::suite::Report;

/// One case in a line.
pub fn line(result: &Result) -> String {
    let seen = seen(result);
    let seen = if seen.is_empty() { seen } else { format!(": {seen}") };
    format!("{:<5}  {:<6}  {}{seen}", result.verdict, result.requirement, result.id)
}

/// All of a run: every section with its cases, then what failed, then the sums.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}\n", report.title());
    let mut section = "";
    // Writing to a string cannot fail.
    for result in &report.results {
        if group(&result.id) != section {
            section = group(&result.id);
            let _ = write!(out, "\n{section}: {}\n", result.section);
        }
        let _ = writeln!(out, "  {}", line(result));
    }
    let bad = report.results.iter().filter(|result| result.verdict.is_failure(result.requirement));
    let bad: Vec<&Result> = bad.collect();
    if !bad.is_empty() {
        out.push_str("\nFailures\n");
        for result in bad {
            let _ = writeln!(out, "  {}: {} ({})", result.id, result.description, seen(result));
        }
    }
    let _ = write!(out, "\n{}\n", report.summary());
    out
}
