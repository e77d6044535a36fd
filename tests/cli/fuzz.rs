//! `fuzz`: dialogues with the engine, files that are replayed, and what is wrong with them.

use std::fs;

use crate::{fail, succeed, swarmlab};

#[test]
fn the_engine_stands_what_a_seed_draws() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeed(folder.path(), &["fuzz", "--seed", "4", "--count", "60", "--jobs", "2"]);
    assert_eq!(said, "seed 4, from dialogue 0\n60 dialogues, 0 faults\n");
    assert!(!folder.path().join("out").exists(), "nothing was found, and nothing is saved");
    let said = succeed(folder.path(), &["fuzz", "--count", "5", "--from", "7", "--role", "magnet"]);
    let seed = said.strip_prefix("seed ").and_then(|rest| rest.split_once(',')).unwrap().0;
    assert!(seed.parse::<u64>().is_ok() && said.contains("from dialogue 7\n5 dialogues"), "{said}");
    assert_eq!(succeed(folder.path(), &["fuzz", "--count", "3", "--quiet"]), "");
}

#[test]
fn a_file_is_replayed_and_what_is_wrong_with_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dialogue");
    let head = "swarmlab dialogue 1\n# by hand\ntarget seed\ncontent 270000 in pieces of 32768\n";
    let hello = "1 +0 handshake 0000000000100005 own \"-XX0000-000000000001\"\n";
    fs::write(
        &path,
        format!(
            "{head}{hello}1 +10 have-none\n1 +10 interested\n1 +0 await unchoke\n1 +0 request 0 0 16384 / 5\n"
        ),
    )
    .unwrap();
    assert_eq!(
        succeed(folder.path(), &["fuzz", "--replay", "x.dialogue"]),
        "5 steps, and nothing is wrong\n"
    );
    fs::write(&path, format!("{head}{hello}1 +10 shout\n")).unwrap();
    let error = fail(folder.path(), &["fuzz", "--replay", "x.dialogue"], 2);
    assert!(error.contains("x.dialogue: line 6: `shout` is nothing that a remote does"), "{error}");
    fs::write(&path, vec![0x1b; 10_000]).unwrap();
    let error = fail(folder.path(), &["fuzz", "--replay", "x.dialogue"], 2);
    assert!(
        error.contains("line 1: the first line is") && error.len() < 2000 && !error.contains('\u{1b}'),
        "{error}"
    );
    let error = fail(folder.path(), &["fuzz", "--replay", "none.dialogue"], 2);
    assert!(error.contains("none.dialogue"), "{error}");
}

#[test]
fn options_do_something_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.toml"), "name = \"x\"\n[start]\ncommand = [\"none-such\"]\n").unwrap();
    for (args, said) in [
        (&["fuzz", "127.0.0.1:1"][..], "--torrent"),
        (&["fuzz", "127.0.0.1", "--torrent", "x"], "HOST:PORT"),
        (&["fuzz", "--replay", "x", "--seed", "1"], "cannot be used with"),
        (&["fuzz", "--replay", "x", "--jobs", "2"], "cannot be used with"),
        (&["fuzz", "--replay", "x", "--out", "y"], "cannot be used with"),
        (&["fuzz", "--engine", "--client", "x.toml"], "cannot be used with"),
        (&["fuzz", "--count", "0"], "0 is not in 1.."),
        (&["fuzz", "--minutes", "0"], "a number above 0, such as 0.5"),
    ] {
        let error = fail(folder.path(), args, 2);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    let said = succeed(folder.path(), &["fuzz", "--engine", "--minutes", "0.002", "--jobs", "1"]);
    assert!(said.lines().last().unwrap().ends_with(", 0 faults"), "{said}");
    assert_eq!(
        succeed(folder.path(), &["fuzz", "--count", "1", "--seed", "2"]).lines().last(),
        Some("1 dialogue, 0 faults")
    );
    for command in ["fuzz", "torture"] {
        let help = succeed(folder.path(), &[command, "--help"]);
        assert!(help.contains("Exit codes:") && help.contains("130  interrupted before anything was found"));
    }
}

/// Nobody is there, or nothing could be saved: one error before the start, and no fault of anybody's.
#[test]
fn what_is_not_there_is_no_fault_of_a_client() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), vec![7; 300_000]).unwrap();
    succeed(folder.path(), &["create", "film", "--piece", "64 KiB"]);
    fs::write(folder.path().join("x.toml"), "name = \"x\"\n[start]\ncommand = [\"none-such\"]\n").unwrap();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let dialogue = "swarmlab dialogue 1\ntarget seed\ncontent 270000 in pieces of 32768\n1 +0 connect\n";
    fs::write(folder.path().join("x.dialogue"), dialogue).unwrap();
    fs::write(folder.path().join("leech.dialogue"), dialogue.replace("seed", "leech")).unwrap();
    let at = ["fuzz", &free, "--torrent", "film.torrent"];
    let with = |args: &[&'static str]| -> Vec<String> {
        at.iter().chain(args).map(|word| (*word).to_owned()).collect()
    };
    for (args, said) in [
        (with(&[]), "nobody takes connections at"),
        (with(&["--replay", "x.dialogue"]), "nobody takes connections at"),
        (with(&["--replay", "leech.dialogue"]), "the dialogue is for a leech"),
        (["fuzz", "--client", "x.toml"].map(str::to_owned).to_vec(), "no program \"none-such\" in PATH"),
        (["fuzz", "--client", "x.toml", "--replay", "x.dialogue"].map(str::to_owned).to_vec(), "none-such"),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let error = fail(folder.path(), &args, 2);
        assert!(error.contains(said) && error.matches("error: ").count() == 1, "{args:?}: {error}");
    }
    fs::write(folder.path().join("file"), "").unwrap();
    for command in ["fuzz", "torture"] {
        let error = fail(folder.path(), &[command, "--out", "file/below"], 3);
        assert!(error.contains("cannot write into file/below"), "{error}");
    }
    assert!(!folder.path().join("out").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupt_says_what_was_found_until_then() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let mut command = swarmlab(folder.path());
    command.args(["fuzz", "--minutes", "1000", "--jobs", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.starts_with("interrupted after ") && rest.ends_with(", 0 faults\n"), "{rest}");
}
