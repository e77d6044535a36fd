//! Scenario files as a whole: what ships loads, what is left out has its documented default, errors read as
//! `errors.txt` shows them, and no text makes loading panic.

mod documents;
mod errors;
mod fuzz;
mod points;
mod shipped;

use std::path::{Path, PathBuf};

use super::{Scenario, ScenarioError};

/// The least that a scenario can say.
const BASE: &str = r#"content.size = "1 MiB"
groups.seeds.role = "seed"
groups.seeds.up = "1 MB/s"
groups.leechers.up = "500 kB/s"
"#;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenario/tests")
}

fn sets(sets: &[(&str, &str)]) -> Vec<(String, String)> {
    sets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// [`BASE`] and more lines, with some `--set`.
fn load(more: &str, with: &[(&str, &str)]) -> Result<Scenario, ScenarioError> {
    Scenario::parse("case.toml", &format!("{BASE}{more}"), &folder(), &sets(with))
}

/// The same, which must load.
fn loaded(more: &str, with: &[(&str, &str)]) -> Scenario {
    load(more, with).unwrap_or_else(|error| panic!("{more}\n{}", error.render()))
}
