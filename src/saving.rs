//! Where a run's record goes: written whole while the runs are made, and never at the cost of another's.
//!
//! Guarantees: what is in the folder is always a whole record; a record of other runs that was there is kept beside
//! it; writing takes little of the time that the runs take.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use record::Record;
use simulator::runner::Keep;

use crate::failure::Failure;
use crate::files;
use crate::output::note;

/// The name of a record that was replaced.
pub const OLD: &str = "record.old.json";
/// The least time between two writings of the record.
const PACE: Duration = Duration::from_secs(5);
/// So many times as long as writing took passes before it is written again.
const REST: u32 = 20;

/// Writes the record of one scenario.
pub struct Saver<'a> {
    folder: &'a Path,
    state: Mutex<State>,
}

struct State {
    /// The record that is there is to be kept beside.
    set_aside: bool,
    /// When it may be written again.
    next: Option<Instant>,
    /// Files of peers that stand beside it, of this very run.
    written: BTreeSet<String>,
    /// It was said that it cannot be written.
    warned: bool,
}

impl<'a> Saver<'a> {
    /// Into `folder`; `set_aside`: a record that is there is renamed to [`OLD`] when the first is written.
    pub fn new(folder: &'a Path, set_aside: bool) -> Self {
        Self {
            folder,
            state: Mutex::new(State { set_aside, next: None, written: BTreeSet::new(), warned: false }),
        }
    }

    /// Writes it; its path.
    pub fn write(&self, record: &Record) -> Result<PathBuf, Failure> {
        let mut state = self.lock();
        if state.set_aside {
            let (from, to) = (self.folder.join(files::RECORD), self.folder.join(OLD));
            fs::rename(&from, &to).map_err(|error| Failure::path("rename", &from, &error))?;
            state.set_aside = false;
        }
        files::write_record(record, self.folder, &mut state.written)
    }

    /// Takes the folder away again if nothing is in it.
    pub fn forget(&self) {
        // That it cannot be taken away says that something is.
        let _ = fs::remove_dir(self.folder);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keep for Saver<'_> {
    fn is_due(&self) -> bool {
        self.lock().next.is_none_or(|next| now() >= next)
    }

    fn keep(&self, record: &Record) {
        let begun = now();
        let failed = self.write(record).err();
        let ended = now();
        let mut state = self.lock();
        state.next = Some(ended + PACE.max(ended.saturating_duration_since(begun) * REST));
        // The runs go on: there may be room again when they are done, and then it is an error.
        if let Some(failure) = failed.filter(|_| !state.warned) {
            state.warned = true;
            note(&format!("warning: what has ended is not kept yet: {}", failure.message()));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how often a file is written is a matter of real time; no run sees it"
)]
fn now() -> Instant {
    Instant::now()
}
