//! How a remote answers what it is asked for, rightly or not.

use engine::wire::{METADATA_PIECE, Message, MetadataMessage, RawBlock, encode};

use super::dialogue::Serve;
use super::subject::Subject;

/// The bytes that answer a request for a block or for metadata (`metadata`: the id under which the asker takes
/// `ut_metadata`); none if it is neither.
pub fn answer(asked: &Message, how: Serve, metadata: u8, subject: &Subject) -> Vec<u8> {
    let answers = match asked {
        Message::Request(raw) => block(*raw, how, subject),
        Message::Extended { payload, .. } => match MetadataMessage::from_bytes(payload) {
            Ok(Some(MetadataMessage::Request { piece })) => {
                let payload: Vec<u8> = info(piece, how, subject).to_bytes();
                let message = Message::Extended { id: metadata, payload: payload.into() };
                if how == Serve::Twice { vec![message.clone(), message] } else { vec![message] }
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut out = Vec::new();
    answers.iter().for_each(|message| encode(message, &mut out));
    out
}

/// A wrong byte, or one less.
fn spoil(data: &[u8], how: Serve) -> Vec<u8> {
    let mut data = data.to_vec();
    match how {
        Serve::Bad => data.iter_mut().take(1).for_each(|byte| *byte ^= 1),
        Serve::Short => data.truncate(data.len().saturating_sub(1)),
        _ => {}
    }
    data
}

fn block(raw: RawBlock, how: Serve, subject: &Subject) -> Vec<Message> {
    match how {
        Serve::Good => vec![subject.block(raw)],
        Serve::Twice => vec![subject.block(raw), subject.block(raw)],
        Serve::Reject => vec![Message::Reject(raw)],
        Serve::Other => vec![subject.block(RawBlock { begin: raw.begin.wrapping_add(raw.length), ..raw })],
        Serve::Bad | Serve::Short => {
            let data = spoil(&subject.bytes_of(raw), how).into();
            vec![Message::Piece { piece: raw.piece, begin: raw.begin, data }]
        }
    }
}

fn info(piece: u32, how: Serve, subject: &Subject) -> MetadataMessage {
    if how == Serve::Reject {
        return MetadataMessage::Reject { piece };
    }
    let named = if how == Serve::Other { piece.wrapping_add(1) } else { piece };
    let info = &subject.metainfo.info;
    let begin = (named as usize).saturating_mul(METADATA_PIECE as usize).min(info.len());
    let end = begin.saturating_add(METADATA_PIECE as usize).min(info.len());
    let data = spoil(&info[begin..end], how).into();
    MetadataMessage::Data { piece: named, total_size: info.len() as u32, data }
}
