//! The event queue: everything that is to happen, in the one order that a run has.
//!
//! The order is (time, source host, class, connection, number within that connection): it says what an
//! event is, never when it was made or where it lay, so that a queue of another kind, or several queues on
//! several threads, give the same run.
//!
//! The structure is a calendar: a wheel of buckets, each a slot of time, and a heap for what lies beyond the
//! wheel's reach. A bucket is a list of chunks of one table, which are used again, the last one first, so that they
//! stay in the cache, and nothing is allocated once a run has come to its size. It is sorted when its time comes. What is
//! put into the slot that is under way goes to its place there if that is near, and else into a heap: a swarm that begins
//! at one moment has millions of events in a slot, and to make room between them for one takes as long as they are many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What kind of event; its number is its rank among events of one moment and one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// A peer joins.
    Join,
    /// Somebody dials.
    Dial,
    /// A dial is answered.
    Answer,
    /// The last byte of a parcel reaches the receiver's downlink.
    Arrive,
    /// A parcel has passed the downlink.
    Deliver,
    /// The uplink has sent what it was given.
    LinkFree,
    /// The transport lets a connection send again.
    FlowReady,
    /// The other end has closed.
    Closed,
    /// A piece is hashed.
    Hashed,
    /// An announce reaches the tracker.
    Announce,
    /// The tracker's reply reaches the peer.
    Reply,
    /// The peer's own deadline.
    Timer,
    /// The peer leaves.
    Leave,
    /// A fault befalls the peer.
    Fault,
    /// A slow disk has read a block.
    Disk,
}

const CLASSES: [Class; 15] = [
    Class::Join,
    Class::Dial,
    Class::Answer,
    Class::Arrive,
    Class::Deliver,
    Class::LinkFree,
    Class::FlowReady,
    Class::Closed,
    Class::Hashed,
    Class::Announce,
    Class::Reply,
    Class::Timer,
    Class::Leave,
    Class::Fault,
    Class::Disk,
];

/// Something that happens to `dst` at `time`. 32 bytes, plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Nanoseconds of simulated time.
    pub time: u64,
    /// The host that caused it.
    pub src: u32,
    /// Class in the upper 8 bits, the source's connection in the lower 24.
    class_conn: u32,
    /// Number within the source's connection.
    pub number: u32,
    /// The host it happens to.
    pub dst: u32,
    /// The receiver's connection, or whatever the class says.
    pub to: u32,
    /// A parcel, or whatever the class says.
    pub arg: u32,
}

impl Event {
    /// The most connections of one host: 2²⁴.
    pub const MAX_CONN: u32 = 1 << 24;

    /// No event: what an empty place holds.
    const NEVER: Self = Self { time: u64::MAX, src: 0, class_conn: 0, number: 0, dst: 0, to: 0, arg: 0 };

    pub fn new(time: u64, src: u32, class: Class, conn: u32, number: u32, dst: u32) -> Self {
        debug_assert!(conn < Self::MAX_CONN);
        Self { time, src, class_conn: (class as u32) << 24 | conn, number, dst, to: 0, arg: 0 }
    }

    pub fn with(self, to: u32, arg: u32) -> Self {
        Self { to, arg, ..self }
    }

    pub fn class(&self) -> Class {
        CLASSES[(self.class_conn >> 24) as usize]
    }

    /// The source's connection.
    pub fn conn(&self) -> u32 {
        self.class_conn & (Self::MAX_CONN - 1)
    }

    fn key(&self) -> (u64, u64, u32) {
        (self.time, u64::from(self.src) << 32 | u64::from(self.class_conn), self.number)
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Buckets in the wheel.
const BUCKETS: usize = 1024;
/// Events in a chunk, as many as the bits of [`End`] can say: with its head it is four cache lines.
const CHUNK: usize = (1 << End::BITS) - 1;
/// Events that are moved to make room for one.
const NEAR: usize = 32;
/// No chunk.
const NONE: u32 = u32::MAX;

/// A part of a bucket. All are full but the last, whose length the wheel has.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Chunk {
    /// The part of the bucket before it, or the next chunk that is in none.
    next: u32,
    events: [Event; CHUNK],
}

impl Chunk {
    const EMPTY: Self = Self { next: NONE, events: [Event::NEVER; CHUNK] };
}

/// Where the next event of a bucket goes: the number of its last chunk, and in the lowest bits the events in that.
#[derive(Clone, Copy, Debug)]
struct End(u32);

impl End {
    const BITS: u32 = 3;
    /// Of a bucket without events: its last chunk is full, and does not exist.
    const EMPTY: Self = Self(u32::MAX);

