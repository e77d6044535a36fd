//! BEP 3: what peers say they have.

use engine::{Bitfield, Message};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Setup};
use crate::conform::talk::{PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 3, peer messages: bitfield, have";
const SEED: Setup = Setup::SEED;
const LEECH: Setup = Setup::LEECH;

/// What a seed does about these first messages of ours.
fn after(t: &mut Talk<'_>, messages: &[Message]) -> Result<crate::conform::case::Seen, Halt> {
    let conn = t.meet(PLAIN)?;
    let since = t.now();
    for message in messages {
        t.send(conn, message)?;
    }
    t.still_serves(conn, since)
}

fn noted(t: &mut Talk<'_>, messages: &[Message]) -> Outcome {
    Ok(after(t, messages)?.noted())
}

fn bits(t: &Talk<'_>, has: impl Fn(u32) -> bool) -> Message {
    Message::Bitfield(t.subject().bitfield(has).into())
}

pub const CASES: &[Case] = &[
    case(
        "bep3/bitfield/seed",
        SECTION,
        Must,
        "a seed's first message is a bitfield with every bit of a piece set and no other",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let within = t.patience().max(std::time::Duration::from_secs(5));
            let message = t.until(conn, within, |message| !matches!(message, Message::KeepAlive))?;
            let due = bits(t, |_| true);
            // One that seeds without haste may show pieces one by one (BEP 16).
            Ok(Finding::of(message.as_ref() == Some(&due), words::came(message.as_ref())))
        },
    ),
    case("bep3/bitfield/leech", SECTION, May, "what a leech without a piece says that it has", LEECH, |t| {
        let conn = t.meet(PLAIN)?;
        let within = t.patience().min(std::time::Duration::from_secs(3));
        let message = t.until(conn, within, |message| matches!(message, Message::Bitfield(_)))?;
        let note = match &message {
            Some(Message::Bitfield(bits)) if bits.iter().all(|&byte| byte == 0) => "an empty bitfield",
            Some(_) => "pieces that it has not",
            None => "nothing",
        };
        Ok(Finding::of(note != "pieces that it has not", note).expecting("an empty bitfield, or none"))
    }),
    case("bep3/bitfield/valid", SECTION, Must, "a peer that has some pieces is served", SEED, |t| {
        let message = bits(t, |piece| piece % 2 == 0);
        Ok(after(t, &[message])?.one_of(&[Reaction::Ignores]))
    }),
    case("bep3/bitfield/none", SECTION, Must, "who has nothing may leave the bitfield out", SEED, |t| {
        Ok(after(t, &[])?.one_of(&[Reaction::Ignores]))
    }),
    case(
        "bep3/bitfield/only-haves",
        SECTION,
        Must,
        "who has left the bitfield out may say haves",
        SEED,
        |t| Ok(after(t, &[Message::Have(0), Message::Have(1)])?.one_of(&[Reaction::Ignores])),
    ),
    case("bep3/bitfield/short", SECTION, May, "a bitfield that is a byte short", SEED, |t| {
        let mut bytes = t.subject().bitfield(|_| false);
        bytes.pop();
        noted(t, &[Message::Bitfield(bytes.into())])
    }),
    case("bep3/bitfield/long", SECTION, May, "a bitfield that is a byte long", SEED, |t| {
        let mut bytes = t.subject().bitfield(|_| false);
        bytes.push(0);
        noted(t, &[Message::Bitfield(bytes.into())])
    }),
    case("bep3/bitfield/1m", "every program", Robust, "a bitfield of 1 MiB", SEED, |t| {
        noted(t, &[Message::Bitfield(vec![0; 1 << 20].into())])
    }),
    case("bep3/bitfield/empty", SECTION, May, "a bitfield without a byte", SEED, |t| {
        noted(t, &[Message::Bitfield(Default::default())])
    }),
    case(
        "bep3/bitfield/spare-bits",
        SECTION,
        May,
        "a bitfield with spare bits set (BEP 3: they are zero)",
        SEED,
        |t| {
            let mut bytes = t.subject().bitfield(|_| false);
            if t.subject().pieces() % 8 == 0 {
                return Err(Halt::Skip("the torrent's bitfield has no spare bits".to_owned()));
            }
            if let Some(last) = bytes.last_mut() {
                *last |= 1;
            }
            noted(t, &[Message::Bitfield(bytes.into())])
        },
    ),
    case(
        "bep3/bitfield/after-have",
        SECTION,
        May,
        "a bitfield after a have (BEP 3: the first message only)",
        SEED,
        |t| {
            let message = bits(t, |piece| piece < 2);
            noted(t, &[Message::Have(0), message])
        },
    ),
    case("bep3/bitfield/twice", SECTION, May, "two bitfields", SEED, |t| {
        let message = bits(t, |piece| piece < 2);
        noted(t, &[message.clone(), message])
    }),
    case("bep3/bitfield/late", SECTION, May, "whether a bitfield after a have takes effect", LEECH, |t| {
        let conn = t.meet(PLAIN)?;
        t.send(conn, &Message::Have(0))?;
        t.await_interest(conn)?;
        let message = bits(t, |_| true);
        let since = t.now();
        t.send(conn, &message)?;
        t.send(conn, &Message::Unchoke)?;
        let within = t.patience().max(std::time::Duration::from_secs(3));
        let served = t.serve(conn, within, |_| false)?;
        let others = served.requests.iter().any(|block| block.piece != 0);
        let reaction = match (others, t.is_closed(conn)?) {
            (true, _) => Reaction::Accepts,
            (_, true) => Reaction::Closes,
            _ => Reaction::Ignores,
        };
        Ok(crate::conform::case::Seen { reaction, after: t.now() - since }.noted())
    }),
    case(
        "bep3/bitfield/both-seeds",
        SECTION,
        May,
        "whether a seed keeps a connection to a seed",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let message = bits(t, |_| true);
            let since = t.now();
            t.send(conn, &message)?;
            Ok(t.closes(conn, since)?.noted())
        },
    ),
    case("bep3/have/out-of-range", SECTION, May, "a have of the piece after the last", SEED, |t| {
        let pieces = t.subject().pieces();
        noted(t, &[Message::Have(pieces)])
    }),
    case("bep3/have/max", "every program", Robust, "a have of piece 2^32 - 1", SEED, |t| {
        noted(t, &[Message::Have(u32::MAX)])
    }),
    case("bep3/have/again", SECTION, May, "50 haves of one piece", SEED, |t| {
        noted(t, &vec![Message::Have(0); 50])
    }),
    case(
        "bep3/have/interest",
        SECTION,
        Must,
        "a leech becomes interested by a have of a piece that it lacks",
        LEECH,
        |t| {
            let conn = t.meet(PLAIN)?;
            let since = t.now();
            t.send(conn, &Message::Have(3))?;
            t.await_interest(conn)?;
            Ok(Finding { after: Some(t.now() - since), ..Finding::holds("") })
        },
    ),
    case(
        "bep3/have/each-piece",
        SECTION,
        Must,
        "every other peer is told of each piece that has come and passed its hash",
        LEECH,
        |t| {
            let other = t.meet(PLAIN)?;
            let seed = t.as_seed_freely()?;
            let pieces = t.subject().pieces();
            let within = t.patience().max(std::time::Duration::from_secs(15));
            t.serve(seed, within, |message| *message == Message::NotInterested)?;
            let mut told = Bitfield::empty(&t.subject().layout());
            let wait = t.patience().max(std::time::Duration::from_secs(15));
            while told.count() < pieces {
                // Several at once may be told by a bitfield, which all clients take.
                let next = t.until(other, wait, |message| {
                    matches!(message, Message::Have(_) | Message::Bitfield(_))
                })?;
                let layout = t.subject().layout();
                match next {
                    Some(Message::Have(piece)) => {
                        if let Some(piece) = layout.piece(piece) {
                            told.insert(piece);
                        }
                    }
                    Some(Message::Bitfield(bytes)) => {
                        let bits =
                            Bitfield::from_wire(&layout, &bytes).unwrap_or_else(|_| Bitfield::empty(&layout));
                        for piece in bits.iter(&layout) {
                            told.insert(piece);
                        }
                    }
                    _ => break,
                }
            }
            Ok(Finding::of(told.count() == pieces, format!("{} of {pieces}", told.count())))
        },
    ),
];
