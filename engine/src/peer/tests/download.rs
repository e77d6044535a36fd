//! Interest, requests, the pipeline, the order of pieces.

use std::time::Duration;

use super::bench::*;
use crate::layout::BLOCK;
use crate::peer::{Event, Input, Output, PeerConfig, Pipeline, Violation};
use crate::wire::Message;

#[test]
fn interest_follows_what_the_remote_has() {
    let mut setup = Setup::leech(8);
    setup.have = vec![0, 1];
    let mut bench = setup.bench();
    let (conn, _) = bench.greet(2, true);
    assert!(bench.say(conn, bench.bitfield(&[0, 1])).is_empty(), "it has nothing that we lack");
    assert_eq!(sent(&bench.say(conn, Message::Have(5)), conn), [Message::Interested]);
    assert!(bench.say(conn, Message::Have(6)).is_empty(), "said once");
    assert!(bench.say(conn, Message::Have(6)).is_empty(), "a second HAVE of one piece is nothing new");
    let asked = requests(&bench.say(conn, Message::Unchoke), conn);
    assert_eq!(asked, blocks([5, 6]));
    let said = bench.give_all(conn, asked, true);
    let said: Vec<_> = sent(&said, conn);
    assert_eq!(said, [Message::Have(5), Message::Have(6), Message::NotInterested]);
    assert_eq!(bench.peer.have().count(), 4);
}

#[test]
fn the_bitfield_is_the_first_message_or_none() {
    let mut bench = Setup::leech(12).bench();
    for (n, bytes) in [(2u8, 1usize), (3, 3), (4, 0), (5, 100_000)] {
        let (conn, _) = bench.greet(n, true);
        let outputs = bench.say(conn, Message::Bitfield(vec![0; bytes].into()));
        assert_violation(&outputs, conn, Violation::BadBitfield);
    }
    let (conn, _) = bench.greet(6, true);
    let outputs = bench.say(conn, Message::Bitfield(vec![0xff, 0xff].into()));
    assert_violation(&outputs, conn, Violation::BadBitfield);
    // WebTorrent says that it has nothing once it has the metadata.
    let conn = bench.remote(7, true, &[]);
    bench.say(conn, Message::Interested);
    assert_eq!(sent(&bench.say(conn, Message::HaveNone), conn), []);
    bench.say(conn, Message::Have(2));
    assert_violation(&bench.say(conn, Message::HaveNone), conn, Violation::LateHaveNone);
    let (conn, _) = bench.greet(8, false);
    bench.say(conn, Message::KeepAlive);
    bench.say(conn, Message::Port(6881));
    assert_eq!(sent(&bench.say(conn, bench.bitfield(&[11])), conn), [Message::Interested]);
    assert_violation(&bench.say(conn, Message::Have(12)), conn, Violation::PieceOutOfRange);
    let (conn, _) = bench.greet(9, false);
    assert_violation(&bench.say(conn, Message::Have(u32::MAX)), conn, Violation::PieceOutOfRange);
}

#[test]
fn a_late_bitfield_stands_for_haves() {
    // aria2 sends one in place of twenty HAVEs or more.
    let mut setup = Setup::leech(8);
    setup.have = vec![0, 1];
    let mut bench = setup.bench();
    let conn = bench.remote(2, true, &[0]);
    assert_eq!(sent(&bench.say(conn, bench.bitfield(&[1])), conn), []);
    assert_eq!(sent(&bench.say(conn, bench.bitfield(&[2, 3])), conn), [Message::Interested]);
    // What it leaves out is still there.
    bench.say(conn, bench.bitfield(&[]));
    let asked = |outputs: &[Output]| {
        let mut pieces: Vec<u32> = sent(outputs, conn)
            .iter()
            .filter_map(|message| match message {
                Message::Request(block) => Some(block.piece),
                _ => None,
            })
            .collect();
        pieces.sort_unstable();
        pieces.dedup();
        pieces
    };
    assert_eq!(asked(&bench.say(conn, Message::Unchoke)), [2, 3]);
    // BEP 6's shorter form of all.
    let other = bench.remote(3, true, &[0]);
    assert_eq!(sent(&bench.say(other, Message::HaveAll), other), [Message::Interested]);
    // Spare bits are no pieces, late or not.
    let outputs = bench.say(conn, Message::Bitfield(vec![0, 1].into()));
    assert_violation(&outputs, conn, Violation::BadBitfield);
}

