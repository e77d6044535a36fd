//! What one run is: a scenario with every default filled in, every unit resolved, one point of the sweep
//! chosen. The simulator reads nothing else. Sizes are bytes, rates bytes a second.

use std::sync::Arc;
use std::time::Duration;

use engine::choker::ChokerFactory;
use engine::peer::PeerConfig;
use engine::picker::PickerFactory;
use engine::tracker::TrackerConfig;

use crate::faults::Fault;

/// One run, but for its seed.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Length of the content, bytes.
    pub content: u64,
    /// Length of a piece, bytes.
    pub piece_length: u32,
    /// The run ends here at the latest, simulated time.
    pub time_limit: Duration,
    /// Distance of the samples.
    pub sample_every: Duration,
    /// When the run ends.
    pub until: Until,
    /// Latency, transport, disks.
    pub network: Network,
    /// The tracker.
    pub tracker: Tracker,
    /// The population.
    pub groups: Vec<Group>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When every leecher has completed or left, and none is still to come.
    AllComplete,
    /// At the time limit.
    TimeLimit,
}

/// The network between access links.
#[derive(Clone, Debug)]
pub struct Network {
    /// One-way delays.
    pub latency: Latency,
    /// The largest extra delay of a message, uniform in [0, jitter]; zero for none. Order within a
    /// connection is kept.
    pub jitter: Duration,
    /// What TCP allows.
    pub transport: Transport,
    /// How fast a piece is hashed, bytes a second; `None`: in no time.
    pub hash_rate: Option<u64>,
}

/// One-way delay between two hosts. Where hosts have a latency of their own (`Group::latency`), the delay of
/// a pair is the sum of both halves and this.
#[derive(Clone, Debug)]
pub enum Latency {
    /// The same for every pair.
    Constant(Duration),
    /// Uniform in a range, drawn once for each pair.
    Uniform(Duration, Duration),
    /// Quantiles of a distribution (at equal steps from the minimum to the maximum), drawn once for each
    /// pair by linear interpolation.
    Quantiles(Arc<[Duration]>),
    /// Hosts are assigned in turn to the rows of a symmetric matrix of one-way delays, row-major `n × n`;
    /// two hosts of one row are its diagonal apart.
    Matrix {
        /// Rows.
        n: usize,
        /// One-way delays.
        delays: Arc<[Duration]>,
    },
}

/// The cap that the transport puts on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transport {
    /// None.
    Ideal,
    /// TCP: receive window, slow start from ten segments (RFC 6928) and after idle, loss (Mathis 1997).
    Tcp {
        /// The largest window, bytes.
        window: u32,
        /// Segment size, bytes.
        mss: u32,
        /// Probability that a segment is lost, 0 to 0.5.
        loss: f64,
    },
}

/// The tracker host.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// What it tells peers to wait between announces.
    pub interval: Duration,
    /// The least it allows.
    pub min_interval: Duration,
    /// The most peers in a reply.
    pub max_peers: u32,
    /// Which peers a reply may hold.
    pub returns: Returns,
    /// One-way delay to any peer.
    pub latency: Duration,
}

/// Which peers a tracker's reply may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Any, at random.
    All,
    /// Only those that have the whole content: client-server.
    Seeds,
}

/// Peers that are alike.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Its peers begin with the whole content.
    pub seed: bool,
    /// Uplink, bytes a second; at least 1.
    pub up: u64,
    /// Downlink, bytes a second; `None`: unlimited.
    pub down: Option<u64>,
    /// Each host's own share of the one-way delay.
    pub latency: Duration,
    /// The choker while it leeches.
    pub choker: Arc<dyn ChokerFactory>,
    /// The choker once it seeds.
    pub seed_choker: Arc<dyn ChokerFactory>,
    /// The picker.
    pub picker: Arc<dyn PickerFactory>,
    /// Upload slots, the optimistic one included.
    pub slots: u32,
    /// The most connections.
    pub connections: u32,
    /// The share of its hosts that accept connections from outside (no NAT), 0 to 1.
    pub reachable: f64,
    /// The share of the pieces that a leecher begins with, drawn at random, 0 to 1.
    pub start_with: f64,
    /// Outstanding requests on a connection: adapted to rate and delay, or fixed (oracles only).
    pub pipeline: Pipeline,
    /// They speak the fast extension (BEP 6).
    pub fast: bool,
    /// Pieces that they let a newcomer have while it is choked (BEP 6); 0 for none.
    pub allowed_fast: u32,
    /// They speak the extension protocol (BEP 10).
    pub extended: bool,
    /// They exchange peers (BEP 11).
    pub pex: bool,
    /// When they come.
    pub arrival: Arrival,
    /// When they go.
    pub leave: Leave,
    /// Rate at which an incomplete leecher gives up, per second (exponential); 0 for never.
    pub abort_rate: f64,
    /// What its peers do around the engine.
    pub behaviour: Behaviour,
}

/// Outstanding requests on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipeline {
    /// As the engine adapts them.
    Adaptive,
    /// Always this many.
    Fixed(u32),
}

