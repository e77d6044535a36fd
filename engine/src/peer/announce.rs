//! The peer and its tracker.

use crate::rng::Rng;
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::tracker::announcer::{self, Announcer, AnnouncerConfig};
use crate::tracker::{AnnounceReply, Retry};

use rand::Rng as _;

use super::Peer;
use super::config::{Identity, PeerConfig};
use super::seam::Output;

pub(crate) fn announcer(
    torrent: &Torrent,
    config: &PeerConfig,
    identity: &Identity,
    rng: &mut Rng,
) -> Announcer {
    let identity = announcer::Identity {
        info_hash: torrent.info_hash,
        peer_id: identity.peer_id,
        port: identity.addr.port(),
        ip: None,
        key: Some(rng.next_u32()),
    };
    Announcer::new(identity, AnnouncerConfig { numwant: config.numwant, ..AnnouncerConfig::default() })
}

impl Peer {
    fn announce_stats(&self) -> announcer::Stats {
        let missing = self.torrent.layout.all().filter(|&piece| !self.have().contains(piece));
        announcer::Stats {
            // BEP 3: since it said `started`.
            uploaded: self.stats.uploaded - self.stats_at_start.uploaded,
            downloaded: self.stats.downloaded - self.stats_at_start.downloaded,
            left: missing.map(|piece| u64::from(self.torrent.layout.length_of(piece))).sum(),
        }
    }

    /// Announces if it is time, or as soon as the tracker allows if there are too few neighbours.
    pub(crate) fn announce_if_due(&mut self, now: Instant) {
        if self.announcer.deadline().is_some_and(|at| at <= now) {
            let stats = self.announce_stats();
            if let Some(request) = self.announcer.due(now, stats) {
                self.emit(Output::Announce(Box::new(request)));
            }
        }
        self.announce_at = self.announcer.deadline().unwrap_or(Instant::FAR);
        self.announcer_changed = false;
    }

    /// Asks the tracker for more if there are too few neighbours (mainline's rerequester). Addresses still to
    /// be dialled count for nothing: those left after a dial are ones that failed, most of them for good.
    pub(crate) fn want_peers(&mut self) {
        let known = self.conns.live() as usize + self.half_open.len();
        if known < self.config.min_connections.min(self.config.max_connections) as usize {
            self.announcer.want_peers();
            self.announcer_changed = true;
        }
    }

    pub(crate) fn announce_stopped(&mut self, now: Instant) {
        if planted!(StoppedNotTold) {
            return;
        }
        // What is under way will be answered too late, and `stopped` need not be answered at all.
        self.announcer.reply(now, Err(Retry::Unsaid));
        self.announcer.stop(now);
        let stats = self.announce_stats();
        if let Some(request) = self.announcer.due(now, stats) {
            self.emit(Output::Announce(Box::new(request)));
        }
        self.announcer.reply(now, Err(Retry::Unsaid));
    }

    pub(crate) fn on_announced(&mut self, reply: Result<AnnounceReply, String>, now: Instant) {
        self.announcer_changed = true;
        match reply {
            Ok(reply) => {
                self.announcer.reply(now, Ok(&reply));
                if self.running {
                    self.forgive(&reply.peers);
                    self.on_discovered(&reply.peers, now);
                }
            }
            Err(_) if planted!(TrackerGivenUp) => {}
            Err(_) => self.announcer.reply(now, Err(Retry::Unsaid)),
        }
    }
}
