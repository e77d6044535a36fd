//! Announces in, answers out, with numbers.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::Seed;
use crate::rng::{Rng, below};
use crate::tracker::Retry;
use crate::wire::PeerId;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn host(n: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from_bits(0x0a00_0000 + n).into(), 6881)
}

fn request(left: u64, event: Event) -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        ip: None,
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        numwant: None,
        compact: true,
        key: None,
        tracker_id: None,
    }
}

/// A tracker that has heard of `seeds` seeds (hosts from 0) and then `leechers` leechers.
fn tracker(config: TrackerConfig, seeds: u32, leechers: u32) -> (Tracker, Rng) {
    let (mut tracker, mut rng) = (Tracker::new(config), Seed(1).rng());
    for n in 0..seeds + leechers {
        let left = u64::from(n >= seeds);
        tracker.announce(at(0), &request(left, Event::Started), host(n), &mut rng).unwrap();
    }
    (tracker, rng)
}

#[test]
fn samples_are_uniform_without_the_one_who_asks() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 3, 18);
    let ask = AnnounceRequest { numwant: Some(5), ..request(1, Event::None) };
    let mut seen = [0u32; 21];
    for _ in 0..20_000 {
        let reply = tracker.announce(at(1), &ask, host(20), &mut rng).unwrap();
        assert_eq!(reply.peers.len(), 5);
        for (i, peer) in reply.peers.iter().enumerate() {
            assert!(!reply.peers[..i].contains(peer), "{peer} twice in one answer");
            seen[(0..21).find(|&n| host(n) == *peer).unwrap() as usize] += 1;
        }
    }
    assert_eq!(seen[20], 0);
    // Each of 20 in a quarter of the answers: 5,000, with a standard deviation of 61.
    assert!(seen[..20].iter().all(|n| (4_700..5_300).contains(n)), "{seen:?}");
    tracker.check();
}

#[test]
fn seeds_are_told_of_leechers_alone() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 10, 4);
    let reply = tracker.announce(at(1), &request(0, Event::None), host(0), &mut rng).unwrap();
    let mut peers = reply.peers;
    peers.sort();
    assert_eq!(peers, [10, 11, 12, 13].map(host));
    assert_eq!((reply.complete, reply.incomplete), (Some(10), Some(4)));
}

#[test]
fn seeds_are_told_of_seeds_where_leechers_leave_room() {
    // Who says that it needs nothing may have a magnet link alone.
    let (mut tracker, mut rng) = tracker(TrackerConfig::server(), 10, 4);
    for (numwant, seeds) in [(50, 9), (6, 2), (4, 0), (0, 0)] {
        let ask = AnnounceRequest { numwant: Some(numwant), ..request(0, Event::None) };
        let peers = tracker.announce(at(1), &ask, host(0), &mut rng).unwrap().peers;
        let of_seeds = peers.iter().filter(|peer| (1..10).map(host).any(|seed| seed == **peer)).count();
        assert_eq!((peers.len() - of_seeds, of_seeds), ((numwant as usize).min(4), seeds));
        assert!(!peers.contains(&host(0)));
    }
    tracker.check();
}

#[test]
fn client_server_is_seeds_alone() {
    let config = TrackerConfig { returns: Returns::Seeds, ..TrackerConfig::default() };
    let (mut tracker, mut rng) = tracker(config, 2, 8);
    let mut peers = tracker.announce(at(1), &request(1, Event::None), host(9), &mut rng).unwrap().peers;
    peers.sort();
    assert_eq!(peers, [0, 1].map(host));
    let reply = tracker.announce(at(1), &request(0, Event::None), host(0), &mut rng).unwrap();
    assert_eq!(reply.peers, []);
}

#[test]
fn the_number_of_peers_is_what_was_asked_within_limits() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 0, 300);
    for (numwant, got) in [(None, 50), (Some(0), 0), (Some(7), 7), (Some(u32::MAX), 200)] {
        let ask = AnnounceRequest { numwant, ..request(1, Event::None) };
        assert_eq!(tracker.announce(at(1), &ask, host(0), &mut rng).unwrap().peers.len(), got);
    }
}

