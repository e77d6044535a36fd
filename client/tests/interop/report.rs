//! What came of the cases: kept from run to run below the target folder, and written to `docs/interop.md` with
//! `SWARMLAB_BLESS=1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::cases::{CASES, Moved};
use crate::others::{self, OURS};
use crate::trackers;

/// What a case came to.
pub enum Verdict {
    Passed(Moved),
    /// The client cannot do it.
    Cannot(String),
    Failed(String),
}

/// How fast something was, and how long it took.
pub fn rate(moved: &Moved) -> String {
    let whole = format!("{:.1} s", moved.time.as_secs_f64());
    match moved.seen {
        Some((bytes, time)) if !time.is_zero() => {
            let rate = bytes as f64 / time.as_secs_f64() / f64::from(1 << 20);
            format!("{rate:.0} MiB/s, {whole}")
        }
        _ => whole,
    }
}

/// If set, the document is written.
pub const BLESS: &str = "SWARMLAB_BLESS";

/// Where those are kept.
const THROUGHPUT: &str = "throughput";

static ALL: Mutex<BTreeMap<(String, String), Value>> = Mutex::new(BTreeMap::new());

fn store() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-results.json")
}

/// Notes what came of a case with a client.
pub fn note(who: &str, version: &str, case: &str, verdict: &Verdict) {
    let mut value = json!({"version": version});
    match verdict {
        Verdict::Passed(moved) => {
            value["bytes"] = moved.bytes.into();
            value["seconds"] = moved.time.as_secs_f64().into();
            value["seen"] = moved.seen.map(|(bytes, time)| json!([bytes, time.as_secs_f64()])).into();
            value["remark"] = moved.remark.into();
        }
        Verdict::Cannot(why) => value["cannot"] = why.as_str().into(),
        Verdict::Failed(why) => value["failed"] = why.lines().next().unwrap_or_default().into(),
    }
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert((who.to_owned(), case.to_owned()), value);
}

/// Notes the rates of transfers that had the machine for themselves.
pub fn note_throughput(value: Value) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert((THROUGHPUT.to_owned(), "all".to_owned()), value);
}

/// Puts this run's results over those of earlier ones, and writes the document if asked to.
pub fn finish() -> Outcome {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(store())?;
    // Another run may come to its end now.
    file.lock()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut stored: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({}));
    for ((who, case), value) in &*all {
        stored[who][case] = value.clone();
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec_pretty(&stored)?)?;
    if std::env::var_os(BLESS).is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/interop.md");
        std::fs::write(path, document(&stored))?;
    }
    Ok(())
}

/// A cell, and what it has to say below the table.
fn cell(result: &Value, notes: &mut Vec<String>) -> String {
    let mut noted = |mark: &str, why: &Value| {
        let why = why.as_str().unwrap_or_default().to_owned();
        let at = notes.iter().position(|note| *note == why).unwrap_or_else(|| {
            notes.push(why);
            notes.len() - 1
        });
        format!("{mark} ({})", at + 1)
    };
    if result.is_null() {
        return "not run".to_owned();
    }
    if !result["failed"].is_null() {
        return noted("**fails**", &result["failed"]);
    }
    if !result["cannot"].is_null() {
        return noted("cannot", &result["cannot"]);
    }
    let seconds = |value: &Value| Duration::from_secs_f64(value.as_f64().unwrap_or(0.0));
    let rate = rate(&Moved {
        bytes: result["bytes"].as_u64().unwrap_or(0),
        time: seconds(&result["seconds"]),
        seen: result["seen"][0].as_u64().map(|bytes| (bytes, seconds(&result["seen"][1]))),
        remark: None,
    });
    if result["remark"].is_null() { rate } else { noted(&rate, &result["remark"]) }
}

fn version(results: &Value) -> &str {
    let mut each = results.as_object().into_iter().flat_map(|cases| cases.values());
    each.find_map(|result| result["version"].as_str()).unwrap_or("not here")
}

/// The part about speed, if that was measured.
fn throughput(measured: &Value) -> String {
    let Some(rows) = measured["rows"].as_array() else { return String::new() };
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let build =
        if measured["checked"] == true { "with the assertions of a test build" } else { "for release" };
    let rounds = &measured["rounds"];
    let mut text = format!(
        "\n## Throughput\n\n\
         1 GiB over loopback, one core for each side, all pairs in turn in one run; medians of {rounds}.\n\
         From the first piece to the last. Ours was built {build}. The time on the clock is also that of whatever\n\
         else the machine did; the processor's time that a side used for the GiB is its own, and what a core could\n\
         carry is 1 GiB over that. The floor: hashing alone is {:.0} MiB/s on one core, and copying alone, from a\n\
         socket to a file, {:.0} MiB/s.\n\n\
         | from | to | MiB/s | least and most | CPU s to send | to receive | a core could send, MiB/s | receive |\n\
         |---|---|---|---|---|---|---|---|\n",
        number(&measured["hashing"]),
        number(&measured["copying"]),
    );
    for row in rows {
        let name = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let all: Vec<f64> = row["all"].as_array().into_iter().flatten().map(number).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        let [sending, receiving] = [0, 1].map(|side| number(&row["cpu"][side]).max(0.01));
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {least:.0} to {most:.0} | {sending:.1} | {receiving:.1} | {:.0} | {:.0} |",
            name("seed"),
            name("leech"),
            number(&row["rate"]),
            1024.0 / sending,
            1024.0 / receiving,
        );
    }
    text
}

