//! `run`, `replay`, `report`, `compare`, `trace`, `bench`: same in, same out.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use super::{SMALL, call, digests, fail, record_in, run_small, succeed, swarmlab};

#[test]
fn a_run_writes_its_record_tables_and_charts() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = vec!["run", "swarm-scaling", "--replicates", "2"];
    args.extend(SMALL);
    let printed = succeed(folder.path(), &args);
    let results = folder.path().join("out/swarm-scaling");
    let record = record_in(&results);
    assert_eq!(record.runs.len(), 4);
    assert!(!record.partial);
    assert!(record.runs.iter().all(|run| run.digest.len() == 40 && run.end == record::End::Done));
    assert!(printed.contains("swarm-scaling · 4 runs · seed 1"), "{printed}");
    assert!(printed.contains("leechers") && printed.contains("all 8"), "{printed}");
    for name in ["peers.csv", "series.csv", "runs.csv", "summary.csv", "speed.svg", "speed.png"] {
        let length = fs::metadata(results.join(name)).unwrap().len();
        assert!(length > 200, "{name} has {length} bytes");
        assert!(printed.contains(name), "{name} is named: {printed}");
    }
    let left: Vec<_> = fs::read_dir(&results).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn the_digest_depends_on_nothing_but_scenario_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    let one = run_small(folder.path(), "one", &["--jobs", "1"]);
    let two = run_small(folder.path(), "two", &["--jobs", "2"]);
    let wire = run_small(folder.path(), "wire", &["--stack", "wire"]);
    let seed = run_small(folder.path(), "seed", &["--seed", "2"]);
    assert_eq!(one, two);
    assert_eq!(digests(&one), digests(&wire));
    assert_eq!(wire.stack, "wire");
    assert!(digests(&one).iter().all(|digest| !digests(&seed).contains(digest)));
    // Points are paired by replicate.
    assert_eq!(one.runs[0].seed, one.runs[2].seed);
    assert_ne!(one.runs[0].seed, one.runs[1].seed);
}

#[test]
fn a_replay_says_same_or_different() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "out", &["--stack", "wire"]);
    let printed = succeed(folder.path(), &["replay", "out/swarm-scaling"]);
    assert_eq!(printed.lines().filter(|line| line.starts_with("same")).count(), 4, "{printed}");
    let path = folder.path().join("out/swarm-scaling/record.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut record = record_in(path.parent().unwrap());
    let digest = record.runs[3].digest.clone();
    fs::write(&path, text.replace(&digest, &"0".repeat(40))).unwrap();
    let args = ["replay", "out/swarm-scaling/record.json", "--point", "swarm,8"];
    let output = call(folder.path(), &args);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&format!("different  {digest}")), "{printed}");
    assert!(printed.contains("1 of 2 runs differ"), "{printed}");
    // One value is enough where it says which, and the other replicate is unharmed.
    let args = ["replay", "out/swarm-scaling", "--point", "8", "--replicate", "0"];
    assert_eq!(succeed(folder.path(), &args).lines().count(), 1);
    let error = fail(folder.path(), &["replay", "out/swarm-scaling", "--point", "9"], 2);
    assert!(error.contains("swarm,3  swarm,8"), "{error}");
    // A seed that is not the record's makes other runs.
    record.seed = 77;
    fs::write(&path, record.to_json().unwrap()).unwrap();
    assert_eq!(call(folder.path(), &["replay", "out/swarm-scaling"]).status.code(), Some(1));
}

