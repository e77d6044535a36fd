//! A dialogue: what up to [`REMOTES`] remotes say to one peer, and when. Nothing in it depends on who that peer is,
//! so that one dialogue can be held with the engine in memory and with any client on a socket.

use std::time::Duration;

use engine::wire::{HANDSHAKE_LENGTH, Handshake, InfoHash, Message, PeerId, RawBlock, encode};

use super::subject::Subject;
use crate::launch::With;

/// The most remotes of a dialogue; they are numbered from 1.
pub const REMOTES: u8 = 4;
/// The most steps of a dialogue that is read from a file.
pub const MAX_STEPS: usize = 10_000;
/// The longest wait before a step: a day of virtual time.
pub const MAX_WAIT: Duration = Duration::from_secs(86_400);
/// The id under which the remotes of a dialogue take `ut_metadata` (BEP 9).
pub const METADATA_HERE: u8 = 3;

/// What the peer that is spoken to is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It has nothing of the torrent.
    Leech,
    /// It has everything.
    Seed,
    /// It has a magnet link alone.
    Magnet,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Leech, Self::Seed, Self::Magnet];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leech => "leech",
            Self::Seed => "seed",
            Self::Magnet => "magnet",
        }
    }

    /// How a client is told of the torrent.
    pub const fn with(self) -> With {
        match self {
            Self::Leech => With::Leech,
            Self::Seed => With::Seed,
            Self::Magnet => With::Magnet,
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Await {
    /// The peer's handshake.
    Handshake,
    /// Any message.
    Message,
    /// An unchoke.
    Unchoke,
    /// Interest.
    Interested,
    /// A request for a block.
    Request,
    /// A block.
    Piece,
    /// A refusal (BEP 6).
    Reject,
    /// An extended message (BEP 10).
    Extended,
}

impl Await {
    /// All of them, with their names in files.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Handshake, "handshake"),
        (Self::Message, "message"),
        (Self::Unchoke, "unchoke"),
        (Self::Interested, "interested"),
        (Self::Request, "request"),
        (Self::Piece, "piece"),
        (Self::Reject, "reject"),
        (Self::Extended, "extended"),
    ];

    /// Whether this is what is waited for.
    pub fn is(self, message: &Message) -> bool {
        match self {
            Self::Handshake => false,
            Self::Message => true,
            Self::Unchoke => matches!(message, Message::Unchoke),
            Self::Interested => matches!(message, Message::Interested),
            Self::Request => matches!(message, Message::Request(_)),
            Self::Piece => matches!(message, Message::Piece { .. }),
            Self::Reject => matches!(message, Message::Reject(_)),
            Self::Extended => matches!(message, Message::Extended { .. }),
        }
    }
}

/// How requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serve {
    /// With what they ask for.
    Good,
    /// With a wrong byte.
    Bad,
    /// With a byte less.
    Short,
    /// With the bytes of the next block, named as such.
    Other,
    /// Twice.
    Twice,
    /// With a refusal (BEP 6, BEP 9).
    Reject,
}

impl Serve {
    /// All of them, with their names in files.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Good, "good"),
        (Self::Bad, "bad"),
        (Self::Short, "short"),
        (Self::Other, "other"),
        (Self::Twice, "twice"),
        (Self::Reject, "reject"),
    ];
}

/// What a remote does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Dials. A remote whose first step is another dials all the same.
    Connect,
    /// Sends a handshake.
    Handshake {
        /// What it can do.
        reserved: [u8; 8],
        /// For which torrent; `None`: for the peer's own.
        info_hash: Option<InfoHash>,
        /// Who it is.
        peer_id: PeerId,
    },
    /// Sends a message.
    Say(Message),
    /// Sends a block of the torrent's own bytes; zeros outside of it.
    Block(RawBlock),
    /// Sends bytes.
    Bytes(Vec<u8>),
    /// Waits until the peer has said this once more than was waited for, but not for ever.
    Await(Await),
    /// Answers so many requests as they come, for blocks and for metadata, but does not wait for ever.
    Serve {
        /// How many.
        count: u16,
        /// How.
        how: Serve,
    },
    /// Hangs up.
    Close,
}

