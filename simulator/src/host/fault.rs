//! What faults do to a host: lost connections, slow and failing disks, restarts. The plan says whom and when
//! ([`crate::faults`]); here it is carried out, on this host alone.

use engine::peer::{Input, Stats};
use engine::{Bitfield, BlockRef, ConnId, PieceIndex};

use crate::context::{Context, nanos};
use crate::event::{Class, Event};
use crate::faults::{Read, What};
use crate::load::Size;
use crate::parcel::Content;

use super::Host;
use super::link::State;
use super::storage::Storage;

/// How long a peer waits for a tracker that does not answer.
const TRACKER_TIMEOUT: u64 = 15_000_000_000;
/// The argument of a fault event that says that the host is back.
const BACK: u32 = u32::MAX;

impl Host {
    /// Plans the faults that come of themselves.
    pub fn plan_faults(&self, shared: &crate::context::Shared, mut push: impl FnMut(Event)) {
        let Some(plan) = &shared.faults else { return };
        for number in plan.of(self.id) {
            if let Some(at) = plan.first(number, self.id) {
                let event = Event::new(at, self.id, Class::Fault, number as u32, 0, self.id);
                push(event.with(0, number as u32));
            }
        }
    }

    pub(super) fn on_fault(&mut self, event: &Event, ctx: &mut Context<'_>) {
        if event.arg == BACK {
            return self.come_back(ctx);
        }
        let Some(plan) = &ctx.shared.faults else { return };
        match plan.what(event.arg as usize) {
            (What::LostConnections(rate), to) => {
                let Some(trouble) = &mut self.trouble else { return };
                let next = ctx.now.saturating_add(trouble.wait(rate).max(1));
                if next < to {
                    let number = event.number.wrapping_add(1);
                    let again = Event::new(next, self.id, Class::Fault, event.arg, number, self.id);
                    ctx.queue.push(again.with(0, event.arg));
                }
                self.lose_a_connection(ctx);
            }
            (What::Restart { down, keep, crash }, _) if self.actor.get().is_some() => {
                self.go_down(keep, crash, ctx);
                let at = ctx.now.saturating_add(nanos(down).max(1));
                let back = Event::new(at, self.id, Class::Fault, event.arg, u32::MAX, self.id);
                ctx.queue.push(back.with(0, BACK));
            }
            _ => {}
        }
    }

    /// A connection breaks, as if a router on its path had forgotten it.
    fn lose_a_connection(&mut self, ctx: &mut Context<'_>) {
        let open: Vec<u32> = self.links.in_use().filter(|link| link.1 == State::Open).map(|l| l.0).collect();
        let Some(trouble) = self.trouble.as_mut().filter(|_| !open.is_empty()) else { return };
        let conn = ConnId(open[trouble.below(open.len() as u32) as usize]);
        self.close(conn, ctx);
        self.feed(Input::Closed { conn }, ctx);
    }

    /// It stops, and its connections with it.
    fn go_down(&mut self, keep: f64, crash: bool, ctx: &mut Context<'_>) {
        if !crash {
            self.feed(Input::Stop, ctx);
        }
        let links: Vec<(u32, State)> = self.links.in_use().collect();
        for (slot, state) in links {
            match state {
                State::Open => self.close(ConnId(slot), ctx),
                _ => self.links.close(slot),
            }
        }
        let facts = self.facts();
        let Some(actor) = self.actor.take() else { return };
        let have = actor.peer.have();
        self.facts = facts;
        self.facts.stats.uploaded -= self.cut;
        ctx.tally.went_down(have, &ctx.shared.layout, ctx.shared.spec.groups[self.group as usize].up);
        let mut kept = Bitfield::empty(&ctx.shared.layout);
        if let Some(trouble) = &mut self.trouble {
            for piece in have.iter(&ctx.shared.layout) {
                if keep >= 1.0 || trouble.happens(keep) {
                    kept.insert(piece);
                }
            }
            trouble.kept = Some(kept);
            trouble.past = self.facts.stats;
            trouble.life += 1;
            trouble.reads.clear();
        }
        self.vacate(ctx);
    }

    fn come_back(&mut self, ctx: &mut Context<'_>) {
        let number = self.next_number();
        let Some(trouble) = &mut self.trouble else { return };
        let Some(kept) = trouble.kept.take() else { return };
        trouble.since = number;
        let life = trouble.life;
        if self.facts.completed.is_some() && !kept.is_full() {
            self.facts.completed = None;
            ctx.tally.unsettle();
        }
        ctx.tally.down -= 1;
        let actor = ctx.shared.actor_with(self, kept, life);
        self.start(actor, ctx);
    }

