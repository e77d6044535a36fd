//! Parcels: what is queued on a link or on its way, in one table whose places are used again.

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use engine::peer::About;
use engine::wire::{Handshake, Message};

/// No parcel.
pub(crate) const NONE: u32 = u32::MAX;

/// What a parcel holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An empty place of the table.
    Empty,
    /// The message stack: a handshake.
    Handshake(Box<Handshake>),
    /// The message stack: a message.
    Message(Message),
    /// The wire stack: the bytes of a handshake or of a message; to or from a tracker: a query or a reply.
    Bytes(Bytes),
}

/// See the module. A cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Parcel {
    pub content: Content,
    /// Bytes on the wire, and whether it is a block.
    size: u32,
    /// The next parcel of the same queue.
    pub next: u32,
    /// When its first byte reaches the receiver's downlink.
    pub first: u64,
}

/// The bit of `size` that says that a parcel is a block.
const BLOCK: u32 = 1 << 31;
/// What a block's message has besides its payload (BEP 3: length, id, piece, offset).
const BLOCK_HEADER: u32 = 13;

impl Parcel {
    const fn empty(next: u32) -> Self {
        Self { content: Content::Empty, size: 0, next, first: 0 }
    }

    /// Bytes on the wire.
    pub fn size(&self) -> u32 {
        self.size & !BLOCK
    }

    /// Of those, payload bytes of a block.
    pub fn payload(&self) -> u32 {
        if self.size & BLOCK == 0 { 0 } else { self.size() - BLOCK_HEADER }
    }

    /// What it will be about for the peer that receives it.
    pub fn about(&self) -> About {
        match &self.content {
            Content::Message(Message::Have(piece)) => About::Have(*piece),
            Content::Message(Message::Piece { piece, .. }) => About::Block(*piece),
            Content::Message(Message::Request(_)) => About::Upload,
            _ => About::Other,
        }
    }
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
    /// A parcel of `size` bytes on the wire; `block` says that they are a block's message.
    pub fn insert(&mut self, content: Content, size: u32, block: bool) -> u32 {
        debug_assert!(size < BLOCK && (!block || size >= BLOCK_HEADER));
        let size = if block { size | BLOCK } else { size };
        self.put(Parcel { content, size, next: NONE, first: 0 })
    }

    /// A parcel that was taken out of another table.
    pub fn put(&mut self, parcel: Parcel) -> u32 {
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

    /// Asks for the memory of a parcel.
    #[inline]
    pub fn prefetch(&self, at: u32) {
        prefetch::element(&self.table, at as usize);
    }

    /// Payload of the parcels that the uplinks have begun to send and that have not been taken out.
    pub fn payload_under_way(&self) -> u64 {
        self.table.iter().filter(|parcel| parcel.first > 0).map(|parcel| u64::from(parcel.payload())).sum()
    }

    /// Takes a parcel out; its `next` is as it was.
    pub fn take(&mut self, at: u32) -> Parcel {
        let empty = Parcel::empty(self.free);
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
