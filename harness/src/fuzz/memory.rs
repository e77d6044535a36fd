//! Dialogues with the engine in memory and in virtual time: a dialogue of an hour takes a few milliseconds, and
//! always goes the same way.
//!
//! - All that is said goes through bytes, both ways: the engine's decoder reads the remotes, and a decoder of ours the
//!   engine.
//! - Held are: no panic, what the judge (`judge.rs`) holds, and that an honest remote, who comes half-way, is served to
//!   the last byte within an hour after the dialogue (and the peer by it).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::peer::{Input, Output};
use engine::tracker::AnnounceReply;
use engine::wire::{Decoded, Message, encode};
use engine::{BlockRef, ConnId, Instant, Peer};
use rustc_hash::FxHashMap;

use super::dialogue::{Dialogue, REMOTES, Role, Serve};
use super::finding::Finding;
use super::judge::Judge;
use super::machine::{Machine, PORT, engine, honest_addr, peer, target_addr};
use super::remote::Remote;
use super::stage::Stage;
use super::subject::Subject;
use crate::conduct::Conduct;
use crate::{panics, words};

/// Bytes that the process, or whatever is watched, holds now.
pub type Meter = fn() -> u64;
/// What makes the peer that is spoken to.
pub type Make = Box<dyn Fn(Role, &Arc<Subject>) -> Option<Box<dyn Machine>> + Send + Sync>;

/// The longest wait for what is awaited.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait for each request that is to be served.
const SERVES: Duration = Duration::from_secs(20);
/// The honest remote is to be done this long after the dialogue.
const HOUR: Duration = Duration::from_secs(3600);
/// A message takes this long to the honest remote and from it.
const LATENCY: Duration = Duration::from_millis(10);
/// The disk, and the network for what is sent.
const DISK: Duration = Duration::from_millis(1);
/// The honest remote's connection; those of the others have their numbers.
const HONEST: ConnId = ConnId(0);

/// What came of a dialogue.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub found: Option<Finding>,
    /// Messages that the peer said to the remotes of the dialogue.
    pub said: u64,
    /// Why the peer closed connections of theirs, in order.
    pub closed: Vec<engine::peer::DisconnectReason>,
    /// Whether what was awaited came, each time.
    pub awaited: Vec<bool>,
    /// Rules that the remotes broke, if [`Memory::judge_remotes`] is set.
    pub remotes: Vec<crate::conduct::Breach>,
    /// Payload bytes of the dialogue's remotes that the peer kept.
    pub written: u64,
}

/// The arm in memory.
pub struct Memory {
    make: Make,
    /// Measures what is held besides the peer's own account, if that is to be bounded: for tests of that account.
    pub meter: Option<Meter>,
    /// Hold the remotes to the rules, too: for dialogues that are meant to be legal.
    pub judge_remotes: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(Box::new(engine))
    }
}

impl Memory {
    /// With another peer than the engine's.
    pub fn of(make: Make) -> Self {
        Self { make, meter: None, judge_remotes: false }
    }

    /// Holds a dialogue.
    pub fn hold(&self, dialogue: &Dialogue) -> Outcome {
        let Ok(subject) = Subject::new(dialogue.total, dialogue.piece_length) else {
            return Outcome::default();
        };
        let subject = Arc::new(subject);
        let Some(target) = (self.make)(dialogue.role, &subject) else { return Outcome::default() };
        let mut rig = Rig::new(subject, target, dialogue.role, self);
        if let Err(panic) = panics::caught(|| rig.hold(dialogue)) {
            rig.judge.found = Some(Finding::Panic { at: panic.at, message: panic.message });
        }
        Outcome { found: rig.judge.found, ..rig.outcome }
    }
}

/// Who is told.
enum To {
    Target,
    Honest,
}

/// One remote of the dialogue, and its connection.
struct Line {
    open: bool,
    end: Remote,
    /// The rules, from its end.
    conduct: Option<Conduct>,
}

struct Rig<'a> {
    subject: Arc<Subject>,
    target: Box<dyn Machine>,
    honest: Option<Peer>,
    /// Whether the peer has a connection to it, and it to the peer.
    honest_is_open: bool,
    honest_knows: bool,
    role: Role,
    now: Instant,
    queue: BTreeMap<(Instant, u64), (To, Input)>,
    queued: u64,
    lines: Vec<Line>,
    judge: Judge,
    /// The blocks that the peer has kept, and whether they are right.
    disk: FxHashMap<BlockRef, bool>,
    outcome: Outcome,
    arm: &'a Memory,
}

