//! What leaves a host: dials, handshakes, messages, and the service of its uplink.

use std::net::SocketAddr;

use engine::peer::Input;
use engine::wire::handshake::HANDSHAKE_LENGTH;
use engine::wire::{Handshake, Message, encoder};
use engine::{ConnId, Peer};

use crate::context::Context;
use crate::digest::HostDigest;
use crate::event::{Class, Event};
use crate::load::{Load, Size};
use crate::network::flow::Departure;
use crate::network::uplink::Sender;
use crate::parcel::Content;

use super::link::{Handle, Links, NewLink, State};
use super::receive::{DIAL_TIMEOUT, REFUSED};
use super::{Host, host_at};

impl Host {
    pub(super) fn dial(&mut self, addr: SocketAddr, ctx: &mut Context<'_>) {
        let Some(remote) = host_at(addr).filter(|&remote| remote < ctx.shared.tracker && remote != self.id)
        else {
            return ctx.prompt.push_with(|| Input::ConnectFailed { addr });
        };
        self.dial_once(addr, remote, ctx);
        if self.dials_twice(ctx) {
            self.dial_once(addr, remote, ctx);
        }
    }

    fn dial_once(&mut self, addr: SocketAddr, remote: u32, ctx: &mut Context<'_>) {
        let latency = ctx.shared.latency(self.id, remote);
        let handle = self.links.open(NewLink {
            state: State::Dialing,
            remote,
            remote_handle: Handle(0),
            port: addr.port(),
            latency,
            wire: ctx.shared.content.is_some(),
            checks: ctx.shared.checks,
        });
        if let Some(link) = self.links.get(handle) {
            let number = link.next_number();
            let way = latency + ctx.shared.extra(self.id, remote, ctx.now);
            let timeout = DIAL_TIMEOUT.as_nanos() as u64;
            if way > timeout {
                let refusal =
                    Event::new(ctx.now + timeout, self.id, Class::Answer, handle.slot(), number, self.id);
                return ctx.queue.push(refusal.with(handle.0, REFUSED));
            }
            let event = Event::new(ctx.now + way, self.id, Class::Dial, handle.slot(), number, remote);
            ctx.post(event.with(0, handle.0));
        }
    }

    pub(super) fn queue_handshake(&mut self, conn: ConnId, handshake: &Handshake, ctx: &mut Context<'_>) {
        let content = match ctx.shared.content {
            Some(_) => Content::bytes(handshake.to_bytes().to_vec()),
            None => Content::Handshake(Box::new(*handshake)),
        };
        let size = Size::of(HANDSHAKE_LENGTH as u32);
        self.uplink.enqueue(conn.0, ctx.parcels.insert(content, size), size);
    }

    #[inline(always)]
    pub(super) fn queue_message(
        &mut self,
        conn: ConnId,
        message: &Message,
        word: Option<Load>,
        ctx: &mut Context<'_>,
    ) {
        if ctx.shared.checks {
            self.check_message(conn, message, ctx);
        }
        match word {
            Some(load) => {
                ctx.tally.sent_message(load.id());
                self.uplink.enqueue(conn.0, load, load.size(ctx.parcels));
            }
            None => self.queue_parcel(conn, message, ctx),
        }
    }

    /// The same of what does not fit in a word, or is to be bytes.
    #[inline(never)]
    fn queue_parcel(&mut self, conn: ConnId, message: &Message, ctx: &mut Context<'_>) {
        ctx.tally.sent_message(message.id());
        let bytes = message.wire_length();
        let size = match message {
            Message::Piece { data, .. } if !data.is_empty() => Size::of_block(bytes),
            _ => Size::of(bytes),
        };
        let content = match ctx.shared.content {
            Some(_) => {
                let mut encoded = Vec::with_capacity(bytes as usize);
                encoder::encode(message, &mut encoded);
                debug_assert_eq!(encoded.len(), bytes as usize, "the length charged is the length sent");
                Content::bytes(encoded)
            }
            None => Content::Message(Box::new(message.clone())),
        };
        self.uplink.enqueue(conn.0, ctx.parcels.insert(content, size), size);
    }

