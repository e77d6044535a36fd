//! A peer on a bench: a test plays its driver and every remote, through the public seam alone. After each
//! input the peer's books are checked ([`Peer::check`]).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::choker;
use crate::ids::ConnId;
use crate::layout::{BLOCK, BlockRef, Layout, PieceIndex};
use crate::peer::{
    DisconnectReason, Event, Identity, Input, Output, Peer, PeerConfig, Pipeline, Policy, Violation,
};
use crate::picker;
use crate::rng::Seed;
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::wire::{Handshake, InfoHash, Message, PeerId, RawBlock};
use crate::{Bitfield, tracker};

pub(super) const INFO_HASH: InfoHash = InfoHash([7; 20]);
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

/// Payload of so many bytes.
pub(super) fn payload(length: u32) -> Bytes {
    Bytes::from_static(&ZEROS).slice(..length as usize)
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a bench is to be made of. Four blocks in a piece, pieces in order, eight requests at a time and
/// everybody unchoked, unless said otherwise.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub layout: Layout,
    pub have: Vec<u32>,
    pub config: PeerConfig,
    pub picker: &'static str,
    pub choker: &'static str,
    pub seed: u64,
    pub private: bool,
    pub peer_id: u8,
}

impl Setup {
    /// A peer that has nothing of `pieces` pieces of four blocks each.
    pub fn leech(pieces: u32) -> Self {
        let piece = 4 * u64::from(BLOCK);
        Self {
            layout: Layout::new(u64::from(pieces) * piece, piece).unwrap(),
            have: Vec::new(),
            config: PeerConfig { pipeline: Pipeline::Fixed(8), ..PeerConfig::default() },
            picker: "sequential",
            choker: "unchoke-all",
            seed: 1,
            private: false,
            peer_id: 1,
        }
    }
    /// A peer that has everything.
    pub fn seed(pieces: u32) -> Self {
        Self { have: (0..pieces).collect(), ..Self::leech(pieces) }
    }
    pub fn depth(self, depth: u32) -> Self {
        self.with(|config| config.pipeline = Pipeline::Fixed(depth))
    }
    pub fn with(mut self, change: impl FnOnce(&mut PeerConfig)) -> Self {
        change(&mut self.config);
        self
    }
    /// Makes the peer.
    pub fn peer(&self) -> Peer {
        let choker = choker::by_name(self.choker).unwrap();
        let policy =
            Policy { leech: choker.clone(), seed: choker, picker: picker::by_name(self.picker).unwrap() };
        let mut have = Bitfield::empty(&self.layout);
        for &piece in &self.have {
            have.insert(self.layout.piece(piece).unwrap());
        }
        let torrent = Torrent { info_hash: INFO_HASH, layout: self.layout, private: self.private };
        let identity = Identity { peer_id: PeerId([self.peer_id; 20]), addr: addr(u32::from(self.peer_id)) };
        Peer::new(torrent, Arc::new(self.config.clone()), &policy, identity, have, Seed(self.seed))
    }
    /// The peer, started, its first announce answered by "nobody there, come back in half an hour".
    pub fn bench(self) -> Bench {
        let peer = self.peer();
        let mut bench = Bench { peer, now: Instant::ZERO, layout: self.layout };
        bench.input(Input::Start);
        bench.input(Input::Announced(Ok(Box::new(reply(&[])))));
        bench
    }
}

/// A tracker's answer.
pub(super) fn reply(peers: &[SocketAddr]) -> tracker::AnnounceReply {
    tracker::AnnounceReply { interval: seconds(1800), peers: peers.to_vec(), ..Default::default() }
}

/// The address of a remote.
pub(super) fn addr(host: u32) -> SocketAddr {
    SocketAddr::new(ip(host), 6881)
}
pub(super) fn ip(host: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + host))
}

/// A remote's handshake; `fast` says whether it speaks BEP 6.
pub(super) fn handshake(peer_id: u8, fast: bool) -> Handshake {
    let mut handshake = Handshake::new(INFO_HASH, PeerId([peer_id; 20]));
    handshake.reserved[7] = if fast { handshake.reserved[7] } else { 0 };
    handshake
}

/// See the module.
#[derive(Debug)]
pub(super) struct Bench {
    pub peer: Peer,
    pub now: Instant,
    pub layout: Layout,
}

impl Bench {
    /// Tells the peer, and takes what it says to that.
    pub fn input(&mut self, input: Input) -> Vec<Output> {
        self.peer.handle_input(self.now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.peer.poll_output()).collect();
        // To count a large torrent again at each input would take minutes.
        if self.layout.pieces() <= 512 {
            self.peer.check();
        }
        outputs
    }

