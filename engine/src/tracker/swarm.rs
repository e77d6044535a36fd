//! The peers of one torrent, as a tracker keeps them: each in one place of one of four dense pools, so that a
//! random sample costs as much as it holds, whatever the swarm's size.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::origin::Family;
use crate::rng::{Rng, below};
use crate::time::Instant;
use crate::wire::PeerId;

/// A peer's slot; used again after it is removed.
pub(super) type MemberId = u32;

/// The two pools of IPv4 peers. Those of IPv6 follow, in the same order.
pub(super) const SEEDS: usize = 0;
pub(super) const LEECHERS: usize = 1;
const V6: usize = 2;
const POOLS: usize = 4;

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

/// The pool of an address, by that of IPv4.
fn pool_of(address: SocketAddr, pool: usize) -> usize {
    match Family::of(address.ip()) {
        Family::V4 => pool,
        Family::V6 => V6 + pool,
    }
}

/// One torrent's peers, by address: who does not announce from there cannot change or remove them.
#[derive(Clone, Debug, Default)]
pub(super) struct Swarm {
    members: Vec<Member>,
    free: Vec<MemberId>,
    by_address: BTreeMap<SocketAddr, MemberId>,
    pools: [Vec<MemberId>; POOLS],
    /// How many peers have said that they completed.
    pub(super) downloaded: u32,
}

impl Swarm {
    /// How many seeds, or leechers, there are.
    pub(super) fn count(&self, pool: usize) -> u32 {
        (self.pools[pool].len() + self.pools[V6 + pool].len()) as u32
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
        let pool = pool_of(address, pool);
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
        let pool = pool_of(self.member(id).address, pool);
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

    /// Up to `want` different peers, without `except`, of the pools named: of seeds, of leechers, and of one
    /// family of addresses alone if `only` says so. Each set and each order of that size is equally likely. A
    /// Fisher-Yates shuffle that stops after `want` steps, in place. They are put behind those that are in `drawn`.
    pub(super) fn sample(
        &mut self,
        pools: [bool; 2],
        only: Option<Family>,
        except: MemberId,
        want: usize,
        rng: &mut Rng,
        drawn: &mut Vec<MemberId>,
    ) {
        // The first of each pool not drawn yet; who asks is put in front of that.
        let mut next = [0; POOLS];
        let Member { pool, place, .. } = *self.member(except);
        self.swap(pool, 0, place);
        next[pool] = 1;
        let named = |pool: usize| {
            let family = if pool < V6 { Family::V4 } else { Family::V6 };
            pools[pool % V6] && only.is_none_or(|only| only == family)
        };
        let mut left: [usize; POOLS] =
            std::array::from_fn(|pool| if named(pool) { self.pools[pool].len() - next[pool] } else { 0 });
        let want = want.min(left.iter().sum());
        drawn.reserve(want);
        for _ in 0..want {
            let mut draw = below(rng, left.iter().sum::<usize>() as u32) as usize;
            let mut pool = 0;
            while draw >= left[pool] {
                draw -= left[pool];
                pool += 1;
            }
            self.swap(pool, next[pool], next[pool] + draw);
            drawn.push(self.pools[pool][next[pool]]);
            next[pool] += 1;
            left[pool] -= 1;
        }
    }

    /// Every member is where it says it is.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.pools.iter().map(Vec::len).sum::<usize>(), self.by_address.len());
        assert_eq!(self.members.len(), self.by_address.len() + self.free.len());
        for (&address, &id) in &self.by_address {
            let member = self.member(id);
            assert_eq!((member.address, self.pools[member.pool][member.place]), (address, id));
        }
    }
}
