//! The torrent that cases are about, and hostile ones like it.

use std::ops::Range;

use bytes::Bytes;
use engine::bencode::Item;
use engine::metainfo::MetainfoError;
use engine::wire::METADATA_PIECE;
use engine::{BLOCK, Layout, Metainfo, RawBlock};
use sha1::{Digest, Sha1};

/// Bytes in a piece: four blocks.
pub const PIECE: u64 = 64 << 10;
/// Bytes in all: eleven pieces, so that a bitfield has spare bits; the last is short, and so is its last block.
pub const LENGTH: u64 = 10 * PIECE + 20_000;
/// What it is called.
pub const NAME: &str = "conform.bin";

/// A torrent, its file, and its content if that is ours.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What the file says.
    pub metainfo: Metainfo,
    /// The file.
    pub file: Vec<u8>,
    content: Bytes,
}

/// Bytes that look random and are the same each time.
fn content() -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(LENGTH as usize + 8);
    while (bytes.len() as u64) < LENGTH {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(LENGTH as usize);
    bytes.into()
}

impl Subject {
    /// The torrent of the cases, with these trackers in tiers.
    pub fn new(trackers: &[Vec<String>], private: bool) -> Result<Self, MetainfoError> {
        let content = content();
        let forge = Forge { trackers: trackers.to_vec() };
        let file = forge.file(forge.info(private));
        Ok(Self { metainfo: Metainfo::parse(&file)?, file, content })
    }

    /// Somebody's torrent, whose content we have not.
    pub fn foreign(file: Vec<u8>) -> Result<Self, MetainfoError> {
        Ok(Self { metainfo: Metainfo::parse(&file)?, file, content: Bytes::new() })
    }

    /// All bytes; none if we have them not.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// How it is cut.
    pub fn layout(&self) -> Layout {
        self.metainfo.layout
    }

    /// The number of pieces.
    pub fn pieces(&self) -> u32 {
        self.layout().pieces()
    }

    /// Bytes in a piece; 0 for one out of range.
    pub fn length_of(&self, piece: u32) -> u32 {
        self.layout().piece(piece).map_or(0, |piece| self.layout().length_of(piece))
    }

    /// The first block of a piece.
    pub fn block(&self, piece: u32) -> RawBlock {
        RawBlock { piece, begin: 0, length: self.length_of(piece).min(BLOCK) }
    }

    /// All blocks, in order.
    pub fn blocks(&self) -> Vec<RawBlock> {
        let layout = self.layout();
        let of = |piece| (0..layout.blocks_in(piece)).filter_map(move |n| layout.nth_block(piece, n));
        layout.all().flat_map(of).map(RawBlock::from).collect()
    }

    fn range(&self, block: &RawBlock) -> Option<Range<usize>> {
        let block = self.layout().block(block.piece, block.begin, block.length)?;
        let start = usize::try_from(self.layout().offset_of(block)).ok()?;
        let range = start..start + block.length() as usize;
        (range.end <= self.content.len()).then_some(range)
    }

    /// The bytes of a block, if they are ours and it lies in the torrent.
    pub fn bytes(&self, block: &RawBlock) -> Option<Bytes> {
        Some(self.content.slice(self.range(block)?))
    }

    /// Whether these are a block's bytes. Of a foreign torrent only the length is known.
    pub fn is_right(&self, block: &RawBlock, data: &[u8]) -> bool {
        match self.bytes(block) {
            Some(right) => right == data,
            None => self.content.is_empty() && data.len() == block.length as usize,
        }
    }

    /// Whether these are a piece's bytes, by its hash.
    pub fn is_piece(&self, piece: u32, data: &[u8]) -> bool {
        let hash = self.layout().piece(piece).and_then(|piece| self.metainfo.piece_hash(piece));
        hash.is_some_and(|hash| Sha1::digest(data).as_slice() == hash)
    }

    /// Pieces of the info dictionary (BEP 9).
    pub fn metadata_pieces(&self) -> u32 {
        (self.metainfo.info.len() as u32).div_ceil(METADATA_PIECE)
    }

    /// One of them.
    pub fn metadata_piece(&self, piece: u32) -> Option<Bytes> {
        let begin = (piece * METADATA_PIECE) as usize;
        let end = self.metainfo.info.len().min(begin + METADATA_PIECE as usize);
        (begin < end).then(|| self.metainfo.info.slice(begin..end))
    }

    /// A bitfield message's payload with these pieces.
    pub fn bitfield(&self, has: impl Fn(u32) -> bool) -> Vec<u8> {
        let mut bits = vec![0; self.pieces().div_ceil(8) as usize];
        for piece in (0..self.pieces()).filter(|&piece| has(piece)) {
            bits[piece as usize / 8] |= 0x80 >> (piece % 8);
        }
        bits
    }
}

/// Makes torrent files, right and wrong ones, whose trackers are ours.
#[derive(Clone, Debug)]
pub struct Forge {
    /// URLs in tiers.
    pub trackers: Vec<Vec<String>>,
}

impl Forge {
    /// The first tracker.
    pub fn announce(&self) -> &str {
        self.trackers.iter().flatten().next().map_or("", String::as_str)
    }

    /// The right info dictionary. It is long enough for two pieces of metadata (BEP 9): a key that nobody knows
    /// sees to that.
    pub fn info(&self, private: bool) -> Vec<u8> {
        let hashes: Vec<u8> = content().chunks(PIECE as usize).flat_map(Sha1::digest).collect();
        Item::dictionary([
            ("length", Some(Item::unsigned(LENGTH))),
            ("name", Some(Item::string(NAME))),
            ("piece length", Some(Item::unsigned(PIECE))),
            ("pieces", Some(Item::String(hashes))),
            ("private", private.then_some(Item::Integer(1))),
            ("x-conform", Some(Item::string(vec![b'x'; METADATA_PIECE as usize + 2000]))),
        ])
        .to_bytes()
    }

    /// A file with this info dictionary, whatever that is.
    pub fn file(&self, info: Vec<u8>) -> Vec<u8> {
        self.file_with(&[], info)
    }

    /// The same, with raw bytes after the trackers: keys and values between `announce-list` and `info`.
    pub fn file_with(&self, middle: &[u8], info: Vec<u8>) -> Vec<u8> {
        let announce = Item::string(self.announce()).to_bytes();
        let tier = |tier: &Vec<String>| Item::List(tier.iter().map(Item::string).collect());
        let several = self.trackers.iter().map(Vec::len).sum::<usize>() > 1;
        let mut file = b"d8:announce".to_vec();
        file.extend(announce);
        if several {
            file.extend_from_slice(b"13:announce-list");
            file.extend(Item::List(self.trackers.iter().map(tier).collect()).to_bytes());
        }
        file.extend_from_slice(middle);
        file.extend_from_slice(b"4:info");
        file.extend(info);
        file.push(b'e');
        file
    }
}
