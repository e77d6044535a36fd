//! `.torrent` files (BEP 3, 12, 27, 47): reading ([`Metainfo::parse`]) and making ([`Builder`]).
//!
//! - The info-hash is that of the info dictionary's bytes as they stand in the file; bencode that is not
//!   strict is refused, so no other encoding of it exists.
//! - Every path stays below the download folder, and no two files are in each other's way: a driver may join
//!   the components and write.
//! - There is exactly one hash for each piece of the [`Layout`], and at least one byte of content.
//! - Names must be UTF-8, as BEP 3 says; an old file whose `name` or `path` is not is read by its
//!   `name.utf-8` or `path.utf-8`, and refused if it has none.
//! - Memory is bounded: by [`MAX_TORRENT`] and, for the list of files, by bencode's limit on tokens (about
//!   250,000 files).

mod create;
mod paths;

use bytes::Bytes;

use crate::bencode::{BencodeError, Item, Value};
use crate::layout::{Layout, LayoutError, PieceIndex};
use crate::text;
use crate::torrent::Torrent;
use crate::wire::InfoHash;

pub use create::{Builder, Hasher, automatic_piece_length};
pub use paths::PathFault;

/// The longest `.torrent`, and the longest info dictionary, that is read: 64 MiB. The hashes of the most
/// pieces take 40.
pub const MAX_TORRENT: usize = 64 << 20;
/// The most trackers that are kept of one file.
pub const MAX_TRACKERS: usize = 200;
/// The longest tracker URL that is kept, in bytes.
pub const MAX_URL: usize = 2048;
/// The longest comment or creator that is kept, in bytes.
const MAX_TEXT: usize = 8192;

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it lies below the download folder: the torrent's name alone if it is the torrent's only file
    /// by form, else the torrent's name and then the path within. Every component is safe to join.
    pub path: Vec<String>,
    /// Its length in bytes; 0 is allowed.
    pub length: u64,
    /// Where its first byte is in the torrent's content.
    pub offset: u64,
    /// BEP 47: padding, all zeros. Not to be written; its path means nothing and may clash.
    pub pad: bool,
    /// BEP 47: to be made executable.
    pub executable: bool,
}

/// What a `.torrent` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// The torrent's name in the protocol.
    pub info_hash: InfoHash,
    /// The suggested name of the file or folder.
    pub name: String,
    /// How the content is cut.
    pub layout: Layout,
    /// The files, in the order of their bytes; their lengths sum to the layout's total.
    pub files: Vec<File>,
    /// The SHA-1 of each piece.
    pub piece_hashes: Vec<[u8; 20]>,
    /// BEP 27: peers come from the tracker alone.
    pub private: bool,
    /// Tracker URLs in tiers (BEP 12): `announce-list` if there is one, else `announce`. May be empty.
    pub trackers: Vec<Vec<String>>,
    /// A comment.
    pub comment: Option<String>,
    /// What made the file.
    pub created_by: Option<String>,
    /// When the file was made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// The info dictionary, byte for byte: what BEP 9 hands out.
    pub info: Bytes,
}

