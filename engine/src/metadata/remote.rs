//! One connection of a fetch: what has been asked of it, and what it has said that a peer will want to know.
//!
//! What it has said is kept as a state and not as a list of messages: a bitfield of the decoder's limit, at most
//! [`MAX_HAVES`] pieces, one extended handshake. No remote makes it larger by talking.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::peer::of;
use crate::time::Instant;
use crate::wire::extension::UT_METADATA;
use crate::wire::{ExtendedHandshake, Handshake, Message};

/// The most HAVEs that are kept; a remote that says more has to be met again later.
pub(super) const MAX_HAVES: usize = 1 << 14;
/// The most allowed-fast pieces that are kept, as in a peer.
const MAX_ALLOWED: usize = 64;

/// A request that has no answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub attempt: u32,
    pub piece: u32,
    pub at: Instant,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Remote {
    pub addr: SocketAddr,
    pub outgoing: bool,
    pub since: Instant,
    pub heard: Instant,
    pub spoke: Instant,
    pub handshake_sent: bool,
    /// Its handshake.
    pub theirs: Option<Handshake>,
    pub asked: Option<Asked>,
    /// It is not asked before this.
    pub not_before: Instant,
    /// Requests it left without an answer, or answered wrongly.
    pub strikes: u8,
    /// Attempts that were its alone.
    pub alone: u32,
    /// When it last exchanged peers.
    pub pex_at: Option<Instant>,
    log: Log,
}

/// What a peer will want to know.
#[derive(Debug, Default)]
struct Log {
    /// Its last message that says of all pieces which it has.
    pieces: Option<Message>,
    /// Ascending.
    haves: Vec<u32>,
    allowed: Vec<u32>,
    interested: bool,
    unchoked: bool,
    said: Option<ExtendedHandshake>,
}

impl Remote {
    pub fn new(addr: SocketAddr, outgoing: bool, now: Instant) -> Self {
        Self {
            addr,
            outgoing,
            since: now,
            heard: now,
            spoke: now,
            handshake_sent: false,
            theirs: None,
            asked: None,
            not_before: now,
            strikes: 0,
            alone: 0,
            pex_at: None,
            log: Log::default(),
        }
    }

    /// Bytes beside those of the value.
    pub fn footprint(&self) -> u64 {
        let Log { pieces, haves, allowed, said, .. } = &self.log;
        let pieces = match pieces {
            Some(Message::Bitfield(bytes)) => bytes.len() as u64,
            _ => 0,
        };
        // A name, and the ids of the two extensions that are looked for.
        let said = said.as_ref().map_or(0, |said| {
            let names: usize = said.messages.keys().map(|name| name.capacity() + size_of::<String>()).sum();
            (names + said.client.as_ref().map_or(0, String::capacity)) as u64
        });
        pieces + of(haves) + of(allowed) + said
    }

    pub fn is_ready(&self) -> bool {
        self.theirs.is_some()
    }

    pub fn fast(&self) -> bool {
        self.theirs.is_some_and(|theirs| theirs.fast())
    }

    /// The id under which it takes `ut_metadata`, and the size it names.
    pub fn metadata(&self) -> Option<(u8, u32)> {
        let said = self.log.said.as_ref()?;
        Some((said.id(UT_METADATA)?, said.metadata_size?))
    }

    pub fn metadata_id(&self) -> Option<u8> {
        self.log.said.as_ref()?.id(UT_METADATA)
    }

    pub fn has(&mut self, pieces: Message) {
        self.log.pieces = Some(pieces);
    }

    /// It has named no piece.
    pub fn has_none(&self) -> bool {
        matches!(self.log.pieces, None | Some(Message::HaveNone)) && self.log.haves.is_empty()
    }

    /// False if there are too many.
    pub fn have(&mut self, piece: u32) -> bool {
        if let Err(at) = self.log.haves.binary_search(&piece) {
            self.log.haves.insert(at, piece);
        }
        self.log.haves.len() <= MAX_HAVES
    }

    pub fn allowed_fast(&mut self, piece: u32) {
        if self.log.allowed.len() < MAX_ALLOWED && !self.log.allowed.contains(&piece) {
            self.log.allowed.push(piece);
        }
    }

    pub fn interested(&mut self, interested: bool) {
        self.log.interested = interested;
    }

    pub fn unchoked(&mut self, unchoked: bool) {
        self.log.unchoked = unchoked;
    }

    pub fn said(&mut self, said: ExtendedHandshake) {
        match &mut self.log.said {
            Some(before) => before.merge(said),
            None => self.log.said = Some(said),
        }
    }

    /// What it has said, as if it said it now.
    pub fn messages(self) -> Vec<Message> {
        let Log { pieces, haves, allowed, interested, unchoked, said, .. } = self.log;
        // The extended handshake may come before the bitfield, and the peer should know the limits it names
        // before it asks for anything.
        let payload = said.map(|said| Bytes::from(said.to_bytes()));
        let mut messages: Vec<_> =
            payload.into_iter().map(|payload| Message::Extended { id: 0, payload }).collect();
        messages.extend(pieces);
        messages.extend(haves.into_iter().map(Message::Have));
        messages.extend(allowed.into_iter().map(Message::AllowedFast));
        messages.extend(interested.then_some(Message::Interested));
        messages.extend(unchoked.then_some(Message::Unchoke));
        messages
    }
}
