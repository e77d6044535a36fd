//! The event queue: everything that is to happen, in the one order that a run has.
//!
//! The order is (time, source host, class, connection, number within that connection): it says what an
//! event is, never when it was made or where it lay, so that a queue of another kind, or several queues on
//! several threads, give the same run.
//!
//! The structure is a calendar: a wheel of buckets, each a slot of time, and a heap for what lies beyond the
//! wheel's reach. A bucket is sorted when its time comes; buffers of empty buckets are used again.

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
}

const CLASSES: [Class; 13] = [
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

/// About how many buckets what is pending is spread over: tens of milliseconds of latency and of links.
const SPREAD: usize = 64;
/// Room that no buffer is too large for.
const LEAST: usize = 8;
/// Buckets in the wheel.
const BUCKETS: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    /// log2 of a bucket's width in nanoseconds.
    shift: u32,
    /// The slot of time that `current` holds; earlier ones are past.
    slot: u64,
    /// What is due in the current slot (and before), latest first.
    current: Vec<Event>,
    wheel: Vec<Vec<Event>>,
    /// One bit for each bucket that is not empty.
    occupied: Vec<u64>,
    /// Events in the wheel.
    in_wheel: usize,
    far: BinaryHeap<Reverse<Event>>,
    /// Buffers of emptied buckets.
    spare: Vec<Vec<Event>>,
}

impl Queue {
    /// A queue for about `hosts` hosts: the busier, the narrower its buckets.
    pub fn new(hosts: usize) -> Self {
        let shift = if hosts > 20_000 { 18 } else { 20 };
        Self {
            shift,
            slot: 0,
            current: Vec::new(),
            wheel: vec![Vec::new(); BUCKETS],
            occupied: vec![0; BUCKETS / 64],
            in_wheel: 0,
            far: BinaryHeap::new(),
            spare: Vec::new(),
        }
    }

    pub fn push(&mut self, event: Event) {
        let slot = event.time >> self.shift;
        if slot <= self.slot {
            // Latest first: the new event goes behind all that are later.
            let at = self.current.partition_point(|other| *other > event);
            self.current.insert(at, event);
        } else if slot - self.slot < BUCKETS as u64 {
            self.put(slot, event);
        } else {
            self.far.push(Reverse(event));
        }
    }

    fn put(&mut self, slot: u64, event: Event) {
        let bucket = slot as usize % BUCKETS;
        let events = &mut self.wheel[bucket];
        if events.capacity() == 0 {
            *events = self.spare.pop().unwrap_or_default();
        }
        events.push(event);
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.in_wheel += 1;
    }

    /// The earliest event.
    #[inline]
    pub fn peek(&mut self) -> Option<&Event> {
        if self.current.is_empty() {
            self.advance();
        }
        self.current.last()
    }

    /// The earliest event, if its time is below `limit`.
    pub fn pop_before(&mut self, limit: u64) -> Option<Event> {
        let event = *self.peek()?;
        if event.time >= limit {
            return None;
        }
        self.current.pop();
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
        let near = (self.in_wheel > 0).then(|| self.next_occupied());
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
        let empty = std::mem::replace(&mut self.current, std::mem::take(&mut self.wheel[bucket]));
        // A buffer that a burst has grown would lie about nearly empty from then on.
        let usual = 4 * (self.in_wheel / SPREAD + LEAST);
        if empty.capacity() > 0 && empty.capacity() <= usual {
            self.spare.push(empty);
        }
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        self.in_wheel -= self.current.len();
        self.current.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The first slot after the current one whose bucket holds something.
    fn next_occupied(&self) -> u64 {
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
                return self.slot + 1 + ((bucket + BUCKETS - start) % BUCKETS) as u64;
            }
        }
        debug_assert!(false, "the wheel's count and its buckets disagree");
        self.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_event_is_half_a_cache_line() {
        assert_eq!(std::mem::size_of::<Event>(), 32);
    }

    fn event(time: u64, src: u32, class: u8, conn: u32, number: u32) -> Event {
        Event::new(time, src, CLASSES[class as usize % CLASSES.len()], conn, number, 0)
    }

    proptest! {
        /// Whatever is pushed when, the queue pops what a sorted list would.
        #[test]
        fn pops_in_key_order(steps in prop::collection::vec((0u64..40_000_000_000, 0u32..4, 0u8..13, 0u32..3, 0u32..3, 0usize..4), 1..400)) {
            let mut queue = Queue::new(10);
            let mut model = std::collections::BTreeSet::new();
            let mut now = 0;
            for (delay, src, class, conn, number, pops) in steps {
                // Mostly near, sometimes far, as in a run.
                let delay = if delay % 5 == 0 { delay } else { delay % 3_000_000 };
                let new = event(now + delay, src, class, conn, number);
                if model.insert(new) {
                    queue.push(new);
                }
                for _ in 0..pops {
                    let expected = model.pop_first();
                    prop_assert_eq!(queue.pop_before(u64::MAX), expected);
                    now = expected.map_or(now, |event| event.time);
                }
            }
            while let Some(expected) = model.pop_first() {
                prop_assert_eq!(queue.pop_before(u64::MAX), Some(expected));
            }
            prop_assert_eq!(queue.pop_before(u64::MAX), None);
        }
    }
}
