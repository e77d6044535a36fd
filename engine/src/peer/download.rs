//! Getting pieces: interest, the request pipeline, blocks that come, pieces that pass or fail their hash.

use std::net::IpAddr;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::ids::ConnId;
use crate::layout::{BlockRef, PieceIndex};
use crate::rate::Rate;
use crate::time::Instant;
use crate::wire::{Message, RawBlock};

use super::connection::{Pending, Ramp};
use super::connections::Busy;
use super::membership::MAX_BANNED;
use super::pieces::{Asker, Received};
use super::seam::{DisconnectReason, Event, Output, Violation};
use super::{Peer, push_with};

/// Faults, or refusals, that are put down to bad luck before a remote is dropped for them.
pub(crate) const PATIENCE: u8 = 16;

impl Peer {
    /// BEP 3: `interested` says that the remote has a piece we lack; sent whenever that changes.
    pub(crate) fn update_interest(&mut self, id: ConnId) {
        if planted!(InterestKept) && self.conns.get(id).is_some_and(|conn| conn.am_interested) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        let interested = conn.wanted > 0 && !self.upload_mode;
        if conn.is_ready() && interested != conn.am_interested {
            conn.am_interested = interested;
            self.send(id, if interested { Message::Interested } else { Message::NotInterested });
        }
    }

    /// Asks for as many blocks as the connection's depth allows.
    pub(crate) fn fill(&mut self, id: ConnId, now: Instant) {
        if self.upload_mode || self.is_complete() {
            return;
        }
        let Some(conn) = self.conns.get(id) else { return };
        let fast_only = conn.peer_choking;
        if !conn.is_ready() || conn.dry || conn.wanted == 0 {
            return;
        }
        let mut allowed = SmallVec::<[PieceIndex; 2]>::new();
        if fast_only {
            match self.conns.allowed(id).filter(|allowed| !allowed.to_us.is_empty()) {
                Some(some) => allowed.extend_from_slice(&some.to_us),
                None => return,
            }
        }
        let Some(Busy { conn, traffic, pools }) = self.conns.active(id, &self.config, now) else { return };
        let requests = &mut pools.requests;
        let depth = conn.depth(traffic, &self.config, now);
        while traffic.outstanding < depth {
            let asker = Asker {
                conn: id,
                remote: (!conn.have.is_full()).then_some(&conn.have),
                suspect: conn.suspect,
                only: fast_only.then_some(allowed.as_slice()),
            };
            let block = match self.pieces.next_block(&asker, self.picker.as_mut(), &mut self.rng) {
                Some(block) => Some(block),
                None if self.config.endgame && self.pieces.all_requested() => {
                    // One copy at a time, and of a connection that owes us nothing else (as libtorrent): a
                    // pipeline of copies would all be under way when the last block comes.
                    if traffic.outstanding > 0 {
                        break;
                    }
                    let asked = |block| requests.iter(traffic.requests).any(|pending| pending.block == block);
                    self.pieces.busy_block(&asker, self.config.endgame_copies, &mut self.rng, asked)
                }
                None => None,
            };
            let Some(block) = block else {
                conn.dry = true;
                break;
            };
            if traffic.outstanding == 0 && !conn.snubbed {
                traffic.last_block = now;
            }
            if traffic.counts_on_again(requests, block) {
                continue;
            }
            traffic.limit_dropped(requests);
            let pending = Pending { block, sent_at: now, dropped: false, cancelled: false };
            requests.push_back(&mut traffic.requests, pending);
            traffic.outstanding += 1;
            conn.spoke = true;
            let mut raw = RawBlock::from(block);
            if planted!(LastBlockShort)
                && self.torrent.layout.offset_of(block) + u64::from(block.length())
                    == self.torrent.layout.total()
            {
                raw.length -= 1;
            }
            push_with(&mut self.outputs, || Output::Send { conn: id, message: Message::Request(raw) });
        }
        self.notice_endgame(now);
    }

    /// When the last free block is taken, those that found nothing free have something to ask for after all.
    fn notice_endgame(&mut self, now: Instant) {
        let endgame = self.config.endgame && self.pieces.all_requested();
        let begins = endgame && !self.endgame;
        self.endgame = endgame;
        if begins {
            // It may end and begin again; who looks on is told once.
            if !std::mem::replace(&mut self.endgame_told, true) {
                self.emit(Output::Event(Event::EndgameStarted));
            }
            self.refill_all(now);
        }
    }

