//! The messages of BEP 3, BEP 6 and BEP 10, as the engine and its drivers pass them: fields as they came,
//! not yet checked against a torrent (that is `Layout`'s and `Peer`'s work).

use bytes::Bytes;

/// A range that a remote names. Unchecked: `Layout::block` makes a `BlockRef` of it if it is in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawBlock {
    /// The piece's number.
    pub piece: u32,
    /// Offset of the first byte within the piece.
    pub begin: u32,
    /// Bytes.
    pub length: u32,
}

impl From<crate::layout::BlockRef> for RawBlock {
    fn from(block: crate::layout::BlockRef) -> Self {
        Self { piece: block.piece().get(), begin: block.begin(), length: block.length() }
    }
}

/// One message after the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(u32)] // As wide as the fields: what is narrower is moved in pieces that overlap, and the processor waits for each.
pub enum Message {
    /// Length 0: nothing but a sign of life (BEP 3).
    KeepAlive,
    /// Id 0 (BEP 3).
    Choke,
    /// Id 1 (BEP 3).
    Unchoke,
    /// Id 2 (BEP 3).
    Interested,
    /// Id 3 (BEP 3).
    NotInterested,
    /// Id 4: the sender has this piece (BEP 3).
    Have(u32),
    /// Id 5: the sender's pieces, first message only (BEP 3).
    Bitfield(Bytes),
    /// Id 6 (BEP 3).
    Request(RawBlock),
    /// Id 7: a block's bytes (BEP 3).
    Piece {
        /// The piece's number.
        piece: u32,
        /// Offset of the first byte within the piece.
        begin: u32,
        /// The bytes.
        data: Bytes,
    },
    /// Id 8 (BEP 3).
    Cancel(RawBlock),
    /// Id 9: the sender's DHT port (BEP 5).
    Port(u16),
    /// Id 13 (BEP 6).
    Suggest(u32),
    /// Id 14 (BEP 6).
    HaveAll,
    /// Id 15 (BEP 6).
    HaveNone,
    /// Id 16: this request will not be served (BEP 6).
    Reject(RawBlock),
    /// Id 17: this piece may be requested while choked (BEP 6).
    AllowedFast(u32),
    /// Id 20: an extension's message; `id` 0 is the extended handshake (BEP 10).
    Extended {
        /// The number the receiver gave the extension in its handshake.
        id: u8,
        /// The rest of the message.
        payload: Bytes,
    },
    /// Any other id: kept, so that a receiver can ignore it (forward compatible) and a relay pass it on.
    Unknown {
        /// The message id.
        id: u8,
        /// The rest of the message.
        payload: Bytes,
    },
}

/// The ids of BEP 3, BEP 5, BEP 6 and BEP 10.
pub mod id {
    #![expect(missing_docs, reason = "named as the messages are")]
    pub const CHOKE: u8 = 0;
    pub const UNCHOKE: u8 = 1;
    pub const INTERESTED: u8 = 2;
    pub const NOT_INTERESTED: u8 = 3;
    pub const HAVE: u8 = 4;
    pub const BITFIELD: u8 = 5;
    pub const REQUEST: u8 = 6;
    pub const PIECE: u8 = 7;
    pub const CANCEL: u8 = 8;
    pub const PORT: u8 = 9;
    pub const SUGGEST: u8 = 13;
    pub const HAVE_ALL: u8 = 14;
    pub const HAVE_NONE: u8 = 15;
    pub const REJECT: u8 = 16;
    pub const ALLOWED_FAST: u8 = 17;
    pub const EXTENDED: u8 = 20;
}

impl Message {
    /// The id on the wire; `None` for a keep-alive, which has none.
    pub fn id(&self) -> Option<u8> {
        Some(match self {
            Self::KeepAlive => return None,
            Self::Choke => id::CHOKE,
            Self::Unchoke => id::UNCHOKE,
            Self::Interested => id::INTERESTED,
            Self::NotInterested => id::NOT_INTERESTED,
            Self::Have(_) => id::HAVE,
            Self::Bitfield(_) => id::BITFIELD,
            Self::Request(_) => id::REQUEST,
            Self::Piece { .. } => id::PIECE,
            Self::Cancel(_) => id::CANCEL,
            Self::Port(_) => id::PORT,
            Self::Suggest(_) => id::SUGGEST,
            Self::HaveAll => id::HAVE_ALL,
            Self::HaveNone => id::HAVE_NONE,
            Self::Reject(_) => id::REJECT,
            Self::AllowedFast(_) => id::ALLOWED_FAST,
            Self::Extended { .. } => id::EXTENDED,
            Self::Unknown { id, .. } => *id,
        })
    }

    /// The bytes it takes on the wire, the four of the length prefix included.
    pub fn wire_length(&self) -> u32 {
        4 + match self {
            Self::KeepAlive => 0,
            Self::Choke
            | Self::Unchoke
            | Self::Interested
            | Self::NotInterested
            | Self::HaveAll
            | Self::HaveNone => 1,
            Self::Have(_) | Self::Suggest(_) | Self::AllowedFast(_) => 5,
            Self::Request(_) | Self::Cancel(_) | Self::Reject(_) => 13,
            Self::Port(_) => 3,
            Self::Bitfield(payload) => 1 + payload.len() as u32,
            Self::Piece { data, .. } => 9 + data.len() as u32,
            Self::Extended { payload, .. } => 2 + payload.len() as u32,
            Self::Unknown { payload, .. } => 1 + payload.len() as u32,
        }
    }
}