#[test]
fn a_have_from_who_has_us_unchoked_is_asked_for_at_once() {
    // It unchoked us for what we give it, before it had anything to give.
    let mut setup = Setup::leech(8);
    setup.have = vec![0];
    let mut bench = setup.bench();
    let conn = bench.remote(2, true, &[]);
    bench.say(conn, Message::Interested);
    let read = reads(&bench.say(conn, Message::Request(block(0, 0))));
    assert_eq!(sent(&bench.read(conn, read[0]), conn).len(), 1);
    assert_eq!(requests(&bench.say(conn, Message::Unchoke), conn), []);
    assert_eq!(requests(&bench.say(conn, Message::Have(4)), conn), blocks([4]));
    // And again, when everything of it was fetched.
    bench.give_all(conn, blocks([4]), true);
    assert_eq!(requests(&bench.say(conn, Message::Have(5)), conn), blocks([5]));
}

#[test]
fn requests_are_pipelined_and_begun_pieces_come_first() {
    let mut bench = Setup::leech(8).depth(6).bench();
    let (conn, asked) = bench.source_of(2, true, &[0, 1, 2, 3]);
    assert_eq!(asked, [&blocks([0])[..], &blocks([1])[..2]].concat(), "six blocks, each whole and once");
    // Who comes next gets on with piece 1 before it begins another (strict priority).
    let (_, other) = bench.source_of(3, true, &[0, 1, 2, 3]);
    assert_eq!(other, [&blocks([1])[2..], &blocks([2])[..]].concat());
    assert_eq!(requests(&bench.give(conn, asked[0]), conn), [block(3, 0)], "one comes, one goes out");
}

#[test]
fn the_first_pieces_are_random_and_then_the_rarest() {
    // Piece 7 is on one remote, everything else on three. 400 seeds: it is the first one in 1/8 of them
    // (50, standard deviation 6.6); with four pieces it always is.
    let first = |seed: u64, have: &[u32]| {
        let mut setup = Setup::leech(8).depth(1);
        (setup.picker, setup.seed, setup.have) = ("rarest-first", seed, have.to_vec());
        let mut bench = setup.bench();
        for n in 3..6 {
            bench.remote(n, true, &[0, 1, 2, 3, 4, 5, 6]);
        }
        let (_, asked) = bench.source(2, true);
        asked[0].piece
    };
    let rare = (0..400).filter(|&seed| first(seed, &[]) == 7).count();
    assert!((25..=80).contains(&rare), "{rare} of 400");
    assert!((0..50).all(|seed| first(seed, &[0, 1, 2, 3]) == 7));
}

#[test]
fn a_fixed_pipeline_stays() {
    for depth in [1, 5, 250] {
        let mut bench = Setup::leech(128).depth(depth).bench();
        let (conn, asked) = bench.source(2, true);
        assert_eq!(asked.len() as u32, depth);
        for (i, &block) in asked.iter().take(20).enumerate() {
            bench.now = bench.now + Duration::from_millis(if i < 10 { 1 } else { 700 });
            assert_eq!(requests(&bench.give(conn, block), conn).len(), 1);
        }
    }
}

