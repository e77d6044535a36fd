//! `conform`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use simulator::scenario::units::Time;

use super::EXIT_CODES;

/// Said at the end of its help.
const EXAMPLES: &str = "\
Examples:
  swarmlab conform --client clients/transmission.toml
        start Transmission anew for each case, and run them all
  swarmlab conform 127.0.0.1:6881 --torrent x.torrent
        run those cases that need no more than a seed, against one that runs
  swarmlab conform --engine --filter bep6
        the cases of BEP 6 against the engine, in memory";

/// `conform`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Conform {
    /// A client that runs and seeds the torrent of --torrent
    #[arg(value_name = "HOST:PORT", value_parser = super::address, requires = "torrent", conflicts_with_all = ["client", "engine"])]
    pub address: Option<String>,
    /// With an address: the torrent that is seeded there
    #[arg(long, value_name = "FILE", requires = "address")]
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
    #[arg(long)]
    pub list: bool,
    /// Cases at a time, each with a client of its own [default: what the setup file says, or 4]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How long a case may take
    #[arg(long, value_name = "TIME", default_value = "90 s", value_parser = time)]
    pub timeout: Time,
    /// How long a reaction may take before there is none [default: what the setup file says, or 2 s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub patience: Option<Time>,
    /// Programs and our ends of their connections use N.0.0.0/8, which has to be this machine's own
    #[arg(long, value_name = "N", default_value_t = 127, hide_short_help = true)]
    pub net: u8,
    /// Write the results as JSON ("-": print them, and nothing else)
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
    #[arg(long, value_name = "FILE")]
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