#[test]
fn completion_is_counted_once_and_leaving_at_once() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 1, 2);
    let hash = InfoHash([1; 20]);
    for _ in 0..3 {
        tracker.announce(at(1), &request(0, Event::Completed), host(1), &mut rng).unwrap();
    }
    let counts = |tracker: &mut Tracker| tracker.scrape(at(1), &[hash, InfoHash([9; 20])]).files;
    let expected = ScrapeCounts { complete: 2, incomplete: 1, downloaded: 1 };
    assert_eq!(counts(&mut tracker), BTreeMap::from([(hash, expected)]));
    // Another address cannot remove it, though it says the same.
    tracker.announce(at(1), &request(0, Event::Stopped), host(7), &mut rng).unwrap();
    assert_eq!(tracker.members(), 3);
    for n in 0..3 {
        let reply = tracker.announce(at(1), &request(0, Event::Stopped), host(n), &mut rng).unwrap();
        assert_eq!(reply.peers, []);
    }
    assert_eq!((tracker.members(), tracker.swarms()), (0, 0));
    assert_eq!(counts(&mut tracker), BTreeMap::new());
}

#[test]
fn the_silent_are_forgotten() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 1, 2);
    tracker.announce(at(4000), &request(1, Event::None), host(1), &mut rng).unwrap();
    tracker.expire(at(4499));
    assert_eq!(tracker.members(), 3);
    tracker.expire(at(4500));
    assert_eq!(tracker.members(), 1);
    tracker.check();
    tracker.expire(at(8500));
    assert_eq!((tracker.members(), tracker.swarms()), (0, 0));
}

#[test]
fn what_cannot_be_held_is_refused() {
    let config = TrackerConfig { most_swarms: 1, most_members: 2, ..TrackerConfig::default() };
    let (mut tracker, mut rng) = tracker(config, 0, 2);
    let mut reason = |request: &AnnounceRequest, n| {
        tracker.announce(at(1), request, host(n), &mut rng).err().map(|failure| failure.reason)
    };
    let ask = request(1, Event::Started);
    assert_eq!(reason(&ask, 1), None);
    assert_eq!(reason(&ask, 2).unwrap(), "this tracker has as many peers as it can hold");
    let other = AnnounceRequest { info_hash: InfoHash([9; 20]), ..ask.clone() };
    assert_eq!(reason(&other, 1).unwrap(), "this tracker has as many torrents as it can hold");
    assert_eq!(reason(&AnnounceRequest { port: 0, ..ask }, 1).unwrap(), "port 0 cannot be connected to");
}

#[test]
fn the_address_is_where_it_comes_from_unless_told_otherwise() {
    for (trust_ip, expected) in [(false, "10.0.0.1:6881"), (true, "9.9.9.9:6881")] {
        let config = TrackerConfig { trust_ip, ..TrackerConfig::default() };
        let (mut tracker, mut rng) = (Tracker::new(config), Seed(1).rng());
        let ask = AnnounceRequest { ip: Some([9, 9, 9, 9].into()), ..request(1, Event::Started) };
        let from: SocketAddr = "[::ffff:10.0.0.1]:40000".parse().unwrap();
        tracker.announce(at(0), &ask, from, &mut rng).unwrap();
        let ask = AnnounceRequest { compact: false, ..request(1, Event::Started) };
        let reply = tracker.announce(at(0), &ask, host(5), &mut rng).unwrap();
        assert_eq!(reply.peers, [expected.parse().unwrap()]);
        assert_eq!(reply.peer_ids, [PeerId([2; 20])]);
    }
}

#[test]
fn both_families_are_told_of_each_other_in_every_form() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 1, 1);
    let from: SocketAddr = "[2001:db8::5]:1".parse().unwrap();
    let ask = AnnounceRequest { compact: false, ..request(1, Event::Started) };
    let reply = tracker.announce(at(1), &ask, from, &mut rng).unwrap();
    assert_eq!(reply.peers.len(), 2);
    let reply = tracker.announce(at(1), &ask, host(1), &mut rng).unwrap();
    for compact in [true, false] {
        let read = AnnounceReply::from_bytes(&reply.to_bytes(compact)).unwrap();
        let six = SocketAddr::new(from.ip(), 6881);
        assert!(read.peers.contains(&six) && read.peers.contains(&host(0)), "{compact}: {:?}", read.peers);
        assert_eq!(read.peer_ids.len(), if compact { 0 } else { 2 });
    }
    assert_eq!((reply.complete, reply.incomplete), (Some(1), Some(2)));
}

