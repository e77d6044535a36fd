//! Rarest first, after a few random pieces: BEP 3's recommendation and every client's default.
//!
//! A newcomer wants something to give soon, and rare pieces are on few, perhaps slow, peers: so its first
//! pieces are random ones. After that the piece that the fewest neighbours have comes first, equals in
//! random order.

use super::{Choice, Picker, random};
use crate::layout::PieceIndex;
use crate::rng::Rng;

/// Picks the rarest open piece that the remote has.
#[derive(Clone, Copy, Debug)]
pub struct RarestFirst {
    random_first: u32,
}

impl RarestFirst {
    /// Pieces picked at random before rarity counts: libtorrent's `initial_picker_threshold`, 4.
    pub const RANDOM_FIRST: u32 = 4;

    /// Rarest first as soon as `random_first` pieces are complete; 0 is from the start.
    pub const fn new(random_first: u32) -> Self {
        Self { random_first }
    }
}

impl Default for RarestFirst {
    fn default() -> Self {
        Self::new(Self::RANDOM_FIRST)
    }
}

impl Picker for RarestFirst {
    fn pick(&mut self, choice: &Choice<'_>, rng: &mut Rng) -> Option<PieceIndex> {
        if choice.completed < self.random_first {
            return random::uniform(choice, rng);
        }
        match choice.remote {
            None => choice.availability.rarest_first().first().copied(),
            Some(remote) => choice.availability.rarest_in(remote),
        }
    }
}