    /// Payload moved before this life.
    pub(super) fn past(&self) -> Stats {
        self.trouble.as_ref().map_or(Stats::default(), |trouble| trouble.past)
    }

    /// Fetches a block's bytes, now or when the disk is done.
    pub(super) fn read(&mut self, conn: ConnId, block: BlockRef, ctx: &mut Context<'_>) {
        // In a run without faults nothing is looked at.
        if let Some(plan) = &ctx.shared.faults
            && let Some(trouble) = &mut self.trouble
            && let late = plan.disk(self.id, ctx.now)
            && (late > 0 || !trouble.reads.is_empty())
        {
            // One head: it reads in the order it was asked.
            let at = trouble.disk_free.max(ctx.now) + late;
            trouble.disk_free = at;
            trouble.reads.push_back(Read { conn: self.links.handle_of(conn.0), block });
            let life = trouble.life;
            let number = self.next_number();
            let read = Event::new(at.max(ctx.now + 1), self.id, Class::Disk, 0, number, self.id);
            return ctx.queue.push(read.with(life, 0));
        }
        let data = self.bytes_of(block, ctx);
        ctx.prompt.push_with(|| Input::BlockRead { conn, block, data });
    }

    fn bytes_of(&mut self, block: BlockRef, ctx: &Context<'_>) -> Option<bytes::Bytes> {
        if let Some(plan) = &ctx.shared.faults
            && let Some(trouble) = &mut self.trouble
            && trouble.happens(plan.unread(self.id, ctx.now))
        {
            return None;
        }
        Storage::read(ctx.shared.content.as_deref(), block)
    }

    pub(super) fn on_disk(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let Some(trouble) = self.trouble.as_mut().filter(|trouble| trouble.life == event.to) else { return };
        let Some(Read { conn: handle, block }) = trouble.reads.pop_front() else { return };
        // Who asked may be gone, and another in its place.
        if self.links.get(handle).is_none() {
            return;
        }
        let data = self.bytes_of(block, ctx);
        self.feed(Input::BlockRead { conn: ConnId(handle.slot()), block, data }, ctx);
    }

    /// How much later than usual a piece is hashed.
    pub(super) fn hashes_late(&self, ctx: &Context<'_>) -> u64 {
        ctx.shared.faults.as_ref().map_or(0, |plan| plan.disk(self.id, ctx.now))
    }

    /// Starts before this one: what is under way of an earlier life is nothing to this one.
    pub(super) fn life(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.life)
    }

    /// Whether a piece is what the torrent says, as this host sees it.
    pub(super) fn check_piece(&mut self, piece: PieceIndex, ctx: &Context<'_>) -> bool {
        let ok = self.storage.verify(ctx.shared.content.as_deref(), piece);
        let misread = ctx.shared.faults.as_ref().is_some_and(|plan| {
            let trouble = self.trouble.as_mut();
            trouble.is_some_and(|trouble| trouble.happens(plan.misread(self.id, ctx.now)))
        });
        ok && !misread
    }

    /// Whether the tracker answers; if not, the peer is told so in a while.
    pub(super) fn tracker_answers(&mut self, ctx: &mut Context<'_>) -> bool {
        if ctx.shared.faults.as_ref().is_none_or(|plan| plan.tracker_answers(self.id, ctx.now)) {
            return true;
        }
        let failure = engine::tracker::Failure::new("the tracker does not answer".to_owned());
        let load = ctx.parcels.insert(Content::bytes(failure.to_bytes()), Size::of(0));
        let number = self.next_number();
        let event = Event::new(ctx.now + TRACKER_TIMEOUT, self.id, Class::Reply, 0, number, self.id);
        ctx.queue.push(event.with(number, load.word()));
        false
    }

    /// Whether a reply is to an announce of this life; `asked` is the announce's number.
    pub(super) fn is_asked(&self, asked: u32) -> bool {
        self.trouble.as_ref().is_none_or(|trouble| asked.wrapping_sub(trouble.since) as i32 > 0)
    }

    /// Whether a dial makes two connections.
    pub(super) fn dials_twice(&mut self, ctx: &Context<'_>) -> bool {
        match ctx.shared.faults.as_ref().zip(self.trouble.as_mut()) {
            Some((plan, trouble)) => trouble.happens(plan.double(self.id, ctx.now)),
            None => false,
        }
    }
}
