//! What holds for any bytes, a function for each reader of bytes in the engine. Each panics if it does not hold. The
//! cargo-fuzz targets call them, and so do the tests of this crate: with the corpus of those targets and with drawn
//! bytes, on stable Rust.

use std::time::Duration;

use bytes::Bytes;
use engine::bencode::{self, Item, MAX_DEPTH, Value};
use engine::tracker::udp::{self, Request, Response};
use engine::tracker::{AnnounceReply, AnnounceRequest, Event, Family, ScrapeReply, reply};
use engine::wire::{
    Decoded, Decoder, ExtendedHandshake, HANDSHAKE_LENGTH, Handshake, InfoHash, Limits, Message,
    MetadataMessage, PeerId, PexMessage, WireError, encode, extension, pex,
};
use engine::{Instant, Magnet, Metainfo, Seed};

use super::dialogue::{Act, Await, Dialogue, Role, Serve, Step, with_number};
use super::memory::Memory;

/// A property, by the name of its target.
pub type Property = fn(&[u8]);

/// All of them.
pub const ALL: [(&str, Property); 9] = [
    ("bencode", bencode),
    ("metainfo", metainfo),
    ("magnet", magnet),
    ("handshake", handshake),
    ("decoder", decoder),
    ("extended", extended),
    ("tracker_http", tracker_http),
    ("tracker_udp", tracker_udp),
    ("peer", peer),
];

/// Bencode is accepted exactly if it is strict, by a second reading of BEP 3; and then it is the only encoding of
/// what it says.
pub fn bencode(data: &[u8]) {
    let due = plain::value(data, MAX_DEPTH).filter(|length| *length == data.len());
    match Value::parse(data) {
        Ok(value) => {
            assert!(due.is_some(), "accepted what BEP 3 does not allow");
            assert_eq!(item(value).to_bytes(), data, "two encodings of one value");
        }
        Err(error) => {
            assert!(due.is_none(), "refused ({error}) what BEP 3 allows");
            assert!(error.at <= data.len(), "an error at byte {} of {}", error.at, data.len());
        }
    }
    if let Ok((value, rest)) = Value::parse_prefix(data) {
        assert_eq!(value.encoded().len() + rest.len(), data.len());
        assert_eq!(bencode::check(value.encoded()), Ok(()));
    }
}

/// A value, read through and through.
fn item(value: Value<'_>) -> Item {
    if let Some(number) = value.integer() {
        return Item::Integer(number);
    }
    if let Some(bytes) = value.string() {
        return Item::string(bytes);
    }
    if let Some(items) = value.list() {
        return Item::List(items.map(item).collect());
    }
    let entries = value.dictionary().into_iter().flatten();
    Item::dictionary(entries.map(|(key, value)| {
        assert_eq!(value_of(value), Some(value), "a value that is no value");
        (key, Some(item(value)))
    }))
}

