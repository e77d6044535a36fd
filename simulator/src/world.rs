//! A run in progress: all hosts, the tracker, the queue, and the loop that hands each event to the host it
//! happens to. Samples and the tests that end a run happen on a fixed grid of simulated time.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::Torrent;
use engine::peer::{Input, Output};
use engine::rng::{self, Rng};
use engine::tracker::{AnnounceRequest, Tracker};
use engine::wire::InfoHash;
use engine::{Instant, Layout, Seed};

use crate::context::{Context, Shared, Tally, nanos};
use crate::faults::Trouble;
use crate::host::ahead::Step;
use crate::host::storage::{Content as Bytes, Stack};
use crate::host::{Facts, Host};
use crate::parcel::{Content, Parcels};
use crate::population;
use crate::queue::{Class, Event, Queue};
use crate::spec::{Arrival, Spec, Until};
use crate::watch::{Onlooker, Tap};

/// A swarm in which nothing is delivered for this long, with nobody still to come, stays as it is.
const STUCK_AFTER: u64 = 1800 * 1_000_000_000;

/// Events between two steps of asking for memory: what the first asks for has come by the second.
const SPACING: usize = 2;

/// The steps of asking for memory, each with how many events ahead it looks.
fn steps() -> impl Iterator<Item = (Step, usize)> {
    Step::ALL.into_iter().zip((1..=Step::ALL.len()).rev()).map(|(step, n)| (step, n * SPACING))
}

/// See the module.
pub(crate) struct World {
    pub shared: Shared,
    pub hosts: Vec<Host>,
    /// The hosts of each group, in order of arrival.
    pub members: Vec<Vec<u32>>,
    queue: Queue,
    parcels: Parcels,
    pub tally: Tally,
    outputs: VecDeque<Output>,
    inline: VecDeque<Input>,
    tracker: TrackerHost,
    pub now: u64,
    /// Peers that begin without everything.
    pub to_settle: u32,
    /// Groups that wait for another to complete.
    waiting: Vec<usize>,
    tap: Option<Tap>,
    last_progress: (u64, u64),
    /// The slot of the queue that memory was asked for.
    looked_at: u64,
}

/// What is still to happen at a point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    Goes,
    Done,
    Stuck,
}

struct TrackerHost {
    logic: Tracker,
    rng: Rng,
    number: u32,
}

impl World {
    pub fn new(spec: Arc<Spec>, layout: Layout, seed: Seed, stack: Stack, checks: bool) -> Self {
        let (group_of, members) = number_hosts(&spec, seed);
        let content_seed = seed.derive("content", 0).0;
        let content = (stack == Stack::Wire).then(|| Box::new(Bytes::new(layout, content_seed)));
        let info_hash = InfoHash::of(&content_seed.to_be_bytes());
        let torrent = Torrent { info_hash, layout, private: false };
        let shared = Shared::new(spec.clone(), torrent, seed, content, checks, group_of);
        let mut hosts = Vec::with_capacity(shared.group_of.len());
        for (id, &group) in shared.group_of.iter().enumerate() {
            let mut rng = seed.derive("host", id as u64).rng();
            let of = &spec.groups[group as usize];
            let reachable = rng::unit(&mut rng) < of.reachable;
            hosts.push(Host::new(id as u32, group, of.up, of.down, reachable, rng));
        }
        let leechers = spec.groups.iter().filter(|group| !group.seed).map(|group| group.count).sum();
        let mut world = Self {
            tracker: TrackerHost::new(&spec, seed),
            queue: Queue::new(hosts.len()),
            parcels: Parcels::default(),
            tally: Tally::new(&layout),
            outputs: VecDeque::new(),
            inline: VecDeque::new(),
            hosts,
            members,
            now: 0,
            to_settle: leechers,
            waiting: Vec::new(),
            tap: None,
            last_progress: (0, 0),
            looked_at: u64::MAX,
            shared,
        };
        world.plan_arrivals(&spec);
        world.plan_faults();
        world
    }

    /// Shows inputs and outputs to `onlooker`: those of the peer at this place among the members, or all.
    pub fn watch(&mut self, only: Option<usize>, onlooker: Box<dyn Onlooker>) {
        let mut places = vec![None; self.hosts.len()];
        for (place, &host) in self.members.iter().flatten().enumerate() {
            places[host as usize] = Some(place).filter(|place| only.is_none_or(|only| only == *place));
        }
        self.tap = Some(Tap::new(places, onlooker));
    }

    fn plan_faults(&mut self) {
        if self.shared.faults.is_none() {
            return;
        }
        for host in &mut self.hosts {
            host.trouble = Some(Box::new(Trouble::new(self.shared.seed, host.id)));
            host.plan_faults(&self.shared, |event| self.queue.push(event));
        }
    }

    fn plan_arrivals(&mut self, spec: &Spec) {
        let timetable = population::timetable(spec, self.shared.seed);
        for (i, (group, times)) in spec.groups.iter().zip(timetable).enumerate() {
            match times {
                Some(times) => {
                    self.to_settle -= if group.seed { 0 } else { group.count - times.len() as u32 };
                    // Whom a trace does not name never comes, and is waited for by nobody.
                    self.members[i].truncate(times.len());
                    let members: Vec<u32> = self.members[i].clone();
                    for (&host, time) in members.iter().zip(times) {
                        self.queue.push(Event::new(nanos(time), host, Class::Join, 0, 0, host));
                    }
                }
                None => self.waiting.push(i),
            }
        }
    }

