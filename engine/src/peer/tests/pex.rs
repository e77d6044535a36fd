//! Peer exchange (BEP 11): one peer on a bench, and three in a network.

use std::net::SocketAddr;

use super::bench::*;
use crate::ids::ConnId;
use crate::peer::{Input, Output, Peer, PeerConfig, Violation};
use crate::testing::{self, Net};
use crate::wire::extension::{PEX_ID, UT_PEX};
use crate::wire::pex::flag;
use crate::wire::{Contact, ExtendedHandshake, Message, PexMessage};

fn client() -> Setup {
    Setup {
        config: PeerConfig { pipeline: Setup::leech(1).config.pipeline, ..PeerConfig::client() },
        ..Setup::leech(8)
    }
}

/// Remote number `n`, which takes PEX under id 9, and listens on `port`.
fn remote(bench: &mut Bench, n: u8, port: Option<u16>) -> ConnId {
    let (conn, _) = bench.greet(n, true);
    let port = port.map_or(String::new(), |port| format!("1:pi{port}e"));
    let text = format!("d1:md6:ut_pexi9ee{port}e");
    bench.say(conn, Message::Extended { id: 0, payload: text.into_bytes().into() });
    conn
}

fn pex(outputs: &[Output], conn: ConnId) -> Vec<PexMessage> {
    let read = |message| match message {
        Message::Extended { id: 9, payload } => Some(PexMessage::from_bytes(&payload).unwrap()),
        _ => None,
    };
    sent(outputs, conn).into_iter().filter_map(read).collect()
}

fn contact(n: u32, port: u16, flags: u8) -> Contact {
    Contact { addr: SocketAddr::new(ip(n), port), flags }
}

fn tell(bench: &mut Bench, conn: ConnId, message: &PexMessage) -> Vec<Output> {
    bench.say(conn, Message::Extended { id: PEX_ID, payload: message.to_bytes().into() })
}

#[test]
fn who_comes_and_goes_is_told_once_a_minute() {
    let mut bench = client().bench();
    let two = remote(&mut bench, 2, Some(1002));
    let three = remote(&mut bench, 3, Some(1003));
    // Its port is not known: nobody can be told of it.
    let four = remote(&mut bench, 4, None);
    bench.input(Input::Discovered { peers: vec![addr(5)] });
    let five = ConnId(5);
    bench.input(Input::Connected { conn: five, addr: addr(5), outgoing: true });
    bench.input(Input::Handshake { conn: five, handshake: handshake(5, true) });
    bench.say(five, Message::HaveAll);

    let outputs = bench.pass(seconds(10));
    let reachable = contact(5, 6881, flag::REACHABLE | flag::SEED);
    assert_eq!(
        pex(&outputs, two),
        [PexMessage { added: vec![contact(3, 1003, 0), reachable], dropped: vec![] }]
    );
    let both = vec![contact(2, 1002, 0), contact(3, 1003, 0), reachable];
    assert_eq!(pex(&outputs, four), [PexMessage { added: both, dropped: vec![] }]);
    assert_eq!(pex(&outputs, five), [], "it takes none");

    bench.input(Input::Closed { conn: three });
    remote(&mut bench, 6, Some(1006));
    let upload_only = Message::Extended { id: 0, payload: b"d11:upload_onlyi1ee"[..].into() };
    bench.say(ConnId(6), upload_only);
    // Who has come and gone in between is not spoken of.
    let seven = remote(&mut bench, 7, Some(1007));
    bench.input(Input::Closed { conn: seven });
    assert_eq!(pex(&bench.pass(seconds(50)), two), [], "once a minute");
    let outputs = bench.pass(seconds(10));
    let news =
        PexMessage { added: vec![contact(6, 1006, flag::SEED)], dropped: vec![SocketAddr::new(ip(3), 1003)] };
    assert_eq!(pex(&outputs, two), std::slice::from_ref(&news));
    assert_eq!(pex(&outputs, four), [news]);
    assert_eq!(pex(&bench.pass(seconds(55)), two), [], "nothing new");
}

