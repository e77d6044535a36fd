//! Which pieces someone has: one bit for each piece, with its count kept.

use smallvec::SmallVec;

use crate::layout::{Layout, PieceIndex};

const BITS: u32 = u64::BITS;

/// A set of pieces of one torrent. Up to 256 pieces lie in the value itself: a swarm keeps one for each end
/// of each connection, and a HAVE should not cost a second cache miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    words: SmallVec<[u64; 4]>,
    count: u32,
    pieces: u32,
}

/// Why bytes are no bitfield of this torrent (BEP 3: the sender is to be dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// Not `ceil(pieces / 8)` bytes.
    #[error("a bitfield of {got} bytes where {expected} were due")]
    Length {
        /// Bytes received.
        got: usize,
        /// Bytes that the number of pieces asks for.
        expected: usize,
    },
    /// A bit past the last piece is set.
    #[error("a spare bit of the bitfield is set")]
    SpareBit,
}

impl Bitfield {
    /// No piece of no torrent.
    pub(crate) const fn none() -> Self {
        Self { words: SmallVec::new_const(), count: 0, pieces: 0 }
    }

    /// No piece.
    pub fn empty(layout: &Layout) -> Self {
        let words = SmallVec::from_elem(0, layout.pieces().div_ceil(BITS) as usize);
        Self { words, count: 0, pieces: layout.pieces() }
    }

    /// Every piece.
    pub fn full(layout: &Layout) -> Self {
        let mut set = Self::empty(layout);
        set.words.fill(u64::MAX);
        let spare = set.words.len() as u32 * BITS - set.pieces;
        if let Some(last) = set.words.last_mut() {
            *last >>= spare;
        }
        set.count = set.pieces;
        set
    }

    /// Bytes beside those of the value.
    pub(crate) fn footprint(&self) -> u64 {
        if self.words.spilled() { (self.words.capacity() * size_of::<u64>()) as u64 } else { 0 }
    }

    fn place(piece: PieceIndex) -> (usize, u64) {
        (piece.index() / BITS as usize, 1 << (piece.get() % BITS))
    }

    /// Whether `piece` is in the set.
    #[inline]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        let (word, bit) = Self::place(piece);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Puts `piece` in; false if it was there.
    #[inline]
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let (word, bit) = Self::place(piece);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u32::from(new);
        new
    }

    /// Takes `piece` out; false if it was not there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let (word, bit) = Self::place(piece);
        let was = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        self.count -= u32::from(was);
        was
    }

    /// How many pieces are in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many pieces there are in all.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Whether every piece is in the set.
    pub fn is_full(&self) -> bool {
        self.count == self.pieces
    }

    /// How many pieces are here and not in `other` (of the same torrent).
    pub fn count_missing_from(&self, other: &Self) -> u32 {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & !b).count_ones()).sum()
    }

    /// How many pieces are here and in `other` (of the same torrent).
    pub fn count_common(&self, other: &Self) -> u32 {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// The numbers of the pieces that are here and in `other` (of the same torrent), ascending.
    pub(crate) fn common<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let words = self.words.iter().zip(&other.words).zip(0..);
        words.flat_map(|((a, b), i)| bits_of(a & b).map(move |bit| i * BITS + bit))
    }

    /// The pieces in the set, ascending.
    pub fn iter<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = PieceIndex> + 'a {
        let words = self.words.iter().enumerate();
        words
            .flat_map(|(i, &word)| bits_of(word).map(move |bit| i as u32 * BITS + bit))
            .filter_map(|i| layout.piece(i))
    }

    /// The set as words, lowest piece in the lowest bit: for scans.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// As BEP 3 sends it: the first piece in the highest bit of the first byte, spare bits zero.
    pub fn to_wire(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes().map(u8::reverse_bits));
        bytes.take((self.pieces as usize).div_ceil(8)).collect()
    }

    /// The set that BEP 3's bytes say.
    pub fn from_wire(layout: &Layout, bytes: &[u8]) -> Result<Self, BitfieldError> {
        let expected = (layout.pieces() as usize).div_ceil(8);
        if bytes.len() != expected {
            return Err(BitfieldError::Length { got: bytes.len(), expected });
        }
        let mut set = Self::empty(layout);
        for (i, &byte) in bytes.iter().enumerate() {
            for bit in 0..8 {
                if byte & (0x80 >> bit) != 0 {
                    let piece = layout.piece((i * 8 + bit) as u32).ok_or(BitfieldError::SpareBit)?;
                    set.insert(piece);
                }
            }
        }
        Ok(set)
    }
}

/// The numbers of the bits that are set, ascending.
fn bits_of(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form_is_high_bit_first() {
        let layout = Layout::new(10, 1).unwrap();
        let mut set = Bitfield::empty(&layout);
        for i in [0, 7, 9] {
            assert!(set.insert(layout.piece(i).unwrap()));
            assert!(!set.insert(layout.piece(i).unwrap()));
        }
        assert_eq!(set.to_wire(), [0b1000_0001, 0b0100_0000]);
        assert_eq!(Bitfield::from_wire(&layout, &set.to_wire()).unwrap(), set);
        assert_eq!(set.count(), 3);
        let mut other = Bitfield::full(&layout);
        assert!(other.remove(layout.piece(7).unwrap()));
        assert_eq!((set.count_common(&other), set.count_missing_from(&other)), (2, 1));
        assert_eq!(set.common(&other).collect::<Vec<_>>(), [0, 9]);
        assert!(Bitfield::full(&layout).is_full());
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let layout = Layout::new(10, 1).unwrap();
        assert_eq!(Bitfield::from_wire(&layout, &[0]), Err(BitfieldError::Length { got: 1, expected: 2 }));
        assert_eq!(Bitfield::from_wire(&layout, &[0, 0b0010_0000]), Err(BitfieldError::SpareBit));
    }
}
