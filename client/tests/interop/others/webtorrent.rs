//! WebTorrent, in Node.

use std::process::Command;

use super::lines::Lines;
use super::{Kind, Other, Wishes, installed};
use crate::Outcome;
use crate::lab::Place;
use crate::process::find;

/// See the module.
pub const KIND: Kind = Kind {
    name: "webtorrent",
    version,
    start,
    dials: Ok(()),
    tells: Err("it takes peers by PEX and gives none"),
    hears: Ok(()),
    magnet: Ok(()),
    udp: Ok(()),
};

fn version() -> Outcome<String> {
    find("node")?;
    let text = std::fs::read_to_string(installed("npm/node_modules/webtorrent/package.json")?)?;
    let package: serde_json::Value = serde_json::from_str(&text)?;
    Ok(package["version"].as_str().ok_or("no version")?.to_owned())
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    // Node looks for packages beside the program.
    let program = installed("npm")?.join("interop.mjs");
    std::fs::write(&program, include_str!("../helpers/webtorrent.mjs"))?;
    let mut command = Command::new(find("node")?);
    command.arg(program);
    Ok(Box::new(Lines::start(command, place, wishes)?))
}
