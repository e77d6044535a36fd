//! What is shared: a file of random bytes, and its metainfo.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use client::storage::{FileStamp, ResumeData};
use engine::metainfo::Builder;
use engine::{Bitfield, Metainfo, Seed};
use rand::Rng as _;
use simulator::spec::Spec;
use tempfile::TempDir;

use crate::LiveError;

/// What the file is called.
const NAME: &str = "content";
/// Bytes that are made at a time.
const CHUNK: u64 = 1 << 20;

/// See the module. The folder goes when this does.
pub(crate) struct Content {
    folder: TempDir,
    pub metainfo: Metainfo,
}

impl Content {
    /// Makes the file and hashes it.
    pub fn make(spec: &Spec, seed: Seed) -> Result<Self, LiveError> {
        let io = |error| LiveError::Io("make the content", error);
        let folder = tempfile::Builder::new().prefix("swarmlab-live-").tempdir().map_err(io)?;
        let builder = Builder::file(NAME, spec.content).piece_length(u64::from(spec.piece_length));
        let mut hasher = builder.hasher().map_err(|error| LiveError::Content(error.to_string()))?;
        let origin = folder.path().join("origin");
        std::fs::create_dir(&origin).map_err(io)?;
        let mut file = std::fs::File::create(origin.join(NAME)).map_err(io)?;
        let mut rng = seed.derive("content", 0).rng();
        let mut left = spec.content;
        let mut bytes = vec![0; CHUNK as usize];
        while left > 0 {
            let some = &mut bytes[..left.min(CHUNK) as usize];
            rng.fill_bytes(some);
            hasher.write(some);
            file.write_all(some).map_err(io)?;
            left -= some.len() as u64;
        }
        let metainfo = hasher.finish().map_err(|error| LiveError::Content(error.to_string()))?;
        Ok(Self { folder, metainfo })
    }

    /// The folder that the whole file is in: seeds share it, and only read.
    pub fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    /// An empty folder for a peer.
    pub fn folder_for(&self, place: usize) -> std::io::Result<PathBuf> {
        let folder = self.folder.path().join(format!("peer-{place}"));
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Puts these pieces into a peer's folder, and says so as resume data does: they are known to be whole.
    pub fn begin(&self, folder: &Path, has: &Bitfield) -> std::io::Result<ResumeData> {
        let layout = &self.metainfo.layout;
        let (from, path) = (self.origin().join(NAME), folder.join(NAME));
        let (mut from, mut to) = (std::fs::File::open(from)?, std::fs::File::create(&path)?);
        to.set_len(layout.total())?;
        let mut bytes = vec![0; layout.piece_length() as usize];
        for piece in has.iter(layout) {
            let at = SeekFrom::Start(u64::from(piece.get()) * u64::from(layout.piece_length()));
            let some = &mut bytes[..layout.length_of(piece) as usize];
            from.seek(at)?;
            from.read_exact(some)?;
            to.seek(at)?;
            to.write_all(some)?;
        }
        to.sync_all()?;
        Ok(ResumeData {
            info_hash: self.metainfo.info_hash,
            pieces: has.to_wire().into(),
            files: vec![FileStamp::of(&path)],
            uploaded: 0,
            downloaded: 0,
            info: None,
        })
    }

    /// Whether the file in a peer's folder is what is shared, byte for byte.
    pub fn is_whole(&self, folder: &Path) -> std::io::Result<bool> {
        let open = |folder: &Path| std::fs::File::open(folder.join(NAME));
        let (mut ours, mut theirs) = (open(&self.origin())?, open(folder)?);
        if ours.metadata()?.len() != theirs.metadata()?.len() {
            return Ok(false);
        }
        let (mut a, mut b) = (vec![0; CHUNK as usize], vec![0; CHUNK as usize]);
        loop {
            let n = ours.read(&mut a)?;
            if n == 0 {
                return Ok(true);
            }
            theirs.read_exact(&mut b[..n])?;
            if a[..n] != b[..n] {
                return Ok(false);
            }
        }
    }
}
