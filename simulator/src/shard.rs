//! A part of the hosts with what they need to go on by themselves: a queue, a table of parcels, a tally. One thread
//! works on one shard; a run has one shard, or several ([`windows`](crate::windows)). Hosts of two shards act on each
//! other by [`Crossing`]s, which are handed over between windows of time that no latency is shorter than.

use engine::Instant;
use engine::peer::Outputs;
use engine::rng::Rng;
use engine::tracker::{AnnounceReply, AnnounceRequest, Failure, Tracker};

use crate::context::{Context, Shared, Tally};
use crate::event::{Class, Event};
use crate::faults::Trouble;
use crate::host::Host;
use crate::load::{Load, Size};
use crate::lookout::Lookout;
use crate::parcel::{Buffer, Content, Parcel, Parcels};
use crate::partition::Partition;
use crate::prompt::Prompt;
use crate::queue::Queue;
use crate::watch::Tap;

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
    prompt: Prompt,
    tracker: Option<TrackerHost>,
    tap: Option<Tap>,
    /// Every event before it has been handled.
    now: u64,
    lookout: Option<Lookout>,
}

impl Shard {
    /// The part number `own`, which has `hosts`.
    pub fn new(partition: Partition, own: u32, hosts: Vec<Host>, shared: &Shared) -> Self {
        let has_tracker = partition.of(shared.tracker) == own;
        Self {
            queue: Queue::new(partition, hosts.len(), shared.slots),
            lookout: Lookout::new(hosts.len()),
            hosts,
            parcels: Parcels::default(),
            tally: Tally::new(&shared.layout),
            outbox: Outbox::new(partition, own),
            outputs: None,
            prompt: Prompt::default(),
            tracker: has_tracker.then(|| TrackerHost::new(shared)),
            tap: None,
            now: 0,
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
        let partition = self.outbox.partition;
        let mut lookout = self.lookout.as_mut().filter(|_| self.tap.is_none());
        let mut ctx = Context {
            now: self.now,
            queue: &mut self.queue,
            parcels: &mut self.parcels,
            shared,
            tally: &mut self.tally,
            outbox: &mut self.outbox,
            outputs: Some(&mut self.outputs),
            prompt: &mut self.prompt,
            tap: self.tap.as_mut(),
        };
        while let Some(event) = ctx.queue.pop_before(limit) {
            debug_assert!(event.time >= self.now, "nothing comes to pass in the past");
            ctx.now = event.time;
            ctx.tally.events += 1;
            if let Some(lookout) = &mut lookout {
                lookout.look(ctx.queue, &self.hosts, shared.notation);
            }
            if event.dst != shared.tracker {
                self.hosts[partition.place(event.dst)].handle(&event, &mut ctx);
            } else if let Some(tracker) = &mut self.tracker {
                tracker.announce(&event, &mut ctx);
            } else {
                debug_assert!(false, "the tracker is in another shard");
            }
        }
        self.now = limit;
    }
}

struct TrackerHost {
    logic: Tracker,
    rng: Rng,
    number: u32,
    /// What it last said.
    reply: AnnounceReply,
}

impl TrackerHost {
    fn new(shared: &Shared) -> Self {
        let logic = Tracker::new(shared.spec.tracker.config());
        let rng = shared.seed.derive("tracker", 0).rng();
        Self { logic, rng, number: 0, reply: AnnounceReply::default() }
    }

    /// Somebody announces.
    #[inline(never)]
    fn announce(&mut self, event: &Event, ctx: &mut Context<'_>) {
        let Some(mut bytes) = ctx.parcels.take_bytes(Load::of_word(event.arg)) else { return };
        self.answer(event, &mut bytes);
        let at = event.time + ctx.shared.tracker_latency;
        self.number = self.number.wrapping_add(1);
        let reply_event = Event::new(at, ctx.shared.tracker, Class::Reply, 0, self.number, event.to);
        let load = ctx.parcels.insert(Content::Bytes(bytes), Size::of(0));
        ctx.post(reply_event.with(event.number, load.word()));
    }

    /// Puts the reply to a query in its place.
    fn answer(&mut self, event: &Event, bytes: &mut Buffer) {
        let Self { logic, rng, reply, .. } = self;
        let (now, from) = (Instant::from_nanos(event.time), crate::host::address_of(event.to));
        let request = AnnounceRequest::from_query(bytes).map_err(|error| Failure::new(error.to_string()));
        let answered = request.and_then(|request| {
            logic.answer(now, &request, from, rng, reply)?;
            Ok(request.compact)
        });
        bytes.0.clear();
        match answered {
            Ok(compact) => reply.encode(compact, &mut bytes.0),
            Err(failure) => bytes.0.extend(failure.to_bytes()),
        }
    }
}