#[test]
fn a_report_is_drawn_again_from_the_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "out", &[]);
    let results = folder.path().join("out/swarm-scaling");
    let printed = succeed(folder.path(), &["report", "out/swarm-scaling", "--out", "again"]);
    assert!(printed.contains("4 runs"));
    for name in ["summary.csv", "speed.svg", "completion.png"] {
        let again = fs::read(folder.path().join("again").join(name)).unwrap();
        assert_eq!(again, fs::read(results.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_comparison_pairs_runs_of_one_seed() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "a", &[]);
    run_small(folder.path(), "b", &["--set", "groups.leechers.up=8 Mbit/s"]);
    let printed = succeed(folder.path(), &["compare", "a/swarm-scaling", "b/swarm-scaling/record.json"]);
    assert!(printed.contains("mean speed"), "{printed}");
    assert!(!printed.contains("independent samples"), "the seeds agree: {printed}");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "a", &[]);
    let other = ["run", "three-friends", "--quiet", "--replicates", "1", "--out", "b"];
    succeed(folder.path(), &[&other[..], &["--set", "content.size=1 MiB"]].concat());
    let output = call(folder.path(), &["compare", "a/swarm-scaling", "b/three-friends"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]), "{error}");
    assert!(error.contains("nothing in a/swarm-scaling and b/three-friends can be compared"), "{error}");
    assert!(
        error.contains("help: the sweeps have other axes: variant, groups.leechers.count against none"),
        "{error}"
    );
}

/// A trace and a matrix, named by a scenario.
const NAMED: &str = "# How do three come?\ncontent.size = \"1 MiB\"\nreplicates = 1\n\
    network.latency = { matrix = \"net/rtt.csv\" }\ngroups.a = { role = \"seed\", up = \"1 MB/s\" }\n\
    groups.b = { up = \"1 MB/s\", arrival = { trace = \"arrivals.txt\" } }\n";

#[test]
fn a_record_holds_the_files_that_its_scenario_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("mine/net")).unwrap();
    fs::write(path("mine/three.toml"), NAMED).unwrap();
    fs::write(path("mine/arrivals.txt"), "0\n1.5\n30 s\n").unwrap();
    fs::write(path("mine/net/rtt.csv"), "0,80\n80,0\n").unwrap();
    let run = ["run", "mine/three.toml", "--quiet"];
    succeed(folder.path(), &run);
    // With another arrival these are other runs.
    fs::write(path("mine/arrivals.txt"), "0\n1.5\n31 s\n").unwrap();
    let error = fail(folder.path(), &[&run[..], &["--resume"]].concat(), 2);
    assert!(error.contains("its runs differ in the files it names"), "{error}");
    // Elsewhere, long after.
    fs::rename(path("out/three"), path("kept")).unwrap();
    fs::remove_dir_all(path("mine")).unwrap();
    let mut record = record_in(&path("kept"));
    assert_eq!(record.files.keys().collect::<Vec<_>>(), ["arrivals.txt", "net/rtt.csv"]);
    assert!(succeed(folder.path(), &["replay", "kept"]).starts_with("same"));
    assert!(succeed(folder.path(), &["trace", "kept", "--peer", "3"]).contains("\"time\":30.0,"));
    // A record without them says what to do.
    let files = std::mem::take(&mut record.files);
    fs::write(path("kept/record.json"), record.to_json().unwrap()).unwrap();
    let error = fail(folder.path(), &["replay", "kept"], 2);
    assert!(error.contains("the record does not hold") && error.contains("--base"), "{error}");
    fs::create_dir_all(path("again/net")).unwrap();
    files.iter().for_each(|(name, text)| fs::write(path("again").join(name), text).unwrap());
    assert!(succeed(folder.path(), &["replay", "kept", "--base", "again"]).starts_with("same"));
}

