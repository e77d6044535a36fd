//! The BitTorrent protocol as pure state machines: the wire codec, piece bookkeeping, choking, picking,
//! trackers. No socket, no file, no clock, no thread: time and every input are arguments, every effect is
//! an output that the driver carries out.

/// Whether a planted bug is at work: never, but with the feature `planted` (see `planted.rs`).
#[cfg(feature = "planted")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

mod addr;
pub mod bencode;
pub mod bitfield;
pub mod chain;
pub mod choker;
pub mod ids;
pub mod layout;
pub mod magnet;
pub mod metadata;
pub mod metainfo;
pub mod peer;
mod percent;
pub mod picker;
#[cfg(feature = "planted")]
pub mod planted;
pub mod rate;
pub mod rng;
#[cfg(test)]
mod testing;
mod text;
pub mod time;
pub mod torrent;
pub mod tracker;
pub mod wire;

pub use bitfield::Bitfield;
pub use ids::ConnId;
pub use layout::{BLOCK, BlockRef, Layout, PieceIndex};
pub use magnet::Magnet;
pub use metainfo::Metainfo;
pub use peer::Peer;
pub use rng::{Rng, Seed};
pub use time::Instant;
pub use torrent::Torrent;
pub use wire::{Handshake, InfoHash, Message, PeerId, RawBlock};