/// Feeds blocks at `rate` (blocks a second) with a round trip of `rtt`, for `time`; how many requests are
/// outstanding at the end, and the most and least there were.
fn flow(bench: &mut Bench, rate: f64, rtt: Duration, time: Duration) -> (usize, usize, usize) {
    let (conn, asked) = bench.source(2, true);
    let mut queue: std::collections::VecDeque<_> = asked.into_iter().map(|b| (bench.now, b)).collect();
    let (end, gap) = (bench.now + time, Duration::from_secs_f64(1.0 / rate));
    let mut free = bench.now;
    let (mut least, mut most) = (usize::MAX, 0);
    while bench.now < end {
        let (asked_at, block) = queue.pop_front().unwrap();
        // The sender serves in order at its rate; a request and its block are on the way for `rtt`.
        free = free.max(asked_at) + gap;
        bench.now = free + rtt;
        let mut outputs = bench.give(conn, block);
        for piece in to_verify(&outputs) {
            outputs.extend(bench.input(Input::PieceVerified { piece, ok: true }));
        }
        queue.extend(requests(&outputs, conn).into_iter().map(|block| (bench.now, block)));
        (least, most) = (least.min(queue.len()), most.max(queue.len()));
    }
    (queue.len(), least, most)
}

fn adaptive(queue: u64) -> Setup {
    let queue = Duration::from_millis(queue);
    Setup::leech(4096).with(|config| config.pipeline = Pipeline::Adaptive { queue, min: 2, max: 250 })
}

#[test]
fn the_depth_is_rate_times_round_trip_and_queue() {
    // Depth: rate × (least round trip + queue). The least is one block's time more than the path's.
    for (rate, rtt, queue) in [(50.0, 100, 1000), (50.0, 1000, 1000), (20.0, 50, 500), (100.0, 200, 500)] {
        let (end, least, most) =
            flow(&mut adaptive(queue).bench(), rate, Duration::from_millis(rtt), seconds(30));
        let expected = rate * (rtt + queue) as f64 / 1000.0 + 2.0;
        let error = (end as f64 - expected).abs() / expected;
        assert!(error < 0.15, "{end} where {expected} was due at {rate}/s, {rtt} ms");
        assert!(least >= 2 && most <= 250, "{least}..{most}");
    }
}

#[test]
fn the_depth_stays_in_its_bounds() {
    let (end, least, most) =
        flow(&mut adaptive(1000).bench(), 2000.0, Duration::from_millis(100), seconds(5));
    assert_eq!((end, most), (250, 250));
    assert!(least >= 3);
    let (end, least, most) = flow(&mut adaptive(1000).bench(), 0.2, Duration::from_millis(100), seconds(100));
    assert_eq!((end, least), (2, 2), "at one block in five seconds");
    assert!(most <= 4, "the first four");
    // A limit below what a newcomer begins with holds too.
    let queue = seconds(1);
    for (min, max) in [(1, 1), (2, 3), (5, 2)] {
        let pipeline = Pipeline::Adaptive { queue, min, max };
        let mut bench = Setup::leech(64).with(|config| config.pipeline = pipeline).bench();
        assert_eq!(bench.source(2, true).1.len() as u32, max, "{min}..{max}");
    }
}

#[test]
fn the_depth_shrinks_with_the_rate() {
    let mut bench = adaptive(1000).bench();
    let (conn, asked) = bench.source(2, true);
    let mut asked = std::collections::VecDeque::from(asked);
    let mut step = |bench: &mut Bench, gap: u64| {
        bench.now = bench.now + Duration::from_millis(gap);
        let outputs = bench.give(conn, asked.pop_front().unwrap());
        asked.extend(requests(&outputs, conn));
        asked.len()
    };
    let fast = (0..500).map(|_| step(&mut bench, 10)).last().unwrap();
    assert!((100..=130).contains(&fast), "{fast} at 100 a second, round trip and queue above one second");
    let slow = (0..200).map(|_| step(&mut bench, 200)).last().unwrap();
    assert!((5..=12).contains(&slow), "{slow} at five a second");
}

