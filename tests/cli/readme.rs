//! What the README prints is what happens.

use std::fs;
use std::path::Path;

use super::{fail, succeed};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The first block of that language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("there is such a block");
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn the_scenario_to_begin_with_checks_and_runs() {
    let (readme, folder) = (readme(), tempfile::tempdir().unwrap());
    let scenario = block(&readme, "toml");
    let path = folder.path().join("alone.toml");
    fs::write(&path, scenario).unwrap();
    let checked = succeed(folder.path(), &["check", "alone.toml"]);
    assert!(readme.contains(&format!("$ swarmlab check alone.toml\n{checked}")), "{checked}");
    let args = ["run", "alone.toml", "--set", "groups.leechers.up=8 Mbit/s"];
    let more = ["--set", "groups.leechers.count=[1, 2, 5]"];
    let printed = succeed(folder.path(), &[&args[..], &more].concat());
    assert!(printed.contains("alone · 12 runs · seed 1"), "{printed}");
    let wrong =
        scenario.replace("down = \"10 Mbit/s\"\n", "down = \"10 Mbit/s\"\nchoker = \"tit-for-tta\"\n");
    fs::write(&path, wrong).unwrap();
    let error = fail(folder.path(), &["check", "alone.toml"], 2);
    assert_eq!(error.trim_end(), block(&readme, "text").trim_end());
}

#[test]
fn every_scenario_and_command_is_in_it_and_every_link_leads_somewhere() {
    let (readme, folder) = (readme(), tempfile::tempdir().unwrap());
    for name in succeed(folder.path(), &["list"]).lines().filter(|line| !line.starts_with(' ')) {
        assert!(name.is_empty() || readme.contains(&format!("(scenarios/{name}.toml)")), "{name}");
    }
    let help = succeed(folder.path(), &["--help"]);
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    for (code, meaning) in codes.lines().filter_map(|line| line.trim().split_once(' ')) {
        let row = format!("| {code} | {} |\n", meaning.trim());
        assert!(readme.contains(&row), "{row}");
    }
    assert_eq!(codes.lines().count(), 5, "{codes}");
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        assert!(readme.contains(&format!("`swarmlab {name}")), "{name} is missing");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(link.starts_with("https://") || root.join(link).exists(), "{link}");
    }
}