/// What was seen of them while the cases were made, in these versions.
const SEEN: &str = "
## What they do in their own way

Each was seen here, in the versions above.

- Transmission says that it is interested, and unchokes, in rounds of 10 s: the first block moves 11 to 14 s after the
  dial, whichever side it is on and however long it has run.
- Transmission sends its requests once a second, up to the `reqq` it was told: 500 blocks of 16 KiB a second (8 MiB/s)
  where we said 500, and 31 MiB/s since we say 2000, as libtorrent does.
- Transmission answers every 500 ms the requests that are there by then, and takes 511: 16 MiB/s. Whoever has fewer
  under way waits for the next time: with at most 250 it gave us 8 MiB/s. A depth that follows the average rate since
  the unchoke grew by 6 blocks a time; slow start doubles it.
- Transmission never dials an address of 127.0.0.0/8, and makes no files that have nothing in them.
- qBittorrent closes the connections of peers until it has checked its files, and for some 50 ms after it has said that
  it has. Who dials again only after a minute, as libtorrent and we do, loses that minute.
- qBittorrent keeps a connection to its remote control open for eight seconds after an answer by HTTP/1.0.
- Deluge tries uTP first, and TCP only minutes later; no setting of its own turns that off, one of libtorrent's does.
- aria2 sends a bitfield at any time, in place of many HAVEs. It speaks to trackers over UDP only with its DHT on.
- rTorrent takes no torrent without a tracker while its DHT is off. It is the slowest at PEX: up to 90 s.
- rqbit closes a connection after ten seconds without a word, which `--peer-read-write-timeout` changes. It tells
  trackers that nothing is left until it has the metadata, and a tracker that keeps seeds from seeds then names it none.
- WebTorrent takes peers by PEX and gives none; rqbit names only peers that it has dialled.
";

fn document(results: &Value) -> String {
    let mut text = String::from(
        "# Real clients and trackers\n\n\
         Written by `SWARMLAB_BLESS=1 cargo test -p client --features real-clients --test interop`, which tried each of\n\
         these on one machine, in a network where nothing else is. Every file was held against its SHA-1. First comes how\n\
         fast it went, from the first that was seen to move to the last, then the whole time from the first dial, on a\n\
         machine that did other things: they tell what waits, and no more. What is over at the first look has no rate.\n",
    );
    let mut notes = Vec::new();
    let others: Vec<&str> = others::OTHERS.iter().map(|kind| kind.name).collect();
    text += "\n## Clients\n\n| | ";
    text += &others.join(" | ");
    text += " |\n|---|";
    text += &"---|".repeat(others.len());
    text += "\n| version | ";
    text += &others.iter().map(|who| version(&results[who])).collect::<Vec<_>>().join(" | ");
    text += " |\n";
    for case in &CASES {
        let cells: Vec<String> =
            others.iter().map(|who| cell(&results[who][case.name], &mut notes)).collect();
        let _ = writeln!(text, "| {} | {} |", case.title, cells.join(" | "));
    }
    text += "\n## Trackers\n\n\
             From one of ours to another, who know only the tracker, 16 MiB.\n\n\
             | tracker | version | ours, HTTP | ours, UDP |\n|---|---|---|---|\n";
    for kind in trackers::OTHERS.into_iter().chain([&trackers::OURS]) {
        let result = &results[kind.name];
        let cells = ["http", "udp"].map(|case| cell(&result[case], &mut notes));
        let _ = writeln!(text, "| {} | {} | {} |", kind.name, version(result), cells.join(" | "));
    }
    let everyone = &results[OURS.name]["everyone"];
    let _ = writeln!(
        text,
        "\n## All of them in one swarm\n\n\
        From one seed of ours to one of each, 64 MiB, found by our tracker and by each other, until all had it: {}.",
        cell(everyone, &mut notes)
    );
    text += &throughput(&results[THROUGHPUT]["all"]);
    text += SEEN;
    if !notes.is_empty() {
        text += "\n## Notes\n\n";
        for (at, note) in notes.iter().enumerate() {
            let _ = writeln!(text, "{}. {note}", at + 1);
        }
    }
    text
}
