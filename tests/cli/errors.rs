//! What is wrong is said with its place and what to do, and by the exit code.

use std::fs;

use super::{SMALL, call, fail, run_small, succeed};

const SCENARIO: &str = r#"# How fast is a swarm of two?
[content]
size = "1 MiB"

[groups.seed]
role = "seed"
up = "4 Mbit/s"

[groups.leechers]
count = 2
up = "2 Mbit/s"
choker = "tit-for-tat"
"#;

#[test]
fn a_scenario_error_shows_file_line_caret_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.toml");
    fs::write(&path, SCENARIO).unwrap();
    assert_eq!(succeed(folder.path(), &["check", "two.toml"]), "two.toml: 4 runs of 1 point, 3 peers each\n");
    for (right, wrong, line, parts) in [
        ("tit-for-tat", "tit-for-tta", "two.toml:12:10", ["^^^^^^^^^^^^^", "did you mean `tit-for-tat`?"]),
        ("\"2 Mbit/s\"", "\"2 Mb/s\"", "two.toml:11:6", ["^^^^^^^^", "Mbit/s"]),
        ("role", "rolle", "two.toml:6:1", ["^^^^^", "did you mean `role`?"]),
        ("[content]", "[content", "two.toml:2:", ["^", "error"]),
    ] {
        fs::write(&path, SCENARIO.replacen(right, wrong, 1)).unwrap();
        for command in ["check", "run"] {
            let error = fail(folder.path(), &[command, "two.toml"], 2);
            assert!(error.starts_with("error: "), "{error}");
            assert!(error.contains(line), "{line}: {error}");
            assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
        }
    }
    assert!(!folder.path().join("out").exists(), "nothing was run");
}

#[test]
fn an_override_that_is_wrong_is_shown_too() {
    let folder = tempfile::tempdir().unwrap();
    let error = fail(folder.path(), &["run", "three-friends", "--set", "groups.firs.up=1 Mbit/s"], 2);
    assert!(error.contains("--set:1:8") && error.contains("did you mean `first`?"), "{error}");
    let error = fail(folder.path(), &["run", "three-friends", "--set", "replicates"], 2);
    assert!(error.contains("KEY=VALUE"), "{error}");
}

#[test]
fn exit_codes_tell_usage_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let error = fail(folder.path(), &["run", "swarm-scalling"], 2);
    assert!(error.contains("did you mean `swarm-scaling`?"), "{error}");
    fail(folder.path(), &["run", "no/such/file.toml"], 2);
    fail(folder.path(), &["run"], 2);
    fail(folder.path(), &["nonsense"], 2);
    fail(folder.path(), &["run", "three-friends", "--jobs", "0"], 2);
    // What is not there was not to be named, whatever it should have been.
    for args in [
        &["replay", "nowhere.json"][..],
        &["report", "nowhere"],
        &["compare", "nowhere", "nowhere"],
        &["trace", "nowhere", "--peer", "0"],
        &["show", "nowhere.torrent"],
        &["create", "nowhere"],
    ] {
        let error = fail(folder.path(), args, 2);
        assert!(error.contains("nowhere") && error.contains("is no file"), "{error}");
    }
    fs::write(folder.path().join("taken"), "").unwrap();
    let error = fail(folder.path(), &["run", "three-friends", "--quiet", "--out", "taken"], 3);
    assert!(error.contains("taken"), "{error}");
    assert!(!folder.path().join("taken/three-friends").exists());
    let help = succeed(folder.path(), &["run", "--help"]);
    assert!(help.contains("130  interrupted"), "{help}");
    assert_eq!(succeed(folder.path(), &["help", "run"]), help);
}

#[test]
#[cfg(unix)]
fn where_nothing_can_be_written_nothing_is_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let sealed = folder.path().join("sealed");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o555)).unwrap();
    // Nothing is sealed from root.
    if fs::write(sealed.join("probe"), "").is_err() {
        let error = fail(folder.path(), &["run", "three-friends", "--out", "sealed"], 3);
        assert!(error.contains("sealed") && !error.contains("runs on"), "{error}");
    }
}

