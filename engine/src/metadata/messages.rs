//! What remotes say to a fetch: kept for the peer that goes on, or answered.

use std::time::Duration;

use bytes::Bytes;

use crate::ids::ConnId;
use crate::layout::Layout;
use crate::peer::{DisconnectReason, Violation};
use crate::time::Instant;
use crate::wire::extension::{METADATA_ID, PEX_ID};
use crate::wire::{ExtendedHandshake, Message, MetadataMessage, PexMessage};

use super::Fetch;

/// Peers exchanged (BEP 11) are taken no more often.
const PEX_INTERVAL: Duration = Duration::from_secs(45);
/// The most contacts that are taken from one remote at a time.
const PEX_CONTACTS: usize = 50;

impl Fetch {
    pub(super) fn on_message(&mut self, id: ConnId, message: Message, now: Instant) {
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        remote.heard = now;
        if !remote.is_ready() {
            return self.violation(id, Violation::NoHandshake, now);
        }
        let fast = remote.fast();
        let in_range = |piece: u32| piece < Layout::MAX_PIECES;
        match message {
            Message::KeepAlive | Message::Port(_) | Message::Unknown { .. } | Message::Cancel(_) => {}
            Message::Choke => remote.unchoked(false),
            Message::Unchoke => remote.unchoked(true),
            Message::Interested => remote.interested(true),
            Message::NotInterested => remote.interested(false),
            // A late one stands for many HAVEs, as in a peer: it has what the first had, and more.
            Message::Bitfield(_) => remote.has(message),
            Message::HaveAll if fast => remote.has(message),
            Message::HaveNone if fast && remote.has_none() => remote.has(message),
            Message::HaveNone if fast => self.violation(id, Violation::LateHaveNone, now),
            Message::Have(piece) if in_range(piece) => {
                if !remote.have(piece) {
                    self.disconnect(id, DisconnectReason::TooMany, now);
                }
            }
            Message::AllowedFast(piece) if fast && in_range(piece) => remote.allowed_fast(piece),
            Message::Suggest(piece) if fast && in_range(piece) => {}
            Message::Have(_) => self.violation(id, Violation::PieceOutOfRange, now),
            Message::AllowedFast(_) | Message::Suggest(_) if fast => {
                self.violation(id, Violation::PieceOutOfRange, now);
            }
            // We have nothing, and have said so. BEP 6: every request is answered.
            Message::Request(block) => {
                if fast {
                    self.send(id, Message::Reject(block), now);
                }
            }
            // We ask for no blocks.
            Message::Piece { .. } => self.violation(id, Violation::UnrequestedBlock, now),
            Message::Reject(_) if fast => self.violation(id, Violation::UnrequestedBlock, now),
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::AllowedFast(_)
            | Message::Suggest(_) => self.violation(id, Violation::FastNotAgreed, now),
            Message::Extended { id: extension, payload } => self.on_extended(id, extension, &payload, now),
        }
    }

    fn on_extended(&mut self, id: ConnId, extension: u8, payload: &Bytes, now: Instant) {
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        if !remote.theirs.is_some_and(|theirs| theirs.extended()) {
            return;
        }
        match extension {
            0 => match ExtendedHandshake::from_bytes(payload) {
                Ok(said) => remote.said(said),
                Err(_) => self.violation(id, Violation::Malformed, now),
            },
            METADATA_ID => match MetadataMessage::from_bytes(payload) {
                // BEP 9: who does not have all of it rejects.
                Ok(Some(MetadataMessage::Request { piece })) => {
                    if let Some(theirs) = remote.metadata_id() {
                        let payload = MetadataMessage::Reject { piece }.to_bytes().into();
                        self.send(id, Message::Extended { id: theirs, payload }, now);
                    }
                }
                Ok(Some(MetadataMessage::Data { piece, total_size, data })) => {
                    self.on_data(id, piece, total_size, &data, now);
                }
                Ok(Some(MetadataMessage::Reject { piece })) => self.on_reject(id, piece, now),
                Ok(None) => {}
                Err(_) => self.violation(id, Violation::Malformed, now),
            },
            PEX_ID if self.config.peer.pex => self.on_pex(id, payload, now),
            _ => {}
        }
    }

    /// BEP 11. Whether the torrent is private is not known yet; if it is, the hand-over leaves these out.
    fn on_pex(&mut self, id: ConnId, payload: &[u8], now: Instant) {
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        if remote.pex_at.is_some_and(|at| now.since(at) < PEX_INTERVAL) {
            return;
        }
        remote.pex_at = Some(now);
        if let Ok(message) = PexMessage::from_bytes(payload) {
            let added = message.added.iter().take(PEX_CONTACTS).map(|contact| contact.addr);
            self.discover(&added.collect::<Vec<_>>(), now);
        }
    }
}
