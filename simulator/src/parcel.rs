//! Parcels: what is queued on a link or on its way, in one table whose places are used again.

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use engine::peer::About;
use engine::wire::{Handshake, Message, RawBlock};

use crate::host::storage::Storage;

/// No parcel.
pub(crate) const NONE: u32 = u32::MAX;

/// What a parcel holds, in 16 bytes: of the messages that a swarm sends all the time, the message stack keeps the fields.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An empty place of the table.
    Empty,
    /// The message stack: a handshake.
    Handshake(Box<Handshake>),
    /// The message stack: a message that has no kind of its own here.
    Message(Box<Message>),
    Choke,
    Unchoke,
    Interested,
    NotInterested,
    KeepAlive,
    HaveAll,
    HaveNone,
    Have(u32),
    AllowedFast(u32),
    Request(RawBlock),
    Cancel(RawBlock),
    Reject(RawBlock),
    /// A block, and whether its bytes are right: they are always of one of two static buffers.
    Block {
        raw: RawBlock,
        right: bool,
    },
    /// The wire stack: the bytes of a handshake or of a message; to or from a tracker: a query or a reply.
    Bytes(Box<Bytes>),
}

impl Content {
    /// What travels in the message stack for `message`.
    pub fn of(message: Message) -> Self {
        match message {
            Message::Choke => Self::Choke,
            Message::Unchoke => Self::Unchoke,
            Message::Interested => Self::Interested,
            Message::NotInterested => Self::NotInterested,
            Message::KeepAlive => Self::KeepAlive,
            Message::HaveAll => Self::HaveAll,
            Message::HaveNone => Self::HaveNone,
            Message::Have(piece) => Self::Have(piece),
            Message::AllowedFast(piece) => Self::AllowedFast(piece),
            Message::Request(raw) => Self::Request(raw),
            Message::Cancel(raw) => Self::Cancel(raw),
            Message::Reject(raw) => Self::Reject(raw),
            Message::Piece { piece, begin, data } => {
                let raw = RawBlock { piece, begin, length: data.len() as u32 };
                Self::Block { raw, right: Storage::is_right(&data) }
            }
            other => Self::Message(Box::new(other)),
        }
    }

    /// The bytes of the wire stack, or those that go to and from a tracker.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(Box::new(bytes.into()))
    }

    /// The message that it is, if it is one of the message stack.
    pub fn into_message(self) -> Option<Message> {
        Some(match self {
            Self::Empty | Self::Handshake(_) | Self::Bytes(_) => return None,
            Self::Message(message) => *message,
            Self::Choke => Message::Choke,
            Self::Unchoke => Message::Unchoke,
            Self::Interested => Message::Interested,
            Self::NotInterested => Message::NotInterested,
            Self::KeepAlive => Message::KeepAlive,
            Self::HaveAll => Message::HaveAll,
            Self::HaveNone => Message::HaveNone,
            Self::Have(piece) => Message::Have(piece),
            Self::AllowedFast(piece) => Message::AllowedFast(piece),
            Self::Request(raw) => Message::Request(raw),
            Self::Cancel(raw) => Message::Cancel(raw),
            Self::Reject(raw) => Message::Reject(raw),
            Self::Block { raw: RawBlock { piece, begin, length }, right } => {
                Message::Piece { piece, begin, data: Storage::static_bytes(length, right) }
            }
        })
    }
}

/// See the module. Half a cache line.
#[derive(Clone, Debug)]
#[repr(align(32))]
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
            Content::Have(piece) => About::Have(*piece),
            Content::Block { raw, .. } => About::Block(raw.piece),
            Content::Request(_) => About::Upload,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_is_half_a_cache_line() {
        assert_eq!(size_of::<Parcel>(), 32);
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let raw = RawBlock { piece: 7, begin: 16_384, length: 1_000 };
        let block = |right| {
            let data = Storage::static_bytes(raw.length, right);
            Message::Piece { piece: raw.piece, begin: raw.begin, data }
        };
        let payload = Bytes::from_static(&[1, 2, 3]);
        let messages = [
            Message::KeepAlive,
            Message::Choke,
            Message::Unchoke,
            Message::Interested,
            Message::NotInterested,
            Message::Have(3),
            Message::Bitfield(payload.clone()),
            Message::Request(raw),
            block(true),
            block(false),
            Message::Piece { piece: 0, begin: 0, data: Bytes::new() },
            Message::Cancel(raw),
            Message::Port(9),
            Message::Suggest(1),
            Message::HaveAll,
            Message::HaveNone,
            Message::Reject(raw),
            Message::AllowedFast(4),
            Message::Extended { id: 0, payload: payload.clone() },
            Message::Unknown { id: 99, payload },
        ];
        for message in messages {
            assert_eq!(Content::of(message.clone()).into_message(), Some(message));
        }
    }
}
