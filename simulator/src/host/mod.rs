//! A host: one peer, its timers, its uplink and its downlink. It touches nothing else; hosts act on each
//! other only by events that arrive later, after a latency above zero. Work without delay is done inline.

pub(crate) mod actor;
pub(crate) mod ahead;
mod fault;
pub(crate) mod link;
mod receive;
mod send;
pub(crate) mod storage;
mod tell;

use std::net::{Ipv4Addr, SocketAddr};

use engine::ConnId;
use engine::peer::{Event as PeerEvent, Input};
use engine::rng::Rng;

use crate::context::Context;
use crate::digest::HostDigest;
use crate::event::{Class, Event};
use crate::faults::Trouble;
use crate::load::Load;
use crate::network::downlink::Downlink;
use crate::network::uplink::Uplink;
use crate::spec::Leave;
use actor::{Actor, Seat};
use link::{Handle, Links};
use storage::Storage;

/// The port every peer listens on.
const PORT: u16 = 6881;

/// What remains of a peer for the record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub arrived: Option<u64>,
    pub completed: Option<u64>,
    pub left: Option<u64>,
    pub stats: engine::peer::Stats,
    pub pieces: u32,
}

/// See the module. Laid out by how often a part is touched.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Host {
    downlink: Downlink,
    digest: HostDigest,
    /// The earliest timer event on its way.
    timer_at: u64,
    links: Links,
    uplink: Uplink,
    /// The block that the uplink is sending, to be reported when it is free: the connection and payload bytes.
    serving: Option<(Handle, u32)>,
    /// It leaves at this very moment: nothing more is sent.
    leaving: bool,
    pub id: u32,
    /// Index into the specification's groups.
    pub group: u32,
    /// Numbers of its own events that belong to no connection.
    number: u32,
    storage: Storage,
    /// Only in a run with faults.
    pub trouble: Option<Box<Trouble>>,
    /// Empty before it joins and after it has left.
    pub actor: Seat,
    pub reachable: bool,
    /// Payload that went out though its connection was closed meanwhile: the peer was not told.
    cut: u64,
    rng: Rng,
    pub addr: SocketAddr,
    pub facts: Facts,
}

/// The address of a host: 10.0.0.1 upwards.
pub(crate) fn address_of(host: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0001 + host), PORT))
}

/// The host that has an address.
pub(crate) fn host_at(addr: SocketAddr) -> Option<u32> {
    match addr {
        SocketAddr::V4(v4) => u32::from(*v4.ip()).checked_sub(0x0a00_0001),
        SocketAddr::V6(_) => None,
    }
}

impl Host {
    pub fn new(id: u32, group: u32, up: u64, down: Option<u64>, reachable: bool, rng: Rng) -> Self {
        Self {
            id,
            group,
            addr: address_of(id),
            reachable,
            actor: Seat::Empty,
            links: Links::default(),
            uplink: Uplink::new(up),
            downlink: Downlink::new(down),
            serving: None,
            cut: 0,
            leaving: false,
            storage: Storage::default(),
            rng,
            digest: HostDigest::default(),
            timer_at: u64::MAX,
            number: 0,
            facts: Facts::default(),
            trouble: None,
        }
    }

    pub fn digest(&self) -> HostDigest {
        self.digest
    }

    /// The facts as of now.
    pub fn facts(&self) -> Facts {
        let mut facts = match self.actor.get() {
            Some(actor) => {
                Facts { stats: actor.peer.stats(), pieces: actor.peer.have().count(), ..self.facts }
            }
            None => self.facts,
        };
        if self.actor.get().is_some() {
            let past = self.past();
            facts.stats.uploaded += past.uploaded;
            facts.stats.downloaded += past.downloaded;
            facts.stats.wasted += past.wasted;
        }
        facts.stats.uploaded += self.cut;
        facts
    }

    /// Payload that is going out and has not left.
    pub fn going_out(&self) -> u64 {
        self.serving.map_or(0, |(_, bytes)| u64::from(bytes))
    }

