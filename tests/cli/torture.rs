//! `torture` as it is called.

use super::{call, fail, succeed};

#[test]
fn seeds_are_drawn_printed_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["torture", "--seeds", "1..3", "--jobs", "2"]);
    for seed in ["seed 1: ", "seed 2: ", "seed 3: "] {
        assert_eq!(printed.matches(seed).count(), 1, "{printed}");
    }
    let last = printed.lines().last().unwrap();
    assert!(last.starts_with("3 seeds, ") && last.ends_with("none failed"), "{last}");
    assert!(!folder.path().join("out").exists(), "nothing failed, nothing is written");
    let quiet = succeed(folder.path(), &["torture", "--seeds", "2", "--quiet"]);
    assert!(quiet.starts_with("1 seed, ") && quiet.lines().count() == 1, "{quiet}");
    // What is printed whole can be put to the test as a file.
    let shown = succeed(folder.path(), &["torture", "--seeds", "2", "--show"]);
    let from = shown.find("# Torture, seed 2").unwrap();
    let to = shown.find("1 seed, ").unwrap();
    std::fs::write(folder.path().join("drawn.toml"), &shown[from..to]).unwrap();
    let again = succeed(folder.path(), &["torture", "drawn.toml"]);
    assert!(again.ends_with("drawn.toml: nothing was found\n"), "{again}");
    assert_eq!(succeed(folder.path(), &["torture", "drawn.toml", "--quiet"]), "");
    let whole = succeed(folder.path(), &["torture", "drawn.toml", "--show"]);
    assert!(whole.contains("# Torture, seed 2") && whole.contains("[groups.seeds]"), "{whole}");
}

#[test]
fn hours_end_and_what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["torture", "--hours", "0.0001", "--seeds", "5.."]);
    assert!(printed.contains("seed 5: "), "{printed}");
    for (args, said) in [
        (&["torture", "--seeds", "5.."][..], "--hours"),
        (&["torture", "--seeds", "3..1"], "end before they begin"),
        (&["torture", "--hours", "0"], "a number above 0"),
        (&["torture", "none.toml"], "none.toml"),
        (&["torture", "none.toml", "--seeds", "1"], "cannot be used with"),
        (&["torture", "none.toml", "--jobs", "2"], "cannot be used with"),
        (&["torture", "none.toml", "--out", "x"], "cannot be used with"),
    ] {
        let error = fail(folder.path(), args, 2);
        assert!(error.contains(said), "{args:?}: {error}");
    }
    let output = call(folder.path(), &["torture", "--help"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1..20"));
}
