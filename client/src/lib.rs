//! The engine as a real BitTorrent client: sockets, files and trackers, driven by tokio. No line here knows
//! the protocol: what a peer does is `engine`'s, and this crate tells it what happened and does what it says.

pub mod storage;
