//! Parcels: what is queued on a link or on its way, in one table whose places are used again.

use std::ops::{Index, IndexMut};

use bytes::Bytes;
use engine::ConnId;
use engine::peer::{About, Input};
use engine::wire::{Handshake, Message, RawBlock};

use crate::host::storage::Storage;

/// No parcel.
pub(crate) const NONE: u32 = u32::MAX;

/// What a parcel holds, in 16 bytes: of the messages that a swarm sends all the time, the message stack keeps the fields.
/// Its kind is as wide as what stands beside it: what is narrower is moved in pieces that overlap, and the processor waits
/// for each.
#[derive(Clone, Debug)]
#[repr(u32)]
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
    /// A block whose bytes are right, and one whose are wrong: they are always of one of two static buffers.
    Block(RawBlock),
    WrongBlock(RawBlock),
    /// The wire stack: the bytes of a handshake or of a message; to or from a tracker: a query or a reply.
    Bytes(Box<Bytes>),
}

impl Content {
    /// Makes of an empty place what travels in the message stack for `message`. Nothing is built first and copied then: the
    /// processor would wait for what was just written.
    #[inline]
    fn fill(&mut self, message: &Message) {
        // What was there is nothing, and needs no drop.
        let mut put = |content| std::mem::forget(std::mem::replace(self, content));
        match message {
            Message::Have(piece) => put(Self::Have(*piece)),
            Message::Request(raw) => put(Self::Request(*raw)),
            Message::Piece { piece, begin, data } => {
                let raw = RawBlock { piece: *piece, begin: *begin, length: data.len() as u32 };
                put(if Storage::is_right(data) { Self::Block(raw) } else { Self::WrongBlock(raw) });
            }
            other => put(Self::seldom(other)),
        }
    }

    /// The same of messages that are not sent all the time.
    #[inline(never)]
    fn seldom(message: &Message) -> Self {
        match message {
            Message::Choke => Self::Choke,
            Message::Unchoke => Self::Unchoke,
            Message::Interested => Self::Interested,
            Message::NotInterested => Self::NotInterested,
            Message::KeepAlive => Self::KeepAlive,
            Message::HaveAll => Self::HaveAll,
            Message::HaveNone => Self::HaveNone,
            Message::AllowedFast(piece) => Self::AllowedFast(*piece),
            Message::Cancel(raw) => Self::Cancel(*raw),
            Message::Reject(raw) => Self::Reject(*raw),
            other => Self::Message(Box::new(other.clone())),
        }
    }

    /// The bytes of the wire stack, or those that go to and from a tracker.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::Bytes(Box::new(bytes.into()))
    }

    /// What a peer is told of it on `conn`, if it is one message of the message stack.
    #[inline]
    pub fn into_input(self, conn: ConnId) -> Option<Input> {
        Some(match self {
            Self::Have(piece) => Input::Message { conn, message: Message::Have(piece) },
            Self::Request(raw) => Input::Message { conn, message: Message::Request(raw) },
            Self::Block(RawBlock { piece, begin, length }) => {
                let data = Storage::static_bytes(length, true);
                Input::Message { conn, message: Message::Piece { piece, begin, data } }
            }
            Self::Handshake(handshake) => Input::Handshake { conn, handshake: *handshake },
            other => Input::Message { conn, message: other.into_seldom()? },
        })
    }

    /// The message that it is, if it is one that is not sent all the time.
    #[inline(never)]
    fn into_seldom(self) -> Option<Message> {
        Some(match self {
            Self::Message(message) => *message,
            Self::Choke => Message::Choke,
            Self::Unchoke => Message::Unchoke,
            Self::Interested => Message::Interested,
            Self::NotInterested => Message::NotInterested,
            Self::KeepAlive => Message::KeepAlive,
            Self::HaveAll => Message::HaveAll,
            Self::HaveNone => Message::HaveNone,
            Self::AllowedFast(piece) => Message::AllowedFast(piece),
            Self::Cancel(raw) => Message::Cancel(raw),
            Self::Reject(raw) => Message::Reject(raw),
            Self::WrongBlock(RawBlock { piece, begin, length }) => {
                Message::Piece { piece, begin, data: Storage::static_bytes(length, false) }
            }
            Self::Empty
            | Self::Handshake(_)
            | Self::Bytes(_)
            | Self::Have(_)
            | Self::Request(_)
            | Self::Block(_) => return None,
        })
    }
}

/// The bit of a [`Size`] that says that a parcel is a block.
const BLOCK: u32 = 1 << 31;
/// What a block's message has besides its payload (BEP 3: length, id, piece, offset).
const BLOCK_HEADER: u32 = 13;

