//! The matrix of clients and cases as Markdown.

use std::fmt::Write as _;

use super::{sections, seen, shortened};
use crate::conform::case::Verdict;
use crate::conform::run::Result;
use crate::conform::suite::{Made, Report};

/// A cell: the verdict, and what was done where that is left open.
fn cell(result: Option<&Result>) -> String {
    let Some(result) = result else { return String::new() };
    let did = result.reaction.map(|reaction| reaction.to_string());
    match result.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Info if did.is_none() && !result.note.is_empty() => shortened(&result.note, 200),
        Verdict::Info => did.unwrap_or_else(|| seen(result)),
        Verdict::Skip => "–".to_owned(),
        verdict => format!("**{verdict}**"),
    }
}

/// What was seen; of a crash how it ended, and not what was printed on the way, which is the machine's own.
fn told(result: &Result) -> String {
    match result.verdict {
        Verdict::Crash | Verdict::Stuck => {
            let note = result.note.split(": ").next().unwrap_or_default();
            let program = note.split(' ').next().unwrap_or_default();
            let name = program.rsplit('/').next().unwrap_or_default();
            note.replacen(program, name, 1)
        }
        _ => seen(result),
    }
}

fn safe(text: &str) -> String {
    text.replace('|', "\\|").replace(['<', '>'], "")
}

/// The matrix, then for each client what it did that it should not.
pub fn markdown(reports: &[Report]) -> String {
    let mut out = String::from("# Conformance\n\n");
    // Writing to a string cannot fail.
    out.push_str(
        "Made by `swarmlab conform`; see [harness.md](harness.md). **FAIL**: a must is broken; **warn**: a should; \
         **CRASH**, **HANG**: the client did not live through it; **STUCK**: the case did not come to its point; –: \
         not applicable. Where the specification leaves a choice the cell says what was done.\n\n",
    );
    out.push_str("| client | date | options |\n| --- | --- | --- |\n");
    for report in reports {
        let of = |part: fn(&Made) -> &str, code: bool| {
            let mut parts: Vec<String> = report.made.iter().map(|made| safe(part(made))).collect();
            parts.dedup();
            let parts = parts.iter().filter(|part| !part.is_empty());
            parts
                .map(|part| if code { format!("`{part}`") } else { part.clone() })
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (date, options) = (of(|made| &made.date, false), of(|made| &made.options, true));
        let _ = writeln!(out, "| {} | {date} | {options} |", safe(&report.title()));
    }
    out.push_str("\n| client | cases | passed | noted | warn | FAIL | CRASH | HANG | STUCK | skipped |\n");
    out.push_str("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n");
    for report in reports {
        let _ = write!(out, "| {} | {} ", safe(&report.title()), report.results.len());
        for verdict in [
            Verdict::Pass,
            Verdict::Info,
            Verdict::Warn,
            Verdict::Fail,
            Verdict::Crash,
            Verdict::Hang,
            Verdict::Stuck,
            Verdict::Skip,
        ] {
            let _ = write!(out, "| {} ", report.count(verdict));
        }
        out.push_str("|\n");
    }
    for section in sections(reports) {
        let _ = write!(out, "\n## {}: {}\n\n| case | |", safe(section.name), safe(section.about));
        for report in reports {
            let _ = write!(out, " {} |", safe(&report.client));
        }
        out.push_str("\n| --- | --- |");
        out.push_str(&" --- |".repeat(reports.len()));
        out.push('\n');
        for row in section.rows {
            let _ =
                write!(out, "| `{}`<br>{} | {} |", safe(&row.id), safe(&row.description), row.requirement);
            for report in reports {
                let result = report.results.iter().find(|result| result.id == row.id);
                let _ = write!(out, " {} |", safe(&cell(result)));
            }
            out.push('\n');
        }
    }
    out.push_str("\n## What was broken\n");
    for report in reports {
        let bad = |result: &&Result| {
            result.verdict == Verdict::Warn || result.verdict.is_failure(result.requirement)
        };
        let bad: Vec<&Result> = report.results.iter().filter(bad).collect();
        let _ = write!(out, "\n### {}\n\n", safe(&report.title()));
        if bad.is_empty() {
            out.push_str("Nothing.\n");
        }
        for result in bad {
            let _ = writeln!(out, "- {} `{}`: {}", result.verdict, result.id, safe(&told(result)));
        }
    }
    out
}