impl<'a> Rig<'a> {
    fn new(subject: Arc<Subject>, target: Box<dyn Machine>, role: Role, arm: &'a Memory) -> Self {
        Self {
            judge: Judge::new(*subject.layout(), arm.meter),
            honest: peer(&subject, role != Role::Seed, 2, honest_addr()),
            subject,
            target,
            honest_is_open: false,
            honest_knows: false,
            role,
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            lines: (0..=REMOTES).map(|_| Line { open: false, end: Remote::new(), conduct: None }).collect(),
            disk: FxHashMap::default(),
            outcome: Outcome::default(),
            arm,
        }
    }

    fn hold(&mut self, dialogue: &Dialogue) {
        self.tell(Input::Start);
        for (at, step) in dialogue.steps.iter().enumerate() {
            if at == dialogue.steps.len() / 2 {
                self.invite();
            }
            self.judge.step();
            self.wait(step.wait, |_| false);
            self.act(step);
            if self.is_over() {
                return;
            }
        }
        self.invite();
        self.judge.step();
        self.wait(HOUR, Self::is_served);
        if !self.is_over() && !self.is_served() {
            let why = match self.role {
                Role::Seed => "it has not got the torrent within an hour",
                Role::Leech | Role::Magnet => "the peer has not got the torrent from it within an hour",
            };
            self.judge.find(Finding::Unserved(why.into()));
        }
        for line in &mut self.lines {
            let breaches = line.conduct.take();
            self.outcome.remotes.extend(breaches.iter().flat_map(|conduct| conduct.breaches().to_vec()));
        }
    }

    fn is_served(&mut self) -> bool {
        match self.role {
            Role::Seed => self.honest.as_ref().is_none_or(Peer::is_complete),
            Role::Leech | Role::Magnet => self.target.is_done(),
        }
    }

    /// The honest remote comes, once, and again if it was turned away.
    fn invite(&mut self) {
        let Some(honest) = &mut self.honest else { return };
        if honest.poll_timeout().is_none() {
            honest.handle_input(self.now, Input::Start);
            self.drain_honest();
            let reply = AnnounceReply { peers: vec![target_addr()], ..AnnounceReply::default() };
            self.tell_honest(Input::Announced(Ok(Box::new(reply))));
        }
    }

    fn put(&mut self, after: Duration, to: To, input: Input) {
        self.queued += 1;
        self.queue.insert((self.now + after, self.queued), (to, input));
    }

    /// Tells the peer, unless the connection is gone.
    fn tell(&mut self, input: Input) {
        let conn = match &input {
            Input::Handshake { conn, .. }
            | Input::Message { conn, .. }
            | Input::Malformed { conn, .. }
            | Input::Sent { conn, .. }
            | Input::BlockRead { conn, .. }
            | Input::Closed { conn } => Some(*conn),
            _ => None,
        };
        if conn.is_some_and(|conn| !self.has_open(conn)) {
            return;
        }
        if !self.judge.input(&input) {
            return;
        }
        if let Input::Closed { conn } = &input {
            self.shut(*conn);
        }
        self.target.input(self.now, input);
        self.drain();
        while self.target.turn(self.now) {
            self.drain();
        }
        let unfinished: u64 = self.lines.iter().map(|line| line.end.unfinished()).sum();
        self.judge.settled(self.target.holds() + unfinished);
    }

    fn drain(&mut self) {
        while let Some(output) = self.target.output() {
            if !self.judge.output(&output) {
                return;
            }
            self.carry(output);
        }
    }

    fn has_open(&self, conn: ConnId) -> bool {
        match conn {
            HONEST => self.honest_is_open,
            _ => self.lines.get(conn.index()).is_some_and(|line| line.open),
        }
    }

    fn shut(&mut self, conn: ConnId) {
        match conn {
            HONEST => self.honest_is_open = false,
            _ => {
                if let Some(line) = self.lines.get_mut(conn.index()) {
                    line.open = false;
                    line.end.hung_up();
                }
            }
        }
    }

