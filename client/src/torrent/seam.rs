//! The seam from the driver's side: inputs told, outputs done.

use std::sync::Arc;

use engine::peer::{self, Identity, Input, Output, PeerConfig, Policy, Seam};
use engine::{ConnId, Peer, choker, picker};

use super::Torrent;
use super::machine::Machine;
use crate::connection::Outgoing;
use crate::session::{Alert, Closed, Tap, TorrentFlags, TorrentState};

impl Torrent {
    /// A peer that has what we have.
    pub(super) fn make_peer(&mut self) {
        let Some(content) = &self.content else { return };
        let settings = &self.context.settings;
        // The session has checked the names.
        let (Some(leech), Some(seed)) =
            (choker::by_name(&settings.leech_choker), choker::by_name(&settings.seed_choker))
        else {
            return;
        };
        let sequential = self.flags.contains(TorrentFlags::SEQUENTIAL_DOWNLOAD);
        let name = if sequential { "sequential" } else { &settings.picker };
        let Some(picker) = picker::by_name(name) else { return };
        let seed_of_peer = self.context.seed_of(self.info_hash).derive("peer", self.epoch);
        let mut peer = Peer::new(
            content.metainfo.torrent(),
            Arc::new(self.peer_config()),
            &Policy { leech, seed, picker },
            self.identity(),
            content.have.clone(),
            seed_of_peer,
        );
        // It is that of the info-hash; of a private torrent it is not given away, and that is no error.
        let _ = peer.set_metadata(content.metainfo.info.clone());
        self.machine = Machine::Peer(Box::new(peer));
        self.set_upload_mode();
    }

    /// Tells the peer whether anything is to be downloaded.
    pub(super) fn set_upload_mode(&mut self) {
        let on = self.flags.intersects(TorrentFlags::UPLOAD_MODE | TorrentFlags::DEFAULT_DONT_DOWNLOAD);
        let now = self.context.clock.now();
        if let Machine::Peer(peer) = &mut self.machine {
            peer.set_upload_mode(now, on);
        }
        self.drain();
        self.flush_reads();
    }

    /// What this torrent's peer is set to.
    pub(super) fn peer_config(&self) -> PeerConfig {
        let config = self.context.settings.peer.clone();
        PeerConfig { pex: config.pex && !self.is(TorrentFlags::DISABLE_PEX), ..config }
    }

    /// The peer's deadline has come. It decides about slots by whether our uplink is full.
    pub(super) fn on_timeout(&mut self) {
        let full = self.up.is_full() || self.context.is_short();
        if let Machine::Peer(peer) = &mut self.machine {
            peer.set_uplink_full(full);
        }
        self.feed(Input::Timeout);
    }

    /// Who we are.
    pub(super) fn identity(&self) -> Identity {
        Identity { peer_id: self.context.peer_id, addr: self.context.addr }
    }

    /// Takes the peer out of service; its connections go with it.
    pub(super) fn drop_peer(&mut self) {
        self.feed(Input::Stop);
        let stats = std::mem::take(&mut self.machine).stats();
        self.before.up += stats.uploaded;
        self.before.down += stats.downloaded;
        self.wasted_before += stats.wasted;
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
            self.show(Seam::Input(&input));
            if !self.machine.handle_input(now, input) {
                return;
            }
            self.drain();
            next = self.inputs.pop_front();
        }
        self.flush_reads();
    }

    /// Does what the machine says.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.show(Seam::Output(&output));
            self.act(output);
        }
    }

    fn show(&self, seam: Seam<'_>) {
        if let Some(Tap(tap)) = &self.context.settings.tap {
            tap(self.info_hash, seam);
        }
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
