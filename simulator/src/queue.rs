//! The event queue: everything that is to happen, in the one order that a host has.
//!
//! The order of what happens to a host is (time, source host, class, connection, number within that connection): it says
//! what an event is, never when it was made or where it lay, so that a queue of another kind, or several queues on
//! several threads, give the same run.
//!
//! Of two hosts the order is nobody's business while neither can act on the other. Time is cut into slots that are no
//! longer than the least latency: what a host does in one reaches others in a later one. So the events of a slot are given
//! out host by host, each host's in their order, and a host's memory is fetched once for all that happens to it in a slot.
//! Those who look on at all hosts want one order, that of time ([`Queue::in_order_of_time`]).
//!
//! The structure is a calendar: a wheel of buckets, each a slot of time, and a heap for what lies beyond the
//! wheel's reach. A bucket is a list of chunks of one table, which are used again, the last one first, so that they
//! stay in the cache, and nothing is allocated once a run has come to its size. Its events are dealt out by host when its
//! time comes, and a host's are sorted when its turn does. What a host causes for itself in the slot that is under way
//! goes to its place there if that is near, and else into a heap: a host that many dial at one moment has very many events
//! in a slot, and to make room between them for one takes as long as they are many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::event::Event;
use crate::partition::Partition;

/// Buckets in the wheel.
const BUCKETS: usize = 1024;
/// Slots after those begun whose events are in the wheel: one fewer than it has buckets, as the last slot begun may be
/// left under way.
const REACH: u64 = BUCKETS as u64 - 1;
/// Events in a chunk, as many as the bits of [`End`] can say: with its head it is eight cache lines.
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
    const BITS: u32 = 4;
    /// Of a bucket without events: its last chunk is full, and does not exist.
    const EMPTY: Self = Self(u32::MAX);

    fn chunk(self) -> u32 {
        self.0 >> Self::BITS
    }

    fn len(self) -> usize {
        (self.0 & ((1 << Self::BITS) - 1)) as usize
    }
}

/// Time cut into slots of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// In units of 2¹⁶ ns: 2 to [`Self::LONGEST`].
    length: u64,
    /// 2⁶⁴ by the length, rounded up: to multiply takes less than to divide. With a time below 2⁴⁸ units and a length below
    /// 2¹⁶ what is rounded adds less than the least fraction that a quotient can lack.
    inverse: u64,
}

impl Slots {
    const UNIT: u32 = 16;
    /// 4.3 s.
    const LONGEST: u64 = (1 << 16) - 1;

    /// Slots as long as may be, 4.3 s at the most, and not longer than `most` nanoseconds if those are 2¹⁷, an eighth of a
    /// millisecond, or more.
    pub fn new(most: u64) -> Self {
        let length = (most >> Self::UNIT).clamp(2, Self::LONGEST);
        Self { length, inverse: u64::MAX / length + 1 }
    }

    /// The slot of a time in nanoseconds.
    #[inline]
    pub fn of(self, time: u64) -> u64 {
        ((u128::from(time >> Self::UNIT) * u128::from(self.inverse)) >> 64) as u64
    }

    /// When a slot begins, nanoseconds.
    #[inline]
    pub fn start(self, slot: u64) -> u64 {
        slot.saturating_mul(self.length).saturating_mul(1 << Self::UNIT)
    }

