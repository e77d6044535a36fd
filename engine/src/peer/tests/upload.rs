//! Serving: requests, back-pressure, chokes.

use super::bench::*;
use crate::ids::ConnId;
use crate::layout::BLOCK;
use crate::peer::{Input, Output, PeerConfig, Violation};
use crate::wire::{Message, RawBlock};

/// A seed of eight pieces with one remote, interested and unchoked.
fn served(fast: bool, change: impl FnOnce(&mut PeerConfig)) -> (Bench, ConnId) {
    let mut bench = Setup::seed(8).with(change).bench();
    let (conn, _) = bench.greet(2, fast);
    bench.say(conn, Message::Interested);
    (bench, conn)
}

/// A seed that has unchoked nobody.
fn choked(fast: bool) -> (Bench, ConnId) {
    let mut setup = Setup::seed(8);
    setup.choker = "never";
    let mut bench = setup.bench();
    let (conn, _) = bench.greet(2, fast);
    bench.say(conn, Message::Interested);
    (bench, conn)
}

#[test]
fn an_interested_remote_is_unchoked_at_once_when_a_slot_is_free() {
    let mut setup = Setup::seed(8);
    setup.choker = "mainline-seed";
    let mut bench = setup.bench();
    let mut unchoked = 0;
    for n in 2..10 {
        let (conn, outputs) = bench.greet(n, true);
        unchoked += u32::from(sent(&outputs, conn).contains(&Message::Unchoke));
        let outputs = bench.say(conn, Message::Interested);
        unchoked += u32::from(sent(&outputs, conn).contains(&Message::Unchoke));
    }
    assert_eq!((unchoked, bench.peer.active_uploads()), (4, 4), "four slots");
}

#[test]
fn a_request_becomes_a_read_and_a_piece() {
    for (begin, length) in [(0, BLOCK), (1, 1), (3 * BLOCK + 5, BLOCK - 5), (0, 4 * BLOCK)] {
        let (mut bench, conn) = served(true, |_| {});
        let asked = RawBlock { piece: 7, begin, length };
        let outputs = bench.say(conn, Message::Request(asked));
        assert_eq!(reads(&outputs).iter().map(|&b| RawBlock::from(b)).collect::<Vec<_>>(), [asked]);
        let outputs = bench.read(conn, reads(&outputs)[0]);
        assert_eq!(sent(&outputs, conn), [Message::Piece { piece: 7, begin, data: payload(length) }]);
        assert_eq!(bench.peer.stats().uploaded, 0);
        bench.input(Input::Sent { conn, bytes: length });
        assert_eq!(bench.peer.stats().uploaded, u64::from(length));
    }
}

#[test]
fn requests_outside_the_torrent_or_too_long_close() {
    let bad = [
        RawBlock { piece: 8, begin: 0, length: BLOCK },
        RawBlock { piece: u32::MAX, begin: 0, length: BLOCK },
        RawBlock { piece: 0, begin: 0, length: 0 },
        RawBlock { piece: 0, begin: 4 * BLOCK, length: 1 },
        RawBlock { piece: 0, begin: 3 * BLOCK, length: BLOCK + 1 },
        RawBlock { piece: 7, begin: 4 * BLOCK - 1, length: 2 },
        RawBlock { piece: 0, begin: 0xffff_c000, length: 0x8000 },
        RawBlock { piece: 0, begin: u32::MAX, length: u32::MAX },
        RawBlock { piece: 0, begin: 0, length: u32::MAX },
        RawBlock { piece: 0, begin: 0, length: 2 * BLOCK + 1 },
    ];
    for request in bad {
        for (mut bench, conn) in [served(true, |config| config.max_request = 2 * BLOCK), choked(false)] {
            if request.length == 2 * BLOCK + 1 && bench.peer.active_uploads() == 0 {
                continue;
            }
            let outputs = bench.say(conn, Message::Request(request));
            assert_violation(&outputs, conn, Violation::BadRequest);
            assert_eq!((reads(&outputs).len(), bench.peer.connections()), (0, 0));
        }
    }
}

#[test]
fn who_is_choked_is_refused() {
    let (mut bench, conn) = choked(true);
    for n in 0..100 {
        let asked = block(n % 8, n % 4);
        let outputs = bench.say(conn, Message::Request(asked));
        assert_eq!(sent(&outputs, conn), [Message::Reject(asked)]);
    }
    let (mut bench, conn) = choked(false);
    for n in 0..100 {
        assert!(bench.say(conn, Message::Request(block(n % 8, n % 4))).is_empty());
    }
}

