//! `seed`: content for real peers, with the link to it. What has been hashed is noted as with `get`, so that the
//! next call hashes only the files that have changed since; where the notes cannot be written, each call hashes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use client::session::{Session, TorrentState};
use client::storage::{FileStamp, OpenFiles, ResumeData, Storage};
use client::{AddTorrentParams, Settings};
use engine::metainfo::Hasher;
use engine::{Bitfield, Magnet, Metainfo};
use indicatif::ProgressBar;

use super::line::Line;
use super::{End, add, open, read_torrent, settings, wait_for, watch};
use crate::cli::Seed;
use crate::commands::Outcome;
use crate::commands::create::{self, NOTES};
use crate::failure::{Exit, Failure};

/// How often what is there is noted, if it has changed.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Notes of other torrents that are looked through.
const MOST_NOTES: usize = 1000;

pub fn seed(args: &Seed, out: &mut impl Write) -> Outcome {
    let is_torrent = args.what.extension().is_some_and(|extension| extension == "torrent");
    let params = if is_torrent && args.what.is_file() {
        let from = args.from.clone().unwrap_or_else(|| PathBuf::from("."));
        AddTorrentParams::metainfo(read_torrent(&args.what)?, from)
    } else if args.from.is_some() {
        return Err(Failure::input("--from is for a .torrent, and this is none"));
    } else {
        made(&args.what, &args.client.tracker)?
    };
    wait_for(share(args, params, out))
}

/// A torrent of what is there: hashed now, if it has changed since it last was.
fn made(path: &Path, trackers: &[String]) -> Result<AddTorrentParams, Failure> {
    let name = create::name_of(path)?;
    let wrong = |error| Failure::input(format!("no torrent can be made of {}: {error}", path.display()));
    let (builder, sources) = create::builder(path, name.clone())?;
    let builder = builder.trackers(trackers.iter().map(|url| vec![url.clone()]).collect());
    let mut hasher = builder.hasher().map_err(wrong)?;
    let whole = path.canonicalize().map_err(|error| Failure::path("read", path, &error))?;
    let above = whole.parent().filter(|above| above.join(&name) == whole);
    let above =
        above.ok_or_else(|| Failure::input(format!("{} cannot be shared by itself", path.display())))?;
    if let Some(metainfo) = noted(&hasher, above) {
        return Ok(AddTorrentParams::metainfo(metainfo, above));
    }
    // As they look before they are read: what changes meanwhile is hashed again.
    let stamps = sources.iter().map(|source| FileStamp::of(&source.path)).collect();
    let bar = ProgressBar::new(hasher.layout().total());
    for source in &sources {
        create::hash(source, &mut hasher, &bar)?;
    }
    bar.finish_and_clear();
    let metainfo = hasher
        .finish()
        .map_err(|error| Failure::Io(format!("{} changed while it was read: {error}", path.display())))?;
    let resume = ResumeData {
        info_hash: metainfo.info_hash,
        pieces: Bitfield::full(&metainfo.layout).to_wire().into(),
        files: stamps,
        uploaded: 0,
        downloaded: 0,
        info: Some(metainfo.info.clone()),
    };
    Ok(AddTorrentParams { resume: Some(resume), ..AddTorrentParams::metainfo(metainfo, above) })
}

/// The torrent that would be made, if the notes have its hashes and its files look as they did then.
fn noted(hasher: &Hasher, above: &Path) -> Option<Metainfo> {
    let notes = fs::read_dir(above.join(NOTES)).ok()?.take(MOST_NOTES);
    let paths = notes.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "resume")).find_map(|path| {
        // What cannot be read is as good as nothing.
        let resume = ResumeData::load(&path).ok()??;
        let known = Metainfo::from_info(resume.info.as_ref()?).ok()?;
        let made = hasher.clone().with_hashes(known.piece_hashes).ok()?;
        let whole = made.info_hash == resume.info_hash && resume.have(&made.layout)?.is_full();
        let storage = Storage::new(&made, above, Arc::new(OpenFiles::new(1))).ok()?;
        (whole && storage.stamps() == resume.files).then_some(made)
    })
}

async fn share(args: &Seed, params: AddTorrentParams, out: &mut impl Write) -> Outcome {
    let notes = params.save_path.join(NOTES);
    // Content need not be where one may write.
    let resume_folder = fs::create_dir_all(&notes).is_ok().then_some(notes);
    let session =
        open(Settings { resume_folder, resume_interval: SAVE_EVERY, ..settings(&args.client) }).await?;
    let mut alerts = session.alerts();
    let metainfo = match &params.source {
        client::session::Source::Metainfo(metainfo) => metainfo.clone(),
        client::session::Source::Magnet(_) => return Err(Failure::input("a link has no content to share")),
    };
    let torrent = add(&session, &args.client, params)?;
    let line = Line::new(&args.client);
    let checking = |state| matches!(state, TorrentState::CheckingFiles | TorrentState::CheckingResumeData);
    let mut end =
        watch(&torrent, &mut alerts, &line, &args.client.peer, |status| !checking(status.state)).await;
    if let Ok(End::Done) = end {
        let status = torrent.status().await.map_err(|gone| Failure::Io(gone.to_string()))?;
        if status.state != TorrentState::Seeding {
            line.clear();
            session.close().await;
            let (done, total) = (status.pieces_done, status.pieces);
            return Err(Failure::input(format!(
                "{done} of {total} pieces are there: nothing to seed as yet"
            )));
        }
        if !args.client.quiet {
            writeln!(out, "{}", link(&metainfo, &session, args))?;
            out.flush()?;
        }
        let ratio = args.seed_until;
        // In this run: the notes count the runs before.
        let before = status.uploaded;
        let over = |sent: u64, total: u64| ratio.is_some_and(|ratio| sent as f64 >= ratio * total as f64);
        end = watch(&torrent, &mut alerts, &line, &args.client.peer, |status| {
            over(status.uploaded - before, status.total)
        })
        .await;
    }
    line.clear();
    session.close().await;
    Ok(if end? == End::Interrupted { Exit::Interrupted } else { Exit::Ok })
}

/// A link to what is shared; with our address if it is one that others can dial.
fn link(metainfo: &Metainfo, session: &Session, args: &Seed) -> Magnet {
    let given = metainfo.trackers.iter().flatten().chain(&args.client.tracker);
    let mut trackers: Vec<String> = Vec::new();
    for url in given {
        if !trackers.contains(url) {
            trackers.push(url.clone());
        }
    }
    let peers = session.local_addrs().iter().copied().filter(|addr| !addr.ip().is_unspecified()).collect();
    Magnet {
        info_hash: metainfo.info_hash,
        name: Some(metainfo.name.clone()),
        trackers,
        peers,
        web_seeds: Vec::new(),
    }
}
