//! Ctrl-C: what has ended is kept whole, and `--resume` makes the rest.

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
