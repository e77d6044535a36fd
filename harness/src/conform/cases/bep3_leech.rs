//! BEP 3: what a leech asks for, and what it does with what comes.

use std::time::Duration;

use bytes::Bytes;
use engine::{BLOCK, Message, RawBlock};

use super::{case, conduct};
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Halt, Outcome, Reaction, Seen, Setup};
use crate::conform::talk::{Conn, Next, PLAIN, Talk};
use crate::words;

const SECTION: &str = "BEP 3, peer messages: the downloader";
const LEECH: Setup = Setup::LEECH;

fn within(t: &Talk<'_>, seconds: u64) -> Duration {
    t.patience().max(Duration::from_secs(seconds))
}

/// Serves all of the torrent; what was asked for, and on which connection.
fn downloaded(t: &mut Talk<'_>, extensions: bool) -> Result<(Vec<RawBlock>, Conn), Halt> {
    let conn = if extensions { t.as_seed_freely()? } else { t.as_seed(PLAIN)? };
    let time = within(t, 15);
    let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
    if served.requests.is_empty() {
        return Err(Halt::Stuck("it asked for nothing".to_owned()));
    }
    Ok((served.requests, conn))
}

/// What the target does about a block that it has not asked for as it comes.
fn odd_block(t: &mut Talk<'_>, change: impl Fn(RawBlock, Bytes) -> (u32, u32, Bytes)) -> Outcome {
    let conn = t.as_seed(PLAIN)?;
    let block = t.await_request(conn)?;
    let data = t
        .subject()
        .bytes(&block)
        .ok_or_else(|| Halt::Stuck(format!("it asked for {}", words::block(&block))))?;
    let (piece, begin, data) = change(block, data);
    let since = t.now();
    t.send(conn, &Message::Piece { piece, begin, data })?;
    Ok(t.closes(conn, since)?.noted())
}

/// Requests, none of which is to be `odd`.
fn but_for(requests: &[RawBlock], odd: &[&RawBlock]) -> Finding {
    let all = words::counted(requests.len(), "request");
    match odd {
        [] => Finding::holds(all),
        [first, ..] => Finding::breaks(format!(
            "{} of {all} are others, the first for {}",
            odd.len(),
            words::block(first)
        )),
    }
}

/// The wrong bytes for a block.
fn wrong(t: &mut Talk<'_>, conn: Conn, block: RawBlock) -> Result<(), Halt> {
    let data = Bytes::from(vec![0xa5; block.length.min(BLOCK) as usize]);
    t.send(conn, &Message::Piece { piece: block.piece, begin: block.begin, data })
}

