//! BEP 9: the info dictionary from peers.

use std::time::Duration;

use bytes::Bytes;
use engine::wire::extension::{METADATA_ID, UT_METADATA};
use engine::wire::{ExtendedHandshake, METADATA_PIECE, MetadataMessage};
use engine::{InfoHash, Message};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{BOTH, Conn, EXTENDED, Next, Talk};
use crate::words;

const SECTION: &str = "BEP 9, extension messages";
const SEED: Setup = Setup::SEED;
const LINK: Setup = Setup::LINK;
/// The id under which we take the messages: another than the one that it would pick itself.
const OURS: u8 = 3;

/// What we say by BEP 10: that we take metadata messages, and if so that we have it.
fn ours(size: Option<u32>) -> Vec<u8> {
    ExtendedHandshake {
        messages: [(UT_METADATA.to_owned(), OURS)].into(),
        metadata_size: size,
        ..ExtendedHandshake::default()
    }
    .to_bytes()
}

/// A connection on which both have said that they take metadata messages; the id that the target takes.
fn open(t: &mut Talk<'_>, size: Option<u32>) -> Result<(Conn, u8), Halt> {
    let conn = t.meet(EXTENDED)?;
    t.extended(conn, 0, ours(size))?;
    let theirs = t.await_extended(conn)?;
    match theirs.id(UT_METADATA) {
        Some(id) => Ok((conn, id)),
        None => Err(Halt::Skip("it does not speak ut_metadata (BEP 9)".to_owned())),
    }
}

/// The next metadata message, read.
fn next(t: &mut Talk<'_>, conn: Conn, within: Duration) -> Result<Option<MetadataMessage>, Halt> {
    let end = t.now() + within;
    loop {
        let left = end.saturating_sub(t.now());
        let message = t.until(conn, left, |message| matches!(message, Message::Extended { id: OURS, .. }))?;
        let Some(Message::Extended { payload, .. }) = message else { return Ok(None) };
        // What cannot be read is no answer.
        if let Ok(Some(message)) = MetadataMessage::from_bytes(&payload) {
            return Ok(Some(message));
        }
    }
}

/// Asks for a piece; the answer.
fn ask(t: &mut Talk<'_>, conn: Conn, id: u8, piece: u32) -> Result<Option<MetadataMessage>, Halt> {
    t.extended(conn, id, MetadataMessage::Request { piece }.to_bytes())?;
    let end = t.now() + t.patience().max(Duration::from_secs(4));
    loop {
        let left = end.saturating_sub(t.now());
        match next(t, conn, left)? {
            // It has a wish of its own.
            Some(MetadataMessage::Request { .. }) => {}
            answer => return Ok(answer),
        }
    }
}

/// What it does about an odd message: goes on to answer requests, or closes.
fn after(t: &mut Talk<'_>, payload: &[u8]) -> Outcome {
    let (conn, id) = open(t, None)?;
    let since = t.now();
    t.extended(conn, id, payload.to_vec())?;
    Ok(answers_still(t, conn, id, since)?.noted())
}

/// Whether piece 0 is still to be had. An answer to something else is read on the way.
fn answers_still(t: &mut Talk<'_>, conn: Conn, id: u8, since: Duration) -> Result<Seen, Halt> {
    t.extended(conn, id, MetadataMessage::Request { piece: 0 }.to_bytes())?;
    let end = t.now() + t.patience().max(Duration::from_secs(3));
    let mut rejected = false;
    let reaction = loop {
        let left = end.saturating_sub(t.now());
        match next(t, conn, left)? {
            Some(MetadataMessage::Data { piece: 0, .. }) if rejected => break Reaction::Rejects,
            Some(MetadataMessage::Data { piece: 0, .. }) => break Reaction::Ignores,
            Some(MetadataMessage::Reject { piece: 0 }) => break Reaction::Rejects,
            Some(MetadataMessage::Reject { .. }) => rejected = true,
            Some(_) => {}
            None if t.is_closed(conn)? => break Reaction::Closes,
            None => break Reaction::Silent,
        }
    };
    Ok(Seen { reaction, after: t.now() - since })
}