#[test]
fn no_more_than_fifty_at_a_time() {
    let mut bench = client().with(|config| config.max_connections = 200).bench();
    let two = remote(&mut bench, 2, Some(1));
    for n in 10..140 {
        remote(&mut bench, n, Some(1));
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        let news = pex(&bench.pass(seconds(60)), two);
        (2..140).for_each(|n| drop(bench.say(ConnId(n), Message::KeepAlive)));
        told.push(news.iter().map(|news| news.added.len()).sum::<usize>());
    }
    assert_eq!(told, [50, 50, 30, 0]);
    for n in 10..140 {
        bench.input(Input::Closed { conn: ConnId(n) });
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        let news = pex(&bench.pass(seconds(60)), two);
        bench.say(two, Message::KeepAlive);
        told.push(news.iter().map(|news| news.dropped.len()).sum::<usize>());
    }
    assert_eq!(told, [50, 50, 30, 0]);
}

#[test]
fn what_is_told_is_dialled_within_limits() {
    let limits = |config: &mut PeerConfig| {
        (config.max_half_open, config.max_initiate, config.max_connections) = (400, 400, 400);
    };
    let mut bench = client().with(limits).bench();
    let two = remote(&mut bench, 2, None);
    bench.input(Input::Discovered { peers: vec![] });
    let message = PexMessage {
        // Our own, that of the bench; the one who says it; one address with two ports.
        added: vec![
            contact(1, 6881, 0),
            contact(2, 6881, 0),
            contact(20, 1, 0),
            contact(20, 2, 0),
            contact(21, 1, 0),
        ],
        dropped: vec![],
    };
    assert_eq!(dialled(&tell(&mut bench, two, &message)), [contact(20, 1, 0).addr, contact(21, 1, 0).addr]);
    bench.now = bench.now + seconds(60);
    let many = (100..300).map(|n| contact(n, 1, 0)).collect();
    let many = PexMessage { added: many, dropped: vec![] };
    assert_eq!(dialled(&tell(&mut bench, two, &many)).len(), 50);
    let three = remote(&mut bench, 3, None);
    let fresh = (1000..1200).map(|n| contact(n, 1, 0)).collect();
    let fresh = PexMessage { added: fresh, dropped: vec![] };
    assert_eq!(dialled(&tell(&mut bench, three, &fresh)).len(), 100, "the first may be longer");

    let mut seed = Setup { have: (0..8).collect(), ..client() }.bench();
    let two = remote(&mut seed, 2, None);
    let message = PexMessage { added: vec![contact(20, 1, flag::SEED), contact(21, 1, 0)], dropped: vec![] };
    assert_eq!(dialled(&tell(&mut seed, two, &message)), [contact(21, 1, 0).addr], "a seed needs no seeds");
}

#[test]
fn floods_are_ignored_and_then_closed() {
    let mut bench = client().bench();
    let two = remote(&mut bench, 2, None);
    let one = |n| PexMessage { added: vec![contact(n, 1, 0)], dropped: vec![] };
    assert_eq!(dialled(&tell(&mut bench, two, &one(20))).len(), 1);
    for n in 0..16 {
        assert!(tell(&mut bench, two, &one(30 + n)).is_empty());
    }
    assert_violation(&tell(&mut bench, two, &one(99)), two, Violation::PexFlood);
    // What cannot be read is passed over.
    let three = remote(&mut bench, 3, None);
    for payload in ["", "le", "d5:added7:xxxxxxxe"] {
        let payload = payload.as_bytes().to_vec().into();
        assert!(bench.say(three, Message::Extended { id: PEX_ID, payload }).is_empty());
        bench.now = bench.now + seconds(60);
    }
}

