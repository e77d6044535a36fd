//! The language of cases: connections to a target, what is said on them, and what the target does about it.
//!
//! Everything that the target says is also held against the model of [`conduct`](crate::conduct), so that any case
//! may ask what it has broken ([`Talk::breaches`]).

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use engine::peer::{Input, Output};
use engine::wire::{Decoded, Decoder, ExtendedHandshake, HANDSHAKE_LENGTH, Limits, WireError, encode};
use engine::{ConnId, Handshake, InfoHash, Message, PeerId, RawBlock};

use super::arm::{Answer, Arm, Asked, Heard, Link};
use super::case::Halt;
use super::subject::Subject;
use crate::conduct::{Breach, Conduct};
use crate::words;

/// A connection of a case, by number.
pub type Conn = usize;

/// No reserved bit.
pub const PLAIN: [u8; 8] = [0; 8];
/// BEP 6.
pub const FAST: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x04];
/// BEP 10.
pub const EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];
/// BEP 6 and BEP 10.
pub const BOTH: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];

/// What may be said on a connection is kept, up to so many bytes: many times what any case asks for.
const MOST_HELD: usize = 64 << 20;
/// The number by which the only connection of a model is known.
const ONLY: ConnId = ConnId(0);

/// What came of waiting for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The target's handshake.
    Handshake(Handshake),
    /// A message.
    Message(Message),
    /// The target has closed the connection.
    Closed,
    /// Nothing came in all the time.
    Nothing,
    /// What came is no message.
    Malformed(WireError),
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(_) => f.write_str("a handshake"),
            Self::Message(message) => f.write_str(&words::message(message)),
            Self::Closed => f.write_str("it closed"),
            Self::Nothing => f.write_str("nothing more came"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

/// One connection.
struct Line {
    link: Link,
    from: Ipv4Addr,
    decoder: Decoder,
    /// All bytes that came, up to a handshake's.
    first: Vec<u8>,
    unread: VecDeque<Decoded>,
    broken: Option<WireError>,
    closed: bool,
    ours: Option<Handshake>,
    theirs: Option<Handshake>,
    heard: Vec<Message>,
    /// Bytes of those.
    held: usize,
    model: Conduct,
}

/// A case's hold on its target. See the module.
pub struct Talk<'a> {
    arm: &'a mut dyn Arm,
    lines: Vec<Line>,
    ids: u8,
    info_hash: InfoHash,
}

impl<'a> Talk<'a> {
    /// A case begins.
    pub fn new(arm: &'a mut dyn Arm) -> Self {
        let info_hash = arm.subject().metainfo.info_hash;
        Self { arm, lines: Vec::new(), ids: 0, info_hash }
    }

    /// What comes after a case begins: its peer ids are none of the case's.
    pub fn after(arm: &'a mut dyn Arm) -> Self {
        Self { ids: 128, ..Self::new(arm) }
    }

    /// What is shared.
    pub fn subject(&self) -> &Subject {
        self.arm.subject()
    }

    /// How long a reaction may take before there is none.
    pub fn patience(&self) -> Duration {
        self.arm.patience()
    }

    /// Since the case began.
    pub fn now(&self) -> Duration {
        self.arm.now()
    }

    /// The arm itself.
    pub fn arm(&mut self) -> &mut dyn Arm {
        self.arm
    }

    /// Lets time go by.
    pub fn sleep(&mut self, time: Duration) {
        self.arm.sleep(time);
    }

    /// From here on handshakes name another torrent: one with the subject's content, by another file.
    pub fn name(&mut self, info_hash: InfoHash) {
        self.info_hash = info_hash;
    }

    /// A peer id that none of our connections has had.
    pub fn peer_id(&mut self) -> PeerId {
        self.ids += 1;
        let mut id = *b"-XX0001-conformance.";
        id[19] = self.ids;
        PeerId(id)
    }

    fn line(&mut self, conn: Conn) -> Result<&mut Line, Halt> {
        self.lines.get_mut(conn).ok_or_else(|| Halt::Stuck("there is no such connection".to_owned()))
    }

