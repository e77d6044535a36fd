//! Bad data, false claims, and who is to blame.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bench::*;
use crate::ids::ConnId;
use crate::layout::BLOCK;
use crate::peer::{DisconnectReason, Event, Input, Output, Violation};
use crate::wire::{Message, RawBlock};

fn verdict(bench: &mut Bench, piece: u32, ok: bool) -> Vec<Output> {
    let piece = bench.piece(piece);
    bench.input(Input::PieceVerified { piece, ok })
}

#[test]
fn the_only_source_of_a_bad_piece_is_banned() {
    let mut bench = Setup::leech(8).depth(4).bench();
    let (conn, asked) = bench.source(2, true);
    assert_eq!(asked, blocks([0]));
    for block in asked {
        bench.give(conn, block);
    }
    let outputs = verdict(&mut bench, 0, false);
    assert_eq!(events(&outputs), [Event::HashFailed(bench.piece(0)), Event::Banned(ip(2))]);
    assert_violation(&outputs, conn, Violation::CorruptData);
    assert!(bench.peer.is_banned(ip(2)));
    assert_eq!(bench.peer.stats().wasted, 4 * u64::from(BLOCK));
    assert_eq!(bench.peer.have().count(), 0, "nor is the piece announced");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Send { .. })));
    // The piece is to be had from others.
    let (conn, asked) = bench.source(3, true);
    // No verdict is due for it now.
    assert!(verdict(&mut bench, 0, true).is_empty());
    bench.give_all(conn, asked, true);
    assert!(bench.peer.is_complete());
}

/// A driver that gives whatever is asked, in the order of asking; a piece fails its hash if `liar` sent a
/// block of it.
struct Feeder {
    bench: Bench,
    liar: ConnId,
    asked: VecDeque<(ConnId, RawBlock)>,
    due: VecDeque<u32>,
    sources: BTreeMap<u32, BTreeSet<ConnId>>,
    failures: u32,
}

impl Feeder {
    fn new(bench: Bench, liar: ConnId) -> Self {
        let (asked, due, sources) = (VecDeque::new(), VecDeque::new(), BTreeMap::new());
        Self { bench, liar, asked, due, sources, failures: 0 }
    }

    fn take(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Send { conn, message: Message::Request(block) } => {
                    self.asked.push_back((*conn, *block));
                }
                Output::Send { conn, message: Message::Cancel(block) } => {
                    self.asked.retain(|asked| asked != &(*conn, *block));
                }
                Output::Disconnect { conn, .. } => self.asked.retain(|(asked, _)| asked != conn),
                Output::VerifyPiece { piece } => self.due.push_back(piece.get()),
                _ => {}
            }
        }
    }

    fn run(&mut self) {
        loop {
            let outputs = if let Some(piece) = self.due.pop_front() {
                let sources = self.sources.remove(&piece).unwrap();
                let ok = !sources.contains(&self.liar);
                self.failures += u32::from(!ok);
                verdict(&mut self.bench, piece, ok)
            } else if let Some((conn, block)) = self.asked.pop_front() {
                let outputs = self.bench.give(conn, block);
                if outputs.iter().any(|output| matches!(output, Output::WriteBlock { .. })) {
                    self.sources.entry(block.piece).or_default().insert(conn);
                }
                outputs
            } else {
                return;
            };
            self.take(&outputs);
        }
    }
}

#[test]
fn the_guilty_one_is_found_and_the_innocent_are_cleared() {
    // Four sources of 64 pieces, one of which sends nothing but rubbish, in every place and with shallow and
    // deep pipelines: the download ends, the liar is banned and nobody else, and it has cost few pieces.
    for (liar, depth, fast) in [(2, 1, true), (3, 2, false), (4, 5, true), (5, 8, false), (2, 30, true)] {
        let mut bench = Setup::leech(64).depth(depth).bench();
        let conns = [2, 3, 4, 5].map(|n| bench.remote(n, fast, &(0..64).collect::<Vec<_>>()));
        let mut feeder = Feeder::new(bench, ConnId(liar));
        for conn in conns {
            let outputs = feeder.bench.say(conn, Message::Unchoke);
            feeder.take(&outputs);
        }
        feeder.run();
        assert!(feeder.bench.peer.is_complete(), "{} of 64 pieces", feeder.bench.peer.have().count());
        for n in 2..=5 {
            assert_eq!(feeder.bench.peer.is_banned(ip(n)), n == liar, "remote {n}, liar {liar}");
        }
        assert!(feeder.failures <= 2 + depth, "{} pieces failed at depth {depth}", feeder.failures);
    }
}

