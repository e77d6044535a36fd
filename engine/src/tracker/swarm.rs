//! The peers of one torrent, as a tracker keeps them: each in one place of one of two dense pools, so that a
//! random sample costs as much as it holds, whatever the swarm's size.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::rng::{Rng, below};
use crate::time::Instant;
use crate::wire::PeerId;

/// A peer's slot; used again after it is removed.
pub(super) type MemberId = u32;

/// The two pools.
pub(super) const SEEDS: usize = 0;
pub(super) const LEECHERS: usize = 1;

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) peer_id: PeerId,
    /// When it last announced.
    pub(super) seen: Instant,
    /// It has been counted as a completed download.
    pub(super) counted: bool,
    pool: usize,
    /// Its position in the pool.
    place: usize,
}

/// One torrent's peers, by address: who does not announce from there cannot change or remove them.
#[derive(Clone, Debug, Default)]
pub(super) struct Swarm {
    members: Vec<Member>,
    free: Vec<MemberId>,
    by_address: BTreeMap<SocketAddr, MemberId>,
    pools: [Vec<MemberId>; 2],
    /// How many peers have said that they completed.
    pub(super) downloaded: u32,
}

impl Swarm {
    /// How many peers are in a pool.
    pub(super) fn count(&self, pool: usize) -> u32 {
        self.pools[pool].len() as u32
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<MemberId> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn member(&self, id: MemberId) -> &Member {
        &self.members[id as usize]
    }

    pub(super) fn member_mut(&mut self, id: MemberId) -> &mut Member {
        &mut self.members[id as usize]
    }

    /// A peer that is not there yet.
    pub(super) fn insert(
        &mut self,
        address: SocketAddr,
        peer_id: PeerId,
        pool: usize,
        seen: Instant,
    ) -> MemberId {
        let place = self.pools[pool].len();
        let member = Member { address, peer_id, seen, counted: false, pool, place };
        let id = match self.free.pop() {
            Some(id) => {
                self.members[id as usize] = member;
                id
            }
            None => {
                self.members.push(member);
                self.members.len() as MemberId - 1
            }
        };
        self.pools[pool].push(id);
        self.by_address.insert(address, id);
        id
    }

    /// Puts a peer into `pool`.
    pub(super) fn set_pool(&mut self, id: MemberId, pool: usize) {
        if self.member(id).pool != pool {
            self.leave_pool(id);
            let place = self.pools[pool].len();
            self.pools[pool].push(id);
            let member = self.member_mut(id);
            (member.pool, member.place) = (pool, place);
        }
    }

    pub(super) fn remove(&mut self, id: MemberId) {
        self.leave_pool(id);
        self.by_address.remove(&self.members[id as usize].address);
        self.free.push(id);
    }

    fn leave_pool(&mut self, id: MemberId) {
        let Member { pool, place, .. } = *self.member(id);
        self.pools[pool].swap_remove(place);
        if let Some(&moved) = self.pools[pool].get(place) {
            self.member_mut(moved).place = place;
        }
    }

    /// Exchanges two positions of a pool.
    fn swap(&mut self, pool: usize, a: usize, b: usize) {
        self.pools[pool].swap(a, b);
        for place in [a, b] {
            let id = self.pools[pool][place];
            self.member_mut(id).place = place;
        }
    }

    /// Up to `want` different peers of the pools named, without `except`: each set and each order of that
    /// size equally likely. A Fisher-Yates shuffle that stops after `want` steps, in place.
    pub(super) fn sample(
        &mut self,
        pools: [bool; 2],
        except: MemberId,
        want: usize,
        rng: &mut Rng,
    ) -> Vec<MemberId> {
        // The first of each pool not drawn yet; who asks is put in front of that.
        let mut next = [0, 0];
        let Member { pool, place, .. } = *self.member(except);
        self.swap(pool, 0, place);
        next[pool] = 1;
        let mut left = [SEEDS, LEECHERS].map(|p| if pools[p] { self.pools[p].len() - next[p] } else { 0 });
        let want = want.min(left[SEEDS] + left[LEECHERS]);
        let mut drawn = Vec::with_capacity(want);
        for _ in 0..want {
            let draw = below(rng, (left[SEEDS] + left[LEECHERS]) as u32) as usize;
            let (pool, draw) =
                if draw < left[SEEDS] { (SEEDS, draw) } else { (LEECHERS, draw - left[SEEDS]) };
            self.swap(pool, next[pool], next[pool] + draw);
            drawn.push(self.pools[pool][next[pool]]);
            next[pool] += 1;
            left[pool] -= 1;
        }
        drawn
    }

    /// Every member is where it says it is.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.pools[0].len() + self.pools[1].len(), self.by_address.len());
        assert_eq!(self.members.len(), self.by_address.len() + self.free.len());
        for (&address, &id) in &self.by_address {
            let member = self.member(id);
            assert_eq!((member.address, self.pools[member.pool][member.place]), (address, id));
        }
    }
}