#[test]
fn private_torrents_and_those_who_want_none_have_none() {
    for setup in [Setup { private: true, ..client() }, client().with(|config| config.pex = false)] {
        let mut bench = setup.bench();
        let (_, outputs) = bench.greet(8, true);
        let ours = sent(&outputs, ConnId(8)).into_iter().find_map(|message| match message {
            Message::Extended { id: 0, payload } => ExtendedHandshake::from_bytes(&payload).ok(),
            _ => None,
        });
        assert_eq!(ours.unwrap().id(UT_PEX), None);
        let two = remote(&mut bench, 2, Some(1));
        remote(&mut bench, 3, Some(1));
        let message = PexMessage { added: vec![contact(20, 1, 0)], dropped: vec![] };
        assert!(tell(&mut bench, two, &message).is_empty());
        assert_eq!(pex(&bench.pass(seconds(100)), two), []);
    }
}

#[test]
fn we_are_not_dialled_twice_under_an_address_we_did_not_know() {
    let mut bench = client().bench();
    let two = remote(&mut bench, 2, None);
    let message = PexMessage { added: vec![contact(77, 6881, 0)], dropped: vec![] };
    assert_eq!(dialled(&tell(&mut bench, two, &message)), [addr(77)]);
    bench.input(Input::Connected { conn: ConnId(9), addr: addr(77), outgoing: true });
    bench.input(Input::Handshake { conn: ConnId(9), handshake: handshake(1, true) });
    for _ in 0..3 {
        assert_eq!(dialled(&bench.pass(seconds(60))), []);
        assert_eq!(dialled(&tell(&mut bench, two, &message)), [], "it was us");
    }
}

/// Peers without anything, the first of which is known to all.
fn swarm(count: usize, setup: &Setup) -> Net {
    let mut net = Net::new();
    for n in 0..count {
        // The bench's addresses begin at 10.0.0.0, the network's at 10.0.0.1.
        let node = net.add(Setup { peer_id: n as u8 + 1, seed: n as u64, ..setup.clone() }.peer());
        assert_eq!(testing::addr(n), addr(n as u32 + 1));
        if node > 0 {
            net.feed(node, Input::Discovered { peers: vec![testing::addr(0)] });
        }
    }
    net
}

fn connections(net: &mut Net) -> Vec<u32> {
    (0..net.nodes.len()).map(|n| net.at::<Peer>(n).connections()).collect()
}

#[test]
fn three_who_know_one_come_to_know_each_other() {
    let mut net = swarm(3, &client());
    net.run(seconds(1), |_| false);
    assert_eq!(connections(&mut net), [2, 1, 1]);
    net.run(seconds(15), |_| false);
    assert_eq!(connections(&mut net), [2, 2, 2], "within a choke round");
    // One leaves: the others hear of it, and do not dial it again.
    net.feed(2, Input::Stop);
    net.run(seconds(600), |_| false);
    assert_eq!(connections(&mut net), [1, 1, 0]);
    let mut last = std::collections::BTreeMap::new();
    let (mut added, mut dropped) = (0, 0);
    for (node, output) in &net.log {
        let Output::Send { conn, message: Message::Extended { id: PEX_ID, payload } } = output else {
            continue;
        };
        let message = PexMessage::from_bytes(payload).unwrap();
        added += message.added.len();
        dropped += message.dropped.len();
        *last.entry((*node, *conn)).or_insert(0) += 1;
    }
    // Each told each other's two neighbours of the third: six in all, of which the two of who left are gone. Of
    // those who were told of it one at least is told that it has left: both were, unless it was the teller.
    assert!((4..=6).contains(&added) && (2..=4).contains(&dropped), "{added} added, {dropped} dropped");
    assert!(last.values().all(|&messages| messages <= 2), "{last:?}");
}

#[test]
fn a_larger_swarm_grows_together() {
    let mut net = swarm(12, &client());
    net.run(seconds(150), |_| false);
    let have = connections(&mut net);
    assert!(have.iter().all(|&n| n == 11), "{have:?}");
    let off = client().with(|config| config.pex = false);
    let mut net = swarm(12, &off);
    net.run(seconds(150), |_| false);
    assert_eq!(connections(&mut net)[1..], [1; 11]);
}
