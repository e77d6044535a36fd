//! BEP 10: the extension protocol.

use std::time::Duration;

use engine::Message;
use engine::wire::ExtendedHandshake;
use engine::wire::extension::{UT_METADATA, UT_PEX};

use super::case;
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{EXTENDED, PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 10, handshake message";
const EXTENSION: &str = "BEP 10, extended message";
const SEED: Setup = Setup::SEED;
const LEECH: Setup = Setup::LEECH;

/// What a seed does about this handshake of ours.
fn after(t: &mut Talk<'_>, payload: &[u8]) -> Result<Seen, Halt> {
    let conn = t.meet(EXTENDED)?;
    let since = t.now();
    t.extended(conn, 0, payload.to_vec())?;
    t.still_serves(conn, since)
}

fn noted(t: &mut Talk<'_>, payload: &[u8]) -> Outcome {
    Ok(after(t, payload)?.noted())
}

fn ignored(t: &mut Talk<'_>, payload: &[u8]) -> Outcome {
    Ok(after(t, payload)?.one_of(&[Reaction::Ignores]))
}

/// What the target says of itself.
fn introduced(t: &mut Talk<'_>) -> Result<ExtendedHandshake, Halt> {
    let conn = t.meet(EXTENDED)?;
    t.await_extended(conn)
}

/// Says that metadata is taken under id 201, then perhaps something else in a later handshake, and asks for piece 0
/// of the metadata; the id under which an answer comes.
fn answered_under(t: &mut Talk<'_>, later: Option<&[u8]>) -> Result<Option<u8>, Halt> {
    let conn = t.meet(EXTENDED)?;
    t.extended(conn, 0, b"d1:md11:ut_metadatai201eee".to_vec())?;
    let id = metadata_id(&t.await_extended(conn)?)?;
    if let Some(later) = later {
        t.extended(conn, 0, later.to_vec())?;
    }
    t.extended(conn, id, b"d8:msg_typei0e5:piecei0ee".to_vec())?;
    let within = t.patience().min(Duration::from_secs(5));
    let answer = t.until(conn, within, |message| {
        matches!(message, Message::Extended { id: 1.., payload } if payload.starts_with(b"d8:msg_type"))
    })?;
    Ok(match answer {
        Some(Message::Extended { id, .. }) => Some(id),
        _ => None,
    })
}

fn under(id: Option<u8>) -> String {
    id.map_or("no answer".to_owned(), |id| format!("an answer under id {id}"))
}

fn metadata_id(theirs: &ExtendedHandshake) -> Result<u8, Halt> {
    theirs.id(UT_METADATA).ok_or_else(|| Halt::Skip("it does not speak ut_metadata (BEP 9)".to_owned()))
}

pub const CASES: &[Case] = &[
    case(
        "bep10/handshake/sent",
        SECTION,
        Must,
        "who sets the bit is sent a handshake that is a dictionary with an m",
        SEED,
        |t| {
            let theirs = introduced(t)?;
            let names: Vec<&str> = theirs.messages.keys().map(String::as_str).collect();
            Ok(Finding::holds(format!(
                "{}: {}",
                theirs.client.as_deref().unwrap_or("(no v)"),
                names.join(", ")
            )))
        },
    ),
    case(
        "bep10/handshake/not-negotiated",
        EXTENSION,
        Must,
        "who does not set the bit is sent no extended message",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let time = t.patience().min(Duration::from_secs(3));
            let said = t.until(conn, time, |message| matches!(message, Message::Extended { .. }))?;
            Ok(Finding::of(said.is_none(), if said.is_some() { "an extended message came" } else { "" }))
        },
    ),
    case(
        "bep10/handshake/first",
        SECTION,
        Should,
        "the handshake comes right after BitTorrent's: before or just after the pieces",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            t.await_extended(conn)?;
            let said = t.heard(conn)?;
            let at = said.iter().position(|message| matches!(message, Message::Extended { id: 0, .. }));
            Ok(Finding::of(at.is_some_and(|at| at <= 1), format!("message {}", at.map_or(0, |at| at + 1))))
        },
    ),
    case("bep10/handshake/ids-differ", SECTION, Must, "no two extensions have one id", SEED, |t| {
        let theirs = introduced(t)?;
        let mut ids: Vec<u8> = theirs.messages.values().copied().filter(|&id| id != 0).collect();
        let many = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let names = theirs.messages.iter().map(|(name, id)| format!("{name}={id}"));
        Ok(Finding::of(ids.len() == many, words::list(names)))
    }),
    case(
        "bep10/handshake/yourip",
        SECTION,
        Should,
        "yourip, if it is said, is the address that we come from",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            let theirs = t.await_extended(conn)?;
            let ours = t.address(conn)?;
            let said = theirs.your_ip.ok_or_else(|| Halt::Skip("it does not say".to_owned()))?;
            let right = said.to_canonical() == std::net::IpAddr::V4(ours);
            let note = if right { said.to_string() } else { format!("{said}, and we are {ours}") };
            Ok(Finding::of(right, note))
        },
    ),
    case("bep10/handshake/reqq", SECTION, May, "the reqq that it says", SEED, |t| {
        let theirs = introduced(t)?;
        Ok(Finding::holds(theirs.request_queue.map_or("none".to_owned(), |queue| queue.to_string())))
    }),
    case(
        "bep10/handshake/unknown-keys",
        SECTION,
        Should,
        "unknown keys, and unknown names in m, are ignored",
        SEED,
        |t| ignored(t, b"d3:foold3:bari1eee1:md7:xx_nonei77e7:yy_nonei78ee4:quuxi-7ee"),
    ),
    case(
        "bep10/handshake/empty-dictionary",
        SECTION,
        Must,
        "an empty dictionary is a handshake: all items are optional",
        SEED,
        |t| ignored(t, b"de"),
    ),
    case(
        "bep10/handshake/again",
        SECTION,
        Must,
        "a second handshake is no reason to disconnect",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            let since = t.now();
            for _ in 0..3 {
                t.extended(conn, 0, b"d1:mdee".to_vec())?;
            }
            Ok(t.still_serves(conn, since)?.one_of(&[Reaction::Ignores]))
        },
    ),
    case("bep10/handshake/none", SECTION, May, "who sets the bit and sends no handshake", SEED, |t| {
        let conn = t.meet(EXTENDED)?;
        let since = t.now();
        Ok(t.still_serves(conn, since)?.noted())
    }),
    case("bep10/handshake/integer", SECTION, May, "a handshake that is an integer", SEED, |t| {
        noted(t, b"i1e")
    }),
    case("bep10/handshake/list", SECTION, May, "a handshake that is a list", SEED, |t| noted(t, b"le")),
    case("bep10/handshake/empty", SECTION, May, "a handshake without a byte", SEED, |t| noted(t, b"")),
    case("bep10/handshake/truncated", SECTION, May, "a handshake that is cut off", SEED, |t| {
        noted(t, b"d1:md11:ut_metad")
    }),
    case("bep10/handshake/trailing", SECTION, May, "bytes after the dictionary", SEED, |t| {
        noted(t, b"d1:mdeeXYZ")
    }),
    case("bep10/handshake/unsorted", SECTION, May, "keys out of order", SEED, |t| noted(t, b"d1:v1:x1:mdee")),
    case("bep10/handshake/m-not-dictionary", SECTION, May, "an m that is an integer", SEED, |t| {
        noted(t, b"d1:mi1ee")
    }),
    case("bep10/handshake/odd-ids", SECTION, May, "ids of 300, of -1, and that are strings", SEED, |t| {
        noted(t, b"d1:md1:ai300e1:bi-1e1:c1:xee")
    }),
    case(
        "bep10/handshake/odd-values",
        "every program",
        Robust,
        "p of 70000, reqq of -1, yourip of 3 bytes, v that is no UTF-8",
        SEED,
        |t| noted(t, b"d1:mde1:pi70000e4:reqqi-1e1:v2:\xff\xfe6:yourip3:abce"),
    ),
    case(
        "bep10/handshake/long-names",
        "every program",
        Robust,
        "1,000 extensions, and a v of 60 KiB",
        SEED,
        |t| {
            let names: String = (0..1000).map(|n| format!("6:x_{n:04}i{}e", n % 250 + 1)).collect();
            noted(t, format!("d1:md{names}e1:v61440:{}e", "v".repeat(61440)).as_bytes())
        },
    ),
    case("bep10/handshake/nested", "every program", Robust, "100,000 open lists", SEED, |t| {
        noted(t, &vec![b'l'; 100_000])
    }),
    case("bep10/handshake/1m", "every program", Robust, "a handshake of 1 MiB less a little", SEED, |t| {
        let length = (1 << 20) - 100;
        noted(t, format!("d1:mde1:x{length}:{}e", "x".repeat(length)).as_bytes())
    }),
    case("bep10/handshake/integer-40-digits", "every program", Robust, "a reqq of forty digits", SEED, |t| {
        noted(t, format!("d1:mde4:reqqi{}ee", "9".repeat(40)).as_bytes())
    }),
    case(
        "bep10/message/unknown-id",
        EXTENSION,
        May,
        "a message of an extension that was never named",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            t.extended(conn, 0, b"d1:mdee".to_vec())?;
            let since = t.now();
            t.extended(conn, 99, b"de".to_vec())?;
            Ok(t.still_serves(conn, since)?.noted())
        },
    ),
    case("bep10/message/no-id", EXTENSION, May, "an extended message without its id", SEED, |t| {
        let conn = t.meet(EXTENDED)?;
        let since = t.now();
        t.raw(conn, &[0, 0, 0, 1, 20])?;
        Ok(t.still_serves(conn, since)?.noted())
    }),
    case(
        "bep10/message/without-bit",
        EXTENSION,
        May,
        "an extended handshake from who has not set the bit",
        SEED,
        |t| {
            let conn = t.meet(PLAIN)?;
            let since = t.now();
            t.extended(conn, 0, b"d1:mdee".to_vec())?;
            Ok(t.still_serves(conn, since)?.noted())
        },
    ),
    case(
        "bep10/ids/ours",
        SECTION,
        Must,
        "messages come under the ids of the receiver's handshake",
        SEED,
        |t| {
            let came = answered_under(t, None)?;
            Ok(Finding::of(came == Some(201), under(came)).expecting("an answer under id 201, which we gave"))
        },
    ),
    case("bep10/ids/changed", SECTION, May, "whether a later handshake changes an id", SEED, |t| {
        let came = answered_under(t, Some(b"d1:md11:ut_metadatai202eee"))?;
        Ok(Finding::holds(match came {
            Some(202) => "it does".to_owned(),
            Some(201) => "it does not".to_owned(),
            came => under(came),
        }))
    }),
    case(
        "bep10/ids/disabled",
        SECTION,
        Must,
        "an id of 0 in a later handshake turns an extension off",
        SEED,
        |t| {
            let came = answered_under(t, Some(b"d1:md11:ut_metadatai0eee"))?;
            // Later handshakes may be ignored.
            let finding = Finding::of(came.is_none() || came == Some(201), under(came));
            Ok(finding.expecting("no answer, or one under the earlier id 201"))
        },
    ),
    case(
        "bep10/ids/additive",
        SECTION,
        Should,
        "a later handshake that leaves an extension out does not turn it off",
        SEED,
        |t| {
            let came = answered_under(t, Some(b"d1:md6:ut_pexi202eee"))?;
            Ok(Finding::of(came == Some(201), under(came)).expecting("an answer under the earlier id 201"))
        },
    ),
    case(
        "bep10/reqq/heeded",
        SECTION,
        Should,
        "no more requests are outstanding than the reqq of 7 that we said",
        LEECH,
        |t| {
            let conn = t.meet(EXTENDED)?;
            t.extended(conn, 0, b"d1:mde4:reqqi7ee".to_vec())?;
            t.be_seed(conn)?;
            let time = t.patience().max(Duration::from_secs(3));
            // Some blocks first: a pipeline grows with the rate.
            for _ in 0..4 {
                let block = t.await_request(conn)?;
                t.give(conn, block)?;
            }
            t.read_for(conn, time.min(Duration::from_secs(4)))?;
            let heard =
                t.heard(conn)?.iter().filter(|message| matches!(message, Message::Request(_))).count();
            let outstanding = heard.saturating_sub(4);
            Ok(Finding::of(outstanding <= 7, format!("{outstanding} outstanding")))
        },
    ),
    case(
        "bep21/upload-only",
        "BEP 21, extension header",
        May,
        "whether a seed says that it is upload_only",
        SEED,
        |t| {
            let theirs = introduced(t)?;
            Ok(Finding::holds(match theirs.upload_only {
                Some(true) => "it does",
                Some(false) => "it says the opposite",
                None => "it does not",
            }))
        },
    ),
    case(
        "bep21/leech",
        "BEP 21, extension header",
        Must,
        "a leech does not say that it is upload_only",
        LEECH,
        |t| {
            let theirs = introduced(t)?;
            let said = theirs
                .upload_only
                .map_or("nothing of it", |only| if only { "upload_only" } else { "the opposite" });
            Ok(Finding::of(theirs.upload_only != Some(true), format!("it says {said}")))
        },
    ),
    case(
        "bep21/we-are",
        "BEP 21, extension header",
        May,
        "whether a seed keeps who is upload_only, and serves it nothing",
        SEED,
        |t| {
            let conn = t.meet(EXTENDED)?;
            t.extended(conn, 0, b"d1:mde11:upload_onlyi1ee".to_vec())?;
            let since = t.now();
            Ok(t.closes(conn, since)?.noted())
        },
    ),
    case(
        "bep27/no-pex",
        "BEP 27, private torrents",
        Must,
        "of a private torrent no peers are exchanged: ut_pex is not offered",
        SEED.private(),
        |t| {
            let theirs = introduced(t)?;
            let names: Vec<&str> = theirs.messages.keys().map(String::as_str).collect();
            Ok(Finding::of(theirs.id(UT_PEX).is_none(), format!("offered: {}", words::list(names))))
        },
    ),
    case(
        "bep27/metadata",
        "BEP 27, private torrents",
        May,
        "whether a private torrent's metadata is offered",
        SEED.private(),
        |t| {
            let theirs = introduced(t)?;
            Ok(Finding::holds(if theirs.id(UT_METADATA).is_some() { "offered" } else { "not offered" }))
        },
    ),
    case(
        "bep27/port",
        "BEP 27, private torrents",
        Must,
        "of a private torrent no DHT port is told",
        SEED.private(),
        |t| {
            let conn = t.dial()?;
            let handshake = t.handshake([0, 0, 0, 0, 0, 0x10, 0, 0x05]);
            t.greet(conn, handshake)?;
            t.await_handshake(conn)?;
            let time = t.patience().min(Duration::from_secs(3));
            let port = t.until(conn, time, |message| matches!(message, Message::Port(_)))?;
            Ok(Finding::of(port.is_none(), words::came(port.as_ref())))
        },
    ),
];
