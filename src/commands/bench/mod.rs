//! `bench`: how fast the simulator is, and what a peer takes, on the shipped `swarm-scaling`, beside what no simulator of events could go below on the same machine ([`Floor`]). Each size has
//! a process of its own, so that its memory is its own. Or, with `--sweep`, what threads cost beside processes.

mod sweep;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reports::charts::cost::Cost;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use simulator::Options;
use simulator::floor::Floor;
use simulator::runner;
use simulator::scenario::Scenario;

use super::Outcome;
use crate::cli::Bench;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note};
use crate::{files, pages, scenarios};

/// The sizes that are measured if none is said.
const SIZES: [u32; 2] = [100, 1000];

/// The longest file of lines that is drawn.
const MAX_LINES: u64 = 16 << 20;
/// Events of the bare loop that are timed.
const FLOOR_EVENTS: u64 = 5_000_000;
/// Less processor time than this says little in hundredths of a second.
const LEAST_SECONDS: f64 = 0.2;
/// The bare loop has records of no more hosts than these, 2.6 GB: they are far beyond any cache.
const MOST_RECORDS: u32 = 250_000;
/// Linux counts processor time for /proc in hundredths of a second, on every platform that Rust knows.
const TICKS: u64 = 100;

/// What is measured of one size.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    /// Leechers.
    peers: u32,
    /// Connections that each peer may have.
    connections: u32,
    /// Bytes that are shared.
    content_bytes: u64,
    events: u64,
    /// Blocks of 16 KiB that were delivered.
    blocks: u64,
    /// Threads that it ran on.
    threads: u16,
    /// Processor time of all of them, and of the process' other threads, seconds.
    cpu_seconds: f64,
    /// Seconds that went by.
    wall_seconds: f64,
    /// Nothing, where the time was too short for the system's clock.
    blocks_per_core_second: Option<f64>,
    /// Nanoseconds of one event of the bare loop over as many records.
    floor_nanoseconds_per_event: Option<f64>,
    /// The run's processor time, as a multiple of what the bare loop takes for as many events.
    times_floor: Option<f64>,
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
    if let (Some(file), Some(folder)) = (&args.draw, &args.out) {
        return draw(file, folder, out);
    }
    let sizes = if args.peers.is_empty() { &SIZES[..] } else { &args.peers };
    if let &[peers] = sizes {
        pages::ask_for_large(peers.into());
    }
    if let Some(runs) = args.sweep {
        return sweeps(sizes, runs, args, out);
    }
    // What is wrong is said before anything is measured.
    swarm(sizes.first().copied().unwrap_or(1), 1, args)?;
    if !args.json {
        writeln!(
            out,
            "{:>8} {:>7} {:>12} {:>11} {:>8} {:>8} {:>14} {:>8} {:>8} {:>8} {:>8}  digest",
            "peers",
            "threads",
            "events",
            "blocks",
            "CPU s",
            "wall s",
            "blocks/core s",
            "floor ns",
            "x floor",
            "peak MiB",
            "KiB/peer"
        )?;
        out.flush()?;
    }
    for &peers in sizes {
        let figures = if sizes.len() == 1 { measure(peers, args)? } else { measure_apart(peers, args)? };
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

/// `--draw`.
fn draw(file: &Path, folder: &Path, out: &mut impl Write) -> Outcome {
    let bytes = files::read(file, MAX_LINES)?;
    let wrong = |what: String| Failure::input(format!("{}: {what}", file.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("this is no UTF-8 text".to_owned()))?;
    let mut costs = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let figures: Figures = serde_json::from_str(line)
            .map_err(|error| wrong(format!("line {} is no line of `bench --json`: {error}", number + 1)))?;
        costs.push(figures.cost());
    }
    if costs.is_empty() {
        return Err(wrong("there is no line in it".to_owned()));
    }
    files::prepare(folder)?;
    let figure = reports::charts::cost::figure(&costs, vec!["swarmlab bench".to_owned()]);
    let paths = reports::draw(&figure, "cost", folder).map_err(|error| Failure::Io(error.to_string()))?;
    paths.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
    Ok(Exit::Ok)
}

impl Figures {
    /// What is drawn of it.
    fn cost(&self) -> Cost {
        let bytes = self.content_bytes as f64;
        let content = reports::units::with_unit(bytes, reports::units::size(bytes));
        let blocks = self.blocks.max(1) as f64;
        Cost {
            kind: format!(
                "{content}, {} connections each, {}",
                self.connections,
                counted(self.threads.into(), "thread")
            ),
            peers: self.peers,
            nanos: self.blocks_per_core_second.map(|rate| 1e9 / rate),
            floor: self.floor_nanoseconds_per_event.map(|nanos| nanos * self.events as f64 / blocks),
            memory: self.memory_per_peer_bytes.map(|bytes| bytes as f64),
        }
    }
}

/// `--sweep`.
fn sweeps(sizes: &[u32], runs: u32, args: &Bench, out: &mut impl Write) -> Outcome {
    if let (Some(part), Some(&peers)) = (args.part, sizes.first()) {
        sweep::make_part(peers, runs, part, args, out)?;
        return Ok(Exit::Ok);
    }
    swarm(sizes.first().copied().unwrap_or(1), runs, args)?;
    if !args.json {
        sweep::head(out)?;
        out.flush()?;
    }
    for &peers in sizes {
        sweep::sweep(peers, runs, args, out)?;
        out.flush()?;
    }
    Ok(Exit::Ok)
}

fn row(figures: &Figures) -> String {
    let share = |bytes: Option<u64>, unit: f64| {
        bytes.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes as f64 / unit))
    };
    let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    format!(
        "{:>8} {:>7} {:>12} {:>11} {:>8.2} {:>8.2} {:>14} {:>8} {:>8} {:>8} {:>8}  {}",
        figures.peers,
        figures.threads,
        figures.events,
        figures.blocks,
        figures.cpu_seconds,
        figures.wall_seconds,
        figures.blocks_per_core_second.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
        or_dash(figures.floor_nanoseconds_per_event),
        or_dash(figures.times_floor),
        share(figures.peak_memory_bytes, 1_048_576.0),
        share(figures.memory_per_peer_bytes, 1024.0),
        figures.digest
    )
}

