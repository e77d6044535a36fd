//! Seeds first to those that have just begun and those that are nearly done, as libtorrent's `anti_leech`
//! does after Chow, Golubchik and Misra, "Improving BitTorrent: A Simple Approach" (IPTPS 2008): the former
//! need something to give, the latter are about to seed, and those in between can live off each other.
//!
//! Equals take turns: who has waited longest comes first. Between the periodic rounds nobody who stays
//! interested loses its slot.

use std::cmp::Reverse;

use super::rotation::Ranking;
use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;

/// Ranks by how far a remote is from having half of the pieces.
#[derive(Clone, Debug, Default)]
pub struct AntiLeech {
    ranking: Ranking,
}

/// Twice the distance from half: 0 in the middle, `total` at either end. libtorrent's score, which is the
/// same in thousandths.
fn score(pieces: u32, total: u32) -> u32 {
    pieces.saturating_mul(2).abs_diff(total)
}

impl Choker for AntiLeech {
    fn decide(&mut self, round: &Round, peers: &[Facts], _rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        let key = |f: &Facts| {
            let kept = f.unchoked && !round.periodic;
            f.interested.then(|| (!kept, Reverse(score(f.pieces, round.pieces)), f.waiting_since()))
        };
        self.ranking.take(peers, round.slots, key, unchoke);
    }
}
