//! `run --live`: real sockets beside the simulation, in one record.

use record::Record;

use super::{call, succeed};

const TINY: [&str; 8] = [
    "--set",
    "content.size=1 MiB",
    "--set",
    "groups.leechers.count=3",
    "--set",
    "groups.*.up=8 Mbit/s",
    "--set",
    "sample-every=500 ms",
];

#[test]
fn both_worlds_stand_in_one_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = [&["run", "two-worlds", "--live"][..], &TINY].concat();
    let printed = succeed(folder.path(), &args);
    assert!(printed.contains("simulated") && printed.contains("live"), "{printed}");
    let out = folder.path().join("out/two-worlds");
    let record = Record::from_json(&std::fs::read_to_string(out.join("record.json")).expect("a record"));
    let record = record.expect("it is one");
    assert_eq!((record.axes.as_slice(), record.stack.as_str()), (&["world".to_owned()][..], "wire"));
    let worlds: Vec<&str> = record.runs.iter().map(|run| run.point[0].as_str()).collect();
    assert_eq!(worlds, ["simulated", "live"]);
    for run in &record.runs {
        let complete = run.peers.iter().filter(|peer| peer.completed.is_some()).count();
        assert_eq!((run.peers.len(), complete), (4, 3), "{:?}", run.point);
        assert!(run.peers.iter().all(|peer| peer.pieces == run.pieces), "{:?}", run.point);
        let received: u64 = run.peers.iter().map(|peer| peer.downloaded - peer.wasted).sum();
        assert_eq!(received, 3 << 20, "{:?}", run.point);
    }
    assert_eq!(record.runs[0].digest.len(), 40);
    assert_eq!(record.runs[1].digest, "", "no two live runs are the same");
    assert!(out.join("completion.svg").exists());
    // The simulated run is made again; the live one cannot be.
    let again = succeed(folder.path(), &["replay", "out/two-worlds"]);
    assert_eq!(again.lines().filter(|line| line.starts_with("same")).count(), 1, "{again}");
}

#[test]
fn what_cannot_be_live_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = call(folder.path(), &["run", "swarm-scaling", "--live"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("at most 50") && error.contains("--set groups.NAME.count"), "{error}");
    assert!(!folder.path().join("out").exists());
}
