use std::net::SocketAddr;

use bytes::Bytes;
use engine::layout::BLOCK;
use engine::peer::{Input, Output};
use engine::wire::{Handshake, InfoHash, Message, PeerId, RawBlock};
use engine::{ConnId, Layout};

use super::{Conduct, Rule};

const CONN: ConnId = ConnId(3);

/// Who speaks.
enum Line {
    We(Message),
    They(Message),
}
use Line::{They, We};

fn handshake(fast: bool) -> Handshake {
    let mut handshake = Handshake::new(InfoHash([1; 20]), PeerId([2; 20]));
    if !fast {
        handshake.reserved = [0; 8];
    }
    handshake
}

/// Four pieces of two blocks.
fn layout() -> Layout {
    Layout::new(8 * u64::from(BLOCK), 2 * u64::from(BLOCK)).expect("a layout")
}

fn block(piece: u32, nth: u32) -> RawBlock {
    RawBlock { piece, begin: nth * BLOCK, length: BLOCK }
}

fn data(piece: u32, nth: u32) -> Message {
    Message::Piece { piece, begin: nth * BLOCK, data: Bytes::from(vec![0; BLOCK as usize]) }
}

/// After both handshakes, the rules that `lines` break.
fn judged(fast: bool, lines: Vec<Line>) -> Vec<Rule> {
    let mut conduct = Conduct::new(layout());
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    conduct.input(&Input::Connected { conn: CONN, addr, outgoing: true });
    conduct.output(&Output::SendHandshake { conn: CONN, handshake: handshake(fast) });
    conduct.input(&Input::Handshake { conn: CONN, handshake: handshake(fast) });
    for line in lines {
        match line {
            We(message) => conduct.output(&Output::Send { conn: CONN, message }),
            They(message) => conduct.input(&Input::Message { conn: CONN, message }),
        }
    }
    conduct.breaches().iter().map(|breach| breach.rule).collect()
}

#[test]
fn what_was_cancelled_may_be_asked_for_again_and_is_answered_first() {
    let request = || We(Message::Request(block(1, 0)));
    let cancel = || We(Message::Cancel(block(1, 0)));
    let refused = || They(Message::Reject(block(1, 0)));
    let ready = || vec![They(all()), We(Message::HaveNone), They(Message::Unchoke), We(Message::Interested)];
    let broken = |lines: Vec<Line>| judged(true, ready().into_iter().chain(lines).collect());
    assert_eq!(broken(vec![request(), cancel(), request(), They(data(1, 0)), cancel(), request()]), []);
    let twice = vec![request(), cancel(), request(), cancel(), request(), refused(), refused(), cancel()];
    assert_eq!(broken(twice), []);
    let none_left = vec![request(), cancel(), request(), refused(), refused(), cancel()];
    assert_eq!(broken(none_left), [Rule::CancelAsked]);
}

#[test]
fn without_the_fast_extension_one_block_may_answer_a_cancel_or_what_was_asked_for_since() {
    let request = || We(Message::Request(block(1, 0)));
    let cancel = || We(Message::Cancel(block(1, 0)));
    let came = || They(data(1, 0));
    let broken = |lines: Vec<Line>| judged(false, after(unchoked(), lines));
    assert_eq!(broken(vec![request(), cancel(), request(), came(), cancel()]), []);
    assert_eq!(broken(vec![request(), cancel(), request(), came(), cancel(), cancel()]), [Rule::CancelAsked]);
    assert_eq!(broken(vec![request(), came(), cancel()]), [Rule::CancelAsked]);
    // What was cancelled so may come yet, and be taken for the answer to a third request.
    let thrice = vec![request(), cancel(), request(), came(), cancel(), request(), came(), cancel()];
    assert_eq!(broken(thrice), []);
    let late = vec![request(), cancel(), request(), cancel(), came(), request(), came(), cancel()];
    assert_eq!(broken(late), []);
    let choked = vec![request(), cancel(), request(), came(), They(Message::Choke), cancel()];
    assert_eq!(broken(choked), [Rule::CancelAsked]);
}

fn all() -> Message {
    Message::Bitfield(Bytes::from_static(&[0xf0]))
}

/// They have all and have unchoked us.
fn unchoked() -> Vec<Line> {
    vec![They(all()), We(Message::Interested), They(Message::Unchoke)]
}

fn after(mut before: Vec<Line>, lines: impl IntoIterator<Item = Line>) -> Vec<Line> {
    before.extend(lines);
    before
}

#[test]
fn a_download_and_an_upload_are_in_order() {
    let lines = vec![
        We(Message::HaveNone),
        They(Message::HaveAll),
        We(Message::Interested),
        They(Message::Unchoke),
        We(Message::Request(block(0, 0))),
        We(Message::Request(block(0, 1))),
        They(data(0, 0)),
        They(data(0, 1)),
        We(Message::Have(0)),
        We(Message::Request(block(1, 0))),
        They(Message::Choke),
        They(Message::Reject(block(1, 0))),
        They(Message::Unchoke),
        We(Message::Request(block(1, 0))),
        They(Message::Interested),
        We(Message::Unchoke),
        They(Message::Request(block(0, 1))),
        We(data(0, 1)),
        They(Message::Request(block(0, 0))),
        We(Message::Choke),
        We(Message::Reject(block(0, 0))),
    ];
    assert_eq!(judged(true, lines), []);
}

