//! Processes that never outlive the test: each leads a group of its own, which is killed when it is dropped.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use engine::{Handshake, InfoHash, PeerId};

use crate::lab::Place;
use crate::time::Deadline;
use crate::{Outcome, fail};

/// How long a client may take to open a port.
const START: Duration = Duration::from_secs(40);

/// How long one attempt at that may take.
const TRY: Duration = Duration::from_secs(1);

/// A running program and what it printed.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it in `work`, which is its home too; what it prints goes to a file there. With `lines`, its input
    /// and output are ours instead.
    pub fn spawn(mut command: Command, work: &Path, lines: bool) -> Outcome<Self> {
        let log = work.join("log");
        let file = File::options().create(true).append(true).open(&log)?;
        command.current_dir(work).env("HOME", work).env("TERM", "xterm").process_group(0);
        command.envs(
            [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")]
                .map(|(name, below)| (name, work.join(below))),
        );
        match lines {
            true => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
            false => command.stdin(Stdio::null()).stdout(file.try_clone()?),
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stderr(file).spawn().map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { child, log })
    }

    /// Starts one with a remote control at `place`, and waits for that.
    pub fn start(command: Command, place: &Place) -> Outcome<Self> {
        let mut process = Self::spawn(command, &place.work, false)?;
        process.wait_port(place.control)?;
        Ok(process)
    }

    /// Its input and output, once, if they are ours.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor's time it has used, in seconds, in itself and in the kernel.
    pub fn cpu(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // Its name, which may hold anything, ends with the last parenthesis; of what follows these are the 12th and
        // 13th, in hundredths of a second on any Linux (proc(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| -> Outcome<f64> { Ok(fields.get(at).ok_or("no times")?.parse()?) };
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it takes connections at `addr`.
    pub fn wait_port(&mut self, addr: SocketAddr) -> Outcome {
        self.wait_for(&format!("it listened at {addr}"), || TcpStream::connect_timeout(&addr, TRY).is_ok())
    }

    /// Waits until it answers a handshake for a torrent: a peer that is turned away comes again only after a while.
    pub fn wait_handshake(&mut self, addr: SocketAddr, torrent: InfoHash) -> Outcome {
        let handshake = Handshake::new(torrent, PeerId(*b"-XX0001-a first look"));
        let answers = || -> io::Result<bool> {
            let mut stream = TcpStream::connect_timeout(&addr, TRY)?;
            stream.set_read_timeout(Some(TRY))?;
            stream.write_all(&handshake.to_bytes())?;
            Ok(stream.read(&mut [0; 1])? > 0)
        };
        self.wait_for("it answered a handshake", || answers().unwrap_or(false))
    }

    fn wait_for(&mut self, what: &str, done: impl Fn() -> bool) -> Outcome {
        let deadline = Deadline::after(START);
        while !deadline.over() {
            if !self.alive() {
                return fail(format!("it ended before {what}: {}", self.tail()));
            }
            if done() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        fail(format!("never {what}: {}", self.tail()))
    }

    /// Waits until it has ended; `false` if it has not within `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        while self.alive() {
            if deadline.over() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// The last it printed.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(3000)..]).into_owned();
        let lines: Vec<&str> = text.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Asks it to end, as Ctrl-C would.
    pub fn interrupt(&self) {
        signal("INT", &self.child.id().to_string());
    }

    /// Ends it and all it has started, at once.
    pub fn kill(&mut self) {
        signal("KILL", &format!("-{}", self.child.id()));
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The standard library sends no other signal than SIGKILL, and none to a group.
fn signal(name: &str, whom: &str) {
    let sent =
        Command::new("sh").args(["-c", &format!("kill -{name} {whom}")]).stderr(Stdio::null()).status();
    // There may be no one left.
    let _: io::Result<_> = sent;
}

/// Where a program is, if it is installed.
pub fn find(program: &str) -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file()).ok_or_else(|| format!("{program} is not installed").into())
}
