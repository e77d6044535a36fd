//! For a terminal: a line for each case, and at the end what failed, with the sums.

use std::fmt::Write as _;

use super::seen;
use crate::conform::run::Result;
use crate::conform::suite::Report;

/// One case in a line.
pub fn line(result: &Result) -> String {
    let seen = seen(result);
    let seen = if seen.is_empty() { seen } else { format!(": {seen}") };
    format!("{:<5}  {:<6}  {}{seen}", result.verdict, result.requirement, result.id)
}

/// What failed, and the sums.
pub fn ending(report: &Report) -> String {
    let mut out = String::new();
    let bad = report.results.iter().filter(|result| result.verdict.is_failure(result.requirement));
    let bad: Vec<&Result> = bad.collect();
    // Writing to a string cannot fail.
    if !bad.is_empty() {
        out.push_str("Failures\n");
        for result in bad {
            let _ = writeln!(out, "  {}  {} ({})", result.verdict, result.id, result.section);
            match seen(result).split_once("; seen: ") {
                Some((expected, seen)) => {
                    let _ = writeln!(out, "    {expected}\n    seen: {seen}");
                }
                None => {
                    let _ = writeln!(out, "    required: {}\n    {}", result.description, seen(result));
                }
            }
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}: {}", report.title(), report.summary());
    out
}