/// Remotes 2 and 3 have sent the first piece together, and it has failed. Each is asked for two at a time.
fn two_suspects(pieces: u32) -> (Bench, ConnId, ConnId, Vec<Output>) {
    let mut bench = Setup::leech(pieces).depth(2).with(|config| config.endgame = false).bench();
    let (two, first) = bench.source(2, false);
    let (three, second) = bench.source(3, false);
    assert_eq!([first, second].concat(), blocks([0]));
    for (conn, n) in [(two, 0), (two, 1), (three, 2), (three, 3)] {
        bench.give(conn, block(0, n));
    }
    let outputs = verdict(&mut bench, 0, false);
    assert_eq!(events(&outputs), [Event::HashFailed(bench.piece(0))], "two sources: nobody is banned");
    (bench, two, three, outputs)
}

#[test]
fn a_suspect_fills_pieces_alone() {
    let (mut bench, two, three, _) = two_suspects(16);
    for conn in [two, three] {
        bench.say(conn, Message::Choke);
    }
    let first = requests(&bench.say(two, Message::Unchoke), two);
    let second = requests(&bench.say(three, Message::Unchoke), three);
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_ne!(first[0].piece, second[0].piece);
    let (four, third) = bench.source(4, false);
    assert!(third.iter().all(|b| ![first[0].piece, second[0].piece].contains(&b.piece)), "{third:?}");
    // The piece of remote 2 passes: it is cleared, and helps with what remote 4 has begun.
    let piece = first[0].piece;
    let mut outputs = Vec::new();
    for n in 0..4 {
        outputs = bench.give(two, block(piece, n));
    }
    assert_eq!(to_verify(&outputs), [bench.piece(piece)]);
    verdict(&mut bench, piece, true);
    bench.say(two, Message::Choke);
    let asked = requests(&bench.say(two, Message::Unchoke), two);
    assert_eq!(asked, [block(third[0].piece, 2), block(third[0].piece, 3)]);
    // That of remote 3 fails.
    for n in 0..4 {
        bench.give(three, block(second[0].piece, n));
    }
    let outputs = verdict(&mut bench, second[0].piece, false);
    assert_eq!(closed(&outputs), [(three, DisconnectReason::Violation(Violation::CorruptData))]);
    assert_eq!((bench.peer.is_banned(ip(2)), bench.peer.is_banned(ip(3))), (false, true));
    assert_eq!(closed(&bench.say(four, Message::KeepAlive)), []);
}

#[test]
fn a_suspect_that_comes_again_is_one_still() {
    let (mut bench, two, _, _) = two_suspects(16);
    bench.input(Input::Closed { conn: two });
    assert_eq!(bench.source(4, false).1, [block(1, 0), block(1, 1)], "what remote 2 was asked for");
    assert_eq!(bench.source(5, false).1, [block(0, 0), block(0, 1)]);
    // If remote 2 were as new it would help with piece 0.
    let (two, asked) = bench.source(2, false);
    assert_eq!(asked, [block(2, 0), block(2, 1)]);
    // The piece that it fills alone passes: it is cleared, and stays so when it comes a third time.
    for n in 0..4 {
        bench.give(two, block(2, n));
    }
    verdict(&mut bench, 2, true);
    bench.input(Input::Closed { conn: two });
    assert_eq!(bench.source(2, false).1, [block(0, 2), block(0, 3)]);
}

#[test]
fn the_last_piece_is_not_held_by_a_suspect_that_chokes_or_goes() {
    for (leaves, sent) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let (mut bench, two, three, outputs) = two_suspects(1);
        let held = requests(&outputs, two);
        assert_eq!((held.len(), requests(&outputs, three).len()), (2, 0));
        for &block in &held[..sent] {
            assert_eq!(requests(&bench.give(two, block), three), []);
        }
        let outputs = match leaves {
            true => bench.input(Input::Closed { conn: two }),
            false => bench.say(two, Message::Choke),
        };
        // All of it, the block that came included: else it would have two sources again.
        let asked = requests(&outputs, three);
        assert_eq!(asked, [block(0, 0), block(0, 1)], "leaves: {leaves}, sent: {sent}");
        bench.give_all(three, asked, true);
        assert!(bench.peer.is_complete());
        assert_eq!(bench.peer.stats().wasted, u64::from(BLOCK) * (4 + sent as u64));
    }
}

#[test]
fn a_suspect_that_chokes_and_returns_gets_on() {
    let (mut bench, two, three, _) = two_suspects(1);
    bench.input(Input::Closed { conn: three });
    bench.say(two, Message::Choke);
    let asked = requests(&bench.say(two, Message::Unchoke), two);
    assert_eq!(asked, [block(0, 0), block(0, 1)]);
    bench.give_all(two, asked, true);
    assert!(bench.peer.is_complete());
}

#[test]
fn pieces_begun_before_the_suspicion_are_finished_by_suspects_if_nobody_else_can() {
    // Piece 1 has a block of each when they become suspects; then both are choked and unchoked.
    let (mut bench, two, three, _) = two_suspects(2);
    bench.give(two, block(1, 0));
    bench.give(three, block(1, 2));
    bench.say(two, Message::Choke);
    bench.say(three, Message::Choke);
    let asked = requests(&bench.say(two, Message::Unchoke), two);
    bench.give_all(two, asked, true);
    assert!(bench.peer.is_complete(), "{:?}", bench.peer.have());
}

