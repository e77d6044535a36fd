//! Who is connected: dialling, accepting, limits, duplicates, leaving and coming back.

use super::bench::*;
use crate::ids::ConnId;
use crate::peer::{DisconnectReason, Input, Output, Violation};
use crate::wire::{InfoHash, Message, WireError};

fn discover(bench: &mut Bench, hosts: impl IntoIterator<Item = u32>) -> Vec<Output> {
    bench.input(Input::Discovered { peers: hosts.into_iter().map(addr).collect() })
}

#[test]
fn who_dials_speaks_first() {
    let mut bench = Setup::leech(4).bench();
    let outputs = discover(&mut bench, [2]);
    assert_eq!(dialled(&outputs), [addr(2)]);
    let conn = ConnId(0);
    let outputs = bench.input(Input::Connected { conn, addr: addr(2), outgoing: true });
    assert!(matches!(outputs[..], [Output::SendHandshake { handshake, .. }] if handshake.fast()));
    let outputs = bench.input(Input::Connected { conn: ConnId(1), addr: addr(3), outgoing: false });
    assert!(outputs.is_empty());
    let outputs = bench.input(Input::Handshake { conn: ConnId(1), handshake: handshake(3, true) });
    assert!(matches!(outputs[0], Output::SendHandshake { conn: ConnId(1), .. }), "{outputs:?}");
    let outputs = bench.input(Input::Handshake { conn, handshake: handshake(2, true) });
    assert!(!outputs.iter().any(|output| matches!(output, Output::SendHandshake { .. })));
}

#[test]
fn half_open_and_dialled_connections_are_limited() {
    let limits = |config: &mut crate::peer::PeerConfig| {
        (config.max_half_open, config.max_initiate, config.max_connections) = (3, 5, 6);
    };
    let mut bench = Setup::leech(4).with(limits).bench();
    let outputs = discover(&mut bench, 10..30);
    assert_eq!(dialled(&outputs), [addr(10), addr(11), addr(12)]);
    // Each that fails makes room for the next.
    assert_eq!(dialled(&bench.input(Input::ConnectFailed { addr: addr(11) })), [addr(13)]);
    for (conn, host) in [(0, 10), (1, 12), (2, 13)] {
        bench.input(Input::Connected { conn: ConnId(conn), addr: addr(host), outgoing: true });
        bench.input(Input::Handshake { conn: ConnId(conn), handshake: handshake(host as u8, true) });
    }
    let outputs = bench.pass(seconds(10));
    let dials = dialled(&outputs);
    assert_eq!(dials.len(), 2, "five is as far as we dial: {outputs:?}");
    // Others may still come, but room is kept for those two, whom there are six with.
    bench.greet(40, true);
    // Somebody whose priority (BEP 40) is below everyone's.
    let worth = |host| crate::peer::priority::priority(addr(1), addr(host));
    let low = (43..250).min_by_key(|&host| worth(host)).unwrap();
    assert!((10..43).all(|host| worth(host) > worth(low)));
    let refuse = |bench: &mut Bench| {
        let conn = ConnId(41);
        let outputs = bench.input(Input::Connected { conn, addr: addr(low), outgoing: false });
        assert_eq!(closed(&outputs), [(conn, DisconnectReason::TooMany)]);
    };
    refuse(&mut bench);
    for (conn, addr) in [(50, dials[0]), (51, dials[1])] {
        let outputs = bench.input(Input::Connected { conn: ConnId(conn), addr, outgoing: true });
        assert_eq!(closed(&outputs), []);
    }
    assert_eq!(bench.peer.connections(), 6);
    refuse(&mut bench);
    bench.input(Input::Closed { conn: ConnId(40) });
    bench.greet(42, true);
    assert_eq!(bench.peer.connections(), 6);
}

#[test]
fn a_full_table_keeps_the_highest_priorities() {
    // BEP 40: whoever comes, and in whatever order, the six of the highest numbers stay.
    let worth = |host: u32| crate::peer::priority::priority(addr(1), addr(host));
    let mut bench = Setup::leech(4).with(|config| config.max_connections = 6).bench();
    let mut present: Vec<(ConnId, u32)> = Vec::new();
    for host in 10..60 {
        let taken = |id: u32| present.iter().any(|(conn, _)| conn.0 == id);
        let conn = ConnId((0..).find(|&id| !taken(id)).unwrap());
        let outputs = bench.input(Input::Connected { conn, addr: addr(host), outgoing: false });
        present.push((conn, host));
        for (gone, reason) in closed(&outputs) {
            assert_eq!(reason, DisconnectReason::TooMany);
            present.retain(|(conn, _)| *conn != gone);
        }
    }
    let mut kept: Vec<u32> = present.iter().map(|(_, host)| *host).collect();
    kept.sort_unstable();
    let mut best: Vec<u32> = (10..60).collect();
    best.sort_by_key(|&host| std::cmp::Reverse(worth(host)));
    best.truncate(6);
    best.sort_unstable();
    assert_eq!(kept, best);
}

