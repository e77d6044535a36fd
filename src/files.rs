//! Records and other files: read with limits, written whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use record::Record;

use crate::failure::Failure;

/// The file of a record in its folder.
pub const RECORD: &str = "record.json";
/// The most peers of a run that stand in the record itself.
const MOST_PEERS: usize = 20_000;
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
    replace_with(path, |file| file.write_all(bytes))
}

/// The same with what `write` puts into it.
fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut fs::File) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::File::create(&temporary).and_then(|mut file| write(&mut file));
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|error| {
        // What is left of it helps nobody; if it cannot be removed, the first error still tells why.
        let _ = fs::remove_file(&temporary);
        Failure::path("write", path, &error)
    })
}

/// Sees that a file can be written to a path, without touching one that is there: better now than when the work is
/// done.
pub fn writable(path: &Path) -> Result<(), Failure> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(Failure::input(format!("{} is a folder, and no file", path.display())));
    }
    let probe = path.with_file_name(format!(".swarmlab.{}.tmp", std::process::id()));
    let tried = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
    tried.map_err(|error| Failure::path("write", path, &error))
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
    let mut record = Record::from_json(text).map_err(|error| wrong(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    record.runs.iter_mut().try_for_each(|run| fetch_peers(run, folder))?;
    check(&record).map_err(wrong)?;
    Ok(record)
}

/// The peers of a run that are in a file of their own.
fn fetch_peers(run: &mut record::Run, folder: &Path) -> Result<(), Failure> {
    let Some(name) = run.peers_apart() else { return Ok(()) };
    let path = folder.join(name.map_err(|why| Failure::input(format!("a run of the record: {why}")))?);
    let file = fs::File::open(&path).map_err(|error| {
        Failure::unreadable(&path, &error)
            .help("the peers of a large run are beside its record.json: take both along")
    })?;
    if !path.is_file() {
        return Err(Failure::input(format!("{} is no file", path.display())));
    }
    let file = file.take(MAX_RECORD);
    let most = run.groups.iter().map(|group| u64::from(group.count)).sum();
    run.peers = record::read_peers(std::io::BufReader::new(file), most)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    run.peers_file = None;
    Ok(())
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

/// Writes a record into its folder, which is made if it is not there; its path. The peers of large runs go to files beside
/// it but for those that `written` names, where the others are entered.
pub fn write_record(
    record: &Record,
    folder: &Path,
    written: &mut BTreeSet<String>,
) -> Result<PathBuf, Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::path("make", folder, &error))?;
    let path = folder.join(RECORD);
    let (record, apart) = record.parted(MOST_PEERS);
    for (name, peers) in apart {
        let path = folder.join(&name);
        // One that was there may be damaged.
        if written.insert(name) {
            replace_with(&path, |file| {
                record::write_peers(peers, std::io::BufWriter::new(file)).map_err(std::io::Error::other)
            })?;
        }
    }
    let text = record.to_json().map_err(|error| Failure::Io(format!("cannot make JSON: {error}")))?;
    replace(&path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> record::Peer {
        record::Peer {
            group: 0,
            arrived: f64::from(number) / 7.0,
            completed: number.is_multiple_of(2).then(|| f64::from(number) / 3.0),
            left: None,
            uploaded: 3,
            downloaded: 4,
            wasted: 0,
            pieces: 5,
        }
    }

    /// A record of one run of so many peers.
    fn record(count: u32) -> Record {
        let group = record::Group {
            name: "leechers".to_owned(),
            seed: false,
            count,
            up: 1,
            down: None,
            choker: String::new(),
            seed_choker: String::new(),
            picker: String::new(),
            behaviour: "honest".to_owned(),
        };
        let run = record::Run {
            point: Vec::new(),
            replicate: 0,
            seed: "1".to_owned(),
            digest: "00ff".to_owned(),
            content: 1,
            pieces: 1,
            ended_at: 1.0,
            end: record::End::Done,
            bound: None,
            groups: vec![group],
            peers: (0..count).map(peer).collect(),
            peers_file: None,
            series: Vec::new(),
            counters: std::collections::BTreeMap::new(),
        };
        Record {
            format: record::FORMAT,
            version: String::new(),
            scenario: "large".to_owned(),
            question: String::new(),
            charts: Vec::new(),
            source: String::new(),
            files: std::collections::BTreeMap::new(),
            overrides: Vec::new(),
            seed: 1,
            stack: "message".to_owned(),
            axes: Vec::new(),
            partial: false,
            runs: vec![run],
        }
    }

    #[test]
    fn the_peers_of_a_large_run_are_beside_its_record_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (most, apart) = (MOST_PEERS as u32, folder.path().join("peers-00ff.csv"));
        for (count, is_apart) in [(most, false), (most + 1, true)] {
            let path = write_record(&record(count), folder.path(), &mut BTreeSet::new()).unwrap();
            assert_eq!(apart.exists(), is_apart, "{count} peers");
            assert_eq!(fs::metadata(&path).unwrap().len() < 2_000, is_apart, "{count} peers");
            assert!(read_record(&path).unwrap() == record(count), "{count} peers");
        }
        // A damaged one that was there is replaced, but it is not written twice.
        let text = fs::read_to_string(&apart).unwrap();
        let mut written = BTreeSet::new();
        fs::write(&apart, "").unwrap();
        write_record(&record(most + 1), folder.path(), &mut written).unwrap();
        assert_eq!(fs::read_to_string(&apart).unwrap(), text);
        fs::write(&apart, text.replace("\n0,", "\n7,")).unwrap();
        write_record(&record(most + 1), folder.path(), &mut written).unwrap();
        // What is in it is checked, and where it is missing that is said.
        let error = read_record(folder.path()).unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("a peer of group 7"), "{error}");
        fs::remove_file(&apart).unwrap();
        let error = read_record(folder.path()).unwrap_err();
        let error = format!("{error:?}");
        assert!(error.contains("peers-00ff.csv"), "{error}");
    }

    #[test]
    fn a_record_names_no_file_but_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (mut part, _) = record(MOST_PEERS as u32 + 1).parted(MOST_PEERS);
        for name in ["../secret.csv", "/etc/passwd", "peers-00fe.csv"] {
            part.runs[0].peers_file = Some(name.to_owned());
            fs::write(folder.path().join(RECORD), part.to_json().unwrap()).unwrap();
            let error = read_record(folder.path()).unwrap_err();
            let error = format!("{error:?}");
            assert!(error.contains("is not called after its digest"), "{error}");
        }
    }
}