#[test]
fn a_flag_that_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (args, parts) in [
        (&["bench", "--peers", "0"][..], ["--peers", "1..=1999999"]),
        (&["bench", "--peers", "2000000"], ["--peers", "1..=1999999"]),
        (&["bench", "--peers", "3", "--content", "lots"], ["--content lots: ", "MiB"]),
        (&["bench", "--content", "-1 MiB"], ["--content", "-1 MiB"]),
        (&["bench", "--peers", "3", "--peers", "4", "--content", "0 B"], ["--content 0 B: ", "at least"]),
        (&["bench", "--peers", "3", "--sweep", "2", "--content", "a\"b"], ["--content a\"b: ", "MiB"]),
        (&["bench", "--jobs", "2"], ["--sweep", "required"]),
        (&["bench", "--sweep", "0"], ["--sweep", "1..=10000"]),
        (&["bench", "--sweep", "2", "--part", "2/2"], ["--part", "K/M"]),
        (&["run", "three-friends", "--replicates", "0"], ["--replicates", "1..=10000"]),
        (&["run", "swarm-scaling", "--replicates", "10000"], ["--replicates 10000: ", "10 points"]),
        (&["create", ".", "--tracker", "notaurl"], ["--tracker", "http://"]),
        (&["validate", "--seeds", "1"], ["--seeds", "2..=100"]),
        (&["validate", "--jobs", "0"], ["--jobs", "1.."]),
        (&["run", "three-friends", "--seed", "-5"], ["--seed", "from 0 to 18446744073709551615"]),
        (&["validate", "--seed", "x"], ["--seed", "from 0 to 18446744073709551615"]),
        (&["trace", "nowhere", "--peer", "-1"], ["--peer", "-1 is not in 0.."]),
    ] {
        let error = fail(folder.path(), args, 2);
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
        assert!(!error.contains("--set"), "{error}");
    }
}

#[test]
fn a_count_that_is_too_large_is_told_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    for count in ["3000000", "10000000000"] {
        let set = format!("groups.first.count={count}");
        let error = fail(folder.path(), &["check", "three-friends", "--set", &set], 2);
        let limit = format!("{count} is more than the 2000000 that are allowed");
        assert!(error.contains(&limit) && error.contains("groups.first.count"), "{error}");
    }
}

#[test]
fn what_is_no_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    run_small(folder.path(), "out", &[]);
    let whole = fs::read_to_string(folder.path().join("out/swarm-scaling/record.json")).unwrap();
    let texts = [
        String::new(),
        "{}".to_owned(),
        "[".repeat(100_000),
        whole[..whole.len() / 2].to_owned(),
        whole.replacen("\"format\":2", "\"format\":99", 1),
        whole.replace("\"group\":1", "\"group\":7"),
        whole.replacen("\"replicate\":0,\"seed\":\"", "\"replicate\":0,\"seed\":\"-", 1),
    ];
    for text in texts {
        fs::write(&path, &text).unwrap();
        for args in [&["report", "r.json"][..], &["replay", "r.json"], &["compare", "r.json", "r.json"]] {
            let error = fail(folder.path(), args, 2);
            assert!(error.contains("r.json"), "{error}");
        }
    }
    // A record whose scenario was tampered with is a scenario that is wrong.
    fs::write(&path, whole.replace("[content]", "[kontent]").replace("content =", "kontent =")).unwrap();
    fail(folder.path(), &["replay", "r.json"], 2);
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("three-friends.toml"), SCENARIO).unwrap();
    let error = fail(folder.path(), &["run", "three-friends", "three-friends.toml"], 2);
    assert!(error.contains("two scenarios are called three-friends"), "{error}");
}

#[test]
fn resuming_refuses_other_arguments() {
    let folder = tempfile::tempdir().unwrap();
    run_small(folder.path(), "out", &[]);
    let mut args = vec!["run", "swarm-scaling", "--quiet", "--resume", "--seed", "5"];
    args.extend(SMALL);
    let error = fail(folder.path(), &args, 2);
    assert!(error.contains("differ in the seed"), "{error}");
    args.truncate(4);
    let error = fail(folder.path(), &args, 2);
    assert!(error.contains("what --set says"), "{error}");
    assert!(call(folder.path(), &["report", "out/swarm-scaling"]).status.success(), "the record is unharmed");
}
