//! One torrent: a task that owns its peer, tells it what happens, and does what it says.
//!
//! - Everything that happens comes in through this task's channels, one thing at a time; no lock is held.
//! - While more waits for the disk than [`Settings::write_buffer`](crate::Settings), nothing is taken from
//!   connections: their channel fills, and they stop to read.
//! - The task never waits for a connection, a file or a tracker: it hands over, and is told.
//! - `have` is what is verified and written. It outlives the peer, which is made anew after an error or a
//!   check.

mod announce;
mod blocks;
mod check;
mod command;
mod files;
mod machine;
mod metadata;
mod peers;
mod seam;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::peer::Input;
use engine::rate::Rate;
use engine::tracker::Tiers;
use engine::{Bitfield, BlockRef, ConnId, InfoHash, Metainfo};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::limit::{Limiter, Limits};
use crate::session::{Alert, Context, TorrentFlags, TorrentState};
use crate::storage::{LayoutFault, OpenFiles, ResumeData, Storage};

use blocks::Unverified;
use check::Check;
pub(crate) use command::{Command, Leave};
use files::Done;
use machine::Machine;
pub(crate) use peers::Event;
use peers::Peers;

/// What a rate is averaged over, for people to see.
const RATE_WINDOW: Duration = Duration::from_secs(5);
/// Between two looks at rates and resume data, at most.
const TICK: Duration = Duration::from_millis(500);
/// Events taken at a time.
const EVENTS: usize = 64;
/// Events that may wait.
pub(crate) const EVENT_QUEUE: usize = 64;

/// The files of a torrent.
#[derive(Debug)]
pub(crate) struct Content {
    pub metainfo: Arc<Metainfo>,
    pub storage: Arc<Storage>,
    /// Verified and written.
    pub have: Bitfield,
    /// Of `have`, what is only believed to be so (seed mode).
    pub believed: Option<Bitfield>,
}

impl Content {
    /// The files of `metainfo` below `root`; nothing is known of what is in them.
    pub fn new(metainfo: Metainfo, root: &Path, open: &Arc<OpenFiles>) -> Result<Self, LayoutFault> {
        let storage = Arc::new(Storage::new(&metainfo, root, open.clone())?);
        let have = Bitfield::empty(&metainfo.layout);
        Ok(Self { metainfo: Arc::new(metainfo), storage, have, believed: None })
    }

    fn state(&self) -> TorrentState {
        if self.have.is_full() { TorrentState::Seeding } else { TorrentState::Downloading }
    }
}

/// What a torrent is made of.
pub(crate) struct Begin {
    pub context: Arc<Context>,
    pub info_hash: InfoHash,
    /// Its files, if they are known.
    pub content: Option<Content>,
    /// What to call it until its name is known.
    pub name: Option<String>,
    pub save_path: PathBuf,
    pub peers: Vec<std::net::SocketAddr>,
    pub trackers: Vec<Vec<String>>,
    pub resume: Option<ResumeData>,
    pub up: Arc<Limiter>,
    pub down: Arc<Limiter>,
    pub flags: TorrentFlags,
    pub commands: mpsc::Receiver<Command>,
    pub events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
}

/// See the module.
pub(crate) struct Torrent {
    context: Arc<Context>,
    info_hash: InfoHash,
    /// Its files, once they are known.
    content: Option<Content>,
    /// There is no torrent file to have the info dictionary from: it is kept with the resume data.
    keeps_info: bool,
    name: Option<String>,
    save_path: PathBuf,
    flags: TorrentFlags,
    up: Arc<Limiter>,
    down: Arc<Limiter>,

    commands: mpsc::Receiver<Command>,
    events: mpsc::Receiver<Event>,
    /// For connections, dials and trackers.
    events_to: mpsc::Sender<Event>,
    done: mpsc::UnboundedReceiver<Done>,
    /// For the disk's threads.
    done_to: mpsc::UnboundedSender<Done>,

    state: TorrentState,
    paused: bool,
    error: Option<String>,

    machine: Machine,
    /// How many peers there were: what was asked for by one is not told to the next.
    epoch: u64,
    check: Option<Check>,
    peers: Peers,
    /// Peers to begin with.
    known: Vec<std::net::SocketAddr>,
    inputs: VecDeque<Input>,
    reads: Vec<(ConnId, BlockRef)>,
    unverified: Unverified,
    /// Jobs with the disk, and the bytes that they hold.
    jobs: usize,
    waiting: usize,

    tiers: Option<Tiers>,
    announces: JoinSet<()>,
    /// How many there were.
    announced: u64,
    swarm: Option<(u32, u32)>,

