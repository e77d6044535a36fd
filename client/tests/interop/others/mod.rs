//! The clients: one file for each, and what they have in common.

mod aria2;
mod deluge;
mod libtorrent;
mod lines;
mod ours;
mod qbittorrent;
mod rqbit;
mod rtorrent;
mod transmission;
mod webtorrent;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lab::{Made, Place};
use crate::process::Process;
use crate::{Outcome, fail};

pub use ours::{KIND as OURS, ROLE, main as ours_main};

/// What a client is started with. No DHT, no discovery on the local network, no port mapping, no uTP, no
/// encryption: those are for other tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// Peers are exchanged with peers (BEP 11).
    pub pex: bool,
    /// Bytes a second to send at most. Only ours and libtorrent are asked for that.
    pub up: Option<u64>,
    /// Bytes a second to receive at most, likewise.
    pub down: Option<u64>,
}

/// What is to be shared.
pub struct What<'a> {
    pub made: &'a Made,
    /// It is told a magnet link and not the torrent.
    pub magnet: bool,
    /// Whom the magnet link names (`x.pe`).
    pub peer: Option<SocketAddr>,
    /// The folder its files are, or go, below.
    pub dir: &'a Path,
    /// All of it is there.
    pub seed: bool,
}

impl What<'_> {
    /// The magnet link.
    pub fn link(&self) -> String {
        let peer = self.peer.map(|peer| format!("&x.pe={peer}")).unwrap_or_default();
        self.made.magnet() + &peer
    }
}

/// How long a client may take to end: some wait for their tracker.
const END: Duration = Duration::from_secs(20);

/// A client that runs. Dropped, it is killed.
pub trait Other {
    /// Adds a torrent; only one is ever added.
    fn add(&mut self, what: &What<'_>) -> Outcome;

    /// Has it dial a peer.
    fn add_peer(&mut self, _: SocketAddr) -> Outcome {
        fail("it cannot be told of a peer")
    }

    /// The share of the content that is verified, 0 to 1. While it checks its files, that is 0.
    fn progress(&mut self) -> Outcome<f64>;

    /// Payload bytes it has sent, if it is ours: others say so only now and then.
    fn sent(&mut self) -> Outcome<Option<u64>> {
        Ok(None)
    }

    /// The other ends of its connections: the address, and whether it has dialled.
    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        Err("it is not asked for its peers".into())
    }

    /// What runs.
    fn process(&mut self) -> &mut Process;

    /// Asks it to end in its own way.
    fn quit(&mut self) -> Outcome;

    /// The same, and waits until it has.
    fn stop(&mut self) -> Outcome {
        self.quit()?;
        match self.process().wait_end(END) {
            true => Ok(()),
            false => fail("it did not end"),
        }
    }

    /// What it has to say after a failure.
    fn last_words(&mut self) -> String {
        self.process().tail()
    }
}

/// A client that can be started.
pub struct Kind {
    /// As in `SWARMLAB_REQUIRE_CLIENTS`.
    pub name: &'static str,
    /// Its version; the error is why it is not here.
    pub version: fn() -> Outcome<String>,
    /// Starts one.
    pub start: fn(&Place, Wishes) -> Outcome<Box<dyn Other>>,
    /// Whether it can be told to dial a peer; if not, why.
    pub dials: Result<(), &'static str>,
    /// Whether it tells its peers of others (BEP 11); if not, why.
    pub tells: Result<(), &'static str>,
    /// Whether it takes peers that it is told of; if not, why.
    pub hears: Result<(), &'static str>,
    /// Whether it can get a torrent by a magnet link; if not, why.
    pub magnet: Result<(), &'static str>,
    /// Whether it speaks to trackers over UDP; if not, why.
    pub udp: Result<(), &'static str>,
}

impl Kind {
    /// One that can all of it.
    const fn able(
        name: &'static str,
        version: fn() -> Outcome<String>,
        start: fn(&Place, Wishes) -> Outcome<Box<dyn Other>>,
    ) -> Self {
        Self {
            name,
            version,
            start,
            dials: Ok(()),
            tells: Ok(()),
            hears: Ok(()),
            magnet: Ok(()),
            udp: Ok(()),
        }
    }
}

/// Everyone but us.
pub const OTHERS: [&Kind; 9] = [
    &libtorrent::KIND_2_1,
    &libtorrent::KIND_2_0,
    &transmission::KIND,
    &aria2::KIND,
    &qbittorrent::KIND,
    &deluge::KIND,
    &rtorrent::KIND,
    &webtorrent::KIND,
    &rqbit::KIND,
];

/// Where `.ci/real-clients` puts what is not Debian's.
pub fn installed(below: &str) -> Outcome<PathBuf> {
    // Links stay links: a virtual environment is where its Python is a link.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let place = workspace.join("target/real-clients").join(below);
    match place.exists() {
        true => Ok(place),
        false => Err(format!("{below} is not below target/real-clients").into()),
    }
}

/// Of what a program prints with `args`, the first word that begins with a digit, a leading `v` or `-` aside.
pub fn printed_version(program: &Path, args: &[&str]) -> Outcome<String> {
    let output = std::process::Command::new(program).args(args).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let version =
        text.split_whitespace().map(|word| word.trim_start_matches(['v', '-']).trim_end_matches('.'));
    let found =
        version.filter(|word| word.contains('.')).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    found.map(str::to_owned).ok_or_else(|| format!("no version in {text:?}").into())
}
