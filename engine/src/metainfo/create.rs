//! Making a `.torrent`: the names and lengths first, then the content in any slices, then the bytes of the
//! file. What is made parses back to what was asked for.

use sha1::{Digest, Sha1};

use super::paths::{check_component, check_files};
use super::{File, MAX_TEXT, MAX_TRACKERS, MAX_URL, Metainfo, MetainfoError};
use crate::bencode::Item;
use crate::layout::Layout;
use crate::wire::InfoHash;

/// The piece length that is chosen for so many bytes of content: the least power of two from 16 KiB that
/// makes at most 2,048 pieces (40 KiB of hashes), but no more than 16 MiB while that is enough.
///
/// | content up to | pieces of |
/// | --- | --- |
/// | 32 MiB | 16 KiB |
/// | 64 MiB | 32 KiB |
/// | … | twice as much each time |
/// | 16 GiB | 8 MiB |
/// | 32 TiB | 16 MiB |
/// | more | what [`Layout::MAX_PIECES`] asks for |
pub fn automatic_piece_length(total: u64) -> u64 {
    const MOST: u64 = 16 << 20;
    let comfortable = total.div_ceil(2048).next_power_of_two().clamp(16 << 10, MOST);
    let necessary = total.div_ceil(Layout::MAX_PIECES.into()).next_power_of_two();
    comfortable.max(necessary)
}

/// What a new `.torrent` is to say.
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    /// Paths below the torrent's folder; `None` for the single-file form.
    files: Vec<(Vec<String>, u64)>,
    single: bool,
    piece_length: Option<u64>,
    private: bool,
    trackers: Vec<Vec<String>>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
}

impl Builder {
    /// A torrent of one file of `length` bytes.
    pub fn file(name: impl Into<String>, length: u64) -> Self {
        Self { files: vec![(Vec::new(), length)], single: true, ..Self::folder(name, Vec::new()) }
    }

    /// A torrent of a folder's files: the components of each path below the folder, and each length in
    /// bytes. Their order is that of the content.
    pub fn folder(name: impl Into<String>, files: Vec<(Vec<String>, u64)>) -> Self {
        Self {
            name: name.into(),
            files,
            single: false,
            piece_length: None,
            private: false,
            trackers: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        }
    }

    /// Bytes in a piece; [`automatic_piece_length`] if not said.
    pub fn piece_length(self, bytes: u64) -> Self {
        Self { piece_length: Some(bytes), ..self }
    }

    /// BEP 27: peers are to come from the tracker alone.
    pub fn private(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Tracker URLs in tiers (BEP 12).
    pub fn trackers(self, trackers: Vec<Vec<String>>) -> Self {
        Self { trackers, ..self }
    }

    /// A comment.
    pub fn comment(self, comment: impl Into<String>) -> Self {
        Self { comment: Some(comment.into()), ..self }
    }

    /// What makes the file.
    pub fn created_by(self, creator: impl Into<String>) -> Self {
        Self { created_by: Some(creator.into()), ..self }
    }

    /// When it is made, in seconds since 1970.
    pub fn creation_date(self, seconds: i64) -> Self {
        Self { creation_date: Some(seconds), ..self }
    }

    /// Refuses what [`Metainfo::parse`] would leave out or cut.
    fn check_texts(&mut self) -> Result<(), MetainfoError> {
        self.trackers.retain(|tier| !tier.is_empty());
        let urls = || self.trackers.iter().flatten();
        if urls().any(|url| url.is_empty() || url.len() > MAX_URL) || urls().count() > MAX_TRACKERS {
            return Err(MetainfoError::Invalid("tracker URL"));
        }
        for (text, what) in [(&self.comment, "comment"), (&self.created_by, "creator")] {
            if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
                return Err(MetainfoError::Invalid(what));
            }
        }
        Ok(())
    }