/// How many requests each pulse finds of a remote that, but for the first, answers only every 500 ms, and then all
/// there are; it takes 512.
fn pulses(setup: Setup, pulses: usize) -> Vec<usize> {
    let mut bench = setup.bench();
    let (conn, mut asked) = bench.source(2, true);
    bench.say(conn, Message::Extended { id: 0, payload: (&b"d4:reqqi512ee"[..]).into() });
    bench.now = bench.now + Duration::from_millis(1);
    let first = asked.remove(0);
    asked.extend(requests(&bench.give(conn, first), conn));
    let mut found = Vec::new();
    for _ in 0..pulses {
        bench.now = bench.now + Duration::from_millis(500);
        found.push(asked.len());
        for block in std::mem::take(&mut asked) {
            let mut outputs = bench.give(conn, block);
            for piece in to_verify(&outputs) {
                outputs.extend(bench.input(Input::PieceVerified { piece, ok: true }));
            }
            asked.extend(requests(&outputs, conn));
        }
    }
    found
}

#[test]
fn slow_start_at_least_doubles_what_a_pulse_brings() {
    let deep = |slow_start| {
        let queue = seconds(1);
        let pipeline = Pipeline::Adaptive { queue, min: 2, max: 500 };
        Setup::leech(4096).with(|config| (config.pipeline, config.slow_start) = (pipeline, slow_start))
    };
    let found = pulses(deep(true), 24);
    let doubled = (0..24).map(|pulse| 500.min(4 << pulse));
    assert!(found.iter().zip(doubled).all(|(&found, least)| found >= least), "and it stays there: {found:?}");
    // The rate alone, of all since the unchoke, grows by so much a pulse.
    let found = pulses(deep(false), 12);
    assert!(found[11] < 100, "{found:?}");
}

#[test]
fn slow_start_ends_when_a_second_brings_no_more() {
    // By the rate and the round trip alone, as in the case without it.
    for (rate, rtt) in [(50.0, 100), (20.0, 50), (5.0, 300)] {
        let mut bench = adaptive(1000).with(|config| config.slow_start = true).bench();
        let (end, _, most) = flow(&mut bench, rate, Duration::from_millis(rtt), seconds(30));
        let expected = rate * (rtt + 1000) as f64 / 1000.0 + 2.0;
        let error = (end as f64 - expected).abs() / expected;
        assert!(error < 0.15, "{end} where {expected} was due at {rate}/s, {rtt} ms");
        assert!(most as f64 <= 4.0 + 4.0 * rate, "{most} at {rate}/s");
    }
}

#[test]
fn a_client_asks_and_takes_as_much_as_libtorrent() {
    let setup = Setup { config: PeerConfig { pex: false, ..PeerConfig::client() }, ..Setup::leech(4096) };
    let found = pulses(setup, 8);
    assert_eq!(found[7], 500, "{found:?}");
    assert_eq!(PeerConfig::client().max_queued, 2000);
}

#[test]
fn a_choke_drops_the_requests_unless_fast_says_otherwise() {
    // Without the fast extension a choke answers everything; the blocks go to others at once.
    let mut bench = Setup::leech(2).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, false);
    assert_eq!(asked.len(), 8);
    let (three, none) = bench.source(3, false);
    assert_eq!(none, []);
    let outputs = bench.say(two, Message::Choke);
    assert_eq!(requests(&outputs, three), asked);
    assert_eq!(requests(&outputs, two), []);

    // With it each request waits for its own reject, and only then goes to others.
    let mut bench = Setup::leech(2).with(|config| config.endgame = false).bench();
    let (two, asked) = bench.source(2, true);
    let (three, _) = bench.source(3, true);
    assert!(bench.say(two, Message::Choke).is_empty());
    for &block in &asked {
        let outputs = bench.say(two, Message::Reject(block));
        assert_eq!((requests(&outputs, three), requests(&outputs, two)), (vec![block], vec![]));
    }
    // What the remote sends all the same is welcome while it is not rejected (BEP 6).
    assert_violation(&bench.say(two, Message::Reject(asked[0])), two, Violation::UnrequestedBlock);
}