/// The swarm that is measured, and how many runs of it.
fn swarm(peers: u32, runs: u32, args: &Bench) -> Result<Scenario, Failure> {
    let mut overrides = vec![
        ("groups.leechers.count", peers.to_string()),
        ("variants", "{ swarm = {} }".to_owned()),
        ("groups.*.connections", args.connections.to_string()),
        ("replicates", runs.to_string()),
    ];
    if let Some(content) = &args.content {
        overrides.push(("content.size", format!("{content:?}")));
    }
    let overrides: Vec<_> = overrides.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    // As it was shipped, whatever folder this is.
    scenarios::embedded("swarm-scaling", &overrides).map_err(|failure| match (failure, &args.content) {
        // Nothing else that is not ours can be wrong with it.
        (Failure::Scenario(error), Some(content)) => {
            Failure::Input(format!("--content {content}: {}", error.message), error.help)
        }
        (failure, _) => failure,
    })
}

/// One size, here.
fn measure(peers: u32, args: &Bench) -> Result<Figures, Failure> {
    let scenario = swarm(peers, 1, args)?;
    let job = runner::jobs(&scenario, scenario.seed()).into_iter().next();
    let job = job.ok_or_else(|| Failure::input("swarm-scaling has no run"))?;
    let options = Options { checks: false, threads: args.threads.into(), ..Options::default() };
    let (memory, clock) = (status("VmRSS:"), Clock::start());
    let run = job.run(options, None, |_| true).map_err(|error| Failure::input(error.to_string()))?;
    let (cpu_seconds, wall_seconds) = clock.seconds();
    let peak = status("VmHWM:");
    let added = peak.zip(memory).map(|(peak, before)| peak.saturating_sub(before));
    let in_all = job.spec().groups.iter().map(|group| u64::from(group.count)).sum::<u64>().max(1);
    let count = |name: &str| run.counters.get(name).copied().unwrap_or(0);
    let floor = (!args.no_floor).then(|| floor(peers.saturating_add(1), args.connections));
    let events = count("events");
    let told = cpu_seconds >= LEAST_SECONDS;
    Ok(Figures {
        peers,
        connections: args.connections,
        content_bytes: run.content,
        threads: args.threads,
        events,
        blocks: count("blocks_delivered"),
        cpu_seconds,
        wall_seconds,
        floor_nanoseconds_per_event: floor,
        times_floor: floor.filter(|_| told).map(|floor| cpu_seconds * 1e9 / (floor * events.max(1) as f64)),
        blocks_per_core_second: told.then(|| count("blocks_delivered") as f64 / cpu_seconds),
        peak_memory_bytes: peak,
        memory_per_peer_bytes: added.map(|bytes| bytes / in_all),
        simulated_seconds: run.ended_at,
        digest: run.digest,
    })
}

