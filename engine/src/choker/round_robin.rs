//! Seeds a fair share to one after the other, as libtorrent's `round_robin` does: who is unchoked stays so
//! until it has had its share; then it yields to whoever has waited longest since its last turn.
//!
//! Between the periodic rounds nobody who stays interested loses its slot.

use std::cmp::Reverse;
use std::time::Duration;

use super::rotation::Ranking;
use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;
use crate::time::Instant;

/// Serves shares in turn.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    quota: u64,
    longest: Duration,
    ranking: Ranking,
}

/// What a remote can claim, the best claim first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Its share is not complete; by upload rate.
    Served(Reverse<u64>),
    /// It is choked; since when it has waited.
    Waiting(Instant),
    /// It has had its share; the latest turn goes on longest.
    Done(Reverse<Instant>),
}

impl RoundRobin {
    /// Bytes of a share: libtorrent's `seeding_piece_quota` of 20 pieces, of 256 KiB each.
    pub const QUOTA: u64 = 20 * 256 * 1024;
    /// No turn is shorter (unless `longest` is): a minute, as in libtorrent.
    pub const SHORTEST: Duration = Duration::from_secs(60);
    /// No turn is longer while somebody waits, so that a slow remote does not hold its slot for hours (in
    /// libtorrent it does): three minutes.
    pub const LONGEST: Duration = Duration::from_secs(180);

    /// A turn ends when `quota` bytes were sent and [`RoundRobin::SHORTEST`] has passed, at the latest after
    /// `longest`. Who takes nothing for [`RoundRobin::SHORTEST`] has had its turn too.
    pub const fn new(quota: u64, longest: Duration) -> Self {
        Self { quota, longest, ranking: Ranking::new() }
    }
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self::new(Self::QUOTA, Self::LONGEST)
    }
}

impl Choker for RoundRobin {
    fn decide(&mut self, round: &Round, peers: &[Facts], _rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        let (quota, longest) = (self.quota, self.longest);
        let claim = |f: &Facts| {
            if !f.unchoked {
                return Claim::Waiting(f.waiting_since());
            }
            let turn = round.now.since(f.last_turn());
            let had = f.sent_since_unchoke >= quota || f.upload_rate == 0;
            let done = turn >= longest || (had && turn >= Self::SHORTEST);
            if round.periodic && done {
                Claim::Done(Reverse(f.last_turn()))
            } else {
                Claim::Served(Reverse(f.upload_rate))
            }
        };
        self.ranking.take(peers, round.slots, |f| f.interested.then(|| claim(f)), unchoke);
    }
}
