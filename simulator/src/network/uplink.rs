//! An access uplink: one load at a time at the link's rate, deficit round robin over the connections that
//! have something queued (Shreedhar and Varghese 1995): work-conserving, fair, in order within a connection,
//! O(1) a load.
//!
//! A connection that becomes backlogged with small messages goes once to the head of the round, so that a
//! request does not wait behind other connections' blocks; it does wait behind the blocks of its own. A
//! service is a run of small loads and at most one block, however short, that ends it, committed together:
//! one event when the link is free again.

use std::collections::VecDeque;

use engine::chain::{Chain, Pool};

use crate::load::{Load, Size};
use crate::parcel::Parcels;

use super::rate::Rate;

/// What a connection may send in its turn: one block message.
const QUANTUM: u32 = 16 * 1024 + 13;
/// Loads up to this size are small, unless they carry a block: they fit one packet.
const SMALL: u32 = 1400;

/// Turns at the link that are looked at before they come.
const AHEAD: usize = 4;

/// Where a lane waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Place {
    /// Nowhere: it has nothing queued.
    #[default]
    Idle,
    /// In the round, or at its head.
    Listed,
    /// For the transport to let it send.
    Parked,
}

/// The queue of one connection: half a cache line.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// [`Load::NONE`] if nothing is queued.
    first: Load,
    size: Size,
    /// Those behind the first.
    rest: Chain,
    deficit: u32,
    place: Place,
    ready_at: u64,
}

impl Default for Lane {
    fn default() -> Self {
        let (first, size, rest) = (Load::NONE, Size::of(0), Chain::default());
        Self { first, size, rest, deficit: 0, place: Place::Idle, ready_at: 0 }
    }
}

impl Lane {
    /// The size of what is first.
    #[inline]
    fn head(&self) -> Option<Size> {
        (self.first != Load::NONE).then_some(self.size)
    }

    /// Whether it may send, as it is its turn; it is parked if its transport does not let it.
    #[inline]
    fn admit(&mut self, lane: u32, now: u64, host: &mut impl Sender) -> bool {
        if self.ready_at <= now {
            return true;
        }
        self.place = Place::Parked;
        host.park(lane, self.ready_at);
        false
    }

    /// Sends what is first. Returns when the link is free again.
    #[inline]
    fn transmit(
        &mut self,
        lane: u32,
        rest: &mut Pool<(Load, Size)>,
        rate: Rate,
        start: u64,
        host: &mut impl Sender,
    ) -> u64 {
        let (load, size) = (self.first, self.size);
        (self.first, self.size) = rest.pop_front(&mut self.rest).unwrap_or((Load::NONE, Size::of(0)));
        let finish = start + rate.takes(size.bytes());
        self.ready_at = host.send(lane, load, size, start, finish);
        finish
    }

