//! Many dialogues from one seed, and what is done with those that show something.

use std::sync::Arc;

use engine::Seed;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::dialogue::{Dialogue, Role};
use super::finding::Finding;
use super::memory::Memory;
use super::mutate::mutated_about;
use super::shrink::shrink;
use super::subject::Subject;

/// Who dialogues are held with.
pub trait Arm {
    /// Holds one; what is wrong with the peer.
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String>;
    /// The most candidates that are held to shrink a dialogue that shows this.
    fn tries(&self, finding: &Finding) -> u32;
}

impl Arm for Memory {
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String> {
        Ok(Memory::hold(self, dialogue).found)
    }
    fn tries(&self, finding: &Finding) -> u32 {
        // Each that does not end goes on until all the inputs it may have are used up.
        if matches!(finding, Finding::Hang) { 300 } else { 5_000 }
    }
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The dialogue's number in its campaign.
    pub number: u64,
    /// What is wrong.
    pub finding: Finding,
    /// The dialogue as it was drawn.
    pub drawn: Dialogue,
    /// The shortest that shows it.
    pub shrunk: Dialogue,
}

impl Found {
    /// As a file that can be read and replayed.
    pub fn to_file(&self, seed: u64) -> String {
        let Self { number, finding, drawn, shrunk } = self;
        let said: String = finding.to_string().lines().collect::<Vec<_>>().join(" ");
        let (header, rest) = (super::text::HEADER, shrunk.to_string());
        let rest = rest.strip_prefix(header).unwrap_or(&rest).trim_start();
        format!(
            "{header}\n# Found: {said}\n# Dialogue {number} of seed {seed}, cut from {} steps to {}.\n{rest}",
            drawn.steps.len(),
            shrunk.steps.len(),
        )
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What every dialogue is drawn from, with its number.
    pub seed: u64,
    /// The roles that the peer that is spoken to can have, in turn.
    pub roles: Vec<Role>,
    /// The torrent that all dialogues are about; `None`: several of ours.
    pub about: Option<Arc<Subject>>,
}

impl Campaign {
    /// Of the engine in all roles, about torrents of ours.
    pub fn new(seed: u64) -> Self {
        Self { seed, roles: Role::ALL.to_vec(), about: None }
    }

    /// The dialogue of this number.
    pub fn draw(&self, number: u64) -> Option<Dialogue> {
        let mut seed = [0; 32];
        for (at, part) in seed.chunks_mut(8).enumerate() {
            let derived = Seed(self.seed).derive("dialogue", number).derive("part", at as u64);
            part.copy_from_slice(&derived.0.to_be_bytes());
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let role = *self.roles.get((number % self.roles.len().max(1) as u64) as usize)?;
        let strategy = mutated_about(role, self.about.clone());
        Some(strategy.new_tree(&mut runner).ok()?.current())
    }

    /// Holds the dialogue of this number, and cuts down what it shows as long as that is `worth` it, which is asked
    /// before each attempt.
    pub fn hold(
        &self,
        number: u64,
        arm: &mut dyn Arm,
        worth: impl FnMut(&Finding) -> bool,
    ) -> Result<Option<Found>, String> {
        let Some(drawn) = self.draw(number) else { return Ok(None) };
        let Some(finding) = arm.hold(&drawn)? else { return Ok(None) };
        Ok(Some(cut(number, drawn, finding, arm, worth)))
    }
}

/// What dialogue `number` shows on an arm, cut down as long as that is `worth` it.
pub fn cut(
    number: u64,
    drawn: Dialogue,
    finding: Finding,
    arm: &mut dyn Arm,
    mut worth: impl FnMut(&Finding) -> bool,
) -> Found {
    let tries = arm.tries(&finding);
    // A client that could not be started shows nothing. In its own words what the shortest shows is said.
    let mut last = finding;
    let shrunk = shrink(&drawn, tries, |candidate| {
        if !worth(&last) {
            return false;
        }
        match arm.hold(candidate).ok().flatten() {
            Some(found) if found.is_like(&last) => {
                last = found;
                true
            }
            _ => false,
        }
    });
    Found { number, finding: last, drawn, shrunk }
}
