//! BEP 52 (hash messages) and BEP 54, as far as they concern torrents of version 1.

use std::time::Duration;

use engine::Message;

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{Conn, EXTENDED, PLAIN, Talk};
use crate::words;

const HASHES: &str = "BEP 52, upgrade path and hash messages";
const DONTHAVE: &str = "BEP 54, lt_donthave";
const SEED: Setup = Setup::SEED;
const LEECH: Setup = Setup::LEECH;
const HASH_REQUEST: u8 = 21;
const HASH_RESULT: u8 = 22;
const HASH_REJECT: u8 = 23;
/// BEP 52: bit 4 of the last reserved byte.
const V2: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x10];

/// A hash request's body: the root, the base layer, the index, the length, the proof layers.
fn wanted(root: u8, base: u32, index: u32, length: u32, proofs: u32) -> Vec<u8> {
    let mut body = vec![root; 32];
    for number in [base, index, length, proofs] {
        body.extend_from_slice(&number.to_be_bytes());
    }
    body
}

/// What a seed of a version 1 torrent does about a message of version 2.
fn after(t: &mut Talk<'_>, id: u8, body: &[u8]) -> Outcome {
    let conn = t.unchoked(PLAIN)?;
    let since = t.now();
    t.send(conn, &Message::Unknown { id, payload: body.to_vec().into() })?;
    let mut seen = t.goes_on(conn, since)?;
    let rejected =
        t.heard(conn)?.iter().any(|message| matches!(message, Message::Unknown { id: HASH_REJECT, .. }));
    if rejected && seen.reaction == Reaction::Ignores {
        seen.reaction = Reaction::Rejects;
    }
    Ok(seen.noted())
}

/// A connection to a target that takes lt_donthave, on which we are a seed; its id for it.
fn donthave(t: &mut Talk<'_>) -> Result<(Conn, u8), Halt> {
    let conn = t.meet(EXTENDED)?;
    t.extended(conn, 0, b"d1:md11:lt_donthavei7eee".to_vec())?;
    let theirs = t.await_extended(conn)?;
    let id = theirs
        .id("lt_donthave")
        .ok_or_else(|| Halt::Skip("it does not take lt_donthave (BEP 54)".to_owned()))?;
    Ok((conn, id))
}

fn odd_donthave(t: &mut Talk<'_>, payload: &[u8]) -> Outcome {
    let (conn, id) = donthave(t)?;
    let since = t.now();
    t.extended(conn, id, payload.to_vec())?;
    Ok(t.closes(conn, since)?.noted())
}

pub const CASES: &[Case] = &[
    case("bep52/v2-bit", HASHES, May, "the bit of version 2 for a torrent of version 1", SEED, |t| {
        let conn = t.dial()?;
        let handshake = t.handshake(V2);
        let since = t.now();
        t.greet(conn, handshake)?;
        let within = t.patience();
        let (came, closed) = t.first_bytes(conn, 68, within)?;
        let reaction = match (came.len(), closed) {
            (68.., _) => return Ok(t.still_serves(conn, since)?.noted()),
            (_, true) => Reaction::Closes,
            _ => Reaction::Silent,
        };
        Ok(Seen { reaction, after: t.now() - since }.noted())
    }),
    case(
        "bep52/hash-request/unknown-root",
        HASHES,
        May,
        "a hash request for a root that no file has",
        SEED,
        |t| after(t, HASH_REQUEST, &wanted(7, 0, 0, 2, 0)),
    ),
    case(
        "bep52/hash-request/length-1",
        HASHES,
        May,
        "a hash request of one hash (at least two may be asked for)",
        SEED,
        |t| after(t, HASH_REQUEST, &wanted(7, 0, 0, 1, 0)),
    ),
    case(
        "bep52/hash-request/length-max",
        "every program",
        Robust,
        "a hash request of 2^32 - 1 hashes",
        SEED,
        |t| after(t, HASH_REQUEST, &wanted(7, 0, 0, u32::MAX, u32::MAX)),
    ),
    case(
        "bep52/hash-request/base-31",
        "every program",
        Robust,
        "a hash request with a base layer of 31, and of 2^32 - 1",
        SEED,
        |t| {
            after(t, HASH_REQUEST, &wanted(7, 31, 0, 2, 0))?;
            after(t, HASH_REQUEST, &wanted(7, u32::MAX, u32::MAX, 2, u32::MAX))
        },
    ),
    case("bep52/hash-request/short", "every program", Robust, "a hash request of 5 bytes", SEED, |t| {
        after(t, HASH_REQUEST, &[0; 5])
    }),
    case("bep52/hashes/unasked", "every program", Robust, "hashes that nobody asked for", SEED, |t| {
        after(t, HASH_RESULT, &[wanted(7, 0, 0, 2, 0), vec![9; 64]].concat())
    }),
    case(
        "bep52/hash-reject/unasked",
        "every program",
        Robust,
        "a hash reject of what nobody asked for",
        SEED,
        |t| after(t, HASH_REJECT, &wanted(7, 0, 0, 2, 0)),
    ),
    case(
        "bep54/heeded",
        DONTHAVE,
        Must,
        "a piece that we say we have no more is not asked of us",
        LEECH,
        |t| {
            let (conn, id) = donthave(t)?;
            t.have_everything(conn)?;
            t.await_interest(conn)?;
            for piece in 1..t.subject().pieces() {
                t.extended(conn, id, piece.to_be_bytes().to_vec())?;
            }
            t.send(conn, &Message::Unchoke)?;
            let time = t.patience().max(Duration::from_secs(3));
            let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
            let odd = served.requests.iter().find(|block| block.piece != 0);
            let note = odd.map(|block| format!("a request for {}", words::block(block)));
            Ok(Finding::of(odd.is_none(), note.unwrap_or_default()))
        },
    ),
    case("bep54/short", DONTHAVE, Robust, "a message of 3 bytes", LEECH, |t| odd_donthave(t, &[0; 3])),
    case("bep54/out-of-range", DONTHAVE, Robust, "a piece that does not exist", LEECH, |t| {
        odd_donthave(t, &[0xff; 4])
    }),
    case("bep54/never-had", DONTHAVE, Robust, "a piece that we never said we have", LEECH, |t| {
        odd_donthave(t, &[0; 4])
    }),
];