    /// Its turn is over: whether it has more to send, and is to go back into the round.
    #[inline]
    fn end_turn(&mut self) -> bool {
        let more = self.first != Load::NONE;
        if !more {
            self.deficit = 0;
            self.place = Place::Idle;
        }
        more
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Uplink {
    rate: Rate,
    busy: bool,
    lanes: Vec<Lane>,
    /// What is queued behind the first of each lane.
    rest: Pool<(Load, Size)>,
    express: VecDeque<u32>,
    round: VecDeque<u32>,
}

/// What a service asks of the host.
pub(crate) trait Sender {
    /// The load, of this size, goes into the link from `start` to `finish`. Returns when the connection may send again.
    fn send(&mut self, lane: u32, load: Load, size: Size, start: u64, finish: u64) -> u64;
    /// The connection may not send before `at`: [`Uplink::resume`] is to be called then.
    fn park(&mut self, lane: u32, at: u64);
    /// A connection may be next to send: what that needs may be asked for.
    fn foresee(&self, lane: u32) {
        let _ = lane;
    }
}

fn is_small(size: Size) -> bool {
    size.bytes() <= SMALL && size.payload() == 0
}

impl Uplink {
    /// An idle link of `rate` bytes a second.
    pub fn new(rate: u64) -> Self {
        let (lanes, rest) = (Vec::new(), Pool::default());
        let rate = Rate::new(rate);
        Self { rate, busy: false, lanes, rest, express: VecDeque::new(), round: VecDeque::new() }
    }

    /// Whether a service could be started.
    pub fn has_work(&self) -> bool {
        !self.busy && (!self.express.is_empty() || !self.round.is_empty())
    }

    /// Asks for the memory that says whose turn is next, and where more can be queued.
    #[inline]
    pub fn prefetch_next(&self) {
        self.rest.prefetch_free();
        self.express.front().into_iter().chain(self.round.front()).for_each(prefetch::value);
    }

    /// Asks for the memory of a connection's queue.
    #[inline]
    pub fn prefetch(&self, lane: u32) {
        prefetch::known(&self.lanes, lane as usize);
    }

    /// The connections whose turns are next, as far as that is known.
    #[inline]
    pub fn next(&self) -> impl Iterator<Item = u32> {
        let express = self.express.iter().take(AHEAD + 1);
        express.chain(self.round.front()).copied()
    }

    /// Asks for the memory of what is queued behind a connection's first.
    #[inline]
    pub fn prefetch_rest(&self, lane: u32) {
        if let Some(lane) = self.lanes.get(lane as usize) {
            self.rest.prefetch(lane.rest);
        }
    }

    /// Makes room for a lane, for its turn in any of the rounds, and for three loads behind its first.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, lane: u32) {
        self.lanes.reserve_exact((lane as usize + 1 - self.lanes.len()).max(4));
        self.lanes.resize_with(lane as usize + 1, Lane::default);
        let lanes = self.lanes.capacity();
        self.express.reserve_exact(lanes - self.express.len());
        self.round.reserve_exact(lanes - self.round.len());
        self.rest.expect(3 * lanes);
    }

    /// Queues a load of a size on a connection.
    pub fn enqueue(&mut self, lane: u32, load: Load, size: Size) {
        if lane as usize >= self.lanes.len() {
            self.make_room(lane);
        }
        let state = &mut self.lanes[lane as usize];
        if state.first == Load::NONE {
            (state.first, state.size) = (load, size);
        } else {
            self.rest.push_back(&mut state.rest, (load, size));
        }
        if state.place == Place::Idle {
            state.place = Place::Listed;
            if is_small(size) {
                self.express.push_back(lane);
            } else {
                self.round.push_back(lane);
            }
        }
    }

    /// The transport lets a parked connection send again.
    pub fn resume(&mut self, lane: u32) {
        if let Some(state) = self.lanes.get_mut(lane as usize).filter(|state| state.place == Place::Parked) {
            state.place = Place::Listed;
            self.round.push_back(lane);
        }
    }

    /// Drops all that a connection has queued, and forgets it.
    pub fn clear(&mut self, lane: u32, parcels: &mut Parcels) {
        let Some(state) = self.lanes.get_mut(lane as usize) else { return };
        let first = std::mem::replace(&mut state.first, Load::NONE);
        let rest = std::iter::from_fn(|| self.rest.pop_front(&mut state.rest));
        for parcel in std::iter::once(first).chain(rest.map(|(load, _)| load)).filter_map(Load::parcel) {
            parcels.take(parcel);
        }
        if state.place == Place::Listed {
            self.express.retain(|&other| other != lane);
            self.round.retain(|&other| other != lane);
        }
        *state = Lane::default();
    }

    /// Every connection has ended, and is [cleared](Self::clear): gives their memory back.
    pub fn forget(&mut self) {
        debug_assert!(self.lanes.iter().all(|lane| lane.place == Place::Idle && lane.head().is_none()));
        (self.lanes, self.rest) = (Vec::new(), Pool::default());
        (self.express, self.round) = (VecDeque::new(), VecDeque::new());
    }

    /// Whether it has memory for any connection.
    #[cfg(test)]
    pub fn has_room(&self) -> bool {
        let rounds = self.express.capacity() + self.round.capacity();
        self.lanes.capacity() + rounds > 0 || self.rest.footprint() > 0
    }

    /// The last service has ended.
    pub fn free(&mut self) {
        self.busy = false;
    }

    /// Starts a service, if the link is free and something may go: a run of small loads and at most one
    /// block. Returns when it ends.
    pub fn serve(&mut self, now: u64, host: &mut impl Sender) -> Option<u64> {
        if self.busy {
            return None;
        }
        let mut time = now;
        loop {
            if let Some(lane) = self.express.pop_front() {
                if let Some(&next) = self.express.get(AHEAD) {
                    self.prefetch(next);
                    host.foresee(next);
                }
                let state = &mut self.lanes[lane as usize];
                if state.admit(lane, time, host) {
                    while state.head().is_some_and(is_small) && state.ready_at <= time {
                        time = state.transmit(lane, &mut self.rest, self.rate, time, host);
                    }
                    if state.end_turn() {
                        self.round.push_back(lane);
                    }
                }
                continue;
            }
            let Some(lane) = self.round.pop_front() else { break };
            let state = &mut self.lanes[lane as usize];
            if !state.admit(lane, time, host) {
                continue;
            }
            let Some(first) = state.head() else {
                state.end_turn();
                continue;
            };
            let size = first.bytes();
            if state.deficit < size {
                state.deficit += QUANTUM;
            }
            if state.deficit < size {
                self.round.push_back(lane);
                continue;
            }
            state.deficit -= size;
            time = state.transmit(lane, &mut self.rest, self.rate, time, host);
            let again = state.head().is_some_and(|next| state.deficit >= next.bytes());
            if state.end_turn() {
                if again {
                    self.round.push_front(lane);
                } else {
                    self.round.push_back(lane);
                }
            }
            if !is_small(first) {
                break;
            }
        }
        self.busy = time > now;
        self.busy.then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use engine::Layout;
    use engine::wire::Message;

    use super::*;
    use crate::load::Notation;

    /// What went into the link: the lane, the load and when it was out.
    #[derive(Default)]
    struct Sent(Vec<(u32, Load, u64)>);

    impl Sender for Sent {
        fn send(&mut self, lane: u32, load: Load, _: Size, _: u64, finish: u64) -> u64 {
            self.0.push((lane, load, finish));
            0
        }
        fn park(&mut self, _: u32, _: u64) {}
    }

    #[test]
    fn what_ended_connections_took_is_given_back_and_the_link_goes_on() {
        let mut uplink = Uplink::new(1_000_000);
        let notation = Notation::new(&Layout::new(1, 1).unwrap());
        let load = notation.note(&Message::Have(0)).unwrap();
        let size = load.size(&Parcels::default());
        for lane in (0..40).flat_map(|lane| [lane; 5]) {
            uplink.enqueue(lane, load, size);
        }
        (0..40).for_each(|lane| uplink.clear(lane, &mut Parcels::default()));
        assert!(uplink.has_room());
        uplink.forget();
        assert!(!uplink.has_room());
        // The transport may still wake a connection that was there.
        uplink.resume(7);
        assert!(!uplink.has_work());
        uplink.enqueue(3, load, size);
        let mut sent = Sent::default();
        // Nine bytes at a microsecond each.
        assert_eq!(uplink.serve(5, &mut sent), Some(9_005));
        assert_eq!(sent.0, [(3, load, 9_005)]);
    }
}
