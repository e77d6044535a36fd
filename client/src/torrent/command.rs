//! What a torrent's handle asks for.

use std::net::SocketAddr;
use std::time::Duration;

use engine::peer::Input;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::machine::Machine;
use super::{Content, RATE_WINDOW, Torrent};
use crate::session::{Alert, PeerStatus, RateLimits, TorrentFlags, TorrentStatus};
use crate::storage::ResumeData;

/// How long to wait for trackers to be told that we leave.
const FAREWELL: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Command {
    Pause,
    Resume,
    Recheck,
    SetRates(RateLimits),
    SetDownload(bool),
    AddPeers(Vec<SocketAddr>),
    Save,
    Status(oneshot::Sender<TorrentStatus>),
    Peers(oneshot::Sender<Vec<PeerStatus>>),
    Leave(Leave),
}

/// Peers that are remembered because a user named them.
const MOST_KNOWN: usize = 200;

/// How to go.
#[derive(Debug, Default)]
pub(crate) struct Leave {
    pub remove_files: bool,
    pub remove_resume: bool,
    /// Told when it is done.
    pub done: Option<oneshot::Sender<()>>,
}

impl Torrent {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Pause => self.pause(),
            Command::Resume => self.resume(),
            Command::Recheck => self.recheck(),
            Command::SetRates(rates) => {
                self.up.set(rates.up);
                self.down.set(rates.down);
            }
            Command::SetDownload(download) => self.set_download(download),
            Command::AddPeers(peers) => self.add_peers(peers),
            Command::Save => {
                self.dirty = true;
                if self.check.is_none() {
                    self.save();
                }
            }
            // Who has gone meanwhile needs no answer.
            Command::Status(to) => drop(to.send(self.status())),
            Command::Peers(to) => drop(to.send(self.peer_statuses())),
            Command::Leave(_) => {}
        }
    }

    /// Remembers them too: while files are checked there is nobody to tell, and who comes after is told then.
    fn add_peers(&mut self, peers: Vec<SocketAddr>) {
        for &peer in &peers {
            if self.known.len() < MOST_KNOWN && !self.known.contains(&peer) {
                self.known.push(peer);
            }
        }
        self.feed(Input::Named { peers });
    }

    fn pause(&mut self) {
        if std::mem::replace(&mut self.paused, true) {
            return;
        }
        self.feed(Input::Stop);
        self.alert(Alert::Paused(self.info_hash));
        if self.dirty && self.check.is_none() {
            self.save();
        }
    }

    fn resume(&mut self) {
        if !std::mem::replace(&mut self.paused, false) {
            return;
        }
        self.alert(Alert::Resumed(self.info_hash));
        if self.error.take().is_some() {
            if self.content.is_none() {
                return self.fetch_metadata();
            }
            self.make_peer();
            if let Some(state) = self.content.as_ref().map(Content::state) {
                self.set_state(state);
            }
        }
        if self.check.is_none() {
            self.enter();
        }
    }

    fn set_download(&mut self, download: bool) {
        self.flags.remove(TorrentFlags::DEFAULT_DONT_DOWNLOAD);
        self.flags.set(TorrentFlags::UPLOAD_MODE, !download);
        self.set_upload_mode();
    }

    fn peer_statuses(&self) -> Vec<PeerStatus> {
        let mut all = self.peers.status();
        if let Machine::Peer(peer) = &self.machine {
            for info in peer.connections_info(self.context.clock.now()) {
                let conn = info.conn;
                if let Some((_, status)) = all.iter_mut().find(|(id, _)| *id == conn) {
                    status.info = Some(info);
                }
            }
        }
        all.into_iter().map(|(_, status)| status).collect()
    }

    fn status(&self) -> TorrentStatus {
        let (now, moved, stats) = (self.context.clock.now(), self.moved(), self.machine.stats());
        let content = self.content.as_ref();
        let done = |content: &Content| {
            let layout = &content.metainfo.layout;
            content.have.iter(layout).map(|piece| u64::from(layout.length_of(piece))).sum()
        };
        let name = content.map(|content| &content.metainfo.name).or(self.name.as_ref());
        TorrentStatus {
            info_hash: self.info_hash,
            name: name.cloned().unwrap_or_else(|| self.info_hash.to_string()),
            state: self.state,
            paused: self.paused,
            error: self.error.clone(),
            flags: self.flags,
            save_path: self.save_path.clone(),
            total: content.map_or(0, |content| content.metainfo.layout.total()),
            done: content.map_or(0, done),
            pieces: content.map_or(0, |content| content.metainfo.layout.pieces()),
            pieces_done: content.map_or(0, |content| content.have.count()),
            checked: self.check.as_ref().map_or(1.0, |check| check.progress()),
            uploaded: moved.up,
            downloaded: moved.down,
            wasted: self.wasted_before + stats.wasted,
            upload_rate: self.up_rate.get(now, RATE_WINDOW) as u64,
            download_rate: self.down_rate.get(now, RATE_WINDOW) as u64,
            peers: self.peers.len() as u32,
            swarm: self.swarm,
        }
    }

    /// Leaves the swarm and the session: everything that is under way is finished first.
    pub(super) async fn leave(mut self, leave: Leave) {
        self.feed(Input::Stop);
        self.paused = true;
        let checked = self.check.take().is_none();
        self.events.close();
        // Nobody answers from here on; what the disk has begun comes to its end.
        self.settle().await;
        let storage = self.content.as_ref().map(|content| content.storage.clone());
        if let (true, Some(storage)) = (leave.remove_files, storage.clone()) {
            let (done, removed) = oneshot::channel();
            self.context.disk.run(0, move || drop(done.send(storage.remove())));
            if let Ok(Err(error)) = removed.await {
                self.alert(Alert::FileError {
                    torrent: self.info_hash,
                    path: error.path.clone(),
                    error: error.to_string(),
                    full: false,
                });
            }
        } else if checked {
            self.save();
            self.settle().await;
        }
        if let Some(folder) = self.context.settings.resume_folder.as_ref().filter(|_| leave.remove_resume) {
            let path = ResumeData::path(folder, self.info_hash);
            let (done, removed) = oneshot::channel();
            self.context.disk.run(0, move || drop(done.send(std::fs::remove_file(path))));
            // There may have been none.
            let _ = removed.await;
        }
        storage.iter().for_each(|storage| storage.close());
        let _ = timeout(FAREWELL, async { while self.announces.join_next().await.is_some() {} }).await;
        self.context.forget(self.info_hash);
        self.alert(Alert::TorrentRemoved(self.info_hash));
        if let Some(done) = leave.done {
            let _ = done.send(());
        }
    }

    async fn settle(&mut self) {
        while self.jobs > 0 {
            let Some(done) = self.done.recv().await else { return };
            self.on_done(done);
        }
    }
}
