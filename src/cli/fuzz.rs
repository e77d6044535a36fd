//! `fuzz`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Said at the end of its help.
const EXAMPLES: &str = "\
Examples:
  swarmlab fuzz --count 10000
        ten thousand dialogues with our own engine, in memory and in virtual time
  swarmlab fuzz --client clients/transmission.toml --minutes 10
        start Transmission anew for each dialogue, for ten minutes
  swarmlab fuzz 127.0.0.1:6881 --torrent x.torrent --seed 7
        one hundred dialogues with a seed that runs
  swarmlab fuzz --replay out/fuzz/panic-7-42.dialogue
        hold a dialogue that was saved once more";

/// Said at the end of its help.
const EXIT_CODES: &str = "\
Exit codes:
  0    nothing was found
  1    something was found, also if it was interrupted after that
  2    what was given is wrong: the command line, a setup file, a torrent or a dialogue; or there is nobody to talk to
  3    a file could not be read, or --out not be written
  130  interrupted before anything was found";

/// `fuzz`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Fuzz {
    /// A client that runs and seeds the torrent of --torrent
    #[arg(value_name = "HOST:PORT", value_parser = super::address, requires = "torrent", conflicts_with_all = ["client", "engine"])]
    pub address: Option<String>,
    /// With an address: the torrent that is seeded there
    #[arg(long, value_name = "FILE", requires = "address")]
    pub torrent: Option<PathBuf>,
    /// A setup file that says how a client is started; see docs/harness.md
    #[arg(long, value_name = "TOML", conflicts_with = "engine")]
    pub client: Option<PathBuf>,
    /// Our own engine, in memory and in virtual time; so it is where nobody else is named
    #[arg(long)]
    pub engine: bool,
    /// What the client is to be (repeatable) [default: all that it can]
    #[arg(long, value_enum, value_name = "ROLE", conflicts_with = "address")]
    pub role: Vec<Role>,
    /// What every dialogue is drawn from: the same seed, the same dialogues [default: another each time, printed]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = super::seed)]
    pub seed: Option<u64>,
    /// Dialogues to hold, at least 1 [default: 1000 in memory, 100 over sockets]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true, conflicts_with = "minutes")]
    pub count: Option<u64>,
    /// Begin no more dialogues after so long, as in 0.5
    #[arg(long, value_name = "M", value_parser = super::minutes, allow_negative_numbers = true)]
    pub minutes: Option<f64>,
    /// The number of the first dialogue, to go on where an earlier call ended
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// What is found is saved in this folder
    #[arg(long, value_name = "DIR", default_value = "out/fuzz")]
    pub out: PathBuf,
    /// Hold the dialogue in this file, and no other
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "count", "minutes", "from", "role", "out", "jobs"])]
    pub replay: Option<PathBuf>,
    /// Dialogues at a time [default: the number of cores in memory; over sockets what the setup file says, or 4; with an
    /// address 1]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), allow_negative_numbers = true)]
    pub jobs: Option<u16>,
    /// Programs and our ends of their connections use N.0.0.0/8, which has to be this machine's own
    #[arg(long, value_name = "N", default_value_t = 127, hide_short_help = true)]
    pub net: u8,
    /// No progress, and no more than what was found
    #[arg(short, long)]
    pub quiet: bool,
}

/// `--role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// It has nothing
    Leech,
    /// It has everything
    Seed,
    /// It has a magnet link alone
    Magnet,
}