#[test]
fn torrents_that_are_not_on_the_list_are_not_known() {
    let (mut tracker, mut rng) = tracker(TrackerConfig::default(), 1, 1);
    let (one, two) = (InfoHash([1; 20]), InfoHash([2; 20]));
    tracker.allow_only(Some(BTreeSet::from([two])));
    assert_eq!((tracker.members(), tracker.swarms()), (0, 0));
    tracker.check();
    let mut announce = |tracker: &mut Tracker, info_hash| {
        let ask = AnnounceRequest { info_hash, ..request(1, Event::Started) };
        tracker.announce(at(1), &ask, host(1), &mut rng).map_err(|failure| failure.reason)
    };
    assert_eq!(announce(&mut tracker, one).unwrap_err(), "this tracker does not know the torrent");
    assert!(announce(&mut tracker, two).is_ok());
    let known: Vec<_> = tracker.scrape(at(1), &[one, two]).files.into_keys().collect();
    assert_eq!(known, [two]);
    tracker.allow_only(None);
    assert!(announce(&mut tracker, one).is_ok());
}

#[test]
fn who_asks_too_soon_is_told_of_nobody() {
    let config = TrackerConfig { hold_back: true, ..TrackerConfig::default() };
    let (mut tracker, mut rng) = tracker(config, 0, 5);
    let mut got = |seconds, event| {
        tracker.announce(at(seconds), &request(1, event), host(0), &mut rng).unwrap().peers.len()
    };
    assert_eq!([got(100, Event::None), got(369, Event::None), got(640, Event::None)], [0, 0, 4]);
    assert_eq!(got(641, Event::Started), 4, "an event is no question too many");
}

/// A tracker that asks for half of what is had, beyond 1,000 bytes.
fn strict() -> Tracker {
    let min_ratio = Some(MinRatio { percent: 50, grace: 1000 });
    Tracker::new(TrackerConfig { min_ratio, ..TrackerConfig::default() })
}

/// Announces under a name. The failure, if it is one.
fn says(
    tracker: &mut Tracker,
    now: u64,
    name: &[u8],
    peer: u8,
    [uploaded, downloaded, left]: [u64; 3],
    event: Event,
) -> Option<Failure> {
    let ask = AnnounceRequest { peer_id: PeerId([peer; 20]), uploaded, downloaded, ..request(left, event) };
    let origin = Origin { account: Some(name), ..host(1).into() };
    let reply = tracker.announce(at(now), &ask, origin, &mut Seed(1).rng());
    tracker.check();
    reply.err()
}

fn account(tracker: &Tracker, name: &[u8]) -> (u64, u64) {
    let account = tracker.account(&AccountKey::Named(name.into())).unwrap();
    (account.uploaded, account.downloaded)
}

#[test]
fn who_gives_too_little_is_refused_until_it_has_given() {
    let mut t = strict();
    assert_eq!(says(&mut t, 0, b"a", 1, [0, 0, 9000], Event::Started), None);
    assert_eq!(says(&mut t, 1, b"a", 1, [0, 1000, 8000], Event::None), None, "a beginning is free");
    let refused = says(&mut t, 2, b"a", 1, [310, 2000, 7000], Event::None).unwrap();
    assert_eq!(
        refused.reason,
        "your share ratio of 0.15 is below the 0.50 that this tracker asks for: upload 690 bytes more, by \
         seeding, before you download on"
    );
    assert_eq!(refused.retry, Retry::After(Duration::from_secs(300)));
    // Others still hear of it, so that it can give.
    let reply = t.announce(at(2), &request(1, Event::Started), host(2), &mut Seed(1).rng()).unwrap();
    assert_eq!(reply.peers, [host(1)]);
    // To leave, to seed and to have given enough are welcome.
    assert_eq!(says(&mut t, 3, b"a", 1, [310, 2000, 0], Event::Completed), None);
    assert!(says(&mut t, 4, b"a", 1, [999, 2000, 7000], Event::None).is_some());
    assert_eq!(says(&mut t, 5, b"a", 1, [1000, 2000, 7000], Event::None), None);
    assert_eq!(says(&mut t, 6, b"a", 1, [0, 9000, 7000], Event::Stopped), None);
}

