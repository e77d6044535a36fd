//! `seed`, `get` and `tracker` with each other, on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use client::session::{RateLimits, TorrentState};
use client::storage::{OpenFiles, ResumeData, Storage};
use client::{AddTorrentParams, Alert, Session, Settings};
use engine::metainfo::Builder;
use engine::{Bitfield, Metainfo};

use super::{fail, succeed, swarmlab};

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it; the first lines that it prints.
fn start(folder: &Path, args: &[&str], lines: usize) -> (Running, Vec<String>) {
    let mut child = swarmlab(folder).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().take(lines);
    let said = said.map(|line| line.unwrap()).collect();
    (Running(child), said)
}

fn content(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn torrent(bytes: &[u8], piece_length: u64) -> Metainfo {
    let mut hasher = Builder::file("film", bytes.len() as u64).piece_length(piece_length).hasher().unwrap();
    hasher.write(bytes);
    hasher.finish().unwrap()
}

#[test]
fn a_folder_by_its_link_and_by_its_torrent() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let album = there.path().join("album");
    fs::create_dir_all(album.join("disc 2")).unwrap();
    let (one, two) = (content(700_000), content(300_001));
    fs::write(album.join("one"), &one).unwrap();
    fs::write(album.join("disc 2/two"), &two).unwrap();
    let tracker = ["tracker", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"];
    let (_tracker, urls) = start(there.path(), &tracker, 2);
    let seed = ["seed", "album", "--listen", "127.0.0.1:0", "--tracker", &urls[0]];
    let (_seed, link) = start(there.path(), &seed, 1);
    assert!(link[0].starts_with("magnet:?xt=urn:btih:"), "{link:?}");
    let got = |out: &str| {
        let folder = here.path().join(out).join("album");
        fs::read(folder.join("one")).unwrap() == one && fs::read(folder.join("disc 2/two")).unwrap() == two
    };
    let said = succeed(here.path(), &["get", &link[0], "--listen", "127.0.0.1:0", "--out", "a"]);
    assert!(said.contains("976.56 KiB (1000001 bytes)"), "{said}");
    assert!(got("a"));
    // A link that names no peer: its tracker does, this time over UDP.
    let bare = link[0].split("&tr=").next().unwrap();
    let by_udp = ["get", bare, "--listen", "127.0.0.1:0", "--out", "b", "--tracker", &urls[1]];
    let over_http_and_udp = ["seed", "album", "--listen", "127.0.0.1:0", "--tracker", &urls[1], "--quiet"];
    let (_another, _) = start(there.path(), &over_http_and_udp, 0);
    succeed(here.path(), &by_udp);
    assert!(got("b"));
    succeed(there.path(), &["create", "album"]);
    let file = there.path().join("album.torrent");
    let file = file.to_str().unwrap();
    let said = succeed(here.path(), &["get", file, "--out", "a", "--quiet"]);
    assert_eq!(said, "", "it was all there");
    let (_third, said) = start(here.path(), &["seed", file, "--from", "b", "--listen", "127.0.0.1:0"], 1);
    assert!(said[0].contains("&x.pe=127.0.0.1"), "{said:?}");
}

#[test]
fn what_was_seeded_before_is_hashed_again_only_if_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (film, old) = (folder.path().join("film"), content(300_000));
    let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
    fs::write(&film, &old).unwrap();
    let metainfo = torrent(&old, 16384);
    fs::write(folder.path().join("film.torrent"), metainfo.to_bytes()).unwrap();
    let args = ["seed", "film", "--listen", "127.0.0.1:0", "--seed-until", "0"];
    let hash = |said: &str| said.strip_prefix("magnet:?xt=urn:btih:").unwrap()[..40].to_owned();
    assert_eq!(hash(&succeed(folder.path(), &args)), metainfo.info_hash.to_string());
    let notes = ResumeData::load(&ResumeData::path(&folder.path().join(".swarmlab"), metainfo.info_hash));
    let notes = notes.unwrap().unwrap();
    assert!(notes.have(&metainfo.layout).unwrap().is_full());
    assert_eq!(notes.info, Some(metainfo.info.clone()));
    // Other bytes under the same length and time: who hashes would see it.
    let time = fs::metadata(&film).unwrap().modified().unwrap();
    let write = |bytes: &[u8], time| {
        fs::write(&film, bytes).unwrap();
        fs::File::options().append(true).open(&film).unwrap().set_modified(time).unwrap();
    };
    write(&new, time);
    assert_eq!(hash(&succeed(folder.path(), &args)), metainfo.info_hash.to_string(), "believed");
    let by_torrent = ["seed", "film.torrent", "--listen", "127.0.0.1:0", "--seed-until", "0"];
    assert_eq!(hash(&succeed(folder.path(), &by_torrent)), metainfo.info_hash.to_string(), "believed");
    // Another time: it is hashed, and is another torrent, and none of the old.
    write(&new, time + Duration::from_secs(1));
    let error = fail(folder.path(), &by_torrent, 2);
    assert!(error.contains("0 of 19 pieces"), "{error}");
    assert_eq!(hash(&succeed(folder.path(), &args)), torrent(&new, 16384).info_hash.to_string());
    // The notes are no content.
    succeed(folder.path(), &["create", ".", "--out", "all.torrent"]);
    let all = Metainfo::parse(&fs::read(folder.path().join("all.torrent")).unwrap()).unwrap();
    assert!(all.files.iter().all(|file| !file.path.contains(&".swarmlab".to_owned())));
}

