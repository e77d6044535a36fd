//! `seed`: content for real peers, with the link to it.

use std::io::Write;
use std::path::{Path, PathBuf};

use client::AddTorrentParams;
use client::session::{Session, TorrentFlags, TorrentState};
use engine::{Magnet, Metainfo};
use indicatif::ProgressBar;

use super::line::Line;
use super::{End, add, open, read_torrent, settings, wait_for, watch};
use crate::cli::Seed;
use crate::commands::{Outcome, create};
use crate::failure::{Exit, Failure};

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

/// A torrent of what is there: hashed now, and not again.
fn made(path: &Path, trackers: &[String]) -> Result<AddTorrentParams, Failure> {
    let name = create::name_of(path)?;
    let wrong = |error| Failure::input(format!("no torrent can be made of {}: {error}", path.display()));
    let (builder, sources) = create::builder(path, name.clone())?;
    let builder = builder.trackers(trackers.iter().map(|url| vec![url.clone()]).collect());
    let mut hasher = builder.hasher().map_err(wrong)?;
    let bar = ProgressBar::new(hasher.layout().total());
    for source in &sources {
        create::hash(source, &mut hasher, &bar)?;
    }
    bar.finish_and_clear();
    let metainfo = hasher
        .finish()
        .map_err(|error| Failure::Io(format!("{} changed while it was read: {error}", path.display())))?;
    let whole = path.canonicalize().map_err(|error| Failure::path("read", path, &error))?;
    let above = whole.parent().filter(|above| above.join(&name) == whole);
    let above =
        above.ok_or_else(|| Failure::input(format!("{} cannot be shared by itself", path.display())))?;
    let mut params = AddTorrentParams::metainfo(metainfo, above);
    params.flags.insert(TorrentFlags::SEED_MODE);
    Ok(params)
}

async fn share(args: &Seed, params: AddTorrentParams, out: &mut impl Write) -> Outcome {
    let session = open(settings(&args.client)).await?;
    let mut alerts = session.alerts();
    let metainfo = match &params.source {
        client::session::Source::Metainfo(metainfo) => metainfo.clone(),
        client::session::Source::Magnet(_) => return Err(Failure::input("a link has no content to share")),
    };
    let torrent = add(&session, &args.client, params)?;
    let line = Line::new(&args.client);
    let checking = |state| matches!(state, TorrentState::CheckingFiles | TorrentState::CheckingResumeData);
    let mut end = watch(&torrent, &mut alerts, &line, |status| !checking(status.state)).await;
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
        let over = |sent: u64, total: u64| ratio.is_some_and(|ratio| sent as f64 >= ratio * total as f64);
        end = watch(&torrent, &mut alerts, &line, |status| over(status.uploaded, status.total)).await;
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