    /// Checks the names and lengths as [`Metainfo::parse`] would, and takes the content next.
    pub fn hasher(mut self) -> Result<Hasher, MetainfoError> {
        self.check_texts()?;
        check_component(&self.name)?;
        let (mut files, mut offset) = (Vec::new(), 0u64);
        for (below, length) in &self.files {
            if below.is_empty() && !self.single {
                let fault = super::PathFault::Empty;
                return Err(MetainfoError::Path { path: String::new(), fault });
            }
            let mut path = vec![self.name.clone()];
            path.extend_from_slice(below);
            files.push(File { path, length: *length, offset, pad: false, executable: false });
            // Bencode's integers have 63 bits.
            offset = offset
                .checked_add(*length)
                .filter(|&end| end <= i64::MAX as u64)
                .ok_or(MetainfoError::Invalid("total length"))?;
        }
        check_files(&files)?;
        let piece_length = self.piece_length.unwrap_or_else(|| automatic_piece_length(offset));
        let layout = Layout::new(offset, piece_length)?;
        Ok(Hasher { builder: self, layout, files, sha1: Sha1::new(), hashes: Vec::new(), written: 0 })
    }
}

/// Takes the content of a new torrent. Holds one SHA-1 state and twenty bytes for each piece, nothing else.
#[derive(Clone, Debug)]
pub struct Hasher {
    builder: Builder,
    layout: Layout,
    files: Vec<File>,
    sha1: Sha1,
    hashes: Vec<[u8; 20]>,
    written: u64,
}

impl Hasher {
    /// How the content is cut.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Takes the next bytes of the content: the files one after the other, in any slices. What is over the
    /// files' lengths is counted and not hashed.
    pub fn write(&mut self, mut bytes: &[u8]) {
        let piece_length = u64::from(self.layout.piece_length());
        while !bytes.is_empty() {
            let due = self.layout.total().saturating_sub(self.written);
            let room = (piece_length - self.written % piece_length).min(due);
            if room == 0 {
                self.written = self.written.saturating_add(bytes.len() as u64);
                return;
            }
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.sha1.update(now);
            self.written += now.len() as u64;
            bytes = later;
            if now.len() as u64 == room {
                self.hashes.push(self.sha1.finalize_reset().into());
            }
        }
    }

    /// The metainfo; [`Metainfo::to_bytes`] is the file. Fails if it was not given exactly the files' bytes.
    pub fn finish(mut self) -> Result<Metainfo, MetainfoError> {
        if self.written != self.layout.total() {
            return Err(MetainfoError::Content { got: self.written, expected: self.layout.total() });
        }
        let hashes = std::mem::take(&mut self.hashes);
        self.with_hashes(hashes)
    }

    /// The metainfo of content whose hashes are known. Fails if they are not one for each piece.
    pub fn with_hashes(self, hashes: Vec<[u8; 20]>) -> Result<Metainfo, MetainfoError> {
        let Self { builder, layout, files, .. } = self;
        if hashes.len() != layout.pieces() as usize {
            return Err(MetainfoError::Invalid("number of hashes"));
        }
        let file = |(path, length): &(Vec<String>, u64)| {
            let path = Item::List(path.iter().map(Item::string).collect());
            Item::dictionary([("length", Some(Item::unsigned(*length))), ("path", Some(path))])
        };
        let single = builder.single;
        let info = Item::dictionary([
            ("files", (!single).then(|| Item::List(builder.files.iter().map(file).collect()))),
            ("length", single.then(|| Item::unsigned(layout.total()))),
            ("name", Some(Item::string(&builder.name))),
            ("piece length", Some(Item::Integer(layout.piece_length().into()))),
            ("pieces", Some(Item::String(hashes.concat()))),
            ("private", builder.private.then_some(Item::Integer(1))),
        ])
        .to_bytes();
        Ok(Metainfo {
            info_hash: InfoHash::of(&info),
            name: builder.name,
            layout,
            files,
            piece_hashes: hashes,
            private: builder.private,
            trackers: builder.trackers,
            comment: builder.comment,
            created_by: builder.created_by,
            creation_date: builder.creation_date,
            info: info.into(),
        })
    }
}