    /// Does what the peer says.
    fn carry(&mut self, output: Output) {
        match output {
            // Nobody listens but the honest remote, and it dials itself.
            Output::Connect { addr } => self.put(LATENCY, To::Target, Input::ConnectFailed { addr }),
            Output::Disconnect { conn, reason } => {
                self.shut(conn);
                match conn {
                    HONEST => self.put(LATENCY, To::Honest, Input::Closed { conn: HONEST }),
                    _ => self.outcome.closed.push(reason),
                }
            }
            Output::SendHandshake { conn: HONEST, handshake } => {
                self.put(LATENCY, To::Honest, Input::Handshake { conn: HONEST, handshake });
            }
            Output::SendHandshake { conn, handshake } => self.hear(conn, &handshake.to_bytes()),
            Output::Send { conn, message } => {
                if let Message::Piece { data, .. } = &message {
                    self.put(DISK, To::Target, Input::Sent { conn, bytes: data.len() as u32 });
                }
                if conn == HONEST {
                    return self.put(LATENCY, To::Honest, Input::Message { conn, message });
                }
                self.outcome.said += 1;
                let mut bytes = Vec::new();
                encode(&message, &mut bytes);
                self.hear(conn, &bytes);
            }
            Output::ReadBlock { conn, block } => {
                let data = Some(self.subject.bytes_of(block.into()));
                self.put(DISK, To::Target, Input::BlockRead { conn, block, data });
            }
            Output::WriteBlock { block, data } => {
                self.outcome.written += data.len() as u64;
                let good = self.subject.bytes_of(block.into()) == data;
                self.disk.insert(block, good);
            }
            Output::VerifyPiece { piece } => {
                let layout = *self.subject.layout();
                let mut blocks = (0..layout.blocks_in(piece)).filter_map(|n| layout.nth_block(piece, n));
                let ok = blocks.all(|block| self.disk.get(&block) == Some(&true));
                self.put(DISK, To::Target, Input::PieceVerified { piece, ok });
            }
            Output::Announce(_) => {
                let reply = AnnounceReply { interval: Duration::from_secs(1800), ..AnnounceReply::default() };
                self.put(LATENCY, To::Target, Input::Announced(Ok(Box::new(reply))));
            }
            Output::Event(_) => {}
        }
    }
}

/// The honest remote, and those of the dialogue.
impl Rig<'_> {
    fn tell_honest(&mut self, input: Input) {
        let now = self.now;
        let Some(honest) = &mut self.honest else { return };
        let gone = match &input {
            Input::Handshake { .. } | Input::Message { .. } | Input::Closed { .. } => !self.honest_knows,
            _ => false,
        };
        match &input {
            Input::Connected { .. } => self.honest_knows = true,
            Input::Closed { .. } => self.honest_knows = false,
            _ => {}
        }
        if !gone {
            honest.handle_input(now, input);
            self.drain_honest();
        }
    }

    fn drain_honest(&mut self) {
        while let Some(output) = self.honest.as_mut().and_then(Peer::poll_output) {
            self.carry_honest(output);
        }
    }

    fn carry_honest(&mut self, output: Output) {
        match output {
            Output::Connect { addr } if addr == target_addr() => {
                self.honest_is_open = true;
                // A dialler's port says nothing.
                let from = SocketAddr::new(honest_addr().ip(), 40_000);
                self.put(LATENCY, To::Target, Input::Connected { conn: HONEST, addr: from, outgoing: false });
                self.put(LATENCY, To::Honest, Input::Connected { conn: HONEST, addr, outgoing: true });
            }
            Output::Connect { addr } => self.put(LATENCY, To::Honest, Input::ConnectFailed { addr }),
            Output::Disconnect { .. } => {
                self.honest_knows = false;
                self.put(LATENCY, To::Target, Input::Closed { conn: HONEST });
            }
            Output::SendHandshake { handshake, .. } => {
                self.put(LATENCY, To::Target, Input::Handshake { conn: HONEST, handshake });
            }
            Output::Send { conn, message } => {
                if let Message::Piece { data, .. } = &message {
                    self.put(DISK, To::Honest, Input::Sent { conn, bytes: data.len() as u32 });
                }
                self.put(LATENCY, To::Target, Input::Message { conn, message });
            }
            Output::ReadBlock { conn, block } => {
                let data = Some(self.subject.bytes_of(block.into()));
                self.put(DISK, To::Honest, Input::BlockRead { conn, block, data });
            }
            Output::WriteBlock { block, data } => {
                if self.subject.bytes_of(block.into()) != data {
                    let block = words::block(&block.into());
                    self.judge.find(Finding::Unserved(format!("it was sent a wrong block: {block}")));
                }
            }
            Output::VerifyPiece { piece } => {
                self.put(DISK, To::Honest, Input::PieceVerified { piece, ok: true });
            }
            Output::Announce(_) => {
                let interval = Duration::from_secs(120);
                let reply =
                    AnnounceReply { interval, peers: vec![target_addr()], ..AnnounceReply::default() };
                self.put(LATENCY, To::Honest, Input::Announced(Ok(Box::new(reply))));
            }
            Output::Event(_) => {}
        }
    }

    /// The next thing that a remote has said, whole.
    fn spoken(&mut self, number: u8, decoded: Decoded) {
        let conn = ConnId(number.into());
        let conduct = &mut self.line(number).conduct;
        let input = match decoded {
            Decoded::Handshake(handshake) => {
                if let Some(conduct) = conduct {
                    conduct.output(&Output::SendHandshake { conn, handshake });
                }
                Input::Handshake { conn, handshake }
            }
            Decoded::Message(message) => {
                if let Some(conduct) = conduct {
                    conduct.output(&Output::Send { conn, message: message.clone() });
                }
                Input::Message { conn, message }
            }
        };
        self.tell(input);
    }

    /// What the peer says to a remote.
    fn hear(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(line) = self.lines.get_mut(conn.index()).filter(|line| line.open) else { return };
        line.end.gets(bytes);
        loop {
            let heard = match line.end.hears() {
                Ok(None) => return,
                Ok(Some(heard)) => heard,
                Err(error) => return self.judge.find(Finding::Undecodable(error.to_string())),
            };
            let Some(conduct) = &mut line.conduct else { continue };
            conduct.input(&match heard {
                Decoded::Handshake(handshake) => Input::Handshake { conn, handshake },
                Decoded::Message(message) => Input::Message { conn, message },
            });
        }
    }

    fn line(&mut self, number: u8) -> &mut Line {
        let last = self.lines.len() - 1;
        &mut self.lines[usize::from(number).min(last)]
    }
}