/// Bytes on the wire, and whether they are a block's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u32);

impl Size {
    /// Of what is no block: below 2³¹.
    pub fn of(bytes: u32) -> Self {
        debug_assert!(bytes < BLOCK);
        Self(bytes)
    }

    /// Of a block's message: 13 to below 2³¹.
    pub fn of_block(bytes: u32) -> Self {
        debug_assert!((BLOCK_HEADER..BLOCK).contains(&bytes));
        Self(bytes | BLOCK)
    }

    /// Bytes on the wire.
    pub fn bytes(self) -> u32 {
        self.0 & !BLOCK
    }

    /// Of those, payload bytes of a block.
    pub fn payload(self) -> u32 {
        if self.0 & BLOCK == 0 { 0 } else { self.bytes() - BLOCK_HEADER }
    }
}

/// See the module. Half a cache line.
#[derive(Clone, Debug)]
#[repr(align(32))]
pub(crate) struct Parcel {
    pub content: Content,
    size: Size,
    /// The next parcel of the same queue.
    pub next: u32,
    /// While it waits in a queue, [`WAITS`] and the size of the next one, so that the queue need not look at that; then when
    /// its first byte reaches the receiver's downlink.
    moment: u64,
}

/// The bit of a moment that says that it is none.
const WAITS: u64 = 1 << 63;

impl Parcel {
    const fn empty(next: u32) -> Self {
        Self { content: Content::Empty, size: Size(0), next, moment: WAITS }
    }

    /// Bytes on the wire, and whether it is a block.
    pub fn size(&self) -> Size {
        self.size
    }

    /// When its first byte reaches the receiver's downlink; nothing of worth before it is sent.
    pub fn first(&self) -> u64 {
        self.moment & !WAITS
    }

    /// It is sent: when its first byte reaches the receiver's downlink, below 2⁶³.
    pub fn send(&mut self, first: u64) {
        self.moment = first & !WAITS;
    }

    /// `next` is queued behind it.
    pub fn link(&mut self, next: u32, size: Size) {
        self.next = next;
        self.moment = WAITS | u64::from(size.0);
    }

    /// Takes the one behind it off, with its size.
    pub fn unlink(&mut self) -> (u32, Size) {
        (std::mem::replace(&mut self.next, NONE), Size(self.moment as u32))
    }

    /// What it will be about for the peer that receives it.
    pub fn about(&self) -> About {
        match &self.content {
            Content::Have(piece) => About::Have(*piece),
            Content::Block(raw) | Content::WrongBlock(raw) => About::Block(raw.piece),
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
    /// A parcel of `size` bytes on the wire that is no block.
    pub fn insert(&mut self, content: Content, size: u32) -> u32 {
        let at = self.place(Size::of(size));
        self.table[at as usize].content = content;
        at
    }

    /// The parcel of a message in the message stack.
    #[inline]
    pub fn insert_message(&mut self, message: &Message, size: Size) -> u32 {
        let at = self.place(size);
        self.table[at as usize].content.fill(message);
        at
    }

    /// A parcel that was taken out of another table.
    pub fn insert_parcel(&mut self, parcel: Parcel) -> u32 {
        let at = self.place(parcel.size);
        self.table[at as usize] = parcel;
        at
    }

    /// An empty parcel of a size.
    #[inline]
    pub fn place(&mut self, size: Size) -> u32 {
        if self.free == NONE {
            return self.new_place(size);
        }
        let at = self.free;
        let place = &mut self.table[at as usize];
        self.free = std::mem::replace(&mut place.next, NONE);
        place.size = size;
        self.prefetch(self.free);
        at
    }

    #[inline(never)]
    fn new_place(&mut self, size: Size) -> u32 {
        self.table.push(Parcel { size, ..Parcel::empty(NONE) });
        self.table.len() as u32 - 1
    }

    /// Asks for the memory of a parcel.
    #[inline]
    pub fn prefetch(&self, at: u32) {
        prefetch::element(&self.table, at as usize);
    }

    /// Payload of the parcels that the uplinks have begun to send and that have not been taken out.
    pub fn payload_under_way(&self) -> u64 {
        let sent = self.table.iter().filter(|parcel| parcel.moment & WAITS == 0);
        sent.map(|parcel| u64::from(parcel.size.payload())).sum()
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
            let mut content = Content::Empty;
            content.fill(&message);
            let Some(Input::Message { message: out, .. }) = content.into_input(ConnId(0)) else { panic!() };
            assert_eq!(out, message);
        }
    }
}
