//! Starts a client as its setup file says, and ends it with all that it has started.
//!
//! - [`Client`] is a setup file (`clients/*.toml`), read and checked.
//! - [`Net`] and [`Place`] give every program addresses, ports and a folder of its own.
//! - [`Running`] is a client that runs; dropped, it and its children are killed.

mod control;
mod place;
mod process;
mod program;
mod setup;
mod template;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use place::{Net, Ours, Place};
pub use process::{Process, kill_all};
pub use program::program;
pub use setup::{Client, SetupError, Signal, With};

use crate::clock::Clock;
use template::Values;

/// Why a client does not run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// What was to be written or read.
    #[error("{what}: {error}")]
    Io {
        /// The file or folder, or what else.
        what: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A value of the setup file that cannot be filled in.
    #[error("{0}")]
    Template(#[from] template::TemplateError),
    /// It has ended or does not listen.
    #[error("{0}")]
    Start(String),
    /// It did not take the torrent.
    #[error("it did not take the torrent: {0}")]
    Add(String),
    /// The setup file says that it cannot.
    #[error("{0}")]
    Cannot(String),
}

/// What a client is to share.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// The torrent file's bytes.
    pub torrent: &'a [u8],
    /// A magnet link to the same.
    pub magnet: &'a str,
    /// The first tracker's URL.
    pub tracker: &'a str,
    /// The info-hash in hexadecimal.
    pub info_hash: &'a str,
    /// How it is told.
    pub with: With,
    /// It may refuse the torrent, or end over it: it counts as started all the same.
    pub may_refuse: bool,
    /// The files that are there already: paths below the download folder, and their bytes.
    pub files: &'a [(PathBuf, &'a [u8])],
}

/// A client that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
    place: Place,
    signal: Signal,
}

fn io(what: &Path, error: std::io::Error) -> LaunchError {
    LaunchError::Io { what: what.display().to_string(), error }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LaunchError> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).map_err(|error| io(above, error))?;
    }
    std::fs::write(path, bytes).map_err(|error| io(path, error))
}

impl Running {
    /// Starts a client at a place, waits until it listens, and has it take the torrent.
    pub fn start(client: &Client, place: Place, share: &Share<'_>) -> Result<Self, LaunchError> {
        if let Some(why) = client.cannot(share.with) {
            return Err(LaunchError::Cannot(why));
        }
        for (path, bytes) in share.files {
            write(&place.downloads().join(path), bytes)?;
        }
        write(&place.torrent(), share.torrent)?;
        let values = Values::new(client, &place, share);
        for (name, text) in &client.files {
            write(&place.folder().join(name), values.fill(text)?.as_bytes())?;
        }
        let words = client.start.command.iter().chain(client.start.of(share.with));
        let words = words.map(|word| values.fill(word)).collect::<Result<Vec<_>, _>>()?;
        let mut env = Vec::new();
        for (name, value) in &client.start.env {
            env.push((name.clone(), values.fill(value)?));
        }
        let mut process = Process::spawn(&words, &env, &place.folder())?;
        let limit = Duration::from_secs_f64(client.start.ready_seconds);
        for addr in client.start.waits_for(&place) {
            match process.wait_port(addr, limit) {
                Err(_) if share.may_refuse && !process.is_alive() => break,
                waited => waited?,
            }
        }
        for step in client.add.iter().filter(|step| step.applies(share.with)) {
            match control::ask(step, &place, &values) {
                Err(_) if share.may_refuse => break,
                added => added.map_err(LaunchError::Add)?,
            }
        }
        Ok(Self { process, place, signal: client.stop })
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it ended by itself, and how, with the last that it printed, if it has.
    pub fn death(&mut self) -> Option<(bool, String)> {
        self.process.death()
    }

    /// Bytes that its process has in memory, where the system tells.
    pub fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? << 10)
    }

    /// The last that it printed.
    pub fn last_words(&self) -> String {
        self.process.tail()
    }

    /// Asks it to end, in its own way; waits no longer than so long. Whether it has.
    pub fn stop(&mut self, limit: Duration) -> bool {
        self.process.signal(self.signal);
        let clock = Clock::start();
        while !clock.past(limit) {
            if !self.process.is_alive() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Asks it to end, and does not wait.
    pub fn ask_to_stop(&self) {
        self.process.signal(self.signal);
    }
}

/// What a client says its version is; `None` if the program is not there or says none.
pub fn version(client: &Client) -> Option<String> {
    let words: Vec<String> =
        client.version.iter().map(|word| template::fixed(word, client)).collect::<Result<_, _>>().ok()?;
    let (program, arguments) = words.split_first()?;
    let output = std::process::Command::new(program).args(arguments).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let words = text.split(|c: char| c.is_whitespace() || ",()\"".contains(c));
    let version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    words
        .map(|word| word.trim_start_matches(['v', '-']).trim_end_matches('.'))
        .find(version)
        .map(str::to_owned)
}
