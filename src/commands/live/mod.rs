//! The commands that use the network: real peers, real trackers.

pub mod get;
mod line;
pub mod seed;
pub mod tracker;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::session::{RateLimits, SessionError, TorrentStatus};
use client::{AddTorrentParams, Alert, Alerts, Session, Settings, TorrentHandle};
use engine::Metainfo;

use super::Outcome;
use crate::cli::Client;
use crate::failure::Failure;
use crate::files;
use crate::output::{note, safe};
use crate::stop;

/// Between two looks at the torrent and at Ctrl-C.
const LOOK: Duration = Duration::from_millis(200);
/// After so many looks without a connection, the peers that the user has named are dialled again: 3 s.
const LOOKS_BETWEEN_DIALS: u32 = 15;

/// Runs what waits for sockets.
fn wait_for(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::Io(format!("cannot start threads: {error}")))?.block_on(work)
}

/// A torrent file.
fn read_torrent(path: &Path) -> Result<Metainfo, Failure> {
    let bytes = files::read(path, engine::metainfo::MAX_TORRENT as u64)?;
    Metainfo::parse(&bytes).map_err(|error| Failure::input(format!("{}: {error}", path.display())))
}

fn settings(args: &Client) -> Settings {
    let mut settings = Settings {
        rates: RateLimits {
            up: args.up.map(|rate| rate.bytes_per_second()),
            down: args.down.map(|rate| rate.bytes_per_second()),
        },
        ..Settings::default()
    };
    settings.peer.one_per_address = !args.same_address;
    if let Some(listen) = args.listen {
        settings.listen = vec![listen];
    }
    settings
}

async fn open(settings: Settings) -> Result<Session, Failure> {
    Session::new(settings).await.map_err(|error| match error {
        SessionError::Listen { .. } | SessionError::System(_) => Failure::Io(error.to_string()),
        error => Failure::input(error.to_string()),
    })
}

fn add(session: &Session, args: &Client, params: AddTorrentParams) -> Result<TorrentHandle, Failure> {
    let trackers = args.tracker.iter().map(|url| vec![url.clone()]).collect();
    let params = AddTorrentParams { peers: args.peer.clone(), trackers, ..params };
    session.add_torrent(params).map_err(|error| Failure::input(error.to_string()))
}

/// How a torrent's watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// What was waited for has come.
    Done,
    /// Ctrl-C.
    Interrupted,
}

/// Watches a torrent: draws it, tells what goes wrong, until `over` says so, Ctrl-C, or a file fails. While nobody
/// is there, the peers that the user has `named` are dialled again and again: they may be about to start.
async fn watch(
    torrent: &TorrentHandle,
    alerts: &mut Alerts,
    line: &line::Line,
    named: &[SocketAddr],
    mut over: impl FnMut(&TorrentStatus) -> bool,
) -> Result<End, Failure> {
    let stop = stop::watch();
    // What goes wrong again and again is told once.
    let mut told = None;
    let mut looks = 0;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(End::Interrupted);
        }
        while let Some(alert) = alerts.try_next() {
            heed(&alert, line, &mut told)?;
        }
        // It is in the session until the session is closed.
        let status = torrent.status().await.map_err(|gone| Failure::Io(gone.to_string()))?;
        line.draw(&status);
        if over(&status) {
            return Ok(End::Done);
        }
        looks += 1;
        if looks % LOOKS_BETWEEN_DIALS == 0 && status.peers == 0 && !named.is_empty() {
            torrent.add_peers(named.to_vec()).await.map_err(|gone| Failure::Io(gone.to_string()))?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a person wants to know of an alert.
fn heed(alert: &Alert, line: &line::Line, told: &mut Option<String>) -> Result<(), Failure> {
    if line.verbose {
        line.above(|| note(&safe(&format!("{alert:?}"))));
    }
    match alert {
        Alert::FileError { error, .. } => return Err(Failure::Io(error.clone())),
        Alert::MetadataFailed(_, error) => return Err(Failure::input(error.clone())),
        Alert::TrackerError { url, error, .. } => {
            line.above(|| note(&format!("tracker {}: {}", safe(url), safe(error))));
        }
        Alert::TrackerReply { url, warning: Some(warning), .. } => {
            line.above(|| note(&format!("tracker {}: {}", safe(url), safe(warning))));
        }
        Alert::ResumeFailed { error, .. } if told.as_ref() != Some(error) => {
            line.above(|| note(error));
            *told = Some(error.clone());
        }
        _ => {}
    }
    Ok(())
}
