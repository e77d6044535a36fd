//! How a torrent's bytes are cut: pieces of one length (the last may be shorter), each in blocks of at most
//! 16 KiB. Indices are made here alone, by the check that they are in range.

use std::fmt;

/// The length of a block as every client requests it: 16 KiB (BEP 3).
pub const BLOCK: u32 = 16 * 1024;

/// A piece's number, known to be in range of the [`Layout`] that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A range of bytes within one piece, known to lie inside it: `begin + length` is at most the piece's
/// length, and `length` is at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    piece: PieceIndex,
    begin: u32,
    length: u32,
}

impl BlockRef {
    /// The piece it lies in.
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }
    /// The offset of its first byte within the piece.
    pub const fn begin(self) -> u32 {
        self.begin
    }
    /// Its length in bytes.
    pub const fn length(self) -> u32 {
        self.length
    }
}

impl fmt::Debug for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}+{}]", self.piece, self.begin, self.length)
    }
}

/// The cut of one torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    total: u64,
    piece_length: u32,
    pieces: u32,
}

/// Why no layout can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Nothing to share.
    #[error("the content is empty: a torrent needs at least one byte")]
    Empty,
    /// A piece length of zero, or over [`Layout::MAX_PIECE_LENGTH`].
    #[error("a piece length of {0} bytes is outside 1 byte to 256 MiB")]
    PieceLength(u64),
    /// More pieces than [`Layout::MAX_PIECES`].
    #[error("{0} pieces are more than the 2,097,152 that are allowed: choose a larger piece length")]
    TooManyPieces(u64),
}

impl Layout {
    /// The longest piece accepted: 256 MiB.
    pub const MAX_PIECE_LENGTH: u32 = 256 << 20;
    /// The most pieces accepted: 2²¹, so that a bitfield is at most 256 KiB.
    pub const MAX_PIECES: u32 = 1 << 21;

    /// The cut of `total` bytes into pieces of `piece_length`.
    pub fn new(total: u64, piece_length: u64) -> Result<Self, LayoutError> {
        if total == 0 {
            return Err(LayoutError::Empty);
        }
        if piece_length == 0 || piece_length > u64::from(Self::MAX_PIECE_LENGTH) {
            return Err(LayoutError::PieceLength(piece_length));
        }
        let pieces = total.div_ceil(piece_length);
        if pieces > u64::from(Self::MAX_PIECES) {
            return Err(LayoutError::TooManyPieces(pieces));
        }
        Ok(Self { total, piece_length: piece_length as u32, pieces: pieces as u32 })
    }

    /// All bytes of the content.
    pub const fn total(&self) -> u64 {
        self.total
    }
    /// The length of every piece but the last.
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }
    /// How many pieces there are.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The piece numbered `index`, if there is one.
    pub fn piece(&self, index: u32) -> Option<PieceIndex> {
        (index < self.pieces).then_some(PieceIndex(index))
    }

    /// All pieces in order.
    pub fn all(&self) -> impl ExactSizeIterator<Item = PieceIndex> + use<> {
        (0..self.pieces).map(PieceIndex)
    }

    /// The length of `piece` in bytes.
    pub fn length_of(&self, piece: PieceIndex) -> u32 {
        if piece.0 + 1 == self.pieces {
            (self.total - u64::from(piece.0) * u64::from(self.piece_length)) as u32
        } else {
            self.piece_length
        }
    }

    /// How many blocks of 16 KiB `piece` has (the last may be shorter).
    pub fn blocks_in(&self, piece: PieceIndex) -> u32 {
        self.length_of(piece).div_ceil(BLOCK)
    }

    /// Block number `n` of `piece`, as clients request it; `None` past the last.
    pub fn nth_block(&self, piece: PieceIndex, n: u32) -> Option<BlockRef> {
        let begin = n.checked_mul(BLOCK)?;
        let end = self.length_of(piece);
        (begin < end).then(|| BlockRef { piece, begin, length: BLOCK.min(end - begin) })
    }

    /// The range a remote named, if it lies inside one piece of this torrent and is not empty.
    pub fn block(&self, piece: u32, begin: u32, length: u32) -> Option<BlockRef> {
        let piece = self.piece(piece)?;
        let end = u64::from(begin) + u64::from(length);
        (length > 0 && end <= u64::from(self.length_of(piece))).then_some(BlockRef { piece, begin, length })
    }

    /// The offset of a block's first byte within the whole content.
    pub fn offset_of(&self, block: BlockRef) -> u64 {
        u64::from(block.piece.0) * u64::from(self.piece_length) + u64::from(block.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_piece_and_last_block_are_short() {
        let layout = Layout::new(3 * 40_000 + 5, 40_000).unwrap();
        assert_eq!(layout.pieces(), 4);
        let last = layout.piece(3).unwrap();
        assert_eq!((layout.length_of(last), layout.blocks_in(last)), (5, 1));
        let first = layout.piece(0).unwrap();
        assert_eq!(layout.blocks_in(first), 3);
        assert_eq!(layout.nth_block(first, 2).unwrap().length(), 40_000 - 2 * BLOCK);
        assert_eq!(layout.nth_block(first, 3), None);
        assert_eq!(layout.piece(4), None);
    }

    #[test]
    fn ranges_outside_the_piece_make_no_block() {
        let layout = Layout::new(100, 60).unwrap();
        assert!(layout.block(1, 0, 40).is_some());
        assert_eq!(layout.block(1, 0, 41), None);
        assert_eq!(layout.block(0, 60, 1), None);
        assert_eq!(layout.block(0, 0, 0), None);
        assert_eq!(layout.block(0, u32::MAX, u32::MAX), None);
        assert_eq!(layout.block(2, 0, 1), None);
    }

    #[test]
    fn refuses_what_cannot_be_cut() {
        assert_eq!(Layout::new(0, 1), Err(LayoutError::Empty));
        assert_eq!(Layout::new(1, 0), Err(LayoutError::PieceLength(0)));
        assert_eq!(Layout::new(u64::MAX, 1), Err(LayoutError::TooManyPieces(u64::MAX)));
    }
}
