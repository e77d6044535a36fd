//! Packets byte by byte, the two machines against each other, and a network that loses, doubles and delays.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::rng::{Rng, Seed, below};
use crate::time::Instant;
use crate::tracker::origin::Family;
use crate::tracker::reply::AnnounceReply;
use crate::tracker::request::{AnnounceRequest, Event};
use crate::tracker::scrape::ScrapeCounts;
use crate::tracker::server::{Tracker, TrackerConfig};
use crate::wire::{InfoHash, PeerId};

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        ip: None,
        port: 6881,
        uploaded: 3,
        downloaded: 4,
        left: 5,
        event: Event::Started,
        numwant: None,
        compact: true,
        key: Some(7),
        tracker_id: None,
    }
}

fn client(seed: u64) -> Client {
    Client::new(Family::V4, ClientConfig::default(), Seed(seed))
}

/// What the client sends now, decoded.
fn sent(client: &mut Client) -> Vec<Request> {
    let packet = |output| match output {
        Output::Send(packet) => Request::from_bytes(&packet).unwrap(),
        other => panic!("{other:?}"),
    };
    std::iter::from_fn(|| client.poll_output()).map(packet).collect()
}

#[test]
fn packets_are_laid_out_as_bep_15_says() {
    let connect = Request::Connect { transaction: 0x0102_0304 };
    assert_eq!(connect.to_bytes(), b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04");
    let url = b"/dir?a=b&c=d".to_vec();
    let announce =
        Request::Announce { connection: 9, transaction: 8, announce: Box::new(request()), url: url.clone() };
    let bytes = announce.to_bytes();
    let fields: [(usize, &[u8]); 12] = [
        (0, &[0, 0, 0, 0, 0, 0, 0, 9]),
        (8, &[0, 0, 0, 1]),
        (12, &[0, 0, 0, 8]),
        (16, &[1; 20]),
        (36, &[2; 20]),
        (56, &[0, 0, 0, 0, 0, 0, 0, 4]),
        (64, &[0, 0, 0, 0, 0, 0, 0, 5]),
        (72, &[0, 0, 0, 0, 0, 0, 0, 3]),
        (80, &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]),
        (92, &[0xff, 0xff, 0xff, 0xff]),
        (96, &[0x1a, 0xe1]),
        // BEP 41's own example.
        (98, b"\x02\x0c/dir?a=b&c=d"),
    ];
    for (offset, expected) in fields {
        assert_eq!(&bytes[offset..offset + expected.len()], expected, "at {offset}");
    }
    assert_eq!(bytes.len(), 98 + 14);
    let mut padded = bytes.clone();
    padded.extend_from_slice(&[1, 1, 9, 2, 0, 0, 2, 1, b'!', 0, 2, 1, b'?']);
    let Ok(Request::Announce { url: read, .. }) = Request::from_bytes(&padded) else { panic!() };
    assert_eq!(read, [url, b"!".to_vec()].concat(), "no-operations and unknown options are passed over");

    let reply = AnnounceReply {
        interval: Duration::from_secs(1800),
        complete: Some(2),
        incomplete: Some(1),
        peers: vec![addr("1.2.3.4:5"), addr("[::6]:7")],
        ..AnnounceReply::default()
    };
    let response = Response::Announce { transaction: 8, reply };
    let v4 = response.to_bytes(Family::V4);
    assert_eq!(v4, b"\0\0\0\x01\0\0\0\x08\0\0\x07\x08\0\0\0\x01\0\0\0\x02\x01\x02\x03\x04\0\x05");
    let v6 = response.to_bytes(Family::V6);
    assert_eq!((v6.len(), &v6[35..]), (38, &[6, 0, 7][..]));
}

