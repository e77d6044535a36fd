//! A torrent from outside.

use std::net::SocketAddr;

use engine::InfoHash;
use tokio::sync::{mpsc, oneshot};

use super::settings::RateLimits;
use super::status::{PeerStatus, TorrentStatus};
use crate::torrent::{Command, Leave};

/// The torrent is not in the session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the torrent is not in the session any more")]
pub struct Gone;

/// A torrent of a session; cheap to clone. What is asked for is done in the order it was asked for.
#[derive(Clone, Debug)]
pub struct TorrentHandle {
    info_hash: InfoHash,
    commands: mpsc::Sender<Command>,
}

impl TorrentHandle {
    pub(super) fn new(info_hash: InfoHash, commands: mpsc::Sender<Command>) -> Self {
        Self { info_hash, commands }
    }

    /// Its name in the protocol.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Tells it without waiting for room.
    pub(super) fn tell(&self, command: Command) {
        // If there is no room, the torrent ends with the last of its handles.
        let _ = self.commands.try_send(command);
    }

    async fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).await.map_err(|_| Gone)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (to, answer) = oneshot::channel();
        self.send(command(to)).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Leaves the swarm until it is resumed: connections are closed and trackers told; what has come is kept.
    pub async fn pause(&self) -> Result<(), Gone> {
        self.send(Command::Pause).await
    }

    /// Goes on, also after an error.
    pub async fn resume(&self) -> Result<(), Gone> {
        self.send(Command::Resume).await
    }

    /// Believes nothing and hashes all its files.
    pub async fn force_recheck(&self) -> Result<(), Gone> {
        self.send(Command::Recheck).await
    }

    /// Changes its own rate limits, which are under those of the session.
    pub async fn set_rates(&self, rates: RateLimits) -> Result<(), Gone> {
        self.send(Command::SetRates(rates)).await
    }

    /// Whether pieces are downloaded: `false` is
    /// [`TorrentFlags::UPLOAD_MODE`](super::TorrentFlags::UPLOAD_MODE). What is asked for already still comes.
    pub async fn set_download(&self, download: bool) -> Result<(), Gone> {
        self.send(Command::SetDownload(download)).await
    }

    /// Names peers to ask: at once, however lately they could not be reached. Of a private torrent too, whose
    /// peers else come from its trackers alone (BEP 27).
    pub async fn add_peers(&self, peers: Vec<SocketAddr>) -> Result<(), Gone> {
        self.send(Command::AddPeers(peers)).await
    }

    /// Has resume data saved now; an alert tells when it is.
    pub async fn save_resume_data(&self) -> Result<(), Gone> {
        self.send(Command::Save).await
    }

    /// How it is.
    pub async fn status(&self) -> Result<TorrentStatus, Gone> {
        self.ask(Command::Status).await
    }

    /// Its connections.
    pub async fn peers(&self) -> Result<Vec<PeerStatus>, Gone> {
        self.ask(Command::Peers).await
    }

    pub(super) async fn leave(self, remove_files: bool, remove_resume: bool) -> Result<(), Gone> {
        self.ask(|done| Command::Leave(Leave { remove_files, remove_resume, done: Some(done) })).await
    }
}
