//! What one peer has been told and has said, connection by connection, as the seam shows it: the facts that checkers
//! share, and no judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use engine::peer::{Event, Input, Output};
use engine::wire::{Handshake, Message, RawBlock};
use engine::{Bitfield, ConnId, Instant, Layout};

/// A block as the wire names it: piece, offset, length.
pub type Block = (u32, u32, u32);

/// The block of a message.
pub fn block_of(raw: &RawBlock) -> Block {
    (raw.piece, raw.begin, raw.length)
}

/// A block in words.
pub fn named(&(piece, begin, length): &Block) -> String {
    harness::words::block(&RawBlock { piece, begin, length })
}

/// One connection as one end sees it.
#[derive(Clone, Debug)]
pub struct Conn {
    /// The other end; its IP says which peer it is.
    pub addr: SocketAddr,
    /// Our handshake, once it is sent.
    pub ours: Option<Handshake>,
    /// The other's handshake.
    pub handshake: Option<Handshake>,
    /// Pieces that it may have of us while we choke it (BEP 6).
    pub allowed: BTreeSet<u32>,
    /// We choke it.
    pub choking: bool,
    /// It chokes us.
    pub choked: bool,
    /// It is interested.
    pub wants: bool,
    /// We are interested in it.
    pub interested: bool,
    /// The pieces it has said that it has.
    pub pieces: Bitfield,
    /// What it has asked for and we have neither sent nor refused: when it asked.
    pub to_serve: BTreeMap<Block, Instant>,
    /// What we have asked for, which has neither come nor been refused nor been taken back.
    pub asked: BTreeSet<Block>,
    /// Of what we asked for, what may come and is not counted on: it was taken back, or the other end was snubbed.
    pub dropped: BTreeSet<Block>,
    /// What the disk is reading for it.
    pub reading: BTreeSet<Block>,
    /// Payload bytes handed to the network that have not left.
    pub unsent: u64,
}

impl Conn {
    fn new(addr: SocketAddr, layout: &Layout) -> Self {
        Self {
            addr,
            ours: None,
            handshake: None,
            allowed: BTreeSet::new(),
            choking: true,
            choked: true,
            wants: false,
            interested: false,
            pieces: Bitfield::empty(layout),
            to_serve: BTreeMap::new(),
            asked: BTreeSet::new(),
            dropped: BTreeSet::new(),
            reading: BTreeSet::new(),
            unsent: 0,
        }
    }

    /// Both handshakes are done.
    pub fn is_ready(&self) -> bool {
        self.ours.is_some() && self.handshake.is_some()
    }

    /// Both ends speak the fast extension (BEP 6).
    pub fn fast(&self) -> bool {
        [self.ours, self.handshake].iter().all(|end| end.is_some_and(|handshake| handshake.fast()))
    }

    /// Blocks that it waits for and may not have while we choke it.
    pub fn owed_in_vain(&self) -> usize {
        self.to_serve.keys().filter(|block| !self.allowed.contains(&block.0)).count()
    }

    fn heard(&mut self, message: &Message, now: Instant, layout: &Layout) {
        match message {
            Message::Interested => self.wants = true,
            Message::NotInterested => self.wants = false,
            Message::Have(piece) => {
                if let Some(piece) = layout.piece(*piece) {
                    self.pieces.insert(piece);
                }
            }
            Message::Bitfield(bytes) => {
                if let Ok(pieces) = Bitfield::from_wire(layout, bytes) {
                    self.pieces = pieces;
                }
            }
            Message::HaveAll => self.pieces = Bitfield::full(layout),
            // Without BEP 6 what crosses our choke is not taken, and is asked for again.
            Message::Request(raw) if self.fast() || !self.choking => {
                self.to_serve.insert(block_of(raw), now);
            }
            Message::Cancel(raw) if !self.fast() => {
                self.to_serve.remove(&block_of(raw));
                self.reading.remove(&block_of(raw));
            }
            Message::Piece { piece, begin, data } => self.answered(&(*piece, *begin, data.len() as u32)),
            Message::Reject(raw) => self.answered(&block_of(raw)),
            Message::Choke => {
                self.choked = true;
                if !self.fast() {
                    self.asked.clear();
                    self.dropped.clear();
                }
            }
            Message::Unchoke => self.choked = false,
            _ => {}
        }
    }

