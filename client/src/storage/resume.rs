//! What is kept of a torrent between two runs of the program: which pieces are there, and how its files
//! looked then.
//!
//! - A piece is named only if it was verified and written before ([`Storage::sync`](super::Storage::sync)
//!   comes first).
//! - The file is replaced whole or not at all: a reader sees the old one or the new one.
//! - A file of the content that has another length or time by now is not believed: its pieces are hashed
//!   again. So a process that was killed while it wrote finds every whole piece, and none that is not.
//!
//! | key | what |
//! | --- | --- |
//! | `version` | 1 |
//! | `info-hash` | 20 bytes |
//! | `pieces` | as BEP 3's bitfield |
//! | `files` | for each file a list of its length and its time in nanoseconds since 1970; empty if it is not there |
//! | `uploaded`, `downloaded` | payload bytes over all runs |
//! | `info` | the info dictionary, if there is no torrent file to have it from, but peers (BEP 9) or the content |

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use engine::bencode::{Item, Value};
use engine::wire::InfoHash;
use engine::{Bitfield, Layout};

/// The version that is written, and the only one that is read.
const VERSION: i64 = 1;
/// The longest resume file that is read.
const MAX_RESUME: u64 = 128 << 20;

/// How a file looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i64,
}

impl FileStamp {
    /// How a file looks now; `None` if it is not there.
    pub fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let modified = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { length: data.len(), modified: i64::try_from(modified.as_nanos()).ok()? })
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeData {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The pieces that are there, as BEP 3's bitfield.
    pub pieces: Bytes,
    /// How each file looked; `None` if it was not there.
    pub files: Vec<Option<FileStamp>>,
    /// Payload bytes sent over all runs.
    pub uploaded: u64,
    /// Payload bytes received over all runs.
    pub downloaded: u64,
    /// The info dictionary, if there is no torrent file to have it from.
    pub info: Option<Bytes>,
}

/// Why bytes are no resume data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Not bencode.
    #[error("the resume data is not valid bencode: {0}")]
    Syntax(#[from] engine::bencode::BencodeError),
    /// Of another version.
    #[error("the resume data is of version {0}, where 1 is read")]
    Version(i64),
    /// Something is missing, or not what it should be.
    #[error("the resume data has no {0} that can be read")]
    Shape(&'static str),
    /// It cannot be read.
    #[error("cannot read the resume data: {0}")]
    Io(String),
}

impl ResumeData {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stamp = |stamp: &Option<FileStamp>| {
            let numbers = stamp.iter().flat_map(|s| [Item::unsigned(s.length), Item::Integer(s.modified)]);
            Item::List(numbers.collect())
        };
        Item::dictionary([
            ("version", Some(Item::Integer(VERSION))),
            ("info-hash", Some(Item::string(self.info_hash.0))),
            ("pieces", Some(Item::string(&self.pieces))),
            ("files", Some(Item::List(self.files.iter().map(stamp).collect()))),
            ("uploaded", Some(Item::unsigned(self.uploaded))),
            ("downloaded", Some(Item::unsigned(self.downloaded))),
            ("info", self.info.as_ref().map(Item::string)),
        ])
        .to_bytes()
    }

    /// What bytes say.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ResumeError> {
        use ResumeError::Shape;
        let value = Value::parse(bytes)?;
        let version = value.get("version").and_then(Value::integer).ok_or(Shape("version"))?;
        if version != VERSION {
            return Err(ResumeError::Version(version));
        }
        let string = |key: &'static str| value.get(key).and_then(Value::string);
        let number = |key: &'static str| value.get(key).and_then(Value::number).unwrap_or_default();
        let hash = string("info-hash").and_then(|bytes| bytes.try_into().ok());
        let stamp = |item: Value<'_>| {
            let mut numbers = item.list()?;
            let Some(length) = numbers.next() else { return Some(None) };
            let modified = numbers.next()?.integer()?;
            Some(Some(FileStamp { length: length.number()?, modified }))
        };
        let files = value.get("files").and_then(Value::list).ok_or(Shape("files"))?;
        Ok(Self {
            info_hash: InfoHash(hash.ok_or(Shape("info-hash"))?),
            pieces: Bytes::copy_from_slice(string("pieces").ok_or(Shape("pieces"))?),
            files: files.map(stamp).collect::<Option<_>>().ok_or(Shape("files"))?,
            uploaded: number("uploaded"),
            downloaded: number("downloaded"),
            info: string("info").map(Bytes::copy_from_slice),
        })
    }

    /// The pieces as a set; `None` if they are those of another layout.
    pub fn have(&self, layout: &Layout) -> Option<Bitfield> {
        Bitfield::from_wire(layout, &self.pieces).ok()
    }

    /// Where a torrent's resume data is kept in a folder.
    pub fn path(folder: &Path, info_hash: InfoHash) -> PathBuf {
        folder.join(format!("{info_hash}.resume"))
    }

    /// Reads it from a file; `None` if there is none.
    pub fn load(path: &Path) -> Result<Option<Self>, ResumeError> {
        let unread = |error: io::Error| ResumeError::Io(format!("{}: {error}", path.display()));
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(unread)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_RESUME).read_to_end(&mut bytes).map_err(unread)?;
        Self::from_bytes(&bytes).map(Some)
    }

    /// Replaces the file, so that after a crash of program or machine there is the old one or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // One name: what a process that was killed has left is written over by the next.
        let temporary = path.with_extension("resume.tmp");
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&self.to_bytes())?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
            // What is left of it helps nobody; the first error tells why.
            let _ = fs::remove_file(&temporary);
        })?;
        // The new name must be on the disk too. Not every system lets a folder be opened for that.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}
