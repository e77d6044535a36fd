//! Every flag is obeyed or refused.

use std::time::Duration;

use client::session::{IpFilter, REFUSED, TorrentState};
use client::storage::ResumeData;
use client::{AddError, AddTorrentParams, Alert, Session, Settings, TorrentFlags};
use tempfile::{TempDir, tempdir};

use crate::common::{Extra, Made, single};
use crate::net::*;

/// The flags that a test below shows to be obeyed.
const OBEYED: TorrentFlags = TorrentFlags::SEED_MODE
    .union(TorrentFlags::UPLOAD_MODE)
    .union(TorrentFlags::APPLY_IP_FILTER)
    .union(TorrentFlags::PAUSED)
    .union(TorrentFlags::DUPLICATE_IS_ERROR)
    .union(TorrentFlags::UPDATE_SUBSCRIBE)
    .union(TorrentFlags::SEQUENTIAL_DOWNLOAD)
    .union(TorrentFlags::STOP_WHEN_READY)
    .union(TorrentFlags::OVERRIDE_TRACKERS)
    .union(TorrentFlags::NEED_SAVE_RESUME)
    .union(TorrentFlags::DISABLE_DHT)
    .union(TorrentFlags::DISABLE_LSD)
    .union(TorrentFlags::DISABLE_PEX)
    .union(TorrentFlags::NO_VERIFY_FILES)
    .union(TorrentFlags::DEFAULT_DONT_DOWNLOAD);

