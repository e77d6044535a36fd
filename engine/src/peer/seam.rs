//! The seam: what a driver tells a [`Peer`](super::Peer) and what it is told. The message is the unit; how
//! messages become bytes, and bytes packets, is stacked under it.
//!
//! - An input cannot fail: one bad remote must not poison a peer with forty others. A remote's fault is an
//!   [`Output::Disconnect`] whose reason names what it did.
//! - [`Event`] is observation only: a driver that drops every one behaves the same.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::ids::ConnId;
use crate::layout::{BlockRef, PieceIndex};
use crate::time::Instant;
use crate::tracker::{AnnounceError, AnnounceReply, AnnounceRequest};
use crate::wire::{Handshake, Message, WireError};

/// What happened, told by the driver.
#[derive(Clone, Debug)]
#[repr(u32)] // As wide as the fields: what is narrower is moved in pieces that overlap, and the processor waits for each.
pub enum Input {
    /// Join the swarm: announce, begin to connect.
    Start,
    /// The deadline of [`Peer::poll_timeout`](super::Peer::poll_timeout) has come. Harmless when early.
    Timeout,
    /// A transport connection is up. `conn` must not be in use; it may be one whose connection was closed.
    Connected {
        /// The driver's name for it.
        conn: ConnId,
        /// The other end.
        addr: SocketAddr,
        /// True if [`Output::Connect`] asked for it.
        outgoing: bool,
    },
    /// What [`Output::Connect`] asked for could not be had.
    ConnectFailed {
        /// The address that was dialled.
        addr: SocketAddr,
    },
    /// The transport connection is gone. Not to be told after [`Output::Disconnect`].
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// The remote's handshake has come.
    Handshake {
        /// From whom.
        conn: ConnId,
        /// What it said.
        handshake: Handshake,
    },
    /// A message has come.
    Message {
        /// From whom.
        conn: ConnId,
        /// Which.
        message: Message,
    },
    /// Bytes came that are no message.
    Malformed {
        /// From whom.
        conn: ConnId,
        /// What is wrong with them.
        error: WireError,
    },
    /// Payload has left: a [`Message::Piece`] of this many payload bytes was handed to the network.
    Sent {
        /// To whom.
        conn: ConnId,
        /// Payload bytes.
        bytes: u32,
    },
    /// The bytes that [`Output::ReadBlock`] asked for; `None`: they could not be read.
    BlockRead {
        /// Who asked for them.
        conn: ConnId,
        /// Which.
        block: BlockRef,
        /// Exactly as many bytes as the block has.
        data: Option<Bytes>,
    },
    /// The verdict that [`Output::VerifyPiece`] asked for.
    PieceVerified {
        /// Which.
        piece: PieceIndex,
        /// Whether the bytes hash to what the torrent says.
        ok: bool,
    },
    /// Addresses of other peers, from anywhere but the tracker's reply.
    Discovered {
        /// The addresses.
        peers: Vec<SocketAddr>,
    },
    /// Addresses that the user names. They are dialled before all others, and at once, however lately they
    /// have failed. Those of a private torrent too: BEP 27 has a client find peers by the tracker alone, and
    /// what its user tells it, it has not found (libtorrent's `connect_peer` is as free).
    Named {
        /// The addresses.
        peers: Vec<SocketAddr>,
    },
    /// What the tracker said to the last [`Output::Announce`]; `Err`: that it refuses, or did not answer. What is said to an earlier one is not to be told: after a `Stop` and a `Start` it would be taken
    /// for the answer to `started`.
    Announced(Result<Box<AnnounceReply>, AnnounceError>),
    /// Leave the swarm: say so to the tracker and drop every connection. Nothing follows but a new `Start`.
    Stop,
}

