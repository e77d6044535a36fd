//! One scenario put to the test: run with the checkers looking on, and run again on the other stack, which must come
//! to the same digest.

use std::sync::Arc;

use engine::Layout;
use harness::panics;
use simulator::runner;
use simulator::scenario::{Scenario, ScenarioError};
use simulator::{Options, RunError, Stack};

use crate::checkers::{Case, Finding, Jury, Seat};

/// What is put to the test: the first run of a scenario.
#[derive(Clone, Debug)]
pub struct Trial {
    spec: Arc<simulator::spec::Spec>,
    seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What was found; nothing, if all is as it must be.
    pub findings: Vec<Finding>,
    /// Simulated seconds.
    pub simulated: f64,
    /// Times that a fault befell a peer.
    pub faults: usize,
    /// Events of the run.
    pub events: u64,
    /// Payload bytes that were delivered.
    pub delivered: u64,
}

/// Why there is nothing to put to the test.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrialError {
    /// The text is no scenario.
    #[error(transparent)]
    Scenario(#[from] Box<ScenarioError>),
    /// It cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Reads the scenario in `text` and puts its first run to the test.
pub fn trial(name: &str, text: &str) -> Result<Outcome, TrialError> {
    let scenario = Scenario::parse(name, text, ".".as_ref(), &[]).map_err(Box::new)?;
    trial_of(&scenario)
}

/// Puts the first run of a scenario to the test.
pub fn trial_of(scenario: &Scenario) -> Result<Outcome, TrialError> {
    match runner::jobs(scenario, scenario.seed()).into_iter().next() {
        Some(job) => Ok(Trial { spec: job.spec().clone(), seed: job.seed }.run()?),
        None => Ok(Outcome::default()),
    }
}

impl Trial {
    /// Runs it, twice.
    pub fn run(&self) -> Result<Outcome, RunError> {
        let layout = Layout::new(self.spec.content, u64::from(self.spec.piece_length))?;
        let members = simulator::members(&self.spec, self.seed)?;
        let faults = members.iter().map(|member| member.faults.len()).sum();
        let seat = Seat::new(Jury::new(Case { spec: self.spec.clone(), layout, members }));
        let mut outcome = Outcome { faults, ..Outcome::default() };
        // Without the simulator's own checks, which would end the run before the checkers have their say.
        let run = self.caught(Stack::Message, Some(seat.clone()));
        let Some(jury) = seat.take() else { return Ok(outcome) };
        let run = match run {
            Ok(run) => run?,
            Err(finding) => {
                outcome.findings = jury.so_far();
                outcome.findings.push(finding);
                return Ok(outcome);
            }
        };
        outcome.findings = jury.verdict(&run);
        outcome.simulated = run.ended_at;
        let count = |name: &str| run.counters.get(name).copied().unwrap_or(0);
        (outcome.events, outcome.delivered) = (count("events"), count("payload_received_bytes"));
        if outcome.findings.is_empty() {
            match self.caught(Stack::Wire, None) {
                Ok(again) => outcome.findings.extend(difference(&run, &again?)),
                Err(finding) => outcome.findings.push(finding),
            }
        }
        Ok(outcome)
    }

    /// Runs it, for somebody who looks on or with the simulator's own checks; a panic is a finding.
    fn caught(&self, stack: Stack, seat: Option<Seat>) -> Result<Result<record::Run, RunError>, Finding> {
        // Half of them on two threads, which must make no difference either; but a bug is planted for one thread alone.
        let alone = seat.is_some() || cfg!(feature = "planted");
        let threads = if !alone && self.seed % 2 == 1 { 2 } else { 1 };
        let options = Options { stack, checks: seat.is_none(), threads };
        let run = || match seat {
            Some(seat) => simulator::run_watched(&self.spec, self.seed, options, Box::new(seat), |_| true),
            None => simulator::run(&self.spec, self.seed, options, None, |_| true),
        };
        panics::caught(run).map_err(|panic| Finding {
            checker: "panic",
            peer: None,
            at: 0,
            what: format!("on the {} stack, {panic}", stack.name()),
        })
    }
}

/// The second run must be the first again.
fn difference(first: &record::Run, again: &record::Run) -> Option<Finding> {
    let what = if first.digest != again.digest {
        format!("the message stack gives {}, the wire stack {}", first.digest, again.digest)
    } else if first.peers != again.peers || first.counters != again.counters {
        "two runs of one digest differ in what is recorded".to_owned()
    } else {
        return None;
    };
    Some(Finding { checker: "digest", peer: None, at: (again.ended_at * 1e9) as u64, what })
}
