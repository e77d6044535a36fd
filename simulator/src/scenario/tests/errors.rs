//! Every kind of error as it is shown, in `errors.txt`: a case is `=== title`, lines that follow the least scenario
//! (or, after `!`, a whole file), `--set` lines, and after `---` the rendered error.
//! `SWARMLAB_BLESS=1 cargo test -p simulator` writes what is shown now; read the difference.

use super::{BASE, folder};
use crate::scenario::Scenario;

/// The case's input, without title and error.
fn show(input: &str) -> String {
    let (mut text, mut overrides) = (String::new(), Vec::new());
    for line in input.lines() {
        match line.strip_prefix("--set ").and_then(|set| set.split_once('=')) {
            Some((key, value)) => overrides.push((key.to_owned(), value.to_owned())),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    let text = match text.strip_prefix("!\n") {
        Some(whole) => whole.to_owned(),
        None => format!("{BASE}{text}"),
    };
    let folder = folder();
    match Scenario::parse("case.toml", &text, &folder, &overrides) {
        Ok(_) => "no error\n".to_owned(),
        Err(error) => error.render().replace(&format!("{}/", folder.display()), ""),
    }
}

#[test]
fn errors_read_as_written_down() {
    let path = folder().join("errors.txt");
    let golden = std::fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    for case in golden.split("=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let input = rest.split("---\n").next().unwrap().trim_end();
        now.push_str(&format!("=== {title}\n{input}\n---\n{}\n", show(input)));
    }
    if std::env::var_os("SWARMLAB_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    assert_eq!(now, golden);
    assert!(!now.contains("no error"), "a case of errors.txt loads");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let missing = Scenario::load(&folder().join("none.toml"), &[]).unwrap_err();
    assert!(missing.message.starts_with("cannot open "), "{missing}");
    assert!(missing.labels.is_empty());
    let directory = Scenario::load(&folder(), &[]).unwrap_err();
    assert!(directory.message.starts_with("cannot read "), "{directory}");
    let large = format!("# {}\n{BASE}", "x".repeat(1 << 20));
    let large = Scenario::parse("large.toml", &large, &folder(), &[]).unwrap_err();
    assert_eq!(large.message, "large.toml is larger than the 1024 KiB that are read");
}

#[test]
fn the_place_of_an_error_is_line_and_column() {
    let error = super::load("  groups.leechers.count = 0\n", &[]).unwrap_err();
    assert_eq!(error.position(), Some((5, 27)));
    let span = error.labels[0].span.clone();
    assert_eq!(&error.source_text[span], "0");
    let error = super::load("", &[("groups.leechers.count", "many")]).unwrap_err();
    assert_eq!(error.source_name, "--set");
    assert_eq!(&error.source_text[error.labels[0].span.clone()], "many");
}
