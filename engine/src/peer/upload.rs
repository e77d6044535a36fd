//! Giving pieces: requests that come, the queue of each connection, choke and unchoke.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::choker::{Facts, Round};
use crate::ids::ConnId;
use crate::layout::{BlockRef, PieceIndex};
use crate::rate::Window;
use crate::time::Instant;
use crate::wire::{Message, RawBlock};

use super::connection::Connection;
use super::connections::Busy;
use super::seam::{Output, Violation};
use super::slots::SlotUse;
use super::{Peer, push_with};

impl Peer {
    pub(crate) fn on_interest(&mut self, id: ConnId, interested: bool) {
        let slots = self.slots();
        // BEP 21: it wants nothing.
        let mut interested = interested;
        if let Some(remote) = self.remotes.get_mut(id) {
            remote.held_back = interested && remote.upload_only;
            interested &= !remote.upload_only;
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.peer_interested == interested {
            return;
        }
        conn.peer_interested = interested;
        // Mainline decides again when the interest of an unchoked peer changes; a peer that becomes
        // interested while a slot is idle must not wait for the round either.
        if !conn.am_choking {
            self.rechoke = true;
        } else if interested {
            let busy =
                |conn: &Connection| !conn.am_choking && conn.peer_interested && !conn.slot_use.is_idle();
            // Who is unchoked and not among those chosen last has lent its slot.
            let chosen = self.unchoke.iter().filter_map(|&id| self.conns.get(id));
            let taken = chosen.filter(|conn| busy(conn)).count();
            debug_assert_eq!(taken, self.conns.iter().filter(|(_, conn)| busy(conn)).count());
            self.rechoke |= taken < slots;
        }
    }

    pub(crate) fn on_request(&mut self, id: ConnId, raw: RawBlock, now: Instant) {
        let block = self.pieces.layout.block(raw.piece, raw.begin, raw.length);
        let Some(block) = block.filter(|block| block.length() <= self.config.max_request) else {
            return self.violation(id, Violation::BadRequest, now);
        };
        let have = self.pieces.have().contains(block.piece());
        let Some(conn) = self.conns.get(id) else { return };
        let fast = conn.fast;
        let choked = conn.am_choking && !planted!(ServedWhileChoked);
        let serve = have && (!choked || (fast && self.is_allowed(id, block.piece())));
        if serve {
            let Some(Busy { traffic, pools, .. }) = self.conns.active(id, &self.config, now) else { return };
            // Without BEP 6 a request may pass our choke and unchoke on its way, and its sender, who has given it up,
            // asks again: once is enough. With it each request has an answer of its own.
            let waits = |queue| pools.blocks.iter(queue).any(|waiting| *waiting == block);
            if !fast && (waits(traffic.uploads) || waits(traffic.reading)) {
                return;
            }
            if traffic.uploads.len() + traffic.reading.len() < self.config.max_queued as usize {
                pools.blocks.push_back(&mut traffic.uploads, block);
                self.pump(id, now);
            } else if fast {
                self.send(id, Message::Reject(raw));
            } else {
                self.violation(id, Violation::TooManyRequests, now);
            }
            return;
        }
        if fast {
            self.send(id, Message::Reject(raw));
        }
        // A request that crossed our choke is no fault; one for what we never claimed is.
        if !have && self.fault(id) {
            self.violation(id, Violation::BadRequest, now);
        }
    }

    /// BEP 6: whether a choked newcomer may have this piece.
    fn is_allowed(&mut self, id: ConnId, piece: PieceIndex) -> bool {
        let few = self.conns.get(id).is_some_and(|conn| conn.have.count() < self.config.allowed_fast);
        few && self.conns.allowed(id).is_some_and(|allowed| allowed.to_it.contains(&piece))
    }

    pub(crate) fn on_cancel(&mut self, id: ConnId, raw: RawBlock, now: Instant) {
        if planted!(CancelIgnored) {
            return;
        }
        let Some(Busy { conn, traffic, pools }) = self.conns.busy(id) else { return };
        let is = |block: &BlockRef| RawBlock::from(*block) == raw;
        let waiting = pools.blocks.take(&mut traffic.uploads, is);
        let found = waiting.or_else(|| pools.blocks.take(&mut traffic.reading, is));
        // BEP 6: a cancelled request is answered too, unless its block is on its way.
        if found.is_some() && conn.fast {
            self.send(id, Message::Reject(raw));
        }
        self.pump(id, now);
    }

    /// Hands the network as much as the watermark allows.
    pub(crate) fn pump(&mut self, id: ConnId, now: Instant) {
        let Some(Busy { traffic, pools, .. }) = self.conns.busy(id) else { return };
        if traffic.uploads.is_empty() {
            return;
        }
        let blocks = &mut pools.blocks;
        let reading = blocks.iter(traffic.reading).map(|block| block.length()).sum::<u32>();
        let mut ahead = traffic.unsent + reading;
        // The watermark is never lower, and often no more than that is asked for.
        let mut watermark = self.config.send_buffer;
        let mut reckoned = false;
        while !traffic.uploads.is_empty() {
            if ahead >= watermark && !std::mem::replace(&mut reckoned, true) {
                watermark = if planted!(WatermarkIgnored) {
                    u32::MAX
                } else {
                    traffic.send_watermark(&self.config, now)
                };
            }
            if ahead >= watermark {
                break;
            }
            let Some(block) = blocks.pop_front(&mut traffic.uploads) else { break };
            ahead += block.length();
            blocks.push_back(&mut traffic.reading, block);
            push_with(&mut self.outputs, || Output::ReadBlock { conn: id, block });
        }
    }

    pub(crate) fn on_block_read(&mut self, id: ConnId, block: BlockRef, data: Option<Bytes>, now: Instant) {
        let Some(Busy { conn, traffic, pools }) = self.conns.busy(id) else { return };
        if pools.blocks.take(&mut traffic.reading, |&reading| reading == block).is_none() {
            return;
        }
        match data.filter(|data| data.len() == block.length() as usize) {
            Some(data) => {
                traffic.unsent += block.length();
                conn.spoke = true;
                let (piece, begin) = (block.piece().get(), block.begin());
                self.emit_with(|| Output::Send { conn: id, message: Message::Piece { piece, begin, data } });
            }
            None => {
                if conn.fast {
                    self.send(id, Message::Reject(block.into()));
                }
                self.pump(id, now);
            }
        }
    }

    pub(crate) fn on_sent(&mut self, id: ConnId, bytes: u32, now: Instant) {
        self.stats.uploaded += u64::from(bytes) * if planted!(BytesCountedTwice) { 2 } else { 1 };
        let Some(Busy { traffic, .. }) = self.conns.active(id, &self.config, now) else { return };
        traffic.unsent = traffic.unsent.saturating_sub(bytes);
        traffic.sent_since_unchoke += u64::from(bytes);
        traffic.up.add(now, u64::from(bytes), self.config.rate_window);
        self.pump(id, now);
    }

    /// Asks the policy and carries out what it says.
    pub(crate) fn decide_chokes(&mut self, periodic: bool, now: Instant) {
        self.rechoke = false;
        let (conns, config) = (&self.conns, &self.config);
        conns.prefetch_all_traffic();
        // Room for as many as a peer has by default.
        let mut facts = SmallVec::<[Facts; 80]>::new();
        let window = Window::new(now, config.rate_window);
        for (id, conn) in conns.iter() {
            if conn.is_ready() {
                facts.push(conn.facts(id, conns.traffic_of(conn), &window));
            }
        }
        if self.config.lend_idle_slots {
            if periodic {
                self.look_for_idle(&facts, now);
            }
            facts.retain(|facts| !self.has_lent(facts.conn));
        }
        let round = Round {
            now,
            number: self.rounds,
            periodic,
            slots: (self.slots() + usize::from(planted!(SlotTooMany)))
                - usize::from(planted!(SlotTooFew) && self.slots() > 1),
            pieces: self.pieces.layout.pieces(),
        };
        let choker = if self.is_complete() { &mut self.seed_choker } else { &mut self.leech_choker };
        self.unchoke.clear();
        choker.decide(&round, &facts, &mut self.rng, &mut self.unchoke);
        self.unchoke.sort_unstable();
        // A policy is not trusted to name nobody twice.
        self.unchoke.dedup();
        // Facts and those chosen are in the order of their ids.
        let mut chosen = 0;
        for facts in &facts {
            while self.unchoke.get(chosen).is_some_and(|id| *id < facts.conn) {
                chosen += 1;
            }
            let unchoke = self.unchoke.get(chosen) == Some(&facts.conn);
            if unchoke && !facts.unchoked {
                self.send_unchoke(facts.conn, now);
            } else if !unchoke && facts.unchoked {
                self.send_choke(facts.conn);
            }
        }
    }

    fn send_unchoke(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.am_choking = false;
        conn.unchoked_at = now;
        if let Some(Busy { traffic, .. }) = self.conns.busy(id) {
            traffic.sent_since_unchoke = 0;
        }
        self.send(id, Message::Unchoke);
    }

    /// BEP 3: what is queued and was not handed over is dropped; BEP 6: and refused, request by request.
    fn send_choke(&mut self, id: ConnId) {
        self.send(id, Message::Choke);
        let few = self.conns.get(id).is_some_and(|conn| conn.have.count() < self.config.allowed_fast);
        let allowed = match self.conns.allowed(id) {
            Some(allowed) if few => allowed.to_it.clone(),
            _ => SmallVec::new(),
        };
        if let Some(conn) = self.conns.get_mut(id) {
            conn.am_choking = true;
            conn.slot_use = SlotUse::UNKNOWN;
        }
        let Some(Busy { conn, traffic, pools }) = self.conns.busy(id) else { return };
        let rejects = conn.fast && !planted!(RejectNotSent);
        for queue in [&mut traffic.reading, &mut traffic.uploads] {
            pools.blocks.retain(queue, |block| {
                let keep = allowed.contains(&block.piece());
                if !keep && rejects {
                    let message = Message::Reject((*block).into());
                    push_with(&mut self.outputs, || Output::Send { conn: id, message });
                }
                keep
            });
        }
    }
}