    /// Time passes, and every deadline on the way is kept.
    pub fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = Vec::new();
        while let Some(deadline) = self.peer.poll_timeout().filter(|deadline| deadline.at <= end) {
            self.now = self.now.max(deadline.at);
            outputs.extend(self.input(Input::Timeout));
        }
        self.now = end;
        outputs
    }

    pub fn say(&mut self, conn: ConnId, message: Message) -> Vec<Output> {
        self.input(Input::Message { conn, message })
    }

    /// Remote number `n` dials us and shakes hands.
    pub fn greet(&mut self, n: u8, fast: bool) -> (ConnId, Vec<Output>) {
        let conn = ConnId(u32::from(n));
        let connected = Input::Connected { conn, addr: addr(u32::from(n)), outgoing: false };
        let mut outputs = self.input(connected);
        outputs.extend(self.input(Input::Handshake { conn, handshake: handshake(n, fast) }));
        (conn, outputs)
    }

    /// Remote number `n`, who has `pieces`.
    pub fn remote(&mut self, n: u8, fast: bool, pieces: &[u32]) -> ConnId {
        let (conn, _) = self.greet(n, fast);
        self.say(conn, self.bitfield(pieces));
        conn
    }

    /// The same, who has everything, and has us unchoked; and what we ask of it.
    pub fn source(&mut self, n: u8, fast: bool) -> (ConnId, Vec<RawBlock>) {
        let all: Vec<_> = (0..self.layout.pieces()).collect();
        self.source_of(n, fast, &all)
    }

    pub fn source_of(&mut self, n: u8, fast: bool, pieces: &[u32]) -> (ConnId, Vec<RawBlock>) {
        let conn = self.remote(n, fast, pieces);
        let outputs = self.say(conn, Message::Unchoke);
        (conn, requests(&outputs, conn))
    }

    pub fn bitfield(&self, pieces: &[u32]) -> Message {
        let mut have = Bitfield::empty(&self.layout);
        for &piece in pieces {
            have.insert(self.layout.piece(piece).unwrap());
        }
        Message::Bitfield(have.to_wire().into())
    }

    /// A block comes.
    pub fn give(&mut self, conn: ConnId, block: RawBlock) -> Vec<Output> {
        let data = payload(block.length);
        self.say(conn, Message::Piece { piece: block.piece, begin: block.begin, data })
    }

    /// A remote gives everything it is asked for, and what is asked for upon that, and verdicts are `ok`,
    /// until nothing is asked. What was said meanwhile.
    pub fn give_all(&mut self, conn: ConnId, asked: Vec<RawBlock>, ok: bool) -> Vec<Output> {
        let mut asked = std::collections::VecDeque::from(asked);
        let mut said = Vec::new();
        while let Some(block) = asked.pop_front() {
            let mut outputs = self.give(conn, block);
            for piece in to_verify(&outputs) {
                outputs.extend(self.input(Input::PieceVerified { piece, ok }));
            }
            asked.extend(requests(&outputs, conn));
            said.extend(outputs);
        }
        said
    }

    /// A block that the disk was asked for comes.
    pub fn read(&mut self, conn: ConnId, block: BlockRef) -> Vec<Output> {
        self.input(Input::BlockRead { conn, block, data: Some(payload(block.length())) })
    }

    pub fn piece(&self, index: u32) -> PieceIndex {
        self.layout.piece(index).unwrap()
    }
}

/// The messages to a connection.
pub(super) fn sent(outputs: &[Output], to: ConnId) -> Vec<Message> {
    let message = |output: &Output| match output {
        Output::Send { conn, message } if *conn == to => Some(message.clone()),
        _ => None,
    };
    outputs.iter().filter_map(message).collect()
}

/// The requests to a connection.
pub(super) fn requests(outputs: &[Output], to: ConnId) -> Vec<RawBlock> {
    let request = |message| match message {
        Message::Request(block) => Some(block),
        _ => None,
    };
    sent(outputs, to).into_iter().filter_map(request).collect()
}

/// The cancels to a connection.
pub(super) fn cancels(outputs: &[Output], to: ConnId) -> Vec<RawBlock> {
    let cancel = |message| match message {
        Message::Cancel(block) => Some(block),
        _ => None,
    };
    sent(outputs, to).into_iter().filter_map(cancel).collect()
}

/// The rejects to a connection.
pub(super) fn rejects(outputs: &[Output], to: ConnId) -> Vec<RawBlock> {
    let reject = |message| match message {
        Message::Reject(block) => Some(block),
        _ => None,
    };
    sent(outputs, to).into_iter().filter_map(reject).collect()
}

/// Blocks asked of the disk.
pub(super) fn reads(outputs: &[Output]) -> Vec<BlockRef> {
    let read = |output: &Output| match output {
        Output::ReadBlock { block, .. } => Some(*block),
        _ => None,
    };
    outputs.iter().filter_map(read).collect()
}

pub(super) fn to_verify(outputs: &[Output]) -> Vec<PieceIndex> {
    let verify = |output: &Output| match output {
        Output::VerifyPiece { piece } => Some(*piece),
        _ => None,
    };
    outputs.iter().filter_map(verify).collect()
}

pub(super) fn closed(outputs: &[Output]) -> Vec<(ConnId, DisconnectReason)> {
    let close = |output: &Output| match output {
        Output::Disconnect { conn, reason } => Some((*conn, *reason)),
        _ => None,
    };
    outputs.iter().filter_map(close).collect()
}

/// Whether the one thing that was closed is `conn`, for `violation`.
#[track_caller]
pub(super) fn assert_violation(outputs: &[Output], conn: ConnId, violation: Violation) {
    assert_eq!(closed(outputs), [(conn, DisconnectReason::Violation(violation))], "{outputs:?}");
}

pub(super) fn dialled(outputs: &[Output]) -> Vec<SocketAddr> {
    let dial = |output: &Output| match output {
        Output::Connect { addr } => Some(*addr),
        _ => None,
    };
    outputs.iter().filter_map(dial).collect()
}

pub(super) fn events(outputs: &[Output]) -> Vec<Event> {
    let event = |output: &Output| match output {
        Output::Event(event) => Some(event.clone()),
        _ => None,
    };
    outputs.iter().filter_map(event).collect()
}

/// Block number `n` of a piece of four.
pub(super) fn block(piece: u32, n: u32) -> RawBlock {
    RawBlock { piece, begin: n * BLOCK, length: BLOCK }
}

/// All blocks of these pieces of four.
pub(super) fn blocks(pieces: impl IntoIterator<Item = u32>) -> Vec<RawBlock> {
    pieces.into_iter().flat_map(|piece| (0..4).map(move |n| block(piece, n))).collect()
}
