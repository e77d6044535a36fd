//! JUnit's XML, which every build server reads.

use std::fmt::Write as _;

use super::{escaped, seen};
use crate::conform::case::Verdict;
use crate::conform::suite::Report;

/// A `testsuites` element with a suite for each report.
pub fn junit(reports: &[Report]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    // Writing to a string cannot fail.
    for report in reports {
        let failures = report.results.iter().filter(|result| result.verdict.is_failure(result.requirement));
        let time: f64 = report.results.iter().map(|result| result.took).sum();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{time:.3}\">",
            escaped(&report.title()),
            report.results.len(),
            failures.count(),
            report.count(Verdict::Skip),
        );
        for result in &report.results {
            let (class, name) = result.id.rsplit_once('/').unwrap_or(("", &result.id));
            let class = class.replace('/', ".");
            let said = escaped(&seen(result));
            let _ = write!(
                out,
                "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{:.3}\"",
                result.took
            );
            let _ = match result.verdict {
                Verdict::Skip => writeln!(out, "><skipped message=\"{said}\"/></testcase>"),
                verdict if verdict.is_failure(result.requirement) => writeln!(
                    out,
                    "><failure type=\"{verdict}\" message=\"{}\">{said}</failure></testcase>",
                    escaped(&result.description)
                ),
                verdict => {
                    let said = if said.is_empty() { said } else { format!(": {said}") };
                    writeln!(out, "><system-out>{verdict}{said}</system-out></testcase>")
                }
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}
