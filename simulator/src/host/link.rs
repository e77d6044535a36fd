//! One host's end of a connection.

use engine::wire::decoder::{Decoder, Limits};

use crate::network::flow::Flow;

use super::storage::Asked;

/// No slot.
const NONE: u32 = u32::MAX;
/// Bits of a [`Handle`] that are the slot; the rest is its generation.
const SLOT_BITS: u32 = 20;

/// A slot of a host's links with its generation, so that what is on its way to a connection that was closed
/// does not reach the next one in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(pub u32);

impl Handle {
    pub fn new(slot: u32, generation: u32) -> Self {
        Self(generation << SLOT_BITS | slot)
    }
    pub fn slot(self) -> u32 {
        self.0 & ((1 << SLOT_BITS) - 1)
    }
    fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    /// We have dialled.
    Dialing,
    Open,
}

/// See the module. What every load needs, in a cache line; the rest is in `Side`.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Link {
    pub state: State,
    /// The other end's port, as whoever dialled knows it.
    pub port: u16,
    generation: u32,
    /// The host at the other end; of a slot that is free, the next one that is, or [`NONE`].
    pub remote: u32,
    /// The other end's handle; known once open.
    pub remote_handle: Handle,
    /// One-way delay in nanoseconds.
    pub latency: u64,
    pub last_arrival: u64,
    /// Events that this end has caused, over all connections in this slot.
    pub number: u32,
    pub flow: Flow,
}

/// What only the wire stack and the checks need of a link.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// The wire stack's.
    pub decoder: Option<Box<Decoder>>,
    /// The checks'.
    pub asked: Option<Box<Asked>>,
}

impl Link {
    const fn free() -> Self {
        Self {
            state: State::Free,
            port: 0,
            generation: 0,
            remote: 0,
            remote_handle: Handle(0),
            latency: 0,
            last_arrival: 0,
            number: 0,
            flow: Flow::NEW,
        }
    }

    /// The round-trip time in nanoseconds.
    pub fn rtt(&self) -> u64 {
        2 * self.latency
    }

    pub fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}

/// What a new link is to be.
pub(crate) struct NewLink {
    pub state: State,
    pub remote: u32,
    pub remote_handle: Handle,
    pub port: u16,
    pub latency: u64,
    pub wire: bool,
    pub checks: bool,
}

/// The links of one host, in slots that are used again, the one that was freed last first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Links {
    slots: Vec<Link>,
    /// Empty if no link needs one.
    sides: Vec<Side>,
    /// The first slot that is free.
    free: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { slots: Vec::new(), sides: Vec::new(), free: NONE }
    }
}

impl Links {
    pub fn open(&mut self, new: NewLink) -> Handle {
        let has_side = new.wire || new.checks;
        let side = Side {
            decoder: new.wire.then(|| Box::new(Decoder::new(Limits::default()))),
            asked: new.checks.then(Box::default),
        };
        let slot = match self.slots.get(self.free as usize) {
            Some(link) => std::mem::replace(&mut self.free, link.remote),
            None => {
                if self.slots.len() == self.slots.capacity() {
                    self.slots.reserve_exact((self.slots.len() / 8).max(4));
                }
                self.slots.push(Link::free());
                self.slots.len() as u32 - 1
            }
        };
        if has_side {
            self.sides.resize_with(self.slots.len(), Side::default);
            self.sides[slot as usize] = side;
        }
        let link = &mut self.slots[slot as usize];
        let (generation, number) = (link.generation, link.number);
        *link = Link {
            state: new.state,
            port: new.port,
            generation,
            remote: new.remote,
            remote_handle: new.remote_handle,
            latency: new.latency,
            number,
            ..Link::free()
        };
        Handle::new(slot, generation)
    }

    /// Asks for the memory of a link.
    #[inline]
    pub fn prefetch(&self, slot: u32) {
        prefetch::known(&self.slots, slot as usize);
    }

    /// What the wire stack and the checks have of a link that is in use.
    pub fn side(&mut self, handle: Handle) -> Option<&mut Side> {
        self.get(handle)?;
        self.sides.get_mut(handle.slot() as usize)
    }

    pub fn close(&mut self, slot: u32) {
        let link = &mut self.slots[slot as usize];
        link.state = State::Free;
        link.generation = (link.generation + 1) & ((1 << (32 - SLOT_BITS)) - 1);
        if let Some(side) = self.sides.get_mut(slot as usize) {
            *side = Side::default();
        }
        link.remote = std::mem::replace(&mut self.free, slot);
    }

    /// The link a handle names, unless it is another by now.
    pub fn get(&mut self, handle: Handle) -> Option<&mut Link> {
        self.slots
            .get_mut(handle.slot() as usize)
            .filter(|link| link.state != State::Free && link.generation == handle.generation())
    }

    /// The link in a slot that is in use.
    pub fn at(&mut self, slot: u32) -> Option<&mut Link> {
        self.slots.get_mut(slot as usize).filter(|link| link.state != State::Free)
    }

    /// The slots in use, and how far each is.
    pub fn in_use(&self) -> impl Iterator<Item = (u32, State)> {
        let slots = self.slots.iter().zip(0..).filter(|(link, _)| link.state != State::Free);
        slots.map(|(link, slot)| (slot, link.state))
    }

    pub fn handle_of(&self, slot: u32) -> Handle {
        Handle::new(slot, self.slots[slot as usize].generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_cache_line() {
        assert_eq!(size_of::<Link>(), 64);
    }
}
