//! The lowest open piece that the remote has: for playing while downloading, and for seeing what that costs
//! a swarm.

use super::{Choice, Picker};
use crate::layout::PieceIndex;
use crate::rng::Rng;

/// Picks in order of the pieces' numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Picker for Sequential {
    fn pick(&mut self, choice: &Choice<'_>, _rng: &mut Rng) -> Option<PieceIndex> {
        choice.availability.in_order().find(|&piece| choice.remote_has(piece))
    }
}