    fn chunk(self) -> u32 {
        self.0 >> Self::BITS
    }

    fn len(self) -> usize {
        (self.0 & ((1 << Self::BITS) - 1)) as usize
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    /// log2 of a bucket's width in nanoseconds.
    shift: u32,
    /// The slot of time that `current` holds; earlier ones are past.
    slot: u64,
    /// What is due in the current slot (and before), latest first.
    current: Vec<Event>,
    /// What is due there too, but was put in when it was under way, with more than [`NEAR`] others before it.
    late: BinaryHeap<Reverse<Event>>,
    /// The end of each bucket.
    wheel: Box<[End; BUCKETS]>,
    chunks: Vec<Chunk>,
    /// The first chunk that is in no bucket.
    free: u32,
    /// One bit for each bucket that is not empty.
    occupied: [u64; BUCKETS / 64],
    far: BinaryHeap<Reverse<Event>>,
}

impl Queue {
    /// A queue for about `hosts` hosts: the busier, the narrower its buckets.
    pub fn new(hosts: usize) -> Self {
        let shift = if hosts > 20_000 { 18 } else { 20 };
        Self {
            shift,
            slot: 0,
            current: Vec::new(),
            late: BinaryHeap::new(),
            wheel: Box::new([End::EMPTY; BUCKETS]),
            chunks: Vec::new(),
            free: NONE,
            occupied: [0; BUCKETS / 64],
            far: BinaryHeap::new(),
        }
    }

    pub fn push(&mut self, event: Event) {
        let slot = event.time >> self.shift;
        if slot <= self.slot {
            // Latest first: the new event goes behind all that are later.
            let first = self.current.len().saturating_sub(NEAR);
            if first == 0 || self.current[first] > event {
                let at = first + self.current[first..].partition_point(|other| *other > event);
                self.current.insert(at, event);
            } else {
                self.late.push(Reverse(event));
            }
        } else if slot - self.slot < BUCKETS as u64 {
            self.put(slot, event);
        } else {
            self.far.push(Reverse(event));
        }
    }

    fn put(&mut self, slot: u64, event: Event) {
        let bucket = slot as usize % BUCKETS;
        let mut end = self.wheel[bucket];
        if end.len() == CHUNK {
            end = self.new_chunk(end);
            self.occupied[bucket / 64] |= 1 << (bucket % 64);
        }
        self.chunks[end.chunk() as usize].events[end.len() % CHUNK] = event;
        self.wheel[bucket] = End(end.0 + 1);
    }

    /// An empty chunk behind the one that ends at `last`.
    fn new_chunk(&mut self, last: End) -> End {
        let at = match self.chunks.get(self.free as usize) {
            Some(chunk) => std::mem::replace(&mut self.free, chunk.next),
            None => {
                self.chunks.push(Chunk::EMPTY);
                self.chunks.len() as u32 - 1
            }
        };
        self.chunks[at as usize].next = last.chunk();
        End(at << End::BITS)
    }

    /// The earliest event.
    #[inline]
    pub fn peek(&mut self) -> Option<&Event> {
        if self.current.is_empty() && self.late.is_empty() {
            self.advance();
        }
        match self.late.peek() {
            Some(Reverse(late)) => Some(self.current.last().map_or(late, |event| event.min(late))),
            None => self.current.last(),
        }
    }

    /// The earliest event, if its time is below `limit`.
    #[inline]
    pub fn pop_before(&mut self, limit: u64) -> Option<Event> {
        if !self.late.is_empty() {
            return self.pop_of_both(limit);
        }
        if self.current.is_empty() {
            self.advance();
        }
        self.current.pop_if(|event| event.time < limit)
    }

    /// The same where something has come late into the slot.
    #[inline(never)]
    fn pop_of_both(&mut self, limit: u64) -> Option<Event> {
        let event = *self.peek()?;
        if event.time >= limit {
            return None;
        }
        if self.late.peek().is_some_and(|Reverse(late)| *late == event) {
            self.late.pop();
        } else {
            self.current.pop();
        }
        Some(event)
    }

