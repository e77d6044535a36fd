//! What can be done with a torrent while it runs, and what files that fail do to it.

use std::fs;
use std::path::Path;

use client::session::{Closed, Gone, RateLimits, TorrentState, TorrentStatus};
use client::storage::ResumeData;
use client::{AddTorrentParams, Alert, Alerts, Session, Settings, TorrentFlags, TorrentHandle};
use tempfile::{TempDir, tempdir};

use crate::common::{Extra, Made, single};
use crate::net::*;

/// A session that has it all.
async fn seed_of(made: &Made, rates: RateLimits) -> (Session, TempDir) {
    let (seed, folder) = (Session::new(Settings { rates, ..settings() }).await.unwrap(), tempdir().unwrap());
    made.write(folder.path());
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), folder.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    (seed, folder)
}

fn leech_of(made: &Made, seed: &Session, folder: &Path) -> AddTorrentParams {
    let params = AddTorrentParams::metainfo(made.metainfo.clone(), folder);
    AddTorrentParams { peers: vec![addr(seed)], ..params }
}

fn notes(folder: &Path) -> Settings {
    Settings { resume_folder: Some(folder.to_owned()), ..settings() }
}

/// Waits for so many pieces.
async fn pieces(alerts: &mut Alerts, count: usize) {
    let mut seen = 0;
    wait(alerts, &format!("{count} pieces"), |alert| {
        seen += usize::from(matches!(alert, Alert::PieceFinished { .. }));
        (seen == count).then_some(())
    })
    .await;
}

