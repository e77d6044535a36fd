//! A scenario with real sockets and real files: each peer is a session of `client` with an address of its own on
//! loopback, its rates limited as its group's links are, and a tracker answers over HTTP. What happened is recorded
//! as a simulated run is, so that both can be drawn side by side.
//!
//! What the scenario says of the network between the links is not made: loopback has no latency to speak of and
//! loses nothing. A run takes as long as it lasts.

mod book;
mod content;
mod peer;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use client::tracker::{ServeError, TrackerServer, TrackerSettings};
use client::{AddError, SessionError};
use engine::rng::Rng;
use engine::{Layout, Seed};
use record::End;
use simulator::Progress;
use simulator::population;
use simulator::spec::{Arrival, Behaviour, Leave, Spec, Until};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use book::Book;
use content::Content;
use peer::Member;

/// The most peers: each is a whole client in this process.
pub const MAX_PEERS: u32 = 50;
/// The most content: every peer has a copy on disk.
pub const MAX_CONTENT: u64 = 1 << 30;
/// The first of the loopback addresses that peers are given.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// A swarm in which nothing was received for this long stays as it is.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// Why there is no live run.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// What the scenario asks for is not made with real sockets.
    #[error("group {group}: {what} only in a simulation")]
    Simulated {
        /// The group's name.
        group: String,
        /// What.
        what: &'static str,
    },
    /// Things go wrong by themselves there.
    #[error("fault {0}: there are faults only in a simulation")]
    Fault(String),
    /// Too many peers.
    #[error("{0} peers: a live run has at most {MAX_PEERS}, each a whole client")]
    TooMany(u64),
    /// Too much content.
    #[error(
        "{0} bytes of content: a live run has at most {MAX_CONTENT}, of which every peer has a copy on disk"
    )]
    TooLarge(u64),
    /// The content cannot be cut or described.
    #[error("the content: {0}")]
    Content(String),
    /// No sockets, threads or files.
    #[error("cannot {0}: {1}")]
    Io(&'static str, #[source] io::Error),
    /// The tracker.
    #[error("the tracker: {0}")]
    Tracker(#[from] ServeError),
    /// A peer's session.
    #[error("a peer cannot start: {0}")]
    Session(#[from] SessionError),
    /// A peer's torrent.
    #[error("a peer cannot take part: {0}")]
    Torrent(#[from] AddError),
    /// A peer's files.
    #[error("a peer's files: {0}")]
    Files(String),
    /// What a peer told was not read in time: the record would have holes.
    #[error("{0} alerts of a peer were lost: the machine is too slow for this many peers")]
    Missed(u64),
    /// A peer is gone that was to stay.
    #[error("a peer has ended")]
    Gone,
    /// It was told to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What the tasks of a run share.
struct World {
    spec: Arc<Spec>,
    seed: Seed,
    content: Content,
    tracker: String,
    book: Book,
    /// Time begins here.
    start: Instant,
    /// Leechers of each group that have neither completed nor left.
    waiting: Vec<watch::Sender<u32>>,
    /// True once the run has ended.
    over: watch::Receiver<bool>,
    tap: Option<Arc<TapOf>>,
}

/// Who is shown what crosses the seam of a peer, by its place among all peers.
pub type TapOf = dyn Fn(usize, engine::peer::Seam<'_>) + Send + Sync;

impl World {
    fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

/// Whether a scenario can be run live.
pub fn check(spec: &Spec) -> Result<(), LiveError> {
    let peers: u64 = spec.groups.iter().map(|group| u64::from(group.count)).sum();
    if peers > u64::from(MAX_PEERS) {
        return Err(LiveError::TooMany(peers));
    }
    if spec.content > MAX_CONTENT {
        return Err(LiveError::TooLarge(spec.content));
    }
    if let Some(fault) = spec.faults.first() {
        return Err(LiveError::Fault(fault.name.clone()));
    }
    for group in &spec.groups {
        let refused = [
            (group.behaviour != Behaviour::Honest, "hosts misbehave"),
            (group.start_with > 0.0, "leechers begin with pieces"),
            (group.reachable < 1.0, "hosts are behind a NAT"),
            (engine::choker::by_name(group.choker.name()).is_none(), "there are chokers of one's own"),
            (engine::choker::by_name(group.seed_choker.name()).is_none(), "there are chokers of one's own"),
            (engine::picker::by_name(group.picker.name()).is_none(), "there are pickers of one's own"),
        ];
        if let Some((_, what)) = refused.into_iter().find(|(asked, _)| *asked) {
            return Err(LiveError::Simulated { group: group.name.clone(), what });
        }
    }
    Ok(())
}

/// Runs a scenario, in real time. `progress` is told now and then how far it is; the run is given up when it says
/// false. The record's point and replicate are left empty, and its digest too: no two live runs are the same.
pub fn run(
    spec: &Arc<Spec>,
    seed: u64,
    tap: Option<Arc<TapOf>>,
    progress: impl FnMut(Progress) -> bool,
) -> Result<record::Run, LiveError> {
    check(spec)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| LiveError::Io("start threads", error))?;
    let result = runtime.block_on(carry_out(spec, seed, tap, progress));
    // Disk jobs of peers that were given up need not be waited for.
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

async fn carry_out(
    spec: &Arc<Spec>,
    seed: u64,
    tap: Option<Arc<TapOf>>,
    mut progress: impl FnMut(Progress) -> bool,
) -> Result<record::Run, LiveError> {
    let layout = Layout::new(spec.content, u64::from(spec.piece_length));
    let layout = layout.map_err(|error| LiveError::Content(error.to_string()))?;
    let settings = TrackerSettings {
        http: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        config: spec.tracker.config(),
        ..TrackerSettings::default()
    };
    let tracker = TrackerServer::start(settings).await?;
    let at = tracker.http_addrs().first().copied().ok_or(LiveError::Gone)?;
    let (end, over) = watch::channel(false);
    let members = members(spec, Seed(seed));
    let (to_come, leechers) = (members.len(), leechers(spec, &members));
    let to_settle: u32 = leechers.iter().sum();
    let world = Arc::new(World {
        content: Content::make(spec, Seed(seed))?,
        tracker: format!("http://{at}/announce"),
        book: Book::new(&layout),
        waiting: leechers.into_iter().map(watch::Sender::new).collect(),
        start: Instant::now(),
        over,
        seed: Seed(seed),
        spec: spec.clone(),
        tap,
    });
    let mut tasks = tokio::task::JoinSet::new();
    for member in members {
        tasks.spawn(peer::take_part(member, world.clone()));
    }
    let step = spec.sample_every.max(Duration::from_millis(100));
    let (mut next, mut series, mut last) = (world.start, Vec::new(), (Duration::ZERO, 0));
    let reason = loop {
        sleep_until(next).await;
        let now = next - world.start;
        let sample = world.book.sample(now.as_secs_f64()).await;
        series.push(sample);
        if let Some(ended) = tasks.try_join_next() {
            // A peer ends by itself when it leaves; with an error, the run has failed.
            ended.map_err(|error| LiveError::Io("run a peer", error.into()))??;
        }
        let settled = world.book.settled();
        if spec.until == Until::AllComplete && settled >= to_settle {
            break End::Done;
        }
        if now >= spec.time_limit {
            break End::TimeLimit;
        }
        let waits = world.book.arrived() < to_come;
        if sample.downloaded > last.1 || waits {
            last = (now, sample.downloaded);
        } else if now - last.0 > STUCK_AFTER && spec.until == Until::AllComplete {
            break End::Stuck;
        }
        let pieces = u64::from(layout.pieces());
        let goes_on = progress(Progress {
            time: now.as_secs_f64(),
            settled,
            leechers: to_settle,
            pieces: world.book.pieces(),
            pieces_in_all: u64::from(to_settle) * pieces,
        });
        if !goes_on {
            return Err(LiveError::Interrupted);
        }
        next = (next + step).min(world.start + spec.time_limit);
    };
    let ended_at = world.elapsed();
    // Nobody is left to hear it if all have gone.
    let _ = end.send(true);
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| LiveError::Io("run a peer", error.into()))??;
    }
    let blank = simulator::run::blank(spec, &layout, seed);
    Ok(record::Run { ended_at, end: reason, peers: world.book.peers(), series, ..blank })
}

/// How many leechers of each group are to come.
fn leechers(spec: &Spec, members: &[Member]) -> Vec<u32> {
    let mut counts = vec![0; spec.groups.len()];
    for member in members.iter().filter(|member| !spec.groups[member.group].seed) {
        counts[member.group] += 1;
    }
    counts
}

/// Everybody who is to come, in order of group and arrival.
fn members(spec: &Spec, seed: Seed) -> Vec<Member> {
    let mut members = Vec::new();
    for (group, times) in population::timetable(spec, seed).into_iter().enumerate() {
        let of = &spec.groups[group];
        let count = times.as_ref().map_or(of.count as usize, Vec::len);
        for i in 0..count {
            let place = members.len();
            let mut rng: Rng = seed.derive("member", place as u64).rng();
            let gives_up = (of.abort_rate > 0.0 && !of.seed)
                .then(|| Duration::from_secs_f64(population::exponential(&mut rng, 1.0 / of.abort_rate)));
            let comes = match &times {
                Some(times) => peer::Comes::At(times[i]),
                None => match of.arrival {
                    Arrival::After { group, delay } => peer::Comes::After { group, delay },
                    _ => peer::Comes::At(Duration::ZERO),
                },
            };
            let addr = Ipv4Addr::from(u32::from(FIRST) + place as u32);
            members.push(Member { place, group, comes, gives_up, addr, rng, awaited: !of.seed });
        }
    }
    members
}

/// How long a peer stays once it is complete; `None`: until it is told otherwise.
fn stays(leave: Leave, rng: &mut Rng) -> Option<Duration> {
    match leave {
        Leave::Never | Leave::AtRatio(_) => None,
        Leave::OnCompletion => Some(Duration::ZERO),
        Leave::After(time) => Some(time),
        Leave::AfterExponential(mean) => {
            Some(Duration::from_secs_f64(population::exponential(rng, mean.as_secs_f64())))
        }
    }
}
