//! Our client against those that people run: see `docs/interop.md`, which this writes. `.ci/real-clients` installs
//! what it can of them.
//!
//! - A client that is not installed is skipped and says why, unless `SWARMLAB_REQUIRE_CLIENTS` names it (names
//!   with commas between): then it fails.
//! - Everything runs in a network of its own where nothing is reachable, if the system allows that, and in a
//!   process namespace of its own, so that no client outlives the tests, however they end.
//! - Many cases run at once, each program at an address, a port and a folder of its own, for nearly all they do is
//!   wait; one at a time with `--test-threads 1`, and where the results are kept (`SWARMLAB_BLESS`).
//! - Nothing depends on speed: what never ends fails after minutes. With `SWARMLAB_RETRY` a case that fails is tried
//!   once more, and says so: other people's clients have bad days.

mod cases;
mod isolation;
mod lab;
mod others;
mod process;
mod report;
mod throughput;
mod time;
mod torrents;
mod trackers;
mod wire;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::cases::{CASES, Moved};
use crate::others::{OTHERS, OURS};
use crate::report::Verdict;
use crate::time::Stopwatch;
use crate::trackers::Scheme;

/// So many cases run at once: nearly all they do is wait.
const AT_ONCE: usize = 8;

/// Held alone by what measures speed.
static ALONE: RwLock<()> = RwLock::new(());

/// What may fail for any reason.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A failure in words.
pub fn fail<T>(why: impl Into<String>) -> Outcome<T> {
    Err(why.into().into())
}

/// Something that a client has no way to do, which is no failure.
#[derive(Debug)]
pub struct Cannot(pub String);

impl std::fmt::Display for Cannot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cannot {}

/// Whether a client has to be here.
fn required(name: &str) -> bool {
    let names = std::env::var("SWARMLAB_REQUIRE_CLIENTS").unwrap_or_default();
    names.split(',').any(|required| required.trim() == name)
}

/// Runs a case if the client is here, and notes what came of it.
fn carry_out(
    who: &str,
    version: fn() -> Outcome<String>,
    case: &str,
    run: impl Fn() -> Outcome<Moved>,
) -> Result<Completion, Failed> {
    let _among_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let watch = Stopwatch::start();
    let version = match version() {
        Ok(version) => version,
        Err(why) if required(who) => return Err(format!("{who} is required: {why}").into()),
        Err(why) => return Ok(Completion::ignored_with(why.to_string())),
    };
    let mut result = run();
    if let Err(error) = &result
        && error.downcast_ref::<Cannot>().is_none()
        && std::env::var_os("SWARMLAB_RETRY").is_some()
    {
        println!("    {who}::{case} once more, after: {error}");
        result = run();
    }
    let verdict = match result {
        Ok(moved) => Verdict::Passed(moved),
        Err(error) => match error.downcast::<Cannot>() {
            Ok(cannot) => Verdict::Cannot(cannot.0),
            Err(error) => Verdict::Failed(error.to_string()),
        },
    };
    report::note(who, &version, case, &verdict);
    match verdict {
        Verdict::Passed(moved) => {
            let all = watch.elapsed().as_secs_f64();
            println!("    {who}::{case}: {} (of {all:.0} s)", report::rate(&moved));
            Ok(Completion::Completed)
        }
        Verdict::Cannot(why) => Ok(Completion::ignored_with(format!("{who} cannot: {why}"))),
        Verdict::Failed(why) => Err(why.into()),
    }
}

fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    // From the end of the table: those that wait longest begin first.
    for case in CASES.iter().rev() {
        for kind in OTHERS {
            let name = format!("{}::{}", kind.name, case.name);
            all.push(Trial::ignorable_test(name, || {
                carry_out(kind.name, kind.version, case.name, || (case.run)(kind))
            }));
        }
    }
    for tracker in trackers::OTHERS.into_iter().chain([&trackers::OURS]) {
        for (name, scheme) in [("http", Scheme::Http), ("udp", Scheme::Udp)] {
            all.push(Trial::ignorable_test(format!("{}::{name}", tracker.name), move || {
                carry_out(tracker.name, tracker.version, name, || {
                    cases::through(tracker, scheme, &OURS, &OURS)
                })
            }));
        }
    }
    all.push(Trial::ignorable_test("everyone", || {
        carry_out(OURS.name, OURS.version, "everyone", cases::everyone)
    }));
    all.push(Trial::ignorable_test("mktorrent", || match torrents::same_as_mktorrent() {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast::<Cannot>() {
            Ok(cannot) => Ok(Completion::ignored_with(cannot.0)),
            Err(error) => Err(error.to_string().into()),
        },
    }));
    // The drivers themselves: on demand.
    let reference = OTHERS[0];
    for kind in OTHERS {
        for (name, seed, leech) in [("seeds", kind, reference), ("leeches", reference, kind)] {
            let name = format!("drivers::{}::{name}", kind.name);
            let run = move || match ((kind.version)(), (reference.version)()) {
                (Ok(_), Ok(_)) => {
                    let _among_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
                    let moved = cases::between(seed, leech).map_err(|error| error.to_string())?;
                    println!("    {} to {}: {}", seed.name, leech.name, report::rate(&moved));
                    Ok(Completion::Completed)
                }
                (Err(why), _) | (_, Err(why)) => Ok(Completion::ignored_with(why.to_string())),
            };
            all.push(Trial::ignorable_test(name, run).with_ignored_flag(true));
        }
    }
    let measure = || {
        let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
        throughput::measure().map_err(Failed::from)
    };
    all.push(Trial::test("throughput", measure).with_ignored_flag(true));
    all
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, role, settings] = &arguments[..]
        && flag == others::ROLE
    {
        return match others::ours_main(role, settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Some(code) = isolation::enter()
    {
        return code;
    }
    if !arguments.list
        && !lab::isolated()
        && let Err(error) = lab::take_machine()
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    // Figures that are kept are of one at a time.
    let default = if std::env::var_os(report::BLESS).is_some() { 1 } else { AT_ONCE };
    arguments.test_threads.get_or_insert(default);
    let list = arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials());
    if !list && let Err(error) = report::finish() {
        eprintln!("the results could not be written: {error}");
        return ExitCode::FAILURE;
    }
    if !list && !conclusion.has_failed() {
        // What they wrote is of use only after a failure.
        let _ = std::fs::remove_dir_all(lab::root());
    }
    conclusion.exit_code()
}
