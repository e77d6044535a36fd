//! One seed, as it is by default but for the number of its places, and 2,000 connections that mean no good:
//! memory and file descriptors are bounded, and who is honest is served. A program of its own, whose memory
//! is nobody else's.
//!
//! The seed's clocks run twenty times as fast, so that its rounds of 10 s are over in half a second; what it
//! decides by is untouched. At real speed it takes five minutes:
//! `cargo test -p client --test siege -- --ignored --nocapture`.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "not all of what the other tests share is needed here")]
#[path = "../client/common.rs"]
mod common;
#[allow(dead_code, reason = "not all of what the other tests share is needed here")]
#[path = "../client/net.rs"]
mod net;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use client::session::TorrentState;
use client::{AddTorrentParams, Alert, GateLimits, Session, Settings};
use engine::wire::{Handshake, PeerId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::tempdir;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use common::{Extra, Made, single};
use net::*;

/// How many there are to be.
const MANY: u32 = 2000;
/// How much faster the seed's clocks run, but for the test at real speed.
const HASTE: u32 = 20;
/// What an honest leecher may take at real speed, twice what nine trials of 30 s are and some more. Without slots lent it
/// takes hours.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two keep-alives of an attacker that says nothing else.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Piece length of what is shared.
const PIECE: u32 = 256 << 10;
/// Pieces of it.
const PIECES: u32 = 64;
/// What one connection may cost in memory, both ends: its tasks, what is known of it, what it has asked for, and the
/// blocks handed over ahead of what has left, which is half a second at the rate it took them at (two blocks at
/// least). The sockets' own buffers are the system's.
const EACH: u64 = 96 << 10;
/// File descriptors that are no connection.
const OTHERS: u64 = 200;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Never says a word.
    Mute,
    /// Says that it wants something, and asks for nothing.
    Idle,
    /// Asks and does not read.
    Deaf,
    /// Asks and reads 500 bytes a second.
    Slow,
}

struct Attacker {
    kind: Kind,
    stream: TcpStream,
}

/// File descriptors of this process.
fn descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// How many attackers there is room for: both ends of each are ours.
fn many() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    raised.unwrap_or_else(|error| println!("the limit on file descriptors stays as it is: {error}"));
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let many = MANY.min(((most - OTHERS) / 2).try_into().unwrap_or(MANY));
    if many < MANY {
        println!("{most} file descriptors are all there may be: {many} connections, not {MANY}");
    }
    many
}

async fn dial(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // So that little fits between the ends.
    socket.set_recv_buffer_size(4 << 10)?;
    socket.bind(SocketAddr::from((from, 0)))?;
    socket.connect(to).await?.into_std()
}

fn request(piece: u32) -> [u8; 17] {
    let mut bytes = [0, 0, 0, 13, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0];
    bytes[5..9].copy_from_slice(&(piece % PIECES).to_be_bytes());
    bytes
}

