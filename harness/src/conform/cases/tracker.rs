//! BEP 3, 7, 12, 23, 27: what is said to trackers over HTTP, and what is done with what they say.

use std::time::Duration;

use engine::tracker::request::Event;
use engine::tracker::{AnnounceReply, AnnounceRequest};
use engine::{Message, PeerId};

use super::{NOBODY, asked_by, case, last};
use crate::conform::arm::{Answer, Asked, Question};
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Setup, Tracking};
use crate::conform::talk::{PLAIN, Talk};
use crate::words;

const ANNOUNCE: &str = "BEP 3, trackers: the announce";
const REPLY: &str = "BEP 3, trackers: the reply";
const TIERS: &str = "BEP 12, order of processing";
const ONE: Tracking = Tracking::Http(&[1]);
const LEECH: Setup = Setup::LEECH.tracking(ONE);
const SEED: Setup = Setup::SEED.tracking(ONE);
/// One that is to dial whom the tracker names.
const TOLD: Setup = LEECH.dials();
/// Within such a time a client that waits for an answer does not turn to another tracker.
const AT_ONCE: Duration = Duration::from_millis(500);
/// How long a client may take until its first announce.
const FIRST: Duration = Duration::from_secs(20);

fn query(asked: &Asked) -> Result<&str, Halt> {
    let Question::Http(path) = &asked.what else { return Err(Halt::Stuck("it asked by UDP".to_owned())) };
    path.split_once('?')
        .map(|(_, query)| query)
        .ok_or_else(|| Halt::Stuck(format!("an announce without a query: {path}")))
}

/// A value of the query, as it came.
fn value<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

fn read(asked: &Asked) -> Result<AnnounceRequest, Halt> {
    AnnounceRequest::from_query(query(asked)?.as_bytes()).map_err(|error| Halt::Stuck(error.to_string()))
}

/// The first announce, answered with nobody.
fn first(t: &mut Talk<'_>) -> Result<Asked, Halt> {
    let asked = t.asked(FIRST)?;
    t.answer(&asked, Answer::Body(NOBODY.to_vec()))?;
    Ok(asked)
}

