//! `docs/scenario.md` names every key that the format has, with its default, and its examples load.

use super::{folder, load};
use crate::scenario::{Registry, Scenario};

const DOCUMENT: &str = include_str!("../../../../docs/scenario.md");

/// The keys of a table, from what an unknown one is told.
fn keys(path: &str) -> Vec<String> {
    let error = load(&format!("{path}zzz = 1\n"), &[]).unwrap_err();
    let list = error.help.unwrap_or_default();
    assert!(error.message.contains("`zzz`"), "{path}: {}", error.message);
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The choices of a value, from what a wrong one is told.
fn choices(key: &str) -> Vec<String> {
    let error = load(&format!("{key} = \"zzz\"\n"), &[]).unwrap_err();
    error.help.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_and_choice_is_documented() {
    let tables = [
        ("", 13),
        ("content.", 2),
        ("network.", 7),
        ("network.latency.", 3),
        ("tracker.", 5),
        ("groups.leechers.", 21),
        ("groups.leechers.arrival.evenly.", 2),
        ("groups.leechers.arrival.poisson.", 2),
        ("groups.leechers.arrival.flash-crowd.", 2),
        ("groups.leechers.arrival.after.", 2),
        ("faults.one.", 5),
        ("faults.one.what.restart.", 3),
    ];
    for (table, count) in tables {
        let keys = keys(table);
        assert_eq!(keys.len(), count, "{table}: {keys:?}");
        for key in keys {
            assert!(
                documented(&key) || documented(&format!("{table}{key}")),
                "{table}{key} is not in docs/scenario.md"
            );
        }
    }
    let values = ["until", "network.transport", "tracker.returns", "groups.leechers.arrival"];
    let values =
        [&values[..], &["groups.leechers.leave", "groups.leechers.behaviour", "faults.one.what", "charts"]]
            .concat();
    for key in values {
        let known = if key == "charts" { choices_of_charts() } else { choices(key) };
        assert!(known.len() > 1, "{key}: {known:?}");
        for choice in known {
            assert!(documented(&choice), "{key} = {choice} is not in docs/scenario.md");
        }
    }
    let registry = Registry::new();
    for policy in registry.choker_names().into_iter().chain(registry.picker_names()) {
        assert!(documented(policy), "{policy} is not in docs/scenario.md");
    }
}

fn choices_of_charts() -> Vec<String> {
    let error = load("charts = [\"zzz\"]\n", &[]).unwrap_err();
    let mut known: Vec<String> =
        error.help.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let error = load("charts = [{ speed = { zzz = 1 } }]\n", &[]).unwrap_err();
    known.extend(error.help.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned));
    known
}

/// In the first column of a table, or in code in the text.
fn documented(word: &str) -> bool {
    DOCUMENT.contains(&format!("`{word}`")) || DOCUMENT.contains(&format!("`\"{word}\"`"))
}

#[test]
fn examples_load() {
    let mut found = 0;
    for block in DOCUMENT.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        found += 1;
        // An example is a whole scenario, or what may follow the least one.
        let result = if text.contains("[content]") {
            Scenario::parse("example.toml", text, &folder(), &[])
        } else {
            load(text, &[])
        };
        if let Err(error) = result {
            panic!("{text}\n{}", error.render());
        }
    }
    assert!(found >= 5, "{found} examples");
}

#[test]
fn defaults_are_those_of_the_code() {
    use crate::scenario::defaults as d;
    let minutes = |time: std::time::Duration| format!("`\"{} min\"`", time.as_secs() / 60);
    let rows = [
        ("seed", format!("`{}`", d::SEED)),
        ("replicates", format!("`{}`", d::REPLICATES)),
        ("time-limit", format!("`\"{} h\"`", d::TIME_LIMIT.as_secs() / 3600)),
        ("sample-every", format!("`\"{} s\"`", d::SAMPLE_EVERY.as_secs())),
        ("content.piece", format!("`\"{} KiB\"`", d::PIECE >> 10)),
        ("network.latency", format!("`\"{} ms\"`", d::LATENCY.as_millis())),
        ("network.window", format!("`\"{} MiB\"`", d::WINDOW >> 20)),
        ("network.mss", format!("`\"{} B\"`", d::MSS)),
        ("network.hash-rate", format!("`\"{} MB/s\"`", d::HASH_RATE / 1_000_000)),
        ("tracker.interval", minutes(d::INTERVAL)),
        ("tracker.min-interval", minutes(d::MIN_INTERVAL)),
        ("tracker.max-peers", format!("`{}`", d::MAX_PEERS)),
        ("tracker.latency", format!("`\"{} ms\"`", d::TRACKER_LATENCY.as_millis())),
        ("choker", format!("`\"{}\"`", d::CHOKER)),
        ("seed-choker", format!("`\"{}\"`", d::SEED_CHOKER)),
        ("picker", format!("`\"{}\"`", d::PICKER)),
        ("slots", format!("`{}`", d::SLOTS)),
        ("connections", format!("`{}`", d::CONNECTIONS)),
    ];
    for (key, default) in rows {
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("no row for {key}"));
        assert_eq!(row.split('|').nth(3).map(str::trim), Some(default.as_str()), "{row}");
    }
}