/// They come, each from an address of its own.
async fn besiege(seed: SocketAddr, made: &Made, many: u32) -> Vec<Attacker> {
    let mut attackers = Vec::new();
    for n in 0..many {
        let [_, _, high, low] = n.to_be_bytes();
        let mut stream = dial(Ipv4Addr::new(127, 1, high, low), seed).await.unwrap();
        let kind = match n % 20 {
            0..3 => Kind::Mute,
            3..6 => Kind::Idle,
            6..13 => Kind::Deaf,
            _ => Kind::Slow,
        };
        if kind != Kind::Mute {
            let mut id = [0; 20];
            id[..4].copy_from_slice(&n.to_be_bytes());
            let mut hello = Handshake::new(made.metainfo.info_hash, PeerId(id)).to_bytes().to_vec();
            // Neither BEP 6 nor BEP 10. No pieces, and interested.
            hello[20..28].fill(0);
            hello.extend([0, 0, 0, 9, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
            stream.write_all(&hello).unwrap();
        }
        attackers.push(Attacker { kind, stream });
    }
    attackers
}

/// One at a time: memory is the process'.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Keeps up the siege until it is told to stop; how many still had a connection at the end.
fn persist(mut attackers: Vec<Attacker>, stop: &AtomicBool) -> [(Kind, usize); 4] {
    let mut kept_alive = Instant::now();
    for round in 0.. {
        let keep_alive = kept_alive.elapsed() >= KEEP_ALIVE;
        if keep_alive {
            kept_alive = Instant::now();
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for (n, Attacker { kind, stream }) in attackers.iter_mut().enumerate() {
            if keep_alive && *kind == Kind::Idle {
                let _ = stream.write(&[0; 4]);
            }
            // Ten looks a second: a tenth of 500 bytes, and eight blocks anew at every third, which is every six
            // seconds of the seed's time where it runs fast.
            if *kind == Kind::Slow {
                let _ = stream.read(&mut [0; 50]);
            }
            if matches!(*kind, Kind::Slow | Kind::Deaf) && (round + n) % 3 == 0 {
                let asked: Vec<u8> = (0..8).flat_map(|i| request((round + n) as u32 + i)).collect();
                let _ = stream.write(&asked);
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    [Kind::Mute, Kind::Idle, Kind::Deaf, Kind::Slow].map(|kind| {
        let open = |attacker: &&Attacker| {
            attacker.kind == kind && {
                let mut rest = [0; 4096];
                loop {
                    match (&attacker.stream).read(&mut rest) {
                        Ok(0) => break false,
                        Ok(_) => {}
                        Err(error) => break error.kind() == std::io::ErrorKind::WouldBlock,
                    }
                }
            }
        };
        (kind, attackers.iter().filter(open).count())
    })
}

/// Dials from one address, over and over, and holds what it gets; how often.
async fn flood(seed: SocketAddr, dials: Arc<AtomicU64>) {
    let mut held = std::collections::VecDeque::new();
    loop {
        if let Ok(stream) = dial(Ipv4Addr::new(127, 2, 0, 1), seed).await {
            dials.fetch_add(1, Ordering::Relaxed);
            held.push_back(stream);
        }
        if held.len() > 64 {
            held.pop_front();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_that_mean_no_good_keep_nobody_from_being_served() {
    siege(HASTE, LONG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes five minutes"]
async fn nor_do_they_at_real_speed() {
    siege(1, PATIENCE).await;
}

/// A siege of a seed whose clocks run so many times as fast; each honest leecher is served within `patience`.
async fn siege(haste: u32, patience: Duration) {
    let _turn = TURN.lock().await;
    let many = many();
    let made = single("siege", (PIECE * PIECES) as usize, PIECE.into(), Extra::default());
    let mut settings = settings();
    settings.gate.connections = MANY as usize + 100;
    settings.peer.max_connections = MANY + 50;
    settings.peer.choke_interval /= haste;
    settings.peer.rate_window /= haste;
    let GateLimits { connections, unknown, per_address, .. } = settings.gate;
    let (slots, choker) = (settings.peer.slots, settings.seed_choker.clone());
    let (seed, folder) = (Session::new(settings).await.unwrap(), tempdir().unwrap());
    made.write(folder.path());
    let mut alerts = seed.alerts();
    let torrent = seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), folder.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    drop(alerts);

    let (memory, files) = (resident(), descriptors());
    let attackers = besiege(addr(&seed), &made, many).await;
    let (stop, dials) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flood = tokio::spawn(flood(addr(&seed), dials.clone()));
    let stopped = stop.clone();
    let siege = std::thread::spawn(move || persist(attackers, &stopped));
    let in_torrent = async {
        loop {
            let peers = torrent.status().await.unwrap().peers;
            if peers >= many * 8 / 10 {
                return peers;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let peers = tokio::time::timeout(LONG, in_torrent).await.expect("most of them get in");
    println!("{many} attackers, {peers} of them in the torrent; policy {choker}, {slots} slots");
    println!("places: {connections}, {unknown} for who has not spoken, {per_address} an address");

    let (mut most_memory, mut most_files) = (0, 0);
    for n in 1..=3u8 {
        let listen = vec![SocketAddr::from((Ipv4Addr::new(127, 3, 0, n), 0))];
        let leech = Session::new(Settings { listen, ..net::settings() }).await.unwrap();
        let into = tempdir().unwrap();
        let mut alerts = leech.alerts();
        let start = Instant::now();
        let params = AddTorrentParams::metainfo(made.metainfo.clone(), into.path());
        leech.add_torrent(AddTorrentParams { peers: vec![addr(&seed)], ..params }).unwrap();
        let done = |alert: &Alert| matches!(alert, Alert::TorrentFinished(_)).then_some(());
        let got = find(&mut alerts, done, patience);
        tokio::pin!(got);
        loop {
            tokio::select! {
                got = &mut got => break got.expect("it is served in time"),
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
            }
            (most_memory, most_files) = (most_memory.max(resident()), most_files.max(descriptors()));
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "honest leecher {n}: {} MiB in {seconds:.1} s, {:.0} s of the seed's time",
            (PIECE * PIECES) >> 20,
            seconds * f64::from(haste)
        );
        made.check(into.path());
        leech.close().await;
    }
    (most_memory, most_files) = (most_memory.max(resident()), most_files.max(descriptors()));
    flood.abort();
    stop.store(true, Ordering::Relaxed);
    let still = siege.join().unwrap();
    let memory = most_memory.saturating_sub(memory);
    println!("still connected: {still:?}; dials from one address: {}", dials.load(Ordering::Relaxed));
    println!(
        "memory: {} KiB more, {} KiB a connection; file descriptors: {most_files}, {files} before",
        memory >> 10,
        (memory >> 10) / u64::from(many)
    );
    assert!(memory < u64::from(many) * EACH + (32 << 20), "{memory} bytes more");
    // Ours of every attacker and of the flood, and the seed's of those that have a place.
    let ours = u64::from(many) + 65;
    assert!(most_files < files + ours + connections as u64 + OTHERS, "{most_files} file descriptors");
    let [(_, mute), (_, idle), ..] = still;
    assert!(mute <= unknown, "{mute} that never spoke have a place");
    assert!(idle > 0, "those whose keeping away is to be survived are there");
    assert!(dials.load(Ordering::Relaxed) > 2 * u64::from(per_address), "a flood is more than that");
    seed.close().await;
}
