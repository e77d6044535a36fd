//! The books of a peer, counted again the plain way. The one place in these tests that looks inside.

use crate::peer::Peer;
use crate::peer::connection::{Connection, MAX_DROPPED, Pending};

/// No pipeline in these tests is deeper.
const MAX_DEPTH: usize = 250;

impl Peer {
    /// Panics if what is kept for speed differs from what it is kept of.
    pub(super) fn check(&self) {
        self.pieces.check();
        let have = self.pieces.have();
        let mut unchoking = 0;
        for (id, conn) in self.conns.iter() {
            assert_eq!(conn.wanted, conn.have.count_missing_from(have), "{id:?}: pieces to want");
            assert_eq!(
                conn.am_interested,
                conn.is_ready() && conn.wanted > 0 && !self.upload_mode,
                "{id:?}: interest"
            );
            unchoking += u32::from(!conn.peer_choking);
            if !conn.peer_choking {
                assert!(self.sources.contains(&id), "{id:?} is no source");
            }
            let Some(traffic) = self.conns.traffic_of(conn) else { continue };
            let live = || self.conns.requests(traffic).filter(|pending| !pending.dropped);
            assert_eq!(live().count(), traffic.outstanding as usize, "{id:?}: outstanding");
            for Pending { block, .. } in live() {
                assert!(!have.contains(block.piece()), "{id:?} is asked for {block:?}, which is had");
                assert!(conn.have.contains(block.piece()), "{id:?} is asked for {block:?}, which it lacks");
            }
            let unanswered = traffic.requests.len() - traffic.outstanding as usize;
            assert!(unanswered <= MAX_DROPPED + MAX_DEPTH, "{id:?}: {unanswered} are not answered");
            let queued = traffic.uploads.len() + traffic.reading.len();
            assert!(queued <= self.config.max_queued as usize, "{id:?}: {queued} requests are queued");
        }
        let known = |id| self.conns.get(id).is_some();
        assert!(self.sources.iter().all(|&id| known(id)), "a source that is gone");
        assert!(self.sources.len() >= unchoking as usize);
        self.check_counts();
    }

    fn check_counts(&self) {
        if self.is_complete() {
            return;
        }
        for piece in self.torrent.layout.all() {
            let has = |(_, conn): &(_, &Connection)| conn.counted && conn.have.contains(piece);
            let count = self.conns.iter().filter(has).count();
            assert_eq!(usize::from(self.pieces.availability.count(piece)), count, "who has {piece:?}");
            for n in 0..self.torrent.layout.blocks_in(piece) {
                let Some(block) = self.torrent.layout.nth_block(piece, n) else { continue };
                let asked = self.conns.iter().filter_map(|(_, conn)| self.conns.traffic_of(conn));
                let pending = asked.flat_map(|traffic| self.conns.requests(traffic));
                let copies = pending.filter(|pending| !pending.dropped && pending.block == block).count();
                let kept = self.pieces.copies_of(block).unwrap_or(0);
                assert_eq!(usize::from(kept), copies, "requests of {block:?}");
            }
        }
    }
}
