//! BEP 15: trackers over UDP.

use std::time::Duration;

use engine::tracker::AnnounceReply;
use engine::tracker::origin::Family;
use engine::tracker::request::Event;
use engine::tracker::udp::{Request, Response};

use super::{asked_by, case, last};
use crate::conform::arm::{Answer, Asked, Question};
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Setup, Tracking};
use crate::conform::talk::Talk;
use crate::words;

const SECTION: &str = "BEP 15, UDP tracker protocol";
const LEECH: Setup = Setup::LEECH.tracking(Tracking::Udp);
/// One that is to dial whom the tracker names.
const TOLD: Setup = LEECH.dials();
/// How long a client may take until its first packet.
const FIRST: Duration = Duration::from_secs(20);
const CONNECTION: u64 = 0x1122_3344_5566_7788;

fn packet(asked: &Asked) -> Result<&[u8], Halt> {
    match &asked.what {
        Question::Udp(packet) => Ok(packet),
        Question::Http(_) => Err(Halt::Stuck("it asked by HTTP".to_owned())),
    }
}

fn read(asked: &Asked) -> Result<Request, Halt> {
    Request::from_bytes(packet(asked)?).map_err(|error| Halt::Stuck(format!("its packet: {error}")))
}

fn connected(transaction: u32) -> Vec<u8> {
    Response::Connect { transaction, connection: CONNECTION }.to_bytes(Family::V4)
}

/// The first connect request, and its transaction.
fn connect(t: &mut Talk<'_>) -> Result<(Asked, u32), Halt> {
    let asked = t.asked(FIRST)?;
    match read(&asked)? {
        Request::Connect { transaction } => Ok((asked, transaction)),
        Request::Announce { .. } => {
            Err(Halt::Stuck("its first packet is an announce, and no connect".to_owned()))
        }
        Request::Scrape { .. } => Err(Halt::Stuck("its first packet is a scrape, and no connect".to_owned())),
    }
}

/// The announce that follows a connection id; connects that come again are answered.
fn announce(t: &mut Talk<'_>, time: Duration) -> Result<Option<(Asked, Request)>, Halt> {
    let end = t.now() + time;
    loop {
        let Some(asked) = asked_by(t, end) else { return Ok(None) };
        match read(&asked)? {
            Request::Connect { transaction } => t.answer(&asked, Answer::Packet(connected(transaction)))?,
            request @ Request::Announce { .. } => return Ok(Some((asked, request))),
            Request::Scrape { .. } => {}
        }
    }
}

/// Connects, and waits for the announce.
fn announced(t: &mut Talk<'_>) -> Result<(Asked, Request), Halt> {
    let (asked, transaction) = connect(t)?;
    t.answer(&asked, Answer::Packet(connected(transaction)))?;
    announce(t, FIRST)?.ok_or_else(|| Halt::Stuck("it did not announce".to_owned()))
}

fn reply(t: &mut Talk<'_>, transaction: u32) -> Vec<u8> {
    let peers = t.arm().ours();
    let reply = AnnounceReply {
        interval: Duration::from_secs(1800),
        complete: Some(1),
        incomplete: Some(1),
        peers,
        ..AnnounceReply::default()
    };
    Response::Announce { transaction, reply }.to_bytes(Family::V4)
}

fn transaction(request: &Request) -> u32 {
    match request {
        Request::Connect { transaction }
        | Request::Announce { transaction, .. }
        | Request::Scrape { transaction, .. } => *transaction,
    }
}

/// A wrong answer to the connect request: no connection id is taken from it. Whether the right one counts still is
/// noted.
fn not_taken(t: &mut Talk<'_>, wrong: impl FnOnce(u32) -> Answer) -> Outcome {
    let (asked, transaction) = connect(t)?;
    t.answer(&asked, wrong(transaction))?;
    let end = t.now() + Duration::from_secs(3);
    while let Some(asked) = asked_by(t, end) {
        if let Request::Announce { connection, .. } = read(&asked)? {
            return Ok(Finding::breaks(format!("it announces with connection id {connection:#x}")));
        }
    }
    t.answer(&asked, Answer::Packet(connected(transaction)))?;
    let time = t.patience().max(Duration::from_secs(20));
    let announced = announce(t, time)?;
    Ok(Finding::holds(match announced {
        Some(_) => "the right one is taken",
        None => "the right one is not taken any more",
    }))
}

/// An answer to the announce by which our address is dialled, or not.
fn dialled(t: &mut Talk<'_>, answer: impl FnOnce(Vec<u8>) -> Answer) -> Result<bool, Halt> {
    let (asked, request) = announced(t)?;
    let packet = reply(t, transaction(&request));
    t.answer(&asked, answer(packet))?;
    let within = t.patience().max(Duration::from_secs(10));
    Ok(t.accept(0, within).is_ok())
}