    /// An event that happens to this host.
    pub fn handle(&mut self, event: &Event, ctx: &mut Context<'_>) {
        match event.class() {
            Class::Join => self.join(ctx),
            Class::Dial => self.on_dial(event, ctx),
            Class::Answer => self.on_answer(event, ctx),
            Class::Arrive => self.on_arrive(event, ctx),
            Class::Deliver => self.on_deliver(event, ctx),
            Class::LinkFree => self.on_link_free(ctx),
            Class::FlowReady => self.uplink.resume(event.conn()),
            Class::Closed => self.on_remote_closed(event, ctx),
            Class::Hashed => self.on_hashed(event, ctx),
            Class::Reply => self.on_reply(event, ctx),
            Class::Timer => self.on_timer(event.time, ctx),
            Class::Leave => self.on_leave(event.arg == LEAVE_IF_INCOMPLETE, ctx),
            Class::Fault => self.on_fault(event, ctx),
            Class::Disk => self.on_disk(event, ctx),
            Class::Announce => debug_assert!(false, "announces go to the tracker"),
        }
        self.serve(ctx);
        self.arm(ctx);
    }

    /// What it will run when it joins: for whom wants to drive the same engine.
    pub fn new_actor(&self, shared: &crate::context::Shared) -> Actor {
        shared.new_actor(self, &mut self.rng.clone())
    }

    fn join(&mut self, ctx: &mut Context<'_>) {
        let actor = self.new_actor(ctx.shared);
        self.facts.arrived = Some(ctx.now);
        self.start(actor, ctx);
    }

    /// Begins to run `actor`.
    fn start(&mut self, actor: Actor, ctx: &mut Context<'_>) {
        if let Some(tap) = &mut ctx.tap {
            tap.began(self.id, ctx.now, actor.peer.have());
        }
        ctx.tally.joined(
            actor.peer.have(),
            &ctx.shared.layout,
            ctx.shared.spec.groups[self.group as usize].up,
        );
        let complete = actor.peer.is_complete();
        self.actor = Seat::Taken(actor);
        let abort = ctx.shared.spec.groups[self.group as usize].abort_rate;
        if abort > 0.0 && !complete {
            let after = crate::population::exponential(&mut self.rng, 1.0 / abort);
            self.leave_later(after, LEAVE_IF_INCOMPLETE, ctx);
        }
        self.feed(Input::Start, ctx);
        if complete {
            self.plan_leave(ctx);
        }
    }

    fn verdict(&mut self, piece: engine::PieceIndex, ctx: &mut Context<'_>) {
        let ok = self.check_piece(piece, ctx);
        ctx.prompt.push_with(|| Input::PieceVerified { piece, ok });
    }

    fn on_hashed(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let Some(piece) = ctx.shared.layout.piece(event.arg) else { return };
        if event.to != self.life() {
            return;
        }
        let ok = self.check_piece(piece, ctx);
        self.feed(Input::PieceVerified { piece, ok }, ctx);
    }

    fn observe(&mut self, event: &PeerEvent, ctx: &mut Context<'_>) {
        ctx.tally.observe(event);
        match *event {
            PeerEvent::Completed => {
                self.facts.completed = Some(ctx.now);
                self.plan_leave(ctx);
            }
            PeerEvent::Banned(ip) => ctx.tally.banned(host_at((ip, PORT).into())),
            _ => {}
        }
    }

    fn plan_leave(&mut self, ctx: &mut Context<'_>) {
        match ctx.shared.spec.groups[self.group as usize].leave {
            Leave::Never => {}
            Leave::OnCompletion => self.leave_later(0.0, LEAVE, ctx),
            Leave::After(time) => self.leave_later(time.as_secs_f64(), LEAVE, ctx),
            Leave::AfterExponential(mean) => {
                let after = crate::population::exponential(&mut self.rng, mean.as_secs_f64());
                self.leave_later(after, LEAVE, ctx);
            }
            Leave::AtRatio(_) => self.leave_at_ratio(ctx),
        }
    }

