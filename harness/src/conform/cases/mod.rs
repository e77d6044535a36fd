//! The cases, a file for each area. A case is written once and knows nothing of the arm that it runs on.

mod bencode;
mod bep10;
mod bep11;
mod bep15;
mod bep3_bitfield;
mod bep3_frame;
mod bep3_handshake;
mod bep3_leech;
mod bep3_request;
mod bep6;
mod bep9;
mod later;
mod tracker;

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::arm::Asked;
use super::case::{Case, Finding, Outcome, Requirement, Setup};
use super::talk::{Conn, Talk};
use crate::conduct::{Breach, Rule};

/// All of them, in the order in which they are reported.
pub fn all() -> Vec<Case> {
    [
        bep3_handshake::CASES,
        bep3_frame::CASES,
        bep3_bitfield::CASES,
        bep3_request::CASES,
        bep3_leech::CASES,
        bencode::CASES,
        bep6::CASES,
        bep9::CASES,
        bep10::CASES,
        bep11::CASES,
        tracker::CASES,
        bep15::CASES,
        later::CASES,
    ]
    .concat()
}

/// Where a case is among all; after them if it is none of them.
pub fn place(id: &str) -> usize {
    static PLACES: LazyLock<BTreeMap<&str, usize>> =
        LazyLock::new(|| all().iter().enumerate().map(|(at, case)| (case.id, at)).collect());
    PLACES.get(id).copied().unwrap_or(usize::MAX)
}

/// What a target has broken on a connection: of the rules that the specification states, or of good manners.
fn conduct(t: &mut Talk<'_>, conn: Conn, binding: bool) -> Outcome {
    let manners = |breach: &Breach| {
        matches!(
            breach.rule,
            Rule::HaveOnce
                | Rule::InterestChanges
                | Rule::ChokeChanges
                | Rule::RequestOnce
                | Rule::CancelAsked
                | Rule::RequestInterested
        )
    };
    let breaches: Vec<Breach> =
        t.breaches(conn)?.into_iter().filter(|breach| manners(breach) != binding).collect();
    let texts = breaches.iter().take(3).map(|breach| format!("{} ({})", breach.rule, breach.by));
    Ok(Finding::of(breaches.is_empty(), texts.collect::<Vec<_>>().join("; ")))
}

/// A tracker's reply that names nobody.
const NOBODY: &[u8] = b"d8:intervali1800e5:peers0:e";

/// The next question to a tracker of ours before this time is over.
fn asked_by(t: &mut Talk<'_>, end: Duration) -> Option<Asked> {
    let left = end.saturating_sub(t.now());
    t.arm().asked(left)
}

/// A line of a table.
const fn case(
    id: &'static str,
    section: &'static str,
    requirement: Requirement,
    description: &'static str,
    setup: Setup,
    run: fn(&mut Talk<'_>) -> Outcome,
) -> Case {
    Case { id, section, requirement, description, setup, ends: false, run }
}

/// The same, for a case that asks the target to leave.
const fn last(case: Case) -> Case {
    Case { ends: true, ..case }
}
