//! What can be typed, as types. Nothing is looked up or decided here.

mod conform;
mod fuzz;
mod live;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use conform::Conform;
pub use fuzz::{Fuzz, Role};
pub use live::{Client, Get, Seed, Tracker};

/// Said at the end of the help of `torture`.
const TORTURE_EXITS: &str = "\
Exit codes:
  0    nothing was found
  1    something was found, also if it was interrupted after that
  2    what was given is wrong: the command line, or a scenario
  3    a file could not be read, or --out not be written
  130  interrupted before anything was found";

/// Said at the end of the help that is about all commands.
const EXIT_CODES: &str = "\
Exit codes:
  0    it worked
  1    a verdict is no: a digest differs, a claim is not met or inconclusive, conform, fuzz or torture found a fault
  2    what was given is wrong: the command line, a scenario, a file's content, or a file that is not there
  3    a file or folder that is there could not be read, or one could not be written
  130  interrupted; finished runs are kept";

/// The same for one command: what 0 means and, where the command has them, 1 and 130.
macro_rules! codes {
    (0: $ok:literal $(, 1: $no:literal)? $(, 130: $stopped:literal)? $(,)?) => {
        concat!(
            "Exit codes:\n  0    ", $ok, $("\n  1    ", $no,)?
            "\n  2    what was given is wrong: the command line, a file's content, or a file that is not there",
            "\n  3    a file or folder that is there could not be read, or one could not be written"
            $(, "\n  130  ", $stopped)?
        )
    };
}
use codes;

/// The most replicates: the most runs of a scenario.
const MAX_REPLICATES: i64 = simulator::scenario::MAX_RUNS as i64;
/// The most leechers of a benchmark: with its seed, the most peers of a run.
const MAX_LEECHERS: i64 = simulator::scenario::MAX_PEERS as i64 - 1;

/// A BitTorrent swarm simulator whose peers are real protocol engines.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios and draw their charts
    Run(Run),
    /// Read scenarios and say what is wrong with them
    Check(Check),
    /// List the scenarios that can be run by name
    List,
    /// Make a record's runs again and compare their digests
    Replay(Replay),
    /// Draw a record's charts and tables again
    Report(Report),
    /// Compare two records: paired differences with 95 % intervals
    Compare(Compare),
    /// Show all that one peer is told and says, as JSON Lines
    Trace(Trace),
    /// Hold the shipped scenarios to what theory and papers say of them
    Validate(Validate),
    /// Draw whole scenarios from seeds, and find what must not be
    Torture(Torture),
    /// Measure the simulator's speed and memory
    #[command(long_about = BENCH)]
    Bench(Bench),
    /// Make a .torrent from a file or folder
    Create(Create),
    /// Print a .torrent or a magnet link
    Show(Show),
    /// Share a file, a folder or a torrent's content with real peers
    Seed(Seed),
    /// Get a torrent's content from real peers
    Get(Get),
    /// Be a tracker, over HTTP and UDP
    Tracker(Tracker),
    /// Test a BitTorrent client's conformance to the protocol
    Conform(Conform),
    /// Hold dialogues with a BitTorrent client that are made to break it
    Fuzz(Fuzz),
}

/// `run`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "the runs were made", 130: "interrupted; finished runs are kept, and --resume goes on"))]
pub struct Run {
    /// Scenario files, or names of shipped scenarios (see `swarmlab list`)
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Results go into a folder below this, named after the scenario
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// The seed that every run's seed is derived from, instead of the scenario's
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Runs of each point, instead of the scenario's number; a variant that sets its own keeps it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_REPLICATES), allow_negative_numbers = true)]
    pub replicates: Option<u32>,
    #[command(flatten)]
    pub set: Set,
    #[command(flatten)]
    pub jobs: Jobs,
    /// What runs under the peers: messages alone, or every byte encoded, decoded and hashed
    #[arg(long, value_enum, default_value_t = Stack::Message)]
    pub stack: Stack,
    /// No progress bars and no summary
    #[arg(short, long)]
    pub quiet: bool,
    /// Make each run again with real sockets and real files (up to 50 peers, in real time, one replicate unless said),
    /// and draw both worlds side by side; simulates the wire stack
    #[arg(long, conflicts_with_all = ["resume", "stack"])]
    pub live: bool,
    /// Keep the runs of an earlier invocation that was interrupted, and make those that are missing
    #[arg(long)]
    pub resume: bool,
}

