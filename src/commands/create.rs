//! `create`: a `.torrent` from a file or a folder. The same content gives the same bytes: files are taken in
//! order of their paths, and no date is written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use engine::metainfo::{Builder, Hasher};
use indicatif::ProgressBar;
use simulator::scenario::units::Size;

use super::Outcome;
use crate::cli::Create;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::{counted, note, size};

/// What `get` and `seed` note of the content of a folder, in that folder; no content itself.
pub(super) const NOTES: &str = ".swarmlab";
/// The deepest folder that is followed.
const MAX_DEPTH: usize = 100;
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A file to share: its path below the shared folder, where it is, its length.
pub(super) struct Source {
    below: Vec<String>,
    pub path: PathBuf,
    length: u64,
}

pub fn create(args: &Create, out: &mut impl Write) -> Outcome {
    let name = name_of(&args.path)?;
    let target = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.torrent")));
    if target.is_dir() {
        let message = format!("{} is a folder, and no file to write the torrent to", target.display());
        let help = format!("give a name in it: {}", target.join(format!("{name}.torrent")).display());
        return Err(Failure::Input(message, Some(help)));
    }
    if target.exists() && !args.force {
        let message = format!("{} is there already", target.display());
        return Err(Failure::Input(message, Some("give another --out, or --force to replace it".to_owned())));
    }
    // Better before all is read and hashed than after.
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        return Err(Failure::input(format!(
            "{} is no folder: nothing can be written there",
            folder.display()
        )));
    }
    let (builder, sources) = builder(&args.path, name)?;
    let mut builder = builder
        .private(args.private)
        .trackers(args.tracker.iter().map(|url| vec![url.clone()]).collect())
        .created_by(concat!("swarmlab ", env!("CARGO_PKG_VERSION")));
    if let Some(comment) = &args.comment {
        builder = builder.comment(comment);
    }
    if let Some(piece) = &args.piece {
        let bytes = piece
            .parse::<Size>()
            .map_err(|error| Failure::Input(format!("--piece: {error}"), Some(error.help().to_owned())))?;
        builder = builder.piece_length(bytes.bytes());
    }
    let wrong = |error: engine::metainfo::MetainfoError| {
        Failure::input(format!("no torrent can be made of {}: {error}", args.path.display()))
    };
    let mut hasher = builder.hasher().map_err(wrong)?;
    let bar = ProgressBar::new(hasher.layout().total());
    for source in &sources {
        hash(source, &mut hasher, &bar)?;
    }
    bar.finish_and_clear();
    let torrent = hasher.finish().map_err(|error| {
        Failure::Io(format!("{} changed while it was read: {error}", args.path.display()))
    })?;
    files::replace(&target, &torrent.to_bytes())?;
    let layout = &torrent.layout;
    writeln!(out, "{}", target.display())?;
    writeln!(
        out,
        "info-hash {}, {} in {} and {}",
        torrent.info_hash,
        size(layout.total()),
        counted(sources.len() as u64, "file"),
        counted(layout.pieces().into(), "piece")
    )?;
    Ok(Exit::Ok)
}

/// The name of what is shared, also of `.` or `folder/..`.
pub(super) fn name_of(path: &Path) -> Result<String, Failure> {
    let whole = path.canonicalize().map_err(|error| Failure::unreadable(path, &error))?;
    let name = if path.file_name().is_some() { path.file_name() } else { whole.file_name() };
    let name = name.and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Failure::input(format!("{} has no name in UTF-8 to give the torrent", path.display())))
}

pub(super) fn builder(path: &Path, name: String) -> Result<(Builder, Vec<Source>), Failure> {
    let data = fs::metadata(path).map_err(|error| Failure::path("read", path, &error))?;
    if data.is_file() {
        let source = Source { below: Vec::new(), path: path.to_owned(), length: data.len() };
        return Ok((Builder::file(name, data.len()), vec![source]));
    }
    if !data.is_dir() {
        return Err(Failure::input(format!("{} is neither a file nor a folder", path.display())));
    }
    let mut sources = Vec::new();
    collect(path, &mut Vec::new(), &mut sources)?;
    sources.sort_by(|a, b| a.below.cmp(&b.below));
    let files = sources.iter().map(|source| (source.below.clone(), source.length)).collect();
    Ok((Builder::folder(name, files), sources))
}

/// The files in a folder and below. Links are left out: they may lead in a circle, or out of the folder.
fn collect(folder: &Path, below: &mut Vec<String>, found: &mut Vec<Source>) -> Result<(), Failure> {
    if below.len() > MAX_DEPTH {
        return Err(Failure::input(format!("{} is more than {MAX_DEPTH} folders deep", folder.display())));
    }
    let failed = |error| Failure::path("read", folder, &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, data) = (entry.path(), entry.metadata().map_err(failed)?);
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(Failure::input(format!("{} has no name in UTF-8", path.display())));
        };
        if name == NOTES {
            continue;
        }
        below.push(name);
        if data.is_dir() {
            collect(&path, below, found)?;
        } else if data.is_file() {
            found.push(Source { below: below.clone(), path, length: data.len() });
        } else {
            note(&format!("note: {} is neither a file nor a folder, and left out", path.display()));
        }
        below.pop();
    }
    Ok(())
}

pub(super) fn hash(source: &Source, hasher: &mut Hasher, bar: &ProgressBar) -> Result<(), Failure> {
    let failed = |error| Failure::path("read", &source.path, &error);
    let mut file = File::open(&source.path).map_err(failed)?;
    let mut chunk = vec![0; CHUNK];
    // One byte more than is due shows that the file has grown.
    let mut left = source.length + 1;
    while left > 0 {
        let most = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut chunk[..most]).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.write(&chunk[..read]);
        bar.inc(read as u64);
        left -= read as u64;
    }
    if left != 1 {
        return Err(Failure::Io(format!("{} changed while it was read", source.path.display())));
    }
    Ok(())
}
