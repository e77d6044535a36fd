//! BEP 6: the fast extension.

use std::time::Duration;

use engine::wire::allowed_fast;
use engine::{Message, RawBlock};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{BOTH, Conn, EXTENDED, FAST, PLAIN, Talk};
use crate::words;

const SEED: Setup = Setup::SEED;
const LEECH: Setup = Setup::LEECH;
const HAVE: &str = "BEP 6, have all/have none";
const REJECT: &str = "BEP 6, reject request";
const ALLOWED: &str = "BEP 6, allowed fast";
const SUGGEST: &str = "BEP 6, suggest piece";

fn is_pieces(message: &Message) -> bool {
    matches!(message, Message::Bitfield(_) | Message::HaveAll | Message::HaveNone)
}

/// All that it says in a short time after the handshakes.
fn opening(t: &mut Talk<'_>, reserved: [u8; 8]) -> Result<Vec<Message>, Halt> {
    let conn = t.meet(reserved)?;
    let time = t.patience().min(Duration::from_secs(3));
    t.read_for(conn, time)
}

/// Its first messages name its pieces exactly once, before all else (extended messages may come before).
fn says_pieces(t: &mut Talk<'_>) -> Outcome {
    let said = opening(t, FAST)?;
    let times = said.iter().filter(|message| is_pieces(message)).count();
    let first = said.first().is_some_and(is_pieces);
    let note = match (said.first(), times) {
        (Some(message), 1) => format!("{} came first", words::message(message)),
        (None, _) => "it said nothing".to_owned(),
        (Some(message), _) => {
            format!("{} came first, and it said {times} times what it has", words::message(message))
        }
    };
    Ok(Finding::of(times == 1 && first, note))
}

/// A message of the extension to who has not been shown its bit.
fn unnegotiated(t: &mut Talk<'_>, message: &Message) -> Outcome {
    let conn = t.meet(PLAIN)?;
    let since = t.now();
    t.send(conn, message)?;
    Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
}

/// How many answers came for each of these requests.
fn answers(t: &mut Talk<'_>, conn: Conn, asked: &[RawBlock], time: Duration) -> Result<Vec<usize>, Halt> {
    let mut answers = vec![0; asked.len()];
    let end = t.now() + time;
    while answers.contains(&0) {
        let left = end.saturating_sub(t.now());
        let said =
            t.until(conn, left, |message| matches!(message, Message::Piece { .. } | Message::Reject(_)))?;
        let block = match said {
            Some(Message::Piece { piece, begin, data }) => {
                RawBlock { piece, begin, length: data.len() as u32 }
            }
            Some(Message::Reject(block)) => block,
            _ => break,
        };
        if let Some(at) = asked.iter().position(|asked| *asked == block) {
            answers[at] += 1;
        }
    }
    // One too many would come soon.
    for message in t.read_for(conn, Duration::from_millis(500))? {
        let block = match message {
            Message::Piece { piece, begin, data } => RawBlock { piece, begin, length: data.len() as u32 },
            Message::Reject(block) => block,
            _ => continue,
        };
        if let Some(at) = asked.iter().position(|asked| *asked == block) {
            answers[at] += 1;
        }
    }
    Ok(answers)
}

fn each_once(answers: &[usize]) -> Finding {
    let (none, more) =
        (answers.iter().filter(|&&n| n == 0).count(), answers.iter().filter(|&&n| n > 1).count());
    Finding::of(
        none == 0 && more == 0,
        format!("of {} requests {none} were not answered, {more} more than once", answers.len()),
    )
}

/// The allowed fast set that a target tells us of.
fn allowed(t: &mut Talk<'_>, conn: Conn) -> Result<Vec<u32>, Halt> {
    t.send(conn, &Message::HaveNone)?;
    let time = t.patience().min(Duration::from_secs(3));
    let said = t.read_for(conn, time)?;
    let set: Vec<u32> = said
        .iter()
        .filter_map(|message| match message {
            Message::AllowedFast(piece) => Some(*piece),
            _ => None,
        })
        .collect();
    match set.is_empty() {
        true => Err(Halt::Skip("it allows nothing fast".to_owned())),
        false => Ok(set),
    }
}

