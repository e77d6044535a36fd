//! WebTorrent, in Node.

use std::io::Write as _;
use std::process::Command;

use super::lines::Lines;
use super::{Kind, Other, Wishes, installed};
use crate::Outcome;
use crate::lab::Place;
use crate::process::find;

/// See the module.
pub const KIND: Kind =
    Kind { tells: Err("it takes peers by PEX and gives none"), ..Kind::able("webtorrent", version, start) };

fn version() -> Outcome<String> {
    find("node")?;
    let text = std::fs::read_to_string(installed("npm/node_modules/webtorrent/package.json")?)?;
    let package: serde_json::Value = serde_json::from_str(&text)?;
    Ok(package["version"].as_str().ok_or("no version")?.to_owned())
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    // Node looks for packages beside the program.
    let folder = installed("npm")?;
    let program = folder.join("interop.mjs");
    // Replaced whole: another may be about to start by it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(include_bytes!("../helpers/webtorrent.mjs"))?;
    file.persist(&program)?;
    let mut command = Command::new(find("node")?);
    command.arg(program);
    Ok(Box::new(Lines::start(command, place, wishes)?))
}