    /// In test builds: a peer sends what it has, and is sent what it has asked for.
    #[inline(never)]
    fn check_message(&mut self, conn: ConnId, message: &Message, ctx: &Context<'_>) {
        match message {
            Message::Piece { piece, .. } => {
                let piece = ctx.shared.layout.piece(*piece);
                let have =
                    self.actor.get().zip(piece).is_some_and(|(actor, p)| actor.peer.have().contains(p));
                assert!(have, "host {} sends a piece it lacks: {piece:?}", self.id);
            }
            Message::Request(raw) => {
                let handle = self.links.handle_of(conn.0);
                if let Some(asked) = self.links.side(handle).and_then(|side| side.asked.as_mut()) {
                    *asked.entry((raw.piece, raw.begin)).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Gives the uplink its next work, if it has none.
    pub(super) fn serve(&mut self, ctx: &mut Context<'_>) {
        if self.leaving || !self.uplink.has_work() {
            return;
        }
        let now = ctx.now;
        let mut service = Service {
            id: self.id,
            links: &mut self.links,
            serving: &mut self.serving,
            rng: &mut self.rng,
            ctx,
        };
        if let Some(end) = self.uplink.serve(now, &mut service) {
            ctx.queue.push(Event::new(end, self.id, Class::LinkFree, 0, 0, self.id));
        }
    }

    #[inline(never)]
    pub(super) fn on_link_free(&mut self, ctx: &mut Context<'_>) {
        self.uplink.free();
        let Some((handle, bytes)) = self.serving.take() else { return };
        ctx.tally.sent(bytes);
        if self.links.get(handle).is_none() {
            self.cut += u64::from(bytes);
        } else {
            let conn = ConnId(handle.slot());
            let plainly = |digest: &mut HostDigest, peer: &mut Peer, now| {
                digest.sent(now, conn, bytes);
                peer.handle_sent(now, conn, bytes);
            };
            self.feed_known(plainly, || Input::Sent { conn, bytes }, ctx);
        }
        self.leave_at_ratio(ctx);
    }
}

/// One service of the uplink.
struct Service<'a, 'b> {
    id: u32,
    links: &'a mut Links,
    serving: &'a mut Option<(Handle, u32)>,
    rng: &'a mut engine::Rng,
    ctx: &'a mut Context<'b>,
}

impl Sender for Service<'_, '_> {
    #[inline]
    fn send(&mut self, lane: u32, load: Load, size: Size, start: u64, finish: u64) -> u64 {
        let Some(link) = self.links.at(lane) else {
            debug_assert!(false, "a closed connection has nothing queued");
            return 0;
        };
        let (size, payload) = (size.bytes(), size.payload());
        let Departure { last: depart, ready_at } = match &self.ctx.shared.cap {
            Some(cap) => link.flow.depart(cap, link.rtt(), start, finish, size),
            None => Departure { last: finish, ready_at: 0 },
        };
        let extra = self.ctx.shared.extra(self.id, link.remote, depart);
        let delay = link.latency + extra + self.ctx.shared.jitter(self.rng);
        let arrival = (depart + delay).max(link.last_arrival);
        link.last_arrival = arrival;
        let number = link.next_number();
        let event = Event::new(arrival, self.id, Class::Arrive, lane, number, link.remote);
        self.ctx.post(event.with(link.remote_handle.0, load.word()));
        if payload > 0 {
            debug_assert!(self.serving.is_none(), "a service has one block");
            *self.serving = Some((self.links.handle_of(lane), payload));
        }
        ready_at
    }

    fn park(&mut self, lane: u32, at: u64) {
        self.ctx.queue.push(Event::new(at, self.id, Class::FlowReady, lane, 0, self.id));
    }

    #[inline]
    fn foresee(&self, lane: u32) {
        self.links.prefetch(lane);
    }
}