#[test]
fn nobody_is_dialled_twice_nor_nowhere() {
    let mut bench = Setup::leech(4).bench();
    let other_port = |host| std::net::SocketAddr::new(ip(host), 7000);
    let nowhere: [std::net::SocketAddr; 3] =
        ["0.0.0.0:6881", "10.9.9.9:0", "224.0.0.1:6881"].map(|text| text.parse().unwrap());
    let mut peers = vec![addr(2), addr(2), other_port(2), addr(1)];
    peers.extend(nowhere);
    let outputs = bench.input(Input::Discovered { peers });
    assert_eq!(dialled(&outputs), [addr(2)], "not twice, not ourselves, not nowhere");
    bench.input(Input::Connected { conn: ConnId(0), addr: addr(2), outgoing: true });
    let outputs = bench.input(Input::Discovered { peers: vec![addr(2), other_port(2)] });
    assert_eq!(dialled(&outputs), []);

    let mut bench = Setup::leech(4).with(|config| config.one_per_address = false).bench();
    let outputs = bench.input(Input::Discovered { peers: vec![addr(2), other_port(2)] });
    assert_eq!(dialled(&outputs), [addr(2), other_port(2)]);
}

#[test]
fn what_fails_is_tried_three_times_ever_later() {
    let mut bench = Setup::leech(4).bench();
    assert_eq!(dialled(&discover(&mut bench, [2])).len(), 1);
    let mut tries = Vec::new();
    let mut since = 0;
    bench.input(Input::ConnectFailed { addr: addr(2) });
    for second in 1..3600 {
        if !dialled(&bench.pass(seconds(1))).is_empty() {
            tries.push(second - since);
            since = second;
            bench.input(Input::ConnectFailed { addr: addr(2) });
        }
    }
    assert_eq!(tries.len(), 2, "{tries:?}");
    assert!((120..=131).contains(&tries[0]) && (240..=251).contains(&tries[1]), "{tries:?}");
}

#[test]
fn candidates_are_bounded() {
    let mut bench = Setup::leech(4).bench();
    let mut dials = dialled(&discover(&mut bench, 100..10_000)).len();
    while bench.now < crate::Instant::ZERO + seconds(60) {
        let open = dialled(&bench.pass(seconds(1)));
        dials += open.len();
        for host in 100..10_000 {
            if dials > 1000 {
                break;
            }
            dials += dialled(&bench.input(Input::ConnectFailed { addr: addr(host) })).len();
        }
    }
    assert!(dials <= 400, "{dials}: two hundred are kept, and those that failed, for later");
}

#[test]
fn peers_of_a_private_torrent_come_from_the_tracker_alone() {
    let mut setup = Setup::leech(4);
    setup.private = true;
    let mut bench = setup.bench();
    assert_eq!(dialled(&discover(&mut bench, [2])), []);
    bench.input(Input::Stop);
    bench.input(Input::Start);
    let outputs = bench.input(Input::Announced(Ok(Box::new(reply(&[addr(3)])))));
    assert_eq!(dialled(&outputs), [addr(3)]);
}

#[test]
fn wrong_torrent_self_and_second_handshake() {
    let mut bench = Setup::leech(4).bench();
    let mut wrong = handshake(2, true);
    wrong.info_hash = InfoHash([8; 20]);
    let cases =
        [(wrong, DisconnectReason::WrongTorrent), (handshake(1, true), DisconnectReason::SelfConnection)];
    for (handshake, reason) in cases {
        let conn = ConnId(5);
        bench.input(Input::Connected { conn, addr: addr(5), outgoing: false });
        let outputs = bench.input(Input::Handshake { conn, handshake });
        assert_eq!(closed(&outputs), [(conn, reason)]);
        assert_eq!(outputs.len(), 1, "nothing is said to it");
    }
    let (conn, _) = bench.greet(2, true);
    let outputs = bench.input(Input::Handshake { conn, handshake: handshake(2, true) });
    assert_violation(&outputs, conn, Violation::SecondHandshake);
    let conn = ConnId(3);
    bench.input(Input::Connected { conn, addr: addr(3), outgoing: false });
    assert_violation(&bench.say(conn, Message::Unchoke), conn, Violation::NoHandshake);
    let (conn, _) = bench.greet(4, true);
    let outputs = bench.input(Input::Malformed { conn, error: WireError::Protocol { at: 0, got: 0 } });
    assert_violation(&outputs, conn, Violation::Malformed);
    assert_eq!(bench.peer.connections(), 0);
    assert!(!bench.peer.is_banned(ip(4)), "nobody is banned for that");
}

