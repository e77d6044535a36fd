//! What is set while a peer runs, what it says of itself then (BEP 21), and what there is to see.

use super::bench::*;
use crate::ids::ConnId;
use crate::peer::{DisconnectReason, Event, Input, Output, PeerConfig};
use crate::picker;
use crate::tracker::AnnounceError;
use crate::wire::{ExtendedHandshake, Message};

fn client(setup: Setup) -> Setup {
    setup.with(|config| {
        *config = PeerConfig { pipeline: config.pipeline, pex: false, ..PeerConfig::client() };
    })
}

fn extended(text: &str) -> Message {
    Message::Extended { id: 0, payload: text.as_bytes().to_vec().into() }
}

/// What an extended handshake to a connection says of BEP 21: nothing, or whether we want nothing.
fn upload_only(outputs: &[Output], conn: ConnId) -> Vec<Option<bool>> {
    let only = |message| match message {
        Message::Extended { id: 0, payload } => {
            Some(ExtendedHandshake::from_bytes(&payload).ok()?.upload_only)
        }
        _ => None,
    };
    sent(outputs, conn).into_iter().filter_map(only).collect()
}

fn drain(bench: &mut Bench) -> Vec<Output> {
    let outputs = std::iter::from_fn(|| bench.peer.poll_output()).collect();
    bench.peer.check();
    outputs
}

#[test]
fn who_wants_nothing_is_not_unchoked() {
    let mut bench = client(Setup::leech(4)).bench();
    let setup = Setup { choker: "tit-for-tat", ..client(Setup::leech(4)) };
    let mut picky = setup.bench();
    for bench in [&mut bench, &mut picky] {
        let two = bench.remote(2, true, &[0]);
        bench.say(two, extended("d11:upload_onlyi1ee"));
        bench.say(two, Message::Interested);
        assert_eq!(bench.peer.active_uploads(), 0, "it says that it wants nothing");
        bench.say(two, extended("d1:pi1ee"));
        assert_eq!(bench.peer.active_uploads(), 0, "that it says nothing new changes nothing");
        bench.say(two, extended("d11:upload_onlyi0ee"));
        bench.pass(seconds(30));
        assert_eq!(bench.peer.active_uploads(), 1, "it has been interested all the time");
        bench.say(two, extended("d11:upload_onlyi1ee"));
        assert_eq!(bench.peer.active_uploads(), 0);
        bench.say(two, Message::NotInterested);
        bench.say(two, extended("d11:upload_onlyi0ee"));
        assert_eq!(bench.peer.active_uploads(), 0, "it has lost its interest meanwhile");
    }
}

#[test]
fn who_gets_complete_says_so_and_parts_from_partial_seeds() {
    let mut bench = client(Setup::leech(1)).bench();
    let (two, asked) = bench.source(2, true);
    let three = bench.remote(3, true, &[]);
    // A partial seed, without the piece.
    let four = bench.remote(4, true, &[]);
    bench.say(four, extended("d11:upload_onlyi1ee"));
    let outputs = bench.give_all(two, asked, true);
    assert_eq!(upload_only(&outputs, three), [Some(true)]);
    let both = DisconnectReason::BothComplete;
    assert_eq!(closed(&outputs), [(two, both), (four, both)]);
    assert_eq!(upload_only(&bench.pass(seconds(60)), three), [], "said once");
    // One that says so later goes as well.
    let five = bench.remote(5, true, &[]);
    assert_eq!(closed(&bench.say(five, extended("d11:upload_onlyi1ee"))), [(five, both)]);
    // Without the setting nobody hears of it, as in simulations.
    let mut bench = Setup::leech(1).bench();
    let (two, asked) = bench.source(2, true);
    let three = bench.remote(3, true, &[]);
    assert_eq!(upload_only(&bench.give_all(two, asked, true), three), []);
}

