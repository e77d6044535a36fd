//! The end game of BEP 3: blocks asked of several, and taken back.

use super::bench::*;
use crate::layout::BLOCK;
use crate::peer::{Event, Input};
use crate::wire::Message;

#[test]
fn nothing_is_asked_twice_before_everything_is_asked_once() {
    let mut bench = Setup::leech(4).bench();
    let (_, first) = bench.source(2, true);
    let (three, second) = bench.source(3, true);
    let mut all = [first.clone(), second.clone()].concat();
    all.sort_by_key(|block| (block.piece, block.begin));
    assert_eq!(all, blocks(0..4), "sixteen blocks, eight of each, none twice");
    let mut outputs = Vec::new();
    for &block in &second {
        assert_eq!(requests(&outputs, three), [], "it still owes us blocks of its own");
        outputs = bench.give(three, block);
    }
    assert_eq!(requests(&outputs, three).len(), 1, "now there is nothing else to ask for");
    assert!(first.contains(&requests(&outputs, three)[0]));
}

#[test]
fn who_owes_us_nothing_is_asked_for_one_copy_at_a_time() {
    // All that is under way when the last block comes is lost: no more than a block of each remote.
    let mut bench = Setup::leech(1).depth(8).bench();
    let (_, asked) = bench.source(2, true);
    assert_eq!(asked, blocks([0]));
    let (three, copies) = bench.source(3, true);
    assert_eq!(copies, [block(0, 0)], "of four that it could be asked for");
    let outputs = bench.give(three, copies[0]);
    assert_eq!(requests(&outputs, three), [block(0, 1)]);
}

#[test]
fn the_block_that_comes_is_taken_back_elsewhere() {
    let mut bench = Setup::leech(1).bench();
    let (two, asked) = bench.source(2, true);
    assert_eq!(asked, blocks([0]));
    let others = [3, 4, 5, 6, 7].map(|n| bench.source(n, true));
    let copies: Vec<_> = others.iter().flat_map(|(_, asked)| asked.clone()).collect();
    assert_eq!(copies, [block(0, 0), block(0, 1), block(0, 2), block(0, 3), block(0, 0)]);
    let [(three, _), .., (four, _)] = others;
    let outputs = bench.give(three, block(0, 0));
    assert_eq!(cancels(&outputs, two), [block(0, 0)]);
    assert_eq!(cancels(&outputs, four), [block(0, 0)]);
    assert_eq!(cancels(&outputs, three), []);
    // It was on its way: no fault, but of no use.
    let outputs = bench.give(two, block(0, 0));
    assert_eq!(
        (events(&outputs), closed(&outputs)),
        (vec![Event::Wasted { conn: two, bytes: BLOCK }], vec![])
    );
    // Or it was not, and BEP 6 has each cancel answered.
    assert!(bench.say(four, Message::Reject(block(0, 0))).is_empty());
    assert_eq!(bench.peer.stats().wasted, u64::from(BLOCK));
}

#[test]
fn copies_are_bounded_and_spread() {
    let mut bench = Setup::leech(1).depth(2).with(|config| config.endgame_copies = 3).bench();
    let mut count = [0; 4];
    for n in 2..12 {
        for asked in bench.source(n, true).1 {
            count[(asked.begin / BLOCK) as usize] += 1;
        }
    }
    assert_eq!(
        count, [3; 4],
        "two remotes take two each, eight take a copy; three may be asked for one block"
    );
    assert_eq!(bench.source(12, true).1, []);
    let mut bench = Setup::leech(1).with(|config| config.endgame = false).bench();
    bench.source(2, true);
    assert_eq!(bench.source(3, true).1, []);
    let bench = Setup::leech(1).with(|config| {
        config.endgame_copies = 255;
        config.max_connections = 300;
    });
    let mut bench = bench.bench();
    assert_eq!(bench.source(2, true).1.len(), 4);
    for n in 3..=250 {
        assert_eq!(bench.source(n, true).1.len(), 1);
    }
}