#[test]
fn who_unchokes_again_is_asked_again() {
    for fast in [false, true] {
        let mut bench = Setup::leech(2).bench();
        let (conn, asked) = bench.source(2, fast);
        bench.say(conn, Message::Choke);
        if fast {
            for &block in &asked {
                assert_eq!(requests(&bench.say(conn, Message::Reject(block)), conn), []);
            }
        }
        let mut again = requests(&bench.say(conn, Message::Unchoke), conn);
        again.sort_by_key(|block| (block.piece, block.begin));
        assert_eq!(again, asked, "fast: {fast}");
        assert_eq!(requests(&bench.say(conn, Message::Unchoke), conn), [], "a second unchoke says nothing");
    }
}

#[test]
fn unrequested_blocks_close_with_fast_and_after_sixteen_without() {
    let mut bench = Setup::leech(8).depth(4).bench();
    let (conn, _) = bench.source(2, true);
    let outputs = bench.give(conn, block(7, 0));
    assert_violation(&outputs, conn, Violation::UnrequestedBlock);
    assert_eq!(bench.peer.stats().wasted, u64::from(BLOCK));

    let (conn, asked) = bench.source(3, false);
    for _ in 0..16 {
        let outputs = bench.give(conn, block(7, 0));
        assert_eq!(events(&outputs), [Event::Wasted { conn, bytes: BLOCK }]);
        assert!(!outputs.iter().any(|output| matches!(output, Output::WriteBlock { .. })));
    }
    assert_eq!(closed(&bench.give(conn, asked[0])), [], "what was asked for is still welcome");
    assert_violation(&bench.give(conn, block(7, 0)), conn, Violation::UnrequestedBlock);
}

#[test]
fn blocks_of_another_length_are_not_what_was_asked_for() {
    for length in [0, 1, BLOCK - 1, BLOCK + 1, 2 * BLOCK] {
        let mut bench = Setup::leech(8).depth(4).bench();
        let (conn, asked) = bench.source(2, true);
        let outputs = bench.give(conn, crate::RawBlock { length, ..asked[0] });
        assert!(!outputs.iter().any(|output| matches!(output, Output::WriteBlock { .. })));
        assert_violation(&outputs, conn, Violation::UnrequestedBlock);
    }
}

#[test]
fn the_last_piece_and_block_are_short() {
    let mut setup = Setup::leech(1);
    setup.layout = crate::Layout::new(100_001, 65_536).unwrap();
    let mut bench = setup.bench();
    let (conn, asked) = bench.source(2, true);
    let lengths: Vec<_> = asked.iter().map(|block| block.length).collect();
    assert_eq!(lengths, [16384, 16384, 16384, 16384, 16384, 16384, 100_001 - 6 * 16384]);
    let said = bench.give_all(conn, asked, true);
    assert!(bench.peer.is_complete());
    assert_eq!(events(&said).last(), Some(&Event::Completed));
    assert_eq!(bench.peer.stats().downloaded, 100_001);
}

#[test]
fn a_refused_block_is_for_who_had_found_nothing_and_for_who_refused_it() {
    let mut bench = Setup::leech(8).depth(4).bench();
    let (first, asked) = bench.source_of(2, true, &[0]);
    assert_eq!(asked, blocks([0]));
    let (starved, nothing) = bench.source_of(3, true, &[0]);
    assert_eq!(nothing, []);
    let (busy, own) = bench.source_of(4, true, &[0, 1, 2]);
    assert_eq!(own, blocks([1]), "as much as it may owe us");
    bench.say(first, Message::Choke);
    let outputs = bench.say(first, Message::Reject(asked[2]));
    assert_eq!((requests(&outputs, starved), requests(&outputs, busy)), (vec![asked[2]], vec![]));
    // Who refuses while it lets us ask owes one less.
    let outputs = bench.say(busy, Message::Reject(own[1]));
    assert_eq!((requests(&outputs, busy), requests(&outputs, starved)), (vec![own[1]], vec![]));
}
