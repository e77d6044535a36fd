//! What reaches a host: dials and their answers, loads, closes.

use std::net::SocketAddr;
use std::time::Duration;

use engine::peer::Input;
use engine::wire::Message;
use engine::wire::decoder::Decoded;
use engine::{ConnId, Peer};

use crate::context::Context;
use crate::digest::HostDigest;
use crate::event::{Class, Event};
use crate::load::{Kind, Load, Size};
use crate::parcel::Content;

use super::Host;
use super::link::{Handle, NewLink, State};

/// How long a dial that nobody answers is tried.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// What an answer names in place of a connection if the dial is refused.
pub(super) const REFUSED: u32 = u32::MAX;
/// The wire stack hands the decoder slices of one segment.
const SEGMENT: usize = 1460;
/// The first port that is given to those who dial.
const EPHEMERAL: u16 = 49_152;

impl Host {
    /// Somebody dials. A peer that has left refuses at once; one that cannot be reached from outside lets
    /// the dial time out.
    pub(super) fn on_dial(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let latency = ctx.shared.latency(self.id, event.src);
        let way = ctx.shared.way(self.id, event.src, ctx.now);
        let timeout = DIAL_TIMEOUT.as_nanos() as u64;
        if self.actor.get().is_none() || !self.reachable || way > timeout {
            let wait = match self.actor.get() {
                Some(_) => timeout,
                None => way.min(timeout),
            };
            let number = self.next_number();
            let answer = Event::new(ctx.now + wait, self.id, Class::Answer, 0, number, event.src);
            return ctx.post(answer.with(event.arg, REFUSED));
        }
        let port = EPHEMERAL + (Handle(event.arg).slot() % 16_384) as u16;
        let addr = SocketAddr::new(super::address_of(event.src).ip(), port);
        let handle = self.links.open(NewLink {
            state: State::Open,
            remote: event.src,
            remote_handle: Handle(event.arg),
            port,
            latency,
            wire: ctx.shared.content.is_some(),
            checks: ctx.shared.checks,
        });
        if let Some(link) = self.links.get(handle) {
            link.last_arrival = ctx.now + way;
            let number = link.next_number();
            let answer = Event::new(ctx.now + way, self.id, Class::Answer, handle.slot(), number, event.src);
            ctx.post(answer.with(event.arg, handle.0));
        }
        self.feed(Input::Connected { conn: ConnId(handle.slot()), addr, outgoing: false }, ctx);
    }

    pub(super) fn on_answer(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let handle = Handle(event.to);
        let alive = self.actor.get().is_some();
        let link = self.links.get(handle).filter(|link| link.state == State::Dialing);
        let Some(link) = link.filter(|_| alive) else {
            // We have left in the meantime: the end that accepted must hear of it.
            if event.arg != REFUSED {
                let at = ctx.now + ctx.shared.way(self.id, event.src, ctx.now);
                let number = self.next_number();
                let closed = Event::new(at, self.id, Class::Closed, 0, number, event.src);
                ctx.post(closed.with(event.arg, 0));
            }
            return;
        };
        let addr = SocketAddr::new(super::address_of(link.remote).ip(), link.port);
        let refused = event.arg == REFUSED;
        if !refused {
            link.state = State::Open;
            link.remote_handle = Handle(event.arg);
        }
        if refused {
            self.links.close(handle.slot());
            return self.feed(Input::ConnectFailed { addr }, ctx);
        }
        self.feed(Input::Connected { conn: ConnId(handle.slot()), addr, outgoing: true }, ctx);
    }

    /// The last byte of a load reaches the downlink.
    #[inline(always)]
    pub(super) fn on_arrive(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let handle = Handle(event.to);
        let load = Load::of_word(event.arg);
        let size = load.size(ctx.parcels);
        // Its first byte came as long before as it was on the sender's link.
        let first = ctx.now.saturating_sub(ctx.shared.uplink_of(event.src).takes(size.bytes()));
        let passed = self.downlink.pass(first, ctx.now, size.bytes());
        if passed <= ctx.now {
            return self.deliver(handle, load, size, ctx);
        }
        // The order of what waits for one downlink is that of its arrival.
        let number = self.next_number();
        let deliver = Event::new(passed, self.id, Class::Deliver, handle.slot(), number, self.id);
        ctx.queue.push(deliver.with(event.to, event.arg));
    }

    /// A load has passed the downlink after it had to wait for it.
    #[inline(never)]
    pub(super) fn on_deliver(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let load = Load::of_word(event.arg);
        let size = load.size(ctx.parcels);
        self.deliver(Handle(event.to), load, size, ctx);
    }