/// Why a file is no `.torrent` that can be used, or why none can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetainfoError {
    /// Longer than [`MAX_TORRENT`].
    #[error("{0} bytes are more than the 64 MiB that a torrent file may have")]
    TooLarge(usize),
    /// Not strict bencode.
    #[error("the torrent file is not valid bencode: {0}")]
    Syntax(#[from] BencodeError),
    /// Something that must be there is not.
    #[error("the torrent file has no {0}")]
    Missing(&'static str),
    /// Something is there that is not what it should be.
    #[error("the torrent file has a {0} that is not valid")]
    Invalid(&'static str),
    /// BEP 52 alone: there are no SHA-1 pieces.
    #[error("the torrent is of version 2 alone (BEP 52), which is not supported")]
    OnlyVersion2,
    /// The content cannot be cut so.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Not one hash for each piece.
    #[error("the torrent file has {got} bytes of piece hashes where {expected} are due")]
    Pieces {
        /// Bytes there are.
        got: usize,
        /// Twenty for each piece.
        expected: usize,
    },
    /// A path that must not be written to.
    #[error("the path {path:?} {fault}")]
    Path {
        /// The component at fault, or the whole path; cut if it is long.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The hasher was not given exactly the content.
    #[error("{got} bytes were hashed where the files have {expected}")]
    Content {
        /// Bytes it was given.
        got: u64,
        /// Bytes there are in all files.
        expected: u64,
    },
}

use MetainfoError::{Invalid, Missing};

impl Metainfo {
    /// What a `.torrent` says.
    pub fn parse(file: &[u8]) -> Result<Self, MetainfoError> {
        if file.len() > MAX_TORRENT {
            return Err(MetainfoError::TooLarge(file.len()));
        }
        let root = Value::parse(file)?;
        root.dictionary().ok_or(Invalid("form: it is no dictionary"))?;
        let info = root.get("info").ok_or(Missing("info dictionary"))?;
        let text = |key: &str| Some(short(root.get(key)?.string()?));
        Ok(Self {
            trackers: trackers(root),
            comment: text("comment"),
            created_by: text("created by"),
            creation_date: root.get("creation date").and_then(Value::integer),
            ..Self::read_info(info)?
        })
    }

    /// What an info dictionary alone says, as it comes by BEP 9. Whether its hash is the one that was asked
    /// for is for the caller to compare.
    pub fn from_info(info: &[u8]) -> Result<Self, MetainfoError> {
        if info.len() > MAX_TORRENT {
            return Err(MetainfoError::TooLarge(info.len()));
        }
        Self::read_info(Value::parse(info)?)
    }

    fn read_info(info: Value<'_>) -> Result<Self, MetainfoError> {
        info.dictionary().ok_or(Invalid("info that is no dictionary"))?;
        let name = paths::name(info)?;
        let files = paths::files(info, &name)?;
        let total = files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.length));
        let total = total.ok_or(Invalid("total length"))?;
        let piece_length = info.get("piece length").ok_or(Missing("piece length"))?;
        let piece_length = piece_length.number().ok_or(Invalid("piece length"))?;
        let Some(pieces) = info.get("pieces") else {
            let version2 = info.get("meta version").and_then(Value::integer) == Some(2);
            return Err(if version2 { MetainfoError::OnlyVersion2 } else { Missing("pieces") });
        };
        let pieces = pieces.string().ok_or(Invalid("pieces"))?;
        let layout = Layout::new(total, piece_length)?;
        let expected = layout.pieces() as usize * 20;
        if pieces.len() != expected {
            return Err(MetainfoError::Pieces { got: pieces.len(), expected });
        }
        Ok(Self {
            info_hash: InfoHash::of(info.encoded()),
            name,
            layout,
            files,
            piece_hashes: pieces.as_chunks().0.to_vec(),
            private: info.get("private").and_then(Value::integer) == Some(1),
            trackers: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
            info: Bytes::copy_from_slice(info.encoded()),
        })
    }

    /// As a `.torrent`: the info dictionary as it came, the rest as it is here.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { trackers, comment, created_by, creation_date, info, .. } = self;
        let text = |text: &Option<String>| text.as_ref().map(Item::string);
        let tier = |tier: &Vec<String>| Item::List(tier.iter().map(Item::string).collect());
        // BEP 12: the list if it says more than one URL can.
        let several = trackers.iter().map(Vec::len).sum::<usize>() > 1;
        let mut bytes = Item::dictionary([
            ("announce", trackers.iter().flatten().next().map(Item::string)),
            ("announce-list", several.then(|| Item::List(trackers.iter().map(tier).collect()))),
            ("comment", text(comment)),
            ("created by", text(created_by)),
            ("creation date", creation_date.map(Item::Integer)),
        ])
        .to_bytes();
        // `info` sorts after all of these.
        bytes.pop();
        bytes.extend_from_slice(b"4:info");
        bytes.extend_from_slice(info);
        bytes.push(b'e');
        bytes
    }

    /// What a peer needs of it.
    pub fn torrent(&self) -> Torrent {
        Torrent { info_hash: self.info_hash, layout: self.layout, private: self.private }
    }

    /// The SHA-1 that a piece must have; `None` for a piece of another torrent.
    pub fn piece_hash(&self, piece: PieceIndex) -> Option<&[u8; 20]> {
        self.piece_hashes.get(piece.index())
    }
}

/// BEP 12's tiers, or BEP 3's one tracker. URLs that are empty, too long or not UTF-8 are left out, and so
/// are empty tiers.
fn trackers(root: Value<'_>) -> Vec<Vec<String>> {
    let url = |value: Value<'_>| {
        let url = value.text().filter(|url| !url.is_empty() && url.len() <= MAX_URL)?;
        Some(url.to_owned())
    };
    let mut room = MAX_TRACKERS;
    let mut tiers = Vec::new();
    for tier in root.get("announce-list").and_then(Value::list).into_iter().flatten() {
        let urls: Vec<_> = tier.list().into_iter().flatten().filter_map(url).take(room).collect();
        room -= urls.len();
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        tiers.extend(root.get("announce").and_then(url).map(|url| vec![url]));
    }
    tiers
}

/// A text that nothing depends on: what is not UTF-8 replaced, cut to [`MAX_TEXT`].
fn short(bytes: &[u8]) -> String {
    text::lossy(bytes, MAX_TEXT)
}

#[cfg(test)]
mod tests;