#[test]
fn of_two_dialled_by_one_side_the_first_stays() {
    let mut bench = Setup::leech(4).bench();
    bench.greet(2, true);
    let conn = ConnId(7);
    let other_port = std::net::SocketAddr::new(ip(2), 7000);
    bench.input(Input::Connected { conn, addr: other_port, outgoing: false });
    let outputs = bench.input(Input::Handshake { conn, handshake: handshake(2, true) });
    assert_eq!(closed(&outputs), [(conn, DisconnectReason::Duplicate)]);
    assert_eq!(bench.peer.connections(), 1);
}

#[test]
fn who_copies_a_peer_id_ends_no_connection_and_keeps_nobody_out() {
    // Remote 2 was dialled, remote 7 dials with its id, which is above and below ours: one of the two would
    // have ended the honest connection if the id alone counted.
    for (ours, theirs) in [(1, 2), (9, 2)] {
        let mut bench = Setup { peer_id: ours, ..Setup::leech(4) }.bench();
        discover(&mut bench, [2]);
        bench.input(Input::Connected { conn: ConnId(2), addr: addr(2), outgoing: true });
        bench.input(Input::Handshake { conn: ConnId(2), handshake: handshake(theirs, true) });
        let impostor = ConnId(7);
        bench.input(Input::Connected { conn: impostor, addr: addr(7), outgoing: false });
        let outputs = bench.input(Input::Handshake { conn: impostor, handshake: handshake(theirs, true) });
        assert_eq!(closed(&outputs), [], "ours is {ours}");
        // Nor if it was there first.
        bench.input(Input::Closed { conn: ConnId(2) });
        let (_, outputs) = bench.greet(2, true);
        assert_eq!(closed(&outputs), []);
        assert_eq!(bench.peer.connections(), 2);
    }
}

#[test]
fn two_that_have_everything_have_nothing_to_say() {
    let mut bench = Setup::seed(4).bench();
    let (conn, _) = bench.greet(2, true);
    let outputs = bench.say(conn, Message::HaveAll);
    assert_eq!(closed(&outputs), [(conn, DisconnectReason::BothComplete)]);
    let conn = bench.remote(3, true, &[0, 1, 2]);
    let outputs = bench.say(conn, Message::Have(3));
    assert_eq!(closed(&outputs), [(conn, DisconnectReason::BothComplete)]);

    let mut bench = Setup::leech(4).bench();
    let (two, asked) = bench.source(2, true);
    let three = bench.remote(3, true, &[0]);
    let mut rest = asked;
    let mut outputs = Vec::new();
    let mut first = true;
    while !rest.is_empty() || first {
        first = false;
        outputs = bench.give_all(two, std::mem::take(&mut rest), true);
    }
    assert_eq!(closed(&outputs), [(two, DisconnectReason::BothComplete)]);
    assert_eq!(bench.peer.connections(), 1);
    let outputs = bench.say(three, Message::Have(1));
    assert_eq!(sent(&outputs, three), [], "no interest any more");
}

#[test]
fn inputs_about_unknown_connections_are_harmless() {
    let mut bench = Setup::leech(4).bench();
    let (two, asked) = bench.source(2, true);
    for conn in [ConnId(0), ConnId(1), ConnId(3), ConnId(1_000_000), ConnId(u32::MAX)] {
        let b = bench.layout.nth_block(bench.piece(0), 0).unwrap();
        for input in [
            Input::Closed { conn },
            Input::Handshake { conn, handshake: handshake(9, true) },
            Input::Message { conn, message: Message::Unchoke },
            Input::Message { conn, message: Message::Request(block(0, 0)) },
            Input::Malformed { conn, error: WireError::Protocol { at: 0, got: 0 } },
            Input::Sent { conn, bytes: 1 },
            Input::BlockRead { conn, block: b, data: Some(payload(1)) },
        ] {
            let outputs = bench.input(input);
            assert!(outputs.is_empty(), "{outputs:?}");
        }
    }
    for input in [
        Input::PieceVerified { piece: bench.piece(0), ok: true },
        Input::PieceVerified { piece: bench.piece(1), ok: false },
        Input::ConnectFailed { addr: addr(77) },
    ] {
        let outputs = bench.input(input);
        assert!(outputs.is_empty(), "{outputs:?}");
    }
    assert_eq!(bench.peer.have().count(), 0);
    assert_eq!(requests(&bench.give(two, asked[0]), two).len(), 1);
}

