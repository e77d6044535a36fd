//! BEP 3: how messages are framed, and what is no message.

use std::time::Duration;

use engine::{BLOCK, Message};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{Next, PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 3, peer messages: framing";
const SEED: Setup = Setup::SEED;
/// What a long message may cost a target in memory.
const MEMORY: u64 = 16 << 20;

/// What the target does about these bytes, on a connection on which it serves us.
fn after(t: &mut Talk<'_>, bytes: &[u8]) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let since = t.now();
    t.raw(conn, bytes)?;
    Ok(t.goes_on(conn, since)?.noted())
}

/// What it does about bytes that leave a message unfinished: whether it closes.
fn unfinished(t: &mut Talk<'_>, bytes: &[u8]) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let since = t.now();
    t.raw(conn, bytes)?;
    let mut seen = t.closes(conn, since)?;
    if seen.reaction == Reaction::Ignores {
        seen.reaction = Reaction::Silent;
    }
    Ok(seen.noted())
}

/// 24 MiB of a message that says it has 256 MiB: closed, or taken without keeping it.
fn long(t: &mut Talk<'_>, id: u8) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let before = t.arm().memory();
    let since = t.now();
    t.raw(conn, &[0x10, 0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0])?;
    let sent = t.flood(conn, &[0x5a; 64 << 10], 384)?;
    let grown = t.arm().memory().zip(before).map(|(now, before)| now.saturating_sub(before));
    let mut finding = t.closes(conn, since)?.noted();
    finding.holds = grown.is_none_or(|grown| grown < MEMORY);
    let memory = grown.map(|grown| format!(", {} KiB more in memory", grown >> 10)).unwrap_or_default();
    finding.note = format!("{} KiB were sent{memory}", sent >> 10);
    Ok(finding)
}

/// A message of this id and body.
fn framed(id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(id);
    bytes.extend_from_slice(body);
    bytes
}

fn encoded(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        engine::wire::encode(message, &mut bytes);
    }
    bytes
}

