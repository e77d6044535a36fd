//! Tit for tat with an optimistic slot, as BEP 3 describes and the mainline client (3.x and 4.x) did it while
//! leeching.
//!
//! All slots but one go to those that gave us the most over the last 20 s, if they want something, have not
//! snubbed us and are not complete (a complete remote gives whatever we do). The rest, at least one, go by a
//! rotation, so that somebody new is tried every 30 s. On its way to whom the last slot goes, the walk
//! unchokes the uninterested too, without using a slot: should one of them become interested, it is decided
//! again at once, and it has not had to wait.

use std::cmp::Reverse;

use super::rotation::{Ranking, Rotation};
use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;

/// Reciprocates: see the top of the file.
#[derive(Clone, Debug, Default)]
pub struct TitForTat {
    rotation: Rotation,
    ranking: Ranking,
}

impl Choker for TitForTat {
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
        let rate =
            |f: &Facts| (f.interested && !f.snubbed && !f.complete).then_some(Reverse(f.download_rate));
        let mut left = round.slots - self.ranking.take(peers, round.slots - 1, rate, unchoke);
        for i in self.rotation.order().filter(|&i| !self.ranking.took(i)) {
            if left == 0 {
                break;
            }
            left -= usize::from(peers[i].interested);
            unchoke.push(peers[i].conn);
        }
    }
}
