//! `list`: the scenarios that can be run by name, each with its question.

use std::io::Write;

use super::Outcome;
use crate::failure::Exit;
use crate::output::wrapped;
use crate::scenarios;

pub fn list(out: &mut impl Write) -> Outcome {
    let mut wrong = None;
    for (name, scenario) in scenarios::all() {
        match scenario {
            Ok(scenario) => writeln!(out, "{name}\n{}\n", wrapped(scenario.question(), 4, 96))?,
            Err(failure) => {
                writeln!(out, "{name}\n    (cannot be read: see `swarmlab check {name}`)\n")?;
                wrong = Some(failure);
            }
        }
    }
    wrong.map_or(Ok(Exit::Ok), Err)
}