pub const CASES: &[Case] = &[
    case("bep3/frame/length-max", SECTION, Robust, "a length prefix of 2^32 - 1", SEED, |t| {
        unfinished(t, &[0xff; 5])
    }),
    case("bep3/frame/length-2g", SECTION, Robust, "a length prefix of 2^31 - 1", SEED, |t| {
        unfinished(t, &[0x7f, 0xff, 0xff, 0xff, 20])
    }),
    case(
        "bep3/frame/huge-piece",
        "every program",
        Robust,
        "a piece message of 256 MiB does not fill memory",
        SEED,
        |t| long(t, 7),
    ),
    case(
        "bep3/frame/huge-bitfield",
        "every program",
        Robust,
        "a bitfield of 256 MiB does not fill memory",
        SEED,
        |t| long(t, 5),
    ),
    case(
        "bep3/frame/huge-unknown",
        "every program",
        Robust,
        "a message of 256 MiB of an unknown id does not fill memory",
        SEED,
        |t| long(t, 99),
    ),
    case(
        "bep3/frame/huge-extended",
        "every program",
        Robust,
        "an extended message of 256 MiB does not fill memory",
        SEED,
        |t| long(t, 20),
    ),
    case("bep3/frame/unknown-id", SECTION, May, "messages of the unknown ids 10, 99 and 255", SEED, |t| {
        let bytes = [framed(10, &[0; 4]), framed(99, &[0; 4]), framed(255, &[])].concat();
        after(t, &bytes)
    }),
    case("bep3/frame/unknown-64k", SECTION, May, "a message of an unknown id with 64 KiB - 1", SEED, |t| {
        after(t, &framed(99, &[7; (64 << 10) - 1]))
    }),
    case(
        "bep3/frame/choke-long",
        SECTION,
        May,
        "a choke with four bytes more (BEP 3: no payload)",
        SEED,
        |t| after(t, &framed(0, &[0; 4])),
    ),
    case(
        "bep3/frame/interested-long",
        SECTION,
        May,
        "an interested with four bytes more (BEP 3: no payload)",
        SEED,
        |t| after(t, &framed(2, &[0; 4])),
    ),
    case("bep3/frame/request-short", SECTION, May, "a request with 11 bytes", SEED, |t| {
        after(t, &framed(6, &[0; 11]))
    }),
    case("bep3/frame/request-long", SECTION, May, "a request with 13 bytes", SEED, |t| {
        after(t, &framed(6, &[0; 13]))
    }),
    case("bep3/frame/cancel-short", SECTION, May, "a cancel with 11 bytes", SEED, |t| {
        after(t, &framed(8, &[0; 11]))
    }),
    case("bep3/frame/have-short", SECTION, May, "a have with 3 bytes", SEED, |t| {
        after(t, &framed(4, &[0; 3]))
    }),
    case("bep3/frame/have-long", SECTION, May, "a have with 5 bytes", SEED, |t| {
        after(t, &framed(4, &[0; 5]))
    }),
    case("bep3/frame/have-empty", SECTION, Robust, "a have without a piece", SEED, |t| {
        after(t, &framed(4, &[]))
    }),
    case(
        "bep3/frame/piece-short",
        SECTION,
        Robust,
        "a piece message shorter than its two numbers",
        SEED,
        |t| after(t, &framed(7, &[0; 5])),
    ),
    case(
        "bep3/frame/port",
        "BEP 5, peer protocol",
        May,
        "a DHT port though the bit for it was not set",
        SEED,
        |t| after(t, &framed(9, &[0x1a, 0xe1])),
    ),
    case("bep3/frame/port-short", "BEP 5, peer protocol", Robust, "a DHT port of one byte", SEED, |t| {
        after(t, &framed(9, &[0x1a]))
    }),
    case("bep3/frame/keep-alives", SECTION, Must, "10,000 keep-alives are ignored", SEED, |t| {
        let conn = t.unchoked(PLAIN)?;
        let since = t.now();
        t.flood(conn, &[0; 400], 100)?;
        Ok(t.goes_on(conn, since)?.one_of(&[Reaction::Ignores]))
    }),
    case("bep3/frame/split", SECTION, Must, "messages that come in single bytes are taken", SEED, |t| {
        let conn = t.unchoked(PLAIN)?;
        let block = t.subject().block(0);
        for byte in encoded(&[Message::KeepAlive, Message::Interested, Message::Request(block)]) {
            t.raw(conn, &[byte])?;
            t.sleep(Duration::from_millis(5));
        }
        let within = t.patience().max(Duration::from_secs(5));
        let piece =
            t.until(conn, within, |message| matches!(message, Message::Piece { piece: 0, begin: 0, .. }))?;
        Ok(Finding::of(piece.is_some(), words::came(piece.as_ref())))
    }),
    case("bep3/frame/joined", SECTION, Must, "many messages in one segment are all taken", SEED, |t| {
        let conn = t.meet(PLAIN)?;
        t.send(conn, &Message::Interested)?;
        if t.until(conn, Duration::from_secs(35), |message| *message == Message::Unchoke)?.is_none() {
            return Err(Halt::Stuck("it did not unchoke us".to_owned()));
        }
        let blocks: Vec<_> = t.subject().blocks().into_iter().take(4).collect();
        let requests: Vec<Message> =
            blocks.iter().flat_map(|&block| [Message::KeepAlive, Message::Request(block)]).collect();
        t.raw(conn, &encoded(&requests))?;
        let within = t.patience().max(Duration::from_secs(5));
        let mut came = 0;
        while t.until(conn, within, |message| matches!(message, Message::Piece { .. }))?.is_some() {
            came += 1;
            if came == blocks.len() {
                break;
            }
        }
        Ok(Finding::of(came == blocks.len(), format!("{came} of {} blocks", blocks.len())))
    }),
    case("bep3/frame/half", "every program", May, "half a message, and then nothing", SEED, |t| {
        unfinished(t, &[0, 0, 0x40, 9, 7, 0, 0, 0, 0, 0, 0])
    }),
    case(
        "bep3/frame/interest-flood",
        "every program",
        Robust,
        "2,000 changes of interest: it goes on, and does not answer each",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let bytes = encoded(&[Message::NotInterested, Message::Interested]);
            let since = t.now();
            t.flood(conn, &bytes.repeat(100), 10)?;
            // Choked or not, it must answer somehow in the end.
            let block = t.probe();
            t.send(conn, &Message::Request(block))?;
            let within = Duration::from_secs(12);
            let said = t.read_for(conn, within.min(t.patience()))?;
            let chokes =
                said.iter().filter(|message| matches!(message, Message::Choke | Message::Unchoke)).count();
            Ok(Finding {
                after: Some(t.now() - since),
                ..Finding::of(chokes <= 4000, format!("{chokes} chokes and unchokes"))
            })
        },
    ),
    case(
        "bep3/frame/choke-flood",
        "every program",
        Robust,
        "2,000 chokes and unchokes of a seed",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let bytes = encoded(&[Message::Unchoke, Message::Choke]);
            let since = t.now();
            t.flood(conn, &bytes.repeat(100), 10)?;
            Ok(t.goes_on(conn, since)?.noted())
        },
    ),
    case("bep3/frame/noise", "every program", Robust, "4 KiB of noise after the handshake", SEED, |t| {
        let conn = t.meet(PLAIN)?;
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut noise = Vec::new();
        while noise.len() < 4096 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        let since = t.now();
        t.raw(conn, &noise)?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case(
        "bep3/frame/idle",
        "BEP 3, peer protocol: keep-alives",
        May,
        "whether an unchoked connection that asks for nothing is kept for 110 s, with a keep-alive halfway",
        SEED,
        |t| {
            patient(t, 150)?;
            let conn = t.unchoked(PLAIN)?;
            let since = t.now();
            for _ in 0..2 {
                t.read_for(conn, Duration::from_secs(55))?;
                if t.is_closed(conn)? {
                    return Ok(Seen { reaction: Reaction::Closes, after: t.now() - since }.noted());
                }
                t.send(conn, &Message::KeepAlive)?;
            }
            Ok(t.goes_on(conn, since)?.noted())
        },
    ),
    case(
        "bep3/frame/keep-alive-sent",
        "BEP 3, peer protocol: keep-alives",
        Should,
        "it sends a keep-alive within two and a half minutes of silence",
        SEED,
        |t| {
            patient(t, 190)?;
            // Not interested: nothing else is to be said.
            let conn = t.meet(PLAIN)?;
            t.read_for(conn, Duration::from_secs(5))?;
            let since = t.now();
            loop {
                let left = Duration::from_secs(150).saturating_sub(t.now() - since);
                match t.next(conn, left)? {
                    Next::Message(Message::KeepAlive) => {
                        return Ok(Finding { after: Some(t.now() - since), ..Finding::holds("") });
                    }
                    Next::Message(_) | Next::Handshake(_) => {}
                    Next::Closed => {
                        let why = "it closes who is not interested before that";
                        return Err(Halt::Skip(why.to_owned()));
                    }
                    Next::Nothing | Next::Malformed(_) => return Ok(Finding::breaks("none came in 150 s")),
                }
            }
        },
    ),
    case(
        "bep3/frame/not-read",
        "every program",
        Robust,
        "who asks for 64 MiB and reads nothing does not fill its memory",
        SEED,
        |t| {
            let conn = t.unchoked(PLAIN)?;
            let before = t.arm().memory();
            let blocks = t.subject().blocks();
            let requests: Vec<Message> = blocks
                .iter()
                .filter(|block| block.length == BLOCK)
                .take(4096)
                .map(|&b| Message::Request(b))
                .collect();
            let bytes = encoded(&requests);
            t.flood(conn, &bytes, 4096 / requests.len().max(1))?;
            t.sleep(Duration::from_secs(1));
            let grown = t.arm().memory().zip(before).map(|(now, before)| now.saturating_sub(before));
            let note = grown.map(|grown| format!("{} KiB more in memory", grown >> 10)).unwrap_or_default();
            Ok(Finding::of(grown.is_none_or(|grown| grown < 2 * MEMORY), note))
        },
    ),
];

/// Such a case takes its time.
fn patient(t: &mut Talk<'_>, seconds: u64) -> Result<(), Halt> {
    match t.arm().left() < Duration::from_secs(seconds) {
        true => Err(Halt::Skip(format!("takes {seconds} s: --timeout"))),
        false => Ok(()),
    }
}
