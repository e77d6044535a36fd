//! The messages of BEP 9, `ut_metadata`: the info dictionary from peers, in pieces of 16 KiB. Each is a
//! bencoded dictionary, and for a piece's data raw bytes after it. No bytes make it panic; it holds no more
//! than the message.

use bytes::Bytes;

use super::extension::ExtensionError;
use crate::bencode::{Item, Value};

/// Bytes in every piece of the metadata but the last.
pub const METADATA_PIECE: u32 = 16 << 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage {
    /// `msg_type` 0: asks for a piece.
    Request {
        /// Its number.
        piece: u32,
    },
    /// `msg_type` 1: a piece.
    Data {
        /// Its number.
        piece: u32,
        /// Bytes in the whole metadata, as the sender says.
        total_size: u32,
        /// The piece's bytes.
        data: Bytes,
    },
    /// `msg_type` 2: the sender does not give this piece.
    Reject {
        /// Its number.
        piece: u32,
    },
}

impl MetadataMessage {
    /// The payload of an extension message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, piece, total, data): (_, _, _, &[u8]) = match self {
            Self::Request { piece } => (0, piece, None, &[]),
            Self::Data { piece, total_size, data } => (1, piece, Some(total_size), data),
            Self::Reject { piece } => (2, piece, None, &[]),
        };
        let number = |n: &u32| Item::Integer((*n).into());
        let head = [
            ("msg_type", Some(Item::Integer(kind))),
            ("piece", Some(number(piece))),
            ("total_size", total.map(number)),
        ];
        let mut bytes = Item::dictionary(head).to_bytes();
        bytes.extend_from_slice(data);
        bytes
    }

    /// What a payload says. `Ok(None)` is to be ignored: a `msg_type` that is not known (BEP 9 demands it), or a
    /// piece or a size that is no number from 0 to 2³² - 1.
    pub fn from_bytes(payload: &Bytes) -> Result<Option<Self>, ExtensionError> {
        let (head, rest) = Value::parse_prefix(payload)?;
        head.dictionary().ok_or(ExtensionError::NoDictionary)?;
        let piece = head.get("piece").and_then(Value::number);
        Ok(match (head.get("msg_type").and_then(Value::integer), piece) {
            (Some(0), Some(piece)) => Some(Self::Request { piece }),
            (Some(1), Some(piece)) => head.get("total_size").and_then(Value::number).map(|total_size| {
                let data = payload.slice(payload.len() - rest.len()..);
                Self::Data { piece, total_size, data }
            }),
            (Some(2), Some(piece)) => Some(Self::Reject { piece }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(payload: &[u8]) -> Result<Option<MetadataMessage>, ExtensionError> {
        MetadataMessage::from_bytes(&Bytes::copy_from_slice(payload))
    }

    #[test]
    fn the_examples_of_bep_9() {
        for (payload, message) in [
            (&b"d8:msg_typei0e5:piecei0ee"[..], MetadataMessage::Request { piece: 0 }),
            (
                b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx",
                MetadataMessage::Data { piece: 0, total_size: 34256, data: Bytes::from_static(b"xxxxxxxx") },
            ),
            (b"d8:msg_typei2e5:piecei0ee", MetadataMessage::Reject { piece: 0 }),
        ] {
            assert_eq!(read(payload), Ok(Some(message.clone())));
            assert_eq!(message.to_bytes(), payload);
        }
    }

    #[test]
    fn what_is_unknown_is_ignored_and_what_is_broken_is_an_error() {
        for payload in [
            "d8:msg_typei7e5:piecei0ee",
            "d5:piecei0ee",
            "d8:msg_typei0e5:piecei-1ee",
            "d8:msg_typei0e5:piecei1099511627776ee",
            "d8:msg_typei0e5:piece1:0e",
            "d8:msg_typei0ee",
            "d8:msg_typei1e5:piecei0ee",
            "d8:msg_typei1e5:piecei0e10:total_sizei4611686018427387904ee",
            "de",
        ] {
            assert_eq!(read(payload.as_bytes()), Ok(None), "{payload}");
        }
        assert_eq!(read(b"i1e"), Err(ExtensionError::NoDictionary));
        for payload in ["", "d8:msg_type", "x"] {
            assert!(matches!(read(payload.as_bytes()), Err(ExtensionError::Syntax(_))), "{payload}");
        }
    }

    proptest! {
        #[test]
        fn messages_read_what_they_say(
            piece in any::<u32>(), total_size in any::<u32>(), data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            for message in [
                MetadataMessage::Request { piece },
                MetadataMessage::Data { piece, total_size, data: data.into() },
                MetadataMessage::Reject { piece },
            ] {
                prop_assert_eq!(read(&message.to_bytes()), Ok(Some(message)));
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..60), tail in "[de0-9:i]{0,20}") {
            let _ = read(&bytes);
            let _ = read(&[b"d8:msg_typei1e5:piecei0e", tail.as_bytes()].concat());
        }
    }
}
