//! Scenarios by file or by name. The shipped ones are in the binary, so that an installed one has them.

use std::path::{Path, PathBuf};

use simulator::scenario::Scenario;

use crate::failure::Failure;

/// The folder that names are looked for in first.
const FOLDER: &str = "scenarios";

/// A shipped scenario: its name and its text.
macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// The shipped scenarios, by name.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}

shipped!(
    "choking-strategies",
    "flash-crowd",
    "piece-picking",
    "seed-leech-ratio",
    "share-ratio",
    "swarm-scaling",
    "three-friends",
    "two-worlds",
);

/// The scenario that is meant: a file, a name in `scenarios/`, or a shipped scenario's name.
pub fn load(wanted: &str, overrides: &[(String, String)]) -> Result<Scenario, Failure> {
    let path = Path::new(wanted);
    let looks_like_name = path.components().count() == 1 && path.extension().is_none();
    let in_folder = PathBuf::from(FOLDER).join(format!("{wanted}.toml"));
    let file = [path.to_owned(), in_folder].into_iter().find(|path| path.exists() && !path.is_dir());
    match file {
        Some(path) => {
            // Told apart here: a file that cannot be read is not one that is wrong.
            std::fs::File::open(&path).map_err(|error| Failure::path("read", &path, &error))?;
            Ok(Scenario::load(&path, overrides)?)
        }
        None if looks_like_name && shipped(wanted).is_some() => embedded(wanted, overrides),
        None => Err(unknown(wanted)),
    }
}

/// A shipped scenario as it is in the binary.
pub fn embedded(name: &str, overrides: &[(String, String)]) -> Result<Scenario, Failure> {
    let text = shipped(name).ok_or_else(|| unknown(name))?;
    Ok(Scenario::parse(&format!("shipped/{name}.toml"), text, Path::new(FOLDER), overrides)?)
}

fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|known| known.0 == name).map(|known| known.1)
}

fn unknown(wanted: &str) -> Failure {
    let what = if Path::new(wanted).is_dir() { "a folder, and no scenario" } else { "no file" };
    let stem = Path::new(wanted).file_stem().unwrap_or_default().to_string_lossy();
    let names: Vec<&str> = SHIPPED.iter().map(|known| known.0).collect();
    let near = names.iter().map(|name| (distance(&stem, name), name)).min();
    let hint = match near {
        Some((distance, name)) if distance * 3 <= name.len() => format!("did you mean `{name}`? "),
        _ => String::new(),
    };
    Failure::Input(
        format!("{} is {what}", if wanted.is_empty() { "``" } else { wanted }),
        Some(format!("{hint}give a scenario's file, or a shipped scenario's name: {}", names.join(", "))),
    )
}

/// Letters to insert, remove or replace to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Every scenario that can be run by name, in order of name: those in `scenarios/` go before shipped ones.
pub fn all() -> Vec<(String, Result<Scenario, Failure>)> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let files =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "toml"));
    let names = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = names.chain(SHIPPED.iter().map(|known| known.0.to_owned())).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| (name.clone(), load(&name, &[]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_file_is_shipped_and_reads() {
        let files = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
        // What is in a folder of its own is run by its file alone: it is too large for whoever tries a name.
        let files = files.filter(|path| path.is_file());
        let mut names: Vec<String> =
            files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, SHIPPED.iter().map(|known| known.0).collect::<Vec<_>>());
        for name in names {
            let scenario = embedded(&name, &[]).unwrap();
            assert_eq!(scenario.name(), name);
            assert!(scenario.question().contains('?'), "{name} opens with its question");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