fn made() -> Made {
    single("flagged", 1 << 20, 32 << 10, Extra::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_ignored() {
    let session = session().await;
    let folder = tempdir().unwrap();
    for (name, flag) in TorrentFlags::all().iter_names() {
        let refused = REFUSED.iter().find(|(refused, _)| *refused == flag);
        assert!(refused.is_some() != OBEYED.contains(flag), "{name} is either obeyed or refused");
        let params = AddTorrentParams::metainfo(made().metainfo, folder.path());
        let added = session.add_torrent(AddTorrentParams { flags: flag, ..params });
        match (added, refused) {
            (Err(error @ AddError::Flag(_)), Some((_, reason))) => {
                let said = error.to_string();
                assert!(said.contains(&name.to_lowercase()) && said.contains(reason), "{said}");
            }
            (Ok(torrent), None) => session.remove_torrent(&torrent, true).await.unwrap(),
            (added, _) => panic!("{name}: {added:?}"),
        }
    }
    session.close().await;
}

/// A session that has it all, and the alerts of another that gets it with these flags.
struct Pair {
    seed: Session,
    leech: Session,
    made: Made,
    _from: TempDir,
    to: TempDir,
}

impl Pair {
    async fn new(leech: Settings) -> Self {
        let (made, from, to) = (made(), tempdir().unwrap(), tempdir().unwrap());
        made.write(from.path());
        // With one thread, blocks go out in the order they are asked for.
        let seed = Session::new(Settings { disk_threads: 1, ..settings() }).await.unwrap();
        let mut alerts = seed.alerts();
        seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
        state(&mut alerts, TorrentState::Seeding).await;
        Self { seed, leech: Session::new(leech).await.unwrap(), made, _from: from, to }
    }

    fn params(&self, flags: TorrentFlags) -> AddTorrentParams {
        let params = AddTorrentParams::metainfo(self.made.metainfo.clone(), self.to.path());
        AddTorrentParams { peers: vec![addr(&self.seed)], flags, ..params }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_and_stop_when_ready_take_no_part_until_resumed() {
    for flag in [TorrentFlags::PAUSED, TorrentFlags::STOP_WHEN_READY] {
        let pair = Pair::new(settings()).await;
        let mut alerts = pair.leech.alerts();
        let torrent = pair.leech.add_torrent(pair.params(flag)).unwrap();
        state(&mut alerts, TorrentState::Downloading).await;
        if flag == TorrentFlags::STOP_WHEN_READY {
            wait(&mut alerts, "the pause", |alert| matches!(alert, Alert::Paused(_)).then_some(())).await;
        }
        let status = torrent.status().await.unwrap();
        assert!(status.paused && status.peers == 0 && !status.flags.contains(TorrentFlags::STOP_WHEN_READY));
        torrent.resume().await.unwrap();
        finished(&mut alerts).await;
        pair.made.check(pair.to.path());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_mode_and_default_dont_download_ask_for_nothing_until_told() {
    for flag in [TorrentFlags::UPLOAD_MODE, TorrentFlags::DEFAULT_DONT_DOWNLOAD] {
        let pair = Pair::new(settings()).await;
        let mut alerts = pair.leech.alerts();
        let torrent = pair.leech.add_torrent(pair.params(flag)).unwrap();
        wait(&mut alerts, "a peer", |alert| matches!(alert, Alert::PeerConnected { .. }).then_some(())).await;
        // Time enough to be unchoked and to ask.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(torrent.status().await.unwrap().downloaded, 0);
        torrent.set_download(true).await.unwrap();
        // The seed has heard that nothing is wanted (BEP 21), and gone.
        pair.seed.torrents()[0].add_peers(vec![addr(&pair.leech)]).await.unwrap();
        finished(&mut alerts).await;
        pair.made.check(pair.to.path());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequential_download_goes_in_order() {
    let pair = Pair::new(Settings { disk_threads: 1, ..settings() }).await;
    let mut alerts = pair.leech.alerts();
    pair.leech.add_torrent(pair.params(TorrentFlags::SEQUENTIAL_DOWNLOAD)).unwrap();
    let mut order = Vec::new();
    wait(&mut alerts, "the end", |alert| {
        if let Alert::PieceFinished { piece, .. } = alert {
            order.push(*piece);
        }
        matches!(alert, Alert::TorrentFinished(_)).then_some(())
    })
    .await;
    assert_eq!(order, (0..32).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ip_filter_holds_for_those_that_ask_for_it() {
    let local = "127.0.0.0".parse().unwrap()..="127.255.255.255".parse().unwrap();
    let filter = IpFilter { blocked: vec![local.into_inner()] };
    for flag in [TorrentFlags::APPLY_IP_FILTER, TorrentFlags::empty()] {
        let pair = Pair::new(Settings { ip_filter: filter.clone(), ..settings() }).await;
        let mut alerts = pair.leech.alerts();
        let torrent = pair.leech.add_torrent(pair.params(flag)).unwrap();
        if flag.is_empty() {
            finished(&mut alerts).await;
            continue;
        }
        state(&mut alerts, TorrentState::Downloading).await;
        // Neither dialled nor let in.
        let other = session().await;
        let elsewhere = tempdir().unwrap();
        let params = AddTorrentParams::metainfo(pair.made.metainfo.clone(), elsewhere.path());
        let mut theirs = other.alerts();
        other.add_torrent(AddTorrentParams { peers: vec![addr(&pair.leech)], ..params }).unwrap();
        wait(&mut theirs, "the parting", |alert| {
            matches!(alert, Alert::PeerDisconnected { .. }).then_some(())
        })
        .await;
        let status = torrent.status().await.unwrap();
        assert_eq!((status.peers, status.downloaded), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_an_error_if_it_is_to_be() {
    let (session, folder) = (session().await, tempdir().unwrap());
    let params =
        |flags| AddTorrentParams { flags, ..AddTorrentParams::metainfo(made().metainfo, folder.path()) };
    let first = session.add_torrent(params(TorrentFlags::DUPLICATE_IS_ERROR)).unwrap();
    let second = session.add_torrent(params(TorrentFlags::empty())).unwrap();
    assert_eq!(first.info_hash(), second.info_hash());
    let third = session.add_torrent(params(TorrentFlags::DUPLICATE_IS_ERROR));
    assert!(matches!(third, Err(AddError::Duplicate(hash)) if hash == first.info_hash()));
    assert_eq!(session.torrents().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seed_mode_believes_until_a_piece_is_asked_for() {
    let pair = Pair::new(settings()).await;
    let (liar, folder) = (session().await, tempdir().unwrap());
    pair.made.write(folder.path());
    let path = folder.path().join("flagged");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[500_000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut alerts = liar.alerts();
    let params = AddTorrentParams::metainfo(pair.made.metainfo.clone(), folder.path());
    let torrent = liar.add_torrent(AddTorrentParams { flags: TorrentFlags::SEED_MODE, ..params }).unwrap();
    wait(&mut alerts, "seeding", |alert| match alert {
        Alert::StateChanged { to: TorrentState::CheckingFiles, .. } => panic!("nothing is to be checked"),
        Alert::StateChanged { to: TorrentState::Seeding, .. } => Some(()),
        _ => None,
    })
    .await;
    let mut params = pair.params(TorrentFlags::empty());
    params.peers = vec![addr(&liar)];
    pair.leech.add_torrent(params).unwrap();
    let wrong = wait(&mut alerts, "the wrong piece", |alert| match alert {
        Alert::HashFailed { piece, .. } => Some(*piece),
        _ => None,
    });
    assert_eq!(wrong.await, 500_000 / (32 << 10));
    state(&mut alerts, TorrentState::Downloading).await;
    let status = torrent.status().await.unwrap();
    assert_eq!((status.pieces_done, status.flags.contains(TorrentFlags::SEED_MODE)), (31, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verify_files_believes_resume_data() {
    let (session, folder) = (session().await, tempdir().unwrap());
    let made = made();
    let resume = ResumeData {
        info_hash: made.metainfo.info_hash,
        pieces: vec![0xff; 4].into(),
        files: vec![None],
        uploaded: 5,
        downloaded: 6,
        info: None,
    };
    let mut alerts = session.alerts();
    for (flag, due) in [(TorrentFlags::NO_VERIFY_FILES, 32), (TorrentFlags::empty(), 0)] {
        let params = AddTorrentParams::metainfo(made.metainfo.clone(), folder.path());
        let params = AddTorrentParams { flags: flag, resume: Some(resume.clone()), ..params };
        let torrent = session.add_torrent(params).unwrap();
        state(&mut alerts, if due > 0 { TorrentState::Seeding } else { TorrentState::Downloading }).await;
        let status = torrent.status().await.unwrap();
        assert_eq!((status.pieces_done, status.uploaded, status.downloaded), (due, 5, 6));
        session.remove_torrent(&torrent, false).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn need_save_resume_saves_though_nothing_changes() {
    for flag in [TorrentFlags::NEED_SAVE_RESUME, TorrentFlags::empty()] {
        let (notes, folder) = (tempdir().unwrap(), tempdir().unwrap());
        let settings = Settings {
            resume_folder: Some(notes.path().to_owned()),
            resume_interval: Duration::from_millis(10),
            ..settings()
        };
        let session = Session::new(settings).await.unwrap();
        let mut alerts = session.alerts();
        let params = AddTorrentParams::metainfo(made().metainfo, folder.path());
        session.add_torrent(AddTorrentParams { flags: flag, ..params }).unwrap();
        state(&mut alerts, TorrentState::Downloading).await;
        if flag.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(std::fs::read_dir(notes.path()).unwrap().count(), 0);
        } else {
            wait(&mut alerts, "resume data", |alert| matches!(alert, Alert::ResumeSaved(_)).then_some(()))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn override_trackers_replaces_those_of_the_torrent() {
    for flag in [TorrentFlags::OVERRIDE_TRACKERS, TorrentFlags::empty()] {
        let (session, folder) = (session().await, tempdir().unwrap());
        let trackers = vec![vec!["https://of.the.torrent/announce".to_owned()]];
        let made = single("overridden", 100, 16384, Extra { private: false, trackers });
        let params = AddTorrentParams::metainfo(made.metainfo, folder.path());
        let given = "https://given/announce".to_owned();
        let mut alerts = session.alerts();
        session
            .add_torrent(AddTorrentParams { flags: flag, trackers: vec![vec![given.clone()]], ..params })
            .unwrap();
        let mut asked = Vec::new();
        wait(&mut alerts, "the last tracker", |alert| {
            if let Alert::TrackerError { url, .. } = alert {
                asked.push(url.clone());
            }
            (asked.last() == Some(&given)).then_some(())
        })
        .await;
        assert_eq!(asked.len(), if flag.is_empty() { 2 } else { 1 }, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_subscribe_and_session_stats() {
    let pair = Pair::new(settings()).await;
    let mut alerts = pair.leech.alerts();
    pair.leech.add_torrent(pair.params(TorrentFlags::UPDATE_SUBSCRIBE)).unwrap();
    let silent = single("silent", 100, 16384, Extra::default());
    let params = AddTorrentParams::metainfo(silent.metainfo, pair.to.path());
    pair.leech.add_torrent(AddTorrentParams { flags: TorrentFlags::empty(), ..params }).unwrap();
    finished(&mut alerts).await;
    pair.leech.post_torrent_updates().await;
    let told = wait(&mut alerts, "an update", |alert| match alert {
        Alert::StateUpdate(all) => Some(all.iter().map(|status| status.name.clone()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(told.await, ["flagged"]);
    pair.leech.post_session_stats().await;
    let stats = wait(&mut alerts, "statistics", |alert| match alert {
        Alert::SessionStats(stats) => Some(*stats),
        _ => None,
    });
    let stats = stats.await;
    assert_eq!((stats.torrents, stats.downloaded), (2, 1 << 20));
}
