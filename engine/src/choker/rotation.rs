//! The two tools that rankings are made of: a round in which every connection has its turn, and a list that
//! is sorted and cut.
//!
//! Both work on a connection's index in the facts of the decision; as those ascend by id, a tie decided by
//! index is decided by id. A rotation has a table by id: drivers give ids out from 0 on. Both keep their
//! memory: nothing is allocated once they have seen the most connections a peer will have.

use super::Facts;
use crate::ids::ConnId;
use crate::rng::{self, Rng};

/// The connections in the order in which they have their turn.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    list: Vec<ConnId>,
    /// For each in `list`, its index in the facts of this decision.
    order: Vec<u32>,
    /// By connection's id: the index in the facts of this decision of who has not been found in `list`; else [`NOT`].
    index: Vec<u32>,
}

/// No index.
const NOT: u32 = u32::MAX;

impl Rotation {
    /// How much likelier a newcomer is to come first than to come at any other place: three times (BEP 3;
    /// mainline's `max(randrange(-2, n + 1), 0)`).
    pub const NEWCOMER_WEIGHT: u32 = 3;

    /// A connection comes in, at a place drawn. No effect if it is in.
    pub fn join(&mut self, conn: ConnId, rng: &mut Rng) {
        if !self.list.contains(&conn) {
            let place = self.newcomer_place(rng);
            self.list.insert(place, conn);
        }
    }

    /// A connection goes. No effect if it is not in.
    pub fn leave(&mut self, conn: ConnId) {
        self.list.retain(|&c| c != conn);
    }

    /// Gets ready for a decision about `peers`: who is not among them goes, and who was never announced
    /// comes in as a newcomer.
    pub fn align(&mut self, peers: &[Facts], rng: &mut Rng) {
        let Self { list, order, index } = self;
        index.clear();
        let ids = peers.iter().map(|facts| facts.conn.index() + 1).max();
        index.resize(ids.unwrap_or(0), NOT);
        for (i, facts) in peers.iter().enumerate() {
            index[facts.conn.index()] = i as u32;
        }
        order.clear();
        list.retain(|&conn| {
            let found = index.get_mut(conn.index()).map_or(NOT, |index| std::mem::replace(index, NOT));
            if found != NOT {
                order.push(found);
            }
            found != NOT
        });
        if self.list.len() == peers.len() {
            return;
        }
        for (i, facts) in peers.iter().enumerate() {
            if self.index[facts.conn.index()] != NOT {
                let place = self.newcomer_place(rng);
                self.list.insert(place, facts.conn);
                self.order.insert(place, i as u32);
            }
        }
    }

    /// Indices into the facts given to [`Rotation::align`], in the order of turns.
    pub fn order(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.order.iter().map(|&i| i as usize)
    }

    /// Turns the round so that what is at `place` comes first.
    pub fn turn(&mut self, place: usize) {
        self.list.rotate_left(place);
        self.order.rotate_left(place);
    }

    /// Turns the round so that the first one that is choked and interested comes first; not at all if nobody
    /// waits.
    pub fn turn_to_waiting(&mut self, peers: &[Facts]) {
        let place = self.order().position(|i| peers[i].waits());
        self.turn(place.unwrap_or(0));
    }

    fn newcomer_place(&self, rng: &mut Rng) -> usize {
        let places = self.list.len() as u32 + Self::NEWCOMER_WEIGHT;
        rng::below(rng, places).saturating_sub(Self::NEWCOMER_WEIGHT - 1) as usize
    }
}

/// Candidates by a key, the least key first; equals by connection id.
#[derive(Clone, Debug)]
pub struct Ranking<K> {
    keys: Vec<(K, u32)>,
    taken: Vec<bool>,
}

impl<K> Ranking<K> {
    /// Nothing ranked yet.
    pub const fn new() -> Self {
        Self { keys: Vec::new(), taken: Vec::new() }
    }
}

impl<K> Default for Ranking<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> Ranking<K> {
    /// Ranks those of `peers` that `key` gives a key to, and unchokes the best `most` of them. Returns how
    /// many there were.
    pub fn take(
        &mut self,
        peers: &[Facts],
        most: usize,
        key: impl Fn(&Facts) -> Option<K>,
        unchoke: &mut Vec<ConnId>,
    ) -> usize {
        self.taken.clear();
        self.taken.resize(peers.len(), false);
        self.keys.clear();
        self.keys.extend(peers.iter().enumerate().filter_map(|(i, facts)| Some((key(facts)?, i as u32))));
        self.keys.sort_unstable();
        self.keys.truncate(most);
        for &(_, i) in &self.keys {
            self.taken[i as usize] = true;
            unchoke.push(peers[i as usize].conn);
        }
        self.keys.len()
    }

    /// Whether number `index` of the facts was among the best.
    pub fn took(&self, index: usize) -> bool {
        self.taken[index]
    }
}
