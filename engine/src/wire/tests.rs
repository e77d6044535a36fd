//! The codec as a whole: what is encoded decodes in any slicing, and no bytes at all break the decoder.

use bytes::Bytes;
use proptest::prelude::*;

use super::message::id;
use super::*;

fn limits() -> Limits {
    Limits { block: 6000, bitfield: 5000, extended: 300, unknown: 200 }
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn message() -> impl Strategy<Value = Message> {
    let block = || {
        (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(piece, begin, length)| RawBlock {
            piece,
            begin,
            length,
        })
    };
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        any::<u32>().prop_map(Message::Have),
        bytes(5000).prop_map(Message::Bitfield),
        block().prop_map(Message::Request),
        (any::<u32>(), any::<u32>(), bytes(6000)).prop_map(|(piece, begin, data)| Message::Piece {
            piece,
            begin,
            data
        }),
        block().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        any::<u32>().prop_map(Message::Suggest),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        block().prop_map(Message::Reject),
        any::<u32>().prop_map(Message::AllowedFast),
        (any::<u8>(), bytes(300)).prop_map(|(id, payload)| Message::Extended { id, payload }),
        (prop_oneof![10u8..13, 18u8..20, 21u8..=255], bytes(200))
            .prop_map(|(id, payload)| Message::Unknown { id, payload }),
    ]
}

fn handshake() -> impl Strategy<Value = Handshake> {
    (any::<[u8; 8]>(), any::<[u8; 20]>(), any::<[u8; 20]>()).prop_map(|(reserved, hash, id)| Handshake {
        reserved,
        info_hash: InfoHash(hash),
        peer_id: PeerId(id),
    })
}

/// Feeds `wire` in slices of the given lengths, over and over, and collects what comes out. Checks at each
/// step that no more is held than the limits allow.
fn decode(wire: &[u8], slices: &[usize]) -> (Vec<Decoded>, Option<WireError>) {
    let mut decoder = Decoder::new(limits());
    let (mut decoded, mut rest) = (Vec::new(), wire);
    for length in slices.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*length).min(rest.len()));
        rest = later;
        decoder.feed(now);
        loop {
            match decoder.poll() {
                Ok(Some(item)) => decoded.push(item),
                Ok(None) => break,
                Err(error) => return (decoded, Some(error)),
            }
        }
        assert!(decoder.buffered() <= limits().most_buffered());
    }
    (decoded, None)
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_in_any_slicing(
        first in handshake(),
        messages in prop::collection::vec(message(), 0..12),
        slices in prop::collection::vec(1usize..9000, 1..8),
    ) {
        let mut wire = first.to_bytes().to_vec();
        let mut expected = vec![Decoded::Handshake(first)];
        for message in messages {
            let before = wire.len();
            encode(&message, &mut wire);
            prop_assert_eq!(wire.len() - before, message.wire_length() as usize);
            expected.push(Decoded::Message(message));
        }
        prop_assert_eq!(decode(&wire, &slices), (expected, None));
    }

    #[test]
    fn no_bytes_break_it_and_little_is_held(
        wire in prop::collection::vec(any::<u8>(), 0..3000),
        prefix in prop::collection::vec(0u8..4, 4),
        slices in prop::collection::vec(1usize..700, 1..8),
    ) {
        let mut greeted = Handshake::new(InfoHash([1; 20]), PeerId([2; 20])).to_bytes().to_vec();
        greeted.extend(prefix);
        greeted.extend(&wire);
        decode(&greeted, &slices);
        decode(&wire, &slices);
    }
}

#[test]
fn one_byte_at_a_time() {
    let mut wire = Handshake::new(InfoHash([1; 20]), PeerId([2; 20])).to_bytes().to_vec();
    let piece = Message::Piece { piece: 1, begin: 2, data: Bytes::from(vec![9; 5000]) };
    for message in [&Message::KeepAlive, &piece, &Message::Have(7)] {
        encode(message, &mut wire);
    }
    let (decoded, error) = decode(&wire, &[1]);
    assert_eq!((decoded.len(), error), (4, None));
    assert_eq!(decoded[2], Decoded::Message(piece));
}