    /// The slot of time that is under way.
    #[inline]
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// The event that is `ahead` places behind the earliest, if it is in the same slot.
    #[inline]
    pub fn ahead(&self, ahead: usize) -> Option<&Event> {
        self.current.len().checked_sub(1 + ahead).and_then(|at| self.current.get(at))
    }

    /// Makes the next slot that has an event the current one.
    fn advance(&mut self) {
        let far = self.far.peek().map(|Reverse(event)| event.time >> self.shift);
        let near = self.next_occupied();
        let next = match (near, far) {
            (Some(near), Some(far)) => near.min(far),
            (Some(slot), None) | (None, Some(slot)) => slot,
            (None, None) => return,
        };
        self.slot = next;
        while let Some(Reverse(event)) = self.far.peek().copied() {
            let slot = event.time >> self.shift;
            if slot - next >= BUCKETS as u64 {
                break;
            }
            self.far.pop();
            self.put(slot, event);
        }
        let bucket = next as usize % BUCKETS;
        let end = std::mem::replace(&mut self.wheel[bucket], End::EMPTY);
        let (mut at, mut len) = (end.chunk(), end.len());
        while let Some(chunk) = self.chunks.get_mut(at as usize) {
            self.current.extend_from_slice(&chunk.events[..len.min(CHUNK)]);
            len = CHUNK;
            let next = std::mem::replace(&mut chunk.next, self.free);
            self.free = std::mem::replace(&mut at, next);
        }
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        self.current.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The first slot after the current one whose bucket holds something, if any does.
    fn next_occupied(&self) -> Option<u64> {
        let start = (self.slot + 1) as usize % BUCKETS;
        let words = self.occupied.len();
        for i in 0..=words {
            let word = (start / 64 + i) % words;
            let mut bits = self.occupied[word];
            if i == 0 {
                bits &= !0 << (start % 64);
            } else if i == words {
                bits &= !(!0 << (start % 64));
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                return Some(self.slot + 1 + ((bucket + BUCKETS - start) % BUCKETS) as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn an_event_is_half_a_cache_line() {
        assert_eq!(std::mem::size_of::<Event>(), 32);
    }

    fn event(time: u64, src: u32, class: u8, conn: u32, number: u32) -> Event {
        Event::new(time, src, CLASSES[class as usize % CLASSES.len()], conn, number, 0)
    }

    /// What says when it is due; source, class, connection, number; and how many are taken after it.
    type Step = (u64, u32, u8, u32, u32, usize);

    /// The queue gives what a sorted list would; `delay` makes the time from the last that was taken of what says when.
    /// Returns the most that came late into a slot with many.
    fn gives_what_a_list_would(steps: Vec<Step>, delay: impl Fn(u64) -> u64) -> Result<usize, TestCaseError> {
        let mut queue = Queue::new(10);
        let mut model = std::collections::BTreeSet::new();
        let (mut now, mut late) = (0, 0);
        for (when, src, class, conn, number, pops) in steps {
            let new = event(now + delay(when), src, class, conn, number);
            if model.insert(new) {
                queue.push(new);
            }
            late = late.max(queue.late.len());
            for _ in 0..pops {
                let expected = model.pop_first();
                prop_assert_eq!(queue.pop_before(u64::MAX), expected);
                now = expected.map_or(now, |event| event.time);
            }
        }
        while let Some(expected) = model.pop_first() {
            prop_assert_eq!(queue.peek(), Some(&expected));
            prop_assert_eq!(queue.pop_before(expected.time), None);
            prop_assert_eq!(queue.pop_before(u64::MAX), Some(expected));
        }
        prop_assert_eq!(queue.pop_before(u64::MAX), None);
        Ok(late)
    }

    proptest! {
        /// Mostly near, sometimes far, as in a run.
        #[test]
        fn pops_in_key_order(
            steps in vec((0u64..40_000_000_000, 0u32..4, 0u8..13, 0u32..3, 0u32..3, 0usize..4), 1..400),
        ) {
            gives_what_a_list_would(steps, |when| if when % 5 == 0 { when } else { when % 3_000_000 })?;
        }

        /// Hundreds in a slot, at few moments of it, as where a swarm begins at once.
        #[test]
        fn a_slot_that_is_full_keeps_its_order(
            steps in vec((0u64..8, 0u32..400, 0u8..13, 0u32..3, 0u32..3, 0usize..2), 300..600),
        ) {
            let late = gives_what_a_list_would(steps, |when| when * 2_000)?;
            prop_assert!(late > 0, "nothing came late");
        }
    }
}