    /// Something became free to ask for: every connection that found nothing may look again.
    pub(crate) fn refill_all(&mut self, now: Instant) {
        self.refill(now, |_, _| true);
    }

    /// The same where a block or a few became free, and nothing else of any connection is another but that `own` owes us
    /// less. Who owes us as much as it may has nothing to look for: that is no more than at its last block, but where the
    /// remote has just said that it takes more at once (BEP 10), and then its next block makes use of it. In endgame some owe
    /// less.
    pub(crate) fn refill_starved(&mut self, own: Option<ConnId>, now: Instant) {
        let endgame = self.endgame;
        self.refill(now, |id, dry| dry || endgame || own == Some(id));
    }

    /// Connections that take requests look again, of those that `looks` says of, by whether they had found nothing.
    fn refill(&mut self, now: Instant, looks: impl Fn(ConnId, bool) -> bool) {
        if !self.running {
            return;
        }
        for i in 0..self.sources.len() {
            let Some(&id) = self.sources.get(i) else { break };
            let Some(conn) = self.conns.get_mut(id) else { continue };
            if looks(id, conn.dry) {
                conn.dry &= planted!(DryForEver);
                self.fill(id, now);
            }
        }
    }

    pub(crate) fn on_have(&mut self, id: ConnId, piece: u32, now: Instant) {
        let Some(piece) = self.pieces.layout.piece(piece) else {
            return self.violation(id, Violation::PieceOutOfRange, now);
        };
        let complete = self.is_complete();
        let Some(conn) = self.conns.get_mut(id) else { return };
        if !conn.have.insert(piece) {
            return;
        }
        conn.counted = true;
        if complete {
            if conn.have.is_full() {
                self.disconnect(id, DisconnectReason::BothComplete, now);
            }
            return;
        }
        self.pieces.availability.increment(piece, &mut self.rng);
        if self.pieces.have().contains(piece) {
            return;
        }
        conn.wanted += 1;
        let looks = conn.dry || conn.wanted == 1 || !conn.has_traffic();
        conn.dry &= planted!(DryForEver);
        if !conn.am_interested {
            self.update_interest(id);
        }
        if looks {
            self.fill(id, now);
        }
    }

    /// The pieces that the remote's first message says it has.
    pub(crate) fn set_remote_pieces(&mut self, id: ConnId, have: crate::Bitfield, now: Instant) {
        let complete = self.is_complete();
        let Some(conn) = self.conns.get_mut(id) else { return };
        if complete && have.is_full() {
            return self.disconnect(id, DisconnectReason::BothComplete, now);
        }
        conn.wanted = have.count_missing_from(self.pieces.have());
        conn.counted = !have.is_full();
        if conn.counted && !complete {
            for piece in have.iter(&self.torrent.layout) {
                self.pieces.availability.increment(piece, &mut self.rng);
            }
        }
        conn.have = have;
        self.update_interest(id);
    }

    /// A bitfield that is not the first message. BEP 3 does not allow it, but aria2 sends one in place of twenty
    /// HAVEs or more, and all clients take it for those. What it leaves out is not taken back.
    pub(crate) fn add_remote_pieces(&mut self, id: ConnId, have: &crate::Bitfield, now: Instant) {
        let layout = self.torrent.layout;
        for piece in have.iter(&layout) {
            self.on_have(id, piece.get(), now);
        }
    }

    pub(crate) fn on_choke(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.peer_choking = true;
        let (fast, suspect) = (conn.fast, conn.suspect);
        if self.conns.allowed(id).is_none_or(|allowed| allowed.to_us.is_empty()) {
            self.sources.retain(|&source| source != id);
        }
        // BEP 6: with the fast extension every request is answered, by its block or a reject. Without it
        // a choke drops them all.
        if !fast {
            self.drop_requests(id, true);
        }
        if suspect {
            self.abandon(id);
        }
        if !fast || suspect {
            self.refill_all(now);
        }
    }

