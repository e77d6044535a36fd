//! The digest of a run: what every host was told and said at the seam, and when. Two runs with the same
//! digest are the same run. What a block's bytes are is left out (the verdict on its piece is in), so that
//! the message stack and the wire stack of one scenario give one digest.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use engine::peer::{Input, Output};
use engine::tracker::AnnounceRequest;
use engine::wire::{Handshake, Message, RawBlock};
use engine::{BlockRef, ConnId, Instant};
use sha1::{Digest as _, Sha1};
use smallvec::SmallVec;

use crate::network::latency::mix;

/// A text that is made to be digested.
#[derive(Default)]
struct Text(SmallVec<[u8; 512]>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The digest of one host so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostDigest(u64);

impl HostDigest {
    #[inline]
    fn word(&mut self, word: u64) {
        // One round of a multiply-rotate hash; `mix` at the end of each record spreads it.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn pair(&mut self, a: u32, b: u32) {
        self.word(u64::from(a) << 32 | u64::from(b));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn block(&mut self, block: RawBlock) {
        self.pair(block.piece, block.begin);
        self.word(u64::from(block.length));
    }

    fn addr(&mut self, addr: SocketAddr) {
        match addr.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.word(u64::from(addr.port()));
    }

    fn handshake(&mut self, handshake: &Handshake) {
        self.bytes(&handshake.reserved);
        self.bytes(&handshake.info_hash.0);
        self.bytes(&handshake.peer_id.0);
    }

    /// Those that are sent all the time are asked for first, and their ids are known.
    #[inline(always)]
    fn message(&mut self, message: &Message) {
        match message {
            Message::Have(piece) => {
                self.word(4);
                self.word(u64::from(*piece));
            }
            Message::Request(block) => {
                self.word(6);
                self.block(*block);
            }
            Message::Piece { piece, begin, data } => {
                self.word(7);
                self.block(RawBlock { piece: *piece, begin: *begin, length: data.len() as u32 });
            }
            other => self.seldom(other),
        }
    }

    #[inline(never)]
    fn seldom(&mut self, message: &Message) {
        self.word(message.id().map_or(256, u64::from));
        match message {
            Message::Suggest(piece) | Message::AllowedFast(piece) => self.word(u64::from(*piece)),
            Message::Cancel(block) | Message::Reject(block) => self.block(*block),
            Message::Port(port) => self.word(u64::from(*port)),
            Message::Bitfield(payload)
            | Message::Extended { payload, .. }
            | Message::Unknown { payload, .. } => {
                self.bytes(payload);
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn query(&mut self, request: &AnnounceRequest) {
        let mut query = Text::default();
        // Writing to it cannot fail.
        let _ = request.write_query(&mut query);
        self.bytes(&query.0);
    }

    /// What the host was told.
    pub fn input(&mut self, now: Instant, input: &Input) {
        match input {
            Input::Message { conn, message } => self.message_came(now, *conn, message),
            Input::Sent { conn, bytes } => self.sent(now, *conn, *bytes),
            Input::BlockRead { conn, block, data } => self.block_read(now, *conn, *block, data.is_some()),
            other => {
                self.word(now.as_nanos());
                self.seldom_input(other);
                self.0 = mix(self.0);
            }
        }
    }

    /// [`Input::Message`].
    #[inline(always)]
    pub fn message_came(&mut self, now: Instant, conn: ConnId, message: &Message) {
        self.word(now.as_nanos());
        self.pair(6, conn.0);
        self.message(message);
        self.0 = mix(self.0);
    }

    /// [`Input::Sent`].
    #[inline(always)]
    pub fn sent(&mut self, now: Instant, conn: ConnId, bytes: u32) {
        self.word(now.as_nanos());
        self.pair(8, conn.0);
        self.word(u64::from(bytes));
        self.0 = mix(self.0);
    }

    /// [`Input::BlockRead`].
    #[inline(always)]
    pub fn block_read(&mut self, now: Instant, conn: ConnId, block: BlockRef, found: bool) {
        self.word(now.as_nanos());
        self.pair(9, conn.0 << 1 | u32::from(found));
        self.block(block.into());
        self.0 = mix(self.0);
    }

    #[inline(never)]
    fn seldom_input(&mut self, input: &Input) {
        match input {
            Input::Start => self.word(0),
            Input::Timeout => self.word(1),
            Input::Connected { conn, addr, outgoing } => {
                self.pair(2, conn.0 << 1 | u32::from(*outgoing));
                self.addr(*addr);
            }
            Input::ConnectFailed { addr } => {
                self.word(3);
                self.addr(*addr);
            }
            Input::Closed { conn } => self.pair(4, conn.0),
            Input::Handshake { conn, handshake } => {
                self.pair(5, conn.0);
                self.handshake(handshake);
            }
            Input::Malformed { conn, .. } => self.pair(7, conn.0),
            Input::PieceVerified { piece, ok } => self.pair(10, piece.get() << 1 | u32::from(*ok)),
            Input::Discovered { peers } => {
                self.word(11);
                peers.iter().for_each(|addr| self.addr(*addr));
            }
            Input::Announced(Ok(reply)) => {
                self.pair(12, reply.peers.len() as u32);
                reply.peers.iter().for_each(|addr| self.addr(*addr));
            }
            Input::Announced(Err(error)) => {
                self.word(13);
                self.bytes(error.to_string().as_bytes());
            }
            Input::Stop => self.word(14),
            Input::Named { peers } => {
                self.word(15);
                peers.iter().for_each(|addr| self.addr(*addr));
            }
            Input::Message { .. } | Input::Sent { .. } | Input::BlockRead { .. } => {}
        }
    }

    /// What the host said.
    #[inline(always)]
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Send { conn, message } => {
                self.pair(35, conn.0);
                self.message(message);
            }
            Output::ReadBlock { conn, block } => {
                self.pair(36, conn.0);
                self.block((*block).into());
            }
            Output::WriteBlock { block, .. } => {
                self.word(37);
                self.block((*block).into());
            }
            other => self.seldom_output(other),
        }
    }

    #[inline(never)]
    fn seldom_output(&mut self, output: &Output) {
        match output {
            Output::Connect { addr } => {
                self.word(32);
                self.addr(*addr);
            }
            Output::Disconnect { conn, .. } => self.pair(33, conn.0),
            Output::SendHandshake { conn, handshake } => {
                self.pair(34, conn.0);
                self.handshake(handshake);
            }
            Output::VerifyPiece { piece } => self.pair(38, piece.get()),
            Output::Announce(request) => {
                self.word(39);
                self.query(request);
            }
            Output::Event(_) => {}
            Output::Send { .. } | Output::ReadBlock { .. } | Output::WriteBlock { .. } => {}
        }
    }
}

/// The digest of a run from its hosts' in host order: 40 hexadecimal digits.
pub(crate) fn combine(hosts: impl Iterator<Item = HostDigest>) -> String {
    let mut hash = Sha1::new();
    for host in hosts {
        hash.update(mix(host.0).to_be_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
