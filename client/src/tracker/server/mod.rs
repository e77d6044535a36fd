//! A tracker: the engine's own logic behind HTTP and UDP.
//!
//! - Memory is bounded by the engine's limits on torrents and peers, by so many connections at a time, and by
//!   a request of at most 8 KiB on each.
//! - A connection has ten seconds for its request and its answer, and is closed then.

mod http;
mod udp;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::rng::{Rng, Seed};
use engine::tracker::udp::Server as UdpServer;
use engine::tracker::{Tracker, TrackerConfig};
use engine::wire::InfoHash;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::gate::{Gate, GateLimits};

/// What a tracker is set to.
#[derive(Clone, Debug)]
pub struct TrackerSettings {
    /// Where to answer HTTP.
    pub http: Vec<SocketAddr>,
    /// Where to answer UDP.
    pub udp: Vec<SocketAddr>,
    /// The engine's part.
    pub config: TrackerConfig,
    /// The torrents that are served; all, if not said.
    pub allow: Option<BTreeSet<InfoHash>>,
    /// The most HTTP connections at a time, and the most from one address.
    pub connections: (usize, u32),
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            http: Vec::new(),
            udp: Vec::new(),
            config: TrackerConfig::server(),
            allow: None,
            connections: (1000, 50),
        }
    }
}

/// Why there is no tracker.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that cannot be had.
    #[error("cannot listen on {addr}: {error}")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The system has no randomness.
    #[error("the system has no randomness: {0}")]
    Random(String),
}

/// What all of its tasks share.
struct Shared {
    logic: Mutex<(Tracker, Rng)>,
    udp: UdpServer,
    clock: Clock,
    gate: Arc<Gate>,
}

impl Shared {
    fn logic(&self) -> MutexGuard<'_, (Tracker, Rng)> {
        self.logic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tracker that runs until it is dropped. To be made within a tokio runtime.
pub struct TrackerServer {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    http: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
}

impl std::fmt::Debug for TrackerServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackerServer")
            .field("http", &self.http)
            .field("udp", &self.udp)
            .finish_non_exhaustive()
    }
}

impl TrackerServer {
    /// Starts one.
    pub async fn start(settings: TrackerSettings) -> Result<Self, ServeError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| ServeError::Random(error.to_string()))?;
        let seed = getrandom::u64().map_err(|error| ServeError::Random(error.to_string()))?;
        let (connections, per_address) = settings.connections;
        let limits = GateLimits { connections, unknown: connections, per_address, half_open: 1 };
        let mut tracker = Tracker::new(settings.config);
        tracker.allow_only(settings.allow);
        let shared = Arc::new(Shared {
            logic: Mutex::new((tracker, Seed(seed).rng())),
            udp: UdpServer::new(key),
            clock: Clock::start(),
            gate: Gate::new(limits),
        });
        let mut server = Self { shared, tasks: Vec::new(), http: Vec::new(), udp: Vec::new() };
        for addr in settings.http {
            let failed = |error| ServeError::Listen { addr, error };
            let listener = TcpListener::bind(addr).await.map_err(failed)?;
            server.http.push(listener.local_addr().map_err(failed)?);
            server.tasks.push(tokio::spawn(http::serve(listener, server.shared.clone())));
        }
        for addr in settings.udp {
            let failed = |error| ServeError::Listen { addr, error };
            let socket = UdpSocket::bind(addr).await.map_err(failed)?;
            server.udp.push(socket.local_addr().map_err(failed)?);
            server.tasks.push(tokio::spawn(udp::serve(socket, server.shared.clone())));
        }
        Ok(server)
    }

    /// Where it answers HTTP, with the ports that the system has picked.
    pub fn http_addrs(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where it answers UDP, likewise.
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// How many torrents and how many peers it knows.
    pub fn counts(&self) -> (usize, usize) {
        let (tracker, _) = &*self.shared.logic();
        (tracker.swarms(), tracker.members())
    }
}

impl Drop for TrackerServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// An address as the engine wants it: IPv4 is IPv4, whatever socket it came through.
fn canonical(addr: SocketAddr) -> SocketAddr {
    let ip: IpAddr = addr.ip().to_canonical();
    SocketAddr::new(ip, addr.port())
}
