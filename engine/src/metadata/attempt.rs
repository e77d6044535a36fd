//! One try to put the info dictionary together: a size, and the pieces that have come.
//!
//! Memory: what remotes have sent of it, never more than its size, and 32 bytes a piece.

use std::net::IpAddr;

use bytes::Bytes;

use crate::ids::ConnId;
use crate::peer::of;
use crate::time::Instant;
use crate::wire::{InfoHash, METADATA_PIECE};

/// See the module.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its number; what was asked for another does not count for this one.
    pub number: u32,
    pub size: u32,
    /// The only remote that is asked.
    pub alone: Option<ConnId>,
    pub begun: Instant,
    /// When a piece last came.
    pub progress: Instant,
    pieces: Vec<Option<Bytes>>,
    missing: u32,
    /// Who has sent some of it.
    pub sources: Vec<IpAddr>,
}

/// What the whole of it is.
pub(super) enum Verdict {
    Right(Bytes),
    /// Wrong bytes, by these.
    Wrong(Vec<IpAddr>),
}

impl Attempt {
    /// `size` is at least 1 and within the limit.
    pub fn new(number: u32, size: u32, alone: Option<ConnId>, now: Instant) -> Self {
        let pieces = size.div_ceil(METADATA_PIECE);
        Self {
            number,
            size,
            alone,
            begun: now,
            progress: now,
            pieces: vec![None; pieces as usize],
            missing: pieces,
            sources: Vec::new(),
        }
    }

    /// Bytes.
    pub fn footprint(&self) -> u64 {
        let had: u64 = self.pieces.iter().flatten().map(|piece| piece.len() as u64).sum();
        of(&self.pieces) + of(&self.sources) + had
    }

    pub fn pieces(&self) -> u32 {
        self.pieces.len() as u32
    }

    pub fn had(&self) -> u32 {
        self.pieces() - self.missing
    }

    /// The pieces that have not come.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.pieces()).filter(|&piece| self.pieces[piece as usize].is_none())
    }

    /// Bytes in a piece; `None` if there is no such piece.
    pub fn length_of(&self, piece: u32) -> Option<u32> {
        let begin = piece.checked_mul(METADATA_PIECE).filter(|&begin| begin < self.size)?;
        Some((self.size - begin).min(METADATA_PIECE))
    }

    /// Takes a piece of the right length. True if that was the last.
    pub fn put(&mut self, piece: u32, data: &[u8], source: IpAddr, now: Instant) -> bool {
        if let Some(slot @ None) = self.pieces.get_mut(piece as usize) {
            // A copy, so that nothing of the buffer it came in is kept.
            *slot = Some(Bytes::copy_from_slice(data));
            self.missing -= 1;
            self.progress = now;
            if !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
        self.missing == 0
    }

    /// All pieces are there: whether they are what the info-hash says.
    pub fn judge(self, info_hash: InfoHash) -> Verdict {
        let mut info = Vec::with_capacity(self.size as usize);
        self.pieces.into_iter().flatten().for_each(|piece| info.extend_from_slice(&piece));
        if InfoHash::of(&info) == info_hash {
            Verdict::Right(info.into())
        } else {
            Verdict::Wrong(self.sources)
        }
    }
}
