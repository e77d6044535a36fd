//! The allowed-fast set of BEP 6: the pieces a peer may request while it is choked. The same for whoever
//! computes it, so that a peer gains nothing by asking many.

use std::net::Ipv4Addr;

use sha1::{Digest, Sha1};

use super::handshake::InfoHash;
use crate::layout::{Layout, PieceIndex};

/// The largest set that is computed. BEP 6 suggests 10.
pub const MOST: usize = 64;

/// The allowed-fast set of the peer at `ip`: `k` different pieces in BEP 6's order, or fewer if the torrent
/// has fewer or `k` is over [`MOST`]. Only the address's first three bytes count, so that one network has
/// one set. BEP 6 has none for IPv6.
pub fn allowed_fast(ip: Ipv4Addr, info_hash: InfoHash, layout: &Layout, k: usize) -> Vec<PieceIndex> {
    let k = k.min(MOST).min(layout.pieces() as usize);
    let mut set = Vec::with_capacity(k);
    let [a, b, c, _] = ip.octets();
    let mut hash = Sha1::new();
    hash.update([a, b, c, 0]);
    hash.update(info_hash.0);
    while set.len() < k {
        let digest: [u8; 20] = hash.finalize().into();
        for word in digest.chunks_exact(4).filter_map(<[u8]>::first_chunk) {
            let index = u32::from_be_bytes(*word) % layout.pieces();
            if let Some(piece) = layout.piece(index)
                && set.len() < k
                && !set.contains(&piece)
            {
                set.push(piece);
            }
        }
        hash = Sha1::new_with_prefix(digest);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pieces: u64, k: usize) -> Vec<u32> {
        let layout = Layout::new(pieces, 1).unwrap();
        let ip = Ipv4Addr::new(80, 4, 4, 200);
        allowed_fast(ip, InfoHash([0xaa; 20]), &layout, k).into_iter().map(PieceIndex::get).collect()
    }

    #[test]
    fn the_two_examples_of_bep_6() {
        assert_eq!(set(1313, 7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(set(1313, 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn never_more_than_there_are_pieces() {
        assert_eq!(set(1, 10), [0]);
        let mut all = set(12, 1000);
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>());
        assert_eq!(set(2_000_000, usize::MAX).len(), MOST);
    }
}