async fn until(
    torrent: &TorrentHandle,
    what: &str,
    wanted: impl Fn(&TorrentStatus) -> bool,
) -> TorrentStatus {
    let look = async {
        loop {
            let status = torrent.status().await.unwrap();
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, look).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_is_left_goes_on_from_its_resume_data() {
    let made = single("half", 8 << 20, 64 << 10, Extra::default());
    let (to, folder) = (tempdir().unwrap(), tempdir().unwrap());
    let slow = RateLimits { up: Some(4 << 20), down: None };
    let (seed, _from) = seed_of(&made, slow).await;
    let leech = Session::new(notes(folder.path())).await.unwrap();
    let mut alerts = leech.alerts();
    leech.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    pieces(&mut alerts, 20).await;
    leech.close().await;
    let path = ResumeData::path(folder.path(), made.metainfo.info_hash);
    let saved = ResumeData::load(&path).unwrap().unwrap();
    let had = saved.have(&made.metainfo.layout).unwrap().count();
    assert!((20..128).contains(&had), "{had}");
    seed.set_rates(RateLimits::default());
    let again = Session::new(notes(folder.path())).await.unwrap();
    let mut alerts = again.alerts();
    let torrent = again.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    let mut checked = false;
    wait(&mut alerts, "the end", |alert| {
        checked |= matches!(alert, Alert::StateChanged { to: TorrentState::CheckingFiles, .. });
        matches!(alert, Alert::TorrentFinished(_)).then_some(())
    })
    .await;
    assert!(!checked, "its files look as they did");
    made.check(to.path());
    let status = torrent.status().await.unwrap();
    let rest = u64::from(128 - had) * (64 << 10);
    assert_eq!(status.downloaded, saved.downloaded + rest, "only what was missing, and counted on");
    again.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_has_changed_is_hashed_again_and_what_is_wrong_comes_again() {
    let made = single("changed", 2 << 20, 64 << 10, Extra::default());
    let (to, folder) = (tempdir().unwrap(), tempdir().unwrap());
    let (seed, _from) = seed_of(&made, RateLimits::default()).await;
    let leech = Session::new(notes(folder.path())).await.unwrap();
    let mut alerts = leech.alerts();
    leech.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    finished(&mut alerts).await;
    leech.close().await;
    let mut bytes = fs::read(to.path().join("changed")).unwrap();
    bytes[700_000] ^= 1;
    fs::write(to.path().join("changed"), &bytes).unwrap();
    let again = Session::new(notes(folder.path())).await.unwrap();
    let mut alerts = again.alerts();
    let torrent = again.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    state(&mut alerts, TorrentState::CheckingFiles).await;
    state(&mut alerts, TorrentState::Downloading).await;
    finished(&mut alerts).await;
    made.check(to.path());
    // By command too, without resume data that says otherwise.
    bytes[0] ^= 1;
    fs::write(to.path().join("changed"), &bytes).unwrap();
    torrent.force_recheck().await.unwrap();
    state(&mut alerts, TorrentState::Downloading).await;
    finished(&mut alerts).await;
    made.check(to.path());
    again.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_resume_and_remove() {
    let made = single("paused", 4 << 20, 64 << 10, Extra::default());
    let (to, folder) = (tempdir().unwrap(), tempdir().unwrap());
    let (seed, _from) = seed_of(&made, RateLimits { up: Some(2 << 20), down: None }).await;
    let leech = Session::new(notes(folder.path())).await.unwrap();
    let mut alerts = leech.alerts();
    let torrent = leech.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    pieces(&mut alerts, 5).await;
    torrent.pause().await.unwrap();
    let left = wait(&mut alerts, "the parting", |alert| match alert {
        Alert::PeerDisconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(left.await, Closed::Ours(engine::peer::DisconnectReason::Leaving));
    let paused = until(&torrent, "pause", |status| status.paused).await;
    assert_eq!((paused.peers, paused.error), (0, None));
    assert!(paused.pieces_done >= 5);
    seed.set_rates(RateLimits::default());
    torrent.resume().await.unwrap();
    torrent.add_peers(vec![addr(&seed)]).await.unwrap();
    finished(&mut alerts).await;
    made.check(to.path());
    wait(&mut alerts, "resume data", |alert| matches!(alert, Alert::ResumeSaved(_)).then_some(())).await;
    // Without its files, then with them.
    leech.remove_torrent(&torrent, false).await.unwrap();
    assert_eq!(torrent.status().await, Err(Gone));
    assert!(leech.torrents().is_empty());
    made.check(to.path());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nor is there resume data");
    let torrent = leech.add_torrent(leech_of(&made, &seed, to.path())).unwrap();
    state(&mut alerts, TorrentState::Seeding).await;
    leech.remove_torrent(&torrent, true).await.unwrap();
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    leech.close().await;
    seed.close().await;
}

/// What a file error says, and the torrent that is paused by it.
async fn breaks(leech: &Session, torrent: &TorrentHandle, alerts: &mut Alerts) -> (String, bool) {
    let said = wait(alerts, "a file error", |alert| match alert {
        Alert::FileError { error, full, .. } => Some((error.clone(), *full)),
        _ => None,
    });
    let said = said.await;
    wait(alerts, "the pause", |alert| matches!(alert, Alert::Paused(_)).then_some(())).await;
    let status = torrent.status().await.unwrap();
    assert!(status.paused && status.error.as_ref() == Some(&said.0), "{status:?}");
    assert_eq!((status.peers, leech.torrents().len()), (0, 1));
    said
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_pauses_and_it_goes_on_once_there_is_room() {
    let made = single("full", 1 << 20, 64 << 10, Extra::default());
    let to = tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", to.path().join("full")).unwrap();
    let (seed, _from) = seed_of(&made, RateLimits::default()).await;
    let leech = session().await;
    let mut alerts = leech.alerts();
    let mut params = leech_of(&made, &seed, to.path());
    // What is in the device need not be read.
    params.flags.insert(TorrentFlags::NO_VERIFY_FILES);
    params.resume = Some(ResumeData {
        info_hash: made.metainfo.info_hash,
        pieces: vec![0; 2].into(),
        files: vec![None],
        uploaded: 0,
        downloaded: 0,
        info: None,
    });
    let torrent = leech.add_torrent(params).unwrap();
    let (error, full) = breaks(&leech, &torrent, &mut alerts).await;
    assert!(full && error.starts_with("cannot write "), "{error}");
    fs::remove_file(to.path().join("full")).unwrap();
    torrent.force_recheck().await.unwrap();
    torrent.resume().await.unwrap();
    finished(&mut alerts).await;
    made.check(to.path());
    leech.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_made_pauses_and_nothing_is_lost() {
    let made = single("file", 1 << 20, 64 << 10, Extra::default());
    let to = tempdir().unwrap();
    let below = to.path().join("below");
    fs::write(&below, "a file").unwrap();
    let (seed, _from) = seed_of(&made, RateLimits::default()).await;
    let leech = session().await;
    let mut alerts = leech.alerts();
    let torrent = leech.add_torrent(leech_of(&made, &seed, &below)).unwrap();
    let (error, full) = breaks(&leech, &torrent, &mut alerts).await;
    assert!(!full && error.contains("below"), "{error}");
    assert_eq!(fs::read_to_string(&below).unwrap(), "a file");
    fs::remove_file(&below).unwrap();
    torrent.resume().await.unwrap();
    finished(&mut alerts).await;
    made.check(&below);
    leech.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_whose_file_is_gone_pauses() {
    let made = single("gone", 1 << 20, 64 << 10, Extra::default());
    let (seed, from) = seed_of(&made, RateLimits::default()).await;
    let mut alerts = seed.alerts();
    let torrent = seed.torrents().remove(0);
    // The file is open if it has just been checked.
    fs::remove_file(from.path().join("gone")).unwrap();
    torrent.force_recheck().await.unwrap();
    state(&mut alerts, TorrentState::Downloading).await;
    let status = torrent.status().await.unwrap();
    assert_eq!((status.pieces_done, status.error), (0, None), "there is nothing, and that is no error");
    seed.close().await;
}
