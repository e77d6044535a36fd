//! BEP 11: peers from peers; BEP 27: and when not.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::Message;
use engine::wire::extension::UT_PEX;
use engine::wire::{Contact, PexMessage};

use super::{NOBODY, case};
use crate::conform::arm::Answer;
use crate::conform::case::Requirement::{May, Must, Robust};
use crate::conform::case::{Case, Finding, Halt, Outcome, Setup, Tracking};
use crate::conform::talk::{Conn, EXTENDED, Talk};

const SECTION: &str = "BEP 11, protocol extension";
const LEECH: Setup = Setup::LEECH;
/// Two addresses of ours that its tracker does not tell of at once: the case answers.
const TOLD: Setup = Setup::LEECH.tracking(Tracking::Http(&[1])).dials();
/// The id under which we take the messages.
const OURS: u8 = 5;

/// A connection on which both exchange peers; the target's id for it. Our port is said, so that others can be told.
fn open(t: &mut Talk<'_>) -> Result<(Conn, u8), Halt> {
    let conn = t.meet(EXTENDED)?;
    t.extended(conn, 0, format!("d1:md6:ut_pexi{OURS}ee1:pi6881ee").into_bytes())?;
    match t.await_extended(conn)?.id(UT_PEX) {
        Some(id) => Ok((conn, id)),
        None => Err(Halt::Skip("it does not exchange peers (BEP 11)".to_owned())),
    }
}

fn message(addrs: &[SocketAddr]) -> Vec<u8> {
    let added = addrs.iter().map(|&addr| Contact { addr, flags: 0 }).collect();
    PexMessage { added, dropped: Vec::new() }.to_bytes()
}

fn noted(t: &mut Talk<'_>, payload: &[u8]) -> Outcome {
    let (conn, id) = open(t)?;
    let since = t.now();
    t.extended(conn, id, payload.to_vec())?;
    Ok(t.closes(conn, since)?.noted())
}

/// The tracker knows of nobody; then a peer tells of one of ours. Whether that is dialled.
fn dialled(t: &mut Talk<'_>, tell: impl FnOnce(&[SocketAddr]) -> Vec<SocketAddr>) -> Result<bool, Halt> {
    let asked = t.asked(Duration::from_secs(20))?;
    t.answer(&asked, Answer::Body(NOBODY.to_vec()))?;
    let (conn, id) = open(t)?;
    let ours = t.arm().ours();
    t.extended(conn, id, message(&tell(&ours)))?;
    let within = t.patience().max(Duration::from_secs(12));
    Ok(t.accept(0, within).is_ok())
}

/// All messages of peer exchange that come in so long.
fn told(t: &mut Talk<'_>, conn: Conn, time: Duration) -> Result<Vec<(Duration, PexMessage)>, Halt> {
    let (end, mut all) = (t.now() + time, Vec::new());
    loop {
        let left = end.saturating_sub(t.now());
        match t.until(conn, left, |message| matches!(message, Message::Extended { id: OURS, .. }))? {
            Some(Message::Extended { payload, .. }) => match PexMessage::from_bytes(&payload) {
                Ok(message) => all.push((t.now(), message)),
                Err(error) => return Err(Halt::Stuck(format!("its message: {error}"))),
            },
            _ => return Ok(all),
        }
    }
}

