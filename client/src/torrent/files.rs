//! What a torrent has the disk do, and what comes of it.

use bytes::{Bytes, BytesMut};
use engine::peer::Input;
use engine::{BlockRef, ConnId, PieceIndex};

use super::check::Found;
use super::{Content, Torrent, blocks};
use crate::connection::Slot;
use crate::session::{Alert, TorrentFlags, TorrentState};
use crate::storage::{ResumeData, Storage, StorageError};

/// The longest run of blocks that is read at once.
const RUN: usize = 1 << 20;

/// What the disk has done.
pub(crate) enum Done {
    /// Blocks were read, as far as they could be.
    Read { slot: Slot, epoch: u64, blocks: Vec<(BlockRef, Option<Bytes>)>, error: Option<StorageError> },
    /// A piece that was only believed to be there was hashed before it was read.
    Believed { piece: PieceIndex, epoch: u64, good: bool },
    /// Unverified blocks were written early.
    Spilled { bytes: usize, epoch: u64, result: Result<(), StorageError> },
    /// A piece was hashed and, if it is good, is in the files.
    Piece { piece: PieceIndex, bytes: usize, epoch: u64, result: Result<bool, StorageError> },
    /// The info dictionary that resume data had, if any.
    Loaded { resume: Option<Box<ResumeData>>, content: Option<Box<Content>> },
    /// What is there at the start.
    Looked { epoch: u64, found: Box<Found> },
    /// A piece was checked.
    Checked { epoch: u64, piece: PieceIndex, result: Result<bool, StorageError> },
    /// Resume data was written.
    Saved(Result<(), String>),
}

impl Torrent {
    /// Has the disk do something after all that it does for the same piece.
    pub(super) fn job(&mut self, piece: u32, job: impl FnOnce(&Storage) -> Done + Send + 'static) {
        let Some(content) = &self.content else { return };
        self.jobs += 1;
        let (storage, done) = (content.storage.clone(), self.done_to.clone());
        let key = u64::from(self.info_hash.0[0]) + u64::from(piece);
        self.context.disk.run(key, move || {
            let result = job(&storage);
            // A torrent that is gone needs to know nothing.
            let _ = done.send(result);
        });
    }

    pub(super) fn on_done(&mut self, done: Done) {
        self.jobs -= 1;
        match done {
            Done::Read { slot, epoch, blocks, error } => self.on_read(slot, epoch, blocks, error),
            Done::Believed { piece, epoch, good } => self.on_believed(piece, epoch, good),
            Done::Spilled { bytes, epoch, result } => {
                self.waiting -= bytes;
                if let (true, Err(error)) = (epoch == self.epoch, result) {
                    self.file_error(&error);
                }
            }
            Done::Piece { piece, bytes, epoch, result } => {
                self.waiting -= bytes;
                self.on_piece(piece, epoch, result);
            }
            Done::Loaded { resume, content } => self.on_loaded(resume, content),
            Done::Looked { epoch, found } => {
                if epoch == self.epoch {
                    self.on_looked(*found);
                }
            }
            Done::Checked { epoch, piece, result } => {
                if epoch == self.epoch {
                    self.on_checked(piece, result);
                }
            }
            Done::Saved(result) => self.on_saved(result),
        }
    }

    /// A block has come: kept until its piece is whole.
    pub(super) fn keep(&mut self, block: BlockRef, data: Bytes) {
        let Some((piece, blocks, bytes)) = self.unverified.insert(block, data) else { return };
        let epoch = self.epoch;
        self.waiting += bytes;
        self.job(piece.get(), move |storage| {
            let result = storage.write_blocks(piece, blocks.iter().map(|(&begin, data)| (begin, data)));
            Done::Spilled { bytes, epoch, result }
        });
    }

    /// Every block of a piece has come: it is hashed, and written if it is good.
    pub(super) fn verify(&mut self, piece: PieceIndex) {
        let blocks::Whole { blocks, bytes, spilled } = self.unverified.take(piece);
        let epoch = self.epoch;
        self.waiting += bytes;
        self.job(piece.get(), move |storage| {
            let write = || storage.write_blocks(piece, blocks.iter().map(|(&begin, data)| (begin, data)));
            let result = if spilled {
                write().and_then(|()| storage.verify(piece))
            } else if storage.matches(piece, blocks.values().cloned()) {
                write().map(|()| true)
            } else {
                Ok(false)
            };
            Done::Piece { piece, bytes, epoch, result }
        });
    }

    fn on_piece(&mut self, piece: PieceIndex, epoch: u64, result: Result<bool, StorageError>) {
        match result {
            Ok(ok) => {
                if let (true, None, Some(content)) = (ok, &self.check, &mut self.content) {
                    content.have.insert(piece);
                    self.dirty = true;
                }
                if epoch == self.epoch {
                    self.feed(Input::PieceVerified { piece, ok });
                }
            }
            // An error of before the last is told already.
            Err(error) if epoch == self.epoch => self.file_error(&error),
            Err(_) => {}
        }
    }

