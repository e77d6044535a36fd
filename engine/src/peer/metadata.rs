//! Giving the info dictionary to who has only a magnet link (BEP 9). Getting it is
//! [`metadata::Fetch`](crate::metadata::Fetch).
//!
//! - Nothing is offered or sent but bytes that hash to the torrent's info-hash. A private torrent's are not
//!   offered: who is let in has the file from where it is let in (as libtorrent does).
//! - Every request is answered, by the piece or a reject. A connection may have [`BURST`] pieces at once,
//!   [`PER_SECOND`] from then on, and [`FACTOR`] times the whole and [`BURST`] more in all.

use bytes::Bytes;

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::{InfoHash, METADATA_PIECE, Message, MetadataMessage};

use super::Peer;

/// Pieces that may be had at once.
const BURST: u32 = 64;
/// Pieces more that may be had for each second that goes by.
const PER_SECOND: u64 = 8;
/// How often the whole may be had.
const FACTOR: u32 = 3;

/// What one connection has had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// Pieces it may have now.
    room: u32,
    /// When that was last filled up.
    filled: Instant,
    total: u32,
}

impl Default for Served {
    fn default() -> Self {
        Self { room: BURST, filled: Instant::ZERO, total: 0 }
    }
}

impl Served {
    /// Whether one more may go out; then it counts.
    fn take(&mut self, pieces: u32, now: Instant) -> bool {
        let seconds = now.since(self.filled).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds.saturating_mul(PER_SECOND)).unwrap_or(u32::MAX);
            (self.room, self.filled) = (self.room.saturating_add(more).min(BURST), now);
        }
        let may = self.room > 0 && self.total < pieces * FACTOR + BURST;
        if may {
            self.room -= 1;
            self.total += 1;
        }
        may
    }
}

impl Peer {
    /// Gives the peer the bytes of the info dictionary, to be served to others. False, and no effect, if they do
    /// not hash to the info-hash or the torrent is private. Before the first connection, or those that are open
    /// are not told.
    pub fn set_metadata(&mut self, info: Bytes) -> bool {
        let fits = u32::try_from(info.len()).is_ok() && InfoHash::of(&info) == self.torrent.info_hash;
        if fits && !self.torrent.private {
            self.metadata = Some(info);
        }
        self.metadata.is_some()
    }

    pub(crate) fn metadata_size(&self) -> Option<u32> {
        self.metadata.as_ref().map(|info| info.len() as u32)
    }

    pub(crate) fn on_metadata(&mut self, id: ConnId, payload: &Bytes, now: Instant) {
        let Some(remote) = self.remotes.get_mut(id).filter(|remote| remote.metadata_id != 0) else { return };
        // What else it says is for who has asked, and broken messages cost nothing.
        let Ok(Some(MetadataMessage::Request { piece })) = MetadataMessage::from_bytes(payload) else {
            return;
        };
        let Some(info) = &self.metadata else { return };
        let pieces = (info.len() as u32).div_ceil(METADATA_PIECE);
        let answer = if piece < pieces && remote.served.take(pieces, now) {
            let begin = piece as usize * METADATA_PIECE as usize;
            let data = info.slice(begin..info.len().min(begin + METADATA_PIECE as usize));
            MetadataMessage::Data { piece, total_size: info.len() as u32, data }
        } else {
            MetadataMessage::Reject { piece }
        };
        let id_there = remote.metadata_id;
        self.send(id, Message::Extended { id: id_there, payload: answer.to_bytes().into() });
    }
}
