//! What came of runs, for people and for programs. Each form is made from [`Report`]s alone.

mod html;
mod junit;
mod markdown;
mod text;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use text::{line, text};

use super::run::Result;
use super::suite::Report;

/// What is shown of a result in a few words: the reaction, when, and a note.
fn seen(result: &Result) -> String {
    let mut words = Vec::new();
    if let Some(reaction) = result.reaction {
        words.push(reaction.to_string());
    }
    if let Some(after) = result.after.filter(|after| *after >= 0.0005) {
        words.push(format!("after {after:.3} s"));
    }
    let note: String = result.note.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if !note.is_empty() {
        words.push(match words.is_empty() {
            true => note,
            false => format!("({note})"),
        });
    }
    words.join(" ")
}

/// The part of an id that cases are shown under.
fn group(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(group, _)| group)
}

/// Text for XML and HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The cases that any of the reports has, in the order of the first that has them all.
fn rows(reports: &[Report]) -> Vec<&Result> {
    let mut rows: Vec<&Result> = Vec::new();
    for result in reports.iter().flat_map(|report| &report.results) {
        if !rows.iter().any(|row| row.id == result.id) {
            rows.push(result);
        }
    }
    rows.sort_by_key(|row| super::cases::place(&row.id));
    rows
}

/// JSON: a list of reports.
pub fn json(reports: &[Report]) -> std::result::Result<String, serde_json::Error> {
    serde_json::to_string_pretty(reports).map(|text| text + "\n")
}