#[test]
fn upload_mode_asks_for_nothing_and_gives_on() {
    let mut bench = client(Setup { have: vec![0], ..Setup::leech(4) }).bench();
    let (two, asked) = bench.source(2, true);
    bench.say(two, Message::Interested);
    assert_eq!(asked.len(), 8);
    bench.give(two, asked[0]);
    bench.peer.set_upload_mode(bench.now, true);
    let outputs = drain(&mut bench);
    assert_eq!(
        cancels(&outputs, two),
        [&asked[1..], &[block(3, 0)]].concat(),
        "what is under way is taken back"
    );
    assert!(sent(&outputs, two).contains(&Message::NotInterested));
    assert_eq!(upload_only(&outputs, two), [Some(true)]);
    bench.peer.set_upload_mode(bench.now, true);
    assert!(drain(&mut bench).is_empty());
    // Nothing brings it to ask: a newcomer, an unchoke, a HAVE, a round, a block that was on its way.
    let (three, none) = bench.source(3, true);
    assert_eq!(none, []);
    let mut outputs = bench.give(two, asked[1]);
    outputs.extend(bench.say(three, Message::Have(0)));
    outputs.extend(bench.pass(seconds(30)));
    assert!(requests(&outputs, two).is_empty() && requests(&outputs, three).is_empty(), "{outputs:?}");
    assert!(!sent(&outputs, three).contains(&Message::Interested));
    let outputs = bench.say(two, Message::Request(block(0, 1)));
    assert_eq!(reads(&outputs).len(), 1, "it gives");

    bench.peer.set_upload_mode(bench.now, false);
    let outputs = drain(&mut bench);
    for conn in [two, three] {
        assert!(sent(&outputs, conn).contains(&Message::Interested));
        assert_eq!(upload_only(&outputs, conn), [Some(false)]);
    }
    let mut again = requests(&outputs, two);
    again.extend(requests(&outputs, three));
    assert!(!again.contains(&asked[0]) && !again.contains(&asked[1]), "what has come is kept: {again:?}");
    bench.give_all(two, requests(&outputs, two), true);
    bench.give_all(three, requests(&outputs, three), true);
    assert!(bench.peer.is_complete());
}

#[test]
fn limits_and_the_picker_may_change() {
    let mut bench = Setup { choker: "tit-for-tat", ..Setup::seed(4) }.bench();
    for n in 2..12 {
        let conn = bench.remote(n, true, &[]);
        bench.say(conn, Message::Interested);
    }
    bench.pass(seconds(40));
    assert_eq!(bench.peer.active_uploads(), 4);
    bench.peer.set_limits(bench.now, 8, 2);
    let outputs = drain(&mut bench);
    assert_eq!(closed(&outputs).iter().filter(|(_, why)| *why == DisconnectReason::TooMany).count(), 2);
    bench.pass(seconds(40));
    assert_eq!((bench.peer.connections(), bench.peer.active_uploads()), (8, 2));
    bench.peer.set_limits(bench.now, 8, 6);
    drain(&mut bench);
    bench.pass(seconds(40));
    assert_eq!(bench.peer.active_uploads(), 6);

    let mut bench = Setup { picker: "rarest-first", ..Setup::leech(64).depth(4) }.bench();
    let (two, asked) = bench.source(2, true);
    let first = asked[0].piece;
    bench.peer.set_picker(picker::by_name("sequential").unwrap().as_ref());
    let mut pieces = Vec::new();
    let mut asked = std::collections::VecDeque::from(asked);
    for _ in 0..16 {
        let more = requests(&bench.give(two, asked.pop_front().unwrap()), two);
        pieces.extend(more.iter().map(|block| block.piece));
        asked.extend(more);
    }
    let next: Vec<u32> = (0..64).filter(|piece| *piece != first).take(4).collect();
    pieces.dedup();
    assert_eq!(pieces, next);
}

#[test]
fn what_there_is_to_see() {
    let mut bench = client(Setup::leech(4)).bench();
    let (two, asked) = bench.source(2, true);
    bench.say(two, extended("d11:upload_onlyi1e1:v8:Client 7e"));
    bench.say(two, Message::Interested);
    bench.now = bench.now + seconds(1);
    bench.give(two, asked[0]);
    bench.input(Input::Connected { conn: ConnId(5), addr: addr(5), outgoing: true });
    let infos: Vec<_> = bench.peer.connections_info(bench.now).collect();
    let [of_two, of_five] = &infos[..] else { panic!("{infos:?}") };
    assert_eq!((of_two.conn, of_two.addr, of_two.outgoing), (two, addr(2), false));
    assert_eq!(of_two.client.as_deref(), Some("Client 7"));
    assert_eq!(of_two.peer_id.unwrap().0, [2; 20]);
    assert_eq!((of_two.pieces, of_two.wanted, of_two.requested, of_two.queued), (4, 4, 8, 0));
    assert_eq!((of_two.am_interested, of_two.peer_choking), (true, false));
    assert_eq!((of_two.peer_interested, of_two.upload_only), (false, true));
    assert_eq!((of_two.download_rate, of_two.upload_rate), (16384, 0));
    assert_eq!((of_five.conn, of_five.peer_id, of_five.outgoing, of_five.pieces), (ConnId(5), None, true, 0));
    // The plain configuration keeps no names.
    let mut bench = Setup::leech(4).bench();
    let two = bench.remote(2, true, &[]);
    bench.say(two, extended("d1:v8:Client 7e"));
    assert_eq!(bench.peer.connections_info(bench.now).next().unwrap().client, None);
}

