//! The versioned format of swarmlab's results: what one invocation of `run` leaves in `record.json`, and all
//! that charts and tables are made from. Times are seconds of simulated time, sizes are bytes, rates are
//! bytes a second. See `docs/record.md`.

mod apart;

use std::collections::BTreeMap;

pub use apart::{PeersError, read_peers, write_peers};
use serde::{Deserialize, Serialize};

/// The version of the format this crate writes. A reader refuses a higher one.
/// 2: peers may be in a file apart.
pub const FORMAT: u32 = 2;

/// The name of the axis that tells simulated runs from those with real sockets: the last of a record that has both.
/// Such a run's point ends in `simulated` or `live`; a live run has no digest.
pub const WORLD: &str = "world";

/// Everything one scenario's runs left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Version of swarmlab that ran it.
    pub version: String,
    /// The scenario's name: its file name without `.toml`.
    pub scenario: String,
    /// The question it answers (the comment the file opens with).
    pub question: String,
    /// What to chart: see [`Chart`].
    pub charts: Vec<Chart>,
    /// The scenario file's text as it was run, `--set` and the other flags not applied.
    pub source: String,
    /// The text of each file that the scenario names (traces, matrices), by the name that it has there; without those
    /// that were too large to keep.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// `--set KEY=VALUE` as given, in order.
    pub overrides: Vec<String>,
    /// The seed that every run's seed is derived from.
    pub seed: u64,
    /// `message` or `wire`.
    pub stack: String,
    /// Names of the sweep's keys, in order; each run's `point` has a value for each.
    pub axes: Vec<String>,
    /// True if the invocation ended before every run was done.
    pub partial: bool,
    /// The runs that ended, in order of (point, replicate).
    pub runs: Vec<Run>,
}

/// A chart that a scenario asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Chart {
    /// Mean download speed of the completed leechers against the numeric sweep axis `x` (or against the
    /// number of leechers if there is none), a line for each other point of the sweep, with the 95 %
    /// confidence band over replicates; `bound` adds the bound of Kumar and Ross.
    Speed {
        /// The axis to plot against, by name; empty: the number of leechers.
        x: String,
        /// Logarithmic x axis.
        log_x: bool,
        /// Logarithmic y axis.
        log_y: bool,
        /// Draw the bound.
        bound: bool,
    },
    /// Share of the leechers that have completed against time since their arrival, by group and point.
    Completion,
    /// Distribution of share ratios by group and point.
    ShareRatio,
    /// Mean speed by group for each point, as bars with confidence intervals.
    SpeedByGroup,
    /// Swarm throughput and uplink utilisation against time.
    Throughput,
    /// Copies of the rarest piece and mean number of copies against time.
    Availability,
    /// Peers present, and how many of them have the whole content, against time.
    Population,
}

/// One run: one point of the sweep, one replicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The value of each axis, as text, in the order of [`Record::axes`].
    pub point: Vec<String>,
    /// Replicate number, from 0.
    pub replicate: u32,
    /// The seed of this run, in decimal (a JSON number would lose bits in some readers).
    pub seed: String,
    /// The digest of every input and output of every host, hexadecimal; empty for a live run.
    pub digest: String,
    /// Content length in bytes.
    pub content: u64,
    /// Pieces in the content.
    pub pieces: u32,
    /// Simulated seconds at the end of the run.
    pub ended_at: f64,
    /// Why it ended.
    pub end: End,
    /// No swarm can have its last leecher finish sooner than this many seconds after the first arrival
    /// (Kumar and Ross 2006); `None` where the population varies too much for the bound to say anything.
    pub bound: Option<f64>,
    /// Groups, in the scenario's order.
    pub groups: Vec<Group>,
    /// Every peer, in order of group and arrival. On the disk a large run has none here, and `peers_file`.
    pub peers: Vec<Peer>,
    /// On the disk: the file beside the record that has the peers of a large run ([`write_peers`]). Nothing in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_file: Option<String>,
    /// Samples on the fixed grid, all groups together.
    pub series: Vec<Sample>,
    /// What the run counted: events, delivered blocks, messages by kind, wasted bytes, hash failures, bans…
    pub counters: BTreeMap<String, u64>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every leecher that was to complete has completed or left.
    Done,
    /// The scenario's time was up.
    TimeLimit,
    /// Nothing can happen any more though leechers are left incomplete.
    Stuck,
}

/// A group of the population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name in the scenario.
    pub name: String,
    /// Its peers start with the whole content.
    pub seed: bool,
    /// Peers in it.
    pub count: u32,
    /// Uplink, bytes a second.
    pub up: u64,
    /// Downlink, bytes a second; `None`: unlimited.
    pub down: Option<u64>,
    /// The choker its leechers use.
    pub choker: String,
    /// The choker its seeds use.
    pub seed_choker: String,
    /// The picker it uses.
    pub picker: String,
    /// `honest`, or the strategy around the engine.
    pub behaviour: String,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Index into [`Run::groups`].
    pub group: u32,
    /// When it joined, seconds.
    pub arrived: f64,
    /// When it had the whole content; `None`: never, or it began with it.
    pub completed: Option<f64>,
    /// When it left; `None`: it was there at the end.
    pub left: Option<f64>,
    /// Payload bytes it sent.
    pub uploaded: u64,
    /// Payload bytes it received.
    pub downloaded: u64,
    /// Of those, bytes it had no use for: duplicates of endgame, and pieces that failed their hash.
    pub wasted: u64,
    /// Pieces it had at the end.
    pub pieces: u32,
}

/// The state of the swarm at one moment of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Seconds.
    pub time: f64,
    /// Leechers present without the whole content.
    pub leechers: u32,
    /// Peers present with the whole content.
    pub seeds: u32,
    /// Leechers that have completed so far.
    pub completed: u32,
    /// Payload bytes received so far, all peers.
    pub downloaded: u64,
    /// Payload bytes sent so far, all peers.
    pub uploaded: u64,
    /// Sum of the uplinks present, bytes a second.
    pub uplink: u64,
    /// Copies of the rarest piece among the peers present, seeds included.
    pub rarest: u32,
    /// Mean number of copies of a piece.
    pub mean_copies: f64,
}

/// Why a file is no record.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON of this form.
    #[error("this is no swarmlab record: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later version.
    #[error("this record has format {0}, and this swarmlab reads up to {FORMAT}: use a newer one")]
    Newer(u32),
}

impl Record {
    /// Reads a record, refusing formats from the future.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(ReadError::Newer(format));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The record as it goes to the disk, and behind it what it has no room for: the peers of runs that have more than
    /// `most`, with the names of their files.
    pub fn parted(&self, most: usize) -> (Self, Vec<(String, &[Peer])>) {
        let mut apart = Vec::new();
        let runs = self.runs.iter().map(|run| match run.name_of_peers().filter(|_| run.peers.len() > most) {
            Some(name) => {
                apart.push((name.clone(), run.peers.as_slice()));
                run.without_peers(name)
            }
            None => run.clone(),
        });
        let runs = runs.collect();
        (self.with_runs(runs), apart)
    }

    fn with_runs(&self, runs: Vec<Run>) -> Self {
        Self {
            format: self.format,
            version: self.version.clone(),
            scenario: self.scenario.clone(),
            question: self.question.clone(),
            charts: self.charts.clone(),
            source: self.source.clone(),
            files: self.files.clone(),
            overrides: self.overrides.clone(),
            seed: self.seed,
            stack: self.stack.clone(),
            axes: self.axes.clone(),
            partial: self.partial,
            runs,
        }
    }

    /// The record as JSON text, a line for each run, ending in a newline. The same record gives the same bytes.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}
