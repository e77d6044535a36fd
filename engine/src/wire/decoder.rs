//! Bytes to messages, in whatever slices they come.
//!
//! - A message's length is judged as soon as its prefix and id are there, before any of its body is awaited:
//!   once [`Decoder::poll`] has said `None`, at most one unfinished message within the [`Limits`] is held.
//! - No byte is allocated on the word of a length prefix: the buffer grows with what has come.
//! - No input makes it panic, and an error is final: the connection is to be closed.
//! - Each byte is copied once, into the buffer; larger payloads are handed out as views of it.

use bytes::{Buf, Bytes, BytesMut};

use super::handshake::{HANDSHAKE_LENGTH, Handshake, InfoHash, PROTOCOL, THROUGH_INFO_HASH};
use super::message::{Message, RawBlock, id};

/// A payload under this many bytes is copied out, so that a small message kept for long does not keep the
/// buffer it came in.
const COPY_BELOW: usize = 4096;

/// The longest payloads that a remote may send, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The block of a `Piece`.
    pub block: u32,
    /// A `Bitfield`.
    pub bitfield: u32,
    /// An `Extended` message, its extended id not counted.
    pub extended: u32,
    /// A message of an unknown id.
    pub unknown: u32,
}

impl Default for Limits {
    /// Blocks of 128 KiB, the longest that clients in the field serve; a bitfield of
    /// [`Layout::MAX_PIECES`](crate::Layout::MAX_PIECES); 1 MiB of extension; 64 KiB of anything else.
    fn default() -> Self {
        Self {
            block: 128 << 10,
            bitfield: crate::Layout::MAX_PIECES.div_ceil(8),
            extended: 1 << 20,
            unknown: 64 << 10,
        }
    }
}

impl Limits {
    /// The most bytes that a decoder holds after [`Decoder::poll`] has said `None`.
    pub fn most_buffered(&self) -> usize {
        let longest = [
            self.block.saturating_add(9),
            self.bitfield.saturating_add(1),
            self.extended.saturating_add(2),
            self.unknown.saturating_add(1),
            HANDSHAKE_LENGTH as u32,
        ];
        4 + longest.into_iter().max().unwrap_or_default() as usize
    }

    /// The lengths, id included, that a message with this id may have.
    fn lengths(&self, id: u8) -> (u32, u32) {
        match id {
            id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => (1, 1),
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => (5, 5),
            id::REQUEST | id::CANCEL | id::REJECT => (13, 13),
            id::PORT => (3, 3),
            id::BITFIELD => (1, self.bitfield.saturating_add(1)),
            id::PIECE => (9, self.block.saturating_add(9)),
            id::EXTENDED => (2, self.extended.saturating_add(2)),
            _ => (1, self.unknown.saturating_add(1)),
        }
    }
}

/// What the remote did wrong. Every one of these closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Its first bytes are not BEP 3's handshake.
    #[error("it does not speak the BitTorrent protocol: byte {at} of its handshake is {got:#04x}")]
    Protocol {
        /// Where the first wrong byte is, from 0.
        at: usize,
        /// That byte.
        got: u8,
    },
    /// A message has no length that its id allows.
    #[error("it sent a message of id {id} with a length of {length}, which is outside {least} to {most}")]
    Length {
        /// The message id.
        id: u8,
        /// The length prefix (the id and all that follows it).
        length: u32,
        /// The least that is allowed.
        least: u32,
        /// The most that is allowed.
        most: u32,
    },
}

/// What the bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The first thing on a connection.
    Handshake(Handshake),
    /// All that follows.
    Message(Message),
}

/// The bytes of one connection, one direction, turned into what they say.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    limits: Limits,
    greeted: bool,
    failed: Option<WireError>,
}

impl Decoder {
    /// For a connection whose handshake is still to come.
    pub fn new(limits: Limits) -> Self {
        Self { buffer: BytesMut::new(), limits, greeted: false, failed: None }
    }

    /// For a connection whose handshake has been read by someone else.
    pub fn after_handshake(limits: Limits) -> Self {
        Self { greeted: true, ..Self::new(limits) }
    }

