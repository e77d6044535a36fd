//! Parcels: what is queued on a link or on its way, in one table whose places are used again.

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use engine::wire::{Handshake, Message};

/// No parcel.
pub(crate) const NONE: u32 = u32::MAX;

/// What a parcel holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An empty place of the table.
    Empty,
    /// The message stack: a handshake.
    Handshake(Handshake),
    /// The message stack: a message.
    Message(Message),
    /// The wire stack: the bytes of a handshake or of a message; to or from a tracker: a query or a reply.
    Bytes(Bytes),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub content: Content,
    /// Bytes on the wire.
    pub size: u32,
    /// Of those, payload bytes of a block.
    pub payload: u32,
    /// The next parcel of the same queue.
    pub next: u32,
    /// When its first byte reaches the receiver's downlink.
    pub first: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Parcels {
    table: Vec<Parcel>,
    free: u32,
}

impl Default for Parcels {
    fn default() -> Self {
        Self { table: Vec::new(), free: NONE }
    }
}

impl Parcels {
    pub fn insert(&mut self, content: Content, size: u32, payload: u32) -> u32 {
        let parcel = Parcel { content, size, payload, next: NONE, first: 0 };
        if self.free == NONE {
            self.table.push(parcel);
            return self.table.len() as u32 - 1;
        }
        let at = self.free;
        let place = &mut self.table[at as usize];
        self.free = place.next;
        *place = parcel;
        at
    }

    /// Payload of the parcels that the uplinks have begun to send and that have not been taken out.
    pub fn payload_under_way(&self) -> u64 {
        self.table.iter().filter(|parcel| parcel.first > 0).map(|parcel| u64::from(parcel.payload)).sum()
    }

    /// Takes a parcel out; its `next` is as it was.
    pub fn take(&mut self, at: u32) -> Parcel {
        let empty = Parcel { content: Content::Empty, size: 0, payload: 0, next: self.free, first: 0 };
        self.free = at;
        std::mem::replace(&mut self.table[at as usize], empty)
    }
}

impl Index<u32> for Parcels {
    type Output = Parcel;
    fn index(&self, at: u32) -> &Parcel {
        &self.table[at as usize]
    }
}

impl IndexMut<u32> for Parcels {
    fn index_mut(&mut self, at: u32) -> &mut Parcel {
        &mut self.table[at as usize]
    }
}