#[test]
fn endgame_is_heard_by_those_who_found_nothing() {
    // Remote 2 holds piece 0 and is idle otherwise; remote 3 has only piece 0, of which nothing is free.
    // When remote 4 takes the rest, remote 3 can help with piece 0.
    let mut bench = Setup::leech(3).depth(4).bench();
    let (_, asked) = bench.source_of(2, true, &[0]);
    assert_eq!(asked, blocks([0]));
    let (three, none) = bench.source_of(3, true, &[0]);
    assert_eq!(none, []);
    let (_, asked) = bench.source_of(4, true, &[1]);
    assert_eq!(asked, blocks([1]));
    let five = bench.remote(5, true, &[2]);
    let outputs = bench.say(five, Message::Unchoke);
    assert_eq!(requests(&outputs, five), blocks([2]));
    assert_eq!(requests(&outputs, three).len(), 1);
    assert_eq!(events(&outputs), [Event::EndgameStarted]);
}

#[test]
fn a_reject_in_endgame_leaves_the_others_their_copy() {
    let mut bench = Setup::leech(1).bench();
    let (two, _) = bench.source(2, true);
    let (three, copy) = bench.source(3, true);
    assert_eq!(copy, [block(0, 0)]);
    bench.say(two, Message::Choke);
    // Remote 3 has its copy of the first; the others are free now, and it is asked for them too.
    for n in 0..4 {
        let outputs = bench.say(two, Message::Reject(block(0, n)));
        assert_eq!(requests(&outputs, two), []);
        assert_eq!(requests(&outputs, three).len(), usize::from(n > 0));
    }
    for n in 0..4 {
        let outputs = bench.give(three, block(0, n));
        assert_eq!(cancels(&outputs, two), []);
        if n == 3 {
            assert_eq!(to_verify(&outputs), [bench.piece(0)]);
        }
    }
}

#[test]
fn who_has_choked_us_is_told_too() {
    // In the fast extension a choke leaves the requests open until they are rejected one by one.
    let mut bench = Setup::leech(1).bench();
    let (two, _) = bench.source(2, true);
    let (three, _) = bench.source(3, true);
    bench.say(two, Message::Choke);
    assert_eq!(cancels(&bench.give(three, block(0, 0)), two), [block(0, 0)]);
    assert_eq!(closed(&bench.say(two, Message::Reject(block(0, 0)))), []);
}

#[test]
fn endgame_ends_when_a_piece_fails() {
    let mut bench = Setup::leech(2).depth(2).bench();
    let (two, asked) = bench.source(2, true);
    let piece = bench.piece(0);
    let mut outputs = Vec::new();
    let mut queue = asked;
    for i in 0..8 {
        outputs = bench.give(two, queue[i]);
        queue.extend(requests(&outputs, two));
    }
    assert_eq!(to_verify(&outputs), [bench.piece(1)]);
    let (three, none) = bench.source(3, true);
    assert_eq!(none, [], "all is here, and not yet verified");
    bench.input(Input::PieceVerified { piece: bench.piece(1), ok: true });
    let outputs = bench.input(Input::PieceVerified { piece, ok: false });
    assert_eq!(requests(&outputs, three), [block(0, 0), block(0, 1)]);
    assert_eq!(bench.peer.stats().wasted, u64::from(4 * BLOCK));
}

#[test]
fn a_remote_that_never_answers_cancels_costs_bounded_memory() {
    // Remote 2 is asked for the one piece's blocks, told to forget them, and says nothing. Remotes 10 and up
    // each send the piece, wrong, and are banned for it; so it is asked again, a hundred times over. The
    // books are checked to hold at most 256 unanswered ones.
    let mut bench = Setup::leech(1).bench();
    let (silent, asked) = bench.source(2, false);
    assert_eq!(asked.len(), 4);
    let mut told = 0;
    for n in 10..110 {
        let (conn, asked) = bench.source(n, false);
        let said = bench.give_all(conn, asked, false);
        assert!(bench.peer.is_banned(ip(n.into())));
        told += cancels(&said, silent).len();
    }
    assert!(told >= 396, "{told}");
}
