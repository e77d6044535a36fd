//! `fuzz`: dialogues with the engine, files that are replayed, and what is wrong with them.

use std::fs;

use crate::{call, fail, succeed};

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
    let error = fail(folder.path(), &["fuzz", "--replay", "none.dialogue"], 2);
    assert!(error.contains("none.dialogue"), "{error}");
    let output = call(folder.path(), &["fuzz", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(2), "an address needs a torrent");
    let output = call(folder.path(), &["fuzz", "--replay", "x.dialogue", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(2), "what is replayed is not drawn");
}
