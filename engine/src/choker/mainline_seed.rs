//! How the mainline client (4.x) seeded: everyone in turn, at a pace of a slot or so a round.
//!
//! Over three rounds, 30 s, `(slots + 2) / 3` slots are given anew: with four slots one in each of two
//! rounds of three, so that a turn lasts a minute. What is left goes first to the latest unchoked, if that
//! was less than 30 s ago or it is being served; then to the others by rate. The rotation decides who is
//! next.

use std::cmp::Reverse;
use std::time::Duration;

use super::rotation::{Ranking, Rotation};
use super::{Choker, Facts, OPTIMISTIC_ROUNDS, Round};
use crate::ids::ConnId;
use crate::rng::Rng;
use crate::time::Instant;

/// Who was unchoked less than this ago keeps its slot even when idle: three rounds.
const RECENT: Duration = Duration::from_secs(30);

/// Gives every interested remote its turn.
#[derive(Clone, Debug, Default)]
pub struct MainlineSeed {
    rotation: Rotation,
    ranking: Ranking,
    /// Slots given anew since the last periodic round: they count against those that the next one forces.
    /// (Mainline counted the slots that were free, also those that nobody took.)
    since_round: usize,
}

/// What an unchoked remote ranks by, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Recent, or being served: the latest unchoke, then the upload rate.
    Kept(Reverse<Instant>, Reverse<u64>),
    /// The upload rate, then the latest unchoke (mainline: the rotation).
    Idle(Reverse<u64>, Reverse<Instant>),
}

fn key(facts: &Facts, now: Instant) -> Option<Key> {
    if !facts.interested || !facts.unchoked {
        return None;
    }
    let (turn, rate) = (Reverse(facts.last_turn()), Reverse(facts.upload_rate));
    let kept = now.since(facts.last_turn()) < RECENT || !facts.flushed;
    Some(if kept { Key::Kept(turn, rate) } else { Key::Idle(rate, turn) })
}

impl MainlineSeed {
    /// How many slots this round gives anew, whoever has them.
    fn forced(&self, round: &Round) -> usize {
        if !round.periodic {
            return 0;
        }
        let per_turn = round.slots.div_ceil(OPTIMISTIC_ROUNDS as usize);
        let share = (per_turn + (round.number % OPTIMISTIC_ROUNDS) as usize) / OPTIMISTIC_ROUNDS as usize;
        share.saturating_sub(self.since_round)
    }

    /// Gives `left` slots to those whose turn it is and that `may` have one. Returns how many are over, and
    /// turns the rotation past the last one served if none is.
    fn serve(
        &mut self,
        peers: &[Facts],
        mut left: usize,
        may: impl Fn(&Facts) -> bool,
        unchoke: &mut Vec<ConnId>,
    ) -> usize {
        if left == 0 {
            return 0;
        }
        let mut last = None;
        for (place, i) in self.rotation.order().enumerate() {
            let facts = &peers[i];
            if !facts.interested || self.ranking.took(i) || !may(facts) {
                continue;
            }
            unchoke.push(facts.conn);
            self.since_round += usize::from(!facts.unchoked);
            left -= 1;
            if left == 0 {
                last = Some(place);
                break;
            }
        }
        if let Some(place) = last {
            self.rotation.turn(place + 1);
        }
        left
    }
}

impl Choker for MainlineSeed {
    fn connected(&mut self, conn: ConnId, rng: &mut Rng) {
        self.rotation.join(conn, rng);
    }

    fn closed(&mut self, conn: ConnId) {
        self.rotation.leave(conn);
    }

    fn decide(&mut self, round: &Round, peers: &[Facts], rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        self.rotation.align(peers, rng);
        let keep = round.slots - self.forced(round);
        let left = round.slots - self.ranking.take(peers, keep, |f| key(f, round.now), unchoke);
        // Who still has bytes on their way from the turn before comes last.
        let ready = |f: &Facts| f.unchoked || f.flushed;
        let left = self.serve(peers, left, ready, unchoke);
        self.serve(peers, left, |f| !ready(f), unchoke);
        if round.periodic {
            self.since_round = 0;
        }
    }
}