    /// Leaves if it seeds and has given back what it was to give.
    fn leave_at_ratio(&mut self, ctx: &mut Context<'_>) {
        let Leave::AtRatio(ratio) = ctx.shared.spec.groups[self.group as usize].leave else { return };
        let Some(actor) = self.actor.get() else { return };
        let sent = actor.peer.stats().uploaded + self.past().uploaded + self.cut;
        let given = sent as f64 / ctx.shared.layout.total() as f64;
        if actor.peer.is_complete() && given >= ratio {
            self.leaving = true;
            self.leave_later(0.0, LEAVE, ctx);
        }
    }

    fn leave_later(&mut self, seconds: f64, how: u32, ctx: &mut Context<'_>) {
        let at = ctx.now.saturating_add((seconds * 1e9) as u64);
        let number = self.next_number();
        ctx.queue.push(Event::new(at, self.id, Class::Leave, 0, number, self.id).with(0, how));
    }

    fn on_leave(&mut self, only_if_incomplete: bool, ctx: &mut Context<'_>) {
        let Some(actor) = self.actor.get() else { return };
        if only_if_incomplete && actor.peer.is_complete() {
            return;
        }
        self.feed(Input::Stop, ctx);
        self.facts = Facts { left: Some(ctx.now), ..self.facts() };
        self.facts.stats.uploaded -= self.cut;
        if let Some(actor) = self.actor.take() {
            let group = &ctx.shared.spec.groups[self.group as usize];
            ctx.tally.left(actor.peer.have(), &ctx.shared.layout, group.up, self.facts.completed.is_some());
        }
        self.vacate(ctx);
    }

    /// Whether its uplink has memory for any connection.
    #[cfg(test)]
    pub fn has_room(&self) -> bool {
        self.uplink.has_room()
    }

    /// Nobody runs on it any more, and its connections have ended: gives back what they took.
    fn vacate(&mut self, ctx: &mut Context<'_>) {
        self.storage = Storage::default();
        self.uplink.forget();
        if let Some(tap) = &mut ctx.tap {
            tap.ended(self.id, ctx.now);
        }
    }

    fn on_reply(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let Some(body) = ctx.parcels.take_bytes(Load::of_word(event.arg)) else { return };
        if !self.is_asked(event.to) {
            return;
        }
        let reply = engine::tracker::AnnounceReply::from_bytes(&body).map(Box::new);
        ctx.parcels.give_back(body);
        self.feed(Input::Announced(reply.map_err(Into::into)), ctx);
    }

    fn on_timer(&mut self, time: u64, ctx: &mut Context<'_>) {
        if time == self.timer_at {
            self.timer_at = u64::MAX;
        }
        let due = self.actor.get().and_then(|actor| actor.poll_timeout());
        if due.is_some_and(|deadline| deadline.at.as_nanos() <= ctx.now) {
            self.feed(Input::Timeout, ctx);
        }
    }

    /// Sees to it that a timer event comes no later than the peer's deadline.
    fn arm(&mut self, ctx: &mut Context<'_>) {
        let Some(deadline) = self.actor.get().and_then(|actor| actor.poll_timeout()) else { return };
        let at = deadline.at.as_nanos().max(ctx.now);
        if at < self.timer_at {
            self.timer_at = at;
            ctx.queue.push(Event::new(at, self.id, Class::Timer, 0, 0, self.id));
        }
    }

    fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    fn close(&mut self, conn: ConnId, ctx: &mut Context<'_>) {
        let slot = conn.0;
        let Some(link) = self.links.at(slot) else { return };
        let way = link.latency + ctx.shared.extra(self.id, link.remote, ctx.now);
        let at = link.last_arrival.max(ctx.now + way);
        let number = link.next_number();
        let event = Event::new(at, self.id, Class::Closed, slot, number, link.remote);
        ctx.post(event.with(link.remote_handle.0, 0));
        self.uplink.clear(slot, ctx.parcels);
        self.links.close(slot);
    }
}

/// A leave that holds for everyone.
const LEAVE: u32 = 0;
/// A leave of those who give up: not for those who have completed.
const LEAVE_IF_INCOMPLETE: u32 = 1;
