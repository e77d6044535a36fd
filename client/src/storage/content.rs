//! Reading, writing and hashing a torrent's content.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use engine::{Layout, Metainfo, PieceIndex};
use sha1::{Digest, Sha1};

use super::layout::{FileMap, LayoutFault, Span, Stored};
use super::open::{OpenFiles, read_exact_at, write_all_at};
use super::resume::FileStamp;

/// What is read at a time when a piece is hashed.
const CHUNK: u64 = 256 << 10;

/// A file that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {done} {}: {error}", path.display())]
pub struct StorageError {
    /// What was to be done: read, write, remove, …
    pub done: &'static str,
    /// Which file or folder.
    pub path: PathBuf,
    /// Why not.
    pub error: io::Error,
}

impl StorageError {
    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        matches!(self.error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

fn failed<T>(done: &'static str, path: &Path, result: io::Result<T>) -> Result<T, StorageError> {
    result.map_err(|error| StorageError { done, path: path.to_owned(), error })
}

/// The content of one torrent. See the module above.
#[derive(Debug)]
pub struct Storage {
    /// Tells its files apart from those of other torrents among the open ones.
    id: u64,
    map: FileMap,
    layout: Layout,
    hashes: Vec<[u8; 20]>,
    open: Arc<OpenFiles>,
    /// Files written to since the last [`Storage::sync`].
    unsynced: Mutex<BTreeSet<usize>>,
}

impl Storage {
    /// The content of `metainfo` below `root`. Touches no file.
    pub fn new(metainfo: &Metainfo, root: &Path, open: Arc<OpenFiles>) -> Result<Self, LayoutFault> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            map: FileMap::new(metainfo, root)?,
            layout: metainfo.layout,
            hashes: metainfo.piece_hashes.clone(),
            open,
            unsynced: Mutex::default(),
        })
    }

    /// Its files.
    pub fn map(&self) -> &FileMap {
        &self.map
    }

    /// How it is cut.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Makes the files that have no bytes, where they are missing.
    pub fn prepare(&self) -> Result<(), StorageError> {
        for (number, file) in self.stored().filter(|(_, file)| file.length == 0 && !file.path.exists()) {
            failed("write", &file.path, self.open.get((self.id, number), &file.path, true))?;
        }
        Ok(())
    }

    fn stored(&self) -> impl Iterator<Item = (usize, &Stored)> {
        self.map.files().iter().enumerate().filter(|(_, file)| !file.pad)
    }

    /// The file of a span; `None` for padding.
    fn file(&self, span: &Span, write: bool) -> Result<Option<Arc<File>>, StorageError> {
        let stored = &self.map.files()[span.file];
        if stored.pad {
            return Ok(None);
        }
        let done = if write { "write" } else { "read" };
        failed(done, &stored.path, self.open.get((self.id, span.file), &stored.path, write)).map(Some)
    }

    /// Fills `buffer` with the content from `offset`. What lies past a file's present end is an error.
    pub fn read(&self, offset: u64, mut buffer: &mut [u8]) -> Result<(), StorageError> {
        for span in self.map.spans(offset, buffer.len() as u64) {
            let (now, rest) = buffer.split_at_mut(span.length as usize);
            buffer = rest;
            match self.file(&span, false)? {
                None => now.fill(0),
                Some(file) => {
                    let path = &self.map.files()[span.file].path;
                    failed("read", path, read_exact_at(&file, now, span.offset))?;
                }
            }
        }
        Ok(())
    }

    /// Writes `bytes` to the content at `offset`.
    pub fn write(&self, offset: u64, mut bytes: &[u8]) -> Result<(), StorageError> {
        for span in self.map.spans(offset, bytes.len() as u64) {
            let (now, rest) = bytes.split_at(span.length as usize);
            bytes = rest;
            let Some(file) = self.file(&span, true)? else { continue };
            let path = &self.map.files()[span.file].path;
            let new = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).insert(span.file);
            if new {
                failed("write", path, self.begin(&file, span.file))?;
            }
            failed("write", path, write_all_at(&file, now, span.offset))?;
        }
        Ok(())
    }

    /// Gives a file its length, without taking the room (sparse), and what else it is to have.
    fn begin(&self, file: &File, number: usize) -> io::Result<()> {
        let stored = &self.map.files()[number];
        let data = file.metadata()?;
        if data.is_file() && data.len() < stored.length {
            file.set_len(stored.length)?;
        }
        #[cfg(unix)]
        if stored.executable && data.is_file() {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = data.permissions().mode();
            file.set_permissions(fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))?;
        }
        Ok(())
    }

    fn hash_of(&self, piece: PieceIndex) -> Option<&[u8; 20]> {
        self.hashes.get(piece.index())
    }

    fn start_of(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.get()) * u64::from(self.layout.piece_length())
    }

    /// Whether a piece's blocks, all of them and in order, hash to what they should.
    pub fn matches(&self, piece: PieceIndex, blocks: impl IntoIterator<Item = Bytes>) -> bool {
        let mut hash = Sha1::new();
        blocks.into_iter().for_each(|block| hash.update(&block));
        self.hash_of(piece).is_some_and(|due| *due == <[u8; 20]>::from(hash.finalize()))
    }

    /// Writes blocks of a piece, each with its offset within.
    pub fn write_blocks<'a>(
        &self,
        piece: PieceIndex,
        blocks: impl IntoIterator<Item = (u32, &'a Bytes)>,
    ) -> Result<(), StorageError> {
        let start = self.start_of(piece);
        blocks.into_iter().try_for_each(|(begin, block)| self.write(start + u64::from(begin), block))
    }

    /// Whether what is stored of a piece hashes to what it should. Bytes that are not there yet make it
    /// false; a file that is there and cannot be read is an error.
    pub fn verify(&self, piece: PieceIndex) -> Result<bool, StorageError> {
        let (mut at, mut left) = (self.start_of(piece), u64::from(self.layout.length_of(piece)));
        let mut hash = Sha1::new();
        let mut chunk = vec![0; left.min(CHUNK) as usize];
        while left > 0 {
            let now = left.min(CHUNK) as usize;
            match self.read(at, &mut chunk[..now]) {
                Ok(()) => {}
                Err(StorageError { error, .. })
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            hash.update(&chunk[..now]);
            at += now as u64;
            left -= now as u64;
        }
        Ok(self.hash_of(piece).is_some_and(|due| *due == <[u8; 20]>::from(hash.finalize())))
    }

    /// Whether any of its files is there: if not, there is nothing to check.
    pub fn anything_there(&self) -> bool {
        self.stored().any(|(_, file)| file.length > 0 && file.path.exists())
    }

    /// What each file is like; `None` for those that are not there, and for padding.
    pub fn stamps(&self) -> Vec<Option<FileStamp>> {
        let stamp = |file: &Stored| if file.pad { None } else { FileStamp::of(&file.path) };
        self.map.files().iter().map(stamp).collect()
    }

    /// The pieces that have bytes in a file, first and last; `None` if the file is empty.
    pub fn pieces_of(&self, file: usize) -> Option<(u32, u32)> {
        let file = self.map.files().get(file).filter(|file| file.length > 0)?;
        let length = u64::from(self.layout.piece_length());
        Some(((file.offset / length) as u32, ((file.offset + file.length - 1) / length) as u32))
    }

    /// Has the system put on the disk what was written so far.
    pub fn sync(&self) -> Result<(), StorageError> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        for &number in &unsynced {
            let path = &self.map.files()[number].path;
            let file = match self.open.written((self.id, number)) {
                Some(file) => file,
                None => failed("write", path, self.open.get((self.id, number), path, true))?,
            };
            failed("write", path, file.sync_data())?;
        }
        Ok(())
    }

    /// Closes its files.
    pub fn close(&self) {
        self.open.close(self.id);
    }

    /// Removes its files, and those folders below its own that are empty then. What is not its own stays.
    pub fn remove(&self) -> Result<(), StorageError> {
        self.close();
        let mut folders = BTreeSet::new();
        for (_, file) in self.stored() {
            match fs::remove_file(&file.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return failed("remove", &file.path, Err(error));
                }
                _ => {}
            }
            let above = file.path.ancestors().skip(1).take_while(|path| path.starts_with(self.map.top()));
            folders.extend(above.map(Path::to_owned));
        }
        // The deepest first; one that is not empty stays.
        for folder in folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}