impl Stage for Rig<'_> {
    fn subject(&self) -> Arc<Subject> {
        self.subject.clone()
    }

    fn remote(&mut self, number: u8) -> &mut Remote {
        &mut self.line(number).end
    }

    fn is_open(&mut self, number: u8) -> bool {
        self.line(number).open
    }

    fn is_over(&self) -> bool {
        self.judge.found.is_some()
    }

    fn connect(&mut self, number: u8) {
        let conn = ConnId(number.into());
        let mut conduct = self.arm.judge_remotes.then(|| Conduct::new(*self.subject.layout()));
        if let Some(conduct) = &mut conduct {
            conduct.input(&Input::Connected { conn, addr: target_addr(), outgoing: true });
        }
        let line = self.line(number);
        line.open = true;
        line.end.dials();
        if conduct.is_some() {
            line.conduct = conduct;
        }
        let addr = SocketAddr::from((Ipv4Addr::new(10, 0, 1, number), PORT));
        self.tell(Input::Connected { conn, addr, outgoing: false });
    }

    fn close(&mut self, number: u8) {
        self.tell(Input::Closed { conn: ConnId(number.into()) });
    }

    fn send(&mut self, number: u8, bytes: &[u8], slice: u16) {
        let conn = ConnId(number.into());
        let size = if slice == 0 { bytes.len().max(1) } else { slice.into() };
        for slice in bytes.chunks(size) {
            self.judge.received(slice.len());
            // The peer may have hung up upon the last message.
            if !self.is_open(number) {
                continue;
            }
            self.remote(number).sends(slice);
            loop {
                if self.is_over() {
                    return;
                }
                match self.remote(number).says() {
                    Ok(None) => break,
                    Ok(Some(decoded)) => self.spoken(number, decoded),
                    Err(error) => {
                        self.tell(Input::Malformed { conn, error });
                        if self.is_open(number) && !self.is_over() {
                            let why = "bytes that are no message did not end a connection";
                            self.judge.find(Finding::Unserved(why.into()));
                        }
                        return;
                    }
                }
            }
        }
    }

    fn wait(&mut self, time: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + time;
        while !self.is_over() && !done(self) {
            let arrival = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.target.timeout().map(|deadline| deadline.at);
            let honest = self.honest.as_ref().and_then(Peer::poll_timeout).map(|deadline| deadline.at);
            let next = [arrival, timer, honest].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                match self.queue.pop_first() {
                    Some((_, (To::Target, input))) => self.tell(input),
                    Some((_, (To::Honest, input))) => self.tell_honest(input),
                    None => {}
                }
            } else if timer == Some(next) {
                self.tell(Input::Timeout);
            } else {
                self.tell_honest(Input::Timeout);
            }
        }
        if !self.is_over() && !done(self) {
            self.now = self.now.max(end);
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn serves(&self, how: Serve) -> Duration {
        // To refuse what is asked is no reason to wait for more.
        if how == Serve::Reject { Duration::ZERO } else { SERVES }
    }

    fn awaited(&mut self, came: bool) {
        self.outcome.awaited.push(came);
    }

    fn turn(&mut self) {
        self.judge.step();
    }
}
