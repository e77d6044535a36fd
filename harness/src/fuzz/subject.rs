//! The torrent that a dialogue is about. Where it is ours, its content is a function of the offset, so that nothing
//! has to be kept.

use bytes::Bytes;
use engine::metainfo::{Builder, MetainfoError};
use engine::wire::{Message, RawBlock};
use engine::{Layout, Metainfo};

/// See the module.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its info dictionary and all.
    pub metainfo: Metainfo,
    content: Content,
}

/// What its bytes are.
#[derive(Clone, Debug)]
enum Content {
    /// [`Subject::content`].
    Drawn,
    /// These, as far as they go; then zeros.
    Given(Bytes),
}

/// Eight bytes of the content (splitmix64).
fn word(number: u64) -> [u8; 8] {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_be_bytes()
}

impl Subject {
    /// The most content of a dialogue's torrent: 64 MiB.
    pub const MAX_TOTAL: u64 = 64 << 20;
    /// The name of its only file.
    pub const NAME: &'static str = "prey.bin";

    /// A torrent of one file of so many bytes, cut into pieces of this length.
    pub fn new(total: u64, piece_length: u32) -> Result<Self, MetainfoError> {
        let builder = Builder::file(Self::NAME, total.min(Self::MAX_TOTAL)).piece_length(piece_length.into());
        let mut hasher = builder.hasher()?;
        let mut at = 0;
        while at < total.min(Self::MAX_TOTAL) {
            let length = (total.min(Self::MAX_TOTAL) - at).min(64 << 10);
            hasher.write(&Self::content(at, length as usize));
            at += length;
        }
        Ok(Self { metainfo: hasher.finish()?, content: Content::Drawn })
    }

    /// Somebody's torrent, with its content if that is known.
    pub fn given(metainfo: Metainfo, content: Bytes) -> Self {
        Self { metainfo, content: Content::Given(content) }
    }

    /// How it is cut.
    pub fn layout(&self) -> &Layout {
        &self.metainfo.layout
    }

    /// The content's bytes from an offset.
    pub fn content(offset: u64, length: usize) -> Vec<u8> {
        let (first, skip) = (offset / 8, (offset % 8) as usize);
        let words = (skip + length).div_ceil(8) as u64;
        let mut bytes = Vec::with_capacity(words as usize * 8);
        (first..first.saturating_add(words)).for_each(|number| bytes.extend_from_slice(&word(number)));
        bytes.drain(..skip);
        bytes.truncate(length);
        bytes
    }

    /// The bytes of a range that a remote names: the content's if it is in the torrent, else zeros, at most 256 KiB.
    pub fn bytes_of(&self, raw: RawBlock) -> Bytes {
        match self.layout().block(raw.piece, raw.begin, raw.length) {
            Some(block) if block.length() <= 256 << 10 => {
                let (offset, length) = (self.layout().offset_of(block), block.length() as usize);
                match &self.content {
                    Content::Drawn => Self::content(offset, length).into(),
                    Content::Given(content) => {
                        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                        let mut bytes = content[from..content.len().min(from + length)].to_vec();
                        bytes.resize(length, 0);
                        bytes.into()
                    }
                }
            }
            _ => vec![0; raw.length.min(256 << 10) as usize].into(),
        }
    }

    /// The message that answers a request.
    pub fn block(&self, raw: RawBlock) -> Message {
        Message::Piece { piece: raw.piece, begin: raw.begin, data: self.bytes_of(raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_the_same_however_it_is_read() {
        let whole = Subject::content(0, 100);
        for (from, length) in [(0, 1), (7, 2), (8, 8), (13, 50), (99, 1)] {
            assert_eq!(Subject::content(from, length), whole[from as usize..][..length]);
        }
        let subject = Subject::new(70_000, 16 << 10).unwrap();
        assert_eq!(subject.layout().pieces(), 5);
        let block = RawBlock { piece: 1, begin: 5, length: 3 };
        assert_eq!(subject.bytes_of(block)[..], Subject::content((16 << 10) + 5, 3));
        assert_eq!(subject.bytes_of(RawBlock { piece: 9, ..block })[..], [0; 3]);
    }
}
