//! What was seen, in words: messages, blocks and times as findings name them. In one place, so that a thing has one
//! name wherever it is told of.

use std::fmt::Display;
use std::time::Duration;

use engine::tracker::request::Event;
use engine::wire::MetadataMessage;
use engine::{Message, PeerId, RawBlock};

/// The most items of a list that are named.
const MOST: usize = 12;

/// `35 s`, `1.5 s`, `250 ms`.
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        _ => format!("{} s", (time.as_secs_f64() * 1000.0).round() / 1000.0),
    }
}

/// `1 block`, `2 blocks`.
pub fn counted(many: usize, what: &str) -> String {
    format!("{many} {what}{}", if many == 1 { "" } else { "s" })
}

/// `3, 5, 7`; of a long list its beginning.
pub fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(MOST).map(|item| item.to_string()).collect();
    match items.count() {
        0 if shown.is_empty() => "none".to_owned(),
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Where a block is, and how long.
pub fn block(block: &RawBlock) -> String {
    let RawBlock { piece, begin, length } = block;
    format!("{} at {begin} of piece {piece}", counted(*length as usize, "byte"))
}

/// A message.
pub fn message(message: &Message) -> String {
    let bytes = |bytes: &[u8]| counted(bytes.len(), "byte");
    match message {
        Message::KeepAlive => "a keep-alive".to_owned(),
        Message::Choke => "a choke".to_owned(),
        Message::Unchoke => "an unchoke".to_owned(),
        Message::Interested => "interested".to_owned(),
        Message::NotInterested => "not interested".to_owned(),
        Message::Have(piece) => format!("a have of piece {piece}"),
        Message::Bitfield(bits) => format!("a bitfield of {}: {}", bytes(bits), hex(bits)),
        Message::Request(wanted) => format!("a request for {}", block(wanted)),
        Message::Piece { piece, begin, data } => {
            let sent = RawBlock { piece: *piece, begin: *begin, length: data.len() as u32 };
            format!("a block: {}", block(&sent))
        }
        Message::Cancel(wanted) => format!("a cancel of {}", block(wanted)),
        Message::Port(port) => format!("the DHT port {port}"),
        Message::Suggest(piece) => format!("a suggestion of piece {piece}"),
        Message::HaveAll => "a have-all".to_owned(),
        Message::HaveNone => "a have-none".to_owned(),
        Message::Reject(wanted) => format!("a reject of {}", block(wanted)),
        Message::AllowedFast(piece) => format!("piece {piece} allowed fast"),
        Message::Extended { id: 0, payload } => format!("an extended handshake of {}", bytes(payload)),
        Message::Extended { id, payload } => format!("an extended message {id} of {}", bytes(payload)),
        Message::Unknown { id, payload } => {
            format!("a message of the unknown id {id} with {}", bytes(payload))
        }
    }
}

/// Bytes in hexadecimal; of many, the first 16.
pub fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 16 { shown + "…" } else { shown }
}

/// A message that came, or did not.
pub fn came(what: Option<&Message>) -> String {
    what.map_or_else(|| "nothing".to_owned(), message)
}

/// A peer id as text, with escapes for what is no text.
pub fn peer_id(id: &PeerId) -> String {
    let escaped = id.0.iter().flat_map(|&byte| std::ascii::escape_default(byte));
    format!("\"{}\"", escaped.map(char::from).collect::<String>())
}

/// A metadata message (BEP 9) that came, or did not.
pub fn metadata(message: Option<&MetadataMessage>) -> String {
    match message {
        None => "no answer".to_owned(),
        Some(MetadataMessage::Request { piece }) => format!("a request for metadata piece {piece}"),
        Some(MetadataMessage::Data { piece, total_size, data }) => {
            let bytes = counted(data.len(), "byte");
            format!("metadata piece {piece}: {bytes}, total_size {total_size}")
        }
        Some(MetadataMessage::Reject { piece }) => format!("a reject of metadata piece {piece}"),
    }
}

/// An announce's event, as it is said.
pub fn event(event: Event) -> &'static str {
    match event {
        Event::None => "no event is said",
        Event::Completed => "event=completed",
        Event::Started => "event=started",
        Event::Stopped => "event=stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_have_names() {
        let wanted = RawBlock { piece: 3, begin: 16384, length: 1 };
        assert_eq!(message(&Message::Request(wanted)), "a request for 1 byte at 16384 of piece 3");
        let data = bytes::Bytes::from_static(&[0; 5]);
        let piece = Message::Piece { piece: 0, begin: 7, data: data.clone() };
        assert_eq!(came(Some(&piece)), "a block: 5 bytes at 7 of piece 0");
        assert_eq!(came(None), "nothing");
        assert_eq!(message(&Message::Extended { id: 3, payload: data }), "an extended message 3 of 5 bytes");
        assert_eq!(metadata(Some(&MetadataMessage::Reject { piece: 1 })), "a reject of metadata piece 1");
    }

    #[test]
    fn times_and_lists_in_words() {
        let times = [250, 1500, 35_000].map(|millis| time(Duration::from_millis(millis)));
        assert_eq!(times, ["250 ms", "1.5 s", "35 s"]);
        assert_eq!(list([1, 2]), "1, 2");
        assert_eq!(list(Vec::<u8>::new()), "none");
        assert_eq!(list(0..14), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more");
    }
}
