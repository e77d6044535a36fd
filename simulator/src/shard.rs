//! A part of the hosts with what they need to go on by themselves: a queue, a table of parcels, a tally. One thread
//! works on one shard; a run has one shard, or several ([`windows`](crate::windows)). Hosts of two shards act on each
//! other by [`Crossing`]s, which are handed over between windows of time that no latency is shorter than.

use std::collections::VecDeque;

use engine::Instant;
use engine::peer::{Input, Outputs};
use engine::rng::Rng;
use engine::tracker::{AnnounceRequest, Tracker};

use crate::context::{Context, Shared, Tally};
use crate::event::{Class, Event};
use crate::faults::Trouble;
use crate::host::Host;
use crate::host::ahead::Plan;
use crate::load::{Load, Notation, Size};
use crate::parcel::{Content, Parcel, Parcels};
use crate::partition::Partition;
use crate::queue::Queue;
use crate::watch::Tap;

/// So many hosts stay in the caches by themselves: nothing is to be asked for (in turns at 100 no difference was seen
/// but in instructions, of which it is one in seven).
const CACHED: usize = 128;

/// Turns, from the one under way on, whose events are known.
const PLANS: usize = 4;

/// An event for a host of another shard, with the parcel that it names.
#[derive(Debug)]
pub(crate) struct Crossing {
    pub event: Event,
    parcel: Option<Parcel>,
}

/// What leaves a shard for others.
#[derive(Debug)]
pub(crate) struct Outbox {
    partition: Partition,
    own: u32,
    /// For each shard.
    pub boxes: Vec<Vec<Crossing>>,
    /// The time of the earliest.
    pub earliest: u64,
}

impl Outbox {
    fn new(partition: Partition, own: u32) -> Self {
        let boxes = (0..partition.shards()).map(|_| Vec::new()).collect();
        Self { partition, own, boxes, earliest: u64::MAX }
    }

    /// Whether `host` is one of this shard's own.
    #[inline]
    fn is_own(&self, host: u32) -> bool {
        self.boxes.len() == 1 || self.partition.of(host) == self.own
    }

    /// Puts an event where its host is looked after.
    #[inline(always)]
    pub fn post(&mut self, event: Event, queue: &mut Queue, parcels: &mut Parcels) {
        if self.is_own(event.dst) {
            queue.push(event);
        } else {
            let (time, cause, whom, what) = event.words();
            self.put(time, cause, whom, what, parcels);
        }
    }

    /// Keeps an event for another shard, and takes its parcel along.
    #[inline(never)]
    fn put(&mut self, time: u64, cause: u64, whom: u64, what: u64, parcels: &mut Parcels) {
        let event = Event::of_words((time, cause, whom, what));
        let has_load = matches!(event.class(), Class::Arrive | Class::Announce | Class::Reply);
        let load = has_load.then(|| Load::of_word(event.arg));
        let parcel = load.and_then(Load::parcel).map(|parcel| parcels.take(parcel));
        self.earliest = self.earliest.min(event.time);
        self.boxes[self.partition.of(event.dst) as usize].push(Crossing { event, parcel });
    }
}

/// See the module.
pub(crate) struct Shard {
    pub hosts: Vec<Host>,
    queue: Queue,
    pub parcels: Parcels,
    pub tally: Tally,
    pub outbox: Outbox,
    outputs: Outputs,
    inline: VecDeque<Input>,
    tracker: Option<TrackerHost>,
    tap: Option<Tap>,
    /// Every event before it has been handled.
    now: u64,
    /// The slot and turn of the queue in which memory was asked for last.
    looked_at: (u64, usize),
    /// Those of the turn under way and of the next ones.
    plans: [Plan; PLANS],
}

impl Shard {
    /// The part number `own`, which has `hosts`.
    pub fn new(partition: Partition, own: u32, hosts: Vec<Host>, shared: &Shared) -> Self {
        let has_tracker = partition.of(shared.tracker) == own;
        Self {
            queue: Queue::new(partition, hosts.len(), shared.slots),
            hosts,
            parcels: Parcels::default(),
            tally: Tally::new(&shared.layout),
            outbox: Outbox::new(partition, own),
            outputs: None,
            inline: VecDeque::new(),
            tracker: has_tracker.then(|| TrackerHost::new(shared)),
            tap: None,
            now: 0,
            looked_at: (u64::MAX, 0),
            plans: Default::default(),
        }
    }

    /// Lets each host know what will befall it.
    pub fn plan_faults(&mut self, shared: &Shared) {
        for host in &mut self.hosts {
            host.trouble = Some(Box::new(Trouble::new(shared.seed, host.id)));
            host.plan_faults(shared, |event| self.queue.push(event));
        }
    }

    /// An event for a host of this shard.
    pub fn push(&mut self, event: Event) {
        debug_assert!(event.time >= self.now, "nothing comes to pass in the past");
        self.queue.push(event);
    }

    /// Takes what another shard has sent.
    pub fn take_in(&mut self, crossing: Crossing) {
        let Crossing { event, parcel } = crossing;
        // In every build: an event of the past would make another run of it, and nobody would notice.
        assert!(event.time >= self.now, "no host acts on another sooner than the least latency");
        let event = match parcel {
            Some(parcel) => event.with(event.to, self.parcels.insert_parcel(parcel).word()),
            None => event,
        };
        self.push(event);
    }