    /// With the fast extension each request has its own answer, the older first.
    fn answered(&mut self, block: &Block) {
        if !self.dropped.remove(block) || !self.fast() {
            self.asked.remove(block);
        }
    }

    fn said(&mut self, message: &Message) {
        match message {
            Message::Choke => {
                self.choking = true;
                // With BEP 6 a refusal follows for each.
                if !self.fast() {
                    self.to_serve.clear();
                    self.reading.clear();
                }
            }
            Message::Unchoke => self.choking = false,
            Message::Interested => self.interested = true,
            Message::NotInterested => self.interested = false,
            Message::AllowedFast(piece) => {
                self.allowed.insert(*piece);
            }
            Message::Request(raw) => {
                self.asked.insert(block_of(raw));
            }
            Message::Cancel(raw) => {
                let counted = self.asked.remove(&block_of(raw));
                self.dropped.extend(counted.then(|| block_of(raw)));
            }
            Message::Piece { piece, begin, data } => {
                let block = (*piece, *begin, data.len() as u32);
                self.to_serve.remove(&block);
                self.reading.remove(&block);
                self.unsent += data.len() as u64;
            }
            Message::Reject(raw) => {
                self.to_serve.remove(&block_of(raw));
                self.reading.remove(&block_of(raw));
            }
            _ => {}
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Table {
    /// It runs: it has begun and not ended.
    pub alive: bool,
    /// Lives begun.
    pub lives: u32,
    /// The pieces that it began this life with, and that have passed their hash since. None before it comes.
    pub good: Option<Bitfield>,
    /// Open connections.
    pub conns: BTreeMap<ConnId, Conn>,
    /// Blocks that were written since the last input.
    pub written: Vec<Block>,
    /// The piece that the last input said is good.
    pub verified: Option<u32>,
}

impl Table {
    pub(super) fn began(&mut self, have: &Bitfield) {
        *self = Self { alive: true, lives: self.lives + 1, good: Some(have.clone()), ..Self::default() };
    }

    pub(super) fn ended(&mut self) {
        self.alive = false;
        self.conns.clear();
    }

    pub(super) fn settled(&mut self) {
        self.written.clear();
        self.verified = None;
    }

    /// Whether it has every piece.
    pub fn is_complete(&self) -> bool {
        self.good.as_ref().is_some_and(Bitfield::is_full)
    }

    /// Whether it has this piece.
    pub fn has(&self, piece: u32, layout: &Layout) -> bool {
        self.good.as_ref().zip(layout.piece(piece)).is_some_and(|(good, piece)| good.contains(piece))
    }

    pub(super) fn input(&mut self, input: &Input, now: Instant, layout: &Layout) {
        match input {
            Input::Connected { conn, addr, .. } => {
                self.conns.insert(*conn, Conn::new(*addr, layout));
            }
            Input::Closed { conn } => {
                self.conns.remove(conn);
            }
            Input::Handshake { conn, handshake } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.handshake = Some(*handshake);
                }
            }
            Input::Message { conn, message } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.heard(message, now, layout);
                }
            }
            Input::Sent { conn, bytes } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.unsent = conn.unsent.saturating_sub(u64::from(*bytes));
                }
            }
            Input::BlockRead { conn, block, data: None } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    let block = (block.piece().get(), block.begin(), block.length());
                    conn.reading.remove(&block);
                    conn.to_serve.remove(&block);
                }
            }
            Input::PieceVerified { piece, ok: true } => {
                if let Some(good) = &mut self.good {
                    good.insert(*piece);
                }
                self.verified = Some(piece.get());
            }
            _ => {}
        }
    }

    pub(super) fn output(&mut self, output: &Output) {
        match output {
            Output::Disconnect { conn, .. } => {
                self.conns.remove(conn);
            }
            Output::SendHandshake { conn, handshake } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.ours = Some(*handshake);
                }
            }
            Output::Send { conn, message } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.said(message);
                }
            }
            Output::ReadBlock { conn, block } => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.reading.insert((block.piece().get(), block.begin(), block.length()));
                }
            }
            Output::WriteBlock { block, .. } => {
                self.written.push((block.piece().get(), block.begin(), block.length()));
            }
            Output::Event(Event::Snubbed(conn)) => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.dropped.append(&mut conn.asked);
                }
            }
            _ => {}
        }
    }
}
