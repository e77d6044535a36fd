//! BEP 3: the handshake.

use std::time::Duration;

use engine::wire::{HANDSHAKE_LENGTH, InfoHash};
use engine::{Message, PeerId};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup, Tracking};
use crate::conform::talk::{BOTH, Conn, FAST, PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 3, peer protocol: handshake";
const SEED: Setup = Setup::SEED;

/// What the target does about first bytes that are no handshake of the torrent.
fn first(t: &mut Talk<'_>, bytes: &[u8]) -> Result<(Seen, usize), Halt> {
    let conn = t.dial()?;
    let since = t.now();
    t.raw(conn, bytes)?;
    let within = t.patience();
    let (came, closed) = t.first_bytes(conn, HANDSHAKE_LENGTH, within)?;
    let reaction = match (closed, came.len()) {
        (true, _) => Reaction::Closes,
        (false, HANDSHAKE_LENGTH..) => Reaction::Accepts,
        (false, _) => Reaction::Silent,
    };
    Ok((Seen { reaction, after: t.now() - since }, came.len()))
}

fn noted(t: &mut Talk<'_>, bytes: &[u8]) -> Outcome {
    Ok(first(t, bytes)?.0.noted())
}

/// The target's handshake; without one, why.
fn greeted(t: &mut Talk<'_>, conn: Conn) -> Result<Result<engine::Handshake, String>, Halt> {
    match t.await_handshake(conn) {
        Ok(handshake) => Ok(Ok(handshake)),
        Err(Halt::Stuck(why)) => Ok(Err(why)),
        Err(halt) => Err(halt),
    }
}

/// A handshake's bytes, changed.
fn changed(t: &mut Talk<'_>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = t.handshake(PLAIN).to_bytes().to_vec();
    change(&mut bytes);
    bytes
}

pub const CASES: &[Case] = &[
    case(
        "bep3/handshake/answered",
        SECTION,
        Must,
        "a handshake is answered with the same info-hash",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let theirs = t.theirs(conn)?;
            let ours = t.subject().metainfo.info_hash;
            let said = theirs.map(|theirs| theirs.info_hash);
            let note = said.map_or("no handshake".to_owned(), |hash| format!("the info-hash {hash}"));
            Ok(Finding::of(said == Some(ours), note))
        },
    ),
    case(
        "bep3/handshake/peer-id",
        SECTION,
        Must,
        "the peer id is the same on every connection, and not ours",
        SEED,
        |t| {
            let (a, b) = (t.meet(PLAIN)?, t.meet(PLAIN)?);
            let ids = [a, b].map(|conn| t.theirs(conn).ok().flatten().map(|theirs| theirs.peer_id));
            let shown = ids.map(|id| id.map_or("none".to_owned(), |id| words::peer_id(&id)));
            let same = ids[0].is_some() && ids[0] == ids[1];
            let note = if same { shown[0].clone() } else { format!("{}, then {}", shown[0], shown[1]) };
            Ok(Finding::of(same, note))
        },
    ),
    case(
        "bep3/handshake/unknown-torrent",
        SECTION,
        Must,
        "a connection for a torrent that it has not is closed",
        SEED,
        |t| {
            let handshake = engine::Handshake { info_hash: InfoHash([0x5a; 20]), ..t.handshake(PLAIN) };
            Ok(first(t, &handshake.to_bytes())?.0.one_of(&[Reaction::Closes]))
        },
    ),
    case("bep3/handshake/short-name-length", SECTION, May, "a protocol name of length 18", SEED, |t| {
        let bytes = changed(t, |bytes| bytes[0] = 18);
        noted(t, &bytes)
    }),
    case("bep3/handshake/other-name", SECTION, Must, "another protocol's name is not accepted", SEED, |t| {
        let bytes = changed(t, |bytes| bytes[1..20].copy_from_slice(b"BitTorrent protocoI"));
        Ok(first(t, &bytes)?.0.one_of(&[Reaction::Closes, Reaction::Silent]))
    }),
    case("bep3/handshake/no-name", SECTION, May, "a protocol name of length 0", SEED, |t| {
        let bytes = changed(t, |bytes| {
            bytes.drain(1..20);
            bytes[0] = 0;
        });
        noted(t, &bytes)
    }),
    case(
        "bep3/handshake/long-name",
        SECTION,
        May,
        "a protocol name of length 255, and 400 bytes",
        SEED,
        |t| {
            let bytes = changed(t, |bytes| {
                bytes[0] = 255;
                bytes.resize(400, b'B');
            });
            noted(t, &bytes)
        },
    ),
    case(
        "bep3/handshake/http",
        "every program",
        Robust,
        "an HTTP request at the peer port is not answered with a handshake",
        SEED,
        |t| {
            let (seen, came) =
                first(t, b"GET /announce HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let note = format!("{} came", words::counted(came, "byte"));
            Ok(Finding { holds: came == 0, note, ..seen.noted() })
        },
    ),
    case(
        "bep3/handshake/reserved-bits",
        SECTION,
        Should,
        "reserved bits that nobody knows are ignored",
        SEED,
        |t| {
            // All but those that mean something today: DHT, fast, extended, v2, and Azureus' own.
            let conn = t.dial()?;
            let handshake = t.handshake([0x7f, 0xff, 0xff, 0xff, 0xff, 0xcc, 0xff, 0xe0]);
            t.greet(conn, handshake)?;
            t.await_handshake(conn)?;
            let since = t.now();
            t.want(conn)?;
            Ok(t.goes_on(conn, since)?.one_of(&[Reaction::Ignores]))
        },
    ),
    case(
        "bep3/handshake/byte-by-byte",
        SECTION,
        Must,
        "a handshake that comes in single bytes is answered",
        SEED,
        |t| {
            let conn = t.dial()?;
            let handshake = t.handshake(PLAIN);
            for byte in handshake.to_bytes() {
                t.raw(conn, &[byte])?;
                t.sleep(Duration::from_millis(10));
            }
            Ok(greeted(t, conn)?.map_or_else(Finding::breaks, |_| Finding::holds("")))
        },
    ),
    case(
        "bep3/handshake/two-halves",
        SECTION,
        May,
        "48 bytes, up to the info-hash: whether it answers before the peer id",
        SEED,
        |t| {
            let conn = t.dial()?;
            let bytes = t.handshake(PLAIN).to_bytes();
            let since = t.now();
            t.raw(conn, &bytes[..48])?;
            let within = t.patience().min(Duration::from_secs(3));
            let (came, closed) = t.first_bytes(conn, 48, within)?;
            let reaction = match (came.len(), closed) {
                (48.., _) => Reaction::Accepts,
                (_, true) => Reaction::Closes,
                _ => Reaction::Silent,
            };
            let mut finding = Seen { reaction, after: t.now() - since }.noted();
            if !closed {
                t.raw(conn, &bytes[48..])?;
                finding.note = match t.await_handshake(conn) {
                    Ok(_) => "and goes on with the rest".to_owned(),
                    Err(_) => "and does not go on with the rest".to_owned(),
                };
            }
            Ok(finding)
        },
    ),
    case(
        "bep3/handshake/with-first-message",
        SECTION,
        Must,
        "messages in one segment with the handshake are taken",
        SEED,
        |t| {
            let conn = t.dial()?;
            let mut bytes = t.handshake(PLAIN).to_bytes().to_vec();
            engine::wire::encode(&Message::Interested, &mut bytes);
            t.raw(conn, &bytes)?;
            if let Err(why) = greeted(t, conn)? {
                return Ok(Finding::breaks(why));
            }
            let unchoke = t.until(conn, Duration::from_secs(35), |message| *message == Message::Unchoke)?;
            Ok(Finding::of(unchoke.is_some(), if unchoke.is_some() { "" } else { "the interest was lost" }))
        },
    ),
    case(
        "bep3/handshake/with-have-none",
        "BEP 6, have none",
        Must,
        "have-none and interest in one segment with the handshake are taken",
        SEED,
        |t| {
            let conn = t.dial()?;
            let mut bytes = t.handshake(FAST).to_bytes().to_vec();
            engine::wire::encode(&Message::HaveNone, &mut bytes);
            engine::wire::encode(&Message::Interested, &mut bytes);
            t.raw(conn, &bytes)?;
            match greeted(t, conn)? {
                Ok(theirs) if theirs.fast() => {}
                Ok(_) => return Err(Halt::Skip("it does not speak the fast extension (BEP 6)".to_owned())),
                Err(why) => return Ok(Finding::breaks(why)),
            }
            let unchoke = t.until(conn, Duration::from_secs(35), |message| *message == Message::Unchoke)?;
            Ok(Finding::of(unchoke.is_some(), if unchoke.is_some() { "" } else { "the interest was lost" }))
        },
    ),
    case("bep3/handshake/second", SECTION, May, "a second handshake after the first", SEED, |t| {
        let conn = t.meet(PLAIN)?;
        let handshake = t.handshake(PLAIN);
        let since = t.now();
        t.raw(conn, &handshake.to_bytes())?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case(
        "bep3/handshake/self",
        SECTION,
        Should,
        "a peer with its own peer id is itself: it closes",
        SEED,
        |t| {
            let first = t.meet(PLAIN)?;
            let theirs = t.theirs(first)?.ok_or_else(|| Halt::Stuck("no handshake".to_owned()))?;
            t.close(first)?;
            let conn = t.dial()?;
            let since = t.now();
            let handshake = engine::Handshake { peer_id: theirs.peer_id, ..t.handshake(PLAIN) };
            t.greet(conn, handshake)?;
            Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
        },
    ),
    case(
        "bep3/handshake/same-id-elsewhere",
        SECTION,
        May,
        "a second connection from another address with a peer id that is connected",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let again = t.dial()?;
            let since = t.now();
            let handshake =
                engine::Handshake { peer_id: PeerId(*b"-XX0001-conformance\x01"), ..t.handshake(PLAIN) };
            t.greet(again, handshake)?;
            let seen = t.closes(again, since)?;
            let mut finding = seen.noted();
            t.read_for(conn, Duration::from_millis(100))?;
            finding.note = match t.is_closed(conn)? {
                true => "the first was closed".to_owned(),
                false => "the first stays".to_owned(),
            };
            Ok(finding)
        },
    ),
    case(
        "bep3/handshake/one-address",
        "every program",
        May,
        "how many of five connections from one address it keeps",
        SEED,
        |t| {
            let from = t.arm().fresh();
            let mut kept = 0;
            for _ in 0..5 {
                let Ok(conn) = t.dial_from(from) else { continue };
                let handshake = t.handshake(PLAIN);
                t.greet(conn, handshake)?;
                kept += u32::from(t.await_handshake(conn).is_ok());
            }
            Ok(Finding::holds(format!("{kept} of 5")))
        },
    ),
    case(
        "bep3/handshake/silent",
        "every program",
        May,
        "whether a connection that says nothing is closed within the patience of the run",
        SEED,
        |t| {
            let conn = t.dial()?;
            let since = t.now();
            Ok(t.closes(conn, since)?.noted())
        },
    ),
    case(
        "bep3/handshake/stalled",
        "every program",
        Robust,
        "connections that stop at 1, 20, 48 and 67 bytes harm nobody",
        SEED,
        |t| {
            let bytes = t.handshake(PLAIN).to_bytes();
            for length in [1, 20, 48, 67] {
                let conn = t.dial()?;
                t.raw(conn, &bytes[..length])?;
            }
            let conn = t.meet(PLAIN)?;
            Ok(Finding::of(t.theirs(conn)?.is_some(), "a fifth connection is answered"))
        },
    ),
    case(
        "bep3/handshake/no-answer",
        SECTION,
        Must,
        "who is dialled is sent a handshake without having said anything",
        Setup::LEECH.tracking(Tracking::Tells(1)).dials(),
        |t| {
            let (_, theirs) = t.accept_greeted(0, Duration::from_secs(60))?;
            let ours = t.subject().metainfo.info_hash;
            Ok(Finding::of(theirs.info_hash == ours, format!("a handshake for {}", theirs.info_hash)))
        },
    ),
    case(
        "bep3/handshake/dialled-wrong-torrent",
        SECTION,
        Must,
        "it closes when whom it has dialled answers with another info-hash",
        Setup::LEECH.tracking(Tracking::Tells(1)).dials(),
        |t| {
            let (conn, _) = t.accept_greeted(0, Duration::from_secs(60))?;
            let since = t.now();
            let handshake = engine::Handshake { info_hash: InfoHash([0x5a; 20]), ..t.handshake(BOTH) };
            t.greet(conn, handshake)?;
            Ok(t.closes(conn, since)?.one_of(&[Reaction::Closes]))
        },
    ),
];
