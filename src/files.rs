//! Records and other files: read with limits, written whole or not at all.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use record::Record;

use crate::failure::Failure;

/// The file of a record in its folder.
pub const RECORD: &str = "record.json";
/// The longest record that is read: some tens of millions of peers.
const MAX_RECORD: u64 = 8 << 30;

/// The latest time in a record, seconds: far beyond what a scenario may ask for.
const MAX_TIME: f64 = 1e12;

/// The bytes of a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::unreadable(path, &error);
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::input(format!(
            "{} is larger than the {} MiB that are read",
            path.display(),
            limit >> 20
        )));
    }
    Ok(bytes)
}

/// Writes a file under a temporary name beside it and renames: a reader sees the old one or the new.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // What is left of it helps nobody; if it cannot be removed, the first error still tells why.
        let _ = fs::remove_file(&temporary);
        Failure::path("write", path, &error)
    })
}

/// The record's file: `path`, or the one in the folder `path`.
pub fn record_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(RECORD) } else { path.to_owned() }
}

/// The record at `path`, or in the folder `path`.
pub fn read_record(path: &Path) -> Result<Record, Failure> {
    let path = record_path(path);
    const HELP: &str = "give a record.json, or the folder that `swarmlab run` wrote it to";
    let bytes = read(&path, MAX_RECORD).map_err(|failure| failure.help(HELP))?;
    let wrong = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("this is no UTF-8 text".to_owned()))?;
    let record = Record::from_json(text).map_err(|error| wrong(error.to_string()))?;
    check(&record).map_err(wrong)?;
    Ok(record)
}

/// What whoever reads a record takes for granted, beyond its form.
fn check(record: &Record) -> Result<(), String> {
    for (number, run) in record.runs.iter().enumerate() {
        if run.point.len() != record.axes.len() {
            let (got, due) = (run.point.len(), record.axes.len());
            return Err(format!("run {number} has {got} values where the record has {due} axes"));
        }
        if run.seed.parse::<u64>().is_err() {
            let seed = crate::output::safe(&run.seed);
            return Err(format!(
                "run {number} has the seed \"{seed}\", which is no number from 0 to {}",
                u64::MAX
            ));
        }
        if let Some(peer) = run.peers.iter().find(|peer| peer.group as usize >= run.groups.len()) {
            return Err(format!("run {number} has a peer of group {}, which it lacks", peer.group));
        }
        let of_peer = |peer: &record::Peer| [Some(peer.arrived), peer.completed, peer.left];
        let times = run.peers.iter().flat_map(of_peer).chain([Some(run.ended_at), run.bound]);
        let times = times.flatten().chain(run.series.iter().map(|sample| sample.time));
        if let Some(time) = times.into_iter().find(|time| !(0.0..=MAX_TIME).contains(time)) {
            return Err(format!("run {number} has a time that is outside 0 to {MAX_TIME:e} s: {time:e}"));
        }
    }
    Ok(())
}

/// Makes a folder that results are to go into, and sees that files can be made there: better now than when the work is
/// done.
pub fn prepare(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::path("make", folder, &error))?;
    try_in(folder, folder)
}

/// Sees that a folder that results may go into can be written to, or made, and leaves nothing behind: there may be none.
pub fn probe(folder: &Path) -> Result<(), Failure> {
    let there = |path: &&Path| path.as_os_str().is_empty() || path.symlink_metadata().is_ok();
    match folder.ancestors().find(there) {
        Some(path) if !path.as_os_str().is_empty() => try_in(path, folder),
        _ => try_in(Path::new("."), folder),
    }
}

/// Makes a file and takes it away again; what fails is said of `folder`.
fn try_in(there: &Path, folder: &Path) -> Result<(), Failure> {
    let probe = there.join(format!(".swarmlab.{}.tmp", std::process::id()));
    let tried = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
    tried.map_err(|error| Failure::path("write into", folder, &error))
}

/// Writes a record into its folder, which is made if it is not there; its path.
pub fn write_record(record: &Record, folder: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::path("make", folder, &error))?;
    let path = folder.join(RECORD);
    let text = record.to_json().map_err(|error| Failure::Io(format!("cannot make JSON: {error}")))?;
    replace(&path, text.as_bytes())?;
    Ok(path)
}
