//! BEP 10's handshake and BEP 6's gifts.

use super::bench::*;
use crate::ids::ConnId;
use crate::layout::BLOCK;
use crate::peer::{Output, Violation};
use crate::wire::Message;
use crate::wire::allowed_fast::allowed_fast;
use crate::wire::extension::ExtendedHandshake;

fn extended(text: &str) -> Message {
    Message::Extended { id: 0, payload: text.as_bytes().to_vec().into() }
}

#[test]
fn the_extended_handshake_follows_the_pieces() {
    for (setup, only) in [(Setup::leech(8), None), (Setup::seed(8), Some(true))] {
        let mut bench = setup.with(|config| config.max_queued = 123).bench();
        let (conn, outputs) = bench.greet(2, true);
        let said = sent(&outputs, conn);
        assert!(matches!(said[0], Message::HaveNone | Message::HaveAll), "{said:?}");
        let Message::Extended { id: 0, payload } = &said[1] else { panic!("{said:?}") };
        let ours = ExtendedHandshake::from_bytes(payload).unwrap();
        let expected = ExtendedHandshake {
            client: Some(concat!("swarmlab ", env!("CARGO_PKG_VERSION")).into()),
            port: Some(6881),
            request_queue: Some(123),
            your_ip: Some(ip(2)),
            upload_only: only,
            ..ExtendedHandshake::default()
        };
        assert_eq!(ours, expected);
        assert_eq!(said.iter().filter(|message| matches!(message, Message::Extended { .. })).count(), 1);
    }
}

#[test]
fn who_lacks_the_bit_gets_none() {
    let mut bench = Setup::leech(8).bench();
    let conn = ConnId(3);
    bench.input(crate::peer::Input::Connected { conn, addr: addr(3), outgoing: false });
    let mut theirs = handshake(3, true);
    theirs.reserved[5] = 0;
    let outputs = bench.input(crate::peer::Input::Handshake { conn, handshake: theirs });
    assert_eq!(sent(&outputs, conn), [Message::HaveNone, Message::Unchoke]);
    // Nor is it listened to.
    assert_eq!(closed(&bench.say(conn, extended("nonsense"))), []);
}

#[test]
fn reqq_bounds_the_pipeline_and_later_handshakes_change_it() {
    for (said, depth) in [(7, 7), (1, 1), (40, 40), (100_000, 64)] {
        let mut bench = Setup::leech(32).depth(64).bench();
        let conn = bench.remote(2, true, &(0..32).collect::<Vec<_>>());
        bench.say(conn, extended(&format!("d4:reqqi{said}ee")));
        let asked = requests(&bench.say(conn, Message::Unchoke), conn);
        assert_eq!(asked.len(), depth, "reqq {said}");
    }
    let mut bench = Setup::leech(32).depth(64).bench();
    let conn = bench.remote(2, true, &(0..32).collect::<Vec<_>>());
    for text in ["d4:reqqi7ee", "d1:pi1ee", "d4:reqqi0ee", "d4:reqqi-5ee"] {
        bench.say(conn, extended(text));
    }
    let asked = requests(&bench.say(conn, Message::Unchoke), conn);
    assert_eq!(asked.len(), 7, "what makes no sense, or is not said, changes nothing");
    bench.say(conn, extended("d4:reqqi9ee"));
    let more = requests(&bench.give(conn, asked[0]), conn);
    assert_eq!(more.len(), 3, "one for the block that came, two for the longer queue");
}

#[test]
fn malformed_handshakes_close_and_unknown_extensions_are_ignored() {
    for text in ["", "i1e", "le", "d4:reqq", "d1:b0:1:a0:e"] {
        let mut bench = Setup::leech(8).bench();
        let conn = bench.remote(2, true, &[]);
        assert_violation(&bench.say(conn, extended(text)), conn, Violation::Malformed);
    }
    let mut bench = Setup::leech(8).bench();
    let conn = bench.remote(2, true, &[]);
    for id in [1, 99, 255] {
        let outputs = bench.say(conn, Message::Extended { id, payload: payload(100) });
        assert!(outputs.is_empty(), "{outputs:?}");
    }
}

#[test]
fn it_may_come_before_the_bitfield() {
    let mut bench = Setup::leech(8).bench();
    let (conn, _) = bench.greet(2, true);
    bench.say(conn, extended("de"));
    let outputs = bench.say(conn, bench.bitfield(&[1]));
    assert_eq!(sent(&outputs, conn), [Message::Interested]);
}

#[test]
fn a_newcomer_is_told_its_allowed_fast_set() {
    let mut bench = Setup::leech(64).with(|config| config.allowed_fast = 5).bench();
    let (conn, outputs) = bench.greet(2, true);
    let std::net::IpAddr::V4(v4) = ip(2) else { unreachable!() };
    let expected: Vec<_> = allowed_fast(v4, INFO_HASH, &bench.layout, 5)
        .into_iter()
        .map(|piece| Message::AllowedFast(piece.get()))
        .collect();
    assert_eq!(expected.len(), 5);
    assert_eq!(sent(&outputs, conn)[2..7], expected, "also what we lack (BEP 6)");
    let (conn, outputs) = bench.greet(3, false);
    let fast = |message: &Message| matches!(message, Message::AllowedFast(_) | Message::HaveNone);
    assert!(!sent(&outputs, conn).iter().any(fast), "nothing of BEP 6 for who does not speak it");
}

