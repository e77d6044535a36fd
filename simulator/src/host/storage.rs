//! A host's disk and hasher. Contents are never stored whole: what a verified piece holds is a function of
//! the torrent. Unverified bytes are kept until their piece's verdict.
//!
//! In the message stack every block is a slice of one static buffer, zeros if right and ones if wrong; in
//! the wire stack it is real bytes, and the verdict is SHA-1's.

use std::collections::BTreeMap;

use bytes::Bytes;
use engine::{BlockRef, Layout, PieceIndex};
use rustc_hash::FxHashMap;
use sha1::{Digest, Sha1};

use crate::network::latency::mix;

/// The longest block that the engine serves.
const LONGEST: usize = 128 * 1024;
static RIGHT: [u8; LONGEST] = [0; LONGEST];
static WRONG: [u8; LONGEST] = [0xff; LONGEST];

/// Which layers run under the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// Messages are passed as they are; exact lengths are charged.
    #[default]
    Message,
    /// Every byte is encoded, decoded and hashed.
    Wire,
}

/// The bytes of the torrent in the wire stack, as a function of their offset, and the hashes of its pieces.
#[derive(Debug)]
pub(crate) struct Content {
    layout: Layout,
    seed: u64,
    hashes: Vec<[u8; 20]>,
}

impl Content {
    pub fn new(layout: Layout, seed: u64) -> Self {
        let mut content = Self { layout, seed, hashes: Vec::new() };
        let mut piece_bytes = Vec::new();
        for piece in layout.all() {
            let start = u64::from(piece.get()) * u64::from(layout.piece_length());
            piece_bytes.resize(layout.length_of(piece) as usize, 0);
            content.read(start, &mut piece_bytes);
            content.hashes.push(Sha1::digest(&piece_bytes).into());
        }
        content
    }

    /// The bytes from `offset` on.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        // Eight bytes share a word.
        let word = |number: u64| mix(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
        let skip = (offset % 8) as usize;
        let (head, rest) = out.split_at_mut(((8 - skip) % 8).min(out.len()));
        head.copy_from_slice(&word(offset / 8)[skip..][..head.len()]);
        let first = offset.div_ceil(8);
        for (i, chunk) in rest.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&word(first + i as u64)[..chunk.len()]);
        }
    }

    fn block(&self, block: BlockRef) -> Bytes {
        let mut bytes = vec![0; block.length() as usize];
        self.read(self.layout.offset_of(block), &mut bytes);
        bytes.into()
    }
}

/// One host's unverified blocks.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// Message stack: blocks whose bytes are wrong.
    tainted: Vec<BlockRef>,
    /// Wire stack: the bytes that came.
    unverified: BTreeMap<PieceIndex, Vec<u8>>,
}

impl Storage {
    /// The bytes of a verified block.
    pub fn read(content: Option<&Content>, block: BlockRef) -> Option<Bytes> {
        match content {
            Some(content) => Some(content.block(block)),
            None => RIGHT.get(..block.length() as usize).map(Bytes::from_static),
        }
    }

    /// Message stack: bytes of one of the two buffers, at most as long as the longest block that the engine serves.
    pub fn static_bytes(length: u32, right: bool) -> Bytes {
        let buffer = if right { &RIGHT } else { &WRONG };
        Bytes::from_static(&buffer[..(length as usize).min(LONGEST)])
    }

    /// Message stack: whether bytes are right.
    pub fn is_right(data: &[u8]) -> bool {
        data.first() != Some(&WRONG[0])
    }

    /// Makes wrong bytes of right ones.
    pub fn corrupt(content: Option<&Content>, data: &mut Bytes) {
        *data = match content {
            Some(_) => data.iter().map(|byte| !byte).collect(),
            None => Self::static_bytes(data.len() as u32, false),
        };
    }

    pub fn write(&mut self, content: Option<&Content>, layout: &Layout, block: BlockRef, data: &Bytes) {
        let piece = block.piece();
        if content.is_some() {
            let bytes =
                self.unverified.entry(piece).or_insert_with(|| vec![0; layout.length_of(piece) as usize]);
            let begin = block.begin() as usize;
            bytes[begin..begin + data.len()].copy_from_slice(data);
        } else {
            // A block may come again: what was written last counts.
            if !self.tainted.is_empty() {
                self.tainted.retain(|&tainted| tainted != block);
            }
            if !Self::is_right(data) {
                self.tainted.push(block);
            }
        }
    }

    /// Whether the piece is what the torrent says; forgets its bytes.
    pub fn verify(&mut self, content: Option<&Content>, piece: PieceIndex) -> bool {
        match content {
            Some(content) => {
                let bytes = self.unverified.remove(&piece).unwrap_or_default();
                let digest: [u8; 20] = Sha1::digest(&bytes).into();
                content.hashes.get(piece.index()) == Some(&digest)
            }
            None => {
                let before = self.tainted.len();
                self.tainted.retain(|tainted| tainted.piece() != piece);
                self.tainted.len() == before
            }
        }
    }
}

/// Requests that went out and whose blocks may come: for the checks of test builds.
pub(crate) type Asked = FxHashMap<(u32, u32), u32>;
