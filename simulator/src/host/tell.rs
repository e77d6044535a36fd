//! What a host's actor is told, and what is done of what it says. What comes and is said all the time has a way of its own,
//! on which nothing is asked about its kind once that is known, and nothing is copied that was just written: the same
//! happens on it as on the others, which a host that misbehaves and whoever looks on take.

use engine::peer::{Input, Output, Outputs};
use engine::wire::Message;
use engine::{Instant, Peer};

use crate::context::Context;
use crate::digest::HostDigest;
use crate::event::{Class, Event};
use crate::load::Size;
use crate::network::rate::Rate;
use crate::parcel::Content;

use super::Host;
use super::actor::Actor;
use super::storage::Storage;

impl Host {
    /// Tells the actor, and does what it says until it has no more to say.
    #[inline(never)]
    pub(super) fn feed(&mut self, input: Input, ctx: &mut Context<'_>) {
        if ctx.tap.is_some() {
            return self.feed_watched(input, ctx);
        }
        self.tell::<false>(input, ctx);
        self.feed_prompt(ctx);
    }

    /// The same as a part of its caller, which knows what comes, as that comes all the time. `plainly` notes it in the digest
    /// and tells the engine, and asks nothing about its kind; `input` makes what all others are told.
    #[inline(always)]
    pub(super) fn feed_known(
        &mut self,
        plainly: impl FnOnce(&mut HostDigest, &mut Peer, Instant),
        input: impl FnOnce() -> Input,
        ctx: &mut Context<'_>,
    ) {
        if ctx.tap.is_some() || !self.actor.get().is_some_and(Actor::is_honest) {
            return self.feed(input(), ctx);
        }
        self.tell_plainly::<false>(plainly, ctx);
        if !ctx.prompt.is_empty() {
            self.feed_prompt(ctx);
        }
    }

    /// Tells what came without delay of what it has said.
    #[inline(never)]
    fn feed_prompt(&mut self, ctx: &mut Context<'_>) {
        while let Some(input) = ctx.prompt.next() {
            match input {
                Input::BlockRead { conn, block, data } if self.actor.get().is_some_and(Actor::is_honest) => {
                    let (conn, block, data) = (*conn, *block, data.take());
                    let plainly = |digest: &mut HostDigest, peer: &mut Peer, now| {
                        digest.block_read(now, conn, block, data.is_some());
                        peer.handle_block_read(now, conn, block, data);
                    };
                    self.tell_plainly::<false>(plainly, ctx);
                }
                other => {
                    let input = std::mem::replace(other, Input::Timeout);
                    self.tell::<false>(input, ctx);
                }
            }
        }
    }

    /// The same where somebody looks on.
    #[cold]
    #[inline(never)]
    fn feed_watched(&mut self, input: Input, ctx: &mut Context<'_>) {
        self.tell::<true>(input, ctx);
        while let Some(input) = ctx.prompt.next() {
            let input = std::mem::replace(input, Input::Timeout);
            self.tell::<true>(input, ctx);
        }
        if let Some(tap) = &mut ctx.tap
            && let Some(actor) = self.actor.get()
        {
            tap.settled(self.id, ctx.now, &actor.peer);
        }
    }

    /// Tells the actor one thing.
    #[inline(never)]
    fn tell<const WATCHED: bool>(&mut self, input: Input, ctx: &mut Context<'_>) {
        let Some(actor) = self.actor.get_mut() else { return };
        if WATCHED {
            ctx.traced_input(self.id, &input);
        }
        if actor.is_honest() {
            let plainly = |digest: &mut HostDigest, peer: &mut Peer, now| {
                digest.input(now, &input);
                peer.handle_input(now, input);
            };
            return self.tell_plainly::<WATCHED>(plainly, ctx);
        }
        let now = Instant::from_nanos(ctx.now);
        self.digest.input(now, &input);
        let Some(outputs) = ctx.outputs.take() else { return debug_assert!(false, "one thing at a time") };
        let content = ctx.shared.content.as_deref();
        actor.handle_input(now, input, outputs, |data| Storage::corrupt(content, data));
        self.carry_out_all::<WATCHED>(outputs, ctx);
    }

