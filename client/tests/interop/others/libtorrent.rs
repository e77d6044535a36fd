//! libtorrent by its Python binding, of two releases.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::lines::Lines;
use super::{Kind, Other, Wishes, installed};
use crate::Outcome;
use crate::lab::Place;

const PROGRAM: &str = include_str!("../helpers/libtorrent.py");

/// PyPI's.
pub const KIND_2_1: Kind = Kind::able(
    "libtorrent-2.1",
    || version(&installed("venv/bin/python")?),
    |place, wishes| start(&installed("venv/bin/python")?, place, wishes),
);

/// Debian's.
pub const KIND_2_0: Kind =
    Kind::able("libtorrent-2.0", || version(&debian()), |place, wishes| start(&debian(), place, wishes));

fn debian() -> PathBuf {
    Path::new("/usr/bin/python3").to_owned()
}

fn version(python: &Path) -> Outcome<String> {
    let print = "import libtorrent; print(libtorrent.__version__)";
    let output = Command::new(python).args(["-c", print]).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err("its Python binding is not installed".into()),
    }
}

fn start(python: &Path, place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]);
    Ok(Box::new(Lines::start(command, place, wishes)?))
}
