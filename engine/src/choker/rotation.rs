//! The two tools that rankings are made of: a round in which every connection has its turn, and a list that
//! is sorted and cut.
//!
//! Both work on a connection's index in the facts of the decision; as those ascend by id, a tie decided by
//! index is decided by id. A rotation has a table by id: drivers give ids out from 0 on. What is needed while a decision
//! is made lies on the stack, where up to [`USUAL`] connections find room: a swarm has two policies for each peer, and
//! what each would keep from one decision to the next adds up.

use smallvec::SmallVec;

use super::Facts;
use crate::ids::ConnId;
use crate::peer::grow;
use crate::rng::{self, Rng};

/// Connections that a decision allocates nothing for.
const USUAL: usize = 128;

/// The connections in the order in which they have their turn.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    list: Vec<Turn>,
}

/// Someone who has its turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    conn: ConnId,
    /// Its index in the facts of this decision; [`NOT`] before the first.
    index: u32,
}

/// No index.
const NOT: u32 = u32::MAX;

impl Rotation {
    /// How much likelier a newcomer is to come first than to come at any other place: three times (BEP 3;
    /// mainline's `max(randrange(-2, n + 1), 0)`).
    pub const NEWCOMER_WEIGHT: u32 = 3;

    /// A connection comes in, at a place drawn. No effect if it is in.
    pub fn join(&mut self, conn: ConnId, rng: &mut Rng) {
        if self.list.iter().all(|turn| turn.conn != conn) {
            self.insert(Turn { conn, index: NOT }, rng);
        }
    }

    /// A connection goes. No effect if it is not in.
    pub fn leave(&mut self, conn: ConnId) {
        self.list.retain(|turn| turn.conn != conn);
    }

    /// Gets ready for a decision about `peers`: who is not among them goes, and who was never announced
    /// comes in as a newcomer. `peers` is in ascending order of connection id, as [`Choker`](super::Choker) has it.
    pub fn align(&mut self, peers: &[Facts], rng: &mut Rng) {
        debug_assert!(peers.is_sorted_by_key(|facts| facts.conn));
        // By connection's id: the index in the facts of who has not been found in `list`; else `NOT`.
        let mut left = SmallVec::<[u32; USUAL]>::new();
        left.resize(peers.last().map_or(0, |facts| facts.conn.index() + 1), NOT);
        for (i, facts) in peers.iter().enumerate() {
            left[facts.conn.index()] = i as u32;
        }
        self.list.retain_mut(|turn| {
            let found = left.get_mut(turn.conn.index());
            turn.index = found.map_or(NOT, |index| std::mem::replace(index, NOT));
            turn.index != NOT
        });
        if self.list.len() == peers.len() {
            return;
        }
        for facts in peers {
            let index = left[facts.conn.index()];
            if index != NOT {
                self.insert(Turn { conn: facts.conn, index }, rng);
            }
        }
    }

    /// Indices into the facts given to [`Rotation::align`], in the order of turns.
    pub fn order(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.list.iter().map(|turn| turn.index as usize)
    }

    /// Turns the round so that what is at `place` comes first.
    pub fn turn(&mut self, place: usize) {
        self.list.rotate_left(place);
    }

    /// Turns the round so that the first one that is choked and interested comes first; not at all if nobody
    /// waits.
    pub fn turn_to_waiting(&mut self, peers: &[Facts]) {
        let place = self.order().position(|i| peers[i].waits());
        self.turn(place.unwrap_or(0));
    }

    /// Puts a newcomer in at a place drawn.
    fn insert(&mut self, newcomer: Turn, rng: &mut Rng) {
        let places = self.list.len() as u32 + Self::NEWCOMER_WEIGHT;
        let place = rng::below(rng, places).saturating_sub(Self::NEWCOMER_WEIGHT - 1) as usize;
        grow(&mut self.list);
        self.list.insert(place, newcomer);
    }
}

/// Candidates by a key, the least key first; equals by connection id.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    /// A bit for each of the facts: whether it was among the best.
    taken: SmallVec<[u64; USUAL / 64]>,
}

impl Ranking {
    /// Nothing ranked yet.
    pub const fn new() -> Self {
        Self { taken: SmallVec::new_const() }
    }

    /// Ranks those of `peers` that `key` gives a key to, and unchokes the best `most` of them. Returns how
    /// many there were.
    pub fn take<K: Ord>(
        &mut self,
        peers: &[Facts],
        most: usize,
        key: impl Fn(&Facts) -> Option<K>,
        unchoke: &mut Vec<ConnId>,
    ) -> usize {
        // The best so far, in their order: there are seldom more than a few slots.
        let mut best = SmallVec::<[(K, u32); 8]>::new();
        for (i, facts) in peers.iter().enumerate() {
            let Some(key) = key(facts) else { continue };
            // An equal that came before has the lower index.
            if best.len() == most && best.last().is_none_or(|(worst, _)| *worst <= key) {
                continue;
            }
            let place = best.partition_point(|(other, _)| *other <= key);
            best.truncate(most - 1);
            best.insert(place, (key, i as u32));
        }
        self.taken.clear();
        self.taken.resize(peers.len().div_ceil(64), 0);
        for &(_, i) in &best {
            self.taken[i as usize / 64] |= 1 << (i % 64);
            unchoke.push(peers[i as usize].conn);
        }
        best.len()
    }

    /// Whether number `index` of the facts was among the best.
    pub fn took(&self, index: usize) -> bool {
        self.taken[index / 64] >> (index % 64) & 1 == 1
    }
}
