//! A part of the hosts with what they need to go on by themselves: a queue, a table of parcels, a tally. One thread
//! works on one shard; a run has one shard, or several ([`windows`](crate::windows)). Hosts of two shards act on each
//! other by [`Crossing`]s, which are handed over between windows of time that no latency is shorter than.

use std::collections::VecDeque;

use engine::Instant;
use engine::peer::{Input, Output};
use engine::rng::Rng;
use engine::tracker::{AnnounceRequest, Tracker};

use crate::context::{Context, Shared, Tally};
use crate::faults::Trouble;
use crate::host::Host;
use crate::host::ahead::Step;
use crate::parcel::{Content, NONE, Parcel, Parcels};
use crate::queue::{Class, Event, Queue};
use crate::watch::Tap;

/// Events between two steps of asking for memory: what the first asks for has come by the second.
const SPACING: usize = 2;

/// So many hosts stay in the caches by themselves: nothing is to be asked for (in turns at 100 no difference was seen
/// but in instructions, of which it is one in seven).
const CACHED: usize = 128;

/// The steps of asking for memory, each with how many events ahead it looks.
fn steps() -> impl Iterator<Item = (Step, usize)> {
    Step::ALL.into_iter().zip((1..=Step::ALL.len()).rev()).map(|(step, n)| (step, n * SPACING))
}

/// An event for a host of another shard, with the parcel that it names.
#[derive(Debug)]
pub(crate) struct Crossing {
    pub event: Event,
    parcel: Option<Parcel>,
}

/// Which hosts are where: they are dealt out, one to each shard in turn. Those of one group come in the order of their
/// numbers, so that a shard of neighbours would have all the work while its hosts come, and another while its do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition {
    shards: u32,
}

impl Partition {
    /// `hosts` in `shards` parts of one size, as near as can be; at least one part, and no empty ones.
    pub fn new(hosts: u32, shards: u32) -> Self {
        Self { shards: shards.clamp(1, hosts.max(1)) }
    }

    pub fn shards(self) -> u32 {
        self.shards
    }

    /// The shard that has `host`, or the tracker by its number.
    #[inline]
    pub fn of(self, host: u32) -> u32 {
        if self.shards == 1 { 0 } else { host % self.shards }
    }

    /// The place of `host` in its shard.
    #[inline]
    pub fn place(self, host: u32) -> usize {
        (if self.shards == 1 { host } else { host / self.shards }) as usize
    }

    /// Those of `hosts` that a shard has, in the order of their places.
    pub fn members(self, shard: u32, hosts: u32) -> impl Iterator<Item = u32> {
        (shard..hosts).step_by(self.shards as usize)
    }
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
    #[inline]
    pub fn post(&mut self, event: Event, queue: &mut Queue, parcels: &mut Parcels) {
        if self.is_own(event.dst) {
            queue.push(event);
        } else {
            self.put(event, parcels);
        }
    }

    /// Keeps an event for another shard, and takes its parcel along.
    fn put(&mut self, event: Event, parcels: &mut Parcels) {
        let has_parcel = matches!(event.class(), Class::Arrive | Class::Announce | Class::Reply);
        let parcel = (has_parcel && event.arg != NONE).then(|| parcels.take(event.arg));
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
    outputs: VecDeque<Output>,
    inline: VecDeque<Input>,
    tracker: Option<TrackerHost>,
    pub tap: Option<Tap>,
    now: u64,
    /// The slot of the queue that memory was asked for.
    looked_at: u64,
}

impl Shard {
    /// The part number `own`, which has `hosts`.
    pub fn new(partition: Partition, own: u32, hosts: Vec<Host>, shared: &Shared) -> Self {
        let has_tracker = partition.of(shared.tracker) == own;
        Self {
            queue: Queue::new(hosts.len()),
            hosts,
            parcels: Parcels::default(),
            tally: Tally::new(&shared.layout),
            outbox: Outbox::new(partition, own),
            outputs: VecDeque::new(),
            inline: VecDeque::new(),
            tracker: has_tracker.then(|| TrackerHost::new(shared)),
            tap: None,
            now: 0,
            looked_at: u64::MAX,
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
            Some(parcel) => event.with(event.to, self.parcels.put(parcel)),
            None => event,
        };
        self.push(event);
    }