fn value_of(value: Value<'_>) -> Option<Value<'_>> {
    Value::parse(value.encoded()).ok()
}

/// BEP 3's bencode as it is written there, by recursion and without an eye to speed.
mod plain {
    /// The digits that `data` begins with.
    fn digits(data: &[u8]) -> &[u8] {
        &data[..data.iter().take_while(|byte| byte.is_ascii_digit()).count()]
    }

    fn no_leading_zero(digits: &[u8]) -> bool {
        digits == b"0" || !digits.starts_with(b"0")
    }

    /// The length of the string that `data` begins with, and where its bytes begin.
    fn string(data: &[u8]) -> Option<(usize, usize)> {
        let digits = digits(data);
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let from = digits.len() + 1;
        let end = from.checked_add(length)?;
        (data.get(digits.len()) == Some(&b':') && no_leading_zero(digits) && end <= data.len())
            .then_some((end, from))
    }

    /// The length of the value that `data` begins with, nested no deeper than `depth`.
    pub fn value(data: &[u8], depth: usize) -> Option<usize> {
        match data.first()? {
            b'i' => {
                let negative = data.get(1) == Some(&b'-');
                let from = if negative { 2 } else { 1 };
                let digits = digits(data.get(from..)?);
                let end = from + digits.len();
                let number: i64 = std::str::from_utf8(&data[1..end]).ok()?.parse().ok()?;
                let sound = no_leading_zero(digits) && !(negative && number == 0);
                (sound && data.get(end) == Some(&b'e')).then_some(end + 1)
            }
            b'l' => {
                let (mut at, inner) = (1, depth.checked_sub(1)?);
                while data.get(at)? != &b'e' {
                    at += value(&data[at..], inner)?;
                }
                Some(at + 1)
            }
            b'd' => {
                let (mut at, inner) = (1, depth.checked_sub(1)?);
                let mut before: Option<&[u8]> = None;
                while data.get(at)? != &b'e' {
                    let (length, from) = string(&data[at..])?;
                    let key = &data[at + from..at + length];
                    if before.is_some_and(|before| before >= key) {
                        return None;
                    }
                    before = Some(key);
                    at += length;
                    at += value(&data[at..], inner)?;
                }
                Some(at + 1)
            }
            _ => string(data).map(|(end, _)| end),
        }
    }
}

/// A `.torrent` that is accepted says sound things, and says them again when it is written out.
pub fn metainfo(data: &[u8]) {
    let read = [Metainfo::parse(data), Metainfo::from_info(data)];
    for torrent in read.into_iter().flatten() {
        let layout = torrent.layout;
        assert_eq!(torrent.piece_hashes.len(), layout.pieces() as usize);
        assert_eq!(torrent.info_hash, InfoHash::of(&torrent.info));
        let mut offset = 0;
        for file in &torrent.files {
            assert_eq!(file.offset, offset);
            offset += file.length;
            for name in &file.path {
                assert!(
                    !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\\', '\0']),
                    "{name:?}"
                );
            }
        }
        assert_eq!(offset, layout.total());
        let again = Metainfo::parse(&torrent.to_bytes()).expect("what is written can be read");
        assert_eq!((again.info_hash, &again.files), (torrent.info_hash, &torrent.files));
        let once = again.to_bytes();
        assert_eq!(Metainfo::parse(&once).expect("and once more").to_bytes(), once);
    }
}

/// A magnet link that is accepted is the same when it is written and read again.
pub fn magnet(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(magnet) = text.parse::<Magnet>() {
        let link = magnet.to_string();
        // What is written is in full and may be longer than what was read.
        if link.len() <= engine::magnet::MAX_LINK {
            assert_eq!(link.parse(), Ok(magnet), "{link}");
        }
    }
}

/// A handshake is read as it is written, whole or byte by byte.
pub fn handshake(data: &[u8]) {
    let mut whole = Decoder::new(Limits::default());
    whole.feed(data);
    let first = whole.poll();
    let mut bytewise = Decoder::new(Limits::default());
    let mut then = Ok(None);
    for byte in data.iter().take(HANDSHAKE_LENGTH) {
        bytewise.feed(&[*byte]);
        then = bytewise.poll();
        assert!(bytewise.buffered() <= HANDSHAKE_LENGTH);
        if then != Ok(None) {
            break;
        }
    }
    assert_eq!(first, then, "slices matter");
    match first {
        Ok(Some(Decoded::Handshake(handshake))) => {
            assert_eq!(handshake.to_bytes()[..], data[..HANDSHAKE_LENGTH]);
            assert_eq!(data.first_chunk().and_then(Handshake::from_bytes), Some(handshake));
        }
        Ok(Some(Decoded::Message(message))) => panic!("{message:?} before a handshake"),
        Ok(None) => assert!(data.len() < HANDSHAKE_LENGTH),
        Err(WireError::Protocol { at, got }) => assert_eq!(data.get(at), Some(&got)),
        Err(error) => panic!("{error} in a handshake"),
    }
}

/// Messages do not depend on the slices that they come in, are written as they were read, and are held within limits.
/// The first byte of the data says how it is cut.
pub fn decoder(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let limits = Limits { block: 2_000, bitfield: 100, extended: 3_000, unknown: 500 };
    let mut whole = Decoder::after_handshake(limits);
    whole.feed(data);
    let mut messages = Vec::new();
    let error = loop {
        match whole.poll() {
            Ok(Some(Decoded::Message(message))) => messages.push(message),
            Ok(Some(Decoded::Handshake(_))) => panic!("a second handshake"),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut again = Vec::new();
    messages.iter().for_each(|message| encode(message, &mut again));
    assert!(data.starts_with(&again), "a message is not written as it was read");
    if error.is_none() {
        assert_eq!(again.len() + whole.buffered(), data.len(), "bytes are lost");
    } else {
        assert_eq!(whole.poll().err(), error, "an error is final");
    }
    let mut sliced = Decoder::after_handshake(limits);
    let (mut at, mut count) = (0, 0);
    let failed = 'all: loop {
        let end = (at + 1 + usize::from(cut) % 97).min(data.len());
        sliced.feed(&data[at..end]);
        at = end;
        loop {
            match sliced.poll() {
                Ok(Some(Decoded::Message(message))) => {
                    assert_eq!(messages.get(count), Some(&message), "slices matter");
                    count += 1;
                }
                Ok(_) => break,
                Err(error) => break 'all Some(error),
            }
        }
        assert!(sliced.buffered() <= limits.most_buffered());
        if at == data.len() {
            break None;
        }
    };
    assert_eq!((count, failed), (messages.len(), error), "slices matter");
}

/// The messages of extensions: what is read is bounded, and is the same when it is written and read again. An address
/// may come in a form that is not written (IPv4 in IPv6), so it is the second reading that must be the first.
pub fn extended(data: &[u8]) {
    if let Ok(hello) = ExtendedHandshake::from_bytes(data) {
        assert!(hello.messages.len() <= extension::MAX_NAMES);
        assert!(hello.messages.keys().all(|name| name.len() <= extension::MAX_NAME));
        assert!(hello.client.as_ref().is_none_or(|name| name.len() <= extension::MAX_NAME));
        assert_eq!(ExtendedHandshake::from_bytes(&hello.to_bytes()), Ok(hello.clone()));
        let mut merged = hello.clone();
        merged.merge(hello.clone());
        assert!(merged.messages.len() <= extension::MAX_NAMES);
    }
    let payload = Bytes::copy_from_slice(data);
    if let Ok(Some(message)) = MetadataMessage::from_bytes(&payload) {
        assert_eq!(MetadataMessage::from_bytes(&message.to_bytes().into()), Ok(Some(message)));
    }
    if let Ok(message) = PexMessage::from_bytes(data) {
        assert!(message.added.len() <= pex::MAX_CONTACTS && message.dropped.len() <= pex::MAX_CONTACTS);
        assert!(message.added.iter().all(|contact| contact.addr.port() != 0));
        assert_eq!(PexMessage::from_bytes(&message.to_bytes()), Ok(message));
    }
}

/// What a tracker says over HTTP, and what it is asked.
pub fn tracker_http(data: &[u8]) {
    if let Ok(answer) = AnnounceReply::from_bytes(data) {
        assert!(answer.peers.len() <= reply::MAX_PEERS);
        assert!(answer.interval > Duration::ZERO && answer.interval <= reply::MAX_INTERVAL);
        assert!(answer.peers.iter().all(|peer| peer.port() != 0));
        for compact in [false, true] {
            let again =
                AnnounceReply::from_bytes(&answer.to_bytes(compact)).expect("what is written can be read");
            assert_eq!((again.interval, again.peers.len()), (answer.interval, answer.peers.len()));
        }
    }
    if let Ok(counts) = ScrapeReply::from_bytes(data) {
        assert_eq!(ScrapeReply::from_bytes(&counts.to_bytes()), Ok(counts));
    }
    if let Ok(request) = AnnounceRequest::from_query(data) {
        assert_eq!(AnnounceRequest::from_query(request.to_query().as_bytes()), Ok(request));
    }
}

/// What a tracker says over UDP, and what it is asked; and a client that is sent it.
pub fn tracker_udp(data: &[u8]) {
    for family in [Family::V4, Family::V6] {
        if let Ok(response) = Response::from_bytes(data, family) {
            let bytes = response.to_bytes(family);
            let again = Response::from_bytes(&bytes, family).expect("what is written can be read");
            assert_eq!(again.to_bytes(family), bytes);
        }
    }
    if let Ok(request) = Request::from_bytes(data) {
        let bytes = request.to_bytes();
        let again = Request::from_bytes(&bytes).expect("what is written can be read");
        assert_eq!(again.to_bytes(), bytes);
    }
    a_client_of_it(data);
}

/// A client that has asked, and is sent packets: two bytes of length, then the packet. A packet may carry the
/// transaction that is under way, as its own would: then its first length bit is set.
fn a_client_of_it(mut data: &[u8]) {
    let mut client = udp::Client::new(Family::V4, udp::ClientConfig::default(), Seed(1));
    let request = AnnounceRequest {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        ip: None,
        port: 1,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event: Event::Started,
        numwant: None,
        compact: true,
        key: None,
        tracker_id: None,
    };
    let mut now = Instant::ZERO;
    client.announce(now, request, "/announce");
    let (mut answers, mut transaction) = (0, [0; 4]);
    let mut drain = |client: &mut udp::Client, transaction: &mut [u8; 4]| {
        for _ in 0..100 {
            match client.poll_output() {
                Some(udp::Output::Send(packet)) => {
                    assert!(packet.len() <= udp::MAX_PACKET);
                    *transaction = packet[12..16].try_into().expect("four bytes");
                }
                Some(_) => answers += 1,
                None => return,
            }
        }
        panic!("a client that has no end of things to say");
    };
    drain(&mut client, &mut transaction);
    while let Some((&[high, low], rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high & 0x07, low])).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        data = rest;
        let mut packet = packet.to_vec();
        if high & 0x80 != 0 && packet.len() >= 8 {
            packet[4..8].copy_from_slice(&transaction);
        }
        if high & 0x40 != 0 {
            now = now + Duration::from_secs(16);
            client.handle_timeout(now);
            drain(&mut client, &mut transaction);
        }
        client.handle_packet(now, &packet);
        drain(&mut client, &mut transaction);
    }
    assert!(answers <= 1, "{answers} answers to one question");
    assert_eq!(client.under_way(), 1 - answers);
}

