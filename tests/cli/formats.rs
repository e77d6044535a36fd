//! `create`, `show`, `list`, `check`.

use std::fs;

use serde_json::Value;

use super::{fail, succeed};

const HASH: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

#[test]
fn what_is_created_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir_all(shared.join("sub")).unwrap();
    fs::write(shared.join("b.bin"), vec![7; 100_000]).unwrap();
    fs::write(shared.join("sub/a.txt"), "abc").unwrap();
    fs::write(shared.join("empty"), "").unwrap();
    let create = ["create", "shared", "--piece", "32 KiB", "--private", "--comment", "two\nlines"];
    let trackers = ["--tracker", "http://one/announce", "--tracker", "http://two/announce"];
    let printed = succeed(folder.path(), &[&create[..], &trackers].concat());
    assert!(printed.starts_with("shared.torrent\ninfo-hash "), "{printed}");
    let shown = succeed(folder.path(), &["show", "shared.torrent"]);
    assert!(shown.contains("two\\nlines"), "control characters are not printed: {shown}");
    let json = succeed(folder.path(), &["show", "shared.torrent", "--json"]);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["name"], "shared");
    assert_eq!(value["length"], 100_003);
    assert_eq!(value["piece_length"], 32768);
    assert_eq!(value["pieces"], 4);
    assert_eq!(value["private"], true);
    assert_eq!(value["comment"], "two\nlines");
    assert_eq!(value["trackers"], serde_json::json!([["http://one/announce"], ["http://two/announce"]]));
    let paths: Vec<&Value> = value["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
    let expected = [
        serde_json::json!(["shared", "b.bin"]),
        serde_json::json!(["shared", "empty"]),
        serde_json::json!(["shared", "sub", "a.txt"]),
    ];
    assert_eq!(paths, expected.iter().collect::<Vec<_>>());
    // The magnet link is of the same torrent, and reads.
    let hash = value["info_hash"].as_str().unwrap();
    let magnet = succeed(folder.path(), &["show", value["magnet"].as_str().unwrap(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&magnet).unwrap()["info_hash"], hash);
    // The same content gives the same bytes, and nothing is replaced unasked.
    let first = fs::read(folder.path().join("shared.torrent")).unwrap();
    fail(folder.path(), &create, 2);
    succeed(folder.path(), &[&create[..], &trackers, &["--force"]].concat());
    assert_eq!(fs::read(folder.path().join("shared.torrent")).unwrap(), first);
}

#[test]
fn a_single_file_is_hashed_as_others_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    succeed(folder.path(), &["create", "abc", "--out", "x.torrent"]);
    let bytes = fs::read(folder.path().join("x.torrent")).unwrap();
    let piece = [&[0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e][..], &[0x25, 0x71]].concat();
    assert!(bytes.windows(12).any(|window| window == piece), "SHA-1 of \"abc\" is in it");
    let json = succeed(folder.path(), &["show", "x.torrent", "--json"]);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((value["length"].as_u64(), value["pieces"].as_u64()), (Some(3), Some(1)));
    assert_eq!(value["files"][0]["path"], serde_json::json!(["abc"]));
}

#[test]
fn what_cannot_be_created_or_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    fail(folder.path(), &["create", "nowhere"], 2);
    fail(folder.path(), &["create", "empty"], 2);
    let error = fail(folder.path(), &["create", "abc", "--piece", "32 Kb"], 2);
    assert!(error.contains("KiB"), "{error}");
    fail(folder.path(), &["create", "abc", "--piece", "0 B"], 2);
    fs::create_dir(folder.path().join("below")).unwrap();
    for force in [&[][..], &["--force"]] {
        let error = fail(folder.path(), &[&["create", "abc", "--out", "below"], force].concat(), 2);
        assert!(error.contains("below is a folder") && error.contains("below/abc.torrent"), "{error}");
    }
    let error = fail(folder.path(), &["create", "abc", "--out", "not/there.torrent"], 2);
    assert!(error.contains("not is no folder"), "{error}");
    // An empty file is named though there is nothing in it to point at.
    let error = fail(folder.path(), &["check", "empty"], 2);
    assert!(error.starts_with("error: empty: "), "{error}");
    fail(folder.path(), &["show", "abc"], 2);
    fail(folder.path(), &["show", "magnet:?dn=x"], 2);
    let printed = succeed(folder.path(), &["show", &format!("magnet:?xt=urn:btih:{HASH}&dn=a%1b%5b2J")]);
    assert!(printed.contains(HASH) && !printed.contains('\u{1b}'), "{printed:?}");
}

#[test]
fn scenarios_are_listed_with_their_questions() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["list"]);
    let names: Vec<&str> =
        printed.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    let shipped = [
        "choking-strategies",
        "flash-crowd",
        "piece-picking",
        "seed-leech-ratio",
        "share-ratio",
        "swarm-scaling",
        "three-friends",
        "two-worlds",
    ];
    assert_eq!(names, shipped);
    assert!(printed.contains("Does a download get slower when more people want the same file?"));
    let checked = succeed(folder.path(), &[&["check"][..], &shipped].concat());
    assert_eq!(checked.lines().count(), 8);
    assert!(checked.contains("swarm-scaling: 25 runs of 10 points, 11 to 1001 peers each"), "{checked}");
}

#[test]
fn a_scenario_in_the_folder_goes_before_a_shipped_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scenarios")).unwrap();
    let text = "# Mine?\ncontent.size = \"1 MiB\"\ngroups.a = { role = \"seed\", up = \"1 MB/s\" }\n\
                groups.b = { up = \"1 MB/s\" }\n";
    for name in ["mine", "three-friends"] {
        fs::write(folder.path().join(format!("scenarios/{name}.toml")), text).unwrap();
    }
    let printed = succeed(folder.path(), &["list"]);
    assert_eq!(printed.matches("Mine?").count(), 2, "{printed}");
    assert!(succeed(folder.path(), &["check", "mine"]).contains("2 peers"));
}
