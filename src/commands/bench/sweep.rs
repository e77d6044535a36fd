//! `bench --sweep`: what threads cost beside processes. Some runs of one swarm are made by one process on all threads, and
//! the same runs by as many processes side by side, each on one thread with its share of them: two programs that know
//! nothing of each other are what no sharing of work can do better than, but by evening out.
//!
//! Both ways are timed in turns, and the shorter time counts, for what else the machine does makes times longer. Of processor
//! time, which says less (who waits uses none) and is disturbed less, there is a ratio too.

use std::io::Write;
use std::process::Child;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use simulator::Options;
use simulator::runner::{self, Settings};

use super::{Clock, children_nanos, failed, spawn, swarm};
use crate::cli::{Bench, Jobs, Part};
use crate::commands;
use crate::failure::Failure;

/// The order in which the two ways are timed: together, or not.
const TURNS: [bool; 4] = [true, false, false, true];

/// What is measured of one size.
#[derive(Debug, Serialize)]
struct Figures {
    /// Leechers.
    peers: u32,
    runs: u32,
    /// Threads of the one process, and processes side by side.
    threads: u16,
    /// Of those, threads that share one run.
    threads_a_run: u16,
    /// Seconds that one process took, the shorter time.
    together_seconds: f64,
    /// Seconds until the last of the processes side by side had ended, likewise.
    apart_seconds: f64,
    /// The second by the first: 1 where threads cost nothing beside processes.
    ratio: f64,
    /// The same of processor time, all that it took; nothing where the system does not tell.
    cpu_ratio: Option<f64>,
}

/// What a process of ours tells of the runs that it has made: their digests, in the order of the runs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Digests(Vec<String>);

/// Says what the columns are.
pub fn head(out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{:>8} {:>6} {:>7} {:>11} {:>10} {:>8} {:>6} {:>9}",
        "peers", "runs", "threads", "threads/run", "together s", "apart s", "ratio", "CPU ratio"
    )
}

/// So many processes; none is left to itself if one cannot be started.
fn side_by_side(count: u16, start: impl Fn(u16) -> Result<Child, Failure>) -> Result<Vec<Child>, Failure> {
    let mut children = Vec::new();
    for k in 0..count {
        match start(k) {
            Ok(child) => children.push(child),
            Err(failure) => {
                for mut child in children {
                    // One that has ended by itself is as good.
                    let _ = child.kill().and_then(|()| child.wait());
                }
                return Err(failure);
            }
        }
    }
    Ok(children)
}

/// Times `runs` runs of one size both ways.
pub fn sweep(peers: u32, runs: u32, args: &Bench, out: &mut impl Write) -> Result<(), Failure> {
    let threads = if args.threads > 1 { args.threads } else { jobs(args) };
    let (mut seconds, mut cpu, mut digests) = ([f64::INFINITY; 2], [Some(0); 2], None);
    for together in TURNS {
        let (clock, before) = (Clock::start(), children_nanos());
        let made = match together {
            true => vec![spawn(peers, args, &part(runs, 0, 1, threads))?],
            false => side_by_side(threads, |k| spawn(peers, args, &part(runs, k, threads, 1)))?,
        };
        let made = digests_of(peers, runs, made)?;
        let way = usize::from(together);
        seconds[way] = seconds[way].min(clock.wall_seconds());
        let took = children_nanos().zip(before).map(|(now, before)| now.saturating_sub(before));
        cpu[way] = cpu[way].zip(took).map(|(sum, took)| sum + took);
        if *digests.get_or_insert_with(|| made.clone()) != made {
            return Err(failed(peers, "the two ways do not make the same runs"));
        }
    }
    let [apart, together] = seconds;
    let figures = Figures {
        peers,
        runs,
        threads,
        threads_a_run: args.threads,
        together_seconds: together,
        apart_seconds: apart,
        ratio: apart / together,
        cpu_ratio: cpu[0].zip(cpu[1]).filter(|&(_, by)| by > 0).map(|(apart, by)| apart as f64 / by as f64),
    };
    if args.json {
        let line = serde_json::to_string(&figures).map_err(std::io::Error::from)?;
        writeln!(out, "{line}")?;
    } else {
        let Figures { threads_a_run, ratio, cpu_ratio, .. } = figures;
        let cpu_ratio = cpu_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        writeln!(
            out,
            "{peers:>8} {runs:>6} {threads:>7} {threads_a_run:>11} {together:>10.2} {apart:>8.2} {ratio:>6.3} \
             {cpu_ratio:>9}"
        )?;
    }
    Ok(())
}

/// Runs at a time.
fn jobs(args: &Bench) -> u16 {
    u16::try_from(commands::jobs(&Jobs { jobs: args.jobs })).unwrap_or(u16::MAX)
}

/// The arguments of a process that makes every `of`-th run from the `first` on, on so many threads.
fn part(runs: u32, first: u16, of: u16, threads: u16) -> [String; 6] {
    let part = Part { first, of };
    let [sweep, part_flag, jobs] = ["--sweep", "--part", "--jobs"].map(str::to_owned);
    [sweep, runs.to_string(), part_flag, part.to_string(), jobs, threads.to_string()]
}

/// The digests of all runs, in order, once every process has ended.
fn digests_of(peers: u32, runs: u32, made: Vec<Child>) -> Result<Vec<String>, Failure> {
    let many = made.len();
    let mut all = vec![String::new(); runs as usize];
    // All are waited for, whatever one says.
    let ended: Vec<_> = made.into_iter().map(|child| super::told::<Digests>(peers, child)).collect();
    for (first, part) in ended.into_iter().enumerate() {
        let places = all.iter_mut().skip(first).step_by(many);
        places.zip(part?.0).for_each(|(place, digest)| *place = digest);
    }
    Ok(all)
}

/// What such a process does.
pub fn make_part(
    peers: u32,
    runs: u32,
    part: Part,
    args: &Bench,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let scenario = swarm(peers, runs, args)?;
    let whole = part.of == 1 && args.threads == 1;
    let digests = if whole {
        let settings = Settings { jobs: jobs(args).into(), checks: false, ..Settings::default() };
        let record = runner::run_all(&scenario, &settings, None, &AtomicBool::new(false), |_| {})?;
        record.runs.into_iter().map(|run| run.digest).collect()
    } else {
        let threads = if part.of == 1 { args.threads.into() } else { 1 };
        let options = Options { checks: false, threads, ..Options::default() };
        let jobs = runner::jobs(&scenario, scenario.seed());
        let mine = jobs.iter().skip(part.first.into()).step_by(part.of.max(1).into());
        mine.map(|job| job.run(options, None, |_| true).map(|run| run.digest))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::input(error.to_string()))?
    };
    let line = serde_json::to_string(&Digests(digests)).map_err(std::io::Error::from)?;
    writeln!(out, "{line}")?;
    Ok(())
}