#[test]
fn restarts_and_repetitions_are_counted_right() {
    let mut t = strict();
    let event = Event::None;
    says(&mut t, 0, b"a", 1, [0, 0, 9], Event::Started);
    for _ in 0..3 {
        says(&mut t, 1, b"a", 1, [10, 100, 9], event);
    }
    assert_eq!(account(&t, b"a"), (10, 100), "a packet that comes again counts once");
    // Started again under the same peer id: the totals fall, and count from zero.
    says(&mut t, 2, b"a", 1, [0, 0, 9], Event::Started);
    says(&mut t, 3, b"a", 1, [5, 50, 9], event);
    assert_eq!(account(&t, b"a"), (15, 150));
    // Without an announce in between, under the same id and under another.
    says(&mut t, 4, b"a", 1, [1, 20, 9], event);
    assert_eq!(account(&t, b"a"), (16, 170));
    says(&mut t, 5, b"a", 2, [4, 30, 9], Event::Started);
    assert_eq!(account(&t, b"a"), (20, 200));
    // A started that is said again, because its answer was lost.
    says(&mut t, 6, b"a", 2, [5, 31, 9], Event::Started);
    assert_eq!(account(&t, b"a"), (21, 201));
    // Another torrent is another session of the same account, another name another account.
    let other = AnnounceRequest { info_hash: InfoHash([7; 20]), ..request(9, Event::Started) };
    let other = AnnounceRequest { uploaded: 100, downloaded: 7, ..other };
    let origin = |name| Origin { account: Some(name), ..host(1).into() };
    t.announce(at(7), &other, origin(b"a"), &mut Seed(1).rng()).unwrap();
    t.announce(at(7), &other, origin(b"b"), &mut Seed(1).rng()).unwrap();
    assert_eq!((account(&t, b"a"), account(&t, b"b")), ((121, 208), (100, 7)));
    // A session that was forgotten goes on from where it is.
    says(&mut t, 10_000, b"a", 2, [1000, 1000, 9], event);
    says(&mut t, 10_001, b"a", 2, [1001, 1003, 9], event);
    assert_eq!(account(&t, b"a"), (122, 211));
    // A tracker that was started anew gets the accounts back and counts on.
    let mut again = strict();
    for (key, account) in t.accounts() {
        again.set_account(at(0), key.clone(), account);
    }
    says(&mut again, 1, b"a", 2, [1001, 1003, 9], event);
    says(&mut again, 2, b"a", 2, [1002, 1003, 9], event);
    assert_eq!(account(&again, b"a"), (123, 211));
}

#[test]
fn accounts_without_a_name_are_by_address_and_their_number_is_bounded() {
    let min_ratio = Some(MinRatio { percent: 50, grace: 1000 });
    let config = TrackerConfig { min_ratio, most_members: 5, ..TrackerConfig::default() };
    let mut t = Tracker::new(config);
    let ask = AnnounceRequest { downloaded: 10, ..request(1, Event::Started) };
    for n in 0..20 {
        let _ = t.announce(at(n.into()), &ask, host(n), &mut Seed(1).rng());
        t.check();
    }
    assert_eq!(t.accounts().count(), 5);
    let last = AccountKey::of(None, host(19).ip());
    assert_eq!(t.account(&last), Some(Account { uploaded: 0, downloaded: 10 }));
    let net = |ip: &str| AccountKey::of(None, ip.parse().unwrap());
    assert_eq!(net("2001:db8:1:2::1"), net("2001:db8:1:2:ffff::"));
    assert_ne!(net("2001:db8:1:2::1"), net("2001:db8:1:3::1"));
    assert_eq!(net("::ffff:10.0.0.1"), AccountKey::V4([10, 0, 0, 1].into()));
}

proptest! {
    #[test]
    fn any_announces_keep_it_whole(seed in any::<u64>()) {
        let mut draw = Seed(seed).rng();
        let (mut tracker, mut rng) = (Tracker::new(TrackerConfig::default()), Seed(seed).derive("t", 0).rng());
        let mut now = 0;
        for _ in 0..200 {
            now += u64::from(below(&mut draw, 200));
            let event = [Event::None, Event::Started, Event::Completed, Event::Stopped]
                [below(&mut draw, 4) as usize];
            let n = below(&mut draw, 30);
            let ask = AnnounceRequest {
                info_hash: InfoHash([below(&mut draw, 3) as u8; 20]),
                ..request(below(&mut draw, 2).into(), event)
            };
            let reply = tracker.announce(at(now), &ask, host(n), &mut rng).unwrap();
            prop_assert!(!reply.peers.contains(&host(n)));
            let others = reply.complete.unwrap() * u32::from(ask.left > 0) + reply.incomplete.unwrap();
            if event != Event::Stopped {
                prop_assert_eq!(reply.peers.len() as u32, others - u32::from(ask.left > 0));
            }
            tracker.check();
        }
    }
}
