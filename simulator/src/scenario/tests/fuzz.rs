//! No text makes loading panic, hang or overflow the stack: shipped scenarios with bytes changed, with
//! other values, and any text at all. proptest prints a failing case and keeps its seed.

use proptest::prelude::*;

use super::{folder, sets};
use crate::scenario::Scenario;

const SHIPPED: [&str; 7] = [
    include_str!("../../../../scenarios/three-friends.toml"),
    include_str!("../../../../scenarios/swarm-scaling.toml"),
    include_str!("../../../../scenarios/seed-leech-ratio.toml"),
    include_str!("../../../../scenarios/choking-strategies.toml"),
    include_str!("../../../../scenarios/share-ratio.toml"),
    include_str!("../../../../scenarios/flash-crowd.toml"),
    include_str!("../../../../scenarios/piece-picking.toml"),
];

/// Loads; an error must be showable, with its places inside its text.
fn try_load(text: &str, key: &str, value: &str) {
    let overrides = if key.is_empty() { Vec::new() } else { sets(&[(key, value)]) };
    match Scenario::parse("fuzz.toml", text, &folder(), &overrides) {
        Ok(scenario) => assert!(!scenario.points().is_empty() && scenario.runs() <= super::super::MAX_RUNS),
        Err(error) => {
            for label in &error.labels {
                assert!(error.source_text.get(label.span.clone()).is_some(), "{error:?}");
            }
            assert!(error.render().starts_with("error: "));
        }
    }
}

/// Something that a scenario may hold, at its limits.
fn piece() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "0",
        "-1",
        "1e308",
        "nan",
        "inf",
        "18446744073709551616",
        "4294967295",
        "\"0 s\"",
        "\"3650 d\"",
        "\"µ\"",
        "\"8000 Gbit/s\"",
        "\"999999999999999999 TiB\"",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        "*",
        "\"groups.*.count\"",
        "[sweep]\n",
        "[variants.a]\n",
        "[[groups]]\n",
        "groups.a.b.c = 1\n",
        "\n",
        "{ at = \"1 s\" }",
        "2026-01-01",
        "'''",
        "\\u0000",
        "é",
        "[]",
        "{}",
        "true",
        "# x\n",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn shipped_scenarios_with_changes(
        which in 0..SHIPPED.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, piece()), 1..4),
        key in "(groups|sweep|variants|content|)(\\.[a-z*,-]{0,9}){0,3}",
        value in "[ -~]{0,12}",
    ) {
        let mut text = SHIPPED[which].to_owned();
        for (at, length, piece) in edits {
            let mut from = at.index(text.len() + 1);
            let mut to = (from + length).min(text.len());
            while !text.is_char_boundary(from) { from -= 1; }
            while !text.is_char_boundary(to) { to += 1; }
            text.replace_range(from..to, &piece);
        }
        try_load(&text, &key, &value);
    }

    #[test]
    fn shipped_scenarios_with_other_values(
        which in 0..SHIPPED.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), piece()), 1..4),
    ) {
        let mut lines: Vec<String> = SHIPPED[which].lines().map(str::to_owned).collect();
        for (at, piece) in changes {
            let line = at.get(&lines).clone();
            if let Some((key, _)) = line.split_once(" = ") {
                let index = at.index(lines.len());
                lines[index] = format!("{key} = {piece}");
            }
        }
        try_load(&lines.join("\n"), "", "");
    }

    #[test]
    fn any_text(text in "\\PC{0,80}", key in "\\PC{0,20}", value in "\\PC{0,20}") {
        try_load(&text, &key, &value);
    }

    #[test]
    fn any_bytes_that_are_text(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        try_load(&String::from_utf8_lossy(&bytes), "", "");
    }
}

#[test]
fn depth_does_not_overflow_the_stack() {
    let deep = 200_000;
    try_load(&format!("a = {}{}", "[".repeat(deep), "]".repeat(deep)), "", "");
    try_load(&"{a=".repeat(deep), "", "");
    try_load(&format!("{}b = 1", "a.".repeat(deep)), "", "");
    try_load(&format!("[{}b]", "a.".repeat(deep)), "", "");
    try_load(&format!("sweep = {{ {}b = 1 }}", "a.".repeat(deep)), "", "");
    try_load("", &"a.".repeat(deep), "1");
    try_load("", "a", &"[".repeat(deep));
}
