//! Open files, at most so many at a time: what was used longest ago is closed for the next.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A torrent's number, and its file's.
pub(crate) type Key = (u64, usize);

#[derive(Debug)]
struct Slot {
    file: Arc<File>,
    writable: bool,
    used: u64,
}

#[derive(Debug, Default)]
struct Slots {
    open: BTreeMap<Key, Slot>,
    /// Uses so far.
    clock: u64,
}

/// The open files of a session.
#[derive(Debug)]
pub struct OpenFiles {
    slots: Mutex<Slots>,
    limit: usize,
}

impl OpenFiles {
    /// At most `limit` files open at a time, at least one; those in use when they are dropped come on top.
    pub fn new(limit: usize) -> Self {
        Self { slots: Mutex::default(), limit: limit.max(1) }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many files are open.
    pub fn len(&self) -> usize {
        self.slots().open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file at `path`, to read and, if `write`, to be made if it is not there and written.
    pub(crate) fn get(&self, key: Key, path: &Path, write: bool) -> io::Result<Arc<File>> {
        let mut slots = self.slots();
        slots.clock += 1;
        let now = slots.clock;
        if let Some(slot) = slots.open.get_mut(&key).filter(|slot| slot.writable || !write) {
            slot.used = now;
            return Ok(slot.file.clone());
        }
        drop(slots);
        let file = Arc::new(open(path, write)?);
        let mut slots = self.slots();
        slots.open.insert(key, Slot { file: file.clone(), writable: write, used: now });
        while slots.open.len() > self.limit {
            let oldest = slots.open.iter().min_by_key(|(_, slot)| slot.used).map(|(&key, _)| key);
            let Some(oldest) = oldest else { break };
            slots.open.remove(&oldest);
        }
        Ok(file)
    }

    /// The file if it is open to be written.
    pub(crate) fn written(&self, key: Key) -> Option<Arc<File>> {
        self.slots().open.get(&key).filter(|slot| slot.writable).map(|slot| slot.file.clone())
    }

    /// Closes all files of a torrent.
    pub(crate) fn close(&self, torrent: u64) {
        self.slots().open.retain(|(owner, _), _| *owner != torrent);
    }
}

fn open(path: &Path, write: bool) -> io::Result<File> {
    if !write {
        return File::open(path);
    }
    let options = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options
    };
    match options().open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            options().open(path)
        }
        opened => opened,
    }
}

/// Reads at an offset until `buffer` is full.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Writes all of `bytes` at an offset.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Reads at an offset until `buffer` is full.
#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        buffer = &mut buffer[read..];
    }
    Ok(())
}

/// Writes all of `bytes` at an offset.
#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}
