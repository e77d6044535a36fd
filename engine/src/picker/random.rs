//! Any open piece that the remote has, each with the same probability.

use super::{Choice, Picker};
use crate::layout::PieceIndex;
use crate::rng::{self, Rng};

/// Draws tried before the candidates are counted. A remote that has half of the open pieces is missed by
/// all eight once in 256.
const TRIES: u32 = 8;

/// Picks uniformly: the baseline that rarest first is to be measured against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Picker for Random {
    fn pick(&mut self, choice: &Choice<'_>, rng: &mut Rng) -> Option<PieceIndex> {
        uniform(choice, rng)
    }
}

/// A uniform draw among the open pieces that the remote has. A draw from all open pieces is kept if the
/// remote has it, which is uniform among those it has; after some misses they are counted and one is drawn
/// by number, which is uniform too.
pub(super) fn uniform(choice: &Choice<'_>, rng: &mut Rng) -> Option<PieceIndex> {
    let open = choice.availability.rarest_first();
    if open.is_empty() {
        return None;
    }
    for _ in 0..TRIES {
        let piece = open[rng::below(rng, open.len() as u32) as usize];
        if choice.remote_has(piece) {
            return Some(piece);
        }
    }
    // A remote that has everything is never missed.
    match choice.remote.map_or(0, |remote| choice.availability.open_in(remote)) {
        0 => None,
        n => {
            let mut candidates = open.iter().copied().filter(|&piece| choice.remote_has(piece));
            candidates.nth(rng::below(rng, n) as usize)
        }
    }
}
