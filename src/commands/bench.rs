//! `bench`: how fast the simulator is, and what a peer takes, on the shipped `swarm-scaling` with forty
//! connections a peer. Each size has a process of its own, so that its memory is its own.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use simulator::Options;
use simulator::runner;

use super::Outcome;
use crate::cli::Bench;
use crate::failure::{Exit, Failure};
use crate::output::note;
use crate::scenarios;

/// The sizes that are measured if none is said.
const SIZES: [u32; 2] = [100, 1000];

/// What is measured of one size.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    /// Leechers.
    peers: u32,
    /// Connections that each peer may have.
    connections: u32,
    events: u64,
    /// Blocks of 16 KiB that were delivered.
    blocks: u64,
    /// Processor time of the thread that ran it, seconds.
    cpu_seconds: f64,
    blocks_per_core_second: f64,
    /// The most memory that the process held.
    peak_memory_bytes: Option<u64>,
    /// What of it the run added, over all peers.
    memory_per_peer_bytes: Option<u64>,
    /// Simulated seconds.
    simulated_seconds: f64,
    /// That of replicate 0 in `run`.
    digest: String,
}

pub fn bench(args: &Bench, out: &mut impl Write) -> Outcome {
    let sizes = if args.peers.is_empty() { &SIZES[..] } else { &args.peers };
    if !args.json {
        writeln!(
            out,
            "{:>8} {:>12} {:>10} {:>8} {:>14} {:>10} {:>10}  digest",
            "peers", "events", "blocks", "CPU s", "blocks/core s", "peak MiB", "KiB/peer"
        )?;
        out.flush()?;
    }
    for &peers in sizes {
        let figures = if sizes.len() == 1 { measure(peers)? } else { measure_apart(peers)? };
        if args.json {
            let line = serde_json::to_string(&figures).map_err(std::io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", row(&figures))?;
        }
        out.flush()?;
    }
    Ok(Exit::Ok)
}

fn row(figures: &Figures) -> String {
    let share = |bytes: Option<u64>, unit: f64| {
        bytes.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / unit))
    };
    format!(
        "{:>8} {:>12} {:>10} {:>8.2} {:>14.0} {:>10} {:>10}  {}",
        figures.peers,
        figures.events,
        figures.blocks,
        figures.cpu_seconds,
        figures.blocks_per_core_second,
        share(figures.peak_memory_bytes, 1_048_576.0),
        share(figures.memory_per_peer_bytes, 1024.0),
        figures.digest
    )
}

/// One size, here.
fn measure(peers: u32) -> Result<Figures, Failure> {
    let overrides = [
        ("groups.leechers.count", peers.to_string()),
        ("variants", "{ swarm = {} }".to_owned()),
        ("groups.*.connections", "40".to_owned()),
        ("replicates", "1".to_owned()),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value));
    // As it was shipped, whatever folder this is.
    let scenario = scenarios::embedded("swarm-scaling", &overrides)?;
    let job = runner::jobs(&scenario, scenario.seed()).into_iter().next();
    let job = job.ok_or_else(|| Failure::input("swarm-scaling has no run"))?;
    let options = Options { checks: false, ..Options::default() };
    let (memory, clock) = (status("VmRSS:"), Clock::start());
    let run = job.run(options, None, |_| true).map_err(|error| Failure::input(error.to_string()))?;
    let cpu_seconds = clock.seconds();
    let peak = status("VmHWM:");
    let added = peak.zip(memory).map(|(peak, before)| peak.saturating_sub(before));
    let in_all = job.spec().groups.iter().map(|group| u64::from(group.count)).sum::<u64>().max(1);
    let count = |name: &str| run.counters.get(name).copied().unwrap_or(0);
    Ok(Figures {
        peers,
        connections: 40,
        events: count("events"),
        blocks: count("blocks_delivered"),
        cpu_seconds,
        blocks_per_core_second: count("blocks_delivered") as f64 / cpu_seconds.max(1e-9),
        peak_memory_bytes: peak,
        memory_per_peer_bytes: added.map(|bytes| bytes / in_all),
        simulated_seconds: run.ended_at,
        digest: run.digest,
    })
}

/// One size, in a process of its own.
fn measure_apart(peers: u32) -> Result<Figures, Failure> {
    let failed = |what: String| Failure::Io(format!("cannot measure {peers} peers: {what}"));
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(program);
    child.args(["bench", "--json", "--peers", &peers.to_string()]).stderr(Stdio::inherit());
    let output = child.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("its process ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// A line of this process's status, which is in KiB, in bytes.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The processor time of this thread, or where the system does not tell, the time that goes by.
struct Clock {
    cpu: Option<u64>,
    wall: std::time::Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "what is measured here is real time; no run sees it")]
    fn start() -> Self {
        Self { cpu: cpu_nanos(), wall: std::time::Instant::now() }
    }

    fn seconds(&self) -> f64 {
        match (self.cpu, cpu_nanos()) {
            (Some(before), Some(now)) => now.saturating_sub(before) as f64 / 1e9,
            _ => {
                note(
                    "note: the system does not tell a thread's processor time: these are seconds that went by",
                );
                self.wall.elapsed().as_secs_f64()
            }
        }
    }
}

/// Nanoseconds that this thread has run.
fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
