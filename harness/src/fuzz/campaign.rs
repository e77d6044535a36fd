//! Many dialogues from one seed, and what is done with those that show something.

use engine::Seed;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::dialogue::{Dialogue, Role};
use super::finding::Finding;
use super::memory::Memory;
use super::mutate::{any_dialogue, mutated};
use super::shrink::shrink;

/// Who dialogues are held with.
pub trait Arm {
    /// Holds one; what is wrong with the peer.
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String>;
    /// The most candidates that are held to shrink one dialogue.
    fn tries(&self) -> u32;
}

impl Arm for Memory {
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String> {
        Ok(Memory::hold(self, dialogue).found)
    }
    fn tries(&self) -> u32 {
        5_000
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
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// What every dialogue is drawn from, with its number.
    pub seed: u64,
    /// The only role of the peer that is spoken to, if there is but one.
    pub role: Option<Role>,
}

impl Campaign {
    /// The dialogue of this number.
    pub fn draw(&self, number: u64) -> Option<Dialogue> {
        let mut seed = [0; 32];
        for (at, part) in seed.chunks_mut(8).enumerate() {
            let derived = Seed(self.seed).derive("dialogue", number).derive("part", at as u64);
            part.copy_from_slice(&derived.0.to_be_bytes());
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        match self.role {
            Some(role) => Some(mutated(role).new_tree(&mut runner).ok()?.current()),
            None => Some(any_dialogue().new_tree(&mut runner).ok()?.current()),
        }
    }

    /// Holds the dialogue of this number, and shrinks it if it shows something.
    pub fn hold(&self, number: u64, arm: &mut dyn Arm) -> Result<Option<Found>, String> {
        let Some(drawn) = self.draw(number) else { return Ok(None) };
        let Some(finding) = arm.hold(&drawn)? else { return Ok(None) };
        let tries = arm.tries();
        let mut failed = None;
        let shrunk = shrink(&drawn, tries, |candidate| match arm.hold(candidate) {
            Ok(found) => found.is_some_and(|found| found.is_like(&finding)),
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        // What the shortest one shows is said in its own words.
        let finding = arm.hold(&shrunk).ok().flatten().unwrap_or(finding);
        Ok(Some(Found { number, finding, drawn, shrunk }))
    }
}
