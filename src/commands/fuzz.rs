//! `fuzz`: dialogues with the engine in memory, clients that are started, or one that runs; what they show is cut down,
//! saved, and can be replayed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine::Metainfo;
use harness::clock::Clock;
use harness::conform::subject::Subject;
use harness::fuzz::socket::Who;
use harness::fuzz::{Arm, Campaign, Dialogue, Finding, Found, Memory, Role, Socket};
use harness::launch::{Client, Net, SetupError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Outcome;
use crate::cli::Fuzz;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::{counted, note, safe};
use crate::stop;

/// The longest dialogue that is read from a file.
const MAX_FILE: u64 = 64 << 20;
/// Clients at a time where nothing else is said: most of a dialogue is waiting.
const JOBS: u16 = 4;
/// The patience with a seed that runs.
const PATIENCE: Duration = Duration::from_secs(2);
/// A dialogue in memory that takes longer than this in real time does not end: most take milliseconds.
const HANG: Duration = Duration::from_secs(60);

/// Whom dialogues are held with.
enum Target {
    Memory,
    Socket(Who, Duration),
}

impl Target {
    fn of(args: &Fuzz) -> Result<Self, Failure> {
        if let Some(path) = &args.client {
            let client = Client::read(path).map_err(|error| match error {
                SetupError::Read { error, .. } => Failure::unreadable(path, &error),
                error => Failure::input(error.to_string().trim_end().to_owned()),
            })?;
            let patience = Duration::from_secs_f64(client.patience_seconds);
            return Ok(Self::Socket(Who::Client(Box::new(client)), patience));
        }
        if let (Some(addr), Some(path)) = (args.address, &args.torrent) {
            let bytes = files::read(path, engine::metainfo::MAX_TORRENT as u64)?;
            let wrong = |error| Failure::input(format!("{}: {error}", path.display()));
            let metainfo = Metainfo::parse(&bytes).map_err(wrong)?;
            if metainfo.layout.total() > harness::fuzz::Subject::MAX_TOTAL {
                return Err(Failure::input("dialogues are about torrents of at most 64 MiB"));
            }
            let subject = Subject::foreign(bytes).map_err(wrong)?;
            return Ok(Self::Socket(Who::At(addr, Box::new(subject)), PATIENCE));
        }
        Ok(Self::Memory)
    }

    fn arm(&self, net: &Net) -> Result<Box<dyn Arm>, Failure> {
        Ok(match self {
            Self::Memory => Box::new(Memory::default()),
            Self::Socket(who, patience) => Box::new(socket(who, net, *patience)?),
        })
    }

    fn jobs(&self, args: &Fuzz) -> u16 {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u16);
        args.jobs.unwrap_or_else(|| match self {
            Self::Memory => cores(),
            Self::Socket(Who::Client(client), _) => client.jobs.unwrap_or(JOBS),
            // One that runs may take offence at many at once.
            Self::Socket(Who::At(..), _) => 1,
        })
    }
}

fn socket(who: &Who, net: &Net, patience: Duration) -> Result<Socket, Failure> {
    Socket::new(who.clone(), net.clone(), patience).map_err(Failure::input)
}

pub fn fuzz(args: &Fuzz, out: &mut impl Write) -> Outcome {
    let target = Target::of(args)?;
    let net = Net::new(args.net, std::process::id());
    match &args.replay {
        Some(path) => replay(path, target.arm(&net)?.as_mut(), out),
        None => campaign(args, &target, &net, out),
    }
}

fn replay(path: &Path, arm: &mut dyn Arm, out: &mut impl Write) -> Outcome {
    let bytes = files::read(path, MAX_FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    let dialogue: Dialogue =
        text.parse().map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    let steps = counted(dialogue.steps.len() as u64, "step");
    match arm.hold(&dialogue).map_err(Failure::input)? {
        None => {
            writeln!(out, "{steps}, and nothing is wrong")?;
            Ok(Exit::Ok)
        }
        Some(finding) => {
            writeln!(out, "{steps}: {}", safe(&finding.to_string()))?;
            Ok(Exit::Failed)
        }
    }
}

/// What is shared by those who hold dialogues.
struct State<'a> {
    campaign: Campaign,
    next: AtomicU64,
    held: AtomicU64,
    /// What was found, once each.
    found: Mutex<Vec<(Finding, PathBuf)>>,
    /// Why it could not go on.
    failed: Mutex<Option<Failure>>,
    /// Which dialogues are being held, since when.
    busy: Mutex<Vec<Option<(u64, Clock)>>>,
    args: &'a Fuzz,
    bar: ProgressBar,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn campaign(args: &Fuzz, target: &Target, net: &Net, out: &mut impl Write) -> Outcome {
    let seed = args.seed.unwrap_or_else(any_seed);
    let (all, about, count) = match target {
        Target::Memory => (Role::ALL.to_vec(), None, 1000),
        Target::Socket(who, patience) => {
            let arm = socket(who, net, *patience)?;
            (arm.roles(), Some(arm.about().clone()), 100)
        }
    };
    let roles = match args.role.as_slice() {
        [] => all,
        wanted => wanted.iter().map(|&role| role.into()).collect(),
    };
    let count = args.minutes.map_or(Some(args.count.unwrap_or(count)), |_| None);
    if !args.quiet {
        writeln!(out, "seed {seed}, from dialogue {}", args.from)?;
        out.flush()?;
    }
    let bar = bar(count, args.quiet);
    let jobs = usize::from(target.jobs(args));
    let state = State {
        campaign: Campaign { seed, roles, about },
        next: AtomicU64::new(args.from),
        held: AtomicU64::new(0),
        found: Mutex::default(),
        failed: Mutex::default(),
        busy: Mutex::new(vec![None; jobs]),
        args,
        bar,
    };
    let (clock, limit) =
        (Clock::start(), args.minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60)));
    let over = |number: u64| {
        stop::watch().load(Ordering::Relaxed)
            || lock(&state.failed).is_some()
            || count.is_some_and(|count| number >= args.from.saturating_add(count))
            || limit.is_some_and(|limit| clock.past(limit))
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|worker| {
                let state = &state;
                let over = &over;
                scope.spawn(move || work(worker, state, target, net, over))
            })
            .collect();
        // In memory nothing waits for the clock: what takes long will take for ever.
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(100));
            if matches!(target, Target::Memory) {
                look_for_hangs(&state);
            }
        }
    });
    state.bar.finish_and_clear();
    if let Some(failure) = lock(&state.failed).take() {
        return Err(failure);
    }
    let (found, held) = (lock(&state.found), state.held.load(Ordering::Relaxed));
    if !args.quiet {
        let kinds = counted(found.len() as u64, "fault");
        writeln!(out, "{}, {kinds}", counted(held, "dialogue"))?;
    }
    for (finding, path) in found.iter() {
        writeln!(out, "{}: {}", path.display(), safe(&finding.to_string()))?;
    }
    Ok(match (stop::watch().load(Ordering::Relaxed), found.is_empty()) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::Ok,
        (_, false) => Exit::Failed,
    })
}