    /// Tells the engine one thing, with no strategy around it.
    #[inline(always)]
    fn tell_plainly<const WATCHED: bool>(
        &mut self,
        plainly: impl FnOnce(&mut HostDigest, &mut Peer, Instant),
        ctx: &mut Context<'_>,
    ) {
        let Some(actor) = self.actor.get_mut() else { return };
        // All hosts share one buffer of outputs, which stays in the cache.
        let Some(outputs) = ctx.outputs.take() else { return debug_assert!(false, "one thing at a time") };
        actor.peer.exchange_outputs(outputs);
        plainly(&mut self.digest, &mut actor.peer, Instant::from_nanos(ctx.now));
        actor.peer.exchange_outputs(outputs);
        if outputs.as_ref().is_some_and(|said| !said.is_empty()) {
            self.carry_out_all::<WATCHED>(outputs, ctx);
        } else {
            ctx.outputs = Some(outputs);
        }
    }

    /// Does what the actor has said. What is said all the time is told apart here, once, and nothing is asked about its kind
    /// after that.
    #[inline(never)]
    fn carry_out_all<'a, const WATCHED: bool>(&mut self, outputs: &'a mut Outputs, ctx: &mut Context<'a>) {
        if let Some(said) = outputs {
            said.consume(|output| match output {
                Output::Send { message: Message::Have(_), .. } => self.carry_out::<WATCHED>(output, ctx),
                Output::Send { message: Message::Request(_), .. } => self.carry_out::<WATCHED>(output, ctx),
                Output::Send { message: Message::Piece { .. }, .. } => self.carry_out::<WATCHED>(output, ctx),
                Output::ReadBlock { .. } => self.carry_out::<WATCHED>(output, ctx),
                Output::WriteBlock { .. } => self.carry_out::<WATCHED>(output, ctx),
                seldom => self.carry_out::<WATCHED>(seldom, ctx),
            });
        }
        ctx.outputs = Some(outputs);
    }

    #[inline(always)]
    fn carry_out<const WATCHED: bool>(&mut self, output: &Output, ctx: &mut Context<'_>) {
        if WATCHED {
            ctx.traced_output(self.id, output);
        }
        // The digest is not written before it is told apart what the output is: for all that the compiler knows, that could
        // make another of it, to be asked for again.
        let mut digest = self.digest;
        digest.output(output);
        match output {
            Output::Send { conn, message } => {
                let (conn, word) = (*conn, ctx.shared.word_of(message));
                self.digest = digest;
                self.queue_message(conn, message, word, ctx);
            }
            Output::ReadBlock { conn, block } => {
                let (conn, block) = (*conn, *block);
                self.digest = digest;
                self.read(conn, block, ctx);
            }
            Output::WriteBlock { block, data } => {
                self.digest = digest;
                self.storage.write(ctx.shared.content.as_deref(), &ctx.shared.layout, *block, data);
            }
            other => {
                self.digest = digest;
                self.carry_out_seldom(other, ctx);
            }
        }
    }

    /// What does not happen with every block.
    #[inline(never)]
    fn carry_out_seldom(&mut self, output: &Output, ctx: &mut Context<'_>) {
        match output {
            Output::Connect { addr } => self.dial(*addr, ctx),
            Output::Disconnect { conn, .. } => self.close(*conn, ctx),
            Output::SendHandshake { conn, handshake } => self.queue_handshake(*conn, handshake, ctx),
            &Output::VerifyPiece { piece } => {
                let length = ctx.shared.layout.length_of(piece);
                let late = self.hashes_late(ctx);
                let takes = match ctx.shared.spec.network.hash_rate {
                    Some(rate) => Rate::new(rate).takes(length) + late,
                    None if late == 0 => return self.verdict(piece, ctx),
                    None => late,
                };
                let number = self.next_number();
                let done = Event::new(ctx.now + takes, self.id, Class::Hashed, 0, number, self.id);
                ctx.queue.push(done.with(self.life(), piece.get()));
            }
            Output::Announce(_) if !self.tracker_answers(ctx) => {}
            Output::Announce(request) => {
                let mut query = ctx.parcels.buffer();
                // Writing to a buffer cannot fail.
                let _ = request.write_query(&mut *query);
                let load = ctx.parcels.insert(Content::Bytes(query), Size::of(0));
                let at = ctx.now + ctx.shared.tracker_latency;
                let number = self.next_number();
                let event = Event::new(at, self.id, Class::Announce, 0, number, ctx.shared.tracker);
                ctx.post(event.with(self.id, load.word()));
            }
            Output::Event(event) => self.observe(event, ctx),
            Output::Send { .. } | Output::ReadBlock { .. } | Output::WriteBlock { .. } => {}
        }
    }
}
