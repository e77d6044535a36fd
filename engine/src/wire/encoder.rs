//! Messages to bytes: exactly [`Message::wire_length`] of them, appended to a buffer of the caller.

use bytes::Bytes;

use super::message::{Message, RawBlock};

/// Appends `message` to `out` as BEP 3 frames it: a length of four bytes (big-endian), the id, the rest.
///
/// What is wrong in the message goes out as it is (a test harness sends such): nothing is checked. A payload
/// of 4 GiB or more cannot be framed; its length wraps.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(message.wire_length() as usize);
    if let Some(block) = encode_head(message, out) {
        out.extend_from_slice(block);
    }
    debug_assert_eq!(
        out.len() - start,
        message.wire_length() as usize,
        "wire_length() and encode() disagree"
    );
}

/// As [`encode`], but for the block of a `Piece`, which is returned: it has to follow at once. So a driver
/// that writes several buffers at a time need not copy it.
pub fn encode_head<'a>(message: &'a Message, out: &mut Vec<u8>) -> Option<&'a Bytes> {
    let length = message.wire_length();
    out.extend_from_slice(&(length - 4).to_be_bytes());
    out.extend(message.id());
    match message {
        Message::KeepAlive
        | Message::Choke
        | Message::Unchoke
        | Message::Interested
        | Message::NotInterested
        | Message::HaveAll
        | Message::HaveNone => {}
        Message::Have(piece) | Message::Suggest(piece) | Message::AllowedFast(piece) => {
            out.extend_from_slice(&piece.to_be_bytes());
        }
        Message::Request(block) | Message::Cancel(block) | Message::Reject(block) => {
            let RawBlock { piece, begin, length } = block;
            for number in [piece, begin, length] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        Message::Piece { piece, begin, data } => {
            out.extend_from_slice(&piece.to_be_bytes());
            out.extend_from_slice(&begin.to_be_bytes());
            return Some(data);
        }
        Message::Port(port) => out.extend_from_slice(&port.to_be_bytes()),
        Message::Extended { id, payload } => {
            out.push(*id);
            out.extend_from_slice(payload);
        }
        Message::Bitfield(payload) | Message::Unknown { payload, .. } => out.extend_from_slice(payload),
    }
    None
}
