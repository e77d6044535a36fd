//! Announces in, answers out, with numbers.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::Seed;
use crate::rng::{Rng, below};
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
