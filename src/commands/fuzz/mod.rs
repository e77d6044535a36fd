//! `fuzz`: dialogues with the engine in memory, clients that are started, or one that runs; what they show is cut down,
//! saved, and can be replayed.

mod hang;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use harness::clock::Clock;
use harness::fuzz::socket::Who;
use harness::fuzz::{Arm, Campaign, Dialogue, Finding, Found, Memory, Role, Socket, campaign};
use harness::launch::{Net, With};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Outcome;
use crate::cli::Fuzz;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note, safe};
use crate::{files, stop, target};

/// The longest dialogue that is read from a file.
const MAX_FILE: u64 = 64 << 20;
/// The most characters of what is said to be wrong with a file.
const MOST_SAID: usize = 300;
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
    /// Who is named, if there is anybody: what is not there would look as if it had been broken by what was said.
    fn of(args: &Fuzz, role: Option<Role>, net: &Net) -> Result<Self, Failure> {
        if let Some(path) = &args.client {
            let client = target::setup(path)?;
            let wanted: Vec<Role> = match (role, args.role.as_slice()) {
                (Some(role), _) => vec![role],
                (None, []) => Role::ALL.to_vec(),
                (None, wanted) => wanted.iter().map(|&role| role.into()).collect(),
            };
            let roles: Vec<With> = wanted.iter().map(|role| role.with()).collect();
            target::starts(&client, &roles, net)?;
            let patience = Duration::from_secs_f64(client.patience_seconds);
            return Ok(Self::Socket(Who::Client(Box::new(client)), patience));
        }
        if let (Some(address), Some(path)) = (&args.address, &args.torrent) {
            let subject = target::torrent(path)?;
            if subject.metainfo.layout.total() > harness::fuzz::Subject::MAX_TOTAL {
                return Err(Failure::input("dialogues are about torrents of at most 64 MiB"));
            }
            if let Some(role @ (Role::Leech | Role::Magnet)) = role {
                let what =
                    format!("the dialogue is for a {}, and at an address there is a seed", role.name());
                return Err(Failure::input(what).help("have the client started: --client FILE"));
            }
            let addr = target::seed(address, &subject, net)?;
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

    /// Whether who shows this is there no longer: only who was started is started again.
    fn is_lost(&self, finding: &Finding) -> bool {
        let gone = matches!(finding, Finding::Gone(_) | Finding::Unserved(_));
        gone && matches!(self, Self::Socket(Who::At(..), _))
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
    // From here on a signal is heeded: no client that was started is left behind.
    stop::watch();
    let net = Net::new(args.net, std::process::id());
    match &args.replay {
        Some(path) => replay(path, args, &net, out),
        None => {
            files::probe(&args.out)?;
            hold(args, &Target::of(args, None, &net)?, &net, out)
        }
    }
}

fn replay(path: &Path, args: &Fuzz, net: &Net, out: &mut impl Write) -> Outcome {
    let bytes = files::read(path, MAX_FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    // What is no dialogue may be anything, and on one line.
    let wrong = |error: String| safe(&error.chars().take(MOST_SAID).collect::<String>());
    let dialogue: Dialogue = text.parse().map_err(|error: harness::fuzz::text::TextError| {
        Failure::input(format!("{}: {}", path.display(), wrong(error.to_string())))
    })?;
    let target = Target::of(args, Some(dialogue.role), net)?;
    let steps = counted(dialogue.steps.len() as u64, "step");
    match target.arm(net)?.hold(&dialogue).map_err(Failure::input)? {
        None => {
            if !args.quiet {
                writeln!(out, "{steps}, and nothing is wrong")?;
            }
            Ok(Exit::Ok)
        }
        Some(finding) => {
            writeln!(out, "{steps}: {}", safe(&finding.to_string()))?;
            Ok(Exit::Failed)
        }
    }
}

/// Something that was found, and its file; without one, its text and why there is none.
struct Kept {
    finding: Finding,
    saved: Result<PathBuf, (String, String)>,
}

/// A dialogue that is being held, since when.
type Busy = Option<(u64, Dialogue, Clock)>;

/// What is shared by those who hold dialogues.
struct State<'a> {
    campaign: Campaign,
    next: AtomicU64,
    held: AtomicU64,
    /// What was found, once each.
    found: Mutex<Vec<Kept>>,
    /// Why it could not go on.
    failed: Mutex<Option<Failure>>,
    /// What each of them holds.
    busy: Mutex<Vec<Busy>>,
    args: &'a Fuzz,
    bar: ProgressBar,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has been told to stop.
fn is_stopped() -> bool {
    stop::watch().load(Ordering::Relaxed)
}

fn hold(args: &Fuzz, target: &Target, net: &Net, out: &mut impl Write) -> Outcome {
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
        busy: Mutex::new((0..jobs).map(|_| None).collect()),
        args,
        bar,
    };
    let (clock, limit) =
        (Clock::start(), args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)));
    let over = |number: u64| {
        is_stopped()
            || lock(&state.failed).is_some()
            || count.is_some_and(|count| number.wrapping_sub(args.from) >= count)
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
            if matches!(target, Target::Memory) && look_for_hangs(&state) {
                // Who is caught in a dialogue cannot be freed, and would be waited for.
                state.bar.finish_and_clear();
                let said = told(&state, is_stopped(), out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
                std::process::exit(if said.is_ok() { 1 } else { 3 });
            }
        }
    });
    state.bar.finish_and_clear();
    told(&state, is_stopped(), out)
}

