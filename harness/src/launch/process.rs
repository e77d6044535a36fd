//! A process that never outlives us: it leads a group of its own, which is killed when it is dropped.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, kill_process_group};

use super::LaunchError;
use super::setup::Signal;
use crate::clock::Clock;
use crate::words;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);
/// Of what it prints, so many bytes are shown.
const TAIL: u64 = 2000;

/// All that run, by their ids: for whoever has to end at once.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills every process that was started here and all that those have started. For the end of ours: nothing else is
/// told.
pub fn kill_all() {
    let running = running();
    running.iter().for_each(|&id| signal(id, Signal::Kill));
    // Nobody starts another in the moment that is left.
    std::mem::forget(running);
}

/// Sends a signal to a group; there may be nobody left.
fn signal(id: u32, signal: Signal) {
    let signal = match signal {
        Signal::Int => rustix::process::Signal::INT,
        Signal::Term => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    program: String,
}

impl Process {
    /// Starts the program of these words in `folder`, which is its home too; what it prints goes to a file there.
    pub fn spawn(words: &[String], env: &[(String, String)], folder: &Path) -> Result<Self, LaunchError> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| LaunchError::Start("the command is empty".to_owned()))?;
        let failed = |error: io::Error| LaunchError::Io { what: program.clone(), error };
        let log = folder.join("log");
        let file = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env("HOME", folder).process_group(0);
        for (name, below) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "share"), ("XDG_CACHE_HOME", "cache")]
        {
            command.env(name, folder.join(below));
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file.try_clone().map_err(failed)?).stderr(file);
        let child = {
            // Whoever kills all waits for this one.
            let mut running = running();
            let child = command.spawn().map_err(failed)?;
            running.insert(child.id());
            child
        };
        Ok(Self { child, log, program: program.clone() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it ended by itself, and how, with the last that it printed, if it has.
    pub fn death(&mut self) -> Option<(bool, String)> {
        let status = self.child.try_wait().ok()??;
        let how = match (status.signal(), status.code()) {
            (Some(signal), _) => format!("was ended by signal {signal}"),
            (_, Some(code)) => format!("ended with code {code}"),
            _ => "ended".to_owned(),
        };
        let said = self.tail();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Some((status.code().is_some(), format!("{} {how}{said}", self.program)))
    }

    /// Waits until it takes connections at `addr`.
    pub fn wait_port(&mut self, addr: SocketAddr, limit: Duration) -> Result<(), LaunchError> {
        let clock = Clock::start();
        while !clock.past(limit) {
            if let Some((_, death)) = self.death() {
                return Err(LaunchError::Start(format!("before it listened at {addr}, {death}")));
            }
            if TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err(LaunchError::Start(format!(
            "it did not listen at {addr} within {}: {}",
            words::time(limit),
            self.tail()
        )))
    }

    /// The last that it printed.
    pub fn tail(&self) -> String {
        // Of the file's end alone: who prints much is not to fill our memory.
        let end = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&end().unwrap_or_default()).trim().to_owned()
    }

    /// Sends it a signal, and all that it has started.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.child.id(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
        // It may have ended before.
        let _ = self.child.kill();
        // Its id is free for others once it was waited for.
        running().remove(&self.child.id());
        let _ = self.child.wait();
    }
}