    fn add(&mut self, link: Link, from: Ipv4Addr, outgoing: bool) -> Conn {
        let layout = self.arm.subject().layout();
        let mut model = Conduct::new(layout);
        model.input(&Input::Connected { conn: ONLY, addr: (from, 0).into(), outgoing: !outgoing });
        self.lines.push(Line {
            link,
            from,
            decoder: Decoder::new(Limits { block: 4 << 20, unknown: 1 << 20, ..Limits::default() }),
            first: Vec::new(),
            unread: VecDeque::new(),
            broken: None,
            closed: false,
            ours: None,
            theirs: None,
            heard: Vec::new(),
            held: 0,
            model,
        });
        self.lines.len() - 1
    }

    /// Dials the target from an address that is new to it.
    pub fn dial(&mut self) -> Result<Conn, Halt> {
        let from = self.arm.fresh();
        self.dial_from(from)
    }

    /// Dials the target from an address.
    pub fn dial_from(&mut self, from: Ipv4Addr) -> Result<Conn, Halt> {
        let link = self.arm.dial(from).ok_or_else(|| Halt::Stuck("it takes no connection".to_owned()))?;
        Ok(self.add(link, from, true))
    }

    /// The address that a connection comes from.
    pub fn address(&mut self, conn: Conn) -> Result<Ipv4Addr, Halt> {
        Ok(self.line(conn)?.from)
    }

    /// Waits until the target has dialled the given one of our addresses.
    pub fn accept(&mut self, at: usize, within: Duration) -> Result<Conn, Halt> {
        let link = self.arm.accept(at, within);
        let link =
            link.ok_or_else(|| Halt::Stuck(format!("it has not dialled us within {}", words::time(within))))?;
        Ok(self.add(link, Ipv4Addr::LOCALHOST, false))
    }

    /// Waits until the target has dialled one of our addresses and sent its handshake. Some try encryption first, and
    /// dial again when that is closed.
    pub fn accept_greeted(&mut self, at: usize, within: Duration) -> Result<(Conn, Handshake), Halt> {
        let end = self.now() + within;
        loop {
            let left = end.saturating_sub(self.now());
            let conn = self.accept(at, left)?;
            match self.await_handshake(conn) {
                Ok(handshake) => return Ok((conn, handshake)),
                Err(halt) => match self.line(conn)?.broken {
                    Some(_) => self.close(conn)?,
                    None => return Err(halt),
                },
            }
        }
    }

    /// Sends bytes as they are. That the connection is gone shows when it is heard.
    pub fn raw(&mut self, conn: Conn, bytes: &[u8]) -> Result<(), Halt> {
        let link = self.line(conn)?.link;
        self.arm.send(link, bytes);
        Ok(())
    }

    /// Our handshake of a torrent with these reserved bits, a peer id of its own.
    pub fn handshake(&mut self, reserved: [u8; 8]) -> Handshake {
        let peer_id = self.peer_id();
        Handshake { reserved, info_hash: self.info_hash, peer_id }
    }

    /// Sends a handshake.
    pub fn greet(&mut self, conn: Conn, handshake: Handshake) -> Result<(), Halt> {
        let line = self.line(conn)?;
        line.ours = Some(handshake);
        line.model.input(&Input::Handshake { conn: ONLY, handshake });
        self.raw(conn, &handshake.to_bytes())
    }

    /// Sends the same bytes many times, until the connection takes no more: how many were sent.
    pub fn flood(&mut self, conn: Conn, bytes: &[u8], times: usize) -> Result<usize, Halt> {
        let link = self.line(conn)?.link;
        let mut sent = 0;
        for _ in 0..times {
            if self.arm.is_over() || !self.arm.send(link, bytes) {
                break;
            }
            sent += bytes.len();
        }
        Ok(sent)
    }