#[test]
fn what_is_too_short_is_refused() {
    let announce =
        Request::Announce { connection: 9, transaction: 8, announce: Box::new(request()), url: Vec::new() };
    let scrape = Request::Scrape { connection: 9, transaction: 8, torrents: vec![InfoHash([1; 20])] };
    for (request, least) in [(Request::Connect { transaction: 1 }, 16), (announce, 98), (scrape, 36)] {
        let bytes = request.to_bytes();
        assert_eq!(bytes.len(), least);
        for got in 0..least {
            let error = Request::from_bytes(&bytes[..got]);
            assert_eq!(error, Err(PacketError::Short { got, least: if got < 16 { 16 } else { least } }));
        }
        let longer = [bytes, vec![0xff; 7]].concat();
        assert_eq!(Request::from_bytes(&longer), Ok(request), "packets may grow");
    }
    let mut odd = Request::Connect { transaction: 1 }.to_bytes();
    odd[7] = 0;
    assert_eq!(Request::from_bytes(&odd), Err(PacketError::Protocol));
    odd[11] = 3;
    assert_eq!(Request::from_bytes(&odd), Err(PacketError::Action(3)));
    for (action, least) in [(0, 16), (1, 20), (2, 8), (3, 8)] {
        let bytes = [0, 0, 0, action, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9];
        for got in 0..=20 {
            let short = Err(PacketError::Short { got, least: if got < 8 { 8 } else { least } });
            let read = Response::from_bytes(&bytes[..got], Family::V4);
            assert_eq!(read == short, got < least, "{action} {got} {read:?}");
        }
    }
}

#[test]
fn the_times_of_bep_15() {
    // "Announce times out": a wait that doubles from packet to packet, and a new connection id on the way.
    let mut c = client(1);
    c.announce(at(0), request(), "");
    let [Request::Connect { transaction }] = sent(&mut c)[..] else { panic!() };
    assert_eq!(c.poll_timeout(), Some(at(15)));
    let connected = Response::Connect { transaction, connection: 77 }.to_bytes(Family::V4);
    c.handle_packet(at(1), &connected);
    assert!(matches!(sent(&mut c)[..], [Request::Announce { connection: 77, .. }]));
    let mut times = Vec::new();
    while let Some(due) = c.poll_timeout() {
        c.handle_timeout(due);
        let now = due.as_nanos() / 1_000_000_000;
        match c.poll_output() {
            Some(Output::Send(packet)) => {
                let announces = matches!(Request::from_bytes(&packet), Ok(Request::Announce { .. }));
                times.push((now, announces));
            }
            Some(Output::Announced(_, Err(QueryError::TimedOut))) => times.push((now, false)),
            other => panic!("{other:?}"),
        }
    }
    let due = [15, 45, 105, 225, 465, 945, 1905, 3825, 7665];
    let expected: Vec<_> = due.iter().map(|&due| (due, due < 61)).collect();
    assert_eq!(times, expected, "the connection id is 60 s old at 61 s");
    assert_eq!((c.under_way(), c.poll_output()), (0, None));
}

#[test]
fn one_connection_id_serves_many_questions_for_a_minute() {
    let mut c = client(2);
    let first = c.announce(at(0), request(), "");
    let second = c.scrape(at(1), &[InfoHash([1; 20])]);
    let packets = sent(&mut c);
    let [Request::Connect { transaction }] = packets[..] else { panic!("{packets:?}") };
    for wrong in [
        Response::Connect { transaction: transaction ^ 1, connection: 5 }.to_bytes(Family::V4),
        Response::Error { transaction: transaction ^ 1, message: "no".into() }.to_bytes(Family::V4),
        Response::Connect { transaction, connection: 5 }.to_bytes(Family::V4)[..15].to_vec(),
        vec![],
    ] {
        c.handle_packet(at(1), &wrong);
        assert_eq!(c.poll_output(), None);
    }
    let connected = Response::Connect { transaction, connection: 5 }.to_bytes(Family::V4);
    c.handle_packet(at(2), &connected);
    let packets = sent(&mut c);
    let [Request::Announce { transaction: a, .. }, Request::Scrape { transaction: s, .. }] = packets[..]
    else {
        panic!("{packets:?}")
    };
    c.handle_packet(at(2), &connected);
    assert_eq!(c.poll_output(), None, "nobody asked for a second one");
    // An answer of the wrong kind is none.
    let counts = vec![ScrapeCounts { complete: 1, incomplete: 2, downloaded: 3 }];
    let scraped = |transaction| Response::Scrape { transaction, counts: counts.clone() }.to_bytes(Family::V4);
    c.handle_packet(at(3), &scraped(a));
    assert_eq!(c.poll_output(), None);
    c.handle_packet(at(3), &scraped(s));
    let Some(Output::Scraped(id, Ok(reply))) = c.poll_output() else { panic!() };
    assert_eq!((id, reply.files[&InfoHash([1; 20])]), (second, counts[0]));
    c.handle_packet(at(3), &scraped(s));
    assert_eq!(c.poll_output(), None, "answered once");
    let refused = Response::Error { transaction: a, message: "go away".into() }.to_bytes(Family::V4);
    c.handle_packet(at(4), &refused);
    let refused = Err(QueryError::Refused("go away".into()));
    assert_eq!(c.poll_output(), Some(Output::Announced(first, refused)));
    // Who is refused does not trust its connection id any more.
    c.announce(at(5), request(), "");
    let [Request::Connect { transaction }] = sent(&mut c)[..] else { panic!() };
    let connected = Response::Connect { transaction, connection: 6 }.to_bytes(Family::V4);
    c.handle_packet(at(6), &connected);
    assert!(matches!(sent(&mut c)[..], [Request::Announce { connection: 6, .. }]));
    c.scrape(at(65), &[InfoHash([1; 20])]);
    assert!(matches!(sent(&mut c)[..], [Request::Scrape { connection: 6, .. }]));
    c.scrape(at(66), &[InfoHash([1; 20])]);
    assert!(matches!(sent(&mut c)[..], [Request::Connect { .. }]));
}

