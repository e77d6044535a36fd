//! `get`: a torrent's content from real peers. What is there already is kept; what has come is noted, so that
//! the next call goes on from there, however this one ends.

use std::io::Write;
use std::path::Path;

use client::session::{TorrentFlags, TorrentState};
use client::{AddTorrentParams, Settings};
use engine::Magnet;

use super::line::Line;
use super::{End, add, open, read_torrent, settings, wait_for, watch};
use crate::cli::Get;
use crate::commands::Outcome;
use crate::commands::create::NOTES;
use crate::failure::{Exit, Failure};
use crate::output::{safe, size};

pub fn get(args: &Get, out: &mut impl Write) -> Outcome {
    let looks_like_link = args.torrent.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"));
    let mut params = if looks_like_link {
        let magnet: Magnet = args.torrent.parse().map_err(|error| Failure::input(format!("{error}")))?;
        AddTorrentParams::magnet(magnet, &args.out)
    } else {
        AddTorrentParams::metainfo(read_torrent(Path::new(&args.torrent))?, &args.out)
    };
    params.flags.set(TorrentFlags::SEQUENTIAL_DOWNLOAD, args.sequential);
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::path("write", &args.out, &error))?;
    let settings = Settings {
        resume_folder: Some(args.out.join(NOTES)),
        resume_interval: args.save_every.duration(),
        ..settings(&args.client)
    };
    wait_for(download(args, params, settings, out))
}

async fn download(args: &Get, params: AddTorrentParams, settings: Settings, out: &mut impl Write) -> Outcome {
    let session = open(settings).await?;
    let mut alerts = session.alerts();
    let torrent = add(&session, &args.client, params)?;
    let line = Line::new(&args.client);
    let complete = |state| state == TorrentState::Seeding;
    let mut end =
        watch(&torrent, &mut alerts, &line, &args.client.peer, |status| complete(status.state)).await;
    if let (Ok(End::Done), Some(ratio)) = (&end, args.seed_until) {
        end = watch(&torrent, &mut alerts, &line, &args.client.peer, |status| status.ratio() >= ratio).await;
    }
    line.clear();
    let status = torrent.status().await;
    session.close().await;
    let end = end?;
    if let (Ok(status), false) = (status, args.client.quiet) {
        let place = args.out.join(&status.name);
        let place = safe(&place.display().to_string());
        match complete(status.state) {
            true => writeln!(out, "{place}: {}, ratio {:.2}", size(status.total), status.ratio())?,
            false => writeln!(out, "{place}: {} of {} bytes", status.done, status.total)?,
        }
    }
    Ok(if end == End::Interrupted { Exit::Interrupted } else { Exit::Ok })
}