pub const CASES: &[Case] = &[
    case("bep11/offer", SECTION, May, "whether peers are exchanged", LEECH, |t| {
        let conn = t.meet(EXTENDED)?;
        t.extended(conn, 0, format!("d1:md6:ut_pexi{OURS}eee").into_bytes())?;
        let theirs = t.await_extended(conn)?;
        Ok(Finding::holds(if theirs.id(UT_PEX).is_some() { "offered" } else { "not offered" }))
    }),
    case(
        "bep11/told/rules",
        SECTION,
        Must,
        "what it tells: at most one message a minute, no contact twice, none added and dropped, none before it is connected",
        LEECH,
        |t| {
            let limit = Duration::from_secs(140);
            if t.arm().left() < limit {
                return Err(Halt::Skip("takes 140 s: --timeout".to_owned()));
            }
            let (conn, _) = open(t)?;
            let (other, _) = open(t)?;
            let known = [t.address(other)?, t.address(conn)?];
            let mut said = told(t, conn, Duration::from_secs(65))?;
            t.close(other)?;
            said.extend(told(t, conn, Duration::from_secs(70))?);
            let mut faults = Vec::new();
            for (at, message) in &said {
                let mut all: Vec<SocketAddr> = message
                    .added
                    .iter()
                    .map(|contact| contact.addr)
                    .chain(message.dropped.iter().copied())
                    .collect();
                let many = all.len();
                all.sort_unstable();
                all.dedup();
                if all.len() < many {
                    faults.push(format!("at {} s a contact twice", at.as_secs()));
                }
                if message.added.iter().any(|contact| !known.iter().any(|ip| contact.addr.ip() == *ip)) {
                    faults.push(format!("at {} s who was never connected", at.as_secs()));
                }
            }
            // A second of the way either way.
            if said.windows(2).any(|two| two[1].0 - two[0].0 < Duration::from_secs(59)) {
                faults.push("two within a minute".to_owned());
            }
            let counts = said
                .iter()
                .map(|(_, message)| format!("+{} -{}", message.added.len(), message.dropped.len()));
            let note =
                if faults.is_empty() { counts.collect::<Vec<_>>().join(", ") } else { faults.join("; ") };
            Ok(Finding::of(faults.is_empty(), note))
        },
    ),
    case("bep11/heard/dialled", SECTION, May, "whether a peer that another tells of is dialled", TOLD, |t| {
        let dialled = dialled(t, |ours| ours.to_vec())?;
        Ok(Finding::holds(if dialled { "dialled" } else { "not dialled" }))
    }),
    case(
        "bep27/not-heard",
        "BEP 27, private torrents",
        Must,
        "of a private torrent nobody is dialled that a peer tells of",
        TOLD.private(),
        |t| {
            let asked = t.asked(Duration::from_secs(20))?;
            t.answer(&asked, Answer::Body(NOBODY.to_vec()))?;
            let conn = t.meet(EXTENDED)?;
            t.extended(conn, 0, format!("d1:md6:ut_pexi{OURS}eee").into_bytes())?;
            t.await_extended(conn)?;
            let ours = t.arm().ours();
            // It has named no id: those that clients use by habit.
            for id in [1, 2] {
                t.extended(conn, id, message(&ours))?;
            }
            let within = t.patience().max(Duration::from_secs(6));
            let dialled = t.accept(0, within).is_ok();
            Ok(Finding::of(!dialled, if dialled { "dialled" } else { "not dialled" }))
        },
    ),
    case("bep11/heard/odd-length", SECTION, May, "an added of 7 bytes", LEECH, |t| {
        noted(t, b"d5:added7:\x7f\0\0\x01\x1a\xe1\x007:added.f1:\0e")
    }),
    case("bep11/heard/flags-short", SECTION, May, "two contacts and one byte of flags", LEECH, |t| {
        noted(t, b"d5:added12:\x7f\0\0\x01\0\x09\x7f\0\0\x02\0\x097:added.f1:\0e")
    }),
    case("bep11/heard/no-bencode", SECTION, May, "a message that is no bencode", LEECH, |t| {
        noted(t, b"d5:added6:")
    }),
    case("bep11/heard/not-strings", SECTION, May, "an added that is an integer", LEECH, |t| {
        noted(t, b"d5:addedi7ee")
    }),
    case("bep11/heard/empty", SECTION, Robust, "a message without a byte", LEECH, |t| noted(t, b"")),
    case(
        "bep11/heard/martians",
        "every program",
        Robust,
        "contacts with port 0, 0.0.0.0, multicast and broadcast",
        LEECH,
        |t| {
            let odd = [
                ([127, 0, 0, 1], 0),
                ([0, 0, 0, 0], 6881),
                ([224, 0, 0, 1], 6881),
                ([255, 255, 255, 255], 6881),
            ];
            let odd: Vec<SocketAddr> = odd.into_iter().map(SocketAddr::from).collect();
            noted(t, &message(&odd))
        },
    ),
    case(
        "bep11/heard/200",
        "BEP 11, security considerations",
        Robust,
        "200 contacts in one message",
        LEECH,
        |t| {
            let many: Vec<SocketAddr> =
                (0..200_u32).map(|n| (Ipv4Addr::from(0x7f7f_0000 + n), 9).into()).collect();
            noted(t, &message(&many))
        },
    ),
    case("bep11/heard/flood", SECTION, May, "20 messages at once (clients may disconnect)", LEECH, |t| {
        let (conn, id) = open(t)?;
        let since = t.now();
        for n in 0..20_u16 {
            t.extended(conn, id, message(&[(Ipv4Addr::new(127, 127, 1, n as u8), 9).into()]))?;
        }
        Ok(t.closes(conn, since)?.noted())
    }),
];
