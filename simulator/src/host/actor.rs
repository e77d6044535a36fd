//! What a host runs: the engine, and for hosts that misbehave a strategy around it that changes what goes
//! in and out. The engine itself never knows.

use std::collections::VecDeque;

use engine::peer::{Deadline, Input, Output, Outputs};
use engine::wire::Message;
use engine::{Bitfield, Instant, Layout, Peer};

use crate::spec::Behaviour;

/// An engine and what is around it. Laid out by how often a part is touched.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Actor {
    behaviour: Behaviour,
    pub peer: Peer,
    layout: Layout,
    /// What the strategy says of its own.
    extra: VecDeque<Output>,
}

/// Who runs on a host. Its first byte says whether anybody does, which all that happens to the host asks; an `Option` keeps
/// that wherever the actor has values to spare, a thousand bytes further on.
#[derive(Debug)]
#[repr(u8)]
#[expect(
    clippy::large_enum_variant,
    reason = "a host holds its actor in itself: one memory access less in a row"
)]
pub(crate) enum Seat {
    Empty,
    Taken(Actor),
}

impl Seat {
    #[inline]
    pub fn get(&self) -> Option<&Actor> {
        match self {
            Self::Empty => None,
            Self::Taken(actor) => Some(actor),
        }
    }

    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut Actor> {
        match self {
            Self::Empty => None,
            Self::Taken(actor) => Some(actor),
        }
    }

    /// Who was there; nobody is.
    pub fn take(&mut self) -> Option<Actor> {
        match std::mem::replace(self, Self::Empty) {
            Self::Empty => None,
            Self::Taken(actor) => Some(actor),
        }
    }
}

impl Actor {
    pub fn new(peer: Peer, behaviour: Behaviour, layout: Layout) -> Self {
        Self { peer, behaviour, layout, extra: VecDeque::new() }
    }

    /// There is no strategy: what the engine is told and says is all there is.
    #[inline]
    pub fn is_honest(&self) -> bool {
        self.behaviour == Behaviour::Honest
    }

    /// With a strategy: tells the engine, and adds to `outputs`, which is empty, all that is said. `corrupt` makes wrong bytes
    /// of right ones.
    #[inline(never)]
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: Input,
        outputs: &mut Outputs,
        corrupt: impl Fn(&mut bytes::Bytes),
    ) {
        if !self.keeps_back(&input) {
            self.peer.handle_input(now, input);
        }
        outputs.get_or_insert_default().extend(std::iter::from_fn(|| self.poll_strategy(&corrupt)));
    }

    /// Whether the strategy lets the engine know nothing of an input.
    fn keeps_back(&mut self, input: &Input) -> bool {
        if let Input::Message { conn, message: Message::Request(raw) } = input {
            match self.behaviour {
                // It promises and never serves.
                Behaviour::Staller => return true,
                // It cannot serve what it only claims, and says so where that can be said (BEP 6).
                Behaviour::Liar => {
                    let has =
                        self.layout.piece(raw.piece).is_some_and(|piece| self.peer.have().contains(piece));
                    if !has {
                        if self.peer.speaks_fast(*conn) {
                            let message = Message::Reject(*raw);
                            self.extra.push_back(Output::Send { conn: *conn, message });
                        }
                        return true;
                    }
                }
                Behaviour::Honest | Behaviour::Polluter => {}
            }
        }
        false
    }

    /// The next output of a host that misbehaves.
    fn poll_strategy(&mut self, corrupt: &impl Fn(&mut bytes::Bytes)) -> Option<Output> {
        let mut output = self.extra.pop_front().or_else(|| self.peer.poll_output())?;
        if let Output::Send { message, .. } = &mut output {
            match (self.behaviour, &mut *message) {
                (Behaviour::Polluter, Message::Piece { data, .. }) => corrupt(data),
                (Behaviour::Liar, Message::Bitfield(_) | Message::HaveNone) => *message = self.claim(),
                _ => {}
            }
        }
        Some(output)
    }

    /// Every piece but one: a peer with everything would be dropped by the seeds it wants to use.
    fn claim(&self) -> Message {
        let mut claimed = Bitfield::full(&self.layout);
        if let Some(piece) = self.layout.all().find(|&piece| !self.peer.have().contains(piece)) {
            claimed.remove(piece);
        }
        Message::Bitfield(claimed.to_wire().into())
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.peer.poll_timeout()
    }
}
