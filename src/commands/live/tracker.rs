//! `tracker`: whom to find where, over HTTP and UDP.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use client::tracker::{TrackerServer, TrackerSettings};
use engine::InfoHash;
use engine::tracker::{MinRatio, TrackerConfig};

use super::{LOOK, read_torrent, wait_for};
use crate::cli::Tracker;
use crate::commands::Outcome;
use crate::failure::{Exit, Failure};
use crate::stop;

pub fn tracker(args: &Tracker, out: &mut impl Write) -> Outcome {
    let hash = |text: &String| match text.parse() {
        Ok(hash) => Ok(hash),
        Err(_) => read_torrent(Path::new(text)).map(|torrent| torrent.info_hash),
    };
    let allow = args.allow.iter().map(hash).collect::<Result<BTreeSet<InfoHash>, Failure>>()?;
    let default = TrackerConfig::server();
    let interval = args.interval.duration();
    let settings = TrackerSettings {
        http: args.http.clone(),
        udp: args.udp.clone(),
        config: TrackerConfig {
            interval,
            min_interval: default.min_interval.min(interval),
            // Two announces missed, and some slack.
            expire_after: interval * 5 / 2,
            min_ratio: args
                .min_ratio
                .map(|ratio| MinRatio { percent: (ratio * 100.0).round() as u32, grace: args.grace.bytes() }),
            ..default
        },
        allow: (!allow.is_empty()).then_some(allow),
        ..TrackerSettings::default()
    };
    wait_for(serve(args, settings, out))
}

async fn serve(args: &Tracker, settings: TrackerSettings, out: &mut impl Write) -> Outcome {
    let server = TrackerServer::start(settings).await.map_err(|error| Failure::Io(error.to_string()))?;
    if !args.quiet {
        for addr in server.http_addrs() {
            writeln!(out, "http://{addr}/announce")?;
        }
        for addr in server.udp_addrs() {
            writeln!(out, "udp://{addr}/announce")?;
        }
        out.flush()?;
    }
    let stop = stop::watch();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(Exit::Interrupted)
}