    pub(crate) fn on_unchoke(&mut self, id: ConnId, now: Instant) {
        if planted!(UnchokeIgnored) {
            return;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if !std::mem::replace(&mut conn.peer_choking, false) {
            return;
        }
        conn.dry &= planted!(DryForEver);
        self.may_ask(id);
        if let Some(Busy { conn, traffic, .. }) = self.conns.busy(id) {
            // How fast it is will be seen.
            traffic.pace = Rate::new(now);
            conn.ramp = Ramp::begin(&self.config, now);
            // What it owes since before its choke (BEP 6) it does not owe from now.
            if traffic.outstanding == 0 {
                traffic.last_block = now;
            }
        }
        self.fill(id, now);
    }

    /// The connection takes requests, some at least.
    pub(crate) fn may_ask(&mut self, id: ConnId) {
        if !self.sources.contains(&id) {
            self.sources.push(id);
        }
    }

    /// A suspect stops: what it alone was to fill is anyone's, and begun anew, or it would never be known
    /// who sent what.
    pub(crate) fn abandon(&mut self, id: ConnId) {
        self.stats.wasted += self.pieces.abandon(id);
    }

    /// Counts on none of the connection's requests any more; `forget` when no block can come for them.
    pub(crate) fn drop_requests(&mut self, id: ConnId, forget: bool) {
        let Some(Busy { traffic, pools, .. }) = self.conns.busy(id) else { return };
        pools.requests.visit(traffic.requests, |pending| {
            if !std::mem::replace(&mut pending.dropped, true) {
                self.pieces.release(pending.block);
            }
            false
        });
        traffic.outstanding = 0;
        if forget {
            pools.requests.clear(&mut traffic.requests);
        }
    }

    pub(crate) fn on_reject(&mut self, id: ConnId, raw: RawBlock, now: Instant) {
        let busy = self.conns.busy(id);
        let found = busy.and_then(|Busy { traffic, pools, .. }| traffic.answered(&mut pools.requests, raw));
        let Some(pending) = found else {
            // BEP 6 asks to close on a reject of what was never requested.
            return self.violation(id, Violation::UnrequestedBlock, now);
        };
        if pending.dropped {
            return;
        }
        let piece = pending.block.piece();
        if self.conns.allowed(id).is_some()
            && let Some(allowed) = self.conns.allowed_mut(id)
        {
            allowed.to_us.retain(|allowed| *allowed != piece);
        }
        self.pieces.release(pending.block);
        // Each block that it sends makes up for a refusal.
        let unwilling = self.conns.get_mut(id).is_some_and(|conn| {
            conn.refusals = conn.refusals.saturating_add(u8::from(!conn.peer_choking));
            conn.refusals > PATIENCE
        });
        if unwilling {
            return self.violation(id, Violation::FalseClaims, now);
        }
        self.refill_starved(Some(id), now);
    }

    /// One more fault; true if patience is at its end.
    pub(crate) fn fault(&mut self, id: ConnId) -> bool {
        self.conns.get_mut(id).is_some_and(|conn| {
            conn.faults = conn.faults.saturating_add(1);
            conn.faults > PATIENCE
        })
    }

    pub(crate) fn on_block(&mut self, id: ConnId, raw: RawBlock, data: Bytes, now: Instant) {
        self.stats.downloaded += u64::from(raw.length);
        let Some(conn) = self.conns.get(id) else { return };
        let (fast, source) = (conn.fast, conn.addr.ip());
        let found = self.conns.busy(id).and_then(|Busy { conn, traffic, pools }| {
            let pending = traffic.answered(&mut pools.requests, raw)?;
            traffic.account_download(conn.ramp.as_deref_mut(), &self.config, now, raw.length, &pending);
            conn.snubbed = false;
            conn.refusals = conn.refusals.saturating_sub(1);
            Some(pending)
        });
        let Some(pending) = found else {
            self.waste(id, raw.length);
            // BEP 6: close. Without it a block may cross our cancel: bear with a few.
            if fast || self.fault(id) {
                self.violation(id, Violation::UnrequestedBlock, now);
            }
            return;
        };
        let block = pending.block;
        match self.pieces.receive(block, source, !pending.dropped) {
            Received::Duplicate => self.waste(id, raw.length),
            Received::New { copies, done } => {
                self.emit_with(|| Output::WriteBlock { block, data });
                if copies > 0 {
                    self.cancel_elsewhere(block, now);
                }
                if done && planted!(HaveTooEarly) {
                    self.send(id, Message::Have(block.piece().get()));
                }
                if done {
                    self.emit(Output::VerifyPiece { piece: block.piece() });
                }
            }
        }
        self.fill(id, now);
    }

    fn waste(&mut self, conn: ConnId, bytes: u32) {
        self.stats.wasted += u64::from(bytes);
        self.emit(Output::Event(Event::Wasted { conn, bytes }));
    }

    /// The block is here: whoever else was asked need not send it (BEP 3, endgame).
    fn cancel_elsewhere(&mut self, block: BlockRef, now: Instant) {
        if planted!(CancelNotSent) {
            return;
        }
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            let Some(Busy { conn, traffic, pools }) = self.conns.busy(id) else { continue };
            let asked = pools.requests.visit(traffic.requests, |pending| {
                let live = pending.block == block && !pending.dropped;
                pending.dropped |= live;
                pending.cancelled |= live;
                live
            });
            if !asked {
                continue;
            }
            traffic.outstanding -= 1;
            conn.dry = false;
            self.send(id, Message::Cancel(block.into()));
            self.fill(id, now);
        }
    }

