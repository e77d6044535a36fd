//! What goes wrong in a run besides peers that misbehave: faults, each with whom it befalls and when. A scenario
//! without faults has no plan, makes no draw for them, and pays for nothing.
//!
//! A fault acts on the state of the host that it befalls and of no other: on what that host sends, reads, hashes and
//! asks, by timers of its own. Every draw is from a stream of the fault's own, so that a fault more changes no other
//! draw of the run.

mod plan;

use std::collections::VecDeque;
use std::time::Duration;

use engine::peer::Stats;
use engine::rng::{Rng, unit};
use engine::{BlockRef, Seed};

use crate::host::link::Handle;

pub(crate) use plan::Plan;

/// A fault: what, whom, when.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its name.
    pub name: String,
    /// What goes wrong.
    pub what: What,
    /// The groups whose peers it may befall, by index.
    pub groups: Vec<usize>,
    /// The chance of each of these peers to be befallen, 0 to 1, drawn once.
    pub share: f64,
    /// It begins.
    pub from: Duration,
    /// It is over; later than `from`.
    pub to: Duration,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Nothing passes between those befallen and the others. What is sent comes when it is over, as TCP sends it
    /// again; dials fail.
    Partition,
    /// The tracker does not answer.
    TrackerOutage,
    /// What they send takes this much longer.
    Delay(Duration),
    /// Each loses a connection, any of them, this often a second (a Poisson process).
    LostConnections(f64),
    /// The chance that a dial makes two connections.
    DoubleConnections(f64),
    /// A block is read, and a piece is hashed, this much later.
    SlowDisk(Duration),
    /// The chance that a block cannot be read.
    ReadErrors(f64),
    /// The chance that a good piece fails its hash.
    HashFailures(f64),
    /// Each stops once, at a moment drawn, and starts again.
    Restart {
        /// How long it is away.
        down: Duration,
        /// The chance of each of its pieces to be there when it is back.
        keep: f64,
        /// It does not say that it goes.
        crash: bool,
    },
}

impl What {
    /// Its name in scenario files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::TrackerOutage => "tracker-outage",
            Self::Delay(_) => "delay",
            Self::LostConnections(_) => "lost-connections",
            Self::DoubleConnections(_) => "double-connections",
            Self::SlowDisk(_) => "slow-disk",
            Self::ReadErrors(_) => "read-errors",
            Self::HashFailures(_) => "hash-failures",
            Self::Restart { .. } => "restart",
        }
    }
}

/// A block that the disk is to read.
#[derive(Debug)]
pub(crate) struct Read {
    pub conn: Handle,
    pub block: BlockRef,
}

/// What a host keeps for the faults that may befall it.
#[derive(Debug)]
pub(crate) struct Trouble {
    rng: Rng,
    /// Starts after the first.
    pub life: u32,
    /// The host's number when this life began: what was asked before is answered to nobody.
    pub since: u32,
    /// Payload moved in earlier lives.
    pub past: Stats,
    /// What is there when it is back.
    pub kept: Option<engine::Bitfield>,
    /// Reads under way, in order.
    pub reads: VecDeque<Read>,
    /// When the disk is done with them.
    pub disk_free: u64,
}

impl Trouble {
    /// Of the host number `host`.
    pub fn new(seed: Seed, host: u32) -> Self {
        Self {
            rng: seed.derive("trouble", u64::from(host)).rng(),
            life: 0,
            since: 0,
            past: Stats::default(),
            kept: None,
            reads: VecDeque::new(),
            disk_free: 0,
        }
    }

    /// Whether what has this chance happens. Draws nothing where it cannot.
    pub fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && unit(&mut self.rng) < chance
    }

    /// A number below `bound`, at least 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        engine::rng::below(&mut self.rng, bound)
    }

    /// Nanoseconds to the next event of a Poisson process of this rate a second.
    pub fn wait(&mut self, rate: f64) -> u64 {
        (crate::population::exponential(&mut self.rng, 1.0 / rate) * 1e9) as u64
    }
}