/// A peer that is told a stream of inputs: no fault is found in it, as [`Memory`] looks for them.
pub fn peer(data: &[u8]) {
    let Some(dialogue) = dialogue(data) else { return };
    if let Some(finding) = Memory::default().hold(&dialogue).found {
        panic!("{finding}\n{dialogue}");
    }
}

/// The dialogue that bytes stand for: the first says what the peer is, and then each step takes a few.
pub fn dialogue(data: &[u8]) -> Option<Dialogue> {
    let (&first, data) = data.split_first()?;
    let role = Role::ALL[usize::from(first) % 3];
    let (total, piece_length) = if first & 0x80 == 0 { (270_000, 32 << 10) } else { (40_000, 1000) };
    let mut reader = Reader(data);
    let mut steps = Vec::new();
    while let Some(step) = reader.step()
        && steps.len() < 200
    {
        steps.push(step);
    }
    Some(Dialogue { role, total, piece_length, steps })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes.to_vec()
    }

    /// A number: small ones, multiples of half a block, and such as are at a limit.
    fn number(&mut self) -> Option<u32> {
        Some(match self.byte()? {
            byte @ 0..0x80 => byte.into(),
            byte @ 0x80..0xf0 => u32::from(byte & 0x7f) << 13,
            0xf0 => u32::MAX,
            0xf1 => 1 << 31,
            0xf2 => (1 << 14) - 1,
            0xf3 => (1 << 14) + 1,
            0xf4 => 1 << 17,
            0xf5 => (1 << 17) + 1,
            _ => u32::from_be_bytes(self.bytes(4).try_into().unwrap_or_default()),
        })
    }

    fn step(&mut self) -> Option<Step> {
        let head = self.byte()?;
        let wait = match head >> 2 & 7 {
            0..4 => 0,
            4 => 20,
            5 => 1_000,
            6 => 15_000,
            _ => 130_000,
        };
        let act = self.act()?;
        Some(Step { wait: Duration::from_millis(wait), ..Step::new(1 + (head & 3), act) })
    }

    fn act(&mut self) -> Option<Act> {
        let numbered = [
            Message::Have(0),
            Message::Request(engine::RawBlock { piece: 0, begin: 0, length: 0 }),
            Message::Cancel(engine::RawBlock { piece: 0, begin: 0, length: 0 }),
            Message::Reject(engine::RawBlock { piece: 0, begin: 0, length: 0 }),
            Message::Suggest(0),
            Message::AllowedFast(0),
            Message::Port(0),
        ];
        Some(match self.byte()? % 32 {
            0 => Act::Connect,
            1 => Act::Close,
            2..5 => {
                let (reserved, id) = (self.byte()?, self.byte()?);
                let bits = [0, 0, 0, 0, 0, (reserved & 1) << 4, 0, (reserved & 2) << 1];
                let info_hash = (reserved & 0xc0 == 0xc0).then_some(InfoHash([9; 20]));
                Act::Handshake { reserved: bits, info_hash, peer_id: PeerId([id; 20]) }
            }
            5 => Act::Say(Message::Unchoke),
            6 => Act::Say(Message::Choke),
            7 => Act::Say(Message::Interested),
            8 => Act::Say(Message::NotInterested),
            9 => Act::Say(Message::HaveAll),
            10 => Act::Say(Message::HaveNone),
            11 => Act::Say(Message::KeepAlive),
            12 => {
                let length = self.byte()?;
                Act::Say(Message::Bitfield(self.bytes((length % 64).into()).into()))
            }
            13 | 14 => {
                let (id, length) = (self.byte()?, self.byte()?);
                Act::Say(Message::Extended { id: id % 5, payload: self.bytes(length.into()).into() })
            }
            15 | 16 => {
                let count = self.byte()?;
                let how = Serve::ALL[usize::from(self.byte()?) % Serve::ALL.len()].0;
                Act::Serve { count: (count % 40).into(), how }
            }
            17 => Act::Await(Await::ALL[usize::from(self.byte()?) % Await::ALL.len()].0),
            18 => {
                let length = self.byte()?;
                Act::Bytes(self.bytes(length.into()))
            }
            19 | 20 => {
                let (piece, begin, length) = (self.number()?, self.number()?, self.number()?);
                Act::Block(engine::RawBlock { piece, begin, length: length.min(1 << 17) })
            }
            other => {
                let mut message = numbered[usize::from(other) % numbered.len()].clone();
                for at in 0..super::dialogue::numbers(&message).len() {
                    message = with_number(&message, at, self.number()?);
                }
                Act::Say(message)
            }
        })
    }
}
