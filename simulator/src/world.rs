//! A run in progress, seen from outside: all hosts in their shards, and a fixed grid of simulated time on which samples
//! are taken, groups that wait for others are let in, and the tests that end a run are made.

use std::sync::Arc;

use engine::rng;
use engine::wire::InfoHash;
use engine::{Layout, Seed, Torrent};

use crate::context::{Shared, Tally, nanos};
use crate::event::{Class, Event};
use crate::host::storage::{Content, Stack};
use crate::host::{Facts, Host};
use crate::partition::Partition;
use crate::population;
use crate::run::Options;
use crate::shard::Shard;
use crate::spec::{Arrival, Spec, Until};
use crate::watch::{Onlooker, Tap};
use crate::windows;

/// A swarm in which nothing is delivered for this long, with nobody still to come, stays as it is.
const STUCK_AFTER: u64 = 1800 * 1_000_000_000;

/// See the module.
pub(crate) struct World {
    pub shared: Shared,
    /// The hosts of each group, in order of arrival.
    pub members: Vec<Vec<u32>>,
    partition: Partition,
    shards: Vec<Shard>,
    pub now: u64,
    /// Peers that begin without everything.
    pub to_settle: u32,
    /// Groups that wait for another to complete.
    waiting: Vec<usize>,
    last_progress: (u64, u64),
}

/// What is still to happen at a point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    Goes,
    Done,
    Stuck,
}

impl World {
    pub fn new(spec: Arc<Spec>, layout: Layout, seed: Seed, options: Options) -> Self {
        let (group_of, members) = number_hosts(&spec, seed);
        let content_seed = seed.derive("content", 0).0;
        let content = (options.stack == Stack::Wire).then(|| Box::new(Content::new(layout, content_seed)));
        let info_hash = InfoHash::of(&content_seed.to_be_bytes());
        let torrent = Torrent { info_hash, layout, private: false };
        let shared = Shared::new(spec.clone(), torrent, seed, content, options.checks, group_of);
        let in_all = shared.group_of.len() as u32;
        let partition = Partition::new(in_all, u32::try_from(options.threads).unwrap_or(u32::MAX));
        let shard = |own| {
            let hosts = partition.members(own, in_all).map(|id| new_host(id, &shared)).collect();
            Shard::new(partition, own, hosts, &shared)
        };
        let leechers = spec.groups.iter().filter(|group| !group.seed).map(|group| group.count).sum();
        let mut world = Self {
            shards: (0..partition.shards()).map(shard).collect(),
            partition,
            members,
            now: 0,
            to_settle: leechers,
            waiting: Vec::new(),
            last_progress: (0, 0),
            shared,
        };
        world.plan_arrivals(&spec);
        world.plan_faults();
        world
    }

    /// Shows inputs and outputs to `onlooker`: those of the peer at this place among the members, or all. The run is to
    /// have one shard: he sees what all hosts do in the order of time.
    pub fn watch(&mut self, only: Option<usize>, onlooker: Box<dyn Onlooker>) {
        let mut places = vec![None; self.shared.group_of.len()];
        for (place, &host) in self.members.iter().flatten().enumerate() {
            places[host as usize] = Some(place).filter(|place| only.is_none_or(|only| only == *place));
        }
        debug_assert_eq!(self.shards.len(), 1);
        if let [shard] = self.shards.as_mut_slice() {
            shard.watch(Tap::new(places, onlooker));
        }
    }

    fn plan_faults(&mut self) {
        if self.shared.faults.is_some() {
            self.shards.iter_mut().for_each(|shard| shard.plan_faults(&self.shared));
        }
    }

    fn shard_of(&mut self, host: u32) -> &mut Shard {
        &mut self.shards[self.partition.of(host) as usize]
    }

    /// Threads that it takes.
    pub fn threads(&self) -> usize {
        self.shards.len()
    }

