//! Peer exchange (BEP 11) between sessions.

use std::time::Duration;

use client::session::{RateLimits, TorrentState};
use client::{AddTorrentParams, Alert, Session, Settings, TorrentFlags};
use tempfile::tempdir;

use crate::common::{Extra, single};
use crate::net::*;

/// Whether of two leeches that know of a seed alone, one dials the other.
async fn meet(flags: TorrentFlags, patience: Duration) -> bool {
    let made = single("gossip", 4 << 20, 64 << 10, Extra::default());
    let folders = [tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap()];
    made.write(folders[0].path());
    let new = async |rates| {
        let mut settings = Settings { rates, ..settings() };
        // News go out at choke rounds.
        settings.peer.choke_interval = Duration::from_millis(50);
        Session::new(settings).await.unwrap()
    };
    // Slow enough that nobody gets complete.
    let seed = new(RateLimits { up: Some(1000), down: None }).await;
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), folders[0].path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    let leeches = [new(RateLimits::default()).await, new(RateLimits::default()).await];
    let mut alerts = leeches[0].alerts();
    for (leech, folder) in leeches.iter().zip(&folders[1..]) {
        let params = AddTorrentParams::metainfo(made.metainfo.clone(), folder.path());
        leech.add_torrent(AddTorrentParams { peers: vec![addr(&seed)], flags, ..params }).unwrap();
    }
    let other = addr(&leeches[1]);
    let met = async {
        while let Some(alert) = alerts.next().await {
            if let Alert::PeerConnected { addr: with, outgoing, .. } = alert
                && (with == other || !outgoing)
            {
                return;
            }
        }
    };
    tokio::time::timeout(patience, met).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_leeches_hear_of_each_other_from_their_seed() {
    assert!(meet(TorrentFlags::DEFAULT, LONG).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_if_it_is_switched_off() {
    assert!(!meet(TorrentFlags::DEFAULT | TorrentFlags::DISABLE_PEX, Duration::from_secs(2)).await);
}