/// What to do, told to the driver.
#[derive(Clone, Debug)]
#[repr(u32)] // As wide as the fields: what is narrower is moved in pieces that overlap, and the processor waits for each.
pub enum Output {
    /// Dial; answer with [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// Whom.
        addr: SocketAddr,
    },
    /// Close the connection. Its id is free from here on, and nothing more is to be told of it.
    Disconnect {
        /// Which.
        conn: ConnId,
        /// Why.
        reason: DisconnectReason,
    },
    /// Send the handshake.
    SendHandshake {
        /// To whom.
        conn: ConnId,
        /// What.
        handshake: Handshake,
    },
    /// Send a message; messages of one connection keep their order.
    Send {
        /// To whom.
        conn: ConnId,
        /// What.
        message: Message,
    },
    /// Fetch a verified block's bytes; answer with [`Input::BlockRead`].
    ReadBlock {
        /// For whom.
        conn: ConnId,
        /// Which.
        block: BlockRef,
    },
    /// Keep these bytes: unverified until their piece is.
    WriteBlock {
        /// Where.
        block: BlockRef,
        /// The bytes.
        data: Bytes,
    },
    /// Every block of the piece was written: hash it; answer with [`Input::PieceVerified`].
    VerifyPiece {
        /// Which.
        piece: PieceIndex,
    },
    /// Ask the tracker; answer with [`Input::Announced`] (not needed for `stopped`).
    Announce(Box<AnnounceRequest>),
    /// For observers.
    Event(Event),
}

/// What crosses the seam, for who watches.
#[derive(Clone, Copy, Debug)]
pub enum Seam<'a> {
    /// What the peer is told.
    Input(&'a Input),
    /// What it says.
    Output(&'a Output),
}

/// What an observer may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece was verified.
    PieceCompleted(PieceIndex),
    /// The last piece was verified.
    Completed,
    /// A piece did not hash to what the torrent says.
    HashFailed(PieceIndex),
    /// An address is refused from here on.
    Banned(IpAddr),
    /// A block came that was had already, or that nobody asked for.
    Wasted {
        /// From whom.
        conn: ConnId,
        /// Payload bytes.
        bytes: u32,
    },
    /// A remote that owes blocks has sent none for too long.
    Snubbed(ConnId),
    /// Everything that is missing is requested, for the first time: blocks are asked for twice.
    EndgameStarted,
}

/// Why a connection was closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DisconnectReason {
    /// No room for it.
    #[error("too many connections")]
    TooMany,
    /// It is us.
    #[error("a connection to ourselves")]
    SelfConnection,
    /// There is one to the same peer already.
    #[error("a second connection to one peer")]
    Duplicate,
    /// It wants another torrent.
    #[error("another torrent's info-hash")]
    WrongTorrent,
    /// Both have everything.
    #[error("both ends have every piece")]
    BothComplete,
    /// Its address is banned.
    #[error("the address is banned")]
    Banned,
    /// It did not finish its handshake in time.
    #[error("no handshake within the time allowed")]
    HandshakeTimeout,
    /// It has been silent for too long.
    #[error("nothing received for too long")]
    Idle,
    /// It owes blocks, and keeps owing them.
    #[error("it promised blocks and sent none")]
    Stalled,
    /// We leave.
    #[error("we leave the swarm")]
    Leaving,
    /// It broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(Violation),
}

/// What a remote did that no honest peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// Its bytes are no messages.
    #[error("undecodable bytes")]
    Malformed,
    /// A bitfield of the wrong length, or with spare bits set (BEP 3).
    #[error("an invalid bitfield")]
    BadBitfield,
    /// A have-none from who has said that it has pieces (BEP 6): they are not taken back.
    #[error("a have-none after pieces")]
    LateHaveNone,
    /// A piece number that the torrent does not have.
    #[error("a piece out of range")]
    PieceOutOfRange,
    /// A request for bytes outside the torrent, or for more than is served at once.
    #[error("a request out of range")]
    BadRequest,
    /// It asks for more at once than any client would.
    #[error("too many requests")]
    TooManyRequests,
    /// A block that was never requested (BEP 6 asks to close).
    #[error("blocks that nobody asked for")]
    UnrequestedBlock,
    /// A message of an extension that was not agreed on in the handshake.
    #[error("a message of the fast extension without its bit")]
    FastNotAgreed,
    /// A second handshake.
    #[error("a second handshake")]
    SecondHandshake,
    /// A message before its handshake.
    #[error("a message before the handshake")]
    NoHandshake,
    /// It refuses, unchoked, to send pieces that it claims to have.
    #[error("refuses pieces that it claims")]
    FalseClaims,
    /// It exchanges peers more often than BEP 11 allows, again and again.
    #[error("floods with peers")]
    PexFlood,
    /// It sent data that failed its hash.
    #[error("corrupt data")]
    CorruptData,
}

/// When [`Input::Timeout`] is due, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// What waits for it.
    pub why: Why,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next look at every connection: choke round, snubs, keep-alives, time-outs.
    Round,
    /// The tracker is to be asked.
    Announce,
}