    /// The time of the earliest event that is to come.
    pub fn next(&mut self) -> u64 {
        self.queue.peek().map_or(u64::MAX, |event| event.time)
    }

    /// Handles every event before `limit`, which is not after the moment at which another shard could say something
    /// that is not in here.
    pub fn run_until(&mut self, limit: u64, shared: &Shared) {
        let (is_large, partition) = (self.hosts.len() > CACHED, self.outbox.partition);
        while let Some(event) = self.queue.pop_before(limit) {
            debug_assert!(event.time >= self.now, "time never moves back");
            self.now = event.time;
            self.tally.events += 1;
            if is_large {
                self.look_ahead();
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
                outputs: &mut self.outputs,
                inline: &mut self.inline,
                tap: self.tap.as_mut(),
            };
            self.hosts[partition.place(event.dst)].handle(&event, &mut ctx);
        }
        self.now = limit;
    }

    /// Asks for the memory that the next events will touch, a step nearer with every [`SPACING`] events.
    #[inline]
    fn look_ahead(&mut self) {
        let slot = self.queue.slot();
        if slot != self.looked_at {
            // Of a new slot nothing has been asked for.
            self.looked_at = slot;
            for (step, distance) in steps() {
                (0..distance).for_each(|ahead| self.look_at(ahead, step));
            }
        }
        for (step, distance) in steps() {
            self.look_at(distance, step);
        }
    }

    #[inline]
    fn look_at(&self, ahead: usize, step: Step) {
        if let Some(event) = self.queue.ahead(ahead)
            && let Some(host) = self.hosts.get(self.outbox.partition.place(event.dst))
        {
            host.look_ahead(event, step, &self.parcels);
        }
    }

    fn announce(&mut self, event: &Event, shared: &Shared) {
        let Some(tracker) = &mut self.tracker else {
            return debug_assert!(false, "the tracker is in another shard");
        };
        let Content::Bytes(query) = self.parcels.take(event.arg).content else { return };
        let reply = tracker.answer(event, &query);
        let at = event.time + shared.tracker_latency;
        tracker.number = tracker.number.wrapping_add(1);
        let reply_event = Event::new(at, shared.tracker, Class::Reply, 0, tracker.number, event.to);
        let parcel = self.parcels.insert(Content::bytes(reply), 0, false);
        self.outbox.post(reply_event.with(event.number, parcel), &mut self.queue, &mut self.parcels);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_one_place_and_no_shard_is_larger_than_another_by_more_than_one() {
        for hosts in 1..40 {
            for shards in 1..10 {
                let partition = Partition::new(hosts, shards);
                assert!(partition.shards() >= 1 && partition.shards() <= shards.min(hosts));
                let mut seen = vec![false; hosts as usize];
                for shard in 0..partition.shards() {
                    let members: Vec<u32> = partition.members(shard, hosts).collect();
                    assert!(members.len() as u32 - hosts / partition.shards() <= 1, "{hosts} in {shards}");
                    for (place, &host) in members.iter().enumerate() {
                        assert_eq!((partition.of(host), partition.place(host)), (shard, place));
                        assert!(!std::mem::replace(&mut seen[host as usize], true));
                    }
                    // The tracker's number is one past the last host's: nobody's place.
                    let tracker = partition.of(hosts) == shard;
                    assert!(!tracker || partition.place(hosts) == members.len());
                }
                assert!(seen.iter().all(|seen| *seen), "{hosts} in {shards}");
                // Those who come one after the other are not of one shard.
                let apart = |host: u32| partition.of(host) != partition.of(host + 1);
                assert!(partition.shards() == 1 || (0..hosts - 1).all(apart), "{hosts} in {shards}");
            }
        }
    }
}
