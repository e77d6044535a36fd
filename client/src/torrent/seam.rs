//! The seam from the driver's side: inputs told, outputs done.

use std::sync::Arc;

use engine::peer::{self, Identity, Input, Output, Policy};
use engine::{ConnId, Peer, choker, picker};

use super::held::HeldFactory;
use super::{Moved, Torrent};
use crate::connection::Outgoing;
use crate::session::{Alert, Closed, TorrentFlags, TorrentState};

impl Torrent {
    /// A peer that has what we have.
    pub(super) fn make_peer(&mut self) {
        let settings = &self.context.settings;
        // The session has checked the names.
        let (Some(leech), Some(seed)) =
            (choker::by_name(&settings.leech_choker), choker::by_name(&settings.seed_choker))
        else {
            return;
        };
        let sequential = self.flags.contains(TorrentFlags::SEQUENTIAL_DOWNLOAD);
        let name = if sequential { "sequential" } else { &settings.picker };
        let Some(inner) = picker::by_name(name) else { return };
        let picker = Arc::new(HeldFactory { inner, held: self.held.clone() });
        let identity = Identity { peer_id: self.context.peer_id, addr: self.context.addr };
        let seed_of_peer = self.context.seed_of(self.info_hash).derive("peer", self.epoch);
        self.peer = Some(Peer::new(
            self.metainfo.torrent(),
            Arc::new(settings.peer.clone()),
            &Policy { leech, seed, picker },
            identity,
            self.have.clone(),
            seed_of_peer,
        ));
    }

    /// Takes the peer out of service; its connections go with it.
    pub(super) fn drop_peer(&mut self) {
        self.feed(Input::Stop);
        if let Some(peer) = self.peer.take() {
            let stats = peer.stats();
            self.before =
                Moved { up: self.before.up + stats.uploaded, down: self.before.down + stats.downloaded };
            self.wasted_before += stats.wasted;
        }
        self.epoch += 1;
        self.unverified.clear();
        self.inputs.clear();
        self.reads.clear();
    }

    /// Tells the peer, and does what it says to that; and what comes of that in turn.
    pub(super) fn feed(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            let now = self.context.clock.now();
            let Some(peer) = &mut self.peer else { return };
            peer.handle_input(now, input);
            while let Some(output) = self.peer.as_mut().and_then(Peer::poll_output) {
                self.act(output);
            }
            next = self.inputs.pop_front();
        }
        self.flush_reads();
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Connect { addr } => self.dial(addr),
            Output::Disconnect { conn, reason } => self.close(conn, Closed::Ours(reason)),
            Output::SendHandshake { conn, handshake } => self.send(conn, Outgoing::Handshake(handshake)),
            Output::Send { conn, message } => self.send(conn, Outgoing::Message(message)),
            Output::ReadBlock { conn, block } => self.reads.push((conn, block)),
            Output::WriteBlock { block, data } => self.keep(block, data),
            Output::VerifyPiece { piece } => self.verify(piece),
            Output::Announce(request) => self.announce(*request),
            Output::Event(event) => self.observe(event),
        }
    }

    fn send(&mut self, conn: ConnId, outgoing: Outgoing) {
        let Some(peer) = self.peers.get(conn) else { return };
        peer.link.send(outgoing);
        if peer.link.queued() > self.context.settings.slow_reader {
            self.close(conn, Closed::TooSlow);
            self.inputs.push_back(Input::Closed { conn });
        }
    }

    fn observe(&mut self, event: peer::Event) {
        let torrent = self.info_hash;
        match event {
            peer::Event::PieceCompleted(piece) => {
                self.dirty = true;
                self.alert(Alert::PieceFinished { torrent, piece: piece.get() });
            }
            peer::Event::Completed => {
                self.set_state(TorrentState::Seeding);
                self.alert(Alert::TorrentFinished(torrent));
                self.save();
            }
            peer::Event::HashFailed(piece) => self.alert(Alert::HashFailed { torrent, piece: piece.get() }),
            peer::Event::Banned(ip) => self.alert(Alert::PeerBanned { torrent, ip }),
            peer::Event::Wasted { .. } | peer::Event::Snubbed(_) | peer::Event::EndgameStarted => {}
        }
    }
}
