//! What all cases share: places to run at, and torrents with their content.
//!
//! Every program gets an address, a port and a folder that no other has or had. Ports are below those the system
//! gives out by itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, io};

use engine::InfoHash;
use engine::metainfo::{Builder, Metainfo};
use sha1::{Digest as _, Sha1};

use crate::Outcome;

/// The second half of these addresses counts the programs.
const ISOLATED: [u8; 2] = [10, 77];
const LOOPBACK: [u8; 2] = [127, 77];
const PORT: u16 = 20_000;

/// Set in the process that runs where nothing can leave, to a name for its folder.
pub const IN_ISOLATION: &str = "SWARMLAB_IN_ISOLATION";

/// How many programs have been started.
static PROGRAMS: AtomicU16 = AtomicU16::new(2);

/// How many torrents have been made.
static TORRENTS: AtomicU16 = AtomicU16::new(0);

/// Where one program runs.
#[derive(Clone)]
pub struct Place {
    /// Its own address and port, for peers or, if it is a tracker, for them too.
    pub addr: SocketAddr,
    /// For its remote control.
    pub control: SocketAddr,
    /// Its folder.
    pub work: PathBuf,
}

/// A folder of this run, made.
pub fn folder(name: &str) -> Outcome<PathBuf> {
    let folder = root().join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Where everything of this run lies.
pub fn root() -> PathBuf {
    let run = std::env::var(IN_ISOLATION).unwrap_or_else(|_| std::process::id().to_string());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop").join(run)
}

/// Where nothing is routed outside, addresses of the loopback network are avoided: some clients never dial them.
pub fn isolated() -> bool {
    std::env::var_os(IN_ISOLATION).is_some()
}

/// Waits until no other run is on the machine's own loopback device, where their addresses are the same.
pub fn take_machine() -> Outcome {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = fs::File::create(folder.join("interop.lock"))?;
    file.lock()?;
    // Held until the process ends.
    std::mem::forget(file);
    Ok(())
}

impl Place {
    /// One that nobody has.
    pub fn fresh(name: &str) -> Outcome<Self> {
        let number = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        let [a, b] = if isolated() { ISOLATED } else { LOOPBACK };
        let [c, d] = (1 + number / 250, number % 250).into();
        let address = |c: u16, d: u16| IpAddr::V4(Ipv4Addr::new(a, b, c as u8, d as u8 + 2));
        Ok(Self {
            addr: SocketAddr::new(address(c, d), PORT + number),
            control: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT + 6_000 + number),
            work: folder(&format!("{number:03}-{name}"))?,
        })
    }

    /// One with a port of its own at the address that the system prefers: who answers from a socket that is bound
    /// to none answers from there, whatever address was asked.
    pub fn at_home(name: &str) -> Outcome<Self> {
        let place = Self::fresh(name)?;
        let home =
            if isolated() { Ipv4Addr::new(ISOLATED[0], ISOLATED[1], 0, 1) } else { Ipv4Addr::LOCALHOST };
        Ok(Self { addr: SocketAddr::new(home.into(), place.addr.port()), ..place })
    }
}

/// A torrent and what is in it.
pub struct Made {
    pub metainfo: Metainfo,
    /// The `.torrent`.
    pub torrent: PathBuf,
    content: Vec<u8>,
}

/// Bytes that look random and are the same each time.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Made {
    /// A file of so many bytes.
    pub fn single(name: &str, length: usize, trackers: &[String]) -> Outcome<Self> {
        Self::build(Builder::file(name, length as u64), 256 << 10, length, trackers)
    }

    /// The same in pieces so small that their hashes are more than one block of metadata (BEP 9).
    pub fn fine(name: &str, length: usize, trackers: &[String]) -> Outcome<Self> {
        Self::build(Builder::file(name, length as u64), 32 << 10, length, trackers)
    }

    /// A folder with what makes trouble: deep paths, names with blanks and beyond ASCII, files that begin within a
    /// piece, and one with nothing in it.
    pub fn several(name: &str, trackers: &[String]) -> Outcome<Self> {
        let files: [(&str, usize); 7] = [
            ("a.bin", 5_000_001),
            ("b/c/d/deep.bin", 3_333_333),
            ("b/short", 1),
            ("b/two words.bin", 700_000),
            ("empty", 0),
            ("größe/ümlaut 漢字.bin", 6_000_000),
            ("z", 123_456),
        ];
        let below = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let list = files.iter().map(|&(path, length)| (below(path), length as u64)).collect();
        let length = files.iter().map(|file| file.1).sum();
        Self::build(Builder::folder(name, list), 256 << 10, length, trackers)
    }

    fn build(builder: Builder, piece_length: u64, length: usize, trackers: &[String]) -> Outcome<Self> {
        let content = content(length);
        // rTorrent takes no torrent without a tracker when it has no DHT: nobody is at the discard port.
        let nobody = ["http://127.0.0.1:9/announce".to_owned()];
        let trackers = if trackers.is_empty() { &nobody } else { trackers };
        let tiers = trackers.iter().map(|url| vec![url.clone()]).collect();
        let mut hasher = builder.piece_length(piece_length).trackers(tiers).hasher()?;
        hasher.write(&content);
        let metainfo = hasher.finish()?;
        let key: String =
            Sha1::digest(metainfo.to_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
        // Cases that run at once make the same torrent, each for itself.
        let number = TORRENTS.fetch_add(1, Ordering::Relaxed);
        let torrent = folder("torrents")?.join(format!("{number:03}-{}-{key}.torrent", metainfo.name));
        fs::write(&torrent, metainfo.to_bytes())?;
        Ok(Self { metainfo, torrent, content })
    }

    /// All bytes.
    pub fn length(&self) -> u64 {
        self.content.len() as u64
    }

    /// Its name in the protocol.
    pub fn info_hash(&self) -> InfoHash {
        self.metainfo.info_hash
    }

    /// A magnet link.
    pub fn magnet(&self) -> String {
        let trackers = self.metainfo.trackers.iter().flatten();
        let trackers: String = trackers.map(|url| format!("&tr={}", crate::wire::escape(url))).collect();
        let name = crate::wire::escape(&self.metainfo.name);
        format!("magnet:?xt=urn:btih:{}&dn={name}{trackers}", self.info_hash())
    }

    fn each(&self, root: &Path) -> impl Iterator<Item = (PathBuf, &[u8])> {
        let root = root.to_owned();
        self.metainfo.files.iter().map(move |file| {
            let path = file.path.iter().fold(root.clone(), |path, name| path.join(name));
            (path, &self.content[file.offset as usize..(file.offset + file.length) as usize])
        })
    }

    /// Writes the files below `root`.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        for (path, bytes) in self.each(root) {
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// Whether files with nothing in them are missing below `root`.
    pub fn lacks_empty(&self, root: &Path) -> bool {
        self.each(root).any(|(path, bytes)| bytes.is_empty() && !path.exists())
    }

    /// What differs below `root`, where such files may be missing, by SHA-1; `None` if nothing does.
    pub fn difference(&self, root: &Path) -> Option<String> {
        self.each(root).find_map(|(path, bytes)| {
            let there = match fs::read(&path) {
                Ok(there) => there,
                Err(error) if bytes.is_empty() && error.kind() == io::ErrorKind::NotFound => return None,
                Err(error) => return Some(format!("{}: {error}", path.display())),
            };
            let differs = there.len() != bytes.len() || Sha1::digest(&there) != Sha1::digest(bytes);
            differs.then(|| format!("{} differs", path.display()))
        })
    }
}