    pub(crate) fn on_verified(&mut self, piece: PieceIndex, ok: bool, now: Instant) {
        let ok = ok || planted!(HashCheckSkipped);
        let Some(sources) = self.pieces.verified(piece, ok, &mut self.rng) else { return };
        if ok {
            let cleared = self.cleared(&sources);
            self.emit(Output::Event(Event::PieceCompleted(piece)));
            self.announce_piece(piece);
            if self.is_complete() {
                self.on_complete(now);
            } else if cleared {
                self.refill_all(now);
            }
        } else {
            self.stats.wasted += u64::from(self.torrent.layout.length_of(piece));
            self.emit(Output::Event(Event::HashFailed(piece)));
            match sources.as_slice() {
                &[culprit] => self.ban(culprit, now),
                &[first, ..] if planted!(InnocentBanned) => self.ban(first, now),
                // One of them is known for it.
                several if several.iter().any(|ip| self.banned.contains(ip)) => {}
                several => self.suspect(several),
            }
            self.refill_all(now);
        }
    }

    /// BEP 3: `have` goes to everyone, also to those who have the piece.
    fn announce_piece(&mut self, piece: PieceIndex) {
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.is_ready()) else { continue };
            conn.spoke = true;
            let wanted_before = conn.wanted;
            conn.wanted -= u32::from(conn.have.contains(piece));
            let lost = conn.wanted == 0 && wanted_before > 0;
            if planted!(HaveNotTold) && i == 0 {
                continue;
            }
            self.emit_with(|| Output::Send { conn: id, message: Message::Have(piece.get()) });
            if lost {
                self.update_interest(id);
            }
        }
    }

    fn on_complete(&mut self, now: Instant) {
        self.emit(Output::Event(Event::Completed));
        self.pieces.trim();
        self.announcer.completed(now);
        self.announcer_changed = true;
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if self.conns.get_mut(id).is_some_and(|conn| conn.is_ready() && conn.have.is_full()) {
                self.disconnect(id, DisconnectReason::BothComplete, now);
            }
        }
        self.rechoke = true;
    }

    /// A piece failed that several sent: each must show, with pieces of its own, that it is not to blame.
    fn suspect(&mut self, sources: &[IpAddr]) {
        self.suspects.extend(sources);
        while self.suspects.len() > MAX_BANNED {
            self.suspects.pop_first();
        }
        for i in 0..self.conns.len() {
            let Some(conn) = self.conns.get_mut(ConnId(i as u32)) else { continue };
            if sources.contains(&conn.addr.ip()) {
                conn.suspect = true;
            }
        }
    }

    /// A piece passed: if one alone sent it, that one is above suspicion. True if it was not until now.
    fn cleared(&mut self, sources: &[IpAddr]) -> bool {
        let &[source] = sources else { return false };
        if !self.suspects.remove(&source) {
            return false;
        }
        let mut cleared = false;
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            let Some(conn) = self.conns.get_mut(id) else { continue };
            if conn.suspect && conn.addr.ip() == source {
                conn.suspect = false;
                self.pieces.unlock(id);
                cleared = true;
            }
        }
        cleared
    }
}
