//! `conform`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use simulator::scenario::units::Time;

/// Said at the end of its help.
const EXAMPLES: &str = "\
Examples:
  swarmlab conform --client clients/transmission.toml
        start Transmission anew for each case, and run them all
  swarmlab conform localhost:6881 --torrent x.torrent
        run those cases that need no more than a seed, against one that runs
  swarmlab conform --engine --filter bep6
        the cases of BEP 6 against the engine, in memory";

/// What its exit codes mean.
const CODES: &str = "\
Exit codes:
  0    every case that was run holds what is binding
  1    a must is broken, or what is robust: FAIL, CRASH, HANG, or a binding case STUCK; also if it was interrupted later
  2    what was given is wrong, nobody is there to be tested, or every case was skipped
  3    a file that is there could not be read, or one could not be written
  130  interrupted, and nothing was found until then; what has ended is in the files";

/// `conform`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{CODES}"))]
#[command(group = ArgGroup::new("written").args(["json", "junit", "markdown", "html"]).multiple(true))]
pub struct Conform {
    /// A client that runs and seeds the torrent of --torrent
    #[arg(value_name = "HOST:PORT", value_parser = super::address, requires = "torrent", conflicts_with_all = ["client", "engine"])]
    pub address: Option<String>,
    /// With an address: the torrent that is seeded there
    #[arg(long, value_name = "FILE", requires = "address", conflicts_with_all = ["client", "engine"])]
    pub torrent: Option<PathBuf>,
    /// A setup file that says how a client is started (repeatable); see docs/harness.md
    #[arg(long, value_name = "TOML", conflicts_with = "engine")]
    pub client: Vec<PathBuf>,
    /// Our own engine, in memory and in virtual time
    #[arg(long)]
    pub engine: bool,
    /// Only cases whose id begins with this or has it after a "/" (repeatable)
    #[arg(long, value_name = "ID")]
    pub filter: Vec<String>,
    /// List the cases, and run none
    #[arg(long, conflicts_with_all = ["address", "torrent", "client", "engine", "jobs", "timeout", "patience", "net",
        "written", "merge", "quiet"])]
    pub list: bool,
    /// Cases at a time, each with a client of its own [default: what the setup file says, or 4; 1 for one that runs]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How long a case may take [default: 90 s]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "engine")]
    pub timeout: Option<Time>,
    /// How long a reaction may take before there is none [default: what the setup file says, or 2 s]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "engine")]
    pub patience: Option<Time>,
    /// Programs and our ends of their connections use N.0.0.0/8, which has to be this machine's own [default: 127]
    #[arg(long, value_name = "N", hide_short_help = true, conflicts_with = "engine")]
    pub net: Option<u8>,
    /// Write the results as JSON, renewed after each case ("-": to standard output, at the end, as for those below)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the matrix of clients and cases as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write the matrix as an HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Take in the results of earlier runs (--json) for the files that are written (repeatable)
    #[arg(long, value_name = "FILE", requires = "written")]
    pub merge: Vec<PathBuf>,
    /// Print what failed, and the sums
    #[arg(short, long)]
    pub quiet: bool,
}

/// A time with a unit, above zero.
fn time(text: &str) -> Result<Time, String> {
    let time = Time::from_str(text).map_err(|error| format!("{error}; {}", error.help()))?;
    match time.duration().is_zero() {
        true => Err("a time above zero is needed".to_owned()),
        false => Ok(time),
    }
}