/// The first announce is answered with this; whether the first of our addresses is dialled.
fn told(
    t: &mut Talk<'_>,
    body: impl FnOnce(&Talk<'_>, Vec<std::net::SocketAddr>) -> Answer,
) -> Result<bool, Halt> {
    let asked = t.asked(FIRST)?;
    let ours = t.arm().ours();
    let answer = body(t, ours);
    t.answer(&asked, answer)?;
    let within = t.patience().max(Duration::from_secs(10));
    Ok(t.accept(0, within).is_ok())
}

fn dialled(t: &mut Talk<'_>, body: impl FnOnce(Vec<std::net::SocketAddr>) -> Vec<u8>) -> Outcome {
    let dialled = told(t, |_, ours| Answer::Body(body(ours)))?;
    Ok(Finding::of(dialled, if dialled { "dialled" } else { "not dialled" }))
}

/// The same where a specification leaves it open.
fn dialled_or_not(t: &mut Talk<'_>, answer: impl FnOnce(Vec<u8>) -> Answer) -> Outcome {
    let dialled = told(t, |_, ours| answer(reply(ours).to_bytes(true)))?;
    Ok(Finding::holds(if dialled { "dialled" } else { "not dialled" }))
}

fn reply(peers: Vec<std::net::SocketAddr>) -> AnnounceReply {
    AnnounceReply { interval: Duration::from_secs(1800), peers, ..AnnounceReply::default() }
}

/// The first announce is answered with this; it lives, and asks again no more than a few times in a while.
fn odd(t: &mut Talk<'_>, answer: Answer) -> Outcome {
    let asked = t.asked(FIRST)?;
    t.answer(&asked, answer)?;
    let end = t.now() + t.patience().max(Duration::from_secs(4));
    let mut again = 0;
    while again < 100 {
        let Some(asked) = asked_by(t, end) else { break };
        t.answer(&asked, Answer::Body(NOBODY.to_vec()))?;
        again += 1;
    }
    let time = words::time(t.patience().max(Duration::from_secs(4)));
    Ok(Finding::of(again < 20, format!("asked again {again} times in {time}"))
        .expecting("that it asks again less than 20 times"))
}

fn odd_body(t: &mut Talk<'_>, body: &[u8]) -> Outcome {
    odd(t, Answer::Body(body.to_vec()))
}

fn response(head: &str, body: &[u8]) -> Answer {
    Answer::Raw([head.as_bytes(), b"\r\n\r\n", body].concat())
}

/// Downloads all of the torrent from us.
fn complete(t: &mut Talk<'_>) -> Result<(), Halt> {
    let conn = t.as_seed_freely()?;
    let time = t.patience().max(Duration::from_secs(20));
    t.serve(conn, time, |message| *message == Message::NotInterested)?;
    Ok(())
}

/// Announces from here on, each answered with nobody, until one has this event.
fn until(t: &mut Talk<'_>, event: Event, time: Duration) -> Result<Option<AnnounceRequest>, Halt> {
    let end = t.now() + time;
    loop {
        let Some(asked) = asked_by(t, end) else { return Ok(None) };
        t.answer(&asked, Answer::Body(NOBODY.to_vec()))?;
        let request = read(&asked)?;
        if request.event == event {
            return Ok(Some(request));
        }
    }
}

pub const CASES: &[Case] = &[
    case(
        "tracker/announce/keys",
        ANNOUNCE,
        Must,
        "info_hash, peer_id, port, uploaded, downloaded and left are there and right",
        LEECH,
        |t| {
            let asked = first(t)?;
            let request = read(&asked)?;
            let right = request.info_hash == t.subject().metainfo.info_hash
                && request.port != 0
                && request.uploaded == 0
                && request.downloaded == 0
                && request.left == t.subject().layout().total();
            Ok(Finding::of(right, query(&asked)?))
        },
    ),
    case(
        "tracker/announce/started",
        ANNOUNCE,
        Must,
        "the first announce has the event started",
        LEECH,
        |t| {
            let asked = first(t)?;
            let request = read(&asked)?;
            Ok(Finding::of(request.event == Event::Started, words::event(request.event)))
        },
    ),
    case("tracker/announce/seed-left", ANNOUNCE, Must, "a seed has nothing left", SEED, |t| {
        let asked = first(t)?;
        let request = read(&asked)?;
        Ok(Finding::of(request.left == 0, format!("left={}", request.left)))
    }),
    case(
        "tracker/announce/seed-started",
        ANNOUNCE,
        Must,
        "who starts complete does not say completed",
        SEED,
        |t| {
            first(t)?;
            let time = t.patience().max(Duration::from_secs(5));
            let completed = until(t, Event::Completed, time)?;
            let said = if completed.is_some() { "it said completed" } else { "it did not say so" };
            Ok(Finding::of(completed.is_none(), said))
        },
    ),
    case("tracker/announce/peer-id", ANNOUNCE, Should, "the peer id is that of its handshakes", LEECH, |t| {
        let asked = first(t)?;
        let request = read(&asked)?;
        let conn = t.meet(PLAIN)?;
        let theirs = t.theirs(conn)?.map(|theirs| theirs.peer_id);
        let shown = |id: Option<PeerId>| id.map_or("none".to_owned(), |id| words::peer_id(&id));
        let (same, said) = (theirs == Some(request.peer_id), words::peer_id(&request.peer_id));
        let note = if same { said } else { format!("{said} to the tracker, {} to us", shown(theirs)) };
        Ok(Finding::of(same, note))
    }),
    case("tracker/announce/compact", "BEP 23", May, "whether the compact form is asked for", LEECH, |t| {
        let asked = first(t)?;
        Ok(Finding::holds(format!("compact={}", value(query(&asked)?, "compact").unwrap_or("(not said)"))))
    }),
    case(
        "tracker/announce/key",
        "BEP 7",
        Should,
        "a key is said, so that the tracker knows it under two addresses",
        LEECH,
        |t| {
            let asked = first(t)?;
            let key = value(query(&asked)?, "key");
            Ok(Finding::of(key.is_some(), key.map_or("no key".to_owned(), |key| format!("key={key}"))))
        },
    ),
    case("tracker/announce/numwant", ANNOUNCE, May, "how many peers are asked for", LEECH, |t| {
        let asked = first(t)?;
        Ok(Finding::holds(format!("numwant={}", value(query(&asked)?, "numwant").unwrap_or("(not said)"))))
    }),
    case(
        "tracker/announce/escaped",
        ANNOUNCE,
        Must,
        "info_hash and peer_id are escaped as RFC 1738 asks",
        LEECH,
        |t| {
            let asked = first(t)?;
            let query = query(&asked)?;
            let fits =
                |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-_.~!*'()$+,".contains(&b));
            let both = [value(query, "info_hash"), value(query, "peer_id")];
            let note = both.map(|value| value.unwrap_or("(not said)")).join(", ");
            Ok(Finding::of(both.iter().all(|value| value.is_some_and(fits)), note))
        },
    ),
    case(
        "tracker/announce/completed",
        ANNOUNCE,
        Must,
        "who completes says so, once, with nothing left",
        LEECH,
        |t| {
            first(t)?;
            complete(t)?;
            let time = t.patience().max(Duration::from_secs(12));
            let Some(request) = until(t, Event::Completed, time)? else {
                return Ok(Finding::breaks("it did not say so"));
            };
            let time = t.patience().max(Duration::from_secs(3));
            let again = until(t, Event::Completed, time)?;
            let twice = if again.is_some() { ", and said again" } else { "" };
            Ok(Finding::of(
                again.is_none() && request.left == 0,
                format!("left={}, downloaded={}{twice}", request.left, request.downloaded),
            ))
        },
    ),
    last(case("tracker/announce/stopped", ANNOUNCE, Must, "who leaves says so", LEECH, |t| {
        first(t)?;
        // Some do not say so before the tracker's answer is with them.
        t.sleep(Duration::from_secs(1));
        t.arm().stop().map_err(|not| Halt::Skip(not.0))?;
        let stopped = until(t, Event::Stopped, Duration::from_secs(12))?;
        let note =
            if stopped.is_some() { words::event(Event::Stopped) } else { "no event=stopped within 12 s" };
        Ok(Finding::of(stopped.is_some(), note))
    })),
    case("tracker/announce/waits", REPLY, Should, "it waits for the interval of half an hour", LEECH, |t| {
        first(t)?;
        let time = t.patience().max(Duration::from_secs(6));
        let again = t.arm().asked(time);
        Ok(Finding::of(again.is_none(), if again.is_some() { "it asked again at once" } else { "" }))
    }),
    case("tracker/reply/compact", "BEP 23", Must, "peers in the compact form are dialled", TOLD, |t| {
        dialled(t, |ours| reply(ours).to_bytes(true))
    }),
    case(
        "tracker/reply/dictionaries",
        REPLY,
        Must,
        "peers in a list of dictionaries are dialled",
        TOLD,
        |t| {
            dialled(t, |ours| {
                let peer_ids = (0..ours.len()).map(|n| PeerId([b'a' + n as u8; 20])).collect();
                AnnounceReply { peer_ids, ..reply(ours) }.to_bytes(false)
            })
        },
    ),
    case("tracker/reply/no-peer-id", "BEP 23", Should, "dictionaries may lack the peer id", TOLD, |t| {
        dialled(t, |ours| reply(ours).to_bytes(false))
    }),
    case("tracker/reply/unknown-keys", REPLY, Must, "keys that nobody knows do no harm", TOLD, |t| {
        dialled(t, |ours| {
            let body = reply(ours).to_bytes(true);
            let mut with = body.clone();
            with.pop();
            with.extend_from_slice(b"7:x-thinglled3:foo3:bareee");
            with
        })
    }),
    case(
        "tracker/reply/failure",
        REPLY,
        Must,
        "of a reply with a failure reason no peer is dialled",
        TOLD,
        |t| {
            let dialled = told(t, |_, ours| {
                let body = reply(ours).to_bytes(true);
                let rest = body[1..].to_vec();
                Answer::Body([b"d14:failure reason7:go away".to_vec(), rest].concat())
            })?;
            Ok(Finding::of(!dialled, if dialled { "dialled" } else { "not dialled" }))
        },
    ),
    case(
        "tracker/reply/warning",
        REPLY,
        Should,
        "a warning message does not keep its peers from being dialled",
        TOLD,
        |t| {
            dialled(t, |ours| {
                AnnounceReply { warning: Some("old client".to_owned()), ..reply(ours) }.to_bytes(true)
            })
        },
    ),
    case("tracker/reply/peers-and-peers6", "BEP 7", Should, "peers beside a peers6 are dialled", TOLD, |t| {
        dialled(t, |mut ours| {
            // The discard port, where nobody is.
            ours.push((std::net::Ipv6Addr::LOCALHOST, 9).into());
            reply(ours).to_bytes(true)
        })
    }),
    case("tracker/reply/odd-length", "BEP 23", Robust, "compact peers of 7 bytes", LEECH, |t| {
        odd_body(t, b"d8:intervali1800e5:peers7:\x7f\0\0\x01\0\x09xe")
    }),
    case("tracker/reply/200k-peers", "every program", Robust, "200,000 peers in one reply", LEECH, |t| {
        let peers: Vec<u8> =
            (0..200_000_u32).flat_map(|n| [127, 127, (n >> 8) as u8, n as u8, 0, 9]).collect();
        let body =
            [format!("d8:intervali1800e5:peers{}:", peers.len()).into_bytes(), peers, b"e".to_vec()].concat();
        odd(t, Answer::Body(body))
    }),
    case("tracker/reply/empty", "every program", Robust, "a reply without a byte", LEECH, |t| {
        odd_body(t, b"")
    }),
    case("tracker/reply/html", "every program", Robust, "a page of HTML", LEECH, |t| {
        odd_body(t, b"<html><body>Welcome</body></html>")
    }),
    case("tracker/reply/list", "every program", Robust, "a reply that is a list", LEECH, |t| {
        odd_body(t, b"li1ei2ee")
    }),
    case("tracker/reply/truncated", "every program", Robust, "a reply that is cut off", LEECH, |t| {
        odd_body(t, b"d8:intervali1800e5:peers600:\x7f")
    }),
    case("tracker/reply/nested", "every program", Robust, "100,000 open lists", LEECH, |t| {
        odd_body(t, &vec![b'l'; 100_000])
    }),
    case(
        "tracker/interval/0",
        REPLY,
        Robust,
        "an interval of 0 does not make it ask without pause",
        LEECH,
        |t| odd_body(t, b"d8:intervali0e5:peers0:e"),
    ),
    case(
        "tracker/interval/negative",
        REPLY,
        Robust,
        "an interval of -1 does not make it ask without pause",
        LEECH,
        |t| odd_body(t, b"d8:intervali-1e5:peers0:e"),
    ),
    case(
        "tracker/interval/1",
        REPLY,
        Robust,
        "an interval of 1 does not make it ask without pause",
        LEECH,
        |t| odd_body(t, b"d8:intervali1e5:peers0:e"),
    ),
    case("tracker/interval/2-to-62", REPLY, Robust, "an interval of 2^62", LEECH, |t| {
        odd_body(t, b"d8:intervali4611686018427387904e5:peers0:e")
    }),
    case("tracker/interval/missing", REPLY, Robust, "no interval", LEECH, |t| odd_body(t, b"d5:peers0:e")),
    case("tracker/interval/string", REPLY, Robust, "an interval that is a string", LEECH, |t| {
        odd_body(t, b"d8:interval4:18005:peers0:e")
    }),
    case("tracker/http/chunked", "RFC 9112, chunked transfer", May, "a chunked response", TOLD, |t| {
        dialled_or_not(t, |body| {
            let chunk =
                [format!("{:x}\r\n", body.len()).into_bytes(), body, b"\r\n0\r\n\r\n".to_vec()].concat();
            response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", &chunk)
        })
    }),
    case("tracker/http/1.0", "RFC 1945", May, "a response of HTTP/1.0 without a length", TOLD, |t| {
        dialled_or_not(t, |body| response("HTTP/1.0 200 OK", &body))
    }),
    case(
        "tracker/http/404-with-body",
        "RFC 9110, status codes",
        May,
        "a status of 404 and peers",
        TOLD,
        |t| {
            dialled_or_not(t, |body| {
                response(&format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}", body.len()), &body)
            })
        },
    ),
    case(
        "tracker/http/redirect",
        "RFC 9110, redirection",
        May,
        "a redirection to the same tracker: whether it is followed",
        TOLD,
        |t| {
            let asked = t.asked(FIRST)?;
            t.answer(&asked, response("HTTP/1.1 302 Found\r\nLocation: /announce?elsewhere=1\r\nContent-Length: 0\r\nConnection: close", b""))?;
            let again = t.asked(Duration::from_secs(5));
            let followed = again.is_ok_and(
                |asked| matches!(&asked.what, Question::Http(path) if path.contains("elsewhere=1")),
            );
            Ok(Finding::holds(if followed { "followed" } else { "not followed" }))
        },
    ),
    case(
        "tracker/http/redirect-loop",
        "RFC 9110, redirection",
        Robust,
        "redirections without end are given up",
        LEECH,
        |t| {
            let mut times = 0;
            while times < 60 {
                let wait = if times == 0 { FIRST } else { Duration::from_secs(4) };
                let Ok(asked) = t.asked(wait) else { break };
                t.answer(&asked, response("HTTP/1.1 302 Found\r\nLocation: /announce?again=1\r\nContent-Length: 0\r\nConnection: close", b""))?;
                times += 1;
            }
            Ok(Finding::of(times < 60, format!("{times} requests")))
        },
    ),
    case(
        "tracker/http/header-without-end",
        "every program",
        Robust,
        "4 MiB of header do not fill memory",
        LEECH,
        |t| {
            odd(
                t,
                Answer::Raw(
                    [
                        b"HTTP/1.1 200 OK\r\n".to_vec(),
                        b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(64 << 10),
                    ]
                    .concat(),
                ),
            )
        },
    ),
    case("tracker/http/not-http", "every program", Robust, "a response that is not HTTP", LEECH, |t| {
        odd(t, Answer::Raw(b"220 ready\r\n\r\n".to_vec()))
    }),
    case(
        "tracker/http/length-too-long",
        "every program",
        Robust,
        "a response that is shorter than it says",
        LEECH,
        |t| odd(t, response("HTTP/1.1 200 OK\r\nContent-Length: 100000000", NOBODY)),
    ),
    case(
        "bep12/first-tier",
        TIERS,
        Must,
        "the first tier is asked first, and while it answers no other",
        Setup::LEECH.tracking(Tracking::Http(&[1, 1])),
        |t| {
            let asked = first(t)?;
            let time = t.patience().max(Duration::from_secs(4));
            let other = t.arm().asked(time);
            let holds = asked.tracker == 0 && other.as_ref().is_none_or(|other| other.tracker == 0);
            Ok(Finding::of(
                holds,
                format!(
                    "tracker {} first{}",
                    asked.tracker + 1,
                    other.map_or(String::new(), |other| format!(", then {}", other.tracker + 1))
                ),
            ))
        },
    ),
    case(
        "bep12/next-tier",
        TIERS,
        Must,
        "when one tier fails the other is asked",
        Setup::LEECH.tracking(Tracking::Http(&[1, 1])),
        |t| {
            let asked = t.asked(FIRST)?;
            t.answer(&asked, Answer::Body(b"no".to_vec()))?;
            let end = t.now() + t.patience().max(Duration::from_secs(20));
            loop {
                let Some(next) = asked_by(t, end) else { return Ok(Finding::breaks("no other was asked")) };
                if next.tracker != asked.tracker {
                    // Which was the first is the case before this one's.
                    let note = format!("tracker {}, then {}", asked.tracker + 1, next.tracker + 1);
                    return Ok(Finding { after: Some(next.at - asked.at), ..Finding::holds(note) });
                }
                t.answer(&next, Answer::Body(b"no".to_vec()))?;
            }
        },
    ),
    last(case(
        "bep12/to-the-front",
        TIERS,
        Must,
        "of a tier the one that answered is asked first from then on",
        Setup::LEECH.tracking(Tracking::Http(&[2])),
        |t| {
            let asked = t.asked(FIRST)?;
            t.answer(&asked, Answer::Body(b"no".to_vec()))?;
            let end = t.now() + t.patience().max(Duration::from_secs(20));
            let worked = loop {
                let left = end.saturating_sub(t.now());
                let next = t.asked(left)?;
                if next.tracker != asked.tracker {
                    t.answer(&next, Answer::Body(NOBODY.to_vec()))?;
                    break next.tracker;
                }
                t.answer(&next, Answer::Body(b"no".to_vec()))?;
            };
            t.sleep(Duration::from_secs(1));
            t.arm().stop().map_err(|not| Halt::Skip(not.0))?;
            let stopped = t.asked(Duration::from_secs(12))?;
            // Who asks all at once asks that one first by chance.
            let other = t.arm().asked(AT_ONCE).filter(|other| other.tracker != stopped.tracker);
            let order = match &other {
                Some(other) => format!(
                    "tracker {} and, without waiting for it, {}",
                    stopped.tracker + 1,
                    other.tracker + 1
                ),
                None => format!("tracker {}", stopped.tracker + 1),
            };
            let holds = stopped.tracker == worked && other.is_none();
            Ok(Finding::of(holds, format!("{order}, where {} had answered", worked + 1)))
        },
    )),
    case(
        "bep27/one-tracker",
        "BEP 27, multi-tracker",
        Must,
        "of a private torrent one tracker at a time is asked",
        Setup::LEECH.tracking(Tracking::Http(&[1, 1])).private(),
        |t| {
            let asked = first(t)?;
            let time = t.patience().max(Duration::from_secs(4));
            let other = t.arm().asked(time);
            let other = other.map(|other| other.tracker).filter(|other| *other != asked.tracker);
            let then = other.map_or(String::new(), |other| format!(", and tracker {}", other + 1));
            Ok(Finding::of(other.is_none(), format!("tracker {}{then}", asked.tracker + 1)))
        },
    ),
];
