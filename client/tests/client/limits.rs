//! Rates are as they are set. A slow machine makes them lower, never higher, so that what is asserted is
//! that no more passes than may, and that as much does on the scale of the whole transfer.

use std::time::Duration;

use client::session::{RateLimits, TorrentState};
use client::{AddTorrentParams, Session, Settings};
use tempfile::tempdir;
use tokio::time::Instant;

use crate::common::{Extra, single};
use crate::net::*;

/// Bytes a second that pass at the limit `seed` and `leech` have, and the least that have to.
async fn measured(seed: RateLimits, leech: RateLimits, torrent: RateLimits) -> f64 {
    const LENGTH: usize = 3 << 20;
    let made = single("limited", LENGTH, 32 << 10, Extra::default());
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let seed = Session::new(Settings { rates: seed, ..settings() }).await.unwrap();
    let leech = Session::new(Settings { rates: leech, ..settings() }).await.unwrap();
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    let mut alerts = leech.alerts();
    let params = AddTorrentParams::metainfo(made.metainfo.clone(), to.path());
    leech.add_torrent(AddTorrentParams { peers: vec![addr(&seed)], rates: torrent, ..params }).unwrap();
    let start = Instant::now();
    finished(&mut alerts).await;
    let rate = LENGTH as f64 / start.elapsed().as_secs_f64();
    made.check(to.path());
    leech.close().await;
    seed.close().await;
    rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_passes_than_may() {
    let limit = 1 << 20;
    let (none, up) = (RateLimits::default(), RateLimits { up: Some(limit), down: None });
    let down = RateLimits { up: None, down: Some(limit) };
    for (seed, leech, torrent) in [(up, none, none), (none, down, none), (none, none, down)] {
        let rate = measured(seed, leech, torrent).await / limit as f64;
        // A tenth of a second may come at once, in three seconds.
        assert!(rate < 1.06, "{rate} of the limit");
        assert!(rate > 0.2, "{rate} of the limit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_can_be_changed_while_it_runs() {
    let made = single("changed", 8 << 20, 64 << 10, Extra::default());
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let (seed, leech) = (session().await, session().await);
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    let mut alerts = leech.alerts();
    let params = AddTorrentParams::metainfo(made.metainfo.clone(), to.path());
    let slow = RateLimits { up: None, down: Some(10_000) };
    let torrent =
        leech.add_torrent(AddTorrentParams { peers: vec![addr(&seed)], rates: slow, ..params }).unwrap();
    wait(&mut alerts, "a peer", |alert| matches!(alert, client::Alert::PeerConnected { .. }).then_some(()))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(torrent.status().await.unwrap().downloaded < 1 << 20);
    // At the old rate it would take a quarter of an hour.
    torrent.set_rates(RateLimits::default()).await.unwrap();
    finished(&mut alerts).await;
    made.check(to.path());
}
