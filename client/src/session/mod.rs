//! The library's face: a session, its torrents, what they tell.

mod alert;
mod flags;
mod handle;
mod listen;
mod settings;
mod status;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::peer::TELLING;
use engine::tracker::ScrapeReply;
use engine::{InfoHash, PeerId, Seed, choker, picker};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

pub use alert::{Alert, Alerts, Closed};
pub use flags::{REFUSED, RefusedFlag, TorrentFlags};
pub use handle::{Gone, TorrentHandle};
pub use settings::{AddTorrentParams, IpFilter, RateLimits, Settings, Source, Tap};
pub use status::{PeerStatus, SessionStats, TorrentState, TorrentStatus};

use crate::clock::Clock;
use crate::gate::Gate;
use crate::limit::Limiter;
use crate::net;
use crate::storage::{Disk, LayoutFault, OpenFiles};
use crate::torrent::{self, Command, Content, EVENT_QUEUE, Leave, Torrent};
use crate::tracker::{self, TrackerError};
use crate::uplink::Uplink;

/// Commands that may wait for a torrent.
const COMMANDS: usize = 64;
/// The client's two letters and its version, for peer ids (BEP 20).
const CLIENT: &[u8; 6] = b"SL0100";

/// What all of a session share.
pub(crate) struct Context {
    pub settings: Settings,
    pub clock: Clock,
    pub peer_id: PeerId,
    /// Where we listen, for others.
    pub addr: SocketAddr,
    /// Addresses to dial from, if they matter.
    pub from: Vec<IpAddr>,
    pub disk: Disk,
    pub open: Arc<OpenFiles>,
    pub gate: Arc<Gate>,
    pub up: Arc<Limiter>,
    pub down: Arc<Limiter>,
    pub uplink: Uplink,
    seed: Seed,
    seeds: AtomicU64,
    alerts: broadcast::Sender<Alert>,
    torrents: Mutex<BTreeMap<InfoHash, Entry>>,
}

/// A torrent as its session knows it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub handle: TorrentHandle,
    pub events: mpsc::Sender<torrent::Event>,
}

impl Context {
    /// Tells whoever listens.
    pub fn alert(&self, alert: Alert) {
        tracing::debug!(?alert);
        // Nobody need listen.
        let _ = self.alerts.send(alert);
    }

    /// Whether what all torrents share is full, and leaves them so little that none of them can tell who is idle. Where it
    /// leaves them more, one that gives little could give more if it were asked for it.
    pub fn is_short(&self) -> bool {
        let slots = self.settings.peer.slots.max(1) as usize * self.torrents().len();
        (self.up.is_full() || self.uplink.is_full()) && self.uplink.recent() < TELLING as f64 * slots as f64
    }

    /// What a torrent's randomness is derived from.
    pub fn seed_of(&self, torrent: InfoHash) -> Seed {
        self.seed.derive(&torrent.to_string(), 0)
    }

    /// A seed of its own each time.
    pub fn fresh_seed(&self, name: &str) -> Seed {
        self.seed.derive(name, self.seeds.fetch_add(1, Ordering::Relaxed))
    }

    fn torrents(&self) -> MutexGuard<'_, BTreeMap<InfoHash, Entry>> {
        self.torrents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A torrent that is there.
    pub fn find(&self, torrent: InfoHash) -> Option<Entry> {
        self.torrents().get(&torrent).cloned()
    }

    /// A torrent has gone.
    pub fn forget(&self, torrent: InfoHash) {
        self.torrents().remove(&torrent);
    }

