//! Parcels: what is queued on a link or on its way and does not fit in a [`Load`](crate::load::Load), in one table whose
//! places are used again.

use std::fmt::{self, Write};
use std::ops::{Deref, Index};

use engine::wire::{Handshake, Message};

use crate::load::{Load, Size};

/// No place in the table.
const NONE: u32 = u32::MAX;
/// Buffers that are kept to be used again, at the most: a swarm's first announces come all at once, those after one by one.
const SPARE: usize = 8;

/// Bytes under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer(pub Vec<u8>);

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// What a parcel holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// An empty place of the table: the next one.
    Empty(u32),
    /// The message stack: a handshake.
    Handshake(Box<Handshake>),
    /// The message stack: a message.
    Message(Box<Message>),
    /// The wire stack: the bytes of a handshake or of a message; to or from a tracker: a query or a reply.
    Bytes(Box<Buffer>),
}

impl Content {
    /// The bytes of the wire stack, or those that go to and from a tracker.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(Box::new(Buffer(bytes)))
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub content: Content,
    size: Size,
}

impl Parcel {
    /// Bytes on the wire, and whether it is a block.
    pub fn size(&self) -> Size {
        self.size
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Parcels {
    table: Vec<Parcel>,
    free: u32,
    /// Empty.
    #[expect(clippy::vec_box, reason = "the boxes are used again too")]
    spare: Vec<Box<Buffer>>,
}

impl Default for Parcels {
    fn default() -> Self {
        Self { table: Vec::new(), free: NONE, spare: Vec::new() }
    }
}

impl Parcels {
    /// Puts one in.
    pub fn insert(&mut self, content: Content, size: Size) -> Load {
        self.insert_parcel(Parcel { content, size })
    }

    /// A parcel that was taken out of another table.
    pub fn insert_parcel(&mut self, parcel: Parcel) -> Load {
        let at = match self.table.get_mut(self.free as usize) {
            Some(place) => {
                let at = self.free;
                self.free = match std::mem::replace(place, parcel).content {
                    Content::Empty(next) => next,
                    _ => NONE,
                };
                at
            }
            None => {
                self.table.push(parcel);
                self.table.len() as u32 - 1
            }
        };
        Load::of_parcel(at)
    }

    /// Takes a parcel out.
    pub fn take(&mut self, at: u32) -> Parcel {
        let empty = Parcel { content: Content::Empty(self.free), size: Size::of(0) };
        self.free = at;
        std::mem::replace(&mut self.table[at as usize], empty)
    }

    /// Takes the bytes out that a load names; none if it is something else.
    pub fn take_bytes(&mut self, load: Load) -> Option<Box<Buffer>> {
        match self.take(load.parcel()?).content {
            Content::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An empty buffer: one that was used before, if there is one.
    pub fn buffer(&mut self) -> Box<Buffer> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a buffer back that is no longer needed.
    pub fn give_back(&mut self, mut buffer: Box<Buffer>) {
        if self.spare.len() < SPARE {
            buffer.0.clear();
            self.spare.push(buffer);
        }
    }
}

impl Index<u32> for Parcels {
    type Output = Parcel;
    fn index(&self, at: u32) -> &Parcel {
        &self.table[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_few_are_kept() {
        let mut parcels = Parcels::default();
        let mut buffer = parcels.buffer();
        write!(buffer, "a query of {} bytes", 20).unwrap();
        let (bytes, room) = (buffer.to_vec(), buffer.0.capacity());
        let load = parcels.insert(Content::Bytes(buffer), Size::of(0));
        let taken = parcels.take_bytes(load).unwrap();
        assert_eq!(**taken, *bytes);
        parcels.give_back(taken);
        let again = parcels.buffer();
        assert_eq!((again.len(), again.0.capacity()), (0, room));
        (0..2 * SPARE).for_each(|_| parcels.give_back(Box::default()));
        assert_eq!(parcels.spare.len(), SPARE);
    }

    #[test]
    fn places_are_used_again() {
        let mut parcels = Parcels::default();
        let put = |parcels: &mut Parcels, n: u32| {
            let content = Content::Message(Box::new(Message::Have(n)));
            parcels.insert(content, Size::of(n)).parcel().unwrap()
        };
        let places: Vec<u32> = (0..4).map(|n| put(&mut parcels, n)).collect();
        assert_eq!(places, [0, 1, 2, 3]);
        for n in [1, 3] {
            assert_eq!(parcels[n].size(), Size::of(n));
            let Content::Message(message) = parcels.take(n).content else { panic!() };
            assert_eq!(*message, Message::Have(n));
        }
        let again: Vec<u32> = (4..7).map(|n| put(&mut parcels, n)).collect();
        assert_eq!(again, [3, 1, 4], "the last one first");
    }
}