pub const CASES: &[Case] = &[
    case("bep3/leech/interest", SECTION, Must, "it is interested in who has what it lacks", LEECH, |t| {
        let conn = t.meet(PLAIN)?;
        let since = t.now();
        t.have_everything(conn)?;
        t.await_interest(conn)?;
        Ok(Finding { after: Some(t.now() - since), ..Finding::holds("") })
    }),
    case("bep3/leech/no-interest", SECTION, Must, "it is not interested in who has nothing", LEECH, |t| {
        let conn = t.meet(PLAIN)?;
        let time = t.patience().min(Duration::from_secs(4));
        let said = t.until(conn, time, |message| *message == Message::Interested)?;
        Ok(Finding::of(said.is_none(), if said.is_some() { "it said that it is interested" } else { "" }))
    }),
    case("bep3/leech/choked", SECTION, Must, "it asks for nothing while it is choked", LEECH, |t| {
        let conn = t.meet(PLAIN)?;
        t.have_everything(conn)?;
        t.await_interest(conn)?;
        let time = t.patience().min(Duration::from_secs(4));
        let asked = t.until(conn, time, |message| matches!(message, Message::Request(_)))?;
        Ok(Finding::of(asked.is_none(), words::came(asked.as_ref())))
    }),
    case("bep3/leech/asks", SECTION, Must, "it asks once it is unchoked", LEECH, |t| {
        let conn = t.as_seed(PLAIN)?;
        let since = t.now();
        t.await_request(conn)?;
        Ok(Finding { after: Some(t.now() - since), ..Finding::holds("") })
    }),
    case(
        "bep3/leech/request-size",
        SECTION,
        Must,
        "its requests are of at most 16 KiB and lie in their pieces",
        LEECH,
        |t| {
            let (requests, _) = downloaded(t, false)?;
            let layout = t.subject().layout();
            let odd = |block: &&RawBlock| {
                block.length > BLOCK || layout.block(block.piece, block.begin, block.length).is_none()
            };
            let odd: Vec<_> = requests.iter().filter(odd).collect();
            Ok(but_for(&requests, &odd))
        },
    ),
    case(
        "bep3/leech/request-aligned",
        SECTION,
        Should,
        "its requests begin at multiples of 16 KiB and are as long as that, but the last",
        LEECH,
        |t| {
            let (requests, _) = downloaded(t, false)?;
            let blocks = t.subject().blocks();
            let odd: Vec<_> = requests.iter().filter(|block| !blocks.contains(block)).collect();
            Ok(but_for(&requests, &odd))
        },
    ),
    case(
        "bep3/leech/complete",
        SECTION,
        Must,
        "it asks for every byte once at least, and takes what comes",
        LEECH,
        |t| {
            let (requests, conn) = downloaded(t, false)?;
            let mut missing = 0_u64;
            for piece in 0..t.subject().pieces() {
                let asked: u64 = {
                    let mut of: Vec<_> = requests.iter().filter(|block| block.piece == piece).collect();
                    of.sort_unstable_by_key(|block| (block.begin, block.length));
                    of.dedup();
                    of.iter().map(|block| u64::from(block.length)).sum()
                };
                missing += u64::from(t.subject().length_of(piece)).saturating_sub(asked);
            }
            let after =
                t.heard(conn)?.iter().rev().take(50).any(|message| *message == Message::NotInterested);
            let after = after || t.is_closed(conn)?;
            let still = if after { "" } else { ", and it stays interested" };
            let note = format!("{} requests, {missing} bytes not asked for{still}", requests.len());
            Ok(Finding::of(missing == 0 && after, note))
        },
    ),
    case(
        "bep3/leech/only-what-is-had",
        SECTION,
        Must,
        "it asks only for pieces that the other has",
        LEECH,
        |t| {
            let conn = t.meet(PLAIN)?;
            let bits = t.subject().bitfield(|piece| piece == 1 || piece == 4);
            t.send(conn, &Message::Bitfield(bits.into()))?;
            t.await_interest(conn)?;
            t.send(conn, &Message::Unchoke)?;
            let time = within(t, 4);
            let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
            let requests = served.requests;
            let odd: Vec<_> = requests.iter().filter(|block| block.piece != 1 && block.piece != 4).collect();
            let finding = but_for(&requests, &odd);
            Ok(Finding { holds: finding.holds && requests.len() >= 8, ..finding }.expecting(
                "requests for the eight blocks of the two pieces that the other has, and no others",
            ))
        },
    ),
    case(
        "bep3/leech/not-interested",
        SECTION,
        Must,
        "it says so once it lacks nothing that the other has",
        LEECH,
        |t| {
            let conn = t.meet(PLAIN)?;
            t.send(conn, &Message::Have(2))?;
            t.await_interest(conn)?;
            t.send(conn, &Message::Unchoke)?;
            let time = within(t, 12);
            let since = t.now();
            let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
            let holds = served.end == Next::Message(Message::NotInterested);
            let asked = words::counted(served.requests.len(), "request");
            Ok(Finding {
                after: Some(t.now() - since),
                ..Finding::of(holds, format!("{asked}, then {}", served.end))
            })
        },
    ),
    case("bep3/leech/pipelined", SECTION, Should, "it keeps several requests outstanding", LEECH, |t| {
        let conn = t.as_seed(PLAIN)?;
        t.await_request(conn)?;
        let time = t.patience().min(Duration::from_secs(3));
        let said = t.read_for(conn, time)?;
        let more = said.iter().filter(|message| matches!(message, Message::Request(_))).count();
        Ok(Finding::of(more > 0, format!("{} before the first block", more + 1)))
    }),
    case(
        "bep3/leech/corrupt",
        SECTION,
        Must,
        "a piece that fails its hash is not said to be had",
        LEECH,
        |t| {
            let other = t.meet(PLAIN)?;
            let conn = t.as_seed(PLAIN)?;
            let since = t.now();
            let time = within(t, 4);
            let end = t.now() + time;
            let mut spoilt = 0;
            while t.now() < end {
                let left = end.saturating_sub(t.now());
                match t.next(conn, left)? {
                    Next::Message(Message::Request(block)) => {
                        wrong(t, conn, block)?;
                        spoilt += 1;
                    }
                    Next::Message(_) | Next::Handshake(_) => {}
                    Next::Closed | Next::Nothing | Next::Malformed(_) => break,
                }
            }
            let closed = t.is_closed(conn)?;
            let took = t.now() - since;
            let have =
                t.until(other, Duration::from_secs(1), |message| matches!(message, Message::Have(_)))?;
            let reaction = if closed { Reaction::Closes } else { Reaction::Ignores };
            let told = have.as_ref().map_or(String::new(), |have| format!(", then {}", words::message(have)));
            Ok(Finding {
                holds: have.is_none() && spoilt > 0,
                note: format!("{spoilt} wrong blocks were taken{told}"),
                ..Seen { reaction, after: took }.noted()
            })
        },
    ),
    case(
        "bep3/leech/corrupt-again",
        "every program",
        Should,
        "who sends nothing but wrong bytes is given up before the torrent's length is over three times",
        LEECH,
        |t| {
            let from = t.arm().fresh();
            let conn = t.dial_from(from)?;
            t.meet_on(conn, PLAIN)?;
            t.be_seed(conn)?;
            let most = 3 * t.subject().blocks().len();
            let mut spoilt = 0;
            let since = t.now();
            let time = within(t, 6);
            let ended = loop {
                match t.next(conn, time)? {
                    Next::Message(Message::Request(block)) if spoilt < most => {
                        wrong(t, conn, block)?;
                        spoilt += 1;
                    }
                    Next::Message(Message::Request(_)) => break false,
                    Next::Message(_) | Next::Handshake(_) => {}
                    Next::Closed | Next::Nothing | Next::Malformed(_) => break true,
                }
            };
            let took = t.now() - since;
            let mut reaction = if t.is_closed(conn)? { Reaction::Closes } else { Reaction::Ignores };
            if ended {
                // Whether it would take that address again.
                let again = t.dial_from(from).and_then(|conn| t.meet_on(conn, PLAIN));
                reaction = if again.is_err() { Reaction::Bans } else { reaction };
            }
            Ok(Finding {
                holds: ended,
                note: format!("{spoilt} wrong blocks were taken"),
                ..Seen { reaction, after: took }.noted()
            })
        },
    ),
    case(
        "bep3/leech/recovers",
        SECTION,
        Must,
        "it gets the right bytes from another after wrong ones",
        LEECH,
        |t| {
            let bad = t.as_seed(PLAIN)?;
            let block = t.await_request(bad)?;
            let piece = block.piece;
            wrong(t, bad, block)?;
            let time = within(t, 3);
            let end = t.now() + time;
            while t.now() < end {
                let left = end.saturating_sub(t.now());
                match t.next(bad, left)? {
                    Next::Message(Message::Request(block)) if block.piece == piece => wrong(t, bad, block)?,
                    Next::Message(_) | Next::Handshake(_) => {}
                    Next::Closed | Next::Nothing | Next::Malformed(_) => break,
                }
            }
            t.close(bad)?;
            let good = t.as_seed(PLAIN)?;
            let time = within(t, 20);
            let served = t.serve(good, time, |message| *message == Message::NotInterested)?;
            let again = served.requests.iter().any(|block| block.piece == piece);
            let complete = served.end == Next::Message(Message::NotInterested) || t.is_closed(good)?;
            let asked = words::counted(served.requests.len(), "request");
            let which = if again { "with" } else { "without" };
            let note =
                format!("{asked} to the second, {which} the piece that had failed, then {}", served.end);
            Ok(Finding::of(again && complete, note))
        },
    ),
    case(
        "bep3/leech/choke-drops",
        SECTION,
        Should,
        "what a choke has dropped is asked for again within 10 s of the unchoke",
        LEECH,
        |t| {
            let conn = t.as_seed(PLAIN)?;
            let block = t.await_request(conn)?;
            t.send(conn, &Message::Choke)?;
            let time = t.patience().min(Duration::from_secs(2));
            t.read_for(conn, time)?;
            t.send(conn, &Message::Unchoke)?;
            // Others may be asked for first.
            let time = within(t, 10);
            let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
            let again = served.requests.contains(&block);
            let whether = if again { "asked for again" } else { "not asked for again" };
            Ok(Finding::of(again, format!("{}: {whether}", words::block(&block))))
        },
    ),
    case(
        "bep3/leech/stops-when-choked",
        SECTION,
        Must,
        "after a choke it asks for nothing more",
        LEECH,
        |t| {
            let conn = t.as_seed(PLAIN)?;
            t.await_request(conn)?;
            t.send(conn, &Message::Choke)?;
            // What was on its way.
            t.read_for(conn, Duration::from_millis(700))?;
            let time = t.patience().min(Duration::from_secs(3));
            let asked = t.until(conn, time, |message| matches!(message, Message::Request(_)))?;
            Ok(Finding::of(asked.is_none(), words::came(asked.as_ref())))
        },
    ),
    case(
        "bep3/leech/block-long",
        "every program",
        Robust,
        "a block with a byte more than was asked for",
        LEECH,
        |t| odd_block(t, |block, data| (block.piece, block.begin, [&data[..], &[0]].concat().into())),
    ),
    case("bep3/leech/block-short", SECTION, May, "a block with a byte less than was asked for", LEECH, |t| {
        odd_block(t, |block, data| (block.piece, block.begin, data.slice(1..)))
    }),
    case("bep3/leech/block-empty", "every program", Robust, "a block without a byte", LEECH, |t| {
        odd_block(t, |block, _| (block.piece, block.begin, Bytes::new()))
    }),
    case(
        "bep3/leech/block-no-piece",
        "every program",
        Robust,
        "a block of a piece that does not exist",
        LEECH,
        |t| odd_block(t, |_, data| (u32::MAX, 0, data)),
    ),
    case(
        "bep3/leech/block-beyond",
        "every program",
        Robust,
        "a block that begins past the end of its piece",
        LEECH,
        |t| odd_block(t, |block, data| (block.piece, 0xffff_c000, data)),
    ),
    case("bep3/leech/block-2m", "every program", Robust, "a block of 2 MiB", LEECH, |t| {
        odd_block(t, |block, _| (block.piece, 0, Bytes::from(vec![1; 2 << 20])))
    }),
    case("bep3/leech/block-twice", SECTION, May, "a block that comes twice", LEECH, |t| {
        let conn = t.as_seed(PLAIN)?;
        let block = t.await_request(conn)?;
        let since = t.now();
        t.give(conn, block)?;
        t.give(conn, block)?;
        Ok(t.closes(conn, since)?.noted())
    }),
    case(
        "bep3/leech/unrequested-choked",
        SECTION,
        May,
        "a block while we choke it, without the fast extension",
        LEECH,
        |t| {
            let conn = t.meet(PLAIN)?;
            t.have_everything(conn)?;
            t.await_interest(conn)?;
            let block = t.subject().block(0);
            let since = t.now();
            t.give(conn, block)?;
            Ok(t.closes(conn, since)?.noted())
        },
    ),
    case(
        "bep3/leech/unchokes",
        SECTION,
        May,
        "whether a leech that has pieces unchokes who is interested and gives it nothing",
        LEECH,
        |t| {
            let (_, conn) = downloaded(t, false)?;
            t.close(conn)?;
            let since = t.now();
            let other = t.meet(PLAIN)?;
            t.want(other)?;
            Ok(t.goes_on(other, since)?.noted())
        },
    ),
    case(
        "bep3/leech/end-game",
        "BEP 3, peer messages: cancel",
        Should,
        "the last block is asked of everyone, and cancelled where it is not needed any more",
        LEECH,
        |t| {
            let (first, second) = (t.as_seed(PLAIN)?, t.as_seed(PLAIN)?);
            let mut held: Option<RawBlock> = None;
            let end = t.now() + within(t, 20);
            // Everything but one block; then see who is asked for that.
            let mut askers = [false; 2];
            while t.now() < end && askers != [true; 2] {
                for (at, conn) in [first, second].into_iter().enumerate() {
                    match t.next(conn, Duration::from_millis(20))? {
                        Next::Message(Message::Request(block)) => {
                            let keep = *held.get_or_insert(block);
                            match block == keep {
                                true => askers[at] = true,
                                false => t.give(conn, block)?,
                            }
                        }
                        Next::Closed => return Err(Halt::Stuck("it closed".to_owned())),
                        _ => {}
                    }
                }
            }
            let Some(block) = held.filter(|_| askers == [true; 2]) else {
                return Ok(Finding::breaks("the last block was asked of one of two only"));
            };
            t.give(first, block)?;
            let time = within(t, 3);
            let cancel = t.until(second, time, |message| *message == Message::Cancel(block))?;
            // A complete one may as well close.
            let closed = t.is_closed(second)?;
            Ok(Finding::of(
                cancel.is_some() || closed,
                match (&cancel, closed) {
                    (Some(_), _) => "asked of both, and cancelled",
                    (None, true) => "asked of both, and closed once it was complete",
                    (None, false) => "asked of both, and not cancelled",
                },
            ))
        },
    ),
    case(
        "bep3/sender/leech",
        "BEP 3, BEP 6, BEP 10",
        Must,
        "a leech breaks no rule of conduct while it gets the whole torrent",
        LEECH,
        |t| {
            let (_, conn) = downloaded(t, true)?;
            conduct(t, conn, true)
        },
    ),
    case(
        "bep3/sender/leech-plain",
        "BEP 3",
        Must,
        "a leech breaks no rule of conduct with who speaks neither BEP 6 nor BEP 10",
        LEECH,
        |t| {
            let (_, conn) = downloaded(t, false)?;
            conduct(t, conn, true)
        },
    ),
    case(
        "bep3/sender/manners",
        "BEP 3",
        Should,
        "a leech says nothing twice: haves, interest, chokes, requests",
        LEECH,
        |t| {
            let (_, conn) = downloaded(t, true)?;
            conduct(t, conn, false)
        },
    ),
];