#[test]
fn who_asks_twice_may_be_answered_twice_and_no_more() {
    let ask = || They(Message::Request(block(0, 0)));
    let seeding = vec![We(all()), They(Message::Interested), We(Message::Unchoke)];
    let lines =
        after(seeding, [ask(), ask(), They(Message::Cancel(block(0, 0))), We(data(0, 0)), We(data(0, 0))]);
    assert_eq!(judged(false, lines), []);
    let seeding = vec![We(all()), They(Message::Interested), We(Message::Unchoke)];
    let lines = after(seeding, [ask(), ask(), We(data(0, 0)), We(data(0, 0)), We(data(0, 0))]);
    assert_eq!(judged(false, lines), [Rule::PieceAsked]);
    // Asked for three times, cancelled once: two are due, and the third may be on its way.
    let seeding = vec![We(all()), They(Message::Interested), We(Message::Unchoke)];
    let cancel = They(Message::Cancel(block(0, 0)));
    let answer = || We(data(0, 0));
    let lines = after(seeding, [ask(), ask(), ask(), cancel, answer(), answer(), answer()]);
    assert_eq!(judged(false, lines), []);
}

#[test]
fn each_rule_can_be_broken() {
    let request = |piece, nth| We(Message::Request(block(piece, nth)));
    let seeding = || vec![We(all()), They(Message::Interested), We(Message::Unchoke)];
    let cases: Vec<(Rule, bool, Vec<Line>)> = vec![
        (Rule::PiecesFirst, false, vec![We(Message::Unchoke), We(all())]),
        (Rule::ValidBitfield, false, vec![We(Message::Bitfield(Bytes::from_static(&[0xf1])))]),
        (Rule::FastAgreed, false, vec![We(Message::HaveNone)]),
        (Rule::FastSaysPieces, true, vec![We(Message::Unchoke)]),
        (Rule::ExtendedAgreed, false, vec![We(Message::Extended { id: 0, payload: Bytes::new() })]),
        (Rule::PieceInRange, false, vec![We(Message::Have(4))]),
        (Rule::HaveOnce, false, vec![We(Message::Have(3)), We(Message::Have(3))]),
        (Rule::InterestChanges, false, vec![We(Message::NotInterested)]),
        (Rule::InterestFounded, false, vec![We(Message::Interested)]),
        (
            Rule::InterestFounded,
            false,
            vec![We(Message::Have(0)), They(Message::Have(0)), We(Message::Interested)],
        ),
        (Rule::ChokeChanges, false, vec![We(Message::Choke)]),
        (
            Rule::RequestIsBlock,
            false,
            after(unchoked(), [We(Message::Request(RawBlock { length: BLOCK + 1, ..block(0, 0) }))]),
        ),
        (
            Rule::RequestIsBlock,
            false,
            after(unchoked(), [We(Message::Request(RawBlock { begin: 1, ..block(0, 0) }))]),
        ),
        (Rule::RequestIsBlock, false, after(unchoked(), [request(4, 0)])),
        (
            Rule::RequestHad,
            false,
            vec![They(Message::Have(1)), We(Message::Interested), They(Message::Unchoke), request(0, 0)],
        ),
        (Rule::RequestUnchoked, false, vec![They(all()), We(Message::Interested), request(0, 0)]),
        (Rule::RequestInterested, false, vec![They(all()), They(Message::Unchoke), request(0, 0)]),
        (Rule::RequestOnce, false, after(unchoked(), [request(0, 0), request(0, 0)])),
        (Rule::CancelAsked, false, after(unchoked(), [We(Message::Cancel(block(0, 0)))])),
        (Rule::PieceAsked, false, after(seeding(), [We(data(0, 0))])),
        (
            Rule::PieceAsked,
            false,
            after(seeding(), [They(Message::Request(block(0, 0))), We(Message::Choke), We(data(0, 0))]),
        ),
        (
            Rule::PieceHad,
            false,
            vec![We(Message::Unchoke), They(Message::Request(block(0, 0))), We(data(0, 0))],
        ),
        (Rule::RejectAsked, true, vec![We(Message::HaveNone), We(Message::Reject(block(0, 0)))]),
    ];
    for (rule, fast, lines) in cases {
        assert_eq!(judged(fast, lines), [rule]);
    }
}

#[test]
fn choked_one_may_ask_for_what_is_allowed() {
    let lines = |fast| {
        let mut lines =
            vec![They(Message::AllowedFast(2)), We(Message::Interested), We(Message::Request(block(2, 0)))];
        lines.insert(0, if fast { They(Message::HaveAll) } else { They(all()) });
        if fast {
            lines.insert(0, We(Message::HaveNone));
        }
        lines
    };
    assert_eq!(judged(true, lines(true)), []);
    assert_eq!(judged(false, lines(false)), [Rule::RequestUnchoked]);
}

#[test]
fn handshakes_come_first_once_and_to_open_connections() {
    let mut conduct = Conduct::new(layout());
    let addr = SocketAddr::from(([10, 0, 0, 1], 1));
    let keep_alive = Output::Send { conn: CONN, message: Message::KeepAlive };
    let hello = Output::SendHandshake { conn: CONN, handshake: handshake(true) };
    conduct.output(&keep_alive);
    conduct.input(&Input::Connected { conn: CONN, addr, outgoing: false });
    conduct.output(&keep_alive);
    conduct.output(&hello);
    conduct.output(&hello);
    conduct.output(&keep_alive);
    conduct.input(&Input::Closed { conn: CONN });
    conduct.output(&hello);
    let rules: Vec<Rule> = conduct.breaches().iter().map(|breach| breach.rule).collect();
    assert_eq!(rules, [Rule::Closed, Rule::HandshakeFirst, Rule::OneHandshake, Rule::Closed]);
    assert_eq!(conduct.messages(), 3);
}