#[test]
fn who_closes_at_once_is_given_up() {
    let mut bench = client(Setup::leech(4)).bench();
    let mut dials = Vec::new();
    let mut outputs = bench.input(Input::Discovered { peers: vec![addr(9)] });
    let close = |bench: &mut Bench| {
        bench.input(Input::Connected { conn: ConnId(9), addr: addr(9), outgoing: true });
        bench.input(Input::Closed { conn: ConnId(9) })
    };
    for _ in 0..720 {
        for _ in dialled(&outputs) {
            dials.push(bench.now.as_secs_f64() as u64 / 10 * 10);
            close(&mut bench);
        }
        outputs = bench.pass(seconds(10));
    }
    // After ten seconds, in case it had yet to see the end of a connection before, then after two minutes, each with the
    // rest of a choke round; and then no more.
    assert_eq!(dials.len(), 3, "{dials:?}");
    assert!((10..=20).contains(&(dials[1] - dials[0])), "{dials:?}");
    assert!((120..=130).contains(&(dials[2] - dials[1])), "{dials:?}");
    assert_eq!(dialled(&bench.input(Input::Discovered { peers: vec![addr(9)] })), []);
    // The tracker still names it: one more try.
    bench.input(Input::Announced(Err(AnnounceError::unanswered("late"))));
    let mut tries = Vec::new();
    for _ in 0..3 {
        let outputs = bench.input(Input::Announced(Ok(Box::new(reply(&[addr(9)])))));
        tries.push(dialled(&outputs).len());
        close(&mut bench);
        tries.push(dialled(&bench.pass(seconds(1000))).len());
    }
    assert_eq!(tries, [1, 0, 1, 0, 1, 0]);
    // Who has given something, or has stayed, is worth it.
    let mut bench = client(Setup::leech(4)).bench();
    for _ in 0..5 {
        let outputs = bench.input(Input::Connected { conn: ConnId(9), addr: addr(9), outgoing: true });
        assert_eq!(closed(&outputs), []);
        bench.now = bench.now + seconds(61);
        bench.input(Input::Closed { conn: ConnId(9) });
        assert_eq!(dialled(&bench.pass(seconds(80))), [addr(9)]);
    }
}

#[test]
fn endgame_is_told_of_once() {
    let mut bench = Setup::leech(1).bench();
    let mut seen = Vec::new();
    for _ in 0..3 {
        bench.input(Input::Connected { conn: ConnId(2), addr: addr(2), outgoing: false });
        bench.input(Input::Handshake { conn: ConnId(2), handshake: handshake(2, true) });
        seen.extend(events(&bench.say(ConnId(2), Message::HaveAll)));
        seen.extend(events(&bench.say(ConnId(2), Message::Unchoke)));
        bench.input(Input::Closed { conn: ConnId(2) });
    }
    assert_eq!(seen, [Event::EndgameStarted]);
}

#[test]
fn a_tracker_is_told_of_what_was_moved_since_the_last_start() {
    let mut bench = Setup::leech(4).bench();
    let (two, asked) = bench.source(2, true);
    asked[..4].iter().for_each(|&block| drop(bench.give(two, block)));
    let said = |outputs: &[Output]| {
        let announce = outputs.iter().find_map(|output| match output {
            Output::Announce(request) => Some(request.downloaded),
            _ => None,
        });
        announce.unwrap()
    };
    let outputs = bench.input(Input::Stop);
    assert_eq!(said(&outputs), 4 * 16384);
    let outputs = bench.input(Input::Start);
    assert_eq!((said(&outputs), bench.peer.stats().downloaded), (0, 4 * 16384));
}
