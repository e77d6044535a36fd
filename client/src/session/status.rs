//! What can be read of a torrent, its peers and the session.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::peer::ConnectionInfo;
use engine::{InfoHash, PeerId};

use super::flags::TorrentFlags;

/// What a torrent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TorrentState {
    /// Its resume data is held against its files.
    CheckingResumeData,
    /// Its files are hashed.
    CheckingFiles,
    /// Its info dictionary is asked for.
    DownloadingMetadata,
    /// Pieces are missing.
    Downloading,
    /// Every piece is there.
    Seeding,
}

impl std::fmt::Display for TorrentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CheckingResumeData => "checking resume data",
            Self::CheckingFiles => "checking files",
            Self::DownloadingMetadata => "downloading metadata",
            Self::Downloading => "downloading",
            Self::Seeding => "seeding",
        })
    }
}

/// A torrent at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct TorrentStatus {
    /// Which.
    pub info_hash: InfoHash,
    /// Its name; that of the magnet link, or the info-hash, while the metadata is missing.
    pub name: String,
    /// What it does, also while paused.
    pub state: TorrentState,
    /// It takes no part.
    pub paused: bool,
    /// Why it was paused, if not by command.
    pub error: Option<String>,
    /// Its flags as they are now.
    pub flags: TorrentFlags,
    /// Where its files are.
    pub save_path: PathBuf,
    /// All bytes; 0 while the metadata is missing.
    pub total: u64,
    /// Bytes in verified pieces.
    pub done: u64,
    /// All pieces.
    pub pieces: u32,
    /// Verified pieces.
    pub pieces_done: u32,
    /// How far a check of the files is, 0 to 1; 1 if there is none.
    pub checked: f64,
    /// Payload bytes sent, over all runs that the resume data knows.
    pub uploaded: u64,
    /// Payload bytes received, likewise.
    pub downloaded: u64,
    /// Of those received in this run, what was of no use.
    pub wasted: u64,
    /// Payload bytes a second now.
    pub upload_rate: u64,
    /// Payload bytes a second now.
    pub download_rate: u64,
    /// Connections.
    pub peers: u32,
    /// Of the last tracker that said: seeds and others.
    pub swarm: Option<(u32, u32)>,
}

impl TorrentStatus {
    /// Payload sent over payload received; over the content's size for who has received nothing.
    pub fn ratio(&self) -> f64 {
        let base = if self.downloaded > 0 { self.downloaded } else { self.done };
        if base == 0 { 0.0 } else { self.uploaded as f64 / base as f64 }
    }
}

/// A connection at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStatus {
    /// The other end.
    pub addr: SocketAddr,
    /// We have dialled.
    pub outgoing: bool,
    /// Who it says it is; `None` before its handshake.
    pub peer_id: Option<PeerId>,
    /// Bytes received, the protocol's own included.
    pub received: u64,
    /// Bytes sent, the protocol's own included.
    pub sent: u64,
    /// What the engine knows of it; `None` while the metadata is missing.
    pub info: Option<ConnectionInfo>,
}

/// A session at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Torrents.
    pub torrents: usize,
    /// Connections of all torrents.
    pub peers: u32,
    /// Payload bytes sent in this run.
    pub uploaded: u64,
    /// Payload bytes received in this run.
    pub downloaded: u64,
    /// Files open.
    pub open_files: usize,
}
