//! What is there at the start: by resume data if its files look as they did, else by their hashes.

use engine::peer::Input;
use engine::{Bitfield, PieceIndex};

use super::files::Done;
use super::machine::Machine;
use super::{Content, Moved, Torrent};
use crate::session::{Alert, TorrentFlags, TorrentState};
use crate::storage::{ResumeData, Storage, StorageError};

/// Pieces that are with the disk at a time.
const AT_A_TIME: usize = 16;

/// What a first look has found.
#[derive(Debug)]
pub(crate) struct Found {
    have: Bitfield,
    /// Pieces to be hashed.
    check: Vec<PieceIndex>,
    before: Moved,
    /// There is resume data with the info dictionary in it.
    has_info: bool,
    /// The resume data was not found where it is kept.
    given: bool,
    /// Why resume data was of no use.
    unusable: Option<String>,
    error: Option<StorageError>,
}

/// A check under way.
#[derive(Debug, Default)]
pub(super) struct Check {
    left: std::vec::IntoIter<PieceIndex>,
    asked: usize,
    total: usize,
    done: usize,
}

impl Check {
    /// How far it is, 0 to 1.
    pub fn progress(&self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }
}

impl Torrent {
    /// Looks at what is there; `all`: believes nothing.
    pub(super) fn look(&mut self, resume: Option<ResumeData>, all: bool) {
        let (epoch, flags, info_hash) = (self.epoch, self.flags, self.info_hash);
        let folder = self.context.settings.resume_folder.clone();
        self.check = Some(Check::default());
        self.set_state(TorrentState::CheckingResumeData);
        self.job(0, move |storage| {
            let given = resume.is_some();
            let saved = match (resume, folder) {
                _ if all => Ok(None),
                (Some(resume), _) => Ok(Some(resume)),
                (None, Some(folder)) => ResumeData::load(&ResumeData::path(&folder, info_hash)),
                (None, None) => Ok(None),
            };
            let (resume, unusable) = match saved {
                Ok(Some(resume)) if resume.info_hash != info_hash => {
                    (None, Some("the resume data is of another torrent".to_owned()))
                }
                Ok(resume) => (resume, None),
                Err(error) => (None, Some(error.to_string())),
            };
            let found = find(storage, resume, flags, all);
            Done::Looked { epoch, found: Box::new(Found { unusable, given, ..found }) }
        });
    }

    pub(super) fn on_looked(&mut self, found: Found) {
        let Found { have, check, before, has_info, given, unusable, error } = found;
        self.keeps_info |= has_info;
        // What was found elsewhere is to be found where it is kept.
        self.dirty |= given;
        if let Some(error) = unusable {
            self.alert(Alert::ResumeFailed { torrent: self.info_hash, error });
        }
        if before != Moved::default() {
            self.before = before;
            self.seen = self.moved();
        }
        let seed_mode = self.is(TorrentFlags::SEED_MODE);
        if let Some(content) = &mut self.content {
            content.believed = seed_mode.then(|| have.clone());
            content.have = have;
        }
        if let Some(error) = error {
            return self.file_error(&error);
        }
        if !check.is_empty() {
            self.set_state(TorrentState::CheckingFiles);
        }
        self.check = Some(Check { total: check.len(), left: check.into_iter(), asked: 0, done: 0 });
        self.go_on_checking();
    }

    fn go_on_checking(&mut self) {
        let epoch = self.epoch;
        while let Some(check) = self.check.as_mut().filter(|check| check.asked < AT_A_TIME) {
            let Some(piece) = check.left.next() else { break };
            check.asked += 1;
            self.job(piece.get(), move |storage| Done::Checked {
                epoch,
                piece,
                result: storage.verify(piece),
            });
        }
        if self.check.as_ref().is_some_and(|check| check.asked == 0) {
            self.check = None;
            self.ready();
        }
    }

    pub(super) fn on_checked(&mut self, piece: PieceIndex, result: Result<bool, StorageError>) {
        let Some(check) = &mut self.check else { return };
        check.asked -= 1;
        check.done += 1;
        match result {
            Ok(true) => {
                if let Some(content) = &mut self.content {
                    content.have.insert(piece);
                }
                self.dirty = true;
            }
            Ok(false) => {}
            Err(error) => return self.file_error(&error),
        }
        self.go_on_checking();
    }

    /// What is there is known.
    fn ready(&mut self) {
        let Some(state) = self.content.as_ref().map(Content::state) else { return };
        self.set_state(state);
        if self.is(TorrentFlags::STOP_WHEN_READY) {
            self.flags.remove(TorrentFlags::STOP_WHEN_READY);
            self.paused = true;
            self.alert(Alert::Paused(self.info_hash));
        }
        match std::mem::take(&mut self.machine) {
            Machine::Fetch(fetch) if !self.paused => self.go_on_from(*fetch),
            machine => {
                self.machine = machine;
                // That of a fetch, if there is one.
                self.feed(Input::Stop);
                self.make_peer();
                if !self.paused {
                    self.enter();
                }
            }
        }
    }

    /// Takes part.
    pub(super) fn enter(&mut self) {
        self.feed(Input::Start);
        let peers = self.known.clone();
        self.feed(Input::Named { peers });
    }

    /// Hashes everything again.
    pub(super) fn recheck(&mut self) {
        if self.content.is_none() {
            return;
        }
        self.drop_peer();
        self.error = None;
        self.flags.remove(TorrentFlags::SEED_MODE);
        let Some(content) = &mut self.content else { return };
        content.believed = None;
        content.have = Bitfield::empty(&content.metainfo.layout);
        content.storage.close();
        self.look(None, true);
    }
}

/// What may be believed, and what has to be hashed.
fn find(storage: &Storage, resume: Option<ResumeData>, flags: TorrentFlags, all: bool) -> Found {
    let layout = storage.layout();
    let none = || Bitfield::empty(layout);
    let mut found = Found {
        have: none(),
        check: Vec::new(),
        before: Moved::default(),
        has_info: false,
        given: false,
        unusable: None,
        error: None,
    };
    if let Some(resume) = &resume {
        found.has_info = resume.info.is_some();
        found.before = Moved { up: resume.uploaded, down: resume.downloaded };
    }
    if flags.contains(TorrentFlags::SEED_MODE) && !all {
        return Found { have: Bitfield::full(layout), ..found };
    }
    found.error = storage.prepare().err();
    let resume = resume.and_then(|resume| Some((resume.have(layout)?, resume.files)));
    let Some((have, then)) = resume else {
        if storage.anything_there() {
            found.check = layout.all().collect();
        }
        return found;
    };
    if flags.contains(TorrentFlags::NO_VERIFY_FILES) {
        return Found { have, ..found };
    }
    let (now, mut doubtful) = (storage.stamps(), none());
    for (number, file) in storage.map().files().iter().enumerate() {
        let same = now.get(number) == then.get(number) && now.get(number).is_some_and(Option::is_some);
        if let (false, false, Some((first, last))) = (same, file.pad, storage.pieces_of(number)) {
            (first..=last).filter_map(|piece| layout.piece(piece)).for_each(|piece| {
                doubtful.insert(piece);
            });
        }
    }
    found.have = have;
    for piece in layout.all().filter(|&piece| doubtful.contains(piece)) {
        found.have.remove(piece);
        found.check.push(piece);
    }
    if !storage.anything_there() {
        found.check.clear();
    }
    found
}
