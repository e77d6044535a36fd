//! The engine as a real BitTorrent client: sockets, files and trackers, driven by tokio. No line here knows
//! the protocol: what a peer does is `engine`'s, and this crate tells it what happened and does what it says.

mod clock;
mod connection;
mod gate;
mod limit;
mod net;
pub mod session;
pub mod storage;
mod torrent;
pub mod tracker;
mod uplink;

pub use gate::GateLimits;
pub use session::{
    AddError, AddTorrentParams, Alert, Alerts, Session, SessionError, Settings, TorrentFlags, TorrentHandle,
};
