use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use client::session::{Closed, TorrentState};
use client::tracker::{HttpError, HttpLimits, TrackerServer, TrackerSettings, Url, get};
use client::{AddTorrentParams, Alert, Session, Settings};
use engine::InfoHash;
use engine::tracker::udp::ClientConfig;
use engine::tracker::{AnnounceReply, MinRatio, TrackerConfig};
use tempfile::tempdir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{Extra, single};
use crate::net::*;

fn local() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
}

async fn tracker(allow: Option<BTreeSet<InfoHash>>) -> TrackerServer {
    let config = TrackerConfig { min_interval: Duration::from_secs(1), ..TrackerConfig::server() };
    let settings = TrackerSettings {
        http: vec![local()],
        udp: vec![local()],
        config,
        allow,
        ..TrackerSettings::default()
    };
    TrackerServer::start(settings).await.unwrap()
}

fn http_url(tracker: &TrackerServer) -> String {
    format!("http://{}/announce", tracker.http_addrs()[0])
}

fn udp_url(tracker: &TrackerServer) -> String {
    format!("udp://{}/announce", tracker.udp_addrs()[0])
}

/// A seed and nine leeches that know of each other by the tracker alone.
async fn swarm(url: String, tracker: &TrackerServer, private: bool) {
    let trackers = vec![vec![url.clone()]];
    let made = single("swarm", 4 << 20, 64 << 10, Extra { private, trackers });
    let home = tempdir().unwrap();
    made.write(home.path());
    let seed = session().await;
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), home.path())).unwrap();
    wait(&mut alerts, "the seed's announce", |alert| match alert {
        Alert::TrackerReply { .. } => Some(()),
        Alert::TrackerError { error, .. } => panic!("{error}"),
        _ => None,
    })
    .await;
    let mut leeches = Vec::new();
    for _ in 0..9 {
        let (leech, folder) = (session().await, tempdir().unwrap());
        let alerts = leech.alerts();
        leech.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), folder.path())).unwrap();
        leeches.push((leech, folder, alerts));
    }
    for (_, folder, alerts) in &mut leeches {
        finished(alerts).await;
        made.check(folder.path());
    }
    assert_eq!(tracker.counts(), (1, 10));
    let scraped = seed.scrape(&url, &[made.metainfo.info_hash]).await.unwrap();
    let counts = scraped.files[&made.metainfo.info_hash];
    assert_eq!(counts.complete + counts.incomplete, 10);
    for (leech, _, _) in leeches {
        leech.close().await;
    }
    seed.close().await;
    assert_eq!(tracker.counts(), (0, 0), "all have said that they go");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_peers_meet_over_http() {
    let tracker = tracker(None).await;
    swarm(http_url(&tracker), &tracker, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_peers_meet_over_udp_in_a_private_torrent() {
    let tracker = tracker(None).await;
    swarm(udp_url(&tracker), &tracker, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_torrent_has_the_peers_that_its_user_names() {
    let extra = || Extra { private: true, trackers: Vec::new() };
    let (made, from, to) =
        (single("secret", 100_000, 16384, extra()), tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let (seed, leech) = (session().await, session().await);
    let (mut alerts, mut seeding) = (leech.alerts(), seed.alerts());
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut seeding, TorrentState::Seeding).await;
    let torrent = leech.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), to.path())).unwrap();
    state(&mut alerts, TorrentState::Downloading).await;
    assert_eq!(torrent.peers().await.unwrap(), [], "nobody has told it of the seed");
    torrent.add_peers(vec![addr(&seed)]).await.unwrap();
    finished(&mut alerts).await;
    made.check(to.path());
    leech.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_named_again_is_dialled_again_at_once() {
    let (made, from, to) =
        (single("late", 100_000, 16384, Extra::default()), tempdir().unwrap(), tempdir().unwrap());
    made.write(from.path());
    let place = TcpListener::bind(local()).await.unwrap();
    let at = place.local_addr().unwrap();
    drop(place);
    let leech = session().await;
    let mut alerts = leech.alerts();
    let params = AddTorrentParams::metainfo(made.metainfo.clone(), to.path());
    let torrent = leech.add_torrent(AddTorrentParams { peers: vec![at], ..params }).unwrap();
    state(&mut alerts, TorrentState::Downloading).await;
    // Nobody listens: this fails within milliseconds on loopback.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seed = Session::new(Settings { listen: vec![at], ..settings() }).await.unwrap();
    let mut seeding = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), from.path())).unwrap();
    state(&mut seeding, TorrentState::Seeding).await;
    let start = tokio::time::Instant::now();
    torrent.add_peers(vec![at]).await.unwrap();
    finished(&mut alerts).await;
    // On its own it would have waited for a minute.
    assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
    made.check(to.path());
    leech.close().await;
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_fails_is_named_and_the_next_is_asked() {
    let tracker = tracker(None).await;
    let closed = TcpListener::bind(local()).await.unwrap();
    let nobody = format!("http://{}/announce", closed.local_addr().unwrap());
    drop(closed);
    let tls = "https://tracker.example/announce".to_owned();
    let trackers = vec![vec![nobody.clone()], vec![tls.clone()], vec![http_url(&tracker)]];
    let (made, home) =
        (single("tiers", 50_000, 16384, Extra { private: false, trackers }), tempdir().unwrap());
    made.write(home.path());
    let seed = session().await;
    let mut alerts = seed.alerts();
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo, home.path())).unwrap();
    let mut errors = Vec::new();
    let reply = wait(&mut alerts, "a reply", |alert| match alert {
        Alert::TrackerError { url, error, .. } => {
            errors.push((url.clone(), error.clone()));
            None
        }
        Alert::TrackerReply { url, .. } => Some(url.clone()),
        _ => None,
    });
    assert_eq!(reply.await, http_url(&tracker));
    assert_eq!(errors.iter().map(|(url, _)| url.clone()).collect::<Vec<_>>(), [nobody, tls]);
    assert!(errors[1].1.contains("https, which is not supported"), "{}", errors[1].1);
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torrents_that_are_not_allowed_are_refused_with_a_reason() {
    let tracker = tracker(Some(BTreeSet::from([InfoHash([1; 20])]))).await;
    for url in [http_url(&tracker), udp_url(&tracker)] {
        let trackers = vec![vec![url]];
        let extra = Extra { private: false, trackers };
        let (made, home) = (single("not allowed", 50_000, 16384, extra), tempdir().unwrap());
        made.write(home.path());
        let seed = session().await;
        let mut alerts = seed.alerts();
        seed.add_torrent(AddTorrentParams::metainfo(made.metainfo, home.path())).unwrap();
        let error = wait(&mut alerts, "a refusal", |alert| match alert {
            Alert::TrackerError { error, .. } => Some(error.clone()),
            _ => None,
        });
        assert_eq!(error.await, "the tracker refuses: this tracker does not know the torrent");
    }
    assert_eq!(tracker.counts(), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_udp_tracker_that_comes_late_is_asked_again() {
    let place = tokio::net::UdpSocket::bind(local()).await.unwrap();
    let at = place.local_addr().unwrap();
    let config = ClientConfig { first_wait: Duration::from_millis(200), retries: 12 };
    let seed = Session::new(Settings { udp_tracker: config, ..settings() }).await.unwrap();
    let mut alerts = seed.alerts();
    let trackers = vec![vec![format!("udp://{at}")]];
    let (made, home) =
        (single("late", 50_000, 16384, Extra { private: false, trackers }), tempdir().unwrap());
    made.write(home.path());
    seed.add_torrent(AddTorrentParams::metainfo(made.metainfo, home.path())).unwrap();
    // The first packet comes, and is dropped.
    place.recv_from(&mut [0; 100]).await.unwrap();
    drop(place);
    let settings = TrackerSettings { udp: vec![at], ..TrackerSettings::default() };
    let _tracker = TrackerServer::start(settings).await.unwrap();
    wait(&mut alerts, "a reply", |alert| matches!(alert, Alert::TrackerReply { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_wants_to_be_left_alone_is_and_the_next_is_asked() {
    for retry in ["8:retry in5:never", "8:retry ini5e"] {
        let tracker = tracker(None).await;
        let body = format!("d14:failure reason6:closed{retry}e");
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}").into_bytes();
        let first = format!("http://{}/announce", server(vec![answer; 9]).await);
        let trackers = vec![vec![first.clone()], vec![http_url(&tracker)]];
        let (made, home) =
            (single("alone", 50_000, 16384, Extra { private: false, trackers }), tempdir().unwrap());
        made.write(home.path());
        let seed = session().await;
        let mut alerts = seed.alerts();
        let torrent = seed.add_torrent(AddTorrentParams::metainfo(made.metainfo, home.path())).unwrap();
        let mut refusals = 0;
        // It starts, stops, and starts again.
        for _ in 0..3 {
            wait(&mut alerts, "a reply", |alert| match alert {
                Alert::TrackerError { url, error, .. } => {
                    assert_eq!((url, error.as_str()), (&first, "the tracker refuses: closed"));
                    refusals += 1;
                    None
                }
                Alert::TrackerReply { .. } => Some(()),
                _ => None,
            })
            .await;
            // The alert is a little ahead of the torrent.
            while torrent.status().await.unwrap().swarm.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if torrent.status().await.unwrap().paused {
                torrent.resume().await.unwrap();
            } else {
                torrent.pause().await.unwrap();
            }
        }
        assert_eq!(refusals, 1, "{retry}");
        seed.close().await;
    }
}

/// A server that answers each connection with the next of these, whatever it is asked.
async fn server(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind(local()).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            for chunk in answer.chunks(7) {
                if stream.write_all(chunk).await.is_err() {
                    break;
                }
            }
        }
    });
    at
}

async fn fetch(answers: Vec<Vec<u8>>) -> Result<Vec<u8>, HttpError> {
    let at = server(answers).await;
    let limits = HttpLimits { time: LONG, body: 1000 };
    get(Url::parse(&format!("http://{at}/a?b=c")).unwrap(), limits, &[]).await
}

#[tokio::test]
async fn answers_in_every_form_that_servers_have() {
    for good in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.0 200\n\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length:5\r\nX: y\r\n\r\nhello, and more",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    ] {
        assert_eq!(fetch(vec![good.into()]).await.unwrap(), b"hello", "{good}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let long = |head: &str| [head.as_bytes(), &[b'x'; 70_000]].concat();
    for (bad, what) in [
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "its status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel".to_vec(), "it breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello".to_vec(), "its length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_vec(), "longer than 1000 bytes"),
        (long("HTTP/1.1 200 OK\r\n\r\n"), "longer than 1000 bytes"),
        (long("HTTP/1.1 200 OK\r\n"), "longer than 32768 bytes"),
        (long("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"), "longer than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".to_vec(), "a chunk's length"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
            "longer than 1000 bytes",
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), "status 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://x/\r\n\r\n".to_vec(), "https, which is not supported"),
        (Vec::new(), "it breaks off"),
    ] {
        let error = fetch(vec![bad]).await.unwrap_err().to_string();
        assert!(error.contains(what), "{error}, not {what}");
    }
}

#[tokio::test]
async fn redirects_are_followed_and_bounded() {
    let to = |place: &str| format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n").into_bytes();
    let last = b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec();
    assert_eq!(fetch(vec![to("/x"), to("y?z"), last]).await.unwrap(), b"hello");
    assert!(matches!(fetch(vec![to("/x"); 9]).await, Err(HttpError::Redirects)));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind(local()).await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let limits = HttpLimits { time: Duration::from_millis(200), body: 1000 };
    assert!(matches!(get(url, limits, &[]).await, Err(HttpError::Timeout(_))));
}

#[tokio::test]
async fn the_tracker_survives_what_is_no_request() {
    let tracker = tracker(None).await;
    let ask = async |request: &[u8]| {
        let mut stream = TcpStream::connect(tracker.http_addrs()[0]).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(ask(b"POST /announce HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    assert!(ask(b"GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    assert!(ask(b"\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    assert!(ask(b"GET /announce?x HTTP/1.1\r\n\r\n").await.contains("14:failure reason"));
    assert!(ask(b"GET /scrape HTTP/1.0\n\n").await.contains("the query has no info_hash"));
    let many = "a".repeat(9000);
    assert!(ask(format!("GET /announce?{many}").as_bytes()).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeds_part_once_both_are_complete() {
    let tracker = tracker(None).await;
    let trackers = vec![vec![http_url(&tracker)]];
    let (made, home) =
        (single("both", 50_000, 16384, Extra { private: false, trackers }), tempdir().unwrap());
    made.write(home.path());
    let (first, second) = (session().await, session().await);
    let mut alerts = second.alerts();
    first.add_torrent(AddTorrentParams::metainfo(made.metainfo.clone(), home.path())).unwrap();
    let mut params = AddTorrentParams::metainfo(made.metainfo, home.path());
    params.peers.push(addr(&first));
    second.add_torrent(params).unwrap();
    let reason = wait(&mut alerts, "a parting", |alert| match alert {
        Alert::PeerDisconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let reason = reason.await;
    let both = Closed::Ours(engine::peer::DisconnectReason::BothComplete);
    assert!(reason == both || matches!(reason, Closed::Theirs | Closed::Broken(_)), "{reason}");
}

/// rqbit announces so before it has the metadata, where others make up a number.
#[tokio::test]
async fn who_says_that_it_needs_nothing_hears_of_seeds() {
    let tracker = TrackerServer::start(TrackerSettings { http: vec![local()], ..TrackerSettings::default() });
    let tracker = tracker.await.unwrap();
    let ask = async |id: &str, port: u16| {
        let hash = "a".repeat(20);
        let query =
            format!("info_hash={hash}&peer_id={}&port={port}&uploaded=0&downloaded=0&left=0", id.repeat(20));
        let url = Url::parse(&format!("{}?{query}", http_url(&tracker))).unwrap();
        let body = get(url, HttpLimits { time: LONG, body: 1000 }, &[]).await.unwrap();
        AnnounceReply::from_bytes(&body).unwrap().peers
    };
    assert_eq!(ask("x", 1001).await, []);
    assert_eq!(ask("y", 1002).await, [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1001)]);
}

#[tokio::test]
async fn who_gives_too_little_is_refused_with_a_reason() {
    let config =
        TrackerConfig { min_ratio: Some(MinRatio { percent: 50, grace: 1000 }), ..TrackerConfig::default() };
    let settings = TrackerSettings { http: vec![local()], config, ..TrackerSettings::default() };
    let tracker = TrackerServer::start(settings).await.unwrap();
    let ask = async |uploaded: u64, downloaded: u64, event: &str| {
        let id = "aaaaaaaaaaaaaaaaaaaa";
        let url = format!(
            "{}?info_hash={id}&peer_id={id}&port=1&left=5&uploaded={uploaded}&downloaded={downloaded}{event}",
            http_url(&tracker)
        );
        let limits = HttpLimits { time: LONG, body: 1000 };
        let body = get(Url::parse(&url).unwrap(), limits, &[]).await.unwrap();
        AnnounceReply::from_bytes(&body).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(ask(0, 0, "&event=started").await, Ok(()));
    assert_eq!(ask(0, 900, "").await, Ok(()), "everyone has to begin somewhere");
    let refused = ask(100, 2000, "").await.unwrap_err();
    assert!(refused.starts_with("the tracker refuses: ") && refused.contains("ratio"), "{refused}");
    assert_eq!(ask(1000, 2000, "").await, Ok(()));
}