    /// When the slot of a time ends, nanoseconds.
    pub fn end_of(self, time: u64) -> u64 {
        self.start(self.of(time) + 1)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    slots: Slots,
    partition: Partition,
    by_host: bool,
    /// The slots before this one are past, or under way.
    begun: u64,
    /// The events of the slot under way, those of one host after those of another.
    dealt: Vec<Event>,
    /// The hosts that have any, in the order of their turns, by their places in the shard, and where in `dealt` their
    /// events end.
    turns: Vec<(u32, u32)>,
    /// The number of the next turn.
    turn: usize,
    /// What is due at the host whose turn it is, latest first.
    current: Vec<Event>,
    /// What is due there too, but was put in when it had its turn, with more than [`NEAR`] others before it.
    late: BinaryHeap<Reverse<Event>>,
    /// For each host of the shard where the next of its events goes, while those of a slot are dealt out; else 0.
    ends: Vec<u32>,
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
    /// A queue for the `hosts` hosts, and perhaps a tracker, of one part of `partition`.
    pub fn new(partition: Partition, hosts: usize, slots: Slots) -> Self {
        Self {
            slots,
            partition,
            by_host: true,
            begun: 0,
            dealt: Vec::new(),
            turns: Vec::new(),
            turn: 0,
            current: Vec::new(),
            late: BinaryHeap::new(),
            ends: vec![0; hosts + 1],
            wheel: Box::new([End::EMPTY; BUCKETS]),
            chunks: Vec::new(),
            free: NONE,
            occupied: [0; BUCKETS / 64],
            far: BinaryHeap::new(),
        }
    }

    /// From now on the events of all hosts come in one order, that of their keys.
    pub fn in_order_of_time(&mut self) {
        self.by_host = false;
    }

    /// Where the events of a slot are dealt out to, for `event`.
    #[inline]
    fn heap_of(&self, event: &Event) -> usize {
        if self.by_host { self.partition.place(event.dst) } else { 0 }
    }

    // Inline, as `put` is: the fields of an event go from where they are computed to the bucket. An event that is put
    // together on the stack and copied has the processor wait until what it has just written has left for the cache.
    #[inline(always)]
    pub fn push(&mut self, event: Event) {
        let slot = self.slots.of(event.time);
        if slot >= self.begun && slot - self.begun < REACH {
            self.put(slot, event);
        } else {
            let (time, cause, whom, what) = event.words();
            self.push_apart(time, cause, whom, what);
        }
    }

    /// Puts in what goes in no bucket.
    #[inline(never)]
    fn push_apart(&mut self, time: u64, cause: u64, whom: u64, what: u64) {
        let event = Event::of_words((time, cause, whom, what));
        if self.slots.of(event.time) < self.begun {
            self.push_current(event);
        } else {
            self.far.push(Reverse(event));
        }
    }

    /// Puts in what is due in the slot under way at the host whose turn it is.
    fn push_current(&mut self, event: Event) {
        // Latest first: the new event goes behind all that are later.
        let first = self.current.len().saturating_sub(NEAR);
        if first == 0 || self.current[first] > event {
            let at = first + self.current[first..].partition_point(|other| *other > event);
            self.current.insert(at, event);
        } else {
            self.late.push(Reverse(event));
        }
    }

    #[inline(always)]
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
    #[inline(never)]
    fn new_chunk(&mut self, last: End) -> End {
        let at = match self.chunks.get(self.free as usize) {
            Some(chunk) => {
                let at = std::mem::replace(&mut self.free, chunk.next);
                // It will be wanted before long, and was let go a slot ago.
                prefetch::element(&self.chunks, self.free as usize);
                at
            }
            None => {
                self.chunks.push(Chunk::EMPTY);
                self.chunks.len() as u32 - 1
            }
        };
        self.chunks[at as usize].next = last.chunk();
        End(at << End::BITS)
    }

    /// All that is in it, in no order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        let chunks = self.wheel.iter().flat_map(|end| {
            let last = self.chunks.get(end.chunk() as usize).map(|chunk| (chunk, end.len()));
            std::iter::successors(last, |(chunk, _)| {
                self.chunks.get(chunk.next as usize).map(|before| (before, CHUNK))
            })
        });
        let near = chunks.flat_map(|(chunk, len)| &chunk.events[..len]);
        let turns = self.turn.checked_sub(1).map_or(0, |last| self.turns[last].1 as usize);
        let dealt = self.turns.last().map_or(0, |(_, end)| *end as usize);
        let heaps = self.far.iter().chain(&self.late).map(|Reverse(event)| event);
        near.chain(&self.dealt[turns..dealt]).chain(&self.current).chain(heaps)
    }

    /// A time that no event is before, and some event in the same slot.
    pub fn next(&self) -> Option<u64> {
        self.next_slot().map(|slot| self.slots.start(slot))
    }

    /// The next event that is due before `limit`: of the host whose turn it is, or of the next one, or of the next slot.
    /// Once there is none, those of any host may be put in again that are due at `limit` or later.
    #[inline]
    pub fn pop_before(&mut self, limit: u64) -> Option<Event> {
        loop {
            if !self.late.is_empty() {
                if let Some(event) = self.pop_of_both(limit) {
                    return Some(event);
                }
            } else if let Some(event) = self.current.pop_if(|event| event.time < limit) {
                return Some(event);
            }
            if !self.next_host() && !self.next_bucket(limit) {
                return None;
            }
        }
    }

    /// The next event of the host whose turn it is where something has come late.
    #[inline(never)]
    fn pop_of_both(&mut self, limit: u64) -> Option<Event> {
        let late = self.late.peek().map(|Reverse(late)| *late)?;
        if self.current.last().is_some_and(|event| *event < late) {
            return self.current.pop_if(|event| event.time < limit);
        }
        if late.time >= limit {
            return None;
        }
        self.late.pop();
        Some(late)
    }

    /// Gives the turn to the next host that has events in the slot under way, if there is one; what the last one has left
    /// waits in its bucket.
    fn next_host(&mut self) -> bool {
        while let Some(event) = self.current.pop().or_else(|| self.late.pop().map(|Reverse(late)| late)) {
            self.put(self.slots.of(event.time), event);
        }
        let Some((_, events)) = self.events_of(self.turn) else { return false };
        sort_into(&mut self.current, &self.dealt[events]);
        self.turn += 1;
        true
    }

    /// The host of a turn of the slot under way, and where its events are.
    #[inline]
    fn events_of(&self, turn: usize) -> Option<(u32, Range<usize>)> {
        let (host, end) = *self.turns.get(turn)?;
        let start = turn.checked_sub(1).map_or(0, |before| self.turns[before].1);
        Some((host, start as usize..end as usize))
    }

    /// The slot under way, and the number of the next turn in it.
    #[inline]
    pub fn turn(&self) -> (u64, usize) {
        (self.begun, self.turn)
    }

    /// The host that has a turn of the slot under way, by its place in the shard, and what is known to be due there.
    #[inline]
    pub fn ahead(&self, turn: usize) -> Option<(usize, &[Event])> {
        let (host, events) = self.events_of(turn)?;
        Some((host as usize, &self.dealt[events]))
    }

    /// The first slot that has an event.
    fn next_slot(&self) -> Option<u64> {
        let far = self.far.peek().map(|Reverse(event)| self.slots.of(event.time));
        let near = self.next_occupied();
        near.into_iter().chain(far).min()
    }

    /// Begins the next slot that has an event, if it begins before `limit` and is not the one that ends there.
    fn next_bucket(&mut self, limit: u64) -> bool {
        let last = self.slots.of(limit);
        if self.begun > last {
            // It was under way: what is left of it is due later.
            debug_assert_eq!(self.begun, last + 1, "limits do not go back");
            self.begun = last;
            return false;
        }
        let Some(next) = self.next_slot().filter(|slot| self.slots.start(*slot) < limit) else {
            return false;
        };
        self.begun = next + 1;
        while let Some(Reverse(event)) = self.far.peek().copied() {
            let slot = self.slots.of(event.time);
            if slot >= self.begun + REACH {
                break;
            }
            self.far.pop();
            self.put(slot, event);
        }
        let bucket = next as usize % BUCKETS;
        let end = std::mem::replace(&mut self.wheel[bucket], End::EMPTY);
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        self.deal(end);
        true
    }

    /// Deals the events of the bucket that ends at `end` out by host, and lets its chunks go.
    fn deal(&mut self, end: End) {
        self.turns.clear();
        self.turn = 0;
        let (mut at, mut len) = (end.chunk(), end.len());
        while let Some(chunk) = self.chunks.get(at as usize) {
            prefetch::element(&self.chunks, chunk.next as usize);
            for event in &chunk.events[..len] {
                let heap = self.heap_of(event);
                if self.ends[heap] == 0 {
                    self.turns.push((heap as u32, 0));
                }
                self.ends[heap] += 1;
            }
            (at, len) = (chunk.next, CHUNK);
        }
        let mut sum = 0;
        for (host, _) in &self.turns {
            let events = std::mem::replace(&mut self.ends[*host as usize], sum);
            sum += events;
        }
        let events = sum as usize;
        if self.dealt.len() < events {
            self.dealt.reserve_exact(events - self.dealt.len());
            self.dealt.resize(events, Event::NEVER);
        }
        let (mut at, mut len) = (end.chunk(), end.len());
        while let Some(chunk) = self.chunks.get(at as usize) {
            prefetch::element(&self.chunks, chunk.next as usize);
            for event in &chunk.events[..len] {
                let heap = self.heap_of(event);
                self.dealt[self.ends[heap] as usize] = *event;
                self.ends[heap] += 1;
            }
            let next = chunk.next;
            self.chunks[at as usize].next = std::mem::replace(&mut self.free, at);
            (at, len) = (next, CHUNK);
        }
        for (host, end) in &mut self.turns {
            *end = std::mem::take(&mut self.ends[*host as usize]);
        }
    }

    /// The first slot that has not begun whose bucket holds something, if any does.
    fn next_occupied(&self) -> Option<u64> {
        let start = self.begun as usize % BUCKETS;
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
                return Some(self.begun + ((bucket + BUCKETS - start) % BUCKETS) as u64);
            }
        }
        None
    }
}

/// Events that are sorted by counting, for each, how many are later. As many as a host mostly has in a turn; their times
/// are anybody's guess, and the processor would guess wrong at every other step of a sort that compares and branches.
const FEW: usize = 8;

/// Puts `events` into `sorted`, which is empty, latest first.
#[inline]
fn sort_into(sorted: &mut Vec<Event>, events: &[Event]) {
    debug_assert!(sorted.is_empty());
    sorted.extend_from_slice(events);
    if events.len() > FEW {
        return sorted.sort_unstable_by(|a, b| b.cmp(a));
    }
    let mut places = [0u8; FEW];
    for (i, event) in events.iter().enumerate() {
        for (j, other) in events[..i].iter().enumerate() {
            // Of one moment there are seldom two.
            let later = if event.time == other.time { event > other } else { event.time > other.time };
            places[j] += u8::from(later);
            places[i] += u8::from(!later);
        }
    }
    // Each read where it was written, a byte: all at once would have to wait.
    for (event, place) in events.iter().zip(&places) {
        sorted[usize::from(*place)] = *event;
    }
}

#[cfg(test)]
mod tests;