/// `--set`.
#[derive(Debug, Args)]
pub struct Set {
    /// Change a key of the scenario, as in --set groups.leechers.up='8 Mbit/s' (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

/// `--jobs`.
#[derive(Debug, Args)]
pub struct Jobs {
    /// Runs at a time [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), allow_negative_numbers = true)]
    pub jobs: Option<u16>,
}

/// `--stack`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stack {
    /// Messages are passed as they are
    Message,
    /// Every byte is encoded, decoded and hashed
    Wire,
}

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "every scenario can be run"))]
pub struct Check {
    /// Scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    #[command(flatten)]
    pub set: Set,
}

/// Which of a record's runs.
#[derive(Debug, Args)]
pub struct Which {
    /// The point: its values, separated by commas; one value is enough if it says which [default: all, for trace the first]
    #[arg(long, value_name = "VALUES")]
    pub point: Option<String>,
    /// The replicate, from 0 [default: all, for trace the first]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..), allow_negative_numbers = true)]
    pub replicate: Option<u32>,
    /// Where files are that the scenario names (traces, matrices) and the record does not hold: the scenario's folder
    #[arg(long, value_name = "DIR")]
    pub base: Option<PathBuf>,
}

/// `replay`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "the digests are the same", 1: "a digest differs", 130: "interrupted"))]
pub struct Replay {
    /// A record.json, or the folder it is in
    pub record: PathBuf,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub jobs: Jobs,
    /// Say nothing but what differs
    #[arg(short, long)]
    pub quiet: bool,
}

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "charts and tables were written"))]
pub struct Report {
    /// A record.json, or the folder it is in
    pub record: PathBuf,
    /// Where the files go [default: beside the record]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// No summary
    #[arg(short, long)]
    pub quiet: bool,
}

/// `compare`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "the records were compared"))]
pub struct Compare {
    /// The first record
    pub a: PathBuf,
    /// The second: differences are its figures minus the first's
    pub b: PathBuf,
}

/// `trace`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "it was shown, and the digest is that of the record", 1: "the digest differs"))]
pub struct Trace {
    /// A record.json, or the folder it is in
    pub record: PathBuf,
    /// The peer: its row among the run's in peers.csv, from 0
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..), allow_negative_numbers = true)]
    pub peer: u32,
    #[command(flatten)]
    pub which: Which,
}

/// `torture`.
#[derive(Debug, Args)]
#[command(after_help = TORTURE_EXITS)]
pub struct Torture {
    /// Scenario files to put to the test instead of seeds, one after another, such as those that seeds that failed were
    /// shrunk to
    #[arg(conflicts_with_all = ["seeds", "hours", "jobs", "out"], value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Seeds to draw from, both ends included, as in 1..20; without an end they go on for --hours [default: 1..20]
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<Seeds>,
    /// Begin no seed after so many hours; without --seeds, from a seed that chance draws
    #[arg(long, value_name = "H", value_parser = hours, allow_negative_numbers = true)]
    pub hours: Option<f64>,
    #[command(flatten)]
    pub jobs: Jobs,
    /// Where shrunk scenarios go
    #[arg(long, value_name = "DIR", default_value = "out/torture")]
    pub out: PathBuf,
    /// Print each scenario whole
    #[arg(long)]
    pub show: bool,
    /// Print what fails alone, and no progress
    #[arg(short, long, conflicts_with = "show")]
    pub quiet: bool,
}

/// Seeds from one on, to another if there is an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: Option<u64>,
}