    /// Dials a peer: when there is room among those being dialled, and not for longer than allowed.
    pub async fn dial(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let place = self.gate.half_open.acquire().await.map_err(io::Error::other)?;
        let dialled =
            tokio::time::timeout(self.settings.connect_timeout, net::connect(addr, &self.from)).await;
        drop(place);
        dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// No address to listen on.
    #[error("a session needs an address to listen on")]
    NoAddress,
    /// A policy that there is not.
    #[error("there is no {0} called {1:?}")]
    Policy(&'static str, String),
    /// The system has no randomness, or no threads.
    #[error("{0}")]
    System(String),
}

/// Why a torrent was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It is there already.
    #[error("the torrent {0} is in the session already")]
    Duplicate(InfoHash),
    /// A flag that cannot be obeyed.
    #[error(transparent)]
    Flag(#[from] RefusedFlag),
    /// Its files cannot be stored as they are named.
    #[error(transparent)]
    Layout(#[from] LayoutFault),
    /// Files are to be believed of which a magnet link says nothing.
    #[error("seed_mode and no_verify_files need the metainfo, which a magnet link has not")]
    Magnet,
}

/// A client: everything it shares and downloads. To be made and used within a tokio runtime. Dropped, it ends
/// at once, without a word to trackers; [`Session::close`] is the proper way.
pub struct Session {
    context: Arc<Context>,
    listeners: Vec<JoinHandle<()>>,
    addrs: Vec<SocketAddr>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("listening", &self.addrs).finish_non_exhaustive()
    }
}

impl Session {
    /// A session that listens and has no torrents.
    pub async fn new(settings: Settings) -> Result<Self, SessionError> {
        let system = |error: &dyn std::fmt::Display| SessionError::System(error.to_string());
        for (what, name) in [("choker", &settings.leech_choker), ("choker", &settings.seed_choker)] {
            choker::by_name(name).ok_or_else(|| SessionError::Policy(what, name.clone()))?;
        }
        let name = &settings.picker;
        picker::by_name(name).ok_or_else(|| SessionError::Policy("picker", name.clone()))?;
        let (listeners, addrs) = listen::bind(&settings.listen).await?;
        let addr = *addrs.first().ok_or(SessionError::NoAddress)?;
        let seed = match settings.seed {
            Some(seed) => Seed(seed),
            None => Seed(getrandom::u64().map_err(|error| system(&error))?),
        };
        let peer_id = PeerId::generate(CLIENT, &mut seed.derive("peer id", 0).rng());
        let clock = Clock::start();
        let context = Arc::new(Context {
            clock,
            uplink: Uplink::new(clock, settings.peer.rate_window),
            peer_id: settings.peer_id.unwrap_or(peer_id),
            addr,
            from: addrs.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect(),
            disk: Disk::new(settings.disk_threads).map_err(|error| system(&error))?,
            open: Arc::new(OpenFiles::new(settings.open_files)),
            gate: Gate::new(settings.gate),
            up: Limiter::new(settings.rates.up),
            down: Limiter::new(settings.rates.down),
            seed,
            seeds: AtomicU64::new(0),
            alerts: broadcast::channel(settings.alert_queue.max(1)).0,
            torrents: Mutex::default(),
            settings,
        });
        let listeners = listeners.into_iter().filter(|_| context.settings.accept);
        let listeners = listeners.map(|listener| listen::start(listener, context.clone())).collect();
        Ok(Self { context, listeners, addrs })
    }

    /// Where it listens, with the ports that the system has picked.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Who it says it is.
    pub fn peer_id(&self) -> PeerId {
        self.context.peer_id
    }

    /// Alerts from here on. Each listener hears all; one that is too slow loses the oldest and is told how
    /// many ([`Alert::Dropped`]).
    pub fn alerts(&self) -> Alerts {
        Alerts(self.context.alerts.subscribe())
    }

    /// Adds a torrent, which begins to check its files.
    pub fn add_torrent(&self, params: AddTorrentParams) -> Result<TorrentHandle, AddError> {
        flags::check(params.flags)?;
        let AddTorrentParams { source, save_path, mut peers, mut trackers, resume, rates, flags } = params;
        let info_hash = source.info_hash();
        let mut torrents = self.context.torrents();
        if let Some(entry) = torrents.get(&info_hash) {
            return match flags.contains(TorrentFlags::DUPLICATE_IS_ERROR) {
                true => Err(AddError::Duplicate(info_hash)),
                false => Ok(entry.handle.clone()),
            };
        }
        let (content, name, own) = match source {
            Source::Metainfo(metainfo) => {
                let own = metainfo.trackers.clone();
                (Some(Content::new(*metainfo, &save_path, &self.context.open)?), None, own)
            }
            Source::Magnet(magnet) => {
                let unsure = flags & (TorrentFlags::SEED_MODE | TorrentFlags::NO_VERIFY_FILES);
                if !unsure.is_empty() && resume.as_ref().is_none_or(|resume| resume.info.is_none()) {
                    return Err(AddError::Magnet);
                }
                peers.extend(magnet.peers);
                (None, magnet.name, magnet.trackers.into_iter().map(|url| vec![url]).collect())
            }
        };
        if !flags.contains(TorrentFlags::OVERRIDE_TRACKERS) || trackers.is_empty() {
            trackers.splice(0..0, own);
        }
        let (commands_to, commands) = mpsc::channel(COMMANDS);
        let events = mpsc::channel(EVENT_QUEUE);
        let handle = TorrentHandle::new(info_hash, commands_to);
        torrents.insert(info_hash, Entry { handle: handle.clone(), events: events.0.clone() });
        drop(torrents);
        self.context.alert(Alert::TorrentAdded(info_hash));
        Torrent::start(torrent::Begin {
            context: self.context.clone(),
            info_hash,
            content,
            name,
            save_path,
            peers,
            trackers,
            resume,
            up: Limiter::new(rates.up),
            down: Limiter::new(rates.down),
            flags,
            commands,
            events,
        });
        Ok(handle)
    }

    /// Its torrents, in order of their info-hashes.
    pub fn torrents(&self) -> Vec<TorrentHandle> {
        self.context.torrents().values().map(|entry| entry.handle.clone()).collect()
    }

    /// A torrent that it has.
    pub fn torrent(&self, info_hash: InfoHash) -> Option<TorrentHandle> {
        self.context.find(info_hash).map(|entry| entry.handle)
    }

    /// Asks a tracker how many peers it knows of torrents (BEP 48).
    pub async fn scrape(&self, tracker: &str, torrents: &[InfoHash]) -> Result<ScrapeReply, TrackerError> {
        tracker::scrape(&self.context, tracker, torrents).await
    }

    /// Changes the session's rate limits.
    pub fn set_rates(&self, rates: RateLimits) {
        self.context.up.set(rates.up);
        self.context.down.set(rates.down);
    }

    async fn statuses(&self) -> Vec<TorrentStatus> {
        let mut all = Vec::new();
        for torrent in self.torrents() {
            // One may have gone meanwhile.
            all.extend(torrent.status().await.ok());
        }
        all
    }

    /// Has the status of all torrents with [`TorrentFlags::UPDATE_SUBSCRIBE`] told as an
    /// [`Alert::StateUpdate`].
    pub async fn post_torrent_updates(&self) {
        let mut all = self.statuses().await;
        all.retain(|status| status.flags.contains(TorrentFlags::UPDATE_SUBSCRIBE));
        self.context.alert(Alert::StateUpdate(all));
    }

    /// Has the session's figures told as an [`Alert::SessionStats`].
    pub async fn post_session_stats(&self) {
        let all = self.statuses().await;
        self.context.alert(Alert::SessionStats(SessionStats {
            torrents: all.len(),
            peers: all.iter().map(|status| status.peers).sum(),
            uploaded: all.iter().map(|status| status.uploaded).sum(),
            downloaded: all.iter().map(|status| status.downloaded).sum(),
            open_files: self.context.open.len(),
        }));
    }

    /// Leaves every swarm: trackers are told, resume data is saved, files are closed.
    pub async fn close(self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        let leaving: Vec<_> =
            self.torrents().into_iter().map(|torrent| torrent.leave(false, false)).collect();
        let leaving: Vec<_> = leaving.into_iter().map(tokio::spawn).collect();
        for left in leaving {
            // Gone is gone, however it went.
            let _ = left.await;
        }
    }

    /// Removes a torrent; its resume data goes, and its files too if `files` says so.
    pub async fn remove_torrent(&self, torrent: &TorrentHandle, files: bool) -> Result<(), Gone> {
        torrent.clone().leave(files, true).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        for (_, entry) in std::mem::take(&mut *self.context.torrents()) {
            entry.handle.tell(Command::Leave(Leave::default()));
        }
    }
}