/// When a group's peers arrive.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// All at one moment.
    At(Duration),
    /// Evenly: the first at `from`, the last at `to`.
    Evenly {
        /// First.
        from: Duration,
        /// Last.
        to: Duration,
    },
    /// A Poisson process from `from` on.
    Poisson {
        /// Start.
        from: Duration,
        /// Peers a second.
        rate: f64,
    },
    /// A flash crowd: a Poisson process whose rate decays exponentially, conditioned on the group's count:
    /// each peer's arrival is `from` plus an exponential variate of mean `decay` (Guo et al., IMC 2005).
    FlashCrowd {
        /// Start.
        from: Duration,
        /// Time constant.
        decay: Duration,
    },
    /// At the moments listed, one for each peer.
    Trace(Arc<[Duration]>),
    /// A while after every leecher of an earlier group has completed.
    After {
        /// Index of the group to wait for.
        group: usize,
        /// How long after.
        delay: Duration,
    },
}

/// When a peer leaves once it has everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Leave {
    /// Never.
    Never,
    /// At once.
    OnCompletion,
    /// After a fixed time.
    After(Duration),
    /// After an exponential time of this mean.
    AfterExponential(Duration),
    /// When payload sent over content length reaches this.
    AtRatio(f64),
}

/// What a host does around the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing: the engine alone.
    Honest,
    /// Sends blocks of wrong bytes.
    Polluter,
    /// Claims every piece and serves none that it lacks.
    Liar,
    /// Unchokes, takes requests, and never serves.
    Staller,
}

impl Behaviour {
    /// The name in scenario files and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Polluter => "polluter",
            Self::Liar => "liar",
            Self::Staller => "staller",
        }
    }
}

/// Bytes a second of a rate in Mbit/s.
pub const fn mbit(rate: u64) -> u64 {
    rate * 1_000_000 / 8
}

impl Default for Spec {
    /// 64 MiB in pieces of 256 KiB, nobody there yet.
    fn default() -> Self {
        Self {
            content: 64 << 20,
            piece_length: 256 << 10,
            time_limit: Duration::from_secs(24 * 3600),
            sample_every: Duration::from_secs(1),
            until: Until::AllComplete,
            network: Network::default(),
            tracker: Tracker::default(),
            groups: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl Default for Network {
    /// 50 ms one way, TCP with a window of 1 MiB and no loss, pieces hashed at 1 GB/s.
    fn default() -> Self {
        Self {
            latency: Latency::Constant(Duration::from_millis(50)),
            jitter: Duration::ZERO,
            transport: Transport::TCP,
            hash_rate: Some(1_000_000_000),
        }
    }
}

impl Transport {
    /// TCP as systems are set up: a window of 1 MiB, segments of 1,460 bytes, no loss.
    pub const TCP: Self = Self::Tcp { window: 1 << 20, mss: 1460, loss: 0.0 };
}

impl Default for Tracker {
    /// As public trackers are run: half an hour, a minute at least, 50 peers.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1800),
            min_interval: Duration::from_secs(60),
            max_peers: 50,
            returns: Returns::All,
            latency: Duration::from_millis(50),
        }
    }
}

impl Tracker {
    /// What its logic is set to.
    pub fn config(&self) -> TrackerConfig {
        TrackerConfig {
            interval: self.interval,
            min_interval: self.min_interval,
            max_peers: self.max_peers,
            default_peers: self.max_peers,
            returns: match self.returns {
                Returns::All => engine::tracker::Returns::All,
                Returns::Seeds => engine::tracker::Returns::Seeds,
            },
            ..TrackerConfig::default()
        }
    }
}

impl Group {
    /// When leechers come that come at once: by then the tracker knows the seeds, whatever its latency.
    pub const LEECHERS_COME: Duration = Duration::from_secs(1);

    /// `count` leechers with the default policies, that come at once and stay.
    pub fn leechers(name: &str, count: u32, up: u64, down: Option<u64>) -> Self {
        use engine::choker::{FactoryOf, MainlineSeed, TitForTat};
        use engine::picker;
        Self {
            name: name.to_string(),
            count,
            seed: false,
            up,
            down,
            latency: Duration::ZERO,
            choker: Arc::new(FactoryOf::new("tit-for-tat", TitForTat::default)),
            seed_choker: Arc::new(FactoryOf::new("mainline-seed", MainlineSeed::default)),
            picker: Arc::new(picker::FactoryOf::new("rarest-first", picker::RarestFirst::default)),
            slots: 4,
            connections: 80,
            reachable: 1.0,
            start_with: 0.0,
            pipeline: Pipeline::Adaptive,
            fast: true,
            allowed_fast: 0,
            extended: true,
            pex: false,
            arrival: Arrival::At(Self::LEECHERS_COME),
            leave: Leave::Never,
            abort_rate: 0.0,
            behaviour: Behaviour::Honest,
        }
    }

    /// What its peers are set to.
    pub fn peer_config(&self) -> PeerConfig {
        let default = PeerConfig::default();
        PeerConfig {
            max_connections: self.connections,
            // As mainline: dial to half of what is allowed, and leave the rest to those who dial us.
            max_initiate: self.connections.div_ceil(2),
            min_connections: self.connections.div_ceil(4).min(default.min_connections),
            slots: self.slots,
            pipeline: match self.pipeline {
                Pipeline::Adaptive => default.pipeline,
                Pipeline::Fixed(depth) => engine::peer::Pipeline::Fixed(depth),
            },
            fast: self.fast,
            allowed_fast: self.allowed_fast,
            extended: self.extended,
            pex: self.pex,
            ..default
        }
    }

    /// `count` seeds with the default policies, there from the start.
    pub fn seeds(name: &str, count: u32, up: u64, down: Option<u64>) -> Self {
        let arrival = Arrival::At(Duration::ZERO);
        Self { seed: true, arrival, ..Self::leechers(name, count, up, down) }
    }
}
