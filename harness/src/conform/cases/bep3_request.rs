//! BEP 3: what a seed does about requests.

use std::time::Duration;

use engine::{BLOCK, Message, RawBlock};

use super::{case, conduct};
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{FAST, PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 3, peer messages: request, piece, cancel";
const SEED: Setup = Setup::SEED;
/// What may be done about a request that cannot be served.
const REFUSALS: &[Reaction] =
    &[Reaction::Closes, Reaction::Rejects, Reaction::Ignores, Reaction::Silent, Reaction::Chokes];

fn raw(piece: u32, begin: u32, length: u32) -> RawBlock {
    RawBlock { piece, begin, length }
}

/// The request must not be served: not a byte beyond what there is. Some send that part of it that exists.
fn refused(t: &mut Talk<'_>, block: RawBlock) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let (seen, data) = t.answer_to(conn, block)?;
    let mut finding = seen.one_of(REFUSALS);
    if let Some(data) = data {
        let there = t.subject().length_of(block.piece).saturating_sub(block.begin);
        let part = RawBlock { length: data.len() as u32, ..block };
        let right = data.len() as u32 <= there && t.subject().is_right(&part, &data);
        finding.holds = data.is_empty() || right;
        let what = if finding.holds { "that exist" } else { "of something" };
        finding.note = format!("{} bytes {what} came", data.len());
    }
    Ok(finding)
}

/// Whatever comes, if bytes come they must be right.
fn maybe(t: &mut Talk<'_>, block: RawBlock) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let (seen, data) = t.answer_to(conn, block)?;
    let mut finding = seen.noted();
    if let Some(data) = data {
        finding.holds = t.subject().is_right(&block, &data) || (block.length == 0 && data.is_empty());
        finding.note =
            if finding.holds { String::new() } else { "other bytes than the torrent's".to_owned() };
    }
    Ok(finding.expecting("the torrent's own bytes, or none"))
}

/// The block is served, to the byte.
fn served(t: &mut Talk<'_>, reserved: [u8; 8], block: RawBlock) -> Outcome {
    let conn = t.unchoked(reserved)?;
    let (seen, data) = t.answer_to(conn, block)?;
    let right = data.as_ref().is_some_and(|data| t.subject().is_right(&block, data));
    let note = if right || data.is_none() { "" } else { "other bytes than the torrent's" };
    Ok(Finding { holds: right, note: note.to_owned(), ..seen.noted() })
}

pub const CASES: &[Case] = &[
    case(
        "bep3/request/unchoke",
        SECTION,
        Should,
        "an interested peer is unchoked within 30 s while there is a slot",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let since = t.now();
            t.send(conn, &Message::Interested)?;
            let unchoke = t.until(conn, Duration::from_secs(30), |message| *message == Message::Unchoke)?;
            let note = if unchoke.is_some() { "" } else { "no unchoke came" };
            Ok(Finding { after: Some(t.now() - since), ..Finding::of(unchoke.is_some(), note) })
        },
    ),
    case("bep3/request/block", SECTION, Must, "a block of 16 KiB is served, to the byte", SEED, |t| {
        let block = t.subject().block(0);
        served(t, PLAIN, block)
    }),
    case(
        "bep3/request/whole-piece",
        SECTION,
        Must,
        "the blocks of a piece hash to what the torrent says",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let of_first = t.subject().blocks().into_iter().filter(|block| block.piece == 0);
            let mut bytes = Vec::new();
            for block in of_first.collect::<Vec<_>>() {
                t.send(conn, &Message::Request(block))?;
                let within = t.patience().max(Duration::from_secs(10));
                match t.until(conn, within, |message| matches!(message, Message::Piece { .. }))? {
                    Some(Message::Piece { begin, data, .. }) if begin == block.begin => {
                        bytes.extend_from_slice(&data)
                    }
                    other => return Ok(Finding::breaks(words::came(other.as_ref()))),
                }
            }
            let right = t.subject().is_piece(0, &bytes);
            let what = if right { "" } else { " of another hash" };
            Ok(Finding::of(right, format!("{} bytes{what}", bytes.len())))
        },
    ),
    case(
        "bep3/request/last-block",
        SECTION,
        Must,
        "the last block of the last piece, shorter than the others, is served",
        SEED,
        |t| {
            let last = t.subject().blocks().last().copied();
            let block = last.ok_or_else(|| Halt::Stuck("a torrent without blocks".to_owned()))?;
            served(t, PLAIN, block)
        },
    ),
    case("bep3/request/choked", SECTION, Must, "a request while choked is not served", SEED, |t| {
        let conn = t.meet(PLAIN)?;
        // Some unchoke who has not said that it is interested.
        let time = t.patience().min(Duration::from_secs(1));
        t.until(conn, time, |message| *message == Message::Unchoke)?;
        let block = t.subject().block(0);
        let since = t.now();
        t.send(conn, &Message::Request(block))?;
        let within = t.patience().min(Duration::from_secs(3));
        let served = t.until(conn, within, |message| matches!(message, Message::Piece { .. }))?.is_some();
        if t.heard(conn)?.contains(&Message::Unchoke) {
            return Err(Halt::Skip("it unchokes who is not interested".to_owned()));
        }
        let reaction = match (served, t.is_closed(conn)?) {
            (true, _) => Reaction::Serves,
            (_, true) => Reaction::Closes,
            _ => Reaction::Ignores,
        };
        Ok(Finding { holds: !served, ..Seen { reaction, after: t.now() - since }.noted() })
    }),
    case(
        "bep3/request/32k",
        SECTION,
        May,
        "a request of 32 KiB (BEP 3: all close on more than 16 KiB)",
        SEED,
        |t| maybe(t, raw(0, 0, 2 * BLOCK)),
    ),
    case("bep3/request/64k", SECTION, May, "a request of 64 KiB", SEED, |t| maybe(t, raw(0, 0, 4 * BLOCK))),
    case(
        "bep3/request/128k-and-1",
        SECTION,
        Must,
        "a request of 128 KiB and a byte, past the end of its piece, is not served",
        SEED,
        |t| refused(t, raw(0, 0, (128 << 10) + 1)),
    ),
    case(
        "bep3/request/1m",
        SECTION,
        Must,
        "a request of 1 MiB, past the end of its piece, is not served",
        SEED,
        |t| refused(t, raw(0, 0, 1 << 20)),
    ),
    case("bep3/request/no-such-piece", SECTION, Must, "a piece beyond the last is not served", SEED, |t| {
        let pieces = t.subject().pieces();
        refused(t, raw(pieces, 0, BLOCK))
    }),
    case("bep3/request/piece-max", SECTION, Must, "piece 2^32 - 1 is not served", SEED, |t| {
        refused(t, raw(u32::MAX, 0, BLOCK))
    }),
    case(
        "bep3/request/beyond-end",
        SECTION,
        Must,
        "a block that begins past the end of its piece is not served",
        SEED,
        |t| {
            let begin = t.subject().length_of(0);
            refused(t, raw(0, begin, BLOCK))
        },
    ),
    case(
        "bep3/request/across-end",
        SECTION,
        Must,
        "a block that ends a byte past the end of its piece is not served",
        SEED,
        |t| {
            let begin = t.subject().length_of(0).saturating_sub(BLOCK - 1);
            refused(t, raw(0, begin, BLOCK))
        },
    ),
    case(
        "bep3/request/across-last",
        SECTION,
        Must,
        "16 KiB that end past the end of the torrent are not served",
        SEED,
        |t| {
            let last = t.subject().pieces() - 1;
            let length = t.subject().length_of(last);
            refused(t, raw(last, length.saturating_sub(1000), BLOCK))
        },
    ),
    case("bep3/request/empty", SECTION, May, "a request of no bytes", SEED, |t| maybe(t, raw(0, 0, 0))),
    case("bep3/request/wrap", SECTION, Robust, "begin + length past 2^32 is not served", SEED, |t| {
        refused(t, raw(0, 0xffff_c000, 0x8000))
    }),
    case("bep3/request/length-max", SECTION, Robust, "a length of 2^32 - 1 is not served", SEED, |t| {
        refused(t, raw(0, 0, u32::MAX))
    }),
    case("bep3/request/one-byte", SECTION, May, "a request of one byte", SEED, |t| maybe(t, raw(0, 0, 1))),
    case("bep3/request/unaligned", SECTION, May, "16 KiB that begin at byte 1000", SEED, |t| {
        maybe(t, raw(0, 1000, BLOCK))
    }),
    case(
        "bep3/request/twice",
        SECTION,
        May,
        "how often a block comes that is asked for twice at once",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let block = t.subject().block(0);
            t.send(conn, &Message::Request(block))?;
            t.send(conn, &Message::Request(block))?;
            let since = t.now();
            let seen = t.goes_on(conn, since)?;
            t.read_for(conn, Duration::from_millis(200))?;
            let times = t.heard(conn)?.iter().filter(|message| {
            matches!(message, Message::Piece { piece, begin, .. } if (*piece, *begin) == (block.piece, block.begin))
        });
            let times = times.count();
            Ok(Finding { note: format!("{times} times"), ..seen.noted() })
        },
    ),
    case(
        "bep3/request/pipelined",
        "BEP 10, reqq",
        Should,
        "160 requests at once, of 4 KiB, are all served",
        SEED,
        |t| pipelined(t, 160, 4 << 10),
    ),
    case(
        "bep3/request/pipelined-beyond",
        "BEP 10, reqq",
        May,
        "650 requests at once, of 1 KiB: how many blocks come",
        SEED,
        |t| {
            let mut finding = pipelined(t, 650, 1 << 10)?;
            finding.holds = true;
            Ok(finding)
        },
    ),
    case("bep3/request/cancel", SECTION, May, "a block that is cancelled at once", SEED, |t| {
        let conn = t.unchoked(PLAIN)?;
        let block = t.subject().block(0);
        let since = t.now();
        t.send(conn, &Message::Request(block))?;
        t.send(conn, &Message::Cancel(block))?;
        let seen = t.goes_on(conn, since)?;
        let came =
            t.heard(conn)?.iter().any(|message| matches!(message, Message::Piece { piece: 0, begin: 0, .. }));
        Ok(Finding { note: if came { "it came" } else { "it did not come" }.to_owned(), ..seen.noted() })
    }),
    case(
        "bep3/request/cancel-unasked",
        SECTION,
        Should,
        "a cancel of what was never asked for is ignored",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let since = t.now();
            let block = t.subject().block(1);
            t.send(conn, &Message::Cancel(block))?;
            Ok(t.goes_on(conn, since)?.one_of(&[Reaction::Ignores]))
        },
    ),
    case(
        "bep3/request/cancel-out-of-range",
        SECTION,
        May,
        "a cancel of what is not in the torrent",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let since = t.now();
            t.send(conn, &Message::Cancel(raw(u32::MAX, u32::MAX, u32::MAX)))?;
            Ok(t.goes_on(conn, since)?.noted())
        },
    ),
    case("bep3/request/not-interested", SECTION, May, "a request after not-interested", SEED, |t| {
        let conn = t.unchoked(PLAIN)?;
        t.send(conn, &Message::NotInterested)?;
        let block = t.subject().block(0);
        Ok(t.answer_to(conn, block)?.0.noted())
    }),
    case(
        "bep3/request/order",
        SECTION,
        May,
        "whether blocks come in the order in which they are asked for",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let mut blocks = t.subject().blocks();
            blocks.truncate(20);
            blocks.reverse();
            for &block in &blocks {
                t.send(conn, &Message::Request(block))?;
            }
            let mut came = Vec::new();
            let within = t.patience().max(Duration::from_secs(10));
            while came.len() < blocks.len() {
                match t.until(conn, within, |message| matches!(message, Message::Piece { .. }))? {
                    Some(Message::Piece { piece, begin, data }) => {
                        came.push(raw(piece, begin, data.len() as u32))
                    }
                    _ => break,
                }
            }
            let note = if came == blocks { "in order" } else { "in another order" };
            let finding = Finding::of(
                came.len() == blocks.len(),
                format!("{} of {}, {note}", came.len(), blocks.len()),
            );
            Ok(finding.expecting("all of them, in any order"))
        },
    ),
    case(
        "bep3/request/we-choke",
        SECTION,
        Must,
        "a seed serves us though we choke it: choking goes one way",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            t.send(conn, &Message::Choke)?;
            let block = t.subject().block(0);
            Ok(t.answer_to(conn, block)?.0.one_of(&[Reaction::Serves]))
        },
    ),
    case(
        "bep3/request/served-fast",
        "BEP 6",
        Must,
        "with the fast extension a block is served too",
        SEED,
        |t| {
            let block = t.subject().block(0);
            served(t, FAST, block)
        },
    ),
    case(
        "bep3/sender/seed",
        "BEP 3, BEP 6, BEP 10",
        Must,
        "a seed breaks no rule of conduct while it is asked for the whole torrent",
        SEED,
        |t| {
            let conn = t.unchoked_freely()?;
            // Of somebody's torrent, which may be large, some 30 MiB are enough.
            for block in t.subject().blocks().into_iter().take(2000) {
                t.send(conn, &Message::Request(block))?;
                let within = t.patience().max(Duration::from_secs(5));
                t.until(conn, within, |message| matches!(message, Message::Piece { .. }))?;
            }
            conduct(t, conn, true)
        },
    ),
];

/// So many requests of this length at once, of which no two are the same: holds if as many blocks come.
fn pipelined(t: &mut Talk<'_>, many: usize, length: u32) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let parts = |block: RawBlock| {
        (0..block.length / length).map(move |n| RawBlock { begin: block.begin + n * length, length, ..block })
    };
    let blocks: Vec<RawBlock> = t.subject().blocks().into_iter().flat_map(parts).take(many).collect();
    let many = blocks.len();
    let since = t.now();
    for &block in &blocks {
        t.send(conn, &Message::Request(block))?;
    }
    let (mut came, within) = (0, t.patience().max(Duration::from_secs(10)));
    while came < many {
        match t.until(conn, within, |message| matches!(message, Message::Piece { .. }))? {
            Some(_) => came += 1,
            None => break,
        }
    }
    let note = if t.is_closed(conn)? {
        format!("{came} of {many}, then it closed")
    } else {
        format!("{came} of {many}")
    };
    Ok(Finding { after: Some(t.now() - since), ..Finding::of(came == many, note) })
}