#[test]
fn an_id_is_free_again_after_its_end() {
    let mut bench = Setup::leech(4).bench();
    for _ in 0..3 {
        let (conn, asked) = bench.source(2, true);
        assert_eq!(asked.len(), 8);
        bench.say(conn, Message::Interested);
        bench.input(Input::Closed { conn });
        assert_eq!(bench.peer.connections(), 0);
        let (conn, asked) = bench.source(2, false);
        assert_eq!(asked.len(), 8);
        assert_violation(&bench.say(conn, Message::HaveAll), conn, Violation::FastNotAgreed);
    }
}

#[test]
fn leaving_drops_everything_and_a_new_start_goes_on_where_it_was() {
    let mut bench = Setup::leech(4).bench();
    let (two, asked) = bench.source(2, true);
    let three = bench.remote(3, true, &[0, 1, 2, 3]);
    bench.say(three, Message::Unchoke);
    discover(&mut bench, [50, 51]);
    for &block in &asked[..5] {
        for piece in to_verify(&bench.give(two, block)) {
            bench.input(Input::PieceVerified { piece, ok: true });
        }
    }
    let outputs = bench.input(Input::Stop);
    let reason = DisconnectReason::Leaving;
    assert_eq!(closed(&outputs), [(two, reason), (three, reason)]);
    assert_eq!(requests(&outputs, three), [], "nothing is asked of who is about to be left");
    assert_eq!((bench.peer.poll_timeout(), bench.peer.connections()), (None, 0));
    // What was under way ends without effect.
    let outputs = bench.input(Input::Connected { conn: ConnId(0), addr: addr(50), outgoing: true });
    assert_eq!(closed(&outputs), [(ConnId(0), DisconnectReason::Leaving)]);
    assert!(bench.input(Input::ConnectFailed { addr: addr(51) }).is_empty());
    assert!(bench.input(Input::Timeout).is_empty());

    let outputs = bench.input(Input::Start);
    assert!(matches!(outputs[..], [Output::Announce(_)]), "{outputs:?}");
    assert_eq!(bench.peer.have().count(), 1);
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked.len(), 8);
    assert!(!asked.contains(&block(1, 0)), "the block of piece 1 that had come is still here");
    bench.give_all(two, asked, true);
    assert!(bench.peer.is_complete());
}

#[test]
fn whom_the_user_names_is_dialled_at_once_whatever_came_before() {
    let name = |bench: &mut Bench, hosts: &[u32]| {
        dialled(&bench.input(Input::Named { peers: hosts.iter().copied().map(addr).collect() }))
    };
    let mut bench =
        Setup::leech(4).with(|config| (config.short_lives, config.max_half_open) = (1, 2)).bench();
    assert_eq!(name(&mut bench, &[2]), [addr(2)]);
    assert_eq!(name(&mut bench, &[2]), [], "one dial at a time");
    bench.input(Input::ConnectFailed { addr: addr(2) });
    assert_eq!(dialled(&discover(&mut bench, [2])), [], "a minute has not passed");
    assert_eq!(name(&mut bench, &[2]), [addr(2)]);
    // A connection that ends at once is the last, until the user says otherwise.
    bench.input(Input::Connected { conn: ConnId(0), addr: addr(2), outgoing: true });
    bench.input(Input::Closed { conn: ConnId(0) });
    assert_eq!(dialled(&discover(&mut bench, [2])), []);
    assert_eq!(name(&mut bench, &[2]), [addr(2)]);
    // Before all others, in the order in which they are named; nowhere, and we ourselves, are nobody.
    assert_eq!(dialled(&discover(&mut bench, 10..20)), [addr(10)]);
    let outputs =
        bench.input(Input::Named { peers: vec![addr(1), "0.0.0.0:1".parse().unwrap(), addr(4), addr(3)] });
    assert_eq!(dialled(&outputs), []);
    let next = [10, 4, 3].map(|host| dialled(&bench.input(Input::ConnectFailed { addr: addr(host) })));
    assert_eq!(next, [[addr(4)], [addr(3)], [addr(11)]]);
}

#[test]
fn of_a_private_torrent_the_user_may_name_peers_and_nobody_else_but_the_tracker() {
    let mut setup = Setup::leech(4);
    setup.private = true;
    let mut bench = setup.bench();
    assert_eq!(dialled(&discover(&mut bench, [2])), []);
    let outputs = bench.input(Input::Named { peers: vec![addr(3)] });
    assert_eq!(dialled(&outputs), [addr(3)]);
}