    #[inline(always)]
    fn deliver(&mut self, handle: Handle, load: Load, size: Size, ctx: &mut Context<'_>) {
        let open = self.actor.get().is_some()
            && self.links.get(handle).is_some_and(|link| link.state == State::Open);
        ctx.tally.arrived(size.payload(), open);
        if !open {
            load.parcel().into_iter().for_each(|parcel| drop(ctx.parcels.take(parcel)));
            return;
        }
        match load.kind() {
            Kind::Have => self.receive_have(handle, load, ctx),
            Kind::Request => self.receive_request(handle, load, ctx),
            Kind::Block => self.receive_block(handle, load, ctx),
            Kind::Seldom => {
                let message = ctx.shared.notation.seldom(load);
                self.receive(handle, message, ctx);
            }
            Kind::Parcel(parcel) => self.open(handle, parcel, ctx),
        }
    }

    // A function for each kind that comes all the time, in which the way to the engine is a straight one.

    #[inline(never)]
    fn receive_have(&mut self, handle: Handle, load: Load, ctx: &mut Context<'_>) {
        let notation = ctx.shared.notation;
        self.receive_known(handle, || notation.have(load), ctx);
    }

    #[inline(never)]
    fn receive_request(&mut self, handle: Handle, load: Load, ctx: &mut Context<'_>) {
        let notation = ctx.shared.notation;
        self.receive_known(handle, || notation.request(load), ctx);
    }

    #[inline(never)]
    fn receive_block(&mut self, handle: Handle, load: Load, ctx: &mut Context<'_>) {
        let notation = ctx.shared.notation;
        if ctx.shared.checks {
            self.check_received(handle, &notation.block(load));
        }
        self.receive_known(handle, || notation.block(load), ctx);
    }

    /// A message comes that `message` makes, one for the digest and one for the engine: handed from one to the other it would
    /// have to be somewhere.
    #[inline(always)]
    fn receive_known(&mut self, handle: Handle, message: impl Fn() -> Message, ctx: &mut Context<'_>) {
        let conn = ConnId(handle.slot());
        let plainly = |digest: &mut HostDigest, peer: &mut Peer, now| {
            digest.message_came(now, conn, &message());
            peer.handle_message(now, conn, message());
        };
        self.feed_known(plainly, || Input::Message { conn, message: message() }, ctx);
    }

    /// What a parcel holds is delivered.
    #[inline(never)]
    fn open(&mut self, handle: Handle, parcel: u32, ctx: &mut Context<'_>) {
        let conn = ConnId(handle.slot());
        match ctx.parcels.take(parcel).content {
            Content::Bytes(bytes) => {
                for slice in bytes.chunks(SEGMENT) {
                    self.decode(handle, slice, ctx);
                }
            }
            Content::Message(message) => self.receive(handle, *message, ctx),
            Content::Handshake(handshake) => {
                self.feed(Input::Handshake { conn, handshake: *handshake }, ctx);
            }
            Content::Empty(_) => debug_assert!(false, "an empty parcel was on its way"),
        }
    }

    fn decode(&mut self, handle: Handle, bytes: &[u8], ctx: &mut Context<'_>) {
        let conn = ConnId(handle.slot());
        if let Some(decoder) = self.links.side(handle).and_then(|side| side.decoder.as_mut()) {
            decoder.feed(bytes);
        }
        // The link may be closed by what one of the messages does.
        while let Some(decoder) = self.links.side(handle).and_then(|side| side.decoder.as_mut()) {
            match decoder.poll() {
                Ok(Some(Decoded::Handshake(handshake))) => {
                    self.feed(Input::Handshake { conn, handshake }, ctx)
                }
                Ok(Some(Decoded::Message(message))) => self.receive(handle, message, ctx),
                Ok(None) => return,
                Err(error) => return self.feed(Input::Malformed { conn, error }, ctx),
            }
        }
    }

    fn receive(&mut self, handle: Handle, message: Message, ctx: &mut Context<'_>) {
        if ctx.shared.checks {
            self.check_received(handle, &message);
        }
        self.feed(Input::Message { conn: ConnId(handle.slot()), message }, ctx);
    }

    /// In test builds: a block was asked for.
    #[inline(never)]
    fn check_received(&mut self, handle: Handle, message: &Message) {
        if let Message::Piece { piece, begin, .. } = message
            && let Some(asked) = self.links.side(handle).and_then(|side| side.asked.as_mut())
        {
            let count = asked.entry((*piece, *begin)).or_default();
            assert!(*count > 0, "host {} received a block it never requested: {piece}+{begin}", self.id);
            *count -= 1;
        }
    }

    /// The other end has closed. That stands behind all it has sent, as TCP's FIN does: what waits for the
    /// downlink still comes.
    pub(super) fn on_remote_closed(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let handle = Handle(event.to);
        if self.links.get(handle).is_none() {
            return;
        }
        let passed = self.downlink.busy_until();
        if event.src != self.id && passed > ctx.now {
            let number = self.next_number();
            let closed = Event::new(passed, self.id, Class::Closed, handle.slot(), number, self.id);
            return ctx.queue.push(closed.with(handle.0, 0));
        }
        self.uplink.clear(handle.slot(), ctx.parcels);
        self.links.close(handle.slot());
        self.feed(Input::Closed { conn: ConnId(handle.slot()) }, ctx);
    }
}
