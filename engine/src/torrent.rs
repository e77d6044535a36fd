//! What a peer needs to know of the torrent it takes part in, and no more: neither names nor hashes, which
//! are the driver's.

use crate::layout::Layout;
use crate::wire::InfoHash;

/// One torrent, as a peer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// Its name in the protocol.
    pub info_hash: InfoHash,
    /// How its bytes are cut.
    pub layout: Layout,
    /// BEP 27: peers come from the tracker alone; no peer exchange, no DHT.
    pub private: bool,
}
