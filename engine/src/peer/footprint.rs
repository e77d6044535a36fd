//! What a peer holds of memory, by its own account: the capacity of its tables, in use or not. Counting costs a walk over
//! the connections and is done when it is asked for, so that nobody else pays. A table that is missing here shows where
//! tests compare with an allocator that counts (`harness/tests/memory.rs`).

use std::collections::VecDeque;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};

use crate::addr::Addr;
use crate::ids::ConnId;

use super::membership::Candidate;
use super::{Peer, Said};

/// Bytes on the heap, by what they are for. Left out are the policies, whose state is some bytes a connection, and what
/// is shared: the metadata's bytes and the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Connections, places that are free included, and who has us unchoked.
    pub connections: u64,
    /// What is requested over them, either way, and what is measured while blocks move.
    pub requests: u64,
    /// The state of our pieces and blocks, and how many remotes have each.
    pub pieces: u64,
    /// Addresses: to be dialled, being dialled, failed, banned, suspect.
    pub addresses: u64,
    /// What remotes have said of themselves and been told of others (BEP 9, BEP 10, BEP 11).
    pub remotes: u64,
    /// Outputs that wait to be taken.
    pub outputs: u64,
}

impl Footprint {
    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { connections, requests, pieces, addresses, remotes, outputs } = *self;
        connections + requests + pieces + addresses + remotes + outputs
    }
}

/// The bytes of a table.
pub(crate) fn of<T>(table: &Vec<T>) -> u64 {
    (table.capacity() * size_of::<T>()) as u64
}

/// Room for one more, in small steps: a swarm has many tables of a few dozen entries, and doubling would
/// leave half of each empty.
pub(crate) fn grow<T>(table: &mut Vec<T>) {
    if table.len() == table.capacity() {
        table.reserve_exact((table.len() / 8).max(4));
    }
}

/// The bytes of a queue.
pub(crate) fn of_queue<T>(queue: &VecDeque<T>) -> u64 {
    (queue.capacity() * size_of::<T>()) as u64
}

/// The bytes of a tree of so many entries, whose nodes may be half empty.
pub(crate) fn of_tree<T>(entries: usize) -> u64 {
    (entries * 2 * size_of::<T>()) as u64
}

impl Peer {
    /// What it holds now.
    pub fn footprint(&self) -> Footprint {
        let dialling = of(&self.half_open) + of(&self.failed) + of(&self.ours);
        let boxed = self.half_open.iter().map(Addr::footprint).sum::<u64>()
            + self.candidates.iter().map(Candidate::footprint).sum::<u64>();
        let told = of_tree::<IpAddr>(self.banned.len() + self.suspects.len())
            + of_tree::<(SocketAddr, u8)>(self.short_lived.len());
        let (connections, requests) = self.conns.footprint();
        Footprint {
            connections: connections + of::<ConnId>(&self.sources) + of(&self.unchoke),
            requests,
            pieces: self.pieces.footprint(),
            addresses: of_queue::<Candidate>(&self.candidates) + dialling + boxed + told,
            remotes: self.remotes.footprint(),
            outputs: self.outputs.as_deref().map_or(0, Said::footprint),
        }
    }
}
