//! The Fast extension's gifts (BEP 6) and the extension protocol (BEP 10).
//!
//! - An extended handshake goes to each remote that speaks BEP 10, right after the pieces; with
//!   [`PeerConfig::remember`](super::PeerConfig::remember) again when we come to want nothing, or something.
//! - Of what a remote says only its `reqq` is kept, unless there is a use for more (`remotes.rs`): no remote
//!   makes a connection larger by talking.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::Message;
use crate::wire::allowed_fast::allowed_fast;
use crate::wire::extension::{ExtendedHandshake, METADATA_ID, PEX_ID, UT_METADATA, UT_PEX};

use super::Peer;
use super::seam::Violation;

/// The most allowed-fast pieces that are remembered of one remote.
const MAX_ALLOWED: usize = 64;
/// The id of the extended handshake itself (BEP 10).
const HANDSHAKE: u8 = 0;
/// What we call ourselves.
pub(crate) const CLIENT: &str = concat!("swarmlab ", env!("CARGO_PKG_VERSION"));
/// The most requests that a remote is believed to hold, whatever it says; libtorrent's own default is 2,000.
const MAX_REMOTE_QUEUE: u16 = 2000;

impl Peer {
    /// Whether what remotes say of themselves is of use.
    fn remembers(&self) -> bool {
        self.config.remember || self.metadata.is_some() || self.exchanges_peers()
    }

    /// `m` (BEP 10): the extensions whose messages we take.
    fn taken(&self) -> BTreeMap<String, u8> {
        let mut taken = BTreeMap::new();
        if self.metadata.is_some() {
            taken.insert(UT_METADATA.to_owned(), METADATA_ID);
        }
        if self.exchanges_peers() {
            taken.insert(UT_PEX.to_owned(), PEX_ID);
        }
        taken
    }

    /// BEP 10: what we are and can do.
    pub(crate) fn send_extended_handshake(&mut self, id: ConnId) {
        self.send_extended(id, self.taken());
    }

    /// The same to who has had one from a fetch: what that offered and we do not is taken back.
    pub(crate) fn renew_extended_handshake(&mut self, id: ConnId) {
        let mut messages = BTreeMap::from([UT_METADATA, UT_PEX].map(|name| (name.to_owned(), 0)));
        messages.extend(self.taken());
        self.send_extended(id, messages);
    }

    fn send_extended(&mut self, id: ConnId, messages: BTreeMap<String, u8>) {
        let Some(conn) = self.conns.get(id) else { return };
        let port = self.identity.addr.port();
        let only = self.is_upload_only();
        let handshake = ExtendedHandshake {
            messages,
            metadata_size: self.metadata_size(),
            client: Some(CLIENT.to_owned()),
            port: (port != 0).then_some(port),
            request_queue: Some(self.config.max_queued),
            your_ip: Some(conn.addr.ip()),
            // BEP 21: said by who wants nothing, and taken back by who has said so.
            upload_only: (only || self.has_told_upload_only).then_some(only),
        };
        let payload = handshake.to_bytes().into();
        self.send(id, Message::Extended { id: HANDSHAKE, payload });
    }

    /// BEP 10: an extended handshake, which may come again and then changes only what it says. Messages of
    /// extensions that we never named are ignored, and so is everything from who did not set the bit.
    pub(crate) fn on_extended(&mut self, id: ConnId, extension: u8, payload: &Bytes, now: Instant) {
        let remembers = self.remembers();
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.extended) else { return };
        match extension {
            HANDSHAKE => {}
            METADATA_ID => return self.on_metadata(id, payload, now),
            PEX_ID => return self.on_pex(id, payload, now),
            _ => return,
        }
        match ExtendedHandshake::from_bytes(payload) {
            Ok(theirs) => {
                if let Some(queue) = theirs.request_queue {
                    conn.remote_queue = u16::try_from(queue).unwrap_or(u16::MAX).clamp(1, MAX_REMOTE_QUEUE);
                }
                if remembers {
                    self.remotes.heard(id, &theirs);
                    self.heed_interest(id, now);
                }
            }
            Err(_) => self.violation(id, Violation::Malformed, now),
        }
    }

    /// BEP 21: who wants nothing is not interested, whatever else it has said; until it says otherwise.
    fn heed_interest(&mut self, id: ConnId, now: Instant) {
        let Some(remote) = self.remotes.get(id) else { return };
        if remote.upload_only || remote.held_back {
            self.on_interest(
                id,
                remote.held_back || self.conns.get(id).is_some_and(|conn| conn.peer_interested),
            );
        }
        self.part_if_useless(id, now);
    }

    /// BEP 6: a newcomer may have a few pieces while it is choked. The set is told whole, also what we lack
    /// as yet: it is said only now, and a remote asks for nothing that we have not claimed.
    pub(crate) fn send_allowed_fast(&mut self, id: ConnId) {
        let Some(IpAddr::V4(ip)) = self.conns.get(id).map(|conn| conn.addr.ip()) else { return };
        let set =
            allowed_fast(ip, self.torrent.info_hash, &self.torrent.layout, self.config.allowed_fast as usize);
        if let Some(allowed) = self.conns.allowed_mut(id) {
            allowed.to_it = set.iter().copied().collect();
        }
        for piece in set {
            self.send(id, Message::AllowedFast(piece.get()));
        }
    }

    pub(crate) fn on_allowed_fast(&mut self, id: ConnId, piece: u32, now: Instant) {
        let Some(piece) = self.torrent.layout.piece(piece) else {
            return self.violation(id, Violation::PieceOutOfRange, now);
        };
        let Some(allowed) = self.conns.allowed_mut(id) else { return };
        if allowed.to_us.len() < MAX_ALLOWED && !allowed.to_us.contains(&piece) {
            allowed.to_us.push(piece);
            if let Some(conn) = self.conns.get_mut(id) {
                conn.dry = false;
            }
            self.may_ask(id);
            self.fill(id, now);
        }
    }
}