#[test]
fn who_asks_for_what_we_never_claimed_is_refused_and_in_the_end_dropped() {
    for fast in [true, false] {
        let mut bench = Setup::leech(8).bench();
        let (conn, _) = bench.greet(2, fast);
        for _ in 0..16 {
            let outputs = bench.say(conn, Message::Request(block(3, 0)));
            assert_eq!((reads(&outputs).len(), rejects(&outputs, conn).len()), (0, usize::from(fast)));
            assert_eq!(closed(&outputs), []);
        }
        let outputs = bench.say(conn, Message::Request(block(3, 0)));
        assert_violation(&outputs, conn, Violation::BadRequest);
    }
}

#[test]
fn no_more_than_the_watermark_is_handed_over() {
    let (mut bench, conn) = served(true, |config| config.send_buffer_time = seconds(0));
    let mut read = Vec::new();
    for block in blocks(0..8) {
        read.extend(reads(&bench.say(conn, Message::Request(block))));
    }
    assert_eq!(read.len(), 2, "two blocks, of which nothing has left");
    for &block in &read {
        let outputs = bench.read(conn, block);
        assert_eq!(sent(&outputs, conn).len(), 1);
        assert_eq!(reads(&outputs), []);
    }
    // One leaves, one follows; and each is handed over once.
    for left in (2..32).rev() {
        let outputs = bench.input(Input::Sent { conn, bytes: BLOCK });
        let next = reads(&outputs);
        assert_eq!(next.len(), 1, "{left}");
        bench.read(conn, next[0]);
    }
    assert_eq!(reads(&bench.input(Input::Sent { conn, bytes: BLOCK })), []);
    bench.input(Input::Sent { conn, bytes: BLOCK });
    assert_eq!(bench.peer.stats().uploaded, 32 * u64::from(BLOCK));
}

#[test]
fn the_watermark_is_half_a_second_of_the_rate() {
    // 64 blocks a second: half a second is 32 blocks ahead.
    let (mut bench, conn) = served(true, |config| config.max_queued = 10_000);
    let mut ahead = 0_i64;
    let mut most = 0;
    let mut asked = blocks((0..8).cycle().take(2000)).into_iter();
    for _ in 0..100 {
        for read in reads(&bench.say(conn, Message::Request(asked.next().unwrap()))) {
            bench.read(conn, read);
            ahead += 1;
        }
    }
    for _ in 0..1280 {
        bench.now = bench.now + std::time::Duration::from_micros(15_625);
        let mut outputs = bench.input(Input::Sent { conn, bytes: BLOCK });
        ahead -= 1;
        outputs.extend(bench.say(conn, Message::Request(asked.next().unwrap())));
        for read in reads(&outputs) {
            bench.read(conn, read);
            ahead += 1;
        }
        most = most.max(ahead);
    }
    assert!((31..=33).contains(&ahead), "{ahead}");
    assert!(most <= 33, "{most}");
}

#[test]
fn a_choke_drops_only_what_is_not_handed_over() {
    for fast in [true, false] {
        let mut setup = Setup::seed(8);
        setup.choker = "mainline-seed";
        setup.config.slots = 1;
        let mut bench = setup.bench();
        let (two, _) = bench.greet(2, fast);
        bench.say(two, Message::Interested);
        let asked = blocks(0..2);
        let mut read = Vec::new();
        for &block in &asked {
            read.extend(reads(&bench.say(two, Message::Request(block))));
        }
        assert_eq!(read.len(), 2);
        bench.read(two, read[0]);
        let (three, _) = bench.greet(3, fast);
        bench.say(three, Message::Interested);
        let mut outputs = Vec::new();
        while !sent(&outputs, two).contains(&Message::Choke) {
            assert!(bench.now < crate::Instant::ZERO + seconds(200));
            outputs = bench.pass(seconds(1));
        }
        // The first is on its way; the second was asked of the disk, the rest was not even that.
        let expected = if fast { asked[1..].to_vec() } else { vec![] };
        assert_eq!(rejects(&outputs, two), expected);
        let said = sent(&outputs, two);
        assert_eq!(
            said.iter().position(|m| *m == Message::Choke),
            Some(0),
            "choke first, reject then (BEP 6)"
        );
        assert!(bench.read(two, read[1]).is_empty(), "what the disk brings now is not sent");
        assert_eq!(reads(&bench.input(Input::Sent { conn: two, bytes: BLOCK })), []);
    }
}