    /// Handles every event before `limit`, a point of the grid.
    pub fn run_until(&mut self, limit: u64) {
        while let Some(event) = self.queue.pop_before(limit) {
            debug_assert!(event.time >= self.now, "time never moves back");
            self.now = event.time;
            self.tally.events += 1;
            self.look_ahead();
            if event.dst == self.shared.tracker {
                self.announce(&event);
                continue;
            }
            let mut ctx = Context {
                now: event.time,
                queue: &mut self.queue,
                parcels: &mut self.parcels,
                shared: &self.shared,
                tally: &mut self.tally,
                outputs: &mut self.outputs,
                inline: &mut self.inline,
                tap: self.tap.as_mut(),
            };
            self.hosts[event.dst as usize].handle(&event, &mut ctx);
        }
        self.now = limit;
        self.release_waiting();
        if self.shared.checks {
            self.check();
        }
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
            && let Some(host) = self.hosts.get(event.dst as usize)
        {
            host.look_ahead(event, step, &self.parcels);
        }
    }

    fn announce(&mut self, event: &Event) {
        let Content::Bytes(query) = self.parcels.take(event.arg).content else { return };
        let reply = self.tracker.answer(event, &query);
        let at = event.time + self.shared.tracker_latency;
        self.tracker.number = self.tracker.number.wrapping_add(1);
        let parcel = self.parcels.insert(Content::Bytes(reply.into()), 0, false);
        let reply = Event::new(at, self.shared.tracker, Class::Reply, 0, self.tracker.number, event.to);
        self.queue.push(reply.with(event.number, parcel));
    }

    /// Lets groups come that wait for another's leechers to complete.
    fn release_waiting(&mut self) {
        let spec = self.shared.spec.clone();
        for i in std::mem::take(&mut self.waiting) {
            let Arrival::After { group, delay } = spec.groups[i].arrival else { continue };
            let done = self.members[group].iter().all(|&host| {
                let facts = &self.hosts[host as usize].facts;
                facts.completed.is_some() || facts.left.is_some() || spec.groups[group].seed
            });
            if !done {
                self.waiting.push(i);
                continue;
            }
            for &host in &self.members[i] {
                self.queue.push(Event::new(self.now + nanos(delay), host, Class::Join, 0, 0, host));
            }
        }
    }

    /// What a look from outside at this point of the grid says.
    pub fn outlook(&mut self) -> Outlook {
        let mut members = self.members.iter().flatten();
        let coming =
            self.tally.down > 0 || members.any(|&host| self.hosts[host as usize].facts.arrived.is_none());
        if self.shared.spec.until == Until::AllComplete && self.tally.settled >= self.to_settle {
            return Outlook::Done;
        }
        if self.tally.payload_delivered > self.last_progress.1 || coming {
            self.last_progress = (self.now, self.tally.payload_delivered);
        }
        if self.now - self.last_progress.0 > STUCK_AFTER && self.shared.spec.until == Until::AllComplete {
            return Outlook::Stuck;
        }
        Outlook::Goes
    }

    /// Invariants that hold between events.
    fn check(&self) {
        let mut stats = engine::peer::Stats::default();
        for host in &self.hosts {
            let Facts { stats: of, .. } = host.facts();
            stats.uploaded += of.uploaded;
            stats.downloaded += of.downloaded;
        }
        let tally = &self.tally;
        assert_eq!(stats.uploaded, tally.payload_sent, "what left is what the peers have sent");
        assert_eq!(stats.downloaded, tally.payload_delivered, "what came is what the peers have received");
        // Counted anew and not by difference: a parcel that is still going out has not left.
        let going_out: u64 = self.hosts.iter().map(|host| host.going_out()).sum();
        let under_way = self.parcels.payload_under_way() - going_out;
        assert_eq!(
            tally.payload_sent,
            tally.payload_delivered + tally.payload_lost + under_way,
            "what was sent is received, lost, or under way"
        );
    }
}

impl TrackerHost {
    fn new(spec: &Spec, seed: Seed) -> Self {
        Self { logic: Tracker::new(spec.tracker.config()), rng: seed.derive("tracker", 0).rng(), number: 0 }
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

/// Host numbers are a permutation that the seed draws, so that no group is favoured where ties are decided by
/// number. Returns the group of each host and the hosts of each group.
fn number_hosts(spec: &Spec, seed: Seed) -> (Vec<u32>, Vec<Vec<u32>>) {
    let counts = spec.groups.iter().enumerate();
    let mut group_of: Vec<u32> =
        counts.flat_map(|(i, group)| std::iter::repeat_n(i as u32, group.count as usize)).collect();
    rng::shuffle(&mut seed.derive("numbers", 0).rng(), &mut group_of);
    let mut members = vec![Vec::new(); spec.groups.len()];
    for (host, &group) in group_of.iter().enumerate() {
        members[group as usize].push(host as u32);
    }
    (group_of, members)
}