/// What a target that wants the metadata asks for, when we say that it has this size.
fn wanted(t: &mut Talk<'_>, size: u32) -> Result<(Conn, u8, u32), Halt> {
    let (conn, id) = open(t, Some(size))?;
    let within = t.patience().max(Duration::from_secs(12));
    match next(t, conn, within)? {
        Some(MetadataMessage::Request { piece }) => Ok((conn, id, piece)),
        other => {
            Err(Halt::Stuck(format!("it did not ask for the metadata: {}", words::metadata(other.as_ref()))))
        }
    }
}

/// Gives what it asks for until it has all. Whether it went on as one who has the metadata does.
fn give_all(t: &mut Talk<'_>, conn: Conn, id: u8, first: u32) -> Result<bool, Halt> {
    let size = t.subject().metainfo.info.len() as u32;
    let mut piece = first;
    let within = t.patience().max(Duration::from_secs(6));
    for _ in 0..2 * t.subject().metadata_pieces() {
        let data = t.subject().metadata_piece(piece);
        let data = data.ok_or_else(|| Halt::Stuck(format!("it asked for piece {piece} of the metadata")))?;
        t.extended(conn, id, MetadataMessage::Data { piece, total_size: size, data }.to_bytes())?;
        t.send(conn, &Message::Have(0))?;
        let said = t.until(conn, within, |message| {
            matches!(message, Message::Extended { id: OURS, .. } | Message::Interested)
        })?;
        match said {
            Some(Message::Extended { payload, .. }) => match MetadataMessage::from_bytes(&payload) {
                Ok(Some(MetadataMessage::Request { piece: next })) => piece = next,
                _ => return Ok(false),
            },
            Some(_) => return Ok(true),
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// A size that makes no sense: nothing is asked for, and it lives.
fn odd_size(t: &mut Talk<'_>, size: &str) -> Outcome {
    let conn = t.meet(EXTENDED)?;
    let before = t.arm().memory();
    let since = t.now();
    t.extended(conn, 0, format!("d1:md11:ut_metadatai{OURS}ee13:metadata_size{size}e").into_bytes())?;
    let within = t.patience().max(Duration::from_secs(4));
    let said = next(t, conn, within)?;
    let reaction = match (&said, t.is_closed(conn)?) {
        (Some(MetadataMessage::Request { .. }), _) => Reaction::Accepts,
        (_, true) => Reaction::Closes,
        _ => Reaction::Ignores,
    };
    let grown = t.arm().memory().zip(before).map(|(now, before)| now.saturating_sub(before));
    let holds = grown.is_none_or(|grown| grown < 64 << 20);
    let note = grown.map(|grown| format!("{} KiB more in memory", grown >> 10)).unwrap_or_default();
    let finding = Finding { holds, note, ..Seen { reaction, after: t.now() - since }.noted() };
    Ok(finding.expecting("less than 64 MiB more in memory"))
}

pub const CASES: &[Case] = &[
    case(
        "bep9/offer",
        "BEP 9, extension header",
        May,
        "whether a seed offers the metadata, with its size",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            t.extended(conn, 0, ours(None))?;
            let theirs = t.await_extended(conn)?;
            let size = theirs.metadata_size;
            let right = size.is_none_or(|size| size == t.subject().metainfo.info.len() as u32);
            let note = match (theirs.id(UT_METADATA), size) {
                (Some(_), Some(size)) => format!("{size} bytes"),
                (Some(_), None) => "without a size".to_owned(),
                (None, _) => "not offered".to_owned(),
            };
            let due = t.subject().metainfo.info.len();
            Ok(Finding::of(right, note).expecting(format!("a size of {due} bytes, if one is said")))
        },
    ),
    case(
        "bep9/request/right",
        SECTION,
        Must,
        "each request is answered for its own piece, and the whole hashes to the info-hash",
        SEED,
        |t| {
            let (conn, id) = open(t, None)?;
            let mut whole = Vec::new();
            for piece in 0..t.subject().metadata_pieces() {
                match ask(t, conn, id, piece)? {
                    Some(MetadataMessage::Data { piece: given, total_size, data }) if given == piece => {
                        let last = piece + 1 == t.subject().metadata_pieces();
                        let right = total_size == t.subject().metainfo.info.len() as u32
                            && (last || data.len() == METADATA_PIECE as usize);
                        if !right {
                            return Ok(Finding::breaks(format!(
                                "piece {piece}: total_size {total_size}, {} bytes",
                                data.len()
                            )));
                        }
                        whole.extend_from_slice(&data);
                    }
                    Some(MetadataMessage::Reject { piece: given }) if given == piece => {
                        return Ok(Finding::holds("it rejects"));
                    }
                    other => {
                        let said = words::metadata(other.as_ref());
                        return Ok(Finding::breaks(format!("asked for metadata piece {piece}: {said}")));
                    }
                }
            }
            let hash = InfoHash::of(&whole);
            let right = hash == t.subject().metainfo.info_hash;
            let what = if right { String::new() } else { format!(" that hash to {hash}") };
            Ok(Finding::of(right, format!("{} bytes{what}", whole.len())))
        },
    ),
    case(
        "bep9/request/under-our-id",
        "BEP 10, handshake message",
        Must,
        "answers come under the id that we gave",
        SEED,
        |t| {
            let (conn, id) = open(t, None)?;
            t.extended(conn, id, MetadataMessage::Request { piece: 0 }.to_bytes())?;
            let within = t.patience().max(Duration::from_secs(4));
            let answer = t.until(conn, within, |message| matches!(message, Message::Extended { id: 1.., payload } if payload.starts_with(b"d8:msg_type")))?;
            match answer {
                Some(Message::Extended { id, .. }) => {
                    Ok(Finding::of(id == OURS, format!("an answer under id {id}, where we gave {OURS}")))
                }
                _ => Ok(Finding::breaks("no answer")),
            }
        },
    ),
    case("bep9/request/pipelined", SECTION, Must, "four requests at once are each answered", SEED, |t| {
        let (conn, id) = open(t, None)?;
        let pieces = t.subject().metadata_pieces();
        for n in 0..4 {
            t.extended(conn, id, MetadataMessage::Request { piece: n % pieces }.to_bytes())?;
        }
        let within = t.patience().max(Duration::from_secs(4));
        let mut came = 0;
        while came < 4 && next(t, conn, within)?.is_some() {
            came += 1;
        }
        Ok(Finding::of(came == 4, format!("{came} of 4")))
    }),
    case(
        "bep9/request/beyond",
        SECTION,
        Must,
        "a request for a piece beyond the last is rejected or ignored",
        SEED,
        |t| {
            let (conn, id) = open(t, None)?;
            let since = t.now();
            t.extended(conn, id, MetadataMessage::Request { piece: 99 }.to_bytes())?;
            let seen = answers_still(t, conn, id, since)?;
            Ok(seen.one_of(&[Reaction::Rejects, Reaction::Ignores, Reaction::Closes]))
        },
    ),
    case("bep9/request/negative", SECTION, May, "a request for piece -1", SEED, |t| {
        after(t, b"d8:msg_typei0e5:piecei-1ee")
    }),
    case("bep9/request/2-to-40", SECTION, May, "a request for piece 2^40", SEED, |t| {
        after(t, b"d8:msg_typei0e5:piecei1099511627776ee")
    }),
    case(
        "bep9/message/unknown-type",
        SECTION,
        Must,
        "a message type that nobody knows is ignored",
        SEED,
        |t| {
            let (conn, id) = open(t, None)?;
            let since = t.now();
            t.extended(conn, id, b"d8:msg_typei7e5:piecei0ee".to_vec())?;
            Ok(answers_still(t, conn, id, since)?.one_of(&[Reaction::Ignores]))
        },
    ),
    case("bep9/message/no-type", SECTION, May, "a message without a type", SEED, |t| {
        after(t, b"d5:piecei0ee")
    }),
    case("bep9/message/no-piece", SECTION, May, "a request without a piece", SEED, |t| {
        after(t, b"d8:msg_typei0ee")
    }),
    case("bep9/message/piece-string", SECTION, May, "a request whose piece is a string", SEED, |t| {
        after(t, b"d8:msg_typei0e5:piece1:0e")
    }),
    case("bep9/message/no-bencode", SECTION, May, "a message that is no bencode", SEED, |t| {
        after(t, b"d8:msg_typei0e5:pie")
    }),
    case("bep9/message/empty", SECTION, Robust, "a message without a byte", SEED, |t| after(t, b"")),
    case("bep9/message/unasked-data", "every program", Robust, "data that nobody asked for", SEED, |t| {
        after(t, &[b"d8:msg_typei1e5:piecei0e10:total_sizei16384ee".as_slice(), &[0x5a; 16384]].concat())
    }),
    case(
        "bep9/request/flood",
        SECTION,
        May,
        "300 requests at once: how many are answered with data",
        SEED,
        |t| {
            let (conn, id) = open(t, None)?;
            for _ in 0..300 {
                t.extended(conn, id, MetadataMessage::Request { piece: 0 }.to_bytes())?;
            }
            let within = t.patience().max(Duration::from_secs(3));
            let (mut data, mut rejects) = (0, 0);
            while data + rejects < 300 {
                match next(t, conn, within)? {
                    Some(MetadataMessage::Data { .. }) => data += 1,
                    Some(MetadataMessage::Reject { .. }) => rejects += 1,
                    Some(MetadataMessage::Request { .. }) => {}
                    None => break,
                }
            }
            Ok(Finding::holds(format!("{data} with data, {rejects} rejected")))
        },
    ),
    case(
        "bep9/request/not-offered",
        SECTION,
        May,
        "a request from who has offered no id for the answer",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            let theirs = t.await_extended(conn)?;
            let id = theirs
                .id(UT_METADATA)
                .ok_or_else(|| Halt::Skip("it does not speak ut_metadata (BEP 9)".to_owned()))?;
            t.extended(conn, id, MetadataMessage::Request { piece: 0 }.to_bytes())?;
            let since = t.now();
            let within = t.patience().min(Duration::from_secs(3));
            let answer =
                t.until(conn, within, |message| matches!(message, Message::Extended { id: 1.., .. }))?;
            let reaction = match (answer, t.is_closed(conn)?) {
                (Some(_), _) => Reaction::Serves,
                (_, true) => Reaction::Closes,
                _ => Reaction::Ignores,
            };
            Ok(Seen { reaction, after: t.now() - since }.noted())
        },
    ),
    case("bep9/link/asks", SECTION, Must, "with a magnet link it asks who offers the metadata", LINK, |t| {
        let size = t.subject().metainfo.info.len() as u32;
        let since = t.now();
        let (_, _, piece) = wanted(t, size)?;
        Ok(Finding { after: Some(t.now() - since), ..Finding::of(piece < 2, format!("piece {piece} first")) })
    }),
    case(
        "bep9/link/complete",
        SECTION,
        Must,
        "with the metadata of two pieces it goes on to download",
        LINK,
        |t| {
            let size = t.subject().metainfo.info.len() as u32;
            let (conn, id, piece) = wanted(t, size)?;
            if give_all(t, conn, id, piece)? {
                return Ok(Finding::holds("it became interested"));
            }
            // Some begin anew with what they have got.
            let end = t.now() + t.patience().max(Duration::from_secs(30));
            while t.now() < end {
                t.sleep(Duration::from_secs(1));
                if t.as_seed_freely().is_ok() {
                    return Ok(Finding::holds("it became interested on a new connection"));
                }
            }
            Ok(Finding::breaks("it did not become interested"))
        },
    ),
    case(
        "bep9/link/rejects",
        SECTION,
        Must,
        "while it has no metadata it rejects requests for it",
        LINK,
        |t| {
            let (conn, id) = open(t, None)?;
            let answer = ask(t, conn, id, 0)?;
            let rejected = answer == Some(MetadataMessage::Reject { piece: 0 });
            Ok(Finding::of(rejected, words::metadata(answer.as_ref())))
        },
    ),
    case(
        "bep9/link/wrong-data",
        SECTION,
        Must,
        "metadata that does not hash to the info-hash is not used",
        LINK,
        |t| {
            let size = t.subject().metainfo.info.len() as u32;
            let (conn, id, mut piece) = wanted(t, size)?;
            let since = t.now();
            let within = t.patience().max(Duration::from_secs(4));
            let mut given = 0;
            let reaction = loop {
                let length = t.subject().metadata_piece(piece).map_or(0, |data| data.len());
                let data = Bytes::from(vec![b'x'; length]);
                t.extended(conn, id, MetadataMessage::Data { piece, total_size: size, data }.to_bytes())?;
                given += 1;
                match next(t, conn, within)? {
                    Some(MetadataMessage::Request { piece: next }) if given < 6 => piece = next,
                    _ if t.is_closed(conn)? => break Reaction::Closes,
                    _ => break Reaction::Ignores,
                }
            };
            t.send(conn, &Message::Have(0))?;
            let interested =
                t.until(conn, Duration::from_secs(1), |message| *message == Message::Interested)?;
            Ok(Finding {
                holds: interested.is_none(),
                note: match interested {
                    Some(_) => format!("{given} pieces were taken, and then it was interested"),
                    None => format!("{given} pieces were taken"),
                },
                ..Seen { reaction, after: t.now() - since }.noted()
            })
        },
    ),
    case("bep9/link/rejected", SECTION, Should, "who rejects is not asked over and over", LINK, |t| {
        let size = t.subject().metainfo.info.len() as u32;
        let (conn, id, mut piece) = wanted(t, size)?;
        let end = t.now() + t.patience().max(Duration::from_secs(4));
        let mut asked = 1;
        while t.now() < end && asked < 50 {
            t.extended(conn, id, MetadataMessage::Reject { piece }.to_bytes())?;
            let left = end.saturating_sub(t.now());
            match next(t, conn, left)? {
                Some(MetadataMessage::Request { piece: next }) => {
                    piece = next;
                    asked += 1;
                }
                _ => break,
            }
        }
        Ok(Finding::of(asked < 50, format!("asked {asked} times")))
    }),
    case("bep9/link/wrong-total", SECTION, May, "data with another total_size than was offered", LINK, |t| {
        let size = t.subject().metainfo.info.len() as u32;
        let (conn, id, piece) = wanted(t, size)?;
        let data = t.subject().metadata_piece(piece).unwrap_or_default();
        let since = t.now();
        t.extended(conn, id, MetadataMessage::Data { piece, total_size: size + 5, data }.to_bytes())?;
        let within = t.patience().max(Duration::from_secs(3));
        let said = t.next(conn, within)?;
        let reaction = match said {
            Next::Closed => Reaction::Closes,
            Next::Message(_) => Reaction::Accepts,
            _ => Reaction::Ignores,
        };
        Ok(Seen { reaction, after: t.now() - since }.noted())
    }),
    case("bep9/link/size-0", "every program", Robust, "a metadata_size of 0", LINK, |t| odd_size(t, "i0e")),
    case("bep9/link/size-negative", "every program", Robust, "a metadata_size of -1", LINK, |t| {
        odd_size(t, "i-1e")
    }),
    case(
        "bep9/link/size-1g",
        "every program",
        Robust,
        "a metadata_size of 1 GiB costs no memory",
        LINK,
        |t| odd_size(t, "i1073741824e"),
    ),
    case("bep9/link/size-2-to-62", "every program", Robust, "a metadata_size of 2^62", LINK, |t| {
        odd_size(t, "i4611686018427387904e")
    }),
    case(
        "bep9/link/early-messages",
        "BEP 9 and BEP 3",
        Should,
        "what is said before it has the metadata is remembered: pieces, an unchoke",
        LINK,
        |t| {
            let size = t.subject().metainfo.info.len() as u32;
            let conn = t.meet(BOTH)?;
            t.send(conn, &Message::HaveAll)?;
            t.send(conn, &Message::Unchoke)?;
            t.extended(conn, 0, ours(Some(size)))?;
            let id = t.await_extended(conn)?.id(UT_METADATA).unwrap_or(METADATA_ID);
            let end = t.now() + t.patience().max(Duration::from_secs(10));
            loop {
                let left = end.saturating_sub(t.now());
                match t.next(conn, left)? {
                    Next::Message(Message::Request(_)) => return Ok(Finding::holds("it asked for a block")),
                    Next::Message(Message::Extended { id: OURS, payload }) => {
                        if let Ok(Some(MetadataMessage::Request { piece })) =
                            MetadataMessage::from_bytes(&payload)
                        {
                            let data = t.subject().metadata_piece(piece).unwrap_or_default();
                            t.extended(
                                conn,
                                id,
                                MetadataMessage::Data { piece, total_size: size, data }.to_bytes(),
                            )?;
                        }
                    }
                    Next::Message(_) | Next::Handshake(_) => {}
                    Next::Closed => return Ok(Finding::breaks("it closed")),
                    Next::Nothing | Next::Malformed(_) => {
                        return Ok(Finding::breaks("it asked for no block"));
                    }
                }
            }
        },
    ),
];