#[test]
fn a_cancelled_request_is_answered_once() {
    let (mut bench, conn) = served(true, |_| {});
    let mut read = Vec::new();
    for block in blocks([0, 1]) {
        read.extend(reads(&bench.say(conn, Message::Request(block))));
    }
    // Queued, or with the disk: a reject (BEP 6). The place with the disk is taken by the next.
    assert_eq!(sent(&bench.say(conn, Message::Cancel(block(1, 3))), conn), [Message::Reject(block(1, 3))]);
    let outputs = bench.say(conn, Message::Cancel(block(0, 0)));
    assert_eq!(sent(&outputs, conn), [Message::Reject(block(0, 0))]);
    assert_eq!(reads(&outputs).len(), 1);
    assert!(bench.read(conn, read[0]).is_empty());
    // Handed over: the piece is the answer.
    assert_eq!(sent(&bench.read(conn, read[1]), conn).len(), 1);
    assert!(bench.say(conn, Message::Cancel(block(0, 1))).is_empty());
    // Never asked for, or nonsense: nothing.
    assert!(bench.say(conn, Message::Cancel(block(7, 0))).is_empty());
    let nonsense = RawBlock { piece: u32::MAX, begin: u32::MAX, length: u32::MAX };
    assert!(bench.say(conn, Message::Cancel(nonsense)).is_empty());
    // Without the fast extension a cancel is not answered.
    let (mut bench, conn) = served(false, |_| {});
    for block in blocks([0]) {
        bench.say(conn, Message::Request(block));
    }
    assert!(bench.say(conn, Message::Cancel(block(0, 3))).is_empty());
}

#[test]
fn a_block_that_cannot_be_read_is_refused_and_the_next_goes_on() {
    for fast in [true, false] {
        let (mut bench, conn) = served(fast, |_| {});
        let mut read = Vec::new();
        for block in blocks([0]) {
            read.extend(reads(&bench.say(conn, Message::Request(block))));
        }
        for (i, block) in read.into_iter().enumerate() {
            let data = (i == 1).then(|| payload(7)); // Nothing, or not what was asked for.
            let outputs = bench.input(Input::BlockRead { conn, block, data });
            assert_eq!(rejects(&outputs, conn).len(), usize::from(fast));
            assert_eq!(reads(&outputs).len(), 1, "the next one");
            assert_eq!(closed(&outputs), []);
        }
    }
}

#[test]
fn the_queue_is_as_long_as_we_said() {
    let (mut bench, conn) = served(true, |config| config.max_queued = 10);
    let mut refused = 0;
    for block in blocks(0..8) {
        refused += rejects(&bench.say(conn, Message::Request(block)), conn).len();
    }
    assert_eq!(refused, 32 - 10);
    let (mut bench, conn) = served(false, |config| config.max_queued = 10);
    for block in &blocks(0..8)[..10] {
        assert_eq!(closed(&bench.say(conn, Message::Request(*block))), []);
    }
    let outputs = bench.say(conn, Message::Request(block(7, 0)));
    assert_violation(&outputs, conn, Violation::TooManyRequests);
}

#[test]
fn interest_that_comes_and_goes_costs_bounded_answers() {
    let mut setup = Setup::seed(8);
    setup.choker = "mainline-seed";
    let mut bench = setup.bench();
    let (conn, _) = bench.greet(2, true);
    let mut answers = 0;
    for _ in 0..2000 {
        answers += bench.say(conn, Message::Interested).len();
        answers += bench.say(conn, Message::NotInterested).len();
    }
    assert!(answers <= 4000, "{answers}: no more than one for each");
    assert!(!bench.say(conn, Message::KeepAlive).iter().any(|o| matches!(o, Output::Disconnect { .. })));
}

#[test]
fn what_waits_is_not_queued_again_unless_fast_answers_each() {
    // Without the fast extension a choke and an unchoke may pass a request on their way: it is here when its sender has
    // given it up and asks again.
    for (fast, answers) in [(false, 1), (true, 2)] {
        let (mut bench, conn) = served(fast, |config| config.send_buffer_time = seconds(0));
        let mut asked = blocks(0..1);
        asked.push(asked[3]);
        let mut waiting = std::collections::VecDeque::new();
        for &block in &asked {
            waiting.extend(reads(&bench.say(conn, Message::Request(block))));
        }
        let mut served = Vec::new();
        while let Some(block) = waiting.pop_front() {
            bench.read(conn, block);
            served.push(RawBlock::from(block));
            waiting.extend(reads(&bench.input(Input::Sent { conn, bytes: BLOCK })));
        }
        assert_eq!(served.iter().filter(|block| **block == asked[3]).count(), answers, "fast: {fast}");
        // What was served may be asked for again.
        assert_eq!(reads(&bench.say(conn, Message::Request(asked[3]))).len(), 1);
    }
}