    /// Takes what has been received, in order. [`poll`](Self::poll) until `None` after each call; what is
    /// fed meanwhile is held, so the caller's reads should be bounded (64 KiB, say). After an error, bytes
    /// are thrown away.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Where to append received bytes in place of [`feed`](Self::feed), without a copy.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes that are held and not yet handed out.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The torrent that the remote asks for, once so much of its handshake is there and until the handshake
    /// is handed out. It may be answered then (BEP 3): who only checks whether we are reachable sends no
    /// more.
    pub fn info_hash(&self) -> Option<InfoHash> {
        if self.greeted || self.failed.is_some() || !self.buffer.starts_with(PROTOCOL) {
            return None;
        }
        let bytes = self.buffer.get(THROUGH_INFO_HASH - 20..THROUGH_INFO_HASH)?;
        bytes.try_into().ok().map(InfoHash)
    }

    /// The next handshake or message; `None` if more bytes are needed. Errors repeat.
    pub fn poll(&mut self) -> Result<Option<Decoded>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result =
            if self.greeted { self.message().map(|m| m.map(Decoded::Message)) } else { self.handshake() };
        if let Err(error) = result {
            self.failed = Some(error);
            self.buffer = BytesMut::new();
        }
        result
    }

    fn handshake(&mut self) -> Result<Option<Decoded>, WireError> {
        // Judged byte by byte, so that another protocol is told apart without waiting for 68 bytes.
        for (at, (&got, &due)) in self.buffer.iter().zip(PROTOCOL).enumerate() {
            if got != due {
                return Err(WireError::Protocol { at, got });
            }
        }
        let Some(handshake) = self.buffer.first_chunk().and_then(Handshake::from_bytes) else {
            return Ok(None);
        };
        self.buffer.advance(HANDSHAKE_LENGTH);
        self.greeted = true;
        Ok(Some(Decoded::Handshake(handshake)))
    }

    fn message(&mut self) -> Result<Option<Message>, WireError> {
        let Some(&prefix) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(prefix);
        if length == 0 {
            self.buffer.advance(4);
            return Ok(Some(Message::KeepAlive));
        }
        let Some(&id) = self.buffer.get(4) else { return Ok(None) };
        let (least, most) = self.limits.lengths(id);
        if !(least..=most).contains(&length) {
            return Err(WireError::Length { id, length, least, most });
        }
        if self.buffer.len() - 4 < length as usize {
            return Ok(None);
        }
        self.buffer.advance(5);
        Ok(Some(body(id, &mut self.buffer, length as usize - 1)))
    }
}

/// Takes a body of `length` bytes, a length that [`Limits::lengths`] allows for `id`, off a buffer that
/// holds it.
fn body(id: u8, buffer: &mut BytesMut, length: usize) -> Message {
    match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(buffer.get_u32()),
        id::BITFIELD => Message::Bitfield(payload(buffer, length)),
        id::REQUEST => Message::Request(block(buffer)),
        id::PIECE => {
            let (piece, begin) = (buffer.get_u32(), buffer.get_u32());
            Message::Piece { piece, begin, data: payload(buffer, length - 8) }
        }
        id::CANCEL => Message::Cancel(block(buffer)),
        id::PORT => Message::Port(buffer.get_u16()),
        id::SUGGEST => Message::Suggest(buffer.get_u32()),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(block(buffer)),
        id::ALLOWED_FAST => Message::AllowedFast(buffer.get_u32()),
        id::EXTENDED => {
            let id = buffer.get_u8();
            Message::Extended { id, payload: payload(buffer, length - 1) }
        }
        _ => Message::Unknown { id, payload: payload(buffer, length) },
    }
}

fn block(buffer: &mut BytesMut) -> RawBlock {
    RawBlock { piece: buffer.get_u32(), begin: buffer.get_u32(), length: buffer.get_u32() }
}

fn payload(buffer: &mut BytesMut, length: usize) -> Bytes {
    if length >= COPY_BELOW {
        return buffer.split_to(length).freeze();
    }
    let copy = Bytes::copy_from_slice(&buffer[..length]);
    buffer.advance(length);
    copy
}