#[test]
fn a_refusal_to_connect_is_an_answer_to_all() {
    let mut c = client(3);
    let (a, b) = (c.announce(at(0), request(), ""), c.scrape(at(0), &[]));
    let [Request::Connect { transaction }] = sent(&mut c)[..] else { panic!() };
    let gone = c.announce(at(0), request(), "");
    c.cancel(gone);
    let error = Response::Error { transaction, message: String::new() }.to_bytes(Family::V4);
    c.handle_packet(at(1), &error);
    let no = || QueryError::Refused(String::new());
    assert_eq!(c.poll_output(), Some(Output::Announced(a, Err(no()))));
    assert_eq!(c.poll_output(), Some(Output::Scraped(b, Err(no()))));
    assert_eq!((c.poll_output(), c.poll_timeout()), (None, None));
}

#[test]
fn a_connection_id_is_good_for_its_address_and_two_minutes() {
    let server = Server::new([9; 32]);
    let ask = |now, from: &str| {
        let packet = Request::Connect { transaction: 1 }.to_bytes();
        let answer = server.check(at(now), &packet, addr(from)).unwrap_err().unwrap();
        assert_eq!(answer.len(), packet.len(), "no more than came");
        let Ok(Response::Connect { transaction: 1, connection }) = Response::from_bytes(&answer, Family::V4)
        else {
            panic!()
        };
        connection
    };
    let good = |now, connection, from: &str| {
        let scrape = Request::Scrape { connection, transaction: 2, torrents: vec![InfoHash([1; 20])] };
        let packet = scrape.to_bytes();
        match server.check(at(now), &packet, addr(from)) {
            Ok(_) => true,
            Err(Some(answer)) => {
                assert!(answer.len() < packet.len(), "no more than came");
                false
            }
            Err(None) => panic!(),
        }
    };
    for given in [0, 30, 59, 1000, 1019] {
        let id = ask(given, "10.0.0.1:1");
        for age in 0..=120 {
            assert!(good(given + age, id, "10.0.0.1:1"), "{age} s");
        }
        assert!(!good(given + 181, id, "10.0.0.1:1"));
        assert!(good(given, id, "10.0.0.1:2"), "behind a NAT the port may change");
        assert!(good(given, id, "[::ffff:10.0.0.1]:1"));
        assert!(!good(given, id, "10.0.0.2:1") && !good(given, id ^ 1, "10.0.0.1:1"));
    }
    let other = Server::new([8; 32]);
    let packet = Request::Connect { transaction: 1 }.to_bytes();
    let theirs = other.check(at(0), &packet, addr("10.0.0.1:1"));
    assert_ne!(theirs, server.check(at(0), &packet, addr("10.0.0.1:1")), "the secret counts");
    assert_eq!(server.check(at(0), b"d1:y1:qe", addr("10.0.0.1:1")), Err(None));
}