/// What `bench` prints, said with `--help`.
const BENCH: &str = "\
Measure the simulator's speed and memory

Runs the shipped swarm-scaling, each size in a process of its own, and prints a line for it: the events and the delivered blocks of 16 KiB, processor time and time
gone by, blocks for each second of a core, what an event of a bare loop takes on this machine
(nothing but to take an event from the queue, touch the memory that it must, and put a later one
in) and how many times that the run took, the most memory, what of it the run added for each peer,
and the run's digest.

With --sweep N it prints instead what threads cost beside processes: the seconds in which one
process makes N runs on all threads, and the seconds in which as many processes side by side make
them, one thread each (each way is timed twice, in turns, and the shorter time counts), and the
second by the first: 1 where threads cost nothing beside processes; and the same ratio of
processor time, which what else the machine does disturbs less. With --threads T the one process
makes one run after the other, each on T threads, and T processes are side by side.

With --draw FILE it measures nothing: what FILE has of lines that --json printed is drawn.";

/// Every `of`-th run from the `first` on, written `first/of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first, from 0.
    pub first: u16,
    /// At least 1.
    pub of: u16,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.of)
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once('/').and_then(|(first, of)| Some((first.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((first, of)) if first < of => Ok(Self { first, of }),
            _ => Err("it has the form K/M, K below M".to_owned()),
        }
    }
}

/// `bench`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "it was measured"))]
pub struct Bench {
    /// Leechers in the swarm (repeatable) [default: 100 and 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_LEECHERS), allow_negative_numbers = true)]
    pub peers: Vec<u32>,
    /// Threads that share the peers of one swarm; the result is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), default_value = "1")]
    pub threads: u16,
    /// What is shared, instead of 64 MiB
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub content: Option<String>,
    /// Time N runs of one process on all threads against the same runs of as many processes side by side
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_REPLICATES), conflicts_with = "no_floor")]
    pub sweep: Option<u32>,
    /// Threads of a sweep, each with runs of its own, and processes beside it [default: the number of cores]
    #[arg(short, long, value_name = "N", requires = "sweep", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Make a part of a sweep's runs, and print their digests: what a process side by side does
    #[arg(long, value_name = "K/M", requires = "sweep", hide = true)]
    pub part: Option<Part>,
    /// Connections that each peer may have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), default_value = "40")]
    pub connections: u32,
    /// Measure nothing: draw the lines of --json that this file has into a folder
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with_all = ["peers", "sweep", "json", "content"])]
    pub draw: Option<PathBuf>,
    /// The folder that --draw draws into
    #[arg(long, value_name = "DIR", requires = "draw")]
    pub out: Option<PathBuf>,
    /// Leave out the bare loop that the cost is held against
    #[arg(long)]
    pub no_floor: bool,
    /// A line of JSON for each size
    #[arg(long)]
    pub json: bool,
}

/// `create`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "the torrent was made"))]
pub struct Create {
    /// The file or folder to share
    pub path: PathBuf,
    /// Where the .torrent goes [default: the name with .torrent, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Length of a piece, as in "256 KiB" [default: by the size of the content]
    #[arg(long, value_name = "SIZE")]
    pub piece: Option<String>,
    /// A tracker's URL; each further one is a tier of its own (repeatable)
    #[arg(long, value_name = "URL", value_parser = tracker)]
    pub tracker: Vec<String>,
    /// Peers come from the tracker alone
    #[arg(long)]
    pub private: bool,
    /// A comment
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Replace a file that is there
    #[arg(short, long)]
    pub force: bool,
}