/// A seed that nobody has had.
#[expect(clippy::disallowed_methods, reason = "what is drawn is printed, and can be drawn again")]
fn any_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // Short enough to be typed.
    (now.as_nanos() as u64 >> 10) % 1_000_000_000
}

fn bar(count: Option<u64>, quiet: bool) -> ProgressBar {
    let (bar, template) = match count {
        Some(count) => {
            (ProgressBar::new(count), "{bar:24.cyan} {pos}/{len} dialogues, {msg}  {elapsed} gone")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {pos} dialogues, {msg}  {elapsed} gone"),
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message("nothing found");
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

fn work(worker: usize, state: &State<'_>, target: &Target, net: &Net, over: &dyn Fn(u64) -> bool) {
    let mut arm = match target.arm(net) {
        Ok(arm) => arm,
        Err(failure) => {
            lock(&state.failed).get_or_insert(failure);
            return;
        }
    };
    loop {
        let number = state.next.fetch_add(1, Ordering::Relaxed);
        if over(number) {
            return;
        }
        lock(&state.busy)[worker] = Some((number, Clock::start()));
        // To cut down what is known already would be work for nothing.
        let is_new = |finding: &Finding| {
            lock(&state.busy)[worker] = None;
            !lock(&state.found).iter().any(|(known, _)| known.is_like(finding))
        };
        match state.campaign.hold(number, arm.as_mut(), is_new) {
            Ok(None) => {}
            Ok(Some(found)) => keep(state, &found),
            Err(error) => {
                lock(&state.failed).get_or_insert(Failure::input(error));
            }
        }
        lock(&state.busy)[worker] = None;
        state.held.fetch_add(1, Ordering::Relaxed);
        state.bar.inc(1);
    }
}

/// Saves what is new.
fn keep(state: &State<'_>, found: &Found) {
    let mut all = lock(&state.found);
    if all.iter().any(|(known, _)| known.is_like(&found.finding)) {
        return;
    }
    let name = format!("{}-{}-{}.dialogue", found.finding.slug(), state.campaign.seed, found.number);
    let path = state.args.out.join(name);
    let text = found.to_file(state.campaign.seed);
    let written = std::fs::create_dir_all(&state.args.out)
        .map_err(|error| Failure::path("write", &state.args.out, &error))
        .and_then(|()| files::replace(&path, text.as_bytes()));
    if let Err(failure) = written {
        lock(&state.failed).get_or_insert(failure);
    }
    all.push((found.finding.clone(), path));
    state.bar.set_message(counted(all.len() as u64, "fault"));
}

/// Who is caught in a dialogue for ever cannot be freed: it is saved, and the process ends.
fn look_for_hangs(state: &State<'_>) {
    let caught =
        lock(&state.busy).iter().flatten().find(|(_, clock)| clock.past(HANG)).map(|(number, _)| *number);
    let Some(number) = caught else { return };
    if let Some(drawn) = state.campaign.draw(number) {
        keep(state, &Found { number, finding: Finding::Hang, shrunk: drawn.clone(), drawn });
    }
    for (finding, path) in lock(&state.found).iter() {
        note(&format!("{}: {}", path.display(), safe(&finding.to_string())));
    }
    std::process::exit(1);
}

impl From<crate::cli::Role> for Role {
    fn from(role: crate::cli::Role) -> Self {
        match role {
            crate::cli::Role::Leech => Self::Leech,
            crate::cli::Role::Seed => Self::Seed,
            crate::cli::Role::Magnet => Self::Magnet,
        }
    }
}
