//! Swarm fuzzing. A seed draws a whole scenario ([`draw`]): who takes part, over what network, who misbehaves, and
//! what goes wrong. The scenario is run, and [`checkers`], which know nothing of how the simulator or the engine work
//! inside, hold against what crossed the seam of every peer what must hold in every run. What fails is shrunk to a
//! small scenario file that fails the same way ([`shrink`]).
//!
//! Everything is a function of the seed: the same seed draws the same scenario and comes to the same verdict.

pub mod campaign;
pub mod checkers;
pub mod draw;
pub mod shrink;
pub mod trial;

pub use campaign::{CampaignError, Update, describe, run};
pub use checkers::Finding;
pub use draw::draw;
pub use shrink::{Shrunk, shrink};
pub use trial::{Outcome, Trial, TrialError, trial, trial_of};
