//! Runs cases, and judges what comes of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::case::{Case, Finding, Halt, Reaction, Requirement, Role, Verdict};
use super::talk::{PLAIN, Talk};
use engine::Message;

/// How often a target that does not answer afterwards is tried again.
const TRIES: u32 = 4;
/// How long to wait before.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest note that is kept, in characters: much of what is noted is the target's own.
const MOST_NOTED: usize = 2000;

/// What came of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Result {
    /// Its name.
    pub id: String,
    /// Where the specification says so.
    pub section: String,
    /// How binding it is.
    pub requirement: Requirement,
    /// What is required.
    pub description: String,
    /// What is made of it.
    pub verdict: Verdict,
    /// What the target did.
    pub reaction: Option<Reaction>,
    /// How long that took, in seconds.
    pub after: Option<f64>,
    /// More, for people.
    pub note: String,
    /// How long the case took, in seconds.
    pub took: f64,
}

impl Result {
    /// A case that was not run.
    pub fn skipped(case: &Case, why: impl Into<String>) -> Self {
        Self::new(case, Verdict::Skip, None, why.into(), Duration::ZERO)
    }

    /// A case whose target could not be had.
    pub fn stuck(case: &Case, why: impl Into<String>) -> Self {
        Self::new(case, Verdict::Stuck, None, why.into(), Duration::ZERO)
    }

    fn new(case: &Case, verdict: Verdict, finding: Option<&Finding>, note: String, took: Duration) -> Self {
        let note = match note.char_indices().nth(MOST_NOTED) {
            Some((at, _)) => format!("{} …", &note[..at]),
            None => note,
        };
        Self {
            id: case.id.to_owned(),
            section: case.section.to_owned(),
            requirement: case.requirement,
            description: case.description.to_owned(),
            verdict,
            reaction: finding.and_then(|finding| finding.reaction),
            after: finding.and_then(|finding| finding.after).map(|after| after.as_secs_f64()),
            note,
            took: took.as_secs_f64(),
        }
    }
}

/// Runs a case on an arm, and the health checks after it.
pub fn run(case: &Case, arm: &mut dyn Arm) -> Result {
    let outcome = (case.run)(&mut Talk::new(arm));
    let verdict = match &outcome {
        Ok(finding) if finding.holds && case.requirement == Requirement::May => Verdict::Info,
        Ok(finding) if finding.holds => Verdict::Pass,
        Ok(_) if case.requirement == Requirement::Should => Verdict::Warn,
        Ok(_) => Verdict::Fail,
        Err(Halt::Skip(_)) => Verdict::Skip,
        Err(Halt::Stuck(_)) => Verdict::Stuck,
    };
    let note = match &outcome {
        Ok(finding) if !finding.holds => {
            let expected = finding.expected.as_deref().unwrap_or(case.description);
            format!("expected: {expected}; seen: {}", finding.seen())
        }
        Ok(finding) => finding.note.clone(),
        Err(Halt::Skip(why) | Halt::Stuck(why)) => why.clone(),
    };
    let result =
        |verdict, note, arm: &dyn Arm| Result::new(case, verdict, outcome.as_ref().ok(), note, arm.now());
    let may_end = matches!(case.setup.role, Role::File(_));
    match arm.death() {
        // Who refuses the file that it was given has nothing more to do; and a case may ask a target to leave.
        Some(death) if death.orderly && (may_end || case.ends) => return result(verdict, note, arm),
        Some(death) => return result(Verdict::Crash, death.text, arm),
        None => {}
    }
    if verdict == Verdict::Skip {
        return result(verdict, note, arm);
    }
    if arm.is_over() {
        return result(Verdict::Stuck, "it took longer than a case may".to_owned(), arm);
    }
    arm.grace();
    match healthy(case, arm) {
        Ok(()) => result(verdict, note, arm),
        Err(why) => match arm.death() {
            Some(death) => result(Verdict::Crash, death.text, arm),
            None => result(Verdict::Hang, why, arm),
        },
    }
}

/// A new connection is answered, and a seed serves a block.
pub(crate) fn healthy(case: &Case, arm: &mut dyn Arm) -> std::result::Result<(), String> {
    if matches!(case.setup.role, Role::File(_)) || case.ends {
        return Ok(());
    }
    let mut talk = Talk::after(arm);
    let mut tries = 0;
    loop {
        match answers(case, &mut talk) {
            Ok(()) => return Ok(()),
            Err(why) if tries == TRIES => return Err(format!("afterwards: {why}")),
            // It may have work of its own for a moment, such as to look at its files.
            Err(_) => talk.sleep(PAUSE),
        }
        tries += 1;
    }
}

fn answers(case: &Case, talk: &mut Talk<'_>) -> std::result::Result<(), String> {
    let told = |halt: Halt| match halt {
        Halt::Skip(why) | Halt::Stuck(why) => why,
    };
    let conn = talk.meet(PLAIN).map_err(told)?;
    if !matches!(case.setup.role, Role::Seed) {
        return Ok(());
    }
    talk.want(conn).map_err(told)?;
    let block = talk.probe();
    talk.send(conn, &Message::Request(block)).map_err(told)?;
    let within = talk.patience().max(Duration::from_secs(5));
    let came = talk.until(conn, within, |message| matches!(message, Message::Piece { .. })).map_err(told)?;
    match came {
        Some(_) => Ok(()),
        None => Err("a new connection gets no block".to_owned()),
    }
}