#[test]
fn others_hear_when_a_suspect_is_cleared() {
    let mut bench = Setup::leech(2).depth(6).bench();
    let (two, _) = bench.source(2, false);
    let (three, _) = bench.source(3, false);
    for (conn, n) in [(two, 0), (two, 1), (three, 2), (three, 3)] {
        bench.give(conn, block(1, n));
    }
    let outputs = verdict(&mut bench, 1, false);
    assert_eq!(requests(&outputs, two), [block(1, 0), block(1, 1)], "piece 1 is remote 2's alone");
    bench.input(Input::Closed { conn: three });
    let (four, none) = bench.source(4, false);
    assert_eq!(none, []);
    for n in 0..4 {
        bench.give(two, block(0, n));
    }
    let outputs = verdict(&mut bench, 0, true);
    let asked = requests(&outputs, four);
    assert_eq!(
        asked.first().map(|block| block.piece),
        Some(1),
        "remote 2 is cleared, and piece 1 is anyone's"
    );
}

#[test]
fn who_was_taken_in_by_a_banned_one_is_no_suspect() {
    let mut bench = Setup::leech(8).depth(6).with(|config| config.endgame = false).bench();
    let (two, _) = bench.source(2, false);
    let (three, _) = bench.source(3, false);
    // Piece 0 is remote 2's, piece 1 is of both; 0 fails.
    for n in 0..4 {
        bench.give(two, block(0, n));
    }
    for (conn, n) in [(two, 0), (two, 1), (three, 2), (three, 3)] {
        bench.give(conn, block(1, n));
    }
    verdict(&mut bench, 0, false);
    assert!(bench.peer.is_banned(ip(2)));
    verdict(&mut bench, 1, false);
    // Remote 3 shares a piece with remote 4 as ever.
    bench.say(three, Message::Choke);
    let mut asked = requests(&bench.say(three, Message::Unchoke), three);
    asked.extend(bench.source(4, false).1);
    asked.sort_by_key(|block| (block.piece, block.begin));
    assert_eq!(asked, blocks(2..5), "twelve blocks, and the second piece from both");
}

#[test]
fn who_refuses_what_it_claims_is_dropped_and_not_banned() {
    let mut bench = Setup::leech(8).depth(1).bench();
    let (conn, asked) = bench.source(2, true);
    let mut asked = asked[0];
    for _ in 0..16 {
        let outputs = bench.say(conn, Message::Reject(asked));
        asked = requests(&outputs, conn)[0];
    }
    let outputs = bench.say(conn, Message::Reject(asked));
    assert_violation(&outputs, conn, Violation::FalseClaims);
    assert!(!bench.peer.is_banned(ip(2)) && events(&outputs).is_empty());

    // Who chokes first may refuse as much as it likes.
    let (conn, mut asked) = bench.source(3, true);
    for _ in 0..40 {
        bench.say(conn, Message::Choke);
        for block in asked {
            assert_eq!(closed(&bench.say(conn, Message::Reject(block))), []);
        }
        asked = requests(&bench.say(conn, Message::Unchoke), conn);
        assert_eq!(asked.len(), 1);
    }
}

#[test]
fn each_block_makes_up_for_a_refusal() {
    // Over a long connection a few of many are refused: that never adds up.
    let mut bench = Setup::leech(64).depth(1).bench();
    let (conn, asked) = bench.source(2, true);
    let mut asked = asked[0];
    for n in 0..120 {
        let outputs = match n % 2 {
            0 => bench.say(conn, Message::Reject(asked)),
            _ => bench.give(conn, asked),
        };
        assert_eq!(closed(&outputs), [], "after {n}");
        asked = requests(&outputs, conn)[0];
    }
    // Seventeen in a row do.
    for n in 0..17 {
        let outputs = bench.say(conn, Message::Reject(asked));
        assert_eq!(closed(&outputs).is_empty(), n < 16, "refusal {n}");
        if n < 16 {
            asked = requests(&outputs, conn)[0];
        }
    }
}

#[test]
fn a_banned_address_is_not_dialled_nor_let_in() {
    let mut bench = Setup::leech(8).depth(4).bench();
    let (conn, asked) = bench.source(2, true);
    bench.input(Input::Discovered { peers: vec![addr(2), addr(3)] });
    for block in asked {
        bench.give(conn, block);
    }
    verdict(&mut bench, 0, false);
    let outputs = bench.input(Input::Discovered { peers: vec![addr(2), addr(4)] });
    assert_eq!(dialled(&outputs), [addr(4)]);
    let outputs = bench.input(Input::Connected { conn, addr: addr(2), outgoing: false });
    assert_eq!(closed(&outputs), [(conn, DisconnectReason::Banned)]);
    assert_eq!(bench.peer.connections(), 0);
    assert!(bench.input(Input::Handshake { conn, handshake: handshake(2, true) }).is_empty());
}