#[test]
fn a_record_of_other_runs_is_kept_beside_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("out/three-friends");
    let run = |more: &[&str]| {
        let args = ["run", "three-friends", "--quiet", "--set", "content.size=1 MiB"];
        let output = call(folder.path(), &[&args[..], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    };
    assert_eq!(run(&[]), "");
    let first = record_in(&results);
    assert_eq!(run(&[]), "", "the same again is no loss");
    assert!(!results.join("record.old.json").exists());
    let said = run(&["--seed", "9"]);
    assert!(said.contains("whose runs differ in the seed: it is kept as record.old.json"), "{said}");
    let old = fs::read_to_string(results.join("record.old.json")).unwrap();
    assert_eq!(record::Record::from_json(&old).unwrap(), first);
    // It can be drawn, but not in the place of the new one's.
    let report = ["report", "out/three-friends/record.old.json"];
    let error = fail(folder.path(), &report, 2);
    assert!(error.contains("say with --out"), "{error}");
    assert!(succeed(folder.path(), &[&report[..], &["--out", "old"]].concat()).contains("seed 1"));
    let second = record_in(&results);
    assert_eq!(second.seed, 9);
    let said = run(&["--seed", "9", "--replicates", "1"]);
    assert!(said.contains("which has more runs"), "{said}");
    assert_eq!(record_in(&results).runs.len(), 1);
    let mut part = second;
    part.runs.truncate(1);
    part.partial = true;
    fs::write(results.join("record.json"), part.to_json().unwrap()).unwrap();
    let said = run(&["--seed", "9"]);
    assert!(said.contains("has 1 of 4 runs already: --resume would keep them"), "{said}");
    fs::write(results.join("record.json"), "not JSON").unwrap();
    let said = run(&["--seed", "9"]);
    assert!(said.contains("which cannot be read: it is kept as record.old.json"), "{said}");
}

#[test]
fn a_trace_is_json_lines_in_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let record = run_small(folder.path(), "out", &[]);
    let args = ["trace", "out/swarm-scaling", "--peer", "1", "--point", "8", "--replicate", "1"];
    let printed = succeed(folder.path(), &args);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: Vec<f64> = lines.iter().map(|line| line["time"].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    let count = |dir: &str, kind: &str| {
        lines.iter().filter(|line| line["dir"] == dir && line["kind"] == kind).count()
    };
    // 2 MiB in pieces of 256 KiB: every piece is completed once, of 16 blocks each.
    assert_eq!(count("out", "piece-completed"), 8);
    assert_eq!(count("out", "completed"), 1);
    assert!(count("in", "piece") >= 128);
    let run = record.runs.iter().find(|run| run.point[1] == "8" && run.replicate == 1).unwrap();
    let completed = lines.iter().find(|line| line["kind"] == "completed").unwrap();
    assert_eq!(completed["time"].as_f64(), run.peers[1].completed);
    // Everything in it is described.
    let described = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/trace.md")).unwrap();
    for line in &lines {
        let words = ["kind", "state", "reason"].map(|key| line[key].as_str());
        let words = words.into_iter().flatten().filter(|word| *word != line["dir"]);
        for word in line.as_object().unwrap().keys().map(String::as_str).chain(words) {
            let word = if line["kind"] == "disconnect" && word == line["reason"] { "reason" } else { word };
            assert!(described.contains(&format!("`{word}`")), "{word}: {line}");
        }
    }
    let described = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/record.md")).unwrap();
    for name in record.runs[0].counters.keys() {
        assert!(described.contains(&format!("`{name}`")), "{name}");
    }
    let reasons: Vec<&str> = lines.iter().filter_map(|line| line["reason"].as_str()).collect();
    assert!(reasons.contains(&"choked-by-all"), "{reasons:?}");
    let error = fail(folder.path(), &["trace", "out/swarm-scaling", "--peer", "99"], 2);
    assert!(error.contains("the run has the peers 0 to 3"), "{error}");
    // What is not chosen is said.
    let output = call(folder.path(), &["trace", "out/swarm-scaling", "--peer", "0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("this is point swarm, 3, replicate 0, the first of 4 runs"), "{said}");
    let args = ["trace", "out/swarm-scaling", "--peer", "0", "--point", "8", "--replicate", "9"];
    let error = fail(folder.path(), &args, 2);
    assert!(error.contains("help: there it has the replicates 0 to 1"), "{error}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "out", &[]);
    let trace = ["trace", "out/swarm-scaling", "--peer", "1", "--point", "3", "--replicate", "0"];
    for args in [&trace[..], &["list"], &["run", "--help"], &["help"], &["report", "out/swarm-scaling"]] {
        let mut child = swarmlab(folder.path());
        let child = child.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        drop(child.stdout.take());
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {error}");
        assert_eq!(error, "", "{args:?}");
    }
}

#[test]
fn a_sweep_is_timed_against_processes_side_by_side_that_make_the_same_runs() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = ["bench", "--peers", "5", "--content", "2 MiB", "--sweep", "5", "--json"];
    for (more, threads, each) in
        [(["--jobs", "2"], 2, 1), (["--threads", "2"], 2, 2), (["--jobs", "1"], 1, 1)]
    {
        let printed = succeed(folder.path(), &[&sweep[..], &more].concat());
        let line: Value = serde_json::from_str(&printed).unwrap();
        let counts = ["peers", "runs", "threads", "threads_a_run"].map(|key| line[key].as_u64().unwrap());
        assert_eq!(counts, [5, 5, threads, each], "{line}");
        let [together, apart, ratio] =
            ["together_seconds", "apart_seconds", "ratio"].map(|key| line[key].as_f64().unwrap());
        assert!(line["cpu_ratio"].as_f64().is_none_or(|ratio| ratio > 0.0), "{line}");
        assert!(together > 0.0 && (ratio - apart / together).abs() < 1e-9, "{line}");
    }
    let help = succeed(folder.path(), &["bench", "--help"]);
    assert!(
        help.contains("bare loop") && help.contains("side by side") && !help.contains("--part"),
        "{help}"
    );
    // What the processes do: shares of the runs that `run` makes.
    let part = |part: &str| -> Vec<String> {
        serde_json::from_str(&succeed(folder.path(), &[&sweep[..], &["--part", part]].concat())).unwrap()
    };
    let (all, even, odd) = (part("0/1"), part("0/2"), part("1/2"));
    assert_eq!((all.len(), even.len(), odd.len()), (5, 3, 2));
    assert_eq!([&all[0], &all[2], &all[4]], [&even[0], &even[1], &even[2]]);
    assert_eq!([&all[1], &all[3]], [&odd[0], &odd[1]]);
    assert!(all.iter().all(|digest| digest.len() == 40));
}

#[test]
fn a_benchmark_gives_the_digest_that_a_run_gives() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["bench", "--peers", "3", "--peers", "5", "--json"]);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["peers"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 5]);
    for line in &lines {
        // Too short for a rate, unless the machine is slow.
        assert!(line["blocks_per_core_second"].as_f64().is_none_or(|rate| rate > 0.0), "{line}");
        // 64 MiB are 4,096 blocks for each leecher, endgame's duplicates on top.
        let least = 4096 * line["peers"].as_u64().unwrap();
        assert!(line["blocks"].as_u64().unwrap() >= least, "{line}");
        assert!(line["floor_nanoseconds_per_event"].as_f64().unwrap() > 1.0, "{line}");
    }
    let more = ["--peers", "5", "--json", "--no-floor", "--threads"];
    for threads in ["2", "3"] {
        let printed = succeed(folder.path(), &[&["bench"], &more[..], &[threads]].concat());
        let line: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(line["digest"], lines[1]["digest"], "{threads} threads make the same run");
        assert!(line["times_floor"].is_null(), "{line}");
    }
    let run = ["run", "swarm-scaling", "--quiet", "--replicates", "1", "--set"];
    let run = [&run[..], &["groups.leechers.count=3", "--set", "variants={ swarm = {} }"]].concat();
    succeed(folder.path(), &run);
    let record = record_in(&folder.path().join("out/swarm-scaling"));
    assert_eq!(lines[0]["digest"], record.runs[0].digest.as_str());
}