#[test]
fn a_choked_newcomer_is_served_its_set_and_no_more() {
    let mut setup = Setup::seed(64).with(|config| config.allowed_fast = 3);
    setup.choker = "never";
    let mut bench = setup.bench();
    let (conn, outputs) = bench.greet(2, true);
    let allowed = |message: &Message| match message {
        Message::AllowedFast(piece) => Some(*piece),
        _ => None,
    };
    let set: Vec<_> = sent(&outputs, conn).iter().filter_map(allowed).collect();
    assert_eq!(set.len(), 3);
    let other = (0..64).find(|piece| !set.contains(piece)).unwrap();
    bench.say(conn, bench.bitfield(&[other]));

    let asked = block(set[0], 0);
    let outputs = bench.say(conn, Message::Request(asked));
    let read = reads(&outputs);
    assert_eq!(read.len(), 1);
    let outputs = bench.read(conn, read[0]);
    let expected = Message::Piece { piece: set[0], begin: 0, data: payload(BLOCK) };
    assert_eq!(sent(&outputs, conn), [expected]);
    assert_eq!(rejects(&bench.say(conn, Message::Request(block(other, 0))), conn), [block(other, 0)]);

    // With three pieces it is no newcomer any more.
    for piece in [set[1], set[2]] {
        bench.say(conn, Message::Have(piece));
    }
    let outputs = bench.say(conn, Message::Request(asked));
    assert_eq!((reads(&outputs).len(), rejects(&outputs, conn)), (0, vec![asked]));
}

#[test]
fn what_a_choking_remote_allows_is_asked_for() {
    let mut bench = Setup::leech(8).bench();
    let conn = bench.remote(2, true, &[1, 2]);
    let outputs = bench.say(conn, Message::AllowedFast(5));
    assert_eq!(requests(&outputs, conn), [], "it does not have piece 5: allowed fast is no HAVE");
    let outputs = bench.say(conn, Message::AllowedFast(2));
    assert_eq!(requests(&outputs, conn), blocks([2]));
    // It may refuse; then it is not asked again.
    let outputs = bench.say(conn, Message::Reject(block(2, 0)));
    assert_eq!(requests(&outputs, conn), []);
    for n in 1..4 {
        bench.give(conn, block(2, n));
    }
    assert_eq!(requests(&bench.say(conn, Message::Unchoke), conn)[0], block(2, 0));
    let outputs = bench.say(conn, Message::AllowedFast(8));
    assert_violation(&outputs, conn, Violation::PieceOutOfRange);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Connect { .. })));
}

#[test]
fn what_is_allowed_is_asked_for_once_it_is_free_again() {
    // Remote 2 has us unchoked and holds every request; remote 3 chokes us and allows piece 0.
    let mut bench = Setup::leech(2).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked.len(), 8);
    let three = bench.remote(3, true, &[0]);
    assert_eq!(requests(&bench.say(three, Message::AllowedFast(0)), three), []);
    let outputs = bench.input(crate::peer::Input::Closed { conn: two });
    assert_eq!(requests(&outputs, three), blocks([0]));
}

#[test]
fn fast_messages_without_the_bit_close() {
    for message in [
        Message::HaveAll,
        Message::HaveNone,
        Message::Suggest(0),
        Message::AllowedFast(0),
        Message::Reject(block(0, 0)),
    ] {
        let mut bench = Setup::leech(8).bench();
        let (conn, _) = bench.greet(2, false);
        assert_violation(&bench.say(conn, message), conn, Violation::FastNotAgreed);
    }
    let mut bench = Setup::leech(8).bench();
    let (conn, _) = bench.greet(2, true);
    bench.say(conn, Message::HaveNone);
    assert!(bench.say(conn, Message::Suggest(7)).is_empty());
    assert_violation(&bench.say(conn, Message::Suggest(8)), conn, Violation::PieceOutOfRange);
}

#[test]
fn what_is_switched_off_is_neither_offered_nor_spoken() {
    let mut setup = Setup::seed(64);
    (setup.config.fast, setup.config.extended, setup.config.allowed_fast) = (false, false, 5);
    let mut bench = setup.bench();
    let (conn, outputs) = bench.greet(2, true);
    let ours = outputs.iter().find_map(|output| match output {
        Output::SendHandshake { handshake, .. } => Some(*handshake),
        _ => None,
    });
    assert_eq!(ours.map(|ours| ours.reserved), Some([0; 8]));
    let all = bench.bitfield(&(0..64).collect::<Vec<_>>());
    assert_eq!(sent(&outputs, conn).first(), Some(&all), "{outputs:?}");
    let beyond = |message: &Message| matches!(message, Message::AllowedFast(_) | Message::Extended { .. });
    assert!(!sent(&outputs, conn).iter().any(beyond), "{outputs:?}");
    assert!(!bench.peer.speaks_fast(conn));
    let outputs = bench.say(conn, Message::HaveNone);
    assert_violation(&outputs, conn, Violation::FastNotAgreed);
}
