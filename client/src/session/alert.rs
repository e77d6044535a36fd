//! What a session tells: a stream of typed alerts, for as many as want to hear.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::InfoHash;
use engine::peer::DisconnectReason;
use tokio::sync::broadcast;

use super::status::{SessionStats, TorrentState, TorrentStatus};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Alert {
    /// A torrent was added.
    TorrentAdded(InfoHash),
    /// A torrent is gone from the session, its files too if that was asked for.
    TorrentRemoved(InfoHash),
    /// The info dictionary has come from peers (BEP 9).
    MetadataReceived(InfoHash),
    /// What came for an info dictionary cannot be used.
    MetadataFailed(InfoHash, String),
    /// It does something else now.
    StateChanged {
        /// Which torrent.
        torrent: InfoHash,
        /// What it did.
        from: TorrentState,
        /// What it does.
        to: TorrentState,
    },
    /// It was paused, by command or by an error.
    Paused(InfoHash),
    /// It goes on.
    Resumed(InfoHash),
    /// A piece was verified and written.
    PieceFinished {
        /// Which torrent.
        torrent: InfoHash,
        /// The piece's number.
        piece: u32,
    },
    /// Every piece is there.
    TorrentFinished(InfoHash),
    /// A piece did not hash to what the metainfo says.
    HashFailed {
        /// Which torrent.
        torrent: InfoHash,
        /// The piece's number.
        piece: u32,
    },
    /// A tracker has answered.
    TrackerReply {
        /// Which torrent.
        torrent: InfoHash,
        /// The tracker.
        url: String,
        /// How many peers it named.
        peers: usize,
        /// What it wants shown.
        warning: Option<String>,
    },
    /// A tracker has refused, or not answered. The next is tried.
    TrackerError {
        /// Which torrent.
        torrent: InfoHash,
        /// The tracker.
        url: String,
        /// Why.
        error: String,
    },
    /// A connection is up.
    PeerConnected {
        /// Which torrent.
        torrent: InfoHash,
        /// With whom.
        addr: SocketAddr,
        /// We have dialled.
        outgoing: bool,
    },
    /// A connection is gone.
    PeerDisconnected {
        /// Which torrent.
        torrent: InfoHash,
        /// With whom.
        addr: SocketAddr,
        /// Why.
        reason: Closed,
    },
    /// An address sent bad data, and is refused from here on.
    PeerBanned {
        /// Which torrent.
        torrent: InfoHash,
        /// Whom.
        ip: std::net::IpAddr,
    },
    /// A file could not be used. The torrent is paused; what was verified is kept.
    FileError {
        /// Which torrent.
        torrent: InfoHash,
        /// The file.
        path: PathBuf,
        /// What happened.
        error: String,
        /// There is no room left.
        full: bool,
    },
    /// Resume data was written.
    ResumeSaved(InfoHash),
    /// Resume data could not be written, or not be used.
    ResumeFailed {
        /// Which torrent.
        torrent: InfoHash,
        /// Why.
        error: String,
    },
    /// What [`Session::post_torrent_updates`](crate::Session::post_torrent_updates) asked for.
    StateUpdate(Vec<TorrentStatus>),
    /// What [`Session::post_session_stats`](crate::Session::post_session_stats) asked for.
    SessionStats(SessionStats),
    /// This many alerts were not read in time, and are lost.
    Dropped(u64),
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// We closed it.
    #[error("{0}")]
    Ours(DisconnectReason),
    /// The remote closed it.
    #[error("closed by the other end")]
    Theirs,
    /// It broke.
    #[error("{0}")]
    Broken(String),
    /// A private torrent's tracker has not named it (BEP 27).
    #[error("not a peer of the private torrent's tracker")]
    NotOfTracker,
    /// What we have to say to it piles up: it does not read.
    #[error("it does not read what it is sent")]
    TooSlow,
}

/// Alerts as they come. See [`Session::alerts`](crate::Session::alerts).
#[derive(Debug)]
pub struct Alerts(pub(crate) broadcast::Receiver<Alert>);

impl Alerts {
    /// The next; `None` once the session is gone. Safe to be given up half way.
    pub async fn next(&mut self) -> Option<Alert> {
        match self.0.recv().await {
            Ok(alert) => Some(alert),
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(Alert::Dropped(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next if there is one already.
    pub fn try_next(&mut self) -> Option<Alert> {
        match self.0.try_recv() {
            Ok(alert) => Some(alert),
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Some(Alert::Dropped(lost)),
            Err(_) => None,
        }
    }
}
