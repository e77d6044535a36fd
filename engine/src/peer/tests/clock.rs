//! What happens by the clock: snubs, stalls, keep-alives, time-outs.

use super::bench::*;
use crate::ids::ConnId;
use crate::peer::{DisconnectReason, Event, Input, Output};
use crate::wire::Message;

/// Passes time in seconds until `done` says so; the second at which it did.
fn until(bench: &mut Bench, most: u64, mut done: impl FnMut(&[Output]) -> bool) -> Option<u64> {
    (1..=most).find(|_| {
        let outputs = bench.pass(seconds(1));
        done(&outputs)
    })
}

#[test]
fn a_remote_that_owes_blocks_for_a_minute_is_snubbed_and_later_dropped() {
    let mut bench = Setup::leech(2).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked.len(), 8);
    let (three, none) = bench.source(3, true);
    assert_eq!(none, []);
    let mut given = Vec::new();
    let at = until(&mut bench, 80, |outputs| {
        given.extend(requests(outputs, three));
        events(outputs) == [Event::Snubbed(two)]
    });
    // Rounds are ten seconds apart: the first one after a minute.
    assert!((60..=71).contains(&at.unwrap()), "{at:?}");
    assert_eq!(given, asked, "its blocks go to others");
    assert_eq!(bench.peer.active_downloads(), 1);
    // A block of it makes it whole again.
    let outputs = bench.give(two, asked[0]);
    assert_eq!(closed(&outputs), []);
    bench.say(three, Message::KeepAlive);
    let outputs = bench.pass(seconds(50));
    assert!(!events(&outputs).contains(&Event::Snubbed(two)));
}

#[test]
fn what_stays_snubbed_is_dropped_as_stalled() {
    let mut bench = Setup::leech(2).bench();
    let (two, _) = bench.source(2, true);
    let mut events_seen = Vec::new();
    let at = (1..=250).find(|second| {
        // It is alive, and says again and again that it would give.
        if second % 20 == 0 {
            bench.say(two, Message::Unchoke);
        }
        let outputs = bench.pass(seconds(1));
        events_seen.extend(events(&outputs));
        closed(&outputs) == [(two, DisconnectReason::Stalled)]
    });
    assert!((180..=191).contains(&at.unwrap()), "{at:?}");
    assert_eq!(events_seen, [Event::Snubbed(two)]);
}

#[test]
fn what_a_snubbed_remote_owes_is_cancelled_before_it_is_asked_for_again() {
    let mut bench = Setup::leech(1).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked, blocks(0..1));
    let mut said = Vec::new();
    until(&mut bench, 80, |outputs| {
        said.extend(sent(outputs, two));
        !requests(outputs, two).is_empty()
    });
    // Nobody else has it. To ask twice without a word would be to get it twice.
    let again = said.iter().position(|message| matches!(message, Message::Request(_))).unwrap();
    let Message::Request(block) = said[again] else { unreachable!() };
    assert_eq!(said[..again].iter().filter(|message| **message == Message::Cancel(block)).count(), 1);
    // It answers both by the letter: a refusal of the first, then the block.
    assert_eq!(closed(&bench.say(two, Message::Reject(block))), []);
    assert_eq!(closed(&bench.give(two, block)), []);
    assert_eq!(bench.peer.stats().wasted, 0);
}

#[test]
fn choking_and_unchoking_does_not_hold_requests_for_ever() {
    // With the fast extension a choke leaves requests open; who never answers them is snubbed all the same.
    let mut bench = Setup::leech(2).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked.len(), 8);
    let (three, _) = bench.source(3, true);
    let mut given = 0;
    for _ in 0..8 {
        given += requests(&bench.pass(seconds(10)), three).len();
        bench.say(two, Message::Choke);
        bench.say(two, Message::Unchoke);
    }
    assert_eq!(given, 8);
}

#[test]
fn a_snub_is_told_to_the_choker() {
    let mut setup = Setup::leech(64).with(|config| config.slots = 2);
    setup.choker = "tit-for-tat";
    let mut bench = setup.bench();
    let (two, asked) = bench.source_of(2, true, &(1..64).collect::<Vec<_>>());
    bench.say(two, Message::Interested);
    bench.give(two, asked[0]);
    for n in 3..8 {
        let conn = bench.remote(n, true, &[0]);
        bench.say(conn, Message::Interested);
    }
    let mut choked = false;
    for _ in 0..14 {
        // It is the one that has given most, and yet loses its slot once it is snubbed.
        choked |= sent(&bench.pass(seconds(10)), two).contains(&Message::Choke);
        for n in 2..8 {
            bench.say(ConnId(n), Message::KeepAlive);
        }
    }
    assert!(choked);
}

#[test]
fn keep_alives_go_out_within_two_minutes() {
    let mut bench = Setup::leech(2).bench();
    let two = bench.remote(2, true, &[]);
    let mut said = Vec::new();
    for second in 1..=600 {
        if second % 30 == 0 {
            bench.say(two, Message::KeepAlive);
        }
        let outputs = bench.pass(seconds(1));
        said.extend(sent(&outputs, two).into_iter().map(|message| (second, message)));
    }
    let mut last = 0;
    for (second, message) in &said {
        assert_eq!(*message, Message::KeepAlive);
        assert!((90..=120).contains(&(second - last)), "{said:?}");
        last = *second;
    }
    assert!((5..=6).contains(&said.len()), "{said:?}");
}

#[test]
fn silence_is_ended_after_four_minutes() {
    let mut bench = Setup::leech(2).bench();
    let two = bench.remote(2, true, &[]);
    let at = until(&mut bench, 300, |outputs| closed(outputs) == [(two, DisconnectReason::Idle)]);
    assert!((230..=270).contains(&at.unwrap()), "{at:?}");
}

#[test]
fn who_does_not_shake_hands_goes() {
    for outgoing in [false, true] {
        let mut bench = Setup::leech(2).bench();
        let conn = ConnId(9);
        bench.input(Input::Connected { conn, addr: addr(9), outgoing });
        let at =
            until(&mut bench, 60, |outputs| closed(outputs) == [(conn, DisconnectReason::HandshakeTimeout)]);
        assert!((20..=31).contains(&at.unwrap()), "{at:?}");
        assert_eq!(bench.peer.connections(), 0);
    }
}

#[test]
fn an_early_timeout_is_harmless() {
    let mut bench = Setup::leech(2).bench();
    let (two, _) = bench.source(2, true);
    let deadline = bench.peer.poll_timeout();
    for _ in 0..1000 {
        assert!(bench.input(Input::Timeout).is_empty());
    }
    assert_eq!(bench.peer.poll_timeout(), deadline);
    assert!(deadline.unwrap().at > bench.now);
    assert_eq!(closed(&bench.say(two, Message::KeepAlive)), []);
    // A late one makes up for one round, not for all that were missed.
    bench.now = bench.now + seconds(25);
    bench.input(Input::Timeout);
    assert_eq!(bench.peer.poll_timeout().unwrap().at, bench.now + seconds(10));
}

#[test]
fn a_peer_that_has_not_started_does_nothing() {
    let mut peer = Setup::leech(2).peer();
    assert_eq!(peer.poll_timeout(), None);
    for input in [Input::Timeout, Input::Stop, Input::Discovered { peers: vec![addr(2)] }] {
        peer.handle_input(crate::Instant::FAR, input);
        assert!(peer.poll_output().is_none());
    }
}
