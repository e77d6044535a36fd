//! `compare`: what changed between two records, and whether it is beyond chance.

use std::io::Write;

use super::Outcome;
use crate::cli::Compare;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::safe;

pub fn compare(args: &Compare, out: &mut impl Write) -> Outcome {
    let (a, b) = (files::read_record(&args.a)?, files::read_record(&args.b)?);
    let comparison = reports::compare::compare(&a, &b);
    if comparison.differences.is_empty() {
        let message = format!("nothing in {} and {} can be compared", args.a.display(), args.b.display());
        let why = if comparison.notes.is_empty() {
            "no group has a figure in both".to_owned()
        } else {
            shortened(&comparison.notes).join("; ")
        };
        return Err(Failure::Input(message, Some(safe(&why))));
    }
    write!(out, "{comparison}")?;
    Ok(Exit::Ok)
}

/// The first few notes, and how many more there are.
fn shortened(notes: &[String]) -> Vec<String> {
    const SHOWN: usize = 4;
    let mut shown = notes[..notes.len().min(SHOWN)].to_vec();
    if notes.len() > SHOWN {
        shown.push(format!("and {} more", notes.len() - SHOWN));
    }
    shown
}
