//! The arrows between crates, as ARCHITECTURE.md draws them, held against what cargo says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate of ours may depend on, of ours.
const ARROWS: [(&str, &[&str]); 10] = [
    ("prefetch", &[]),
    ("engine", &["prefetch"]),
    ("client", &["engine"]),
    ("record", &[]),
    ("simulator", &["engine", "prefetch", "record"]),
    ("harness", &["engine"]),
    ("torture", &["engine", "harness", "record", "simulator"]),
    ("reports", &["record"]),
    ("live", &["client", "engine", "record", "simulator"]),
    ("swarmlab", &["engine", "client", "harness", "live", "record", "simulator", "reports", "torture"]),
];

/// What the pure crates must never reach, directly or not.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("engine", &["tokio", "rayon", "plotters", "clap", "mio"]),
    ("client", &["clap", "plotters", "rayon", "openssl-sys", "hyper"]),
    ("simulator", &["tokio", "plotters", "clap", "mio"]),
    ("torture", &["tokio", "plotters", "clap", "mio"]),
    ("reports", &["tokio", "rayon", "clap", "fontconfig-sys", "freetype-sys"]),
];

/// The platform that this is built on.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let said = String::from_utf8(output.stdout).expect("rustc prints text");
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(cargo)
        // What only other platforms need has not been downloaded.
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            &host(),
            "--manifest-path",
        ])
        .arg(format!("{root}/Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Normal dependencies (neither of tests nor of build scripts) of every package, by name.
fn graph(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let mut graph = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let normal = |dep: &&Value| {
            dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
        };
        let deps = node["deps"].as_array().expect("deps").iter().filter(normal);
        let deps = deps.filter_map(|dep| Some(names[dep["pkg"].as_str()?].to_string())).collect();
        graph.insert(names[node["id"].as_str().expect("id")].to_string(), deps);
    }
    graph
}

fn reached<'a>(graph: &'a BTreeMap<String, BTreeSet<String>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        for dep in graph.get(name).into_iter().flatten() {
            if seen.insert(dep.as_str()) {
                open.push(dep);
            }
        }
    }
    seen
}

#[test]
fn arrows_never_turn_round() {
    let graph = graph(&metadata());
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ARROWS {
        for dep in graph[name].iter().filter(|dep| ours.contains(dep.as_str())) {
            assert!(allowed.contains(&dep.as_str()), "{name} must not depend on {dep}");
        }
    }
}

#[test]
fn the_pure_crates_reach_no_runtime_and_no_command_line() {
    let graph = graph(&metadata());
    for (name, forbidden) in FORBIDDEN {
        let reached = reached(&graph, name);
        for dep in forbidden {
            assert!(!reached.contains(dep), "{name} reaches {dep}");
        }
    }
}
