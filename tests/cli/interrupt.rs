//! Ctrl-C or worse: what has ended is kept whole, and `--resume` makes the rest.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use super::{call, record_in, succeed, swarmlab};

/// Four runs of a second or less.
const ARGS: [&str; 13] = [
    "run",
    "swarm-scaling",
    "--jobs",
    "1",
    "--replicates",
    "2",
    "--set",
    "groups.leechers.count=[3, 4]",
    "--set",
    "variants={ swarm = {} }",
    "--out",
    "out",
    "--resume",
];

#[test]
fn finished_runs_are_kept_and_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    // A partial record as an interruption leaves it: two of four runs.
    let output = call(folder.path(), &ARGS);
    assert_eq!(output.status.code(), Some(0));
    let path = folder.path().join("out/swarm-scaling/record.json");
    let whole = record_in(path.parent().unwrap());
    let mut part = whole.clone();
    part.partial = true;
    part.runs.remove(0);
    part.runs.pop();
    std::fs::write(&path, part.to_json().unwrap()).unwrap();
    let output = call(folder.path(), &ARGS);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("4 runs on 1 thread, 2 of them from before"), "{said}");
    assert_eq!(record_in(path.parent().unwrap()), whole);
}

#[test]
fn what_kills_the_process_leaves_what_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, replicates: &str, more: &[&str]| {
        let mut command = swarmlab(folder.path());
        command.args(["run", "three-friends", "--jobs", "1", "--replicates", replicates, "--out", out]);
        command.args(["--set", "content.size=16 MiB"]).args(more);
        command
    };
    // So many that it has no end before it is killed.
    let mut child = run("out", "10000", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let path = folder.path().join("out/three-friends/record.json");
    while !path.exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended and left no record");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // On Unix, this is SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    let part = record_in(path.parent().unwrap());
    assert!(part.partial && (1..10_000).contains(&part.runs.len()), "{}", part.runs.len());
    let kept = part.runs.len().min(40);
    let output = run("out", "40", &["--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("40 runs on 1 thread, {kept} of them from before")), "{said}");
    let whole = run("whole", "40", &[]).output().unwrap();
    assert_eq!(whole.status.code(), Some(0));
    let whole = std::fs::read(folder.path().join("whole/three-friends/record.json")).unwrap();
    assert!(std::fs::read(&path).unwrap() == whole, "byte for byte the record of a run that nothing stopped");
}

#[test]
fn a_signal_before_the_first_run_has_ended_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = swarmlab(folder.path());
    command.args(["run", "three-friends", "--replicates", "1", "--set", "content.size=500 GiB"]);
    command.args(["--set", "content.piece=1 MiB", "--set", "time-limit=3000 d", "--set", "sample-every=1 h"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("nothing is written"), "{rest}");
    assert!(!folder.path().join("out/three-friends").exists());
}

#[test]
fn a_signal_leaves_a_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("out/three-friends");
    let sweep = |sizes: &str| format!("sweep={{ \"content.size\" = [{sizes}] }}");
    let (small, both) = (sweep("\"1 MiB\""), sweep("\"1 MiB\", \"500 GiB\""));
    let run = |sizes: &str| {
        let mut command = swarmlab(folder.path());
        command.args(["run", "three-friends", "--resume", "--replicates", "1", "--set", sizes]);
        command.args(["--set", "content.piece=1 MiB", "--set", "time-limit=3000 d"]);
        command.args(["--set", "sample-every=1 h"]);
        command
    };
    assert!(run(&small).output().unwrap().status.success());
    // As if the run that would take days had been asked for from the start.
    let path = results.join("record.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let escape = |text: &str| text.replace('"', "\\\"");
    std::fs::write(&path, text.replace(&escape(&small), &escape(&both))).unwrap();
    let mut child = run(&both).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    // Once this is said, signals are watched for.
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("2 runs on") && line.contains("1 of them from before"), "{line}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("1 of 2 runs kept") && rest.contains("--resume"), "{rest}");
    let record = record_in(&results);
    assert!(record.partial);
    assert_eq!(record.runs.len(), 1);
    assert_eq!(record.runs[0].point, ["1 MiB"]);
    // What is there can be used.
    let printed = succeed(folder.path(), &["report", "out/three-friends"]);
    assert!(printed.contains("This record is partial"), "{printed}");
    succeed(folder.path(), &["replay", "out/three-friends"]);
}