/// One size, in a process of its own.
fn measure_apart(peers: u32, args: &Bench) -> Result<Figures, Failure> {
    let more = if args.no_floor { &["--no-floor".to_owned()][..] } else { &[] };
    told(peers, spawn(peers, args, more)?)
}

/// A process of this program that measures one size, and what it is told besides.
fn spawn(peers: u32, args: &Bench, more: &[String]) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(|error| failed(peers, &error.to_string()))?;
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--peers", &peers.to_string(), "--threads", &args.threads.to_string()]);
    command.args(["--connections", &args.connections.to_string()]);
    if let Some(content) = &args.content {
        command.arg(format!("--content={content}"));
    }
    command.args(more).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().map_err(|error| failed(peers, &error.to_string()))
}

/// What it says, once it has ended. If it could not do its work it has said why, and its exit code is ours.
fn told<T: DeserializeOwned>(peers: u32, child: Child) -> Result<T, Failure> {
    let output = child.wait_with_output().map_err(|error| failed(peers, &error.to_string()))?;
    match output.status.code() {
        Some(0) => serde_json::from_slice(&output.stdout).map_err(|error| failed(peers, &error.to_string())),
        Some(code) => Err(Failure::Told(u8::try_from(code).unwrap_or(1))),
        None => Err(failed(peers, &format!("its process ended with {}", output.status))),
    }
}

fn failed(peers: u32, what: &str) -> Failure {
    Failure::Io(format!("cannot measure {peers} peers: {what}"))
}

/// A line of this process's status, which is in KiB, in bytes.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What one event of the bare loop takes, nanoseconds of processor time.
fn floor(hosts: u32, connections: u32) -> f64 {
    let mut floor = Floor::new(hosts.min(MOST_RECORDS), connections);
    // Each record is touched once before the clock starts.
    std::hint::black_box(floor.run(u64::from(hosts) * 8));
    let clock = Clock::start();
    std::hint::black_box(floor.run(FLOOR_EVENTS));
    clock.seconds().0 * 1e9 / FLOOR_EVENTS as f64
}

/// The processor time of this process, or where the system does not tell, the time that goes by.
struct Clock {
    cpu: Option<u64>,
    wall: std::time::Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "what is measured here is real time; no run sees it")]
    fn start() -> Self {
        Self { cpu: cpu_nanos(), wall: std::time::Instant::now() }
    }

    /// Seconds that went by.
    fn wall_seconds(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    /// Seconds of processor time, and seconds that went by.
    fn seconds(&self) -> (f64, f64) {
        let wall = self.wall_seconds();
        match (self.cpu, cpu_nanos()) {
            (Some(before), Some(now)) => (now.saturating_sub(before) as f64 / 1e9, wall),
            _ => {
                note("note: the system does not tell processor time: these are seconds that went by");
                (wall, wall)
            }
        }
    }
}

/// Nanoseconds that the threads of this process have run, those that have ended included.
fn cpu_nanos() -> Option<u64> {
    Some(cpu_times()?[0])
}

/// The same of its processes that have ended and been waited for.
fn children_nanos() -> Option<u64> {
    Some(cpu_times()?[1])
}

fn cpu_times() -> Option<[u64; 2]> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets, which may hold anything.
    let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
    let [user, system, childrens, for_children] =
        <[u64; 4]>::try_from(fields.map(str::parse).collect::<Result<Vec<_>, _>>().ok()?).ok()?;
    Some([user + system, childrens + for_children].map(|ticks| ticks * (1_000_000_000 / TICKS)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_of_a_process_that_could_not_do_its_work_is_ours() {
        let say = |script: &str| {
            let child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            told::<Vec<u32>>(7, child)
        };
        assert_eq!(say("echo '[1, 2]'").unwrap(), [1, 2]);
        assert!(matches!(say("echo '[1, 2]'; exit 2"), Err(Failure::Told(2))));
        assert!(matches!(say("exit 130"), Err(Failure::Told(130))));
        for script in ["kill -9 $$", "echo no figures"] {
            let Err(Failure::Io(message)) = say(script) else { panic!("{script}") };
            assert!(message.contains("7 peers"), "{message}");
        }
    }
}
