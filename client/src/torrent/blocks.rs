//! Blocks that have come and whose piece is not verified yet, kept in memory: a piece is hashed from there
//! and written once it is known to be good. What is over the bound is written early, largest pieces first,
//! and hashed from the files.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::{BlockRef, PieceIndex};

/// Blocks of one piece, by their offsets within.
pub(crate) type Blocks = BTreeMap<u32, Bytes>;

#[derive(Debug, Default)]
struct Buffered {
    blocks: Blocks,
    bytes: usize,
    /// Some of its blocks are in the files already.
    spilled: bool,
}

/// A piece whose blocks have all come.
#[derive(Debug)]
pub(crate) struct Whole {
    pub blocks: Blocks,
    pub bytes: usize,
    /// They are not all of it: the rest is in the files.
    pub spilled: bool,
}

/// The unverified blocks of one torrent.
#[derive(Debug)]
pub(crate) struct Unverified {
    pieces: BTreeMap<PieceIndex, Buffered>,
    bytes: usize,
    limit: usize,
}

impl Unverified {
    /// At most about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { pieces: BTreeMap::new(), bytes: 0, limit }
    }

    /// Takes a block. What is returned is to be written now.
    pub fn insert(&mut self, block: BlockRef, data: Bytes) -> Option<(PieceIndex, Blocks, usize)> {
        let piece = self.pieces.entry(block.piece()).or_default();
        let new = data.len();
        // A block that comes again is one of a piece begun anew.
        let old = piece.blocks.insert(block.begin(), data).map_or(0, |old| old.len());
        piece.bytes = piece.bytes + new - old;
        self.bytes = self.bytes + new - old;
        if self.bytes <= self.limit {
            return None;
        }
        let (&largest, buffered) = self.pieces.iter_mut().max_by_key(|(_, buffered)| buffered.bytes)?;
        buffered.spilled = true;
        let bytes = std::mem::take(&mut buffered.bytes);
        self.bytes -= bytes;
        Some((largest, std::mem::take(&mut buffered.blocks), bytes))
    }

    /// Gives a piece away whose blocks have all come.
    pub fn take(&mut self, piece: PieceIndex) -> Whole {
        let Buffered { blocks, bytes, spilled } = self.pieces.remove(&piece).unwrap_or_default();
        self.bytes -= bytes;
        Whole { blocks, bytes, spilled }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use engine::Layout;

    use super::*;

    #[test]
    fn what_is_over_the_bound_is_written_early() {
        let layout = Layout::new(400, 100).unwrap();
        let block = |piece, begin| layout.block(piece, begin, 10).unwrap();
        let data = || Bytes::from_static(&[1; 10]);
        let mut all = Unverified::new(35);
        for (piece, begin) in [(0, 0), (1, 0), (1, 10)] {
            assert!(all.insert(block(piece, begin), data()).is_none());
        }
        assert!(all.insert(block(1, 0), data()).is_none(), "one that comes again takes no more room");
        let (piece, blocks, bytes) = all.insert(block(2, 0), data()).unwrap();
        assert_eq!((piece.get(), blocks.len(), bytes), (1, 2, 20));
        assert!(all.insert(block(1, 20), data()).is_none());
        let whole = all.take(piece);
        assert_eq!((whole.blocks.len(), whole.bytes, whole.spilled), (1, 10, true));
        let whole = all.take(layout.piece(0).unwrap());
        assert_eq!((whole.blocks.len(), whole.bytes, whole.spilled), (1, 10, false));
        assert_eq!(all.bytes, 10);
    }
}
