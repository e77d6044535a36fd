//! `conform`: our own client over sockets, and the engine in memory.

use std::fs;
use std::path::Path;

use super::{call, fail, succeed};

fn setup(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name).display().to_string()
}

#[test]
fn the_client_keeps_to_the_protocol_over_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let filters = [
        "bep3/request",
        "bep3/leech/complete",
        "bep3/leech/corrupt",
        "bep3/have/each-piece",
        "bep6/reject",
        "bep9/link/complete",
        "bep10/ids",
        "bep15/announce",
        "bep12",
        "tracker/announce",
        "metainfo/path",
        "bencode/integer",
    ];
    let client = setup("swarmlab.toml");
    let mut args = vec![
        "conform",
        "--client",
        &client,
        "--jobs",
        "4",
        "--json",
        "results.json",
        "--junit",
        "results.xml",
    ];
    args.extend(filters.iter().flat_map(|filter| ["--filter", *filter]));
    let output = call(folder.path(), &args);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let results: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("results.json")).unwrap()).unwrap();
    let cases = results[0]["results"].as_array().unwrap();
    assert!(cases.len() > 60, "{}", cases.len());
    for case in cases {
        let verdict = case["verdict"].as_str().unwrap();
        assert!(["pass", "info", "skip"].contains(&verdict), "{case}");
    }
    assert_eq!(results[0]["version"], env!("CARGO_PKG_VERSION"));
    let junit = fs::read_to_string(folder.path().join("results.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), cases.len());
    // What was written can be taken in again.
    succeed(
        folder.path(),
        &[
            "conform",
            "--merge",
            "results.json",
            "--markdown",
            "matrix.md",
            "--html",
            "matrix.html",
            "--quiet",
        ],
    );
    let matrix = fs::read_to_string(folder.path().join("matrix.md")).unwrap();
    assert!(matrix.contains("| swarmlab 0.1.0 |") && matrix.contains("`bep3/request/block`"), "{matrix}");
}

#[test]
fn the_engine_is_tested_in_memory_and_cases_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["conform", "--engine", "--filter", "bep6"]);
    assert!(printed.contains("\nbep6/reject: BEP 6, reject request\n"), "{printed}");
    let list = succeed(folder.path(), &["conform", "--list"]);
    assert!(list.lines().count() >= 120);
    let some = succeed(folder.path(), &["conform", "--list", "--filter", "beyond-end"]);
    assert!(some.starts_with("bep3/request/beyond-end ") && some.lines().count() == 1, "{some}");
}

#[test]
fn a_client_that_runs_is_tested_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), vec![7; 300_000]).unwrap();
    succeed(folder.path(), &["create", "film", "--piece", "64 KiB"]);
    let mut seed = super::swarmlab(folder.path())
        .args(["seed", "film.torrent", "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(seed.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let addr = line.split("x.pe=").nth(1).unwrap().split('&').next().unwrap().trim().replace("%3A", ":");
    let args = [
        "conform",
        &addr,
        "--torrent",
        "film.torrent",
        "--filter",
        "bep3/request",
        "--filter",
        "bep3/leech",
        "--json",
        "-",
    ];
    let output = call(folder.path(), &args);
    seed.kill().unwrap();
    seed.wait().unwrap();
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = results[0]["results"].as_array().unwrap();
    for case in cases {
        let leech = case["id"].as_str().unwrap().starts_with("bep3/leech");
        let verdict = case["verdict"].as_str().unwrap();
        assert!(
            if leech { verdict == "skip" } else { ["pass", "info", "warn"].contains(&verdict) },
            "{case}"
        );
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.toml"), "name = \"x\"\n[start]\ncomand = []\n").unwrap();
    let error = fail(folder.path(), &["conform", "--client", "x.toml"], 2);
    assert!(error.contains("x.toml") && error.contains("line 3") && error.contains("comand"), "{error}");
    let error = fail(folder.path(), &["conform", "--client", "none.toml"], 2);
    assert!(error.contains("none.toml is no file"), "{error}");
    let error = fail(folder.path(), &["conform"], 2);
    assert!(error.contains("who is to be tested") && error.contains("--client FILE"), "{error}");
    let error = fail(folder.path(), &["conform", "--engine", "--filter", "bep99"], 2);
    assert!(error.contains("no case has an id with \"bep99\""), "{error}");
    let error = fail(folder.path(), &["conform", "127.0.0.1:1"], 2);
    assert!(error.contains("--torrent"), "{error}");
    fs::write(folder.path().join("no.toml"), "name = \"no\"\n[start]\ncommand = [\"/no/such/program\"]\n")
        .unwrap();
    let output = call(folder.path(), &["conform", "--client", "no.toml", "--filter", "beyond-end"]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("STUCK") && printed.contains("/no/such/program"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}