/// `show`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "it was printed"))]
pub struct Show {
    /// A .torrent file, or a magnet link in quotes
    #[arg(value_name = "TORRENT")]
    pub torrent: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has the form KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// The address of a client, as far as can be told without looking it up.
fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)) {
        true => Ok(text.to_owned()),
        false => {
            Err("an address is HOST:PORT, as in 127.0.0.1:6881, [::1]:6881 or localhost:6881".to_owned())
        }
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let (from, to) = match text.split_once("..") {
        Some((from, "")) => (seed(from)?, None),
        Some((from, to)) => (seed(from)?, Some(seed(to)?)),
        None => (seed(text)?, Some(seed(text)?)),
    };
    match to {
        Some(to) if to < from => Err("they end before they begin".to_owned()),
        // Their number must fit.
        Some(u64::MAX) if from == 0 => Err("there are too many".to_owned()),
        _ => Ok(Seeds { from, to }),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| *minutes > 0.0 && *minutes <= 1_000_000.0);
    minutes.ok_or_else(|| "minutes are a number above 0, such as 0.5, and at most 1000000".to_owned())
}

fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse().ok().filter(|hours| *hours > 0.0 && *hours <= 10_000.0);
    hours.ok_or_else(|| "hours are a number above 0, such as 0.5, and at most 10000".to_owned())
}

/// A tracker's address, as far as can be told without asking it: a scheme that trackers have, and a host.
fn tracker(text: &str) -> Result<String, String> {
    const SCHEMES: [&str; 5] = ["http", "https", "udp", "ws", "wss"];
    let (scheme, rest) = text.split_once("://").unwrap_or(("", ""));
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if !known || host.is_empty() || host.starts_with(':') || !text.chars().all(plain) {
        let schemes = SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
        return Err(format!("a tracker's URL has a host after one of {schemes}"));
    }
    Ok(text.to_owned())
}

/// `validate`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "every claim is met", 1: "a claim is not met, or stayed inconclusive", 130: "interrupted"))]
pub struct Validate {
    /// Scenarios whose claims to check, or `rounds` for the optimal broadcast [default: all]
    pub subjects: Vec<String>,

    /// Runs of each point, each with a seed of its own, 2 to 100; with few, claims may stay inconclusive
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=100), allow_negative_numbers = true)]
    pub seeds: u8,

    /// What the seeds are derived from, instead of a fixed number
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub jobs: Jobs,

    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_tracker_has_a_scheme_and_a_host() {
        for url in ["http://a/announce", "HTTPS://a:1", "udp://[::1]:6969", "wss://a?key=1"] {
            assert_eq!(tracker(url), Ok(url.to_owned()));
        }
        for url in
            ["", "notaurl", "http:/a", "http://", "http:///announce", "ftp://a", "udp://:80", "http://a b"]
        {
            assert!(tracker(url).is_err(), "{url}");
        }
    }

    #[test]
    fn seeds_have_an_end_or_none() {
        let of = |from, to| Ok(Seeds { from, to });
        assert_eq!(seeds("1..20"), of(1, Some(20)));
        assert_eq!(seeds("7"), of(7, Some(7)));
        assert_eq!(seeds("7.."), of(7, None));
        for text in ["", "..", "..3", "3..1", "a..b", "-1..3", "0..18446744073709551615", "1..2..3"] {
            assert!(seeds(text).is_err(), "{text}");
        }
        assert_eq!((hours("0.5"), minutes("0.25")), (Ok(0.5), Ok(0.25)));
        assert!(["0", "-1", "nan", "inf", "x"].iter().all(|text| minutes(text).is_err()));
        assert!(["0", "-1", "nan", "inf", "x"].iter().all(|text| hours(text).is_err()));
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["127.0.0.1:6881", "[::1]:6881", "localhost:1"] {
            assert_eq!(address(text), Ok(text.to_owned()));
        }
        for text in ["", "localhost", "1.2.3.4", ":6881", "a:", "a:0", "a:65536", "a:b"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_is_cut_at_its_first_equals_sign() {
        let set = key_and_value("groups.a.leave={ after = \"5 s\" }").unwrap();
        assert_eq!(set, ("groups.a.leave".to_owned(), "{ after = \"5 s\" }".to_owned()));
        assert!(key_and_value("replicates").is_err());
    }
}
