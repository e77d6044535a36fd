//! Addresses, ports and folders: no two programs of a run have one in common, nor does one have those of another
//! run at the same time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Ports are below those that the system gives out by itself.
const PORT: u16 = 20_000;
/// The control port is so far above the peer port.
const CONTROL: u16 = 6_000;

/// So many runs that go on at the same time are told apart.
const RUNS: u16 = 64;

/// The addresses of a run: all of a network that is this machine's alone, as 127.0.0.0/8 is on Linux. Some clients
/// never dial a loopback address; for them the loopback device may be given another network of 2²⁴ addresses.
#[derive(Clone, Debug)]
pub struct Net {
    first: u8,
    run: u8,
    programs: Arc<AtomicU16>,
}

impl Net {
    /// The network `first`.0.0.0/8. `run` tells runs apart that go on at the same time (64 of them).
    pub fn new(first: u8, run: u32) -> Self {
        Self { first, run: (run % u32::from(RUNS)) as u8, programs: Arc::default() }
    }

    /// The loopback network, for this process.
    pub fn loopback() -> Self {
        Self::new(127, std::process::id())
    }

    /// Whether its addresses are loopback addresses.
    pub fn is_loopback(&self) -> bool {
        self.first == 127
    }

    /// A number that no program of this run has had lately.
    pub fn number(&self) -> u16 {
        self.programs.fetch_add(1, Ordering::Relaxed)
    }

    /// A place for a program.
    pub fn place(&self) -> io::Result<Place> {
        let number = self.number();
        let [c, d] = [1 + (number / 250) % 250, 2 + number % 250].map(|n| n as u8);
        let ip = Ipv4Addr::new(self.first, 64 + self.run, c, d);
        let root = tempfile::Builder::new().prefix("swarmlab-").tempdir()?;
        // Some listen at all addresses: those of another run are to have other ports too.
        let port = PORT + (u16::from(self.run) * (CONTROL / RUNS) + number) % CONTROL;
        let place = Place { ip, port, number, root: Arc::new(root) };
        for folder in [place.folder(), place.downloads()] {
            std::fs::create_dir_all(folder)?;
        }
        Ok(place)
    }

    /// Addresses for our own ends of a program's connections.
    pub fn ours(&self, number: u16) -> Ours {
        Ours { first: self.first, second: 128 + self.run, third: (number % 256) as u8, next: 0 }
    }
}

/// Addresses of ours, one after the other.
#[derive(Clone, Debug)]
pub struct Ours {
    first: u8,
    second: u8,
    third: u8,
    next: u16,
}

impl Ours {
    /// One that was not given out; after 250 the first again.
    pub fn fresh(&mut self) -> Ipv4Addr {
        let last = 2 + (self.next % 250) as u8;
        self.next += 1;
        Ipv4Addr::new(self.first, self.second, self.third, last)
    }
}

/// Where one program runs. Its folder goes with the last copy.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its port for peers.
    pub port: u16,
    /// Its number in the run.
    pub number: u16,
    root: Arc<TempDir>,
}

impl Place {
    /// Where it listens for peers.
    pub fn peers(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), self.port)
    }

    /// Where it listens for whoever controls it.
    pub fn control(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip), self.port + CONTROL)
    }

    /// Above all else of it.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Its own folder: working directory, home, settings, what it prints.
    pub fn folder(&self) -> PathBuf {
        self.root().join("client")
    }

    /// The download folder, with nothing beside it.
    pub fn downloads(&self) -> PathBuf {
        self.root().join("content/downloads")
    }

    /// The torrent file.
    pub fn torrent(&self) -> PathBuf {
        self.root().join("x.torrent")
    }
}