/// The error that this prefix, id and nothing else brings.
fn refusal(length: u32, id: u8) -> Option<WireError> {
    let mut decoder = Decoder::after_handshake(Limits::default());
    decoder.feed(&length.to_be_bytes());
    assert_eq!(decoder.poll(), Ok(None));
    decoder.feed(&[id]);
    decoder.poll().err()
}

#[test]
fn lengths_are_refused_before_the_body_comes() {
    for (id, least, most) in [
        (id::CHOKE, 1, 1),
        (id::UNCHOKE, 1, 1),
        (id::INTERESTED, 1, 1),
        (id::NOT_INTERESTED, 1, 1),
        (id::HAVE, 5, 5),
        (id::BITFIELD, 1, 262_145),
        (id::REQUEST, 13, 13),
        (id::PIECE, 9, 131_081),
        (id::CANCEL, 13, 13),
        (id::PORT, 3, 3),
        (10, 1, 65_537),
        (id::SUGGEST, 5, 5),
        (id::HAVE_ALL, 1, 1),
        (id::HAVE_NONE, 1, 1),
        (id::REJECT, 13, 13),
        (id::ALLOWED_FAST, 5, 5),
        (id::EXTENDED, 2, 1_048_578),
        (255, 1, 65_537),
    ] {
        for length in [least - 1, most + 1, 0x7fff_ffff, u32::MAX] {
            if length > 0 {
                assert_eq!(refusal(length, id), Some(WireError::Length { id, length, least, most }));
            }
        }
        assert_eq!(refusal(least, id), None);
        assert_eq!(refusal(most, id), None);
    }
}

#[test]
fn another_protocol_is_told_by_its_first_wrong_byte() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed(b"GET / HTTP/1.1\r\n");
    let error = WireError::Protocol { at: 0, got: b'G' };
    assert_eq!(decoder.poll(), Err(error));
    decoder.feed(&Handshake::new(InfoHash([1; 20]), PeerId([2; 20])).to_bytes());
    assert_eq!(decoder.poll(), Err(error), "an error is final");
    assert_eq!(decoder.buffered(), 0);

    let mut decoder = Decoder::new(Limits::default());
    decoder.feed(b"\x13BitTorrent p");
    assert_eq!(decoder.poll(), Ok(None));
    decoder.feed(b"Rotocol");
    assert_eq!(decoder.poll(), Err(WireError::Protocol { at: 13, got: b'R' }));
}

#[test]
fn the_info_hash_is_known_before_the_peer_id() {
    let wire = Handshake::new(InfoHash([5; 20]), PeerId([2; 20])).to_bytes();
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed(&wire[..47]);
    assert_eq!((decoder.poll(), decoder.info_hash()), (Ok(None), None));
    decoder.feed(&wire[47..48]);
    assert_eq!((decoder.poll(), decoder.info_hash()), (Ok(None), Some(InfoHash([5; 20]))));
    decoder.feed(&wire[48..]);
    assert!(matches!(decoder.poll(), Ok(Some(Decoded::Handshake(_)))));
    assert_eq!(decoder.info_hash(), None);
}

#[test]
fn bytes_as_the_beps_list_them() {
    let block = RawBlock { piece: 1, begin: 0x4000, length: 0x4001 };
    for (message, expected) in [
        (Message::KeepAlive, &b"\0\0\0\0"[..]),
        (Message::Unchoke, b"\0\0\0\x01\x01"),
        (Message::Have(0x0102_0304), b"\0\0\0\x05\x04\x01\x02\x03\x04"),
        (Message::Bitfield(Bytes::from_static(b"\xf0")), b"\0\0\0\x02\x05\xf0"),
        (Message::Request(block), b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\0\0\x40\x01"),
        (
            Message::Piece { piece: 1, begin: 2, data: Bytes::from_static(b"abc") },
            b"\0\0\0\x0c\x07\0\0\0\x01\0\0\0\x02abc",
        ),
        (Message::Port(6881), b"\0\0\0\x03\x09\x1a\xe1"),
        (Message::HaveNone, b"\0\0\0\x01\x0f"),
        (Message::Reject(block), b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\0\0\x40\x01"),
        (Message::Extended { id: 3, payload: Bytes::from_static(b"de") }, b"\0\0\0\x04\x14\x03de"),
    ] {
        let mut wire = Vec::new();
        encode(&message, &mut wire);
        assert_eq!(wire, expected, "{message:?}");
    }
}
