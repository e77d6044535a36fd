use std::net::{Ipv6Addr, SocketAddr};

use client::session::TorrentState;
use client::{AddTorrentParams, Alert, Session, Settings};
use engine::Magnet;
use tempfile::tempdir;

use crate::common::{Extra, Made, Part, folder, part, single};
use crate::net::*;

/// One session has it, another gets it by its address alone.
async fn one_to_one(made: &Made, seed: Session, leech: Session) {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let (mut seeding, mut leeching) = (seed.alerts(), leech.alerts());
    let giver = seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut seeding, TorrentState::Seeding).await;
    let mut params = AddTorrentParams::metainfo(made.metainfo.clone(), to.path());
    params.peers.push(addr(&seed));
    let taker = leech.add_torrent(params).unwrap();
    finished(&mut leeching).await;
    made.check(to.path());
    let (gave, took) = (giver.status().await.unwrap(), taker.status().await.unwrap());
    assert_eq!((took.state, took.done, took.pieces_done), (TorrentState::Seeding, took.total, took.pieces));
    assert_eq!((gave.uploaded, took.downloaded), (took.total, took.total));
    leech.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_from_a_seed_to_a_leech() {
    let made = single("film", (16 << 20) + 12_345, 256 << 10, Extra::default());
    one_to_one(&made, session().await, session().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_files_with_padding() {
    let pad = |length| Part { path: ".pad/x", length, attr: "p" };
    let parts = [
        part("one", 40_000),
        pad(25_536),
        part("deep/er/two", 200_000),
        part("empty", 0),
        pad(62_144),
        part("three", 70_001),
    ];
    let made = folder("box", &parts, 32 << 10, Extra::default()).unwrap();
    one_to_one(&made, session().await, session().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_ipv6() {
    let listen = || vec![SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)];
    let Ok(seed) = Session::new(Settings { listen: listen(), ..settings() }).await else {
        return eprintln!("skipped: there is no IPv6 here");
    };
    let leech = Session::new(Settings { listen: listen(), ..settings() }).await.unwrap();
    let made = single("six", 3 << 20, 64 << 10, Extra::default());
    one_to_one(&made, seed, leech).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buffer_that_is_too_small_writes_pieces_early() {
    let leech = Session::new(Settings { write_buffer: 100 << 10, ..settings() }).await.unwrap();
    let made = single("large pieces", 8 << 20, 1 << 20, Extra::default());
    one_to_one(&made, session().await, leech).await;
}

fn magnet(made: &Made) -> Magnet {
    format!("magnet:?xt=urn:btih:{}&dn=what+it+is", made.metainfo.info_hash).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_magnet_link_and_again_from_resume_data() {
    let parts = [part("one", 300_000), part("two", 1_500_000)];
    let made = folder("linked", &parts, 16 << 10, Extra::default()).unwrap();
    let (from, to, notes) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let seed = session().await;
    let mut seeding = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut seeding, TorrentState::Seeding).await;
    let settings = || Settings { resume_folder: Some(notes.path().to_owned()), ..settings() };
    let leech = Session::new(settings()).await.unwrap();
    let mut alerts = leech.alerts();
    let torrent = leech.add_torrent(AddTorrentParams::magnet(magnet(&made), to.path())).unwrap();
    state(&mut alerts, TorrentState::DownloadingMetadata).await;
    assert_eq!(torrent.status().await.unwrap().name, "what it is");
    torrent.add_peers(vec![addr(&seed)]).await.unwrap();
    wait(&mut alerts, "metadata", |alert| matches!(alert, Alert::MetadataReceived(_)).then_some(())).await;
    finished(&mut alerts).await;
    made.check(to.path());
    let status = torrent.status().await.unwrap();
    assert_eq!((status.name.as_str(), status.total), ("linked", 1_800_000));
    leech.close().await;
    seed.close().await;
    // Nobody is there to ask, and nobody need be.
    let again = Session::new(settings()).await.unwrap();
    let mut alerts = again.alerts();
    again.add_torrent(AddTorrentParams::magnet(magnet(&made), to.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    again.close().await;
    while let Some(alert) = alerts.try_next() {
        assert!(!matches!(alert, Alert::StateChanged { to: TorrentState::CheckingFiles, .. }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_named_while_files_are_checked_is_dialled_after() {
    let made = single("checked", 16 << 20, 64 << 10, Extra::default());
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    // A file as large, of which nothing is right, so that there is something to check.
    std::fs::write(to.path().join("checked"), vec![0; 16 << 20]).unwrap();
    let (seed, leech) = (session().await, session().await);
    let (mut seeding, mut leeching) = (seed.alerts(), leech.alerts());
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut seeding, TorrentState::Seeding).await;
    let taker = leech.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), to.path())).unwrap();
    taker.add_peers(vec![addr(&seed)]).await.unwrap();
    finished(&mut leeching).await;
    made.check(to.path());
}