    /// Payload that the uplinks have begun to send and that has not been delivered.
    pub fn payload_under_way(&self) -> u64 {
        let moves = |event: &&Event| matches!(event.class(), Class::Arrive | Class::Deliver);
        let loads = self.queue.events().filter(moves).map(|event| Load::of_word(event.arg));
        loads.map(|load| u64::from(load.size(&self.parcels).payload())).sum()
    }

    /// A time that no event to come is before, and some event in the same slot.
    pub fn next(&self) -> u64 {
        self.queue.next().map_or(u64::MAX, |time| time.max(self.now))
    }

    /// Shows `tap` what all hosts do, in the order of time.
    pub fn watch(&mut self, tap: Tap) {
        self.tap = Some(tap);
        self.queue.in_order_of_time();
    }

    /// Handles every event before `limit`, which is not after the moment at which another shard could say something
    /// that is not in here.
    pub fn run_until(&mut self, limit: u64, shared: &Shared) {
        let (looks, partition) = (self.hosts.len() > CACHED && self.tap.is_none(), self.outbox.partition);
        while let Some(event) = self.queue.pop_before(limit) {
            debug_assert!(event.time >= self.now, "nothing comes to pass in the past");
            self.tally.events += 1;
            if looks {
                self.look_ahead(shared.notation);
            }
            if event.dst == shared.tracker {
                self.announce(&event, shared);
                continue;
            }
            let mut ctx = Context {
                now: event.time,
                queue: &mut self.queue,
                parcels: &mut self.parcels,
                shared,
                tally: &mut self.tally,
                outbox: &mut self.outbox,
                outputs: Some(&mut self.outputs),
                inline: &mut self.inline,
                tap: self.tap.as_mut(),
            };
            self.hosts[partition.place(event.dst)].handle(&event, &mut ctx);
        }
        self.now = limit;
    }

    /// Asks for the memory that the next hosts will touch in their turns, a step nearer with every turn.
    fn look_ahead(&mut self, notation: Notation) {
        let (slot, next) = self.queue.turn();
        if self.looked_at == (slot, next) {
            return;
        }
        self.looked_at = (slot, next);
        if next == 1 {
            // Of a new slot nothing has been asked for.
            (0..4).for_each(|turn| self.ask_for_host(turn));
            (0..3).for_each(|turn| self.ask_for_connections(turn, notation));
            (0..2).for_each(|turn| self.ask_for(turn, Host::ask_for_traffic));
            self.ask_for(0, Host::ask_for_requests);
        }
        self.ask_for_host(next + 3);
        self.ask_for_connections(next + 2, notation);
        self.ask_for(next + 1, Host::ask_for_traffic);
        self.ask_for(next, Host::ask_for_requests);
        self.ask_for(next - 1, Host::ask_for_first);
    }

    /// The host that has a turn, and what is known to be due there; none if it is the tracker's.
    #[inline]
    fn ahead(&self, turn: usize) -> Option<(&Host, &[Event])> {
        let (place, events) = self.queue.ahead(turn)?;
        Some((self.hosts.get(place)?, events))
    }

    #[inline]
    fn ask_for_host(&self, turn: usize) {
        if let Some((host, _)) = self.ahead(turn) {
            host.ask_for_host();
        }
    }

    #[inline]
    fn ask_for_connections(&mut self, turn: usize, notation: Notation) {
        let mut plan = std::mem::take(&mut self.plans[turn % PLANS]);
        if let Some((host, events)) = self.ahead(turn) {
            host.ask_for_connections(events, &mut plan, notation);
        }
        self.plans[turn % PLANS] = plan;
    }

    #[inline]
    fn ask_for(&self, turn: usize, what: impl Fn(&Host, &Plan)) {
        if let Some((host, _)) = self.ahead(turn) {
            what(host, &self.plans[turn % PLANS]);
        }
    }

    fn announce(&mut self, event: &Event, shared: &Shared) {
        let Some(tracker) = &mut self.tracker else {
            return debug_assert!(false, "the tracker is in another shard");
        };
        let Some(query) = self.parcels.take_bytes(Load::of_word(event.arg)) else { return };
        let reply = tracker.answer(event, &query);
        let at = event.time + shared.tracker_latency;
        tracker.number = tracker.number.wrapping_add(1);
        let reply_event = Event::new(at, shared.tracker, Class::Reply, 0, tracker.number, event.to);
        let load = self.parcels.insert(Content::bytes(reply), Size::of(0));
        self.outbox.post(reply_event.with(event.number, load.word()), &mut self.queue, &mut self.parcels);
    }
}

struct TrackerHost {
    logic: Tracker,
    rng: Rng,
    number: u32,
}

impl TrackerHost {
    fn new(shared: &Shared) -> Self {
        let logic = Tracker::new(shared.spec.tracker.config());
        Self { logic, rng: shared.seed.derive("tracker", 0).rng(), number: 0 }
    }

    fn answer(&mut self, event: &Event, query: &[u8]) -> Vec<u8> {
        let from = crate::host::address_of(event.to);
        let reply = match AnnounceRequest::from_query(query) {
            Ok(request) => self
                .logic
                .announce(Instant::from_nanos(event.time), &request, from, &mut self.rng)
                .map(|reply| reply.to_bytes(request.compact)),
            Err(error) => Err(engine::tracker::Failure::new(error.to_string())),
        };
        reply.unwrap_or_else(|failure| failure.to_bytes())
    }
}
