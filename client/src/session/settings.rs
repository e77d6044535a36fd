//! What can be set about a session, and what a torrent is added with.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::peer::{PeerConfig, Seam};
use engine::tracker::udp::ClientConfig;
use engine::{InfoHash, Magnet, Metainfo, PeerId};

use super::flags::TorrentFlags;
use crate::gate::GateLimits;
use crate::storage::ResumeData;

/// Rates in bytes a second, the protocol's own bytes included; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// What is sent.
    pub up: Option<u64>,
    /// What is received.
    pub down: Option<u64>,
}

/// Addresses that are neither dialled nor accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpFilter {
    /// Ranges, both ends included.
    pub blocked: Vec<(IpAddr, IpAddr)>,
}

impl IpFilter {
    /// Whether an address is in one of the ranges.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        self.blocked.iter().any(|&(first, last)| {
            ip.is_ipv4() == first.is_ipv4() && ip.is_ipv4() == last.is_ipv4() && (first..=last).contains(&ip)
        })
    }
}

/// Who is shown what crosses the seam of each torrent's peer, in order. Called in the torrent's task: it must be quick.
#[derive(Clone)]
pub struct Tap(pub Arc<dyn Fn(InfoHash, Seam<'_>) + Send + Sync>);

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// A session's settings. `Default` is a client as people run them, on a port that the system picks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen. An address that cannot be had is an error, unless it is the unspecified IPv6 address
    /// on a machine without IPv6: then that of IPv4 is taken. The one of IPv6 takes IPv4 too, where the
    /// system does so. What is dialled is dialled from the first of the same family that is specified.
    pub listen: Vec<SocketAddr>,
    /// Whether others may dial us. If not, as behind a NAT, a port is had and named to trackers all the same, and
    /// nobody listens there.
    pub accept: bool,
    /// The peer id; a random one of the shape of BEP 20 if not said.
    pub peer_id: Option<PeerId>,
    /// What randomness is derived from; the system's if not said.
    pub seed: Option<u64>,
    /// What each torrent's peer is set to. Its `one_per_address` is the opposite of libtorrent's
    /// `allow_multiple_connections_per_ip`.
    pub peer: PeerConfig,
    /// The choker while pieces are missing, by its name in [`engine::choker::NAMES`].
    pub leech_choker: String,
    /// The choker once there are none.
    pub seed_choker: String,
    /// The picker, by its name in [`engine::picker::NAMES`]; `sequential` for torrents with that flag.
    pub picker: String,
    /// Limits on connections.
    pub gate: GateLimits,
    /// How long a dial may take.
    pub connect_timeout: Duration,
    /// How long an accepted connection may take to name its torrent.
    pub handshake_timeout: Duration,
    /// How long a tracker may take over HTTP.
    pub tracker_timeout: Duration,
    /// How patient to be with one over UDP.
    pub udp_tracker: ClientConfig,
    /// The session's rate limits.
    pub rates: RateLimits,
    /// The most open files.
    pub open_files: usize,
    /// Threads for files and hashes.
    pub disk_threads: usize,
    /// Bytes of unfinished pieces that a torrent keeps in memory before it writes them, and bytes that may
    /// wait for the disk before it reads no more from its peers.
    pub write_buffer: usize,
    /// Bytes that may wait for one peer, blocks not counted; with more, it does not read and is dropped.
    pub slow_reader: usize,
    /// Where resume data is kept; nowhere if not said.
    pub resume_folder: Option<PathBuf>,
    /// How often it is written while it changes.
    pub resume_interval: Duration,
    /// Addresses to keep away from.
    pub ip_filter: IpFilter,
    /// Alerts that may wait to be read.
    pub alert_queue: usize,
    /// For who wants to see what the peers are told and say.
    pub tap: Option<Tap>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)],
            accept: true,
            peer_id: None,
            seed: None,
            peer: PeerConfig::client(),
            leech_choker: "tit-for-tat".to_owned(),
            seed_choker: "round-robin".to_owned(),
            picker: "rarest-first".to_owned(),
            gate: GateLimits::default(),
            connect_timeout: Duration::from_secs(15),
            handshake_timeout: Duration::from_secs(20),
            tracker_timeout: Duration::from_secs(30),
            udp_tracker: ClientConfig { retries: 1, ..ClientConfig::default() },
            rates: RateLimits::default(),
            open_files: 128,
            disk_threads: 4,
            write_buffer: 32 << 20,
            slow_reader: 4 << 20,
            resume_folder: None,
            resume_interval: Duration::from_secs(30),
            ip_filter: IpFilter::default(),
            alert_queue: 4096,
            tap: None,
        }
    }
}

/// What is to be downloaded or shared.
#[derive(Clone, Debug)]
pub enum Source {
    /// All is known.
    Metainfo(Box<Metainfo>),
    /// The info dictionary is to be had from peers first (BEP 9).
    Magnet(Magnet),
}

impl Source {
    /// Its name in the protocol.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::Metainfo(metainfo) => metainfo.info_hash,
            Self::Magnet(magnet) => magnet.info_hash,
        }
    }
}

/// What a torrent is added with.
#[derive(Clone, Debug)]
pub struct AddTorrentParams {
    /// What.
    pub source: Source,
    /// The folder that its files are, or go, below.
    pub save_path: PathBuf,
    /// Peers to ask, beside those of trackers and of the magnet link; of a private torrent too, as with
    /// [`add_peers`](super::TorrentHandle::add_peers).
    pub peers: Vec<SocketAddr>,
    /// Trackers in tiers; what becomes of the metainfo's own, see [`TorrentFlags::OVERRIDE_TRACKERS`].
    pub trackers: Vec<Vec<String>>,
    /// Of an earlier run; if not said, what is in [`Settings::resume_folder`].
    pub resume: Option<ResumeData>,
    /// Its own rate limits, under those of the session.
    pub rates: RateLimits,
    /// What it is to be.
    pub flags: TorrentFlags,
}

impl AddTorrentParams {
    /// A torrent by its metainfo.
    pub fn metainfo(metainfo: Metainfo, save_path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Metainfo(Box::new(metainfo)), save_path.into())
    }

    /// A torrent by a magnet link.
    pub fn magnet(magnet: Magnet, save_path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Magnet(magnet), save_path.into())
    }

    fn new(source: Source, save_path: PathBuf) -> Self {
        Self {
            source,
            save_path,
            peers: Vec::new(),
            trackers: Vec::new(),
            resume: None,
            rates: RateLimits::default(),
            flags: TorrentFlags::DEFAULT,
        }
    }
}
