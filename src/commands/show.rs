//! `show`: what a `.torrent` or a magnet link says, as text or JSON.

use std::io::Write;
use std::path::Path;

use engine::{Magnet, Metainfo};
use serde_json::json;

use super::Outcome;
use crate::cli::Show;
use crate::failure::{Exit, Failure};
use crate::files;
use crate::output::{counted, safe, size};

pub fn show(args: &Show, out: &mut impl Write) -> Outcome {
    let looks_like_link = args.torrent.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("magnet:"));
    if looks_like_link {
        let magnet: Magnet = args.torrent.parse().map_err(|error| Failure::input(format!("{error}")))?;
        if args.json {
            writeln!(out, "{}", magnet_json(&magnet))?;
        } else {
            magnet_text(&magnet, out)?;
        }
        return Ok(Exit::Ok);
    }
    let bytes = files::read(Path::new(&args.torrent), engine::metainfo::MAX_TORRENT as u64)?;
    let torrent = Metainfo::parse(&bytes)
        .map_err(|error| Failure::input(format!("{}: {error}", safe(&args.torrent))))?;
    if args.json {
        writeln!(out, "{}", torrent_json(&torrent))?;
    } else {
        torrent_text(&torrent, out)?;
    }
    Ok(Exit::Ok)
}

/// The link to a torrent.
fn link(torrent: &Metainfo) -> Magnet {
    Magnet {
        info_hash: torrent.info_hash,
        name: Some(torrent.name.clone()),
        trackers: torrent.trackers.iter().flatten().cloned().collect(),
        peers: Vec::new(),
        web_seeds: Vec::new(),
    }
}

fn row(out: &mut impl Write, name: &str, value: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(out, "{name:<13} {}", safe(&value.to_string()))
}

fn torrent_text(torrent: &Metainfo, out: &mut impl Write) -> std::io::Result<()> {
    let layout = &torrent.layout;
    row(out, "name", &torrent.name)?;
    row(out, "info-hash", torrent.info_hash)?;
    row(out, "size", size(layout.total()))?;
    row(out, "pieces", format!("{} of {}", layout.pieces(), size(layout.piece_length().into())))?;
    row(out, "private", if torrent.private { "yes" } else { "no" })?;
    for (tier, urls) in torrent.trackers.iter().enumerate() {
        let name = if tier == 0 { "trackers" } else { "" };
        row(out, name, urls.join("  "))?;
    }
    torrent.comment.iter().try_for_each(|comment| row(out, "comment", comment))?;
    torrent.created_by.iter().try_for_each(|creator| row(out, "created by", creator))?;
    torrent
        .creation_date
        .iter()
        .try_for_each(|date| row(out, "created at", format!("{date} s since 1970")))?;
    row(out, "magnet", link(torrent))?;
    let files: Vec<_> = torrent.files.iter().filter(|file| !file.pad).collect();
    row(out, "files", counted(files.len() as u64, "file"))?;
    for file in files {
        writeln!(out, "  {:>14}  {}", file.length, safe(&file.path.join("/")))?;
    }
    Ok(())
}

fn torrent_json(torrent: &Metainfo) -> serde_json::Value {
    let files = torrent.files.iter().map(|file| {
        let path = &file.path;
        json!({ "path": path, "length": file.length, "padding": file.pad, "executable": file.executable })
    });
    json!({
        "name": torrent.name,
        "info_hash": torrent.info_hash.to_string(),
        "length": torrent.layout.total(),
        "piece_length": torrent.layout.piece_length(),
        "pieces": torrent.layout.pieces(),
        "private": torrent.private,
        "trackers": torrent.trackers,
        "comment": torrent.comment,
        "created_by": torrent.created_by,
        "creation_date": torrent.creation_date,
        "magnet": link(torrent).to_string(),
        "files": files.collect::<Vec<_>>(),
    })
}

fn magnet_text(magnet: &Magnet, out: &mut impl Write) -> std::io::Result<()> {
    magnet.name.iter().try_for_each(|name| row(out, "name", name))?;
    row(out, "info-hash", magnet.info_hash)?;
    magnet.trackers.iter().try_for_each(|url| row(out, "tracker", url))?;
    magnet.peers.iter().try_for_each(|peer| row(out, "peer", peer))?;
    magnet.web_seeds.iter().try_for_each(|url| row(out, "web seed", url))
}

fn magnet_json(magnet: &Magnet) -> serde_json::Value {
    json!({
        "name": magnet.name,
        "info_hash": magnet.info_hash.to_string(),
        "trackers": magnet.trackers,
        "peers": magnet.peers,
        "web_seeds": magnet.web_seeds,
    })
}