    /// The reads that the last input asked for: those for one connection and piece go together.
    pub(super) fn flush_reads(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.reads);
        for run in reads.chunk_by(|(a, x), (b, y)| a == b && x.piece() == y.piece()) {
            let Some((conn, first)) = run.first() else { continue };
            let blocks = run.iter().map(|(_, block)| *block).collect();
            self.read(*conn, first.piece(), blocks);
        }
    }

    fn read(&mut self, conn: ConnId, piece: PieceIndex, blocks: Vec<BlockRef>) {
        let Some(slot) = self.peers.slot(conn) else { return };
        let epoch = self.epoch;
        // Jobs for one piece keep their order: it is hashed before it is read, and once is enough.
        let believed = self.content.as_mut().and_then(|content| content.believed.as_mut());
        if believed.is_some_and(|believed| believed.remove(piece)) {
            self.job(piece.get(), move |storage| Done::Believed {
                piece,
                epoch,
                good: storage.verify(piece).unwrap_or(false),
            });
        }
        self.job(piece.get(), move |storage| {
            let mut error = None;
            let mut read = Vec::with_capacity(blocks.len());
            for run in blocks.chunk_by(|a, b| a.begin() + a.length() == b.begin()) {
                match read_run(storage, run) {
                    Ok(run) => read.extend(run),
                    Err(failed) => {
                        read.extend(run.iter().map(|&block| (block, None)));
                        error = Some(failed);
                    }
                }
            }
            Done::Read { slot, epoch, blocks: read, error }
        });
    }

    fn on_read(
        &mut self,
        slot: Slot,
        epoch: u64,
        blocks: Vec<(BlockRef, Option<Bytes>)>,
        error: Option<StorageError>,
    ) {
        for (block, data) in blocks {
            if self.peers.is(slot) {
                self.feed(Input::BlockRead { conn: slot.conn, block, data });
            }
        }
        if let (true, Some(error)) = (epoch == self.epoch, error) {
            self.file_error(&error);
        }
    }

    /// Seed mode: a piece is as good as we said, or nothing is known any more.
    fn on_believed(&mut self, piece: PieceIndex, epoch: u64, good: bool) {
        if epoch == self.epoch && !good {
            self.alert(Alert::HashFailed { torrent: self.info_hash, piece: piece.get() });
            self.recheck();
        }
    }

    /// A file failed us: the torrent is paused, and what is verified is kept.
    pub(super) fn file_error(&mut self, error: &StorageError) {
        if self.error.is_some() {
            return;
        }
        self.error = Some(error.to_string());
        self.alert(Alert::FileError {
            torrent: self.info_hash,
            path: error.path.clone(),
            error: error.to_string(),
            full: error.is_full(),
        });
        self.check = None;
        self.drop_peer();
        self.paused = true;
        self.alert(Alert::Paused(self.info_hash));
        if self.state == TorrentState::CheckingFiles || self.state == TorrentState::CheckingResumeData {
            self.set_state(TorrentState::Downloading);
        }
    }

    /// Writes resume data, if it is kept.
    pub(super) fn save(&mut self) {
        let Some(folder) = &self.context.settings.resume_folder else {
            self.dirty = false;
            return;
        };
        if self.saving {
            return;
        }
        let path = ResumeData::path(folder, self.info_hash);
        let Some(data) = self.resume_data() else { return };
        (self.dirty, self.saving) = (false, true);
        self.job(0, move |storage| Done::Saved(finish_and_save(storage, data, &path)));
    }

    /// What is to be resumed from, but for the looks of the files.
    fn resume_data(&self) -> Option<ResumeData> {
        let (content, moved) = (self.content.as_ref()?, self.moved());
        Some(ResumeData {
            info_hash: self.info_hash,
            pieces: content.have.to_wire().into(),
            files: Vec::new(),
            uploaded: moved.up,
            downloaded: moved.down,
            info: self.keeps_info.then(|| content.metainfo.info.clone()),
        })
    }

    fn on_saved(&mut self, result: Result<(), String>) {
        self.saving = false;
        self.saved_at = tokio::time::Instant::now();
        let torrent = self.info_hash;
        match result {
            Ok(()) => self.alert(Alert::ResumeSaved(torrent)),
            Err(error) => {
                // Tried again after the interval, with what is there then.
                self.dirty = true;
                self.alert(Alert::ResumeFailed { torrent, error });
            }
        }
    }

    /// Whether the flag is set.
    pub(super) fn is(&self, flag: TorrentFlags) -> bool {
        self.flags.contains(flag)
    }
}

/// What was written is put on the disk, and only then the file is written that names it.
fn finish_and_save(storage: &Storage, data: ResumeData, path: &std::path::Path) -> Result<(), String> {
    storage.sync().map_err(|error| error.to_string())?;
    let data = ResumeData { files: storage.stamps(), ..data };
    data.save(path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads blocks that lie one after the other.
fn read_run(storage: &Storage, run: &[BlockRef]) -> Result<Vec<(BlockRef, Option<Bytes>)>, StorageError> {
    let mut read = Vec::with_capacity(run.len());
    let mut rest = run;
    while let Some(first) = rest.first() {
        let mut length = 0;
        let fits = |block: &&BlockRef| {
            length += block.length() as usize;
            length <= RUN.max(first.length() as usize)
        };
        let now = rest.iter().take_while(fits).count();
        let (blocks, later) = rest.split_at(now);
        rest = later;
        let total = blocks.iter().map(|block| block.length() as usize).sum();
        let mut bytes = BytesMut::zeroed(total);
        storage.read(storage.layout().offset_of(*first), &mut bytes)?;
        let mut bytes = bytes.freeze();
        read.extend(blocks.iter().map(|&block| (block, Some(bytes.split_to(block.length() as usize)))));
    }
    Ok(read)
}
