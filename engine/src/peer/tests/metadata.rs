//! Serving the info dictionary (BEP 9).

use bytes::Bytes;

use super::bench::*;
use crate::ids::ConnId;
use crate::peer::{Identity, Input, Output, Peer, Policy};
use crate::rng::Seed;
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::wire::extension::{METADATA_ID, UT_METADATA};
use crate::wire::{ExtendedHandshake, Handshake, InfoHash, Message, MetadataMessage, PeerId};
use crate::{Bitfield, choker, picker};

fn info() -> Bytes {
    (0..40_000u32).map(|i| (i % 251) as u8).collect()
}

/// A peer of a torrent whose info dictionary is [`info`], as far as a hash goes.
fn bench(private: bool, offered: Option<Bytes>) -> (Bench, bool) {
    let setup = Setup::seed(4);
    let torrent = Torrent { info_hash: InfoHash::of(&info()), layout: setup.layout, private };
    let choker = choker::by_name("unchoke-all").unwrap();
    let policy =
        Policy { leech: choker.clone(), seed: choker, picker: picker::by_name("sequential").unwrap() };
    let identity = Identity { peer_id: PeerId([1; 20]), addr: addr(1) };
    let have = Bitfield::full(&setup.layout);
    let mut peer = Peer::new(torrent, setup.config.clone().into(), &policy, identity, have, Seed(1));
    let taken = offered.is_some_and(|info| peer.set_metadata(info));
    let mut bench = Bench { peer, now: Instant::ZERO, layout: setup.layout };
    bench.input(Input::Start);
    (bench, taken)
}

/// Remote number 2, which takes `ut_metadata` under `id`; and what we say we do.
fn remote(bench: &mut Bench, id: u8) -> (ConnId, ExtendedHandshake) {
    let conn = ConnId(2);
    bench.input(Input::Connected { conn, addr: addr(2), outgoing: false });
    let handshake = Handshake::new(InfoHash::of(&info()), PeerId([2; 20]));
    let outputs = bench.input(Input::Handshake { conn, handshake });
    let ours = sent(&outputs, conn).into_iter().find_map(|message| match message {
        Message::Extended { id: 0, payload } => ExtendedHandshake::from_bytes(&payload).ok(),
        _ => None,
    });
    let text = format!("d1:md11:ut_metadatai{id}eee");
    bench.say(conn, Message::Extended { id: 0, payload: text.into_bytes().into() });
    (conn, ours.unwrap())
}

fn ask(bench: &mut Bench, conn: ConnId, payload: &str) -> Vec<(u8, MetadataMessage)> {
    let payload = payload.as_bytes().to_vec().into();
    let outputs = bench.say(conn, Message::Extended { id: METADATA_ID, payload });
    assert!(outputs.iter().all(|output| matches!(output, Output::Send { .. })), "{outputs:?}");
    let read = |message| match message {
        Message::Extended { id, payload } => (id, MetadataMessage::from_bytes(&payload).unwrap().unwrap()),
        other => panic!("{other:?}"),
    };
    sent(&outputs, conn).into_iter().map(read).collect()
}

fn request(piece: i64) -> String {
    format!("d8:msg_typei0e5:piecei{piece}ee")
}

#[test]
fn pieces_are_served_and_what_is_out_of_range_rejected() {
    let (mut bench, taken) = bench(false, Some(info()));
    assert!(taken);
    let (conn, ours) = remote(&mut bench, 7);
    assert_eq!((ours.id(UT_METADATA), ours.metadata_size), (Some(METADATA_ID), Some(40_000)));
    for piece in 0..3 {
        let data = info().slice(piece * 16384..40_000.min((piece + 1) * 16384));
        let expected = MetadataMessage::Data { piece: piece as u32, total_size: 40_000, data };
        assert_eq!(ask(&mut bench, conn, &request(piece as i64)), [(7, expected)]);
    }
    for piece in [3, 99, 262_144, i64::from(u32::MAX)] {
        let expected = MetadataMessage::Reject { piece: piece as u32 };
        assert_eq!(ask(&mut bench, conn, &request(piece)), [(7, expected)]);
    }
    for odd in [&request(-1), &request(1 << 40), "d8:msg_typei7e5:piecei0ee", "de", "nonsense", ""] {
        assert_eq!(ask(&mut bench, conn, odd), [], "{odd}");
    }
    let unasked = "d8:msg_typei1e5:piecei0e10:total_sizei40000eexxxx";
    assert_eq!(ask(&mut bench, conn, unasked), []);
}

#[test]
fn nothing_is_offered_that_is_not_right() {
    let wrong = Bytes::from_static(b"de");
    for (private, offered) in [(false, None), (false, Some(wrong)), (true, Some(info()))] {
        let (mut bench, taken) = bench(private, offered);
        assert!(!taken);
        let (conn, ours) = remote(&mut bench, 7);
        assert_eq!((ours.messages.len(), ours.metadata_size), (0, None));
        assert_eq!(ask(&mut bench, conn, &request(0)), []);
    }
    // Who does not take the messages is sent none.
    let (mut bench, _) = bench(false, Some(info()));
    let (conn, _) = remote(&mut bench, 0);
    assert_eq!(ask(&mut bench, conn, &request(0)), []);
}

#[test]
fn a_connection_has_its_share_and_no_more() {
    let (mut bench, _) = bench(false, Some(info()));
    let (conn, _) = remote(&mut bench, 7);
    let served = |bench: &mut Bench, times: u32| {
        let answers = (0..times).flat_map(|_| ask(bench, conn, &request(0)));
        answers.filter(|(_, answer)| matches!(answer, MetadataMessage::Data { .. })).count()
    };
    assert_eq!(served(&mut bench, 300), 64, "at once");
    bench.now = bench.now + seconds(1);
    // Three times three pieces, and 64 more.
    assert_eq!([served(&mut bench, 20), served(&mut bench, 20)], [8, 0]);
    bench.now = bench.now + seconds(1000);
    assert_eq!(served(&mut bench, 300), 1, "in all");
}
