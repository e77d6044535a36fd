//! `compare`: what changed between two records, and whether it is beyond chance.

use std::io::Write;

use super::Outcome;
use crate::cli::Compare;
use crate::failure::Exit;
use crate::files;

pub fn compare(args: &Compare, out: &mut impl Write) -> Outcome {
    let (a, b) = (files::read_record(&args.a)?, files::read_record(&args.b)?);
    write!(out, "{}", reports::compare::compare(&a, &b))?;
    Ok(Exit::Ok)
}