#[test]
fn each_family_is_told_of_its_own() {
    let (server, mut rng) = (Server::new([1; 32]), Seed(1).rng());
    let mut tracker = Tracker::new(TrackerConfig::default());
    let ask = |from: &str, tracker: &mut Tracker, rng: &mut Rng| {
        let family = Family::of(addr(from).ip());
        let mut c = Client::new(family, ClientConfig::default(), Seed(4));
        c.announce(at(0), request(), "");
        loop {
            match c.poll_output().expect("an answer") {
                Output::Send(packet) => {
                    let answer = server.handle(at(0), &packet, addr(from), tracker, rng).unwrap();
                    c.handle_packet(at(0), &answer);
                }
                Output::Announced(_, reply) => return reply.unwrap(),
                Output::Scraped(..) => panic!(),
            }
        }
    };
    for n in 1..=200 {
        ask(&format!("10.0.1.{n}:5"), &mut tracker, &mut rng);
        ask(&format!("[2001:db8::{n:x}]:5"), &mut tracker, &mut rng);
    }
    let v4 = ask("10.0.0.1:5", &mut tracker, &mut rng);
    let v6 = ask("[2001:db8::ffff]:5", &mut tracker, &mut rng);
    assert_eq!((v4.peers.len(), v6.peers.len()), (50, 50));
    assert!(v4.peers.iter().all(|peer| peer.is_ipv4()) && v6.peers.iter().all(|peer| peer.is_ipv6()));
    assert_eq!((v4.incomplete, v6.incomplete), (Some(401), Some(402)), "the counts are of both");
    // As many as fit a packet.
    let peers = vec![addr("[2001:db8::1]:1"); 200];
    let reply = AnnounceReply { peers, ..AnnounceReply::default() };
    let packet = Response::Announce { transaction: 1, reply }.to_bytes(Family::V6);
    assert_eq!(packet.len(), 20 + 67 * 18);
    assert!(packet.len() <= MAX_PACKET);
}

/// A network between a client and a server: each packet is lost, doubled and delayed as `rng` says.
struct Network {
    rng: Rng,
    /// When, towards the server or not, and what.
    way: Vec<(Instant, bool, Vec<u8>)>,
    loss: u32,
}

impl Network {
    fn carry(&mut self, now: Instant, up: bool, packet: &[u8]) {
        let copies = 1 + u32::from(below(&mut self.rng, 100) < 20);
        for _ in 0..copies {
            if below(&mut self.rng, 100) >= self.loss {
                let delay = Duration::from_millis(below(&mut self.rng, 20_000).into());
                self.way.push((now + delay, up, packet.to_vec()));
            }
        }
    }
}

#[test]
fn questions_get_through_a_bad_network_once_each() {
    let mut timed_out = 0;
    for seed in 0..40 {
        let mut network = Network { rng: Seed(seed).rng(), way: Vec::new(), loss: 40 };
        let (server, mut rng) = (Server::new([3; 32]), Seed(seed).derive("tracker", 0).rng());
        let expire_after = Duration::from_secs(100_000);
        let mut tracker = Tracker::new(TrackerConfig { expire_after, ..TrackerConfig::default() });
        let (mut c, mut announced) = (client(seed), 0);
        let from = addr("10.0.0.1:9999");
        let mut open: Vec<_> = (0..10)
            .map(|n| {
                let announce = AnnounceRequest { info_hash: InfoHash([n; 20]), ..request() };
                if n % 2 == 0 {
                    c.announce(at(0), announce, "/x")
                } else {
                    c.scrape(at(0), &[InfoHash([n; 20])])
                }
            })
            .collect();
        let mut now = at(0);
        loop {
            while let Some(output) = c.poll_output() {
                let id = match output {
                    Output::Send(packet) => {
                        network.carry(now, true, &packet);
                        continue;
                    }
                    Output::Announced(id, result) => {
                        announced += usize::from(result.is_ok());
                        assert!(
                            result.as_ref().is_ok_and(|reply| reply.incomplete == Some(1)) || {
                                timed_out += 1;
                                result == Err(QueryError::TimedOut)
                            }
                        );
                        id
                    }
                    Output::Scraped(id, result) => {
                        timed_out += u32::from(result.is_err());
                        id
                    }
                };
                let place = open.iter().position(|&asked| asked == id);
                open.swap_remove(place.expect("one answer to each question"));
            }
            let arrival = network.way.iter().map(|(when, ..)| *when).min();
            let Some(next) = arrival.into_iter().chain(c.poll_timeout()).min() else { break };
            now = now.max(next);
            match network.way.iter().position(|(when, ..)| *when <= now) {
                Some(at) => match network.way.swap_remove(at) {
                    (_, true, packet) => {
                        if let Some(answer) = server.handle(now, &packet, from, &mut tracker, &mut rng) {
                            network.carry(now, false, &answer);
                        }
                    }
                    (_, false, packet) => c.handle_packet(now, &packet),
                },
                None => c.handle_timeout(now),
            }
        }
        assert_eq!(open, [], "seed {seed}");
        assert!((announced..=5).contains(&tracker.members()), "seed {seed}");
    }
    // Past the first minute each try needs four packets to get through, a chance of about one in six; nine
    // tries in a row fail for one question in ten.
    assert!(timed_out < 80, "{timed_out} of 400");
}

