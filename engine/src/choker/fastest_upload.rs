//! Seeds to those that take it fastest (libtorrent's `fastest_upload`), with one optimistic slot that a
//! rotation moves on every 30 s.
//!
//! Between the periodic rounds nobody who stays interested loses its slot. A choked remote counts with a
//! rate of zero: what it still gets from before is no merit.

use std::cmp::Reverse;

use super::rotation::{Ranking, Rotation};
use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;

/// Ranks by upload rate; equals by who has waited longest.
#[derive(Clone, Debug, Default)]
pub struct FastestUpload {
    rotation: Rotation,
    ranking: Ranking,
}

impl Choker for FastestUpload {
    fn connected(&mut self, conn: ConnId, rng: &mut Rng) {
        self.rotation.join(conn, rng);
    }

    fn closed(&mut self, conn: ConnId) {
        self.rotation.leave(conn);
    }

    fn decide(&mut self, round: &Round, peers: &[Facts], rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        self.rotation.align(peers, rng);
        if round.turns() {
            self.rotation.turn_to_waiting(peers);
        }
        let ranked = if round.periodic { round.slots - 1 } else { round.slots };
        let key = |f: &Facts| {
            let candidate = f.interested && (round.periodic || f.unchoked);
            candidate.then(|| (Reverse(f.current_upload_rate()), f.waiting_since()))
        };
        let left = round.slots - self.ranking.take(peers, ranked, key, unchoke);
        let rest = self.rotation.order().filter(|&i| peers[i].interested && !self.ranking.took(i));
        unchoke.extend(rest.take(left).map(|i| peers[i].conn));
    }
}
