//! Claims about swarms, held against runs: `swarmlab validate`.
//!
//! Every threshold is a constant here, fixed before the seeds were drawn. A claim is decided by runs of the
//! shipped scenarios on several seeds, the same for every point, so that points are compared in pairs. Each
//! has a negative control: the same test on data of which the claim is not true. A test that passes its
//! control shows nothing, and the verdict says so.

mod claims;
pub mod measure;
pub mod rounds;
pub mod stats;
pub mod study;

use std::fmt;

pub use study::{Bench, StudyError};

/// Seeds for each point.
pub const SEEDS: u32 = 10;
/// What the seeds are derived from if none is said: drawn at random once, when scenarios and thresholds were as they
/// are. Those before it are spent (docs/validation.md).
pub const SEED: u64 = 22_566;

/// What came of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Scenario and claim: `swarm-scaling/level`.
    pub id: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// The claim.
    pub claim: &'static str,
    /// What must hold of what is measured.
    pub threshold: &'static str,
    /// What was measured.
    pub found: Finding,
    /// What the negative control is.
    pub control: &'static str,
    /// What the same test found there; it must not hold.
    pub control_found: Finding,
}

/// What a test found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In figures.
    pub measured: String,
    /// Whether the threshold is kept.
    pub holds: bool,
    /// Whether that is beyond chance: false where it hangs on intervals that take in zero, which more seeds would
    /// make narrower.
    pub decided: bool,
}

/// The verdict on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, and its control does not.
    Met,
    /// It does not hold.
    Missed,
    /// It holds, but so does its control: the test shows nothing.
    Blind,
    /// It is not shown to hold, or its control not to, and neither is the contrary: too few seeds to say.
    Inconclusive,
}

impl Finding {
    /// Of figures that are held to a threshold as they are, without an interval.
    pub fn plain(measured: String, holds: bool) -> Self {
        Self { measured, holds, decided: true }
    }
}

impl Row {
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        match (self.found.holds, self.control_found.holds) {
            (false, _) if !self.found.decided => Verdict::Inconclusive,
            (false, _) => Verdict::Missed,
            (true, true) if !self.control_found.decided => Verdict::Inconclusive,
            (true, true) => Verdict::Blind,
            (true, false) => Verdict::Met,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Blind => "BLIND",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// A check of the claims about one scenario: the runs it makes, with changes to the scenario (`--set`).
type Check = fn(&Bench<'_>, &[(&str, &str)]) -> Result<Vec<Row>, StudyError>;

const CHECKS: [(&str, Check); 8] = [
    ("three-friends", claims::three_friends),
    ("seed-leech-ratio", claims::seed_leech_ratio),
    ("piece-picking", claims::piece_picking),
    ("choking-strategies", claims::choking_strategies),
    ("share-ratio", claims::share_ratio),
    ("flash-crowd", claims::flash_crowd),
    ("rounds", claims::rounds),
    ("swarm-scaling", claims::swarm_scaling),
];

/// What there are claims about: scenarios, and the optimal broadcast as `rounds`. The quick ones first.
pub fn subjects() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(name, _)| *name)
}

/// Checks the claims about one of [`subjects`]; `changes` are keys and values as of `--set`, empty for the
/// claims as they stand.
pub fn validate(subject: &str, bench: &Bench<'_>, changes: &[(&str, &str)]) -> Result<Vec<Row>, StudyError> {
    let (_, check) = CHECKS
        .iter()
        .find(|(name, _)| *name == subject)
        .ok_or_else(|| StudyError::Missing(subject.into()))?;
    check(bench, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_seeds_are_no_miss() {
        let finding = |holds, decided| Finding { measured: String::new(), holds, decided };
        let verdict = |found, control_found| {
            let row = Row { id: "", source: "", claim: "", threshold: "", found, control: "", control_found };
            row.verdict()
        };
        let (yes, no) = (finding(true, true), finding(false, true));
        let (unless, unsure) = (finding(true, false), finding(false, false));
        assert_eq!(verdict(yes.clone(), no.clone()), Verdict::Met);
        assert_eq!(verdict(yes.clone(), unsure.clone()), Verdict::Met, "the control is not shown to hold");
        assert_eq!(verdict(unless.clone(), no.clone()), Verdict::Met, "nothing is shown against it");
        assert_eq!(verdict(no.clone(), no.clone()), Verdict::Missed);
        assert_eq!(verdict(yes.clone(), yes.clone()), Verdict::Blind);
        assert_eq!(verdict(unsure, no), Verdict::Inconclusive);
        assert_eq!(verdict(yes, unless), Verdict::Inconclusive);
    }
}
