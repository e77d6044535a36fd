//! Hostile bencode and torrent files: what BEP 3 says of each, what the engine makes of it, and what libtorrent does.
//! The table is in `docs/formats.md`, which `SWARMLAB_BLESS=1` writes anew.
//!
//! With the feature `real-clients` libtorrent is asked itself: that of PyPI which `.ci/real-clients` installs, and
//! Debian's. One that is not installed is skipped, unless `SWARMLAB_REQUIRE_CLIENTS` names it.

mod rows;

use std::fmt::Write as _;
use std::path::Path;

use engine::Metainfo;
use engine::bencode;

use rows::{Form, Row, Says};

fn ours(row: &Row) -> Result<(), String> {
    match row.form {
        Form::Bencode => bencode::check(&row.bytes).map_err(|error| error.to_string()),
        Form::Torrent => Metainfo::parse(&row.bytes).map(|_| ()).map_err(|error| error.to_string()),
    }
}

#[test]
fn the_engine_accepts_and_refuses_as_the_table_says() {
    for row in rows::all() {
        let verdict = ours(&row);
        let due = row.ours == Says::Yes;
        assert_eq!(verdict.is_ok(), due, "{}: {verdict:?}", row.what);
    }
}

/// Where BEP 3 says it, the engine does so: but for limits that are there for its safety, and are named.
#[test]
fn what_differs_is_explained_and_never_laxer_than_bep_3() {
    for row in rows::all() {
        let differs = row.bep != row.ours || row.ours != row.libtorrent;
        assert_eq!(differs, !row.why.is_empty(), "{}", row.what);
        assert!(!(row.bep == Says::No && row.ours == Says::Yes), "{} is taken", row.what);
        assert!(row.ours != Says::Nothing && row.libtorrent != Says::Nothing, "{}", row.what);
        if row.bep == Says::Yes && row.ours == Says::No {
            assert!(row.why.contains("sets no limit"), "{} is refused without a limit", row.what);
        }
    }
}

fn word(says: Says) -> &'static str {
    match says {
        Says::Yes => "yes",
        Says::No => "no",
        Says::Nothing => "–",
    }
}

/// An input as the table shows it.
fn shown(bytes: &[u8]) -> String {
    let text: String = bytes.escape_ascii().to_string().replace('|', "\\|");
    if text.len() <= 60 {
        return if text.is_empty() { String::new() } else { format!("`{text}`") };
    }
    let head: String = text.chars().take(40).collect();
    format!("`{head}…` ({} bytes)", bytes.len())
}

fn document() -> String {
    let mut text = "# Hostile bencode and torrent files\n\n\
        What BEP 3 says of each input, what swarmlab makes of it, and what libtorrent (2.1.1 of PyPI and Debian's 2.0.8, \
        which agree) does.\n\
        `cargo test -p harness --test formats` holds swarmlab to this table; with `--features real-clients` libtorrent \
        is asked, too.\n\
        A dash: BEP 3 does not say. Made by the same test with `SWARMLAB_BLESS=1`.\n"
        .to_owned();
    for (form, title) in [(Form::Bencode, "Bencode"), (Form::Torrent, "Torrent files")] {
        let _ = writeln!(text, "\n## {title}\n");
        let _ = writeln!(text, "| input | bytes | BEP 3 | swarmlab | libtorrent | why they differ |");
        let _ = writeln!(text, "| --- | --- | --- | --- | --- | --- |");
        for row in rows::all().iter().filter(|row| row.form == form) {
            // Of a torrent file the name says what is odd in it.
            let bytes =
                if form == Form::Bencode { shown(&row.bytes) } else { format!("{} bytes", row.bytes.len()) };
            let [bep, ours, libtorrent] = [row.bep, row.ours, row.libtorrent].map(word);
            let _ =
                writeln!(text, "| {} | {bytes} | {bep} | {ours} | {libtorrent} | {} |", row.what, row.why);
        }
    }
    text
}

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
    let due = document();
    if std::env::var_os("SWARMLAB_BLESS").is_some() {
        std::fs::write(&path, &due).expect("the document is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == due, "docs/formats.md is not what the table says: write it with SWARMLAB_BLESS=1");
}

#[cfg(feature = "real-clients")]
mod libtorrent {
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use super::rows::{self, Form, Says};

    /// The version, and a verdict for each row; `Err`: it is not there.
    fn ask(python: &PathBuf) -> Result<(String, Vec<String>), String> {
        let mut child = Command::new(python)
            .args(["-c", include_str!("libtorrent.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let mut input = String::new();
        for row in rows::all() {
            input.push_str(if row.form == Form::Bencode { "b " } else { "m " });
            row.bytes.iter().for_each(|byte| input.push_str(&format!("{byte:02x}")));
            input.push('\n');
        }
        let mut stdin = child.stdin.take().expect("a pipe");
        // It reads a line and answers it: the answers together fit a pipe.
        let written = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() || written.is_err() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = said.lines().map(str::to_owned);
        let version = lines.next().unwrap_or_default();
        Ok((version, lines.collect()))
    }

    fn agrees(name: &str, python: PathBuf) {
        let required = std::env::var("SWARMLAB_REQUIRE_CLIENTS").unwrap_or_default();
        let (version, said) = match ask(&python) {
            Ok(said) => said,
            Err(why) if required.split(',').any(|required| required.trim() == name) => {
                panic!("{name}: {why}")
            }
            Err(why) => return println!("{name} is skipped: {why}"),
        };
        let rows = rows::all();
        assert_eq!(said.len(), rows.len());
        let wrong: Vec<String> = rows
            .iter()
            .zip(&said)
            .filter(|(row, said)| said.starts_with("accepts") != (row.libtorrent == Says::Yes))
            .map(|(row, said)| format!("{}: {said}", row.what))
            .collect();
        assert!(wrong.is_empty(), "libtorrent {version} differs from the table:\n{}", wrong.join("\n"));
        println!("libtorrent {version}: {} rows as in the table", rows.len());
    }

    #[test]
    fn that_of_pypi_agrees_with_the_table() {
        let venv = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/real-clients/venv/bin/python");
        agrees("libtorrent-2.1", venv.into());
    }

    #[test]
    fn that_of_debian_agrees_with_the_table() {
        agrees("libtorrent-2.0", "/usr/bin/python3".into());
    }
}