    /// Sends a message.
    pub fn send(&mut self, conn: Conn, message: &Message) -> Result<(), Halt> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.line(conn)?.model.input(&Input::Message { conn: ONLY, message: message.clone() });
        self.raw(conn, &bytes)
    }

    /// Sends a request.
    pub fn request(&mut self, conn: Conn, piece: u32, begin: u32, length: u32) -> Result<(), Halt> {
        self.send(conn, &Message::Request(RawBlock { piece, begin, length }))
    }

    /// Sends an extended message (BEP 10).
    pub fn extended(&mut self, conn: Conn, id: u8, payload: impl Into<Bytes>) -> Result<(), Halt> {
        self.send(conn, &Message::Extended { id, payload: payload.into() })
    }

    /// Closes a connection.
    pub fn close(&mut self, conn: Conn) -> Result<(), Halt> {
        let link = self.line(conn)?.link;
        self.arm.close(link);
        Ok(())
    }

    /// What comes next.
    pub fn next(&mut self, conn: Conn, within: Duration) -> Result<Next, Halt> {
        let end = self.now() + within;
        loop {
            let line = self.line(conn)?;
            if line.held > MOST_HELD {
                return Err(Halt::Stuck(format!(
                    "it says more than {} MiB on a connection",
                    MOST_HELD >> 20
                )));
            }
            if let Some(decoded) = line.unread.pop_front() {
                return Ok(line.take(decoded));
            }
            if let Some(error) = line.broken {
                return Ok(Next::Malformed(error));
            }
            if line.closed {
                return Ok(Next::Closed);
            }
            let link = line.link;
            let left = end.saturating_sub(self.now());
            match self.arm.hear(link, left) {
                Heard::Bytes(bytes) => self.line(conn)?.feed(&bytes),
                Heard::Closed => self.line(conn)?.closed = true,
                Heard::Nothing => return Ok(Next::Nothing),
            }
        }
    }

    /// Waits for bytes before they are a handshake: all that have come, and whether the target has closed.
    pub fn first_bytes(
        &mut self,
        conn: Conn,
        enough: usize,
        within: Duration,
    ) -> Result<(Vec<u8>, bool), Halt> {
        let end = self.now() + within;
        loop {
            let line = self.line(conn)?;
            if line.first.len() >= enough || line.closed {
                return Ok((line.first.clone(), line.closed));
            }
            let link = line.link;
            let left = end.saturating_sub(self.now());
            match self.arm.hear(link, left) {
                Heard::Bytes(bytes) => self.line(conn)?.feed(&bytes),
                Heard::Closed => self.line(conn)?.closed = true,
                Heard::Nothing => return Ok((self.line(conn)?.first.clone(), false)),
            }
        }
    }

    /// The first message that is `wanted`, those before it read; `None` if the connection ends or time does.
    pub fn until(
        &mut self,
        conn: Conn,
        within: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<Message>, Halt> {
        let end = self.now() + within;
        loop {
            let left = end.saturating_sub(self.now());
            match self.next(conn, left)? {
                Next::Message(message) if wanted(&message) => return Ok(Some(message)),
                Next::Message(_) | Next::Handshake(_) => {}
                Next::Closed | Next::Nothing | Next::Malformed(_) => return Ok(None),
            }
        }
    }

    /// Reads all that comes in so much time, or until the connection ends.
    pub fn read_for(&mut self, conn: Conn, time: Duration) -> Result<Vec<Message>, Halt> {
        let before = self.line(conn)?.heard.len();
        self.until(conn, time, |_| false)?;
        Ok(self.line(conn)?.heard[before..].to_vec())
    }

    /// All messages that have been read.
    pub fn heard(&mut self, conn: Conn) -> Result<&[Message], Halt> {
        Ok(&self.line(conn)?.heard)
    }

    /// The target's handshake, if it has been read.
    pub fn theirs(&mut self, conn: Conn) -> Result<Option<Handshake>, Halt> {
        Ok(self.line(conn)?.theirs)
    }

    /// Whether the target is known to have closed the connection.
    pub fn is_closed(&mut self, conn: Conn) -> Result<bool, Halt> {
        Ok(self.line(conn)?.closed)
    }

    /// What the target has broken on a connection.
    pub fn breaches(&mut self, conn: Conn) -> Result<Vec<Breach>, Halt> {
        Ok(self.line(conn)?.model.breaches().to_vec())
    }

    /// Waits for the target's handshake.
    pub fn await_handshake(&mut self, conn: Conn) -> Result<Handshake, Halt> {
        let within = self.patience().max(Duration::from_secs(5));
        match self.next(conn, within)? {
            Next::Handshake(handshake) => Ok(handshake),
            Next::Closed => Err(Halt::Stuck("it closed before its handshake".to_owned())),
            Next::Malformed(error) => Err(Halt::Stuck(format!("its first bytes are no handshake: {error}"))),
            Next::Nothing | Next::Message(_) => {
                Err(Halt::Stuck(format!("it sent no handshake within {}", words::time(within))))
            }
        }
    }

    /// Dials, and exchanges handshakes.
    pub fn meet(&mut self, reserved: [u8; 8]) -> Result<Conn, Halt> {
        let conn = self.dial()?;
        self.meet_on(conn, reserved)?;
        Ok(conn)
    }

    /// Exchanges handshakes on a connection.
    pub fn meet_on(&mut self, conn: Conn, reserved: [u8; 8]) -> Result<(), Halt> {
        let handshake = self.handshake(reserved);
        self.greet(conn, handshake)?;
        let theirs = self.await_handshake(conn)?;
        // A case that needs an extension that the target lacks does not apply to it.
        if reserved[7] & 0x04 != 0 && !theirs.fast() {
            return Err(Halt::Skip("it does not speak the fast extension (BEP 6)".to_owned()));
        }
        if reserved[5] & 0x10 != 0 && !theirs.extended() {
            return Err(Halt::Skip("it does not speak the extension protocol (BEP 10)".to_owned()));
        }
        Ok(())
    }

    /// Whether both ends speak the fast extension.
    pub fn is_fast(&mut self, conn: Conn) -> Result<bool, Halt> {
        let line = self.line(conn)?;
        Ok(line.ours.is_some_and(|h| h.fast()) && line.theirs.is_some_and(|h| h.fast()))
    }

    /// As [`meet`](Self::meet), and has the target unchoke us, who have nothing and are interested.
    pub fn unchoked(&mut self, reserved: [u8; 8]) -> Result<Conn, Halt> {
        let conn = self.meet(reserved)?;
        self.want(conn)?;
        Ok(conn)
    }

    /// As [`meet`](Self::meet) with both bits, whichever the target has.
    pub fn meet_freely(&mut self) -> Result<Conn, Halt> {
        let conn = self.dial()?;
        let handshake = self.handshake(BOTH);
        self.greet(conn, handshake)?;
        if self.await_handshake(conn)?.extended() {
            // Some wait for it.
            self.extended(conn, 0, Bytes::from_static(b"d1:mdee"))?;
        }
        Ok(conn)
    }

    /// As [`unchoked`](Self::unchoked) with both bits, whichever the target has.
    pub fn unchoked_freely(&mut self) -> Result<Conn, Halt> {
        let conn = self.meet_freely()?;
        self.want(conn)?;
        Ok(conn)
    }

    /// As [`as_seed`](Self::as_seed) with both bits, whichever the target has.
    pub fn as_seed_freely(&mut self) -> Result<Conn, Halt> {
        let conn = self.meet_freely()?;
        self.be_seed(conn)?;
        Ok(conn)
    }

    /// Says that we have nothing and are interested, and waits to be unchoked.
    pub fn want(&mut self, conn: Conn) -> Result<(), Halt> {
        if self.is_fast(conn)? {
            self.send(conn, &Message::HaveNone)?;
        }
        self.send(conn, &Message::Interested)?;
        // A choke round is 10 s, and may take two for who is new.
        let within = Duration::from_secs(35);
        match self.until(conn, within, |message| *message == Message::Unchoke)? {
            Some(_) => Ok(()),
            None => Err(Halt::Stuck(format!("it did not unchoke us within {}", words::time(within)))),
        }
    }

    /// Dials, exchanges handshakes, and is a seed to the target: says that it has everything and unchokes once the
    /// target is interested.
    pub fn as_seed(&mut self, reserved: [u8; 8]) -> Result<Conn, Halt> {
        let conn = self.meet(reserved)?;
        self.be_seed(conn)?;
        Ok(conn)
    }

    /// The same on a connection that has its handshakes.
    pub fn be_seed(&mut self, conn: Conn) -> Result<(), Halt> {
        self.have_everything(conn)?;
        self.await_interest(conn)?;
        self.send(conn, &Message::Unchoke)
    }

    /// Says that we have every piece.
    pub fn have_everything(&mut self, conn: Conn) -> Result<(), Halt> {
        let message = match self.is_fast(conn)? {
            true => Message::HaveAll,
            false => Message::Bitfield(self.subject().bitfield(|_| true).into()),
        };
        self.send(conn, &message)
    }

    /// Waits until the target is interested.
    pub fn await_interest(&mut self, conn: Conn) -> Result<(), Halt> {
        if self.line(conn)?.heard.contains(&Message::Interested) {
            return Ok(());
        }
        let within = self.patience().max(Duration::from_secs(25));
        match self.until(conn, within, |message| *message == Message::Interested)? {
            Some(_) => Ok(()),
            None => Err(Halt::Stuck("it did not become interested".to_owned())),
        }
    }

    /// The target's next request.
    pub fn await_request(&mut self, conn: Conn) -> Result<RawBlock, Halt> {
        let within = self.patience().max(Duration::from_secs(20));
        match self.until(conn, within, |message| matches!(message, Message::Request(_)))? {
            Some(Message::Request(block)) => Ok(block),
            _ => Err(Halt::Stuck("it asked for nothing".to_owned())),
        }
    }

    /// Sends a block's right bytes.
    pub fn give(&mut self, conn: Conn, block: RawBlock) -> Result<(), Halt> {
        let data = self.subject().bytes(&block);
        let data = data.ok_or_else(|| {
            Halt::Stuck(format!("it asked for what is not there: {}", words::block(&block)))
        })?;
        self.send(conn, &Message::Piece { piece: block.piece, begin: block.begin, data })
    }

    /// Answers every request for so long, or until `done` says so of a message that comes.
    pub fn serve(
        &mut self,
        conn: Conn,
        time: Duration,
        done: impl Fn(&Message) -> bool,
    ) -> Result<Served, Halt> {
        let end = self.now() + time;
        let mut served = Served { requests: Vec::new(), end: Next::Nothing };
        loop {
            let left = end.saturating_sub(self.now());
            match self.next(conn, left)? {
                Next::Message(Message::Request(block)) => {
                    served.requests.push(block);
                    // What is no block of the torrent is noted, not served.
                    if self.subject().bytes(&block).is_some() {
                        self.give(conn, block)?;
                    }
                }
                Next::Message(message) if done(&message) => {
                    served.end = Next::Message(message);
                    return Ok(served);
                }
                Next::Message(_) | Next::Handshake(_) => {}
                end => {
                    served.end = end;
                    return Ok(served);
                }
            }
        }
    }

    /// What the target says of itself by BEP 10.
    pub fn await_extended(&mut self, conn: Conn) -> Result<ExtendedHandshake, Halt> {
        let is = |message: &Message| matches!(message, Message::Extended { id: 0, .. });
        let earlier = self.line(conn)?.heard.iter().find(|message| is(message)).cloned();
        let within = self.patience().max(Duration::from_secs(5));
        let message = match earlier {
            Some(message) => Some(message),
            None => self.until(conn, within, is)?,
        };
        let Some(Message::Extended { payload, .. }) = message else {
            return Err(Halt::Stuck("it sent no extended handshake".to_owned()));
        };
        ExtendedHandshake::from_bytes(&payload).map_err(|error| Halt::Stuck(error.to_string()))
    }

    /// The next question to a tracker of ours.
    pub fn asked(&mut self, within: Duration) -> Result<Asked, Halt> {
        let asked = self.arm.asked(within);
        asked.ok_or_else(|| Halt::Stuck(format!("it asked no tracker within {}", words::time(within))))
    }

    /// Answers one.
    pub fn answer(&mut self, asked: &Asked, answer: Answer) -> Result<(), Halt> {
        self.arm.answer(asked.ticket, answer).map_err(|not| Halt::Skip(not.0))
    }
}

/// What came of serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// All that was asked for, in order.
    pub requests: Vec<RawBlock>,
    /// How it ended.
    pub end: Next,
}

impl Line {
    fn feed(&mut self, bytes: &[u8]) {
        let room = HANDSHAKE_LENGTH.saturating_sub(self.first.len());
        self.first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.decoder.feed(bytes);
        loop {
            match self.decoder.poll() {
                Ok(Some(decoded)) => self.unread.push_back(decoded),
                Ok(None) => return,
                Err(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    fn take(&mut self, decoded: Decoded) -> Next {
        match decoded {
            Decoded::Handshake(handshake) => {
                self.model.output(&Output::SendHandshake { conn: ONLY, handshake });
                self.theirs = Some(handshake);
                Next::Handshake(handshake)
            }
            Decoded::Message(message) => {
                self.model.output(&Output::Send { conn: ONLY, message: message.clone() });
                self.held += message.wire_length() as usize + size_of::<Message>();
                self.heard.push(message.clone());
                Next::Message(message)
            }
        }
    }
}
