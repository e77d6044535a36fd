//! One run, from its specification and seed to its record.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::peer::Seam;
use engine::{Instant, Layout, Seed};
use record::End;

use crate::context::{Tally, nanos};
pub use crate::host::storage::Stack;
use crate::spec::{Behaviour, Leave, Spec};
use crate::theory;
use crate::watch::{Onlooker, Single};
use crate::world::{Outlook, World};

/// How a run is carried out; none of it changes what happens, but for the stack nothing even of the digest.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The layers under the peers.
    pub stack: Stack,
    /// Check the invariants as it goes.
    pub checks: bool,
    /// Threads that share the hosts of the run; at least 1. With somebody who looks on it is one.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { stack: Stack::Message, checks: cfg!(debug_assertions), threads: 1 }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Simulated seconds.
    pub time: f64,
    /// Leechers that have completed or left.
    pub settled: u32,
    /// Leechers in all.
    pub leechers: u32,
    /// Pieces completed, all peers.
    pub pieces: u64,
    /// Pieces that are to be completed.
    pub pieces_in_all: u64,
}

/// What crossed the seam of the peer that is watched.
pub struct Watch {
    /// Which peer, by its place in [`record::Run::peers`].
    pub peer: usize,
    /// Called for each input and output in order.
    pub observer: Box<dyn FnMut(Instant, Seam<'_>) + Send>,
}

/// Why a run cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The content cannot be cut.
    #[error(transparent)]
    Layout(#[from] engine::layout::LayoutError),
    /// There is no such peer.
    #[error("there is no peer {0}: the run has {1}")]
    NoSuchPeer(usize, usize),
    /// The system starts no more threads.
    #[error("cannot start {0} threads: {1}; ask for fewer")]
    Threads(usize, String),
    /// It was told to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Carries out one run. `progress` is told now and then how far it is; the run is given up when it says
/// false. The record's point and replicate are left empty.
pub fn run(
    spec: &Arc<Spec>,
    seed: u64,
    options: Options,
    watch: Option<Watch>,
    progress: impl FnMut(Progress) -> bool,
) -> Result<record::Run, RunError> {
    let layout = Layout::new(spec.content, u64::from(spec.piece_length))?;
    // Who looks on sees all in one order.
    let threads = if watch.is_some() { 1 } else { options.threads };
    let mut world = World::new(spec.clone(), layout, Seed(seed), Options { threads, ..options });
    if let Some(Watch { peer, observer }) = watch {
        host_of(&world, peer)?;
        world.watch(Some(peer), Box::new(Single(observer)));
    }
    carry_out(world, seed, progress)
}

/// The same with somebody who looks on at every peer.
pub fn run_watched(
    spec: &Arc<Spec>,
    seed: u64,
    options: Options,
    onlooker: Box<dyn Onlooker>,
    progress: impl FnMut(Progress) -> bool,
) -> Result<record::Run, RunError> {
    let layout = Layout::new(spec.content, u64::from(spec.piece_length))?;
    let mut world = World::new(spec.clone(), layout, Seed(seed), Options { threads: 1, ..options });
    world.watch(None, onlooker);
    carry_out(world, seed, progress)
}

fn carry_out(
    mut world: World,
    seed: u64,
    mut progress: impl FnMut(Progress) -> bool,
) -> Result<record::Run, RunError> {
    let spec = world.shared.spec.clone();
    let limit = nanos(spec.time_limit);
    let step = nanos(spec.sample_every).max(1);
    let mut tally = world.tally();
    let mut series = vec![sample(&world, &tally)];
    let end = loop {
        let next = (world.now + step).min(limit);
        let threads = world.threads();
        world.run_until(next).map_err(|error| RunError::Threads(threads, error.to_string()))?;
        world.count(&mut tally);
        series.push(sample(&world, &tally));
        match world.outlook(&tally) {
            Outlook::Done => break End::Done,
            Outlook::Stuck => break End::Stuck,
            Outlook::Goes if next >= limit => break End::TimeLimit,
            Outlook::Goes => {}
        }
        if !progress(progress_of(&world, &tally)) {
            return Err(RunError::Interrupted);
        }
    };
    Ok(to_record(&world, seed, end, series))
}

/// The engine of one peer (by its place in [`record::Run::peers`]) as it is before its first input. Fed with
/// the inputs that a [`Watch`] of the same run shows, it gives the outputs that it shows: nothing but what
/// crosses the seam decides what a peer does. Not for peers that misbehave: their strategy is around it.
pub fn engine_of(spec: &Arc<Spec>, seed: u64, peer: usize) -> Result<engine::Peer, RunError> {
    let layout = Layout::new(spec.content, u64::from(spec.piece_length))?;
    let world = World::new(spec.clone(), layout, Seed(seed), Options { checks: false, ..Options::default() });
    let host = host_of(&world, peer)?;
    Ok(world.host(host).new_actor(&world.shared).peer)
}

/// A peer of a run, whether it ever comes or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its group's index.
    pub group: usize,
    /// Where it listens.
    pub addr: SocketAddr,
    /// It accepts connections.
    pub reachable: bool,
    /// The faults that befall it, by index.
    pub faults: Vec<usize>,
}

/// The peers of a run: group by group, in each in order of arrival.
pub fn members(spec: &Arc<Spec>, seed: u64) -> Result<Vec<Member>, RunError> {
    let layout = Layout::new(spec.content, u64::from(spec.piece_length))?;
    let world = World::new(spec.clone(), layout, Seed(seed), Options { checks: false, ..Options::default() });
    let member = |&host: &u32| {
        let host = world.host(host);
        let faults = world.shared.faults.as_ref().map_or(Vec::new(), |plan| plan.of(host.id).collect());
        Member { group: host.group as usize, addr: host.addr, reachable: host.reachable, faults }
    };
    Ok(world.members.iter().flatten().map(member).collect())
}

fn host_of(world: &World, peer: usize) -> Result<u32, RunError> {
    let in_all = world.shared.group_of.len();
    world.members.iter().flatten().nth(peer).copied().ok_or(RunError::NoSuchPeer(peer, in_all))
}

fn progress_of(world: &World, tally: &Tally) -> Progress {
    Progress {
        time: world.now as f64 / 1e9,
        settled: tally.settled,
        leechers: world.to_settle,
        pieces: tally.pieces_completed,
        pieces_in_all: u64::from(world.to_settle) * u64::from(world.shared.layout.pieces()),
    }
}

fn sample(world: &World, tally: &Tally) -> record::Sample {
    let copies = &tally.copies;
    record::Sample {
        time: world.now as f64 / 1e9,
        leechers: tally.leechers,
        seeds: tally.seeds,
        completed: tally.completed,
        downloaded: tally.payload_delivered,
        uploaded: tally.payload_sent,
        uplink: tally.uplink,
        rarest: copies.iter().copied().min().unwrap_or(0),
        mean_copies: copies.iter().map(|&n| f64::from(n)).sum::<f64>() / copies.len().max(1) as f64,
    }
}

fn to_record(world: &World, seed: u64, end: End, series: Vec<record::Sample>) -> record::Run {
    let spec = &world.shared.spec;
    let secs = |nanos: u64| nanos as f64 / 1e9;
    let mut peers = Vec::with_capacity(world.shared.group_of.len());
    for host in world.members.iter().flatten().map(|&host| world.host(host)) {
        let facts = host.facts();
        let Some(arrived) = facts.arrived else { continue };
        peers.push(record::Peer {
            group: host.group,
            arrived: secs(arrived),
            completed: facts.completed.map(secs),
            left: facts.left.map(secs),
            uploaded: facts.stats.uploaded,
            downloaded: facts.stats.downloaded,
            wasted: facts.stats.wasted,
            pieces: facts.pieces,
        });
    }
    record::Run {
        digest: crate::digest::combine(world.hosts().map(|host| host.digest())),
        ended_at: secs(world.now),
        end,
        peers,
        series,
        counters: counters(world),
        ..blank(spec, &world.shared.layout, seed)
    }
}

/// The record of a run in which nothing has happened yet.
pub fn blank(spec: &Spec, layout: &Layout, seed: u64) -> record::Run {
    record::Run {
        point: Vec::new(),
        replicate: 0,
        seed: seed.to_string(),
        digest: String::new(),
        content: spec.content,
        pieces: layout.pieces(),
        ended_at: 0.0,
        end: End::Stuck,
        bound: bound(spec),
        groups: spec.groups.iter().map(group_facts).collect(),
        peers: Vec::new(),
        peers_file: None,
        series: Vec::new(),
        counters: std::collections::BTreeMap::new(),
    }
}

fn counters(world: &World) -> std::collections::BTreeMap<String, u64> {
    let tally = world.tally();
    let mut counters = tally.counters();
    let wasted = world.hosts().map(|host| host.facts().stats.wasted).sum();
    counters.insert("wasted_bytes".to_string(), wasted);
    let honest = |host: &&u32| {
        let group = world.host(**host).group as usize;
        world.shared.spec.groups[group].behaviour == Behaviour::Honest
    };
    let banned = tally.bans.keys().filter(honest).count();
    counters.insert("banned_honest_hosts".to_string(), banned as u64);
    counters
}

fn group_facts(group: &crate::spec::Group) -> record::Group {
    record::Group {
        name: group.name.clone(),
        seed: group.seed,
        count: group.count,
        up: group.up,
        down: group.down,
        choker: group.choker.name().to_string(),
        seed_choker: group.seed_choker.name().to_string(),
        picker: group.picker.name().to_string(),
        behaviour: group.behaviour.name().to_string(),
    }
}

/// The bound of Kumar and Ross on the last completion after the first arrival. It takes every uplink as
/// there from the first arrival on and nobody as aborting, so that it holds however peers come and go; it
/// says nothing where leechers begin with pieces or give up.
fn bound(spec: &Spec) -> Option<f64> {
    let leechers = || spec.groups.iter().filter(|group| !group.seed);
    let varies = leechers().any(|group| {
        group.start_with > 0.0 || group.abort_rate > 0.0 || group.behaviour != Behaviour::Honest
    });
    let seeds_leave = spec.groups.iter().any(|group| group.seed && group.leave != Leave::Never);
    if varies || seeds_leave {
        return None;
    }
    let up = |seed: bool| -> f64 {
        let groups = spec.groups.iter().filter(|group| group.seed == seed);
        groups.map(|group| group.up as f64 * f64::from(group.count)).sum()
    };
    let slowest = leechers().filter_map(|group| group.down).min().map(|down| down as f64);
    let count: u32 = leechers().map(|group| group.count).sum();
    Some(theory::bound(spec.content as f64, up(true), up(false), slowest, f64::from(count)))
}