/// Prints what came of it, if it was `stopped` until then.
fn told(state: &State<'_>, stopped: bool, out: &mut impl Write) -> Outcome {
    let found = lock(&state.found);
    if !state.args.quiet {
        let held = counted(state.held.load(Ordering::Relaxed), "dialogue");
        let stopped = if stopped { "interrupted after " } else { "" };
        writeln!(out, "{stopped}{held}, {}", counted(found.len() as u64, "fault"))?;
    }
    for Kept { finding, saved } in found.iter() {
        match saved {
            Ok(path) => writeln!(out, "{}: {}", path.display(), safe(&finding.to_string()))?,
            // It is worth more than the file.
            Err((text, why)) => {
                writeln!(out, "{}: {why}; the dialogue is\n{text}", safe(&finding.to_string()))?;
            }
        }
    }
    let failed = lock(&state.failed).take();
    match (failed, found.is_empty()) {
        (Some(failure), true) => Err(failure),
        // What was found is not to be lost by what came after it.
        (failure, false) => {
            if let Some(failure) = failure {
                note(&format!("it ended early: {}", failure.message()));
            }
            Ok(Exit::Failed)
        }
        (None, true) if stopped => Ok(Exit::Interrupted),
        (None, true) => Ok(Exit::Ok),
    }
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

/// An arm that says what it is holding.
struct Watched<'a> {
    arm: Box<dyn Arm>,
    busy: &'a Mutex<Vec<Busy>>,
    worker: usize,
    number: u64,
}

impl Arm for Watched<'_> {
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String> {
        lock(self.busy)[self.worker] = Some((self.number, dialogue.clone(), Clock::start()));
        let held = self.arm.hold(dialogue);
        lock(self.busy)[self.worker] = None;
        held
    }

    fn tries(&self, finding: &Finding) -> u32 {
        self.arm.tries(finding)
    }
}

fn work(worker: usize, state: &State<'_>, target: &Target, net: &Net, over: &dyn Fn(u64) -> bool) {
    let mut arm = match target.arm(net) {
        Ok(arm) => Watched { arm, busy: &state.busy, worker, number: 0 },
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
        arm.number = number;
        // To cut down what is known already would be work for nothing; and who is told to stop says what there is.
        let is_worth = |finding: &Finding| {
            !is_stopped() && !lock(&state.found).iter().any(|known| known.finding.is_like(finding))
        };
        match state.campaign.hold(number, &mut arm, is_worth) {
            Ok(None) => {}
            Ok(Some(found)) => {
                keep(state, &found);
                if target.is_lost(&found.finding) {
                    let why = "who is at the address no longer answers";
                    lock(&state.failed).get_or_insert(Failure::input(why));
                }
            }
            Err(error) => {
                lock(&state.failed).get_or_insert(Failure::input(error));
            }
        }
        state.held.fetch_add(1, Ordering::Relaxed);
        state.bar.inc(1);
    }
}