prop_compose! {
    fn requests()(
        hash in any::<[u8; 20]>(), id in any::<[u8; 20]>(), ip in prop::option::of(1u32..),
        port in any::<u16>(), counts in any::<[u64; 3]>(), key in any::<u32>(),
        numwant in prop::option::of(0..=i32::MAX as u32), event in 0..4usize,
    ) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: InfoHash(hash), peer_id: PeerId(id), port, numwant, key: Some(key),
            ip: ip.map(|ip| std::net::Ipv4Addr::from(ip).into()),
            uploaded: counts[0], downloaded: counts[1], left: counts[2],
            event: [Event::None, Event::Started, Event::Completed, Event::Stopped][event],
            compact: true, tracker_id: None,
        }
    }
}

proptest! {
    #[test]
    fn requests_read_what_they_say(
        announce in requests(), connection in any::<u64>(), transaction in any::<u32>(),
        url in prop::collection::vec(any::<u8>(), 0..600), hashes in prop::collection::vec(any::<[u8; 20]>(), 1..75),
    ) {
        let torrents = hashes.into_iter().map(InfoHash).collect();
        for request in [
            Request::Connect { transaction },
            Request::Announce { connection, transaction, announce: Box::new(announce), url },
            Request::Scrape { connection, transaction, torrents },
        ] {
            prop_assert_eq!(Request::from_bytes(&request.to_bytes()), Ok(request));
        }
    }

    #[test]
    fn responses_read_what_they_say(
        transaction in any::<u32>(), connection in any::<u64>(), interval in 1u64..604_800,
        counts in any::<[u32; 2]>(), v4 in prop::collection::vec((any::<[u8; 4]>(), 1u16..), 0..200),
        v6 in prop::collection::vec((any::<[u16; 8]>(), 1u16..), 0..67), message in ".{0,100}",
        files in prop::collection::vec(any::<[u32; 3]>(), 0..74),
    ) {
        let v6 = v6.into_iter().filter(|(ip, _)| std::net::Ipv6Addr::from(*ip).to_ipv4_mapped().is_none());
        for (family, peers) in [
            (Family::V4, v4.into_iter().map(SocketAddr::from).collect::<Vec<_>>()),
            (Family::V6, v6.map(SocketAddr::from).collect()),
        ] {
            let reply = AnnounceReply {
                interval: Duration::from_secs(interval), complete: Some(counts[0]), incomplete: Some(counts[1]),
                peers, ..AnnounceReply::default()
            };
            let files = files.iter().map(|&[complete, incomplete, downloaded]| {
                ScrapeCounts { complete, incomplete, downloaded }
            });
            for response in [
                Response::Connect { transaction, connection },
                Response::Announce { transaction, reply },
                Response::Scrape { transaction, counts: files.collect() },
                Response::Error { transaction, message: message.clone() },
            ] {
                prop_assert_eq!(Response::from_bytes(&response.to_bytes(family), family), Ok(response));
            }
        }
    }

    #[test]
    fn no_packet_breaks_it(
        action in 0u8..5, magic in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut question = if magic { PROTOCOL_BYTES.to_vec() } else { vec![7; 8] };
        question.extend_from_slice(&[0, 0, 0, action]);
        question.extend_from_slice(&bytes);
        let response = [&[0, 0, 0, action][..], &bytes].concat();
        for packet in [&bytes, &question, &response] {
            let _ = Request::from_bytes(packet);
            let (server, mut tracker) = (Server::new([0; 32]), Tracker::new(TrackerConfig::default()));
            server.handle(at(0), packet, addr("1.2.3.4:5"), &mut tracker, &mut Seed(0).rng());
            for family in [Family::V4, Family::V6] {
                let _ = Response::from_bytes(packet, family);
            }
            let mut c = client(0);
            c.announce(at(0), request(), "");
            c.handle_packet(at(0), packet);
        }
    }
}

const PROTOCOL_BYTES: [u8; 8] = packet::PROTOCOL.to_be_bytes();