#[test]
fn a_peer_that_is_named_may_start_later() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = content(100_000);
    fs::write(there.path().join("film"), &bytes).unwrap();
    fs::write(here.path().join("film.torrent"), torrent(&bytes, 16384).to_bytes()).unwrap();
    let place = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = place.local_addr().unwrap().to_string();
    drop(place);
    let get = ["get", "film.torrent", "--listen", "127.0.0.1:0", "--peer", &addr];
    let mut get = Running(swarmlab(here.path()).args(get).stdout(Stdio::null()).spawn().unwrap());
    // It has dialled in vain by now.
    std::thread::sleep(Duration::from_millis(1500));
    let (_seed, _) = start(there.path(), &["seed", "film", "--listen", &addr], 1);
    // 50 s. A client alone would try again after two minutes, then four, and then never.
    let ended = (0..1000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        get.0.try_wait().unwrap()
    });
    assert!(ended.expect("it has found the seed").success());
    assert!(fs::read(here.path().join("film")).unwrap() == bytes);
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = fail(folder.path(), &["get", "nothing.torrent"], 2);
    assert!(error.contains("nothing.torrent"), "{error}");
    let error = fail(folder.path(), &["get", "magnet:?xt=urn:btih:12"], 2);
    assert!(error.contains("info-hash"), "{error}");
    let error = fail(folder.path(), &["get", "x", "--up", "5"], 2);
    assert!(error.contains("unit"), "{error}");
    let error = fail(folder.path(), &["get", "x", "--seed-until", "-1"], 2);
    assert!(!error.is_empty());
    let error = fail(folder.path(), &["tracker", "--allow", "nothing"], 2);
    assert!(error.contains("nothing"), "{error}");
    fs::write(folder.path().join("some.torrent"), torrent(&content(100), 16384).to_bytes()).unwrap();
    let error = fail(folder.path(), &["seed", "some.torrent", "--listen", "127.0.0.1:0"], 2);
    assert!(error.contains("0 of 1 pieces"), "{error}");
    // A file where the download has to go.
    fs::write(folder.path().join("out"), "").unwrap();
    let error = fail(folder.path(), &["get", "some.torrent", "--out", "out/below"], 3);
    assert!(error.contains("out/below"), "{error}");
}

/// The pieces that the notes name.
fn noted(folder: &Path, metainfo: &Metainfo) -> Option<Bitfield> {
    let path = ResumeData::path(&folder.join(".swarmlab"), metainfo.info_hash);
    ResumeData::load(&path).unwrap().map(|notes| notes.have(&metainfo.layout).unwrap())
}

/// Every piece that the notes name is in the file; how many they are.
fn check_notes(folder: &Path, metainfo: &Metainfo) -> u32 {
    let Some(have) = noted(folder, metainfo) else { return 0 };
    let storage = Storage::new(metainfo, folder, Arc::new(OpenFiles::new(4))).unwrap();
    for piece in have.iter(&metainfo.layout) {
        assert!(storage.verify(piece).unwrap(), "{piece:?} is named and not there");
    }
    have.count()
}

/// A session that has `metainfo`'s content in `folder`, and sends it slowly.
async fn slow_seed(metainfo: &Metainfo, folder: &Path) -> Session {
    let settings = Settings {
        listen: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)],
        rates: RateLimits { up: Some(2 << 20), down: None },
        ..Settings::default()
    };
    let seed = Session::new(settings).await.unwrap();
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(metainfo.clone(), folder)).unwrap();
    let seeding = |alert: &Alert| matches!(alert, Alert::StateChanged { to: TorrentState::Seeding, .. });
    while !alerts.next().await.is_some_and(|alert| seeding(&alert)) {}
    seed
}

#[test]
fn fifty_kills_lose_nothing_that_was_noted() {
    const KILLS: u64 = 50;
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = content(32 << 20);
    let metainfo = torrent(&bytes, 32 << 10);
    fs::write(there.path().join("film"), &bytes).unwrap();
    fs::write(here.path().join("film.torrent"), metainfo.to_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let seed = runtime.block_on(slow_seed(&metainfo, there.path()));
    let addr = seed.local_addrs()[0].to_string();
    let get = ["get", "film.torrent", "--listen", "127.0.0.1:0", "--peer", &addr, "--save-every", "20 ms"];
    let (mut kills, mut had) = (0, 0);
    while kills < KILLS {
        let child = swarmlab(here.path()).args(get).stdout(Stdio::null()).spawn().unwrap();
        let mut child = Running(child);
        let ended = loop {
            if let Some(status) = child.0.try_wait().unwrap() {
                break Some(status);
            }
            if noted(here.path(), &metainfo).is_some_and(|have| have.count() > had) {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        if let Some(status) = ended {
            // It was too fast for us: once more from the beginning.
            assert!(status.success());
            assert!(fs::read(here.path().join("film")).unwrap() == bytes);
            fs::remove_dir_all(here.path().join(".swarmlab")).unwrap();
            fs::remove_file(here.path().join("film")).unwrap();
            had = 0;
            continue;
        }
        // Somewhere: between two notes, in the middle of one, while a piece is written.
        std::thread::sleep(Duration::from_micros(kills * 7919 % 40_000));
        // As `kill -9`: nothing can be done about it.
        drop(child);
        let now = check_notes(here.path(), &metainfo);
        assert!(now >= had, "kill {kills}: {now} pieces are named where {had} were");
        (kills, had) = (kills + 1, now);
    }
    runtime.block_on(async { seed.set_rates(RateLimits::default()) });
    succeed(here.path(), &get);
    assert!(fs::read(here.path().join("film")).unwrap() == bytes);
    assert_eq!(check_notes(here.path(), &metainfo), metainfo.layout.pieces());
    runtime.block_on(seed.close());
}