    /// All hosts in order.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        (0..self.shared.tracker).map(|id| self.host(id))
    }

    /// A host by its number.
    pub fn host(&self, id: u32) -> &Host {
        &self.shards[self.partition.of(id) as usize].hosts[self.partition.place(id)]
    }

    /// What all shards have counted.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::new(&self.shared.layout);
        self.count(&mut sum);
        sum
    }

    /// The same, in place of what was counted before.
    pub fn count(&self, sum: &mut Tally) {
        sum.clear();
        self.shards.iter().for_each(|shard| sum.add(&shard.tally));
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
                        self.join_at(host, nanos(time));
                    }
                }
                None => self.waiting.push(i),
            }
        }
    }

    fn join_at(&mut self, host: u32, time: u64) {
        self.shard_of(host).push(Event::new(time, host, Class::Join, 0, 0, host));
    }

    /// Handles every event before `limit`, a point of the grid. Fails if a thread cannot be started.
    pub fn run_until(&mut self, limit: u64) -> std::io::Result<()> {
        windows::run_until(&mut self.shards, &self.shared, limit)?;
        self.now = limit;
        self.release_waiting();
        if self.shared.checks {
            self.check();
        }
        Ok(())
    }

    /// Lets groups come that wait for another's leechers to complete.
    fn release_waiting(&mut self) {
        let spec = self.shared.spec.clone();
        for i in std::mem::take(&mut self.waiting) {
            let Arrival::After { group, delay } = spec.groups[i].arrival else { continue };
            let done = self.members[group].iter().all(|&host| {
                let facts = &self.host(host).facts;
                facts.completed.is_some() || facts.left.is_some() || spec.groups[group].seed
            });
            if !done {
                self.waiting.push(i);
                continue;
            }
            for host in self.members[i].clone() {
                self.join_at(host, self.now + nanos(delay));
            }
        }
    }

    /// What a look from outside at this point of the grid says; `tally` is that of now.
    pub fn outlook(&mut self, tally: &Tally) -> Outlook {
        let mut members = self.members.iter().flatten();
        let coming = tally.down > 0 || members.any(|&host| self.host(host).facts.arrived.is_none());
        if self.shared.spec.until == Until::AllComplete && tally.settled >= self.to_settle {
            return Outlook::Done;
        }
        if tally.payload_delivered > self.last_progress.1 || coming {
            self.last_progress = (self.now, tally.payload_delivered);
        }
        if self.now - self.last_progress.0 > STUCK_AFTER && self.shared.spec.until == Until::AllComplete {
            return Outlook::Stuck;
        }
        Outlook::Goes
    }

    /// Invariants that hold between events.
    fn check(&self) {
        let mut stats = engine::peer::Stats::default();
        for host in self.hosts() {
            let Facts { stats: of, .. } = host.facts();
            stats.uploaded += of.uploaded;
            stats.downloaded += of.downloaded;
        }
        let tally = self.tally();
        assert_eq!(stats.uploaded, tally.payload_sent, "what left is what the peers have sent");
        assert_eq!(stats.downloaded, tally.payload_delivered, "what came is what the peers have received");
        // Counted anew and not by difference: a parcel that is still going out has not left. Nothing lies between
        // shards: at a point of the grid all has been handed over.
        let going_out: u64 = self.hosts().map(|host| host.going_out()).sum();
        let moving = self.shards.iter().map(|shard| shard.payload_under_way());
        let under_way = moving.sum::<u64>() - going_out;
        assert_eq!(
            tally.payload_sent,
            tally.payload_delivered + tally.payload_lost + under_way,
            "what was sent is received, lost, or under way"
        );
    }
}

fn new_host(id: u32, shared: &Shared) -> Host {
    let group = shared.group_of[id as usize];
    let mut rng = shared.seed.derive("host", u64::from(id)).rng();
    let of = &shared.spec.groups[group as usize];
    let reachable = rng::unit(&mut rng) < of.reachable;
    Host::new(id, group, of.up, of.down, reachable, rng)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::runner::jobs;
    use crate::scenario::Scenario;

    /// The world of a scenario, on so many threads.
    fn world_of(text: &str, threads: usize) -> World {
        let scenario = Scenario::parse("small.toml", text, Path::new("."), &[]).unwrap();
        let spec = jobs(&scenario, 1)[0].spec().clone();
        let layout = Layout::new(spec.content, u64::from(spec.piece_length)).unwrap();
        World::new(spec, layout, Seed(1), Options { threads, ..Options::default() })
    }

    #[test]
    fn who_has_left_gives_its_uplinks_memory_back_and_who_stays_keeps_it() {
        let text = r#"
            content = { size = "1 MiB", piece = "64 KiB" }
            groups.seed = { role = "seed", up = "8 Mbit/s" }
            groups.leechers = { count = 20, up = "2 Mbit/s", leave = "on-completion" }
        "#;
        let mut world = world_of(text, 1);
        world.run_until(3_000_000_000).unwrap();
        assert!(world.hosts().all(|host| host.facts.left.is_none() && host.has_room()));
        world.run_until(300_000_000_000).unwrap();
        let left: Vec<_> = world.hosts().filter(|host| host.facts.left.is_some()).collect();
        assert_eq!(left.len(), 20);
        assert!(left.iter().all(|host| !host.has_room()));
        assert_eq!(world.hosts().filter(|host| host.has_room()).count(), 1);
    }

    #[test]
    fn who_come_over_time_give_every_thread_the_same_to_do() {
        let text = r#"
            content = { size = "1 MiB", piece = "64 KiB" }
            groups.seed = { role = "seed", up = "8 Mbit/s" }
            [groups.leechers]
            count = 200
            up = "2 Mbit/s"
            arrival = { evenly = { from = "1 s", to = "101 s" } }
        "#;
        let mut world = world_of(text, 2);
        // When half of them have come, and when all have.
        for seconds in [50, 101] {
            world.run_until(seconds * 1_000_000_000).unwrap();
            let events: Vec<f64> = world.shards.iter().map(|shard| shard.tally.events as f64).collect();
            assert!((events[0] / events[1] - 1.0).abs() < 0.15, "after {seconds} s: {events:?}");
        }
    }
}