/// What a leech asks for, choked, when it is told this.
fn asks_choked(t: &mut Talk<'_>, conn: Conn, messages: &[Message]) -> Result<Vec<RawBlock>, Halt> {
    for message in messages {
        t.send(conn, message)?;
    }
    let time = t.patience().min(Duration::from_secs(4));
    let said = t.read_for(conn, time)?;
    Ok(said
        .iter()
        .filter_map(|message| match message {
            Message::Request(block) => Some(*block),
            _ => None,
        })
        .collect())
}

pub const CASES: &[Case] = &[
    case(
        "bep6/have/seed",
        HAVE,
        Must,
        "a seed says what it has exactly once, right after the handshake",
        SEED,
        says_pieces,
    ),
    case(
        "bep6/have/leech",
        HAVE,
        Must,
        "a leech says that it has nothing exactly once, right after the handshake",
        LEECH,
        says_pieces,
    ),
    case(
        "bep6/have/not-negotiated",
        HAVE,
        Must,
        "no message of the extension goes to who has not set its bit",
        SEED,
        |t| {
            let said = opening(t, EXTENDED)?;
            let odd = said.iter().find(|message| {
                matches!(
                    message,
                    Message::HaveAll
                        | Message::HaveNone
                        | Message::Suggest(_)
                        | Message::Reject(_)
                        | Message::AllowedFast(_)
                )
            });
            Ok(Finding::of(odd.is_none(), odd.map(words::message).unwrap_or_default()))
        },
    ),
    case(
        "bep6/have/all-without-bit",
        HAVE,
        Must,
        "it closes on a have-all from who has not set the bit",
        LEECH,
        |t| unnegotiated(t, &Message::HaveAll),
    ),
    case(
        "bep6/have/none-without-bit",
        HAVE,
        Must,
        "it closes on a have-none from who has not set the bit",
        SEED,
        |t| unnegotiated(t, &Message::HaveNone),
    ),
    case(
        "bep6/suggest/without-bit",
        SUGGEST,
        Must,
        "it closes on a suggest from who has not set the bit",
        SEED,
        |t| unnegotiated(t, &Message::Suggest(0)),
    ),
    case(
        "bep6/reject/without-bit",
        REJECT,
        Must,
        "it closes on a reject from who has not set the bit",
        SEED,
        |t| {
            let block = t.subject().block(0);
            unnegotiated(t, &Message::Reject(block))
        },
    ),
    case(
        "bep6/allowed/without-bit",
        ALLOWED,
        Must,
        "it closes on an allowed-fast from who has not set the bit",
        SEED,
        |t| unnegotiated(t, &Message::AllowedFast(0)),
    ),
    case("bep6/have/all-then-bitfield", HAVE, May, "a have-all and then a bitfield", LEECH, |t| {
        let conn = t.meet(FAST)?;
        let bits = t.subject().bitfield(|_| true);
        let since = t.now();
        t.send(conn, &Message::HaveAll)?;
        t.send(conn, &Message::Bitfield(bits.into()))?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case("bep6/have/none-then-all", HAVE, May, "a have-none and then a have-all", LEECH, |t| {
        let conn = t.meet(FAST)?;
        let since = t.now();
        t.send(conn, &Message::HaveNone)?;
        t.send(conn, &Message::HaveAll)?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case("bep6/have/nothing-said", HAVE, May, "who sets the bit and does not say what it has", SEED, |t| {
        let conn = t.meet(FAST)?;
        let since = t.now();
        Ok(t.still_serves(conn, since)?.noted())
    }),
    case(
        "bep6/have/have-all-served",
        HAVE,
        Must,
        "a have-all makes a leech interested, and it downloads",
        LEECH,
        |t| {
            let conn = t.as_seed(FAST)?;
            let block = t.await_request(conn)?;
            Ok(Finding::holds(format!("it asked for {}", words::block(&block))))
        },
    ),
    case(
        "bep6/reject/choked",
        REJECT,
        Should,
        "a request while choked is rejected, unless its piece is allowed fast",
        SEED,
        |t| {
            let conn = t.meet(FAST)?;
            t.send(conn, &Message::HaveNone)?;
            let time = t.patience().min(Duration::from_secs(1));
            let said = t.read_for(conn, time)?;
            if said.contains(&Message::Unchoke) {
                return Err(Halt::Skip("it unchokes who is not interested".to_owned()));
            }
            let piece = (0..t.subject().pieces()).find(|&piece| !said.contains(&Message::AllowedFast(piece)));
            let piece = piece.ok_or_else(|| Halt::Skip("it allows every piece fast".to_owned()))?;
            let block = t.subject().block(piece);
            let since = t.now();
            t.send(conn, &Message::Request(block))?;
            let time = t.patience();
            let answer = t.until(conn, time, |message| {
                *message == Message::Reject(block) || matches!(message, Message::Piece { .. })
            })?;
            let reaction = match answer {
                Some(Message::Reject(_)) => Reaction::Rejects,
                Some(_) => Reaction::Serves,
                None if t.is_closed(conn)? => Reaction::Closes,
                None => Reaction::Silent,
            };
            Ok(Seen { reaction, after: t.now() - since }.one_of(&[Reaction::Rejects]))
        },
    ),
    case(
        "bep6/reject/out-of-range",
        REJECT,
        May,
        "a request out of range, with the fast extension",
        SEED,
        |t| {
            let conn = t.unchoked(FAST)?;
            let pieces = t.subject().pieces();
            Ok(t.answer_to(conn, RawBlock { piece: pieces, begin: 0, length: 16 << 10 })?.0.noted())
        },
    ),
    case(
        "bep6/reject/each-once",
        "BEP 6, modified semantics",
        Must,
        "each of 100 requests is answered exactly once",
        SEED,
        |t| {
            let conn = t.unchoked(FAST)?;
            // Blocks of their own, so that answers can be told apart: halves of blocks.
            let halves = |block: RawBlock| {
                let half = block.length / 2;
                [
                    RawBlock { length: half, ..block },
                    RawBlock { begin: block.begin + half, length: block.length - half, ..block },
                ]
            };
            let asked: Vec<RawBlock> = t
                .subject()
                .blocks()
                .into_iter()
                .flat_map(halves)
                .filter(|block| block.length > 0)
                .take(100)
                .collect();
            for &block in &asked {
                t.send(conn, &Message::Request(block))?;
            }
            let time = t.patience().max(Duration::from_secs(10));
            Ok(each_once(&answers(t, conn, &asked, time)?))
        },
    ),
    case(
        "bep6/reject/cancelled",
        "BEP 6, modified semantics",
        Must,
        "each of 20 requests that are cancelled is answered exactly once",
        SEED,
        |t| {
            let conn = t.unchoked(FAST)?;
            let asked: Vec<RawBlock> = t.subject().blocks().into_iter().take(20).collect();
            for &block in &asked {
                t.send(conn, &Message::Request(block))?;
            }
            for &block in &asked {
                t.send(conn, &Message::Cancel(block))?;
            }
            let time = t.patience().max(Duration::from_secs(10));
            Ok(each_once(&answers(t, conn, &asked, time)?))
        },
    ),
    case(
        "bep6/reject/when-choking",
        REJECT,
        Must,
        "who is choked has each pending request answered",
        SEED,
        |t| {
            let conn = t.unchoked(FAST)?;
            let asked: Vec<RawBlock> = t.subject().blocks().into_iter().take(40).collect();
            for &block in &asked {
                t.send(conn, &Message::Request(block))?;
            }
            // Some choke who is not interested any more; others serve on.
            t.send(conn, &Message::NotInterested)?;
            let time = t.patience().max(Duration::from_secs(10));
            let answers = answers(t, conn, &asked, time)?;
            let choked = t.heard(conn)?.contains(&Message::Choke);
            let finding = each_once(&answers);
            let note = format!("{}, {}", finding.note, if choked { "choked" } else { "not choked" });
            Ok(Finding { note, ..finding })
        },
    ),
    case(
        "bep6/reject/unasked",
        REJECT,
        Should,
        "it closes on a reject of what it never asked for",
        LEECH,
        |t| {
            let conn = t.meet(FAST)?;
            t.have_everything(conn)?;
            let block = t.subject().block(0);
            let since = t.now();
            t.send(conn, &Message::Reject(block))?;
            Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
        },
    ),
    case(
        "bep6/reject/asked-again",
        REJECT,
        May,
        "whether what one rejects is asked of another",
        LEECH,
        |t| {
            let conn = t.as_seed(FAST)?;
            let block = t.await_request(conn)?;
            t.send(conn, &Message::Reject(block))?;
            let other = t.as_seed(FAST)?;
            let time = t.patience().max(Duration::from_secs(4));
            let served = t.serve(other, time, |message| *message == Message::NotInterested)?;
            let asked = served.requests.contains(&block);
            Ok(Finding::holds(if asked { "asked of another" } else { "not asked of another" }))
        },
    ),
    case(
        "bep6/piece/never-asked",
        "BEP 6, modified semantics",
        Must,
        "it closes on a piece that it never asked for",
        LEECH,
        |t| {
            let conn = t.meet(FAST)?;
            t.have_everything(conn)?;
            t.await_interest(conn)?;
            let block = t.subject().block(0);
            let since = t.now();
            t.give(conn, block)?;
            Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
        },
    ),
    case(
        "bep6/piece/never-asked-unchoked",
        "BEP 6, modified semantics",
        Must,
        "it closes on a piece that it never asked for, while we have it unchoked",
        LEECH,
        |t| {
            let conn = t.as_seed(FAST)?;
            let asked = t.await_request(conn)?;
            // Half of a block is what no client asks for.
            let block = RawBlock { length: asked.length / 2, begin: asked.begin + 1, ..asked };
            let since = t.now();
            t.give(conn, block)?;
            Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
        },
    ),
    case(
        "bep6/choke/keeps-requests",
        "BEP 6, modified semantics",
        May,
        "a choke without rejects, then an unchoke: whether it asks for the same again",
        LEECH,
        |t| {
            let conn = t.as_seed(FAST)?;
            let block = t.await_request(conn)?;
            t.send(conn, &Message::Choke)?;
            let time = t.patience().min(Duration::from_secs(2));
            t.read_for(conn, time)?;
            t.send(conn, &Message::Unchoke)?;
            let again = t.until(conn, time, |message| *message == Message::Request(block))?;
            Ok(Finding::holds(if again.is_some() { "asks again" } else { "counts on the first" }))
        },
    ),
    case(
        "bep6/allowed/canonical",
        ALLOWED,
        Should,
        "the allowed fast set is the canonical one for our address",
        SEED,
        |t| {
            let conn = t.meet(FAST)?;
            let mut set = allowed(t, conn)?;
            let (hash, layout) = (t.subject().metainfo.info_hash, t.subject().layout());
            let ours = t.address(conn)?;
            let mut due: Vec<u32> =
                allowed_fast(ours, hash, &layout, set.len()).into_iter().map(|piece| piece.get()).collect();
            set.sort_unstable();
            due.sort_unstable();
            let finding = Finding::of(set == due, format!("pieces {}", words::list(&set)));
            Ok(finding
                .expecting(format!("the canonical set for our address {ours}: pieces {}", words::list(due))))
        },
    ),
    case(
        "bep6/allowed/served",
        ALLOWED,
        May,
        "a request for an allowed fast piece while choked",
        SEED,
        |t| {
            let conn = t.meet(FAST)?;
            let set = allowed(t, conn)?;
            let block = t.subject().block(set.first().copied().unwrap_or_default());
            let since = t.now();
            t.send(conn, &Message::Request(block))?;
            let time = t.patience();
            let answer = t.until(conn, time, |message| {
                matches!(message, Message::Piece { .. }) || *message == Message::Reject(block)
            })?;
            let reaction = match answer {
                Some(Message::Piece { .. }) => Reaction::Serves,
                Some(_) => Reaction::Rejects,
                None => Reaction::Silent,
            };
            Ok(Seen { reaction, after: t.now() - since }.noted())
        },
    ),
    case(
        "bep6/allowed/used",
        ALLOWED,
        May,
        "whether a choked leech asks for a piece that is allowed fast",
        LEECH,
        |t| {
            let conn = t.meet(FAST)?;
            let asked = asks_choked(t, conn, &[Message::HaveAll, Message::AllowedFast(3)])?;
            let odd = asked.iter().find(|block| block.piece != 3);
            let note = odd.map_or_else(
                || words::counted(asked.len(), "request"),
                |block| format!("a request for {}", words::block(block)),
            );
            Ok(Finding::of(odd.is_none(), note).expecting("no request for a piece but that, piece 3"))
        },
    ),
    case(
        "bep6/allowed/only-those",
        ALLOWED,
        Must,
        "a choked leech asks for no piece but those that are allowed fast",
        LEECH,
        |t| {
            let conn = t.meet(BOTH)?;
            let asked =
                asks_choked(t, conn, &[Message::HaveAll, Message::AllowedFast(1), Message::AllowedFast(2)])?;
            let odd = asked.iter().find(|block| block.piece != 1 && block.piece != 2);
            let note = odd.map(|block| format!("a request for {}", words::block(block)));
            Ok(Finding::of(odd.is_none(), note.unwrap_or_default()))
        },
    ),
    case(
        "bep6/allowed/is-no-have",
        ALLOWED,
        Must,
        "an allowed fast piece is not taken for one that we have",
        LEECH,
        |t| {
            let conn = t.meet(FAST)?;
            let asked = asks_choked(t, conn, &[Message::HaveNone, Message::AllowedFast(3)])?;
            let note = asked.first().map(|block| format!("a request for {}", words::block(block)));
            Ok(Finding::of(asked.is_empty(), note.unwrap_or_default()))
        },
    ),
    case(
        "bep6/allowed/out-of-range",
        ALLOWED,
        May,
        "an allowed fast piece that does not exist",
        LEECH,
        |t| {
            let conn = t.meet(FAST)?;
            let since = t.now();
            t.send(conn, &Message::HaveAll)?;
            t.send(conn, &Message::AllowedFast(u32::MAX))?;
            Ok(t.closes(conn, since)?.noted())
        },
    ),
    case("bep6/allowed/flood", "every program", Robust, "10,000 allowed fast messages", LEECH, |t| {
        let conn = t.meet(FAST)?;
        t.send(conn, &Message::HaveAll)?;
        let since = t.now();
        let mut bytes = Vec::new();
        for piece in 0..10_u32 {
            engine::wire::encode(&Message::AllowedFast(piece), &mut bytes);
        }
        t.flood(conn, &bytes.repeat(10), 100)?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case("bep6/suggest/effect", SUGGEST, May, "whether a suggested piece is asked for first", LEECH, |t| {
        let conn = t.meet(FAST)?;
        t.send(conn, &Message::HaveAll)?;
        t.send(conn, &Message::Suggest(7))?;
        t.await_interest(conn)?;
        t.send(conn, &Message::Unchoke)?;
        let block = t.await_request(conn)?;
        Ok(Finding::holds(if block.piece == 7 { "first" } else { "not first" }))
    }),
    case("bep6/suggest/out-of-range", SUGGEST, May, "a suggested piece that does not exist", LEECH, |t| {
        let conn = t.meet(FAST)?;
        let since = t.now();
        t.send(conn, &Message::HaveAll)?;
        t.send(conn, &Message::Suggest(u32::MAX))?;
        Ok(t.closes(conn, since)?.noted())
    }),
];