    /// Payload of earlier runs and earlier peers.
    before: Moved,
    wasted_before: u64,
    seen: Moved,
    up_rate: Rate,
    down_rate: Rate,

    /// There is something new to save.
    dirty: bool,
    saving: bool,
    saved_at: Instant,
}

/// Payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    up: u64,
    down: u64,
}

impl Torrent {
    /// Starts its task.
    pub fn start(begin: Begin) {
        let Begin { context, info_hash, content, name, save_path, peers, trackers, resume, .. } = begin;
        let flags = begin.flags;
        let (done_to, done) = mpsc::unbounded_channel();
        let (events_to, events) = begin.events;
        let now = context.clock.now();
        let mut rng = context.seed_of(info_hash).derive("tiers", 0).rng();
        let torrent = Self {
            info_hash,
            keeps_info: content.is_none(),
            name,
            tiers: Tiers::new(trackers, &mut rng),
            unverified: Unverified::new(context.settings.write_buffer),
            context,
            content,
            save_path,
            flags,
            up: begin.up,
            down: begin.down,
            commands: begin.commands,
            events,
            events_to,
            done,
            done_to,
            state: TorrentState::CheckingResumeData,
            paused: flags.contains(TorrentFlags::PAUSED),
            error: None,
            machine: Machine::None,
            epoch: 0,
            check: None,
            peers: Peers::default(),
            known: peers,
            inputs: VecDeque::new(),
            reads: Vec::new(),
            jobs: 0,
            waiting: 0,
            announces: JoinSet::new(),
            announced: 0,
            swarm: None,
            before: Moved::default(),
            wasted_before: 0,
            seen: Moved::default(),
            up_rate: Rate::new(now),
            down_rate: Rate::new(now),
            dirty: flags.contains(TorrentFlags::NEED_SAVE_RESUME),
            saving: false,
            saved_at: Instant::now(),
        };
        tokio::spawn(torrent.run(resume));
    }

    async fn run(mut self, resume: Option<ResumeData>) {
        match self.content {
            Some(_) => self.look(resume, false),
            None => self.find_metadata(resume),
        }
        let mut batch = Vec::with_capacity(EVENTS);
        let often = self.context.settings.resume_interval.clamp(Duration::from_millis(10), TICK);
        let mut tick = interval(often);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.machine.poll_timeout();
            let deadline = deadline.and_then(|deadline| self.context.clock.at(deadline.at));
            let timeout = sleep_until(deadline.unwrap_or_else(Instant::now));
            tokio::select! {
                // What makes room comes before what takes it.
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Leave(leave)) => return self.leave(leave).await,
                    Some(command) => self.command(command),
                    None => return self.leave(Leave::default()).await,
                },
                Some(done) = self.done.recv() => self.on_done(done),
                _ = tick.tick() => self.tick(),
                () = timeout, if deadline.is_some() => self.on_timeout(),
                _ = self.events.recv_many(&mut batch, EVENTS), if self.takes_events() => {
                    batch.drain(..).for_each(|event| self.on_event(event));
                    self.look_for_metadata();
                }
            }
        }
    }

    /// Whether the disk keeps up.
    fn takes_events(&self) -> bool {
        self.waiting < self.context.settings.write_buffer
    }

    fn alert(&self, alert: Alert) {
        self.context.alert(alert);
    }

    fn set_state(&mut self, to: TorrentState) {
        let from = std::mem::replace(&mut self.state, to);
        if from != to {
            self.alert(Alert::StateChanged { torrent: self.info_hash, from, to });
        }
    }

    /// What connections of this torrent are limited by: down, up.
    fn limits(&self) -> (Limits, Limits) {
        let context = &self.context;
        (Limits([self.down.clone(), context.down.clone()]), Limits([self.up.clone(), context.up.clone()]))
    }

    /// Payload moved by this run's peers.
    fn moved(&self) -> Moved {
        let stats = self.machine.stats();
        Moved { up: self.before.up + stats.uploaded, down: self.before.down + stats.downloaded }
    }

    /// Now and then: rates, and resume data.
    fn tick(&mut self) {
        let (now, moved) = (self.context.clock.now(), self.moved());
        self.up_rate.add(now, moved.up.saturating_sub(self.seen.up), RATE_WINDOW);
        self.down_rate.add(now, moved.down.saturating_sub(self.seen.down), RATE_WINDOW);
        self.seen = moved;
        if self.dirty
            && self.check.is_none()
            && self.saved_at.elapsed() >= self.context.settings.resume_interval
        {
            self.save();
        }
    }
}