fn said(dialled: bool) -> &'static str {
    if dialled { "dialled" } else { "not dialled" }
}

pub const CASES: &[Case] = &[
    case(
        "bep15/connect/packet",
        SECTION,
        Must,
        "a connect request of 16 bytes with the protocol's number and action 0",
        LEECH,
        |t| {
            let asked = t.asked(FIRST)?;
            let packet = packet(&asked)?;
            let right = packet.len() == 16
                && packet.starts_with(&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0]);
            Ok(Finding::of(right, format!("{} bytes: {}", packet.len(), words::hex(packet))))
        },
    ),
    case(
        "bep15/announce/packet",
        SECTION,
        Must,
        "then an announce with the connection id, of 98 bytes at least, that says started and what is left",
        LEECH,
        |t| {
            let (asked, request) = announced(t)?;
            let length = packet(&asked)?.len();
            let Request::Announce { connection, announce, .. } = request else {
                return Ok(Finding::breaks("no announce"));
            };
            let info_hash = t.subject().metainfo.info_hash;
            let right = connection == CONNECTION
                && announce.info_hash == info_hash
                && announce.event == Event::Started
                && announce.left == t.subject().layout().total()
                && announce.port != 0;
            let mut note = format!("{length} bytes, left={}, port={}", announce.left, announce.port);
            if announce.event != Event::Started {
                note += &format!(", {}", words::event(announce.event));
            }
            if connection != CONNECTION {
                note += &format!(", connection id {connection:#x}");
            }
            if announce.info_hash != info_hash {
                note += &format!(", info-hash {}", announce.info_hash);
            }
            Ok(Finding::of(right && length >= 98, note))
        },
    ),
    case(
        "bep15/announce/url-data",
        "BEP 41, URL data",
        May,
        "whether the path of the URL is said",
        LEECH,
        |t| {
            let (_, request) = announced(t)?;
            let Request::Announce { url, .. } = request else { return Ok(Finding::breaks("no announce")) };
            Ok(Finding::holds(if url.is_empty() {
                "not said".to_owned()
            } else {
                String::from_utf8_lossy(&url).into_owned()
            }))
        },
    ),
    case(
        "bep15/transaction/differ",
        SECTION,
        Should,
        "connect and announce have transaction ids of their own",
        LEECH,
        |t| {
            let (asked, first) = connect(t)?;
            t.answer(&asked, Answer::Packet(connected(first)))?;
            let (_, request) =
                announce(t, FIRST)?.ok_or_else(|| Halt::Stuck("it did not announce".to_owned()))?;
            Ok(Finding::of(
                transaction(&request) != first,
                format!("{first:#x}, {:#x}", transaction(&request)),
            ))
        },
    ),
    case(
        "bep15/transaction/wrong",
        SECTION,
        Must,
        "an answer with another transaction id is not taken",
        LEECH,
        |t| not_taken(t, |transaction| Answer::Packet(connected(transaction ^ 0xffff))),
    ),
    case(
        "bep15/connect/short",
        SECTION,
        Must,
        "a connect response shorter than 16 bytes is not taken",
        LEECH,
        |t| not_taken(t, |transaction| Answer::Packet(connected(transaction)[..12].to_vec())),
    ),
    case("bep15/connect/empty", "every program", Robust, "a packet without a byte", LEECH, |t| {
        not_taken(t, |_| Answer::Packet(Vec::new()))
    }),
    case(
        "bep15/connect/wrong-action",
        SECTION,
        Must,
        "an answer of another action is not taken for a connection id",
        LEECH,
        |t| {
            not_taken(t, |transaction| {
                let mut packet = connected(transaction);
                packet[3] = 2;
                Answer::Packet(packet)
            })
        },
    ),
    case("bep15/connect/astray", SECTION, Should, "an answer from another port is not taken", LEECH, |t| {
        not_taken(t, |transaction| Answer::Astray(connected(transaction)))
    }),
    case(
        "bep15/connect/long",
        SECTION,
        Should,
        "a connect response with bytes after the 16 is taken",
        LEECH,
        |t| {
            let (asked, transaction) = connect(t)?;
            t.answer(&asked, Answer::Packet([connected(transaction), vec![0; 20]].concat()))?;
            let time = t.patience().max(Duration::from_secs(4));
            let end = t.now() + time;
            while let Some(asked) = asked_by(t, end) {
                if matches!(read(&asked)?, Request::Announce { .. }) {
                    return Ok(Finding::holds("an announce came"));
                }
            }
            Ok(Finding::breaks("no announce came"))
        },
    ),
    case(
        "bep15/connect/retransmit",
        "BEP 15, time outs",
        Should,
        "without an answer the connect request is sent again after 15 s",
        LEECH,
        |t| {
            let (first, _) = connect(t)?;
            let Some(again) = t.arm().asked(Duration::from_secs(40)) else {
                return Ok(Finding::breaks("not within 40 s"));
            };
            let wait = again.at - first.at;
            let right = (Duration::from_secs(12)..=Duration::from_secs(25)).contains(&wait);
            Ok(Finding { after: Some(wait), ..Finding::of(right, "sent again") })
        },
    ),
    case("bep15/reply/dialled", SECTION, Must, "the peers of the reply are dialled", TOLD, |t| {
        let dialled = dialled(t, Answer::Packet)?;
        Ok(Finding::of(dialled, said(dialled)))
    }),
    case(
        "bep15/reply/wrong-transaction",
        SECTION,
        Must,
        "nobody is dialled of a reply with another transaction id",
        TOLD,
        |t| {
            let dialled = dialled(t, |mut packet| {
                packet[7] ^= 0xff;
                Answer::Packet(packet)
            })?;
            Ok(Finding::of(!dialled, said(dialled)))
        },
    ),
    case(
        "bep15/reply/short",
        SECTION,
        Must,
        "nobody is dialled of a reply shorter than 20 bytes",
        TOLD,
        |t| {
            let dialled = dialled(t, |packet| Answer::Packet(packet[..19].to_vec()))?;
            Ok(Finding::of(!dialled, said(dialled)))
        },
    ),
    case(
        "bep15/reply/odd-length",
        "every program",
        Robust,
        "a reply with half a peer at its end",
        LEECH,
        |t| {
            let (asked, request) = announced(t)?;
            let packet = reply(t, transaction(&request));
            t.answer(&asked, Answer::Packet([packet, vec![127, 0, 0]].concat()))?;
            t.sleep(Duration::from_secs(1));
            Ok(Finding::holds(""))
        },
    ),
    case(
        "bep15/reply/error",
        "BEP 15, errors",
        Should,
        "after an error it does not ask again at once",
        LEECH,
        |t| error(t, b"go away"),
    ),
    case("bep15/reply/error-empty", "every program", Robust, "an error without a text", LEECH, |t| {
        error(t, b"")
    }),
    case("bep15/reply/error-binary", "every program", Robust, "an error whose text is no text", LEECH, |t| {
        error(t, &[0xff; 1000])
    }),
    last(case(
        "bep15/connection/used-again",
        SECTION,
        May,
        "whether the connection id is used again within its minute",
        LEECH,
        |t| {
            let (asked, request) = announced(t)?;
            let packet = reply(t, transaction(&request));
            t.answer(&asked, Answer::Packet(packet))?;
            t.sleep(Duration::from_secs(2));
            t.arm().stop().map_err(|not| Halt::Skip(not.0))?;
            let next = t.asked(Duration::from_secs(12))?;
            Ok(Finding::holds(match read(&next)? {
                Request::Announce { .. } => "used again",
                _ => "asked for anew",
            }))
        },
    )),
    last(case("bep15/announce/stopped", SECTION, Must, "who leaves says so", LEECH, |t| {
        let (asked, request) = announced(t)?;
        let packet = reply(t, transaction(&request));
        t.answer(&asked, Answer::Packet(packet))?;
        t.sleep(Duration::from_secs(2));
        t.arm().stop().map_err(|not| Halt::Skip(not.0))?;
        Ok(match announce(t, Duration::from_secs(12))? {
            Some((_, Request::Announce { announce, .. })) => {
                Finding::of(announce.event == Event::Stopped, words::event(announce.event))
            }
            _ => Finding::breaks("no announce came within 12 s"),
        })
    })),
];

/// An error in answer to the announce; how often it asks again in a while.
fn error(t: &mut Talk<'_>, text: &[u8]) -> Outcome {
    let (asked, request) = announced(t)?;
    let head = [3_u32.to_be_bytes(), transaction(&request).to_be_bytes()].concat();
    t.answer(&asked, Answer::Packet([head, text.to_vec()].concat()))?;
    let end = t.now() + t.patience().max(Duration::from_secs(4));
    let mut again = 0;
    while again < 100 {
        let Some(asked) = asked_by(t, end) else { break };
        let head = [3_u32.to_be_bytes(), transaction(&read(&asked)?).to_be_bytes()].concat();
        t.answer(&asked, Answer::Packet([head, text.to_vec()].concat()))?;
        again += 1;
    }
    Ok(Finding::of(again < 20, format!("asked again {again} times"))
        .expecting("that it asks again less than 20 times"))
}