impl Act {
    /// The bytes that it sends, if they are known beforehand.
    pub fn bytes(&self, subject: &Subject) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Handshake { reserved, info_hash, peer_id } => {
                let info_hash = info_hash.unwrap_or(subject.metainfo.info_hash);
                let handshake = Handshake { reserved: *reserved, info_hash, peer_id: *peer_id };
                out.reserve(HANDSHAKE_LENGTH);
                out.extend_from_slice(&handshake.to_bytes());
            }
            Self::Say(message) => encode(message, &mut out),
            Self::Block(block) => encode(&subject.block(*block), &mut out),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Connect | Self::Await(_) | Self::Serve { .. } | Self::Close => {}
        }
        out
    }
}

/// One line of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Who acts: 1 to [`REMOTES`].
    pub remote: u8,
    /// How long after the step before; whole milliseconds.
    pub wait: Duration,
    /// What it does.
    pub act: Act,
    /// What is sent goes out in slices of so many bytes; 0: at once.
    pub slice: u16,
}

impl Step {
    /// A step without a wait, sent at once.
    pub fn new(remote: u8, act: Act) -> Self {
        Self { remote, wait: Duration::ZERO, act, slice: 0 }
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Dialogue {
    /// What the peer is.
    pub role: Role,
    /// Bytes of the torrent's content, 1 to [`Subject::MAX_TOTAL`].
    pub total: u64,
    /// Bytes of each of its pieces but the last.
    pub piece_length: u32,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// The numbers in a message that a mutation may change and a shrinker make small, in their order on the wire.
pub fn numbers(message: &Message) -> Vec<u32> {
    match message {
        Message::Have(n) | Message::Suggest(n) | Message::AllowedFast(n) => vec![*n],
        Message::Request(block) | Message::Cancel(block) | Message::Reject(block) => {
            vec![block.piece, block.begin, block.length]
        }
        Message::Piece { piece, begin, .. } => vec![*piece, *begin],
        Message::Port(port) => vec![(*port).into()],
        Message::Extended { id, .. } | Message::Unknown { id, .. } => vec![(*id).into()],
        _ => Vec::new(),
    }
}

/// The message with another number at this place; what does not fit is cut. An id stays one that is unknown.
pub fn with_number(message: &Message, at: usize, number: u32) -> Message {
    let mut message = message.clone();
    match &mut message {
        Message::Have(n) | Message::Suggest(n) | Message::AllowedFast(n) => *n = number,
        Message::Request(block) | Message::Cancel(block) | Message::Reject(block) => {
            *match at {
                0 => &mut block.piece,
                1 => &mut block.begin,
                _ => &mut block.length,
            } = number;
        }
        Message::Piece { piece, begin, .. } => *(if at == 0 { piece } else { begin }) = number,
        Message::Port(port) => *port = number as u16,
        Message::Extended { id, .. } => *id = number as u8,
        Message::Unknown { id, .. } => *id = 21u8.max(number as u8),
        _ => {}
    }
    message
}

/// The bytes in an act that can be anything: a bitfield's, a block's, an extended message's, raw ones.
pub fn payload(act: &Act) -> Option<&[u8]> {
    match act {
        Act::Bytes(bytes) => Some(bytes),
        Act::Say(Message::Bitfield(payload)) => Some(payload),
        Act::Say(Message::Piece { data, .. }) => Some(data),
        Act::Say(Message::Extended { payload, .. } | Message::Unknown { payload, .. }) => Some(payload),
        _ => None,
    }
}

/// The act with these bytes in place of [`payload`].
pub fn with_payload(act: &Act, bytes: Vec<u8>) -> Act {
    let mut act = act.clone();
    match &mut act {
        Act::Bytes(old) => *old = bytes,
        Act::Say(
            Message::Bitfield(old)
            | Message::Piece { data: old, .. }
            | Message::Extended { payload: old, .. }
            | Message::Unknown { payload: old, .. },
        ) => *old = bytes.into(),
        _ => {}
    }
    act
}
