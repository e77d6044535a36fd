//! What came of runs, for people and for programs. Each form is made from [`Report`]s alone.

mod html;
mod junit;
mod markdown;
mod text;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use text::{ending, line};

use std::collections::BTreeMap;

use super::case::Verdict;
use super::run::Result;
use super::suite::Report;

/// What is shown of a result in a few words: the reaction, when, and a note.
fn seen(result: &Result) -> String {
    // Of what breaks a requirement the note says all.
    if matches!(result.verdict, Verdict::Fail | Verdict::Warn) {
        return shortened(&result.note, 500);
    }
    let mut words = Vec::new();
    if let Some(reaction) = result.reaction {
        words.push(reaction.to_string());
    }
    if let Some(after) = result.after.filter(|after| *after >= 0.0005) {
        words.push(format!("after {after:.3} s"));
    }
    let note = shortened(&result.note, 200);
    if !note.is_empty() {
        words.push(match words.is_empty() {
            true => note,
            false => format!("({note})"),
        });
    }
    words.join(" ")
}

/// Text in one line, of so many characters at most.
fn shortened(text: &str, most: usize) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if out.len() < text.len() {
        out.push_str(" …");
    }
    out
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

/// A section: its name, what it is about, and a result of each of its cases.
struct Section<'a> {
    name: &'a str,
    about: &'a str,
    rows: Vec<&'a Result>,
}

/// The cases that any of the reports has, in sections: each once, where its first case stands.
fn sections(reports: &[Report]) -> Vec<Section<'_>> {
    let mut rows: BTreeMap<(usize, &str), &Result> = BTreeMap::new();
    for result in reports.iter().flat_map(|report| &report.results) {
        rows.entry((super::cases::place(&result.id), &result.id)).or_insert(result);
    }
    let mut sections: Vec<Section<'_>> = Vec::new();
    for row in rows.into_values() {
        let name = group(&row.id);
        match sections.iter_mut().find(|section| section.name == name) {
            Some(section) => section.rows.push(row),
            None => sections.push(Section { name, about: &row.section, rows: vec![row] }),
        }
    }
    sections
}

/// JSON: a list of reports.
pub fn json(reports: &[Report]) -> std::result::Result<String, serde_json::Error> {
    serde_json::to_string_pretty(reports).map(|text| text + "\n")
}
