//! The commands that use the network: `seed`, `get`, `tracker`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use simulator::scenario::units::{Rate, Size, Time, UnitError};

use super::codes;

/// What every client can be told.
#[derive(Debug, Args)]
pub struct Client {
    /// Where to listen for peers [default: every address, a port that the system picks]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// A peer to ask, beside those that trackers name (repeatable)
    #[arg(long, value_name = "ADDR:PORT")]
    pub peer: Vec<SocketAddr>,
    /// A tracker's URL, beside those of the torrent (repeatable)
    #[arg(long, value_name = "URL")]
    pub tracker: Vec<String>,
    /// Send no faster, as in "2 MiB/s"
    #[arg(long, value_name = "RATE", value_parser = unit::<Rate>)]
    pub up: Option<Rate>,
    /// Receive no faster
    #[arg(long, value_name = "RATE", value_parser = unit::<Rate>)]
    pub down: Option<Rate>,
    /// Connect to several peers at one address, as in tests on one machine
    #[arg(long)]
    pub same_address: bool,
    /// Nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Everything that happens: who connects, who goes and why, each piece
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// `seed`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "it sent what --seed-until asks for", 130: "interrupted"))]
pub struct Seed {
    /// A file or folder to share, or a .torrent whose content is there. What is hashed is noted in the folder
    /// .swarmlab beside the content, and hashed again only if it changes
    #[arg(value_name = "FILE-or-TORRENT")]
    pub what: PathBuf,
    /// Of a .torrent: the folder that its content is in [default: the current folder]
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Leave once so much of the content was sent, as in 1.5
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub seed_until: Option<f64>,
    #[command(flatten)]
    pub client: Client,
}

/// `get`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "everything is there", 130: "interrupted; what is there is kept"))]
pub struct Get {
    /// A .torrent file, or a magnet link in quotes
    #[arg(value_name = "TORRENT-or-MAGNET")]
    pub torrent: String,
    /// The folder that the content goes into; what is there already is kept and checked
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Stay once it is complete, until so much was sent for what was received, as in 1.5
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub seed_until: Option<f64>,
    /// Pieces in order
    #[arg(long)]
    pub sequential: bool,
    /// How often what is there is noted for the next time
    #[arg(long, value_name = "TIME", default_value = "10 s", value_parser = unit::<Time>)]
    pub save_every: Time,
    #[command(flatten)]
    pub client: Client,
}

/// `tracker`.
#[derive(Debug, Args)]
#[command(after_help = codes!(0: "it never ends by itself", 130: "interrupted"))]
pub struct Tracker {
    /// Where to answer HTTP (repeatable)
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:6969")]
    pub http: Vec<SocketAddr>,
    /// Where to answer UDP (repeatable)
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:6969")]
    pub udp: Vec<SocketAddr>,
    /// Serve this torrent and no other: a .torrent file or an info-hash (repeatable)
    #[arg(long, value_name = "TORRENT")]
    pub allow: Vec<String>,
    /// Tell of nobody who has sent less than so much of what it received, as in 0.5; counted by address
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub min_ratio: Option<f64>,
    /// With --min-ratio: what may be received before it counts
    #[arg(long, value_name = "SIZE", default_value = "1 GiB", value_parser = unit::<Size>)]
    pub grace: Size,
    /// What peers are told to wait between announces
    #[arg(long, value_name = "TIME", default_value = "30 min", value_parser = unit::<Time>)]
    pub interval: Time,
    /// Nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// A value with a unit.
fn unit<T: FromStr<Err = UnitError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: UnitError| format!("{error}; {}", error.help()))
}

/// A share ratio.
fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio >= 0.0);
    ratio.ok_or_else(|| "a ratio is a number from 0, as in 1.5".to_owned())
}
