//! The binary from end to end: what it writes, prints and returns. Nothing depends on how fast the machine is.

mod client;
mod conform;
mod errors;
mod formats;
mod fuzz;
mod interrupt;
mod live;
mod readme;
mod results;
mod torture;

use std::path::Path;
use std::process::{Command, Output};

/// Shrinks `swarm-scaling` to four runs of a second or less.
const SMALL: [&str; 6] = [
    "--set",
    "content.size=2 MiB",
    "--set",
    "groups.leechers.count=[3, 8]",
    "--set",
    "variants={ swarm = {} }",
];

/// The binary in `folder`.
fn swarmlab(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmlab"));
    command.current_dir(folder);
    command
}

/// Runs it with these arguments in `folder`.
fn call(folder: &Path, args: &[&str]) -> Output {
    swarmlab(folder).args(args).output().expect("the binary starts")
}

/// Runs it, which is to end well; what it printed.
fn succeed(folder: &Path, args: &[&str]) -> String {
    let output = call(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "swarmlab {}: {error}", args.join(" "));
    String::from_utf8(output.stdout).expect("what is printed is UTF-8")
}

/// Runs it, which is to end with this exit code; what it complained about.
fn fail(folder: &Path, args: &[&str], code: i32) -> String {
    let output = call(folder, args);
    let error = String::from_utf8(output.stderr).expect("what is printed is UTF-8");
    assert_eq!(output.status.code(), Some(code), "swarmlab {}: {error}", args.join(" "));
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// Runs the small `swarm-scaling`, two replicates, into `out`; its record.
fn run_small(folder: &Path, out: &str, more: &[&str]) -> record::Record {
    let mut args = vec!["run", "swarm-scaling", "--quiet", "--replicates", "2", "--out", out];
    args.extend(SMALL);
    args.extend(more);
    succeed(folder, &args);
    record_in(&folder.join(out).join("swarm-scaling"))
}

fn record_in(folder: &Path) -> record::Record {
    let text = std::fs::read_to_string(folder.join("record.json")).expect("a record was written");
    record::Record::from_json(&text).expect("the record is whole")
}

fn digests(record: &record::Record) -> Vec<&str> {
    record.runs.iter().map(|run| run.digest.as_str()).collect()
}