/// Saves what is new.
fn keep(state: &State<'_>, found: &Found) {
    let mut all = lock(&state.found);
    if all.iter().any(|known| known.finding.is_like(&found.finding)) {
        return;
    }
    let name = format!("{}-{}-{}.dialogue", found.finding.slug(), state.campaign.seed, found.number);
    let path = state.args.out.join(name);
    let text = found.to_file(state.campaign.seed);
    let written = std::fs::create_dir_all(&state.args.out)
        .map_err(|error| Failure::path("make", &state.args.out, &error))
        .and_then(|()| files::replace(&path, text.as_bytes()));
    let saved = written.map(|()| path).map_err(|failure| (text, failure.message().to_owned()));
    all.push(Kept { finding: found.finding.clone(), saved });
    state.bar.set_message(counted(all.len() as u64, "fault"));
}

/// Whether somebody is caught in a dialogue for ever: it is cut down and saved.
fn look_for_hangs(state: &State<'_>) -> bool {
    let caught = lock(&state.busy).iter().flatten().find(|(.., clock)| clock.past(HANG)).cloned();
    let Some((number, drawn, _)) = caught else { return false };
    let found = match hang::Processes::new() {
        Ok(mut processes) => campaign::cut(number, drawn, Finding::Hang, &mut processes, |_| !is_stopped()),
        Err(_) => Found { number, finding: Finding::Hang, shrunk: drawn.clone(), drawn },
    };
    keep(state, &found);
    true
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    /// The state after `fuzz` with these arguments, and what is told of it.
    fn after(args: &[&str], found: &[Finding], failed: Option<Failure>, stopped: bool) -> (Outcome, String) {
        let cli = Cli::parse_from([&["swarmlab", "fuzz"], args].concat());
        let Command::Fuzz(args) = &cli.command else { panic!("{cli:?}") };
        let state = State {
            campaign: Campaign::new(7),
            next: AtomicU64::new(0),
            held: AtomicU64::new(3),
            found: Mutex::default(),
            failed: Mutex::new(failed),
            busy: Mutex::default(),
            args,
            bar: ProgressBar::hidden(),
        };
        for finding in found {
            let drawn = state.campaign.draw(1).unwrap();
            let found = Found { number: 1, finding: finding.clone(), shrunk: drawn.clone(), drawn };
            // The second is the first again.
            keep(&state, &found);
            keep(&state, &found);
        }
        let mut out = Vec::new();
        let outcome = told(&state, stopped, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_was_found_goes_before_whatever_ended_it() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        let args = ["--out", out.to_str().unwrap()];
        let (outcome, said) = after(&args, &[Finding::Hang], None, true);
        assert_eq!(outcome.unwrap(), Exit::Failed);
        let path = out.join("hang-7-1.dialogue");
        let line = format!("{}: it does not come to an end", path.display());
        assert_eq!(said, format!("interrupted after 3 dialogues, 1 fault\n{line}\n"));
        assert!(std::fs::read_to_string(path).unwrap().contains("# Found: it does not come to an end"));
        let failed = || Some(Failure::input("no client any more"));
        let (outcome, _) = after(&args, &[Finding::Hang], failed(), false);
        assert_eq!(outcome.unwrap(), Exit::Failed);
        assert!(after(&args, &[], failed(), false).0.is_err());
        let (outcome, said) = after(&args, &[], None, true);
        assert_eq!(
            (outcome.unwrap(), said.as_str()),
            (Exit::Interrupted, "interrupted after 3 dialogues, 0 faults\n")
        );
    }

    #[test]
    fn what_cannot_be_saved_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let out = file.join("below");
        let (outcome, said) = after(&["--out", out.to_str().unwrap()], &[Finding::Flood(5)], None, false);
        assert_eq!(outcome.unwrap(), Exit::Failed);
        let text = said.split_once("the dialogue is\n").expect("its text").1;
        let dialogue: Dialogue = text.parse().expect("a dialogue");
        assert_eq!(Some(dialogue), Campaign::new(7).draw(1));
        assert!(said.contains("5 things to say") && said.contains("cannot make"), "{said}");
    }
}
