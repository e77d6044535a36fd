//! Remotes that mean no good: places are bounded, and who is honest is served.

use std::net::SocketAddr;
use std::time::Duration;

use client::session::{Closed, TorrentState};
use client::{AddTorrentParams, Alert, GateLimits, Session, Settings};
use engine::wire::{Handshake, InfoHash, PeerId};
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::{Extra, Made, single};
use crate::net::*;

async fn seed(made: &Made, settings: Settings) -> (Session, TempDir) {
    let (seed, folder) = (Session::new(settings).await.unwrap(), tempdir().unwrap());
    made.write(folder.path());
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), folder.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    (seed, folder)
}

fn made() -> Made {
    single("prey", 1 << 20, 32 << 10, Extra::default())
}

async fn is_served(made: &Made, seed: &Session) {
    let (leech, folder) = (session().await, tempdir().unwrap());
    let mut alerts = leech.alerts();
    let params = AddTorrentParams::metainfo(made.metainfo.clone(), folder.path());
    leech.add_torrent(AddTorrentParams { peers: vec![addr(seed)], ..params }).unwrap();
    finished(&mut alerts).await;
    made.check(folder.path());
    leech.close().await;
}

/// Whether the other end has closed, within a long time.
async fn closes(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    // A reset is a close too.
    tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.is_ok()
}

async fn dial(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_speaks_is_closed_and_takes_no_honest_place() {
    let made = made();
    let gate = GateLimits { unknown: 20, per_address: 1000, ..GateLimits::default() };
    let patience = Duration::from_millis(300);
    let (seed, _folder) = seed(&made, Settings { gate, handshake_timeout: patience, ..settings() }).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(dial(addr(&seed)).await);
    }
    for stream in &mut silent {
        assert!(closes(stream).await);
    }
    is_served(&made, &seed).await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_handshake_for_a_torrent_is_closed_in_time_too() {
    let made = made();
    let mut settings = settings();
    settings.peer.handshake_timeout = Duration::from_millis(200);
    settings.peer.choke_interval = Duration::from_millis(100);
    let (seed, _folder) = seed(&made, settings).await;
    let mut stream = dial(addr(&seed)).await;
    let handshake = Handshake::new(made.metainfo.info_hash, PeerId([1; 20])).to_bytes();
    stream.write_all(&handshake[..50]).await.unwrap();
    assert!(closes(&mut stream).await);
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_one_address_has_so_many_places_and_no_more() {
    let made = made();
    let gate = GateLimits { per_address: 4, ..GateLimits::default() };
    let (seed, _folder) = seed(&made, Settings { gate, ..settings() }).await;
    let mut flood = Vec::new();
    for _ in 0..50 {
        flood.push(dial(addr(&seed)).await);
    }
    let mut open = 0;
    for stream in &mut flood {
        let mut byte = [0; 1];
        let closed = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut byte));
        open += usize::from(closed.await.is_err());
        if open > 4 {
            break;
        }
    }
    assert!(open <= 4, "{open} are open");
    drop(flood);
    is_served(&made, &seed).await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_closed_at_once() {
    let made = made();
    let (seed, _folder) = seed(&made, settings()).await;
    let mut alerts = seed.alerts();
    let torrent = made.metainfo.info_hash;
    let hello = Handshake::new(torrent, PeerId([1; 20])).to_bytes().to_vec();
    let other = Handshake::new(InfoHash([9; 20]), PeerId([2; 20])).to_bytes().to_vec();
    let noise = crate::common::content(9, 5000);
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        noise.clone(),
        other,
        [hello.as_slice(), &[0xff; 100]].concat(),
        [hello.as_slice(), &[0, 0, 0, 13, 6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x40, 0]].concat(),
    ] {
        let mut stream = dial(addr(&seed)).await;
        stream.write_all(&bytes).await.unwrap();
        assert!(closes(&mut stream).await, "{:?}", &bytes[..20]);
    }
    let mut reasons = Vec::new();
    while let Some(alert) = alerts.try_next() {
        if let Alert::PeerDisconnected { reason: Closed::Ours(reason), .. } = alert {
            reasons.push(reason.to_string());
        }
    }
    let due = ["protocol violation: undecodable bytes", "protocol violation: a request out of range"];
    assert_eq!(reasons, due);
    is_served(&made, &seed).await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_does_not_read_is_dropped_or_waits_alone() {
    let made = made();
    let (seed, _folder) = seed(&made, settings()).await;
    let mut alerts = seed.alerts();
    let mut greedy = dial(addr(&seed)).await;
    let hello = Handshake::new(made.metainfo.info_hash, PeerId([1; 20])).to_bytes();
    greedy.write_all(&hello).await.unwrap();
    // Interested, and then every block over and over.
    greedy.write_all(&[0, 0, 0, 1, 2]).await.unwrap();
    let ask = async {
        loop {
            for piece in 0..32u8 {
                let request = [0, 0, 0, 13, 6, 0, 0, 0, piece, 0, 0, 0, 0, 0, 0, 0x40, 0];
                if greedy.write_all(&request).await.is_err() {
                    return;
                }
            }
        }
    };
    let dropped = wait(&mut alerts, "the parting", |alert| match alert {
        Alert::PeerDisconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    // Its own refusals pile up, or it has asked for too much: either way it goes.
    tokio::select! {
        () = ask => {}
        reason = dropped => drop(reason),
    }
    is_served(&made, &seed).await;
    seed.close().await;
}
