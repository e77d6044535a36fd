//! Dialogues with the engine in memory and in virtual time: a dialogue of an hour takes a few milliseconds, and
//! always goes the same way.
//!
//! - All that is said goes through bytes, both ways: the engine's decoder reads the remotes, and a decoder of ours the
//!   engine.
//! - Held are: no panic, no breach of [`conduct`](crate::conduct), a bounded number of outputs for an input, bounded
//!   memory if a [`Meter`] is given, and that an honest remote, who comes half-way, is served to the last byte within
//!   an hour after the dialogue (and the peer by it).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::peer::{Input, Output};
use engine::tracker::AnnounceReply;
use engine::wire::{Decoded, Decoder, ExtendedHandshake, Limits, Message, encode};
use engine::{BlockRef, ConnId, Instant, Peer};
use rustc_hash::FxHashMap;

use super::dialogue::{Act, Await, Dialogue, METADATA_HERE, REMOTES, Role, Serve, Step};
use super::finding::Finding;
use super::machine::{Machine, PORT, engine, honest_addr, peer, target_addr};
use super::panics;
use super::serve::answer;
use super::subject::Subject;
use crate::conduct::Conduct;

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
/// The most outputs to one input, and as many more as the torrent has pieces, for each remote.
const MOST_OUTPUTS: usize = 2_000;
/// The most inputs that may follow a step or come in an hour of virtual time.
const MOST_INPUTS: u32 = 2_000_000;
/// What may be held whatever comes in: the decoders' own limits, of all remotes.
const HELD: u64 = 12 << 20;
/// And for each byte that came in.
const HELD_PER_BYTE: u64 = 8;
/// The most messages of the peer that are kept to be waited for.
const MOST_HEARD: usize = 10_000;
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
    /// Measures what is held, if it is to be bounded.
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
        match panics::caught(|| rig.hold(dialogue)) {
            Ok(()) => rig.outcome,
            Err(panic) => Outcome { found: Some(panic), ..rig.outcome },
        }
    }
}

/// Who is told.
enum To {
    Target,
    Honest,
}

/// One remote of the dialogue.
#[derive(Default)]
struct Remote {
    open: bool,
    /// Reads what it sends.
    decoder: Option<Decoder>,
    /// Reads what the peer sends it.
    ears: Option<Decoder>,
    /// What the peer has said and nobody has waited for; `None` is its handshake.
    heard: Vec<Option<Message>>,
    /// Requests that have not been served.
    asked: Vec<Message>,
    /// The id under which the peer takes `ut_metadata`.
    metadata: u8,
    /// It has dialled before.
    came: bool,
    /// It speaks BEP 6.
    fast: bool,
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
    remotes: Vec<Remote>,
    conduct: Conduct,
    /// The blocks that the peer has kept, and whether they are right.
    disk: FxHashMap<BlockRef, bool>,
    outcome: Outcome,
    arm: &'a Memory,
    /// What was held at the start, and what came in since.
    held: u64,
    received: u64,
    inputs: u32,
}

impl<'a> Rig<'a> {
    fn new(subject: Arc<Subject>, target: Box<dyn Machine>, role: Role, arm: &'a Memory) -> Self {
        Self {
            conduct: Conduct::new(*subject.layout()),
            honest: peer(&subject, role != Role::Seed, 2, honest_addr()),
            subject,
            target,
            honest_is_open: false,
            honest_knows: false,
            role,
            now: Instant::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            remotes: (0..=REMOTES).map(|_| Remote::default()).collect(),
            disk: FxHashMap::default(),
            outcome: Outcome::default(),
            held: arm.meter.map_or(0, |meter| meter()),
            arm,
            received: 0,
            inputs: 0,
        }
    }

    fn hold(&mut self, dialogue: &Dialogue) {
        self.tell(Input::Start);
        for (at, step) in dialogue.steps.iter().enumerate() {
            if at == dialogue.steps.len() / 2 {
                self.invite();
            }
            self.pass(step.wait, |_| false);
            self.inputs = 0;
            self.act(step);
            if self.outcome.found.is_some() {
                return;
            }
        }
        self.invite();
        self.pass(HOUR, Self::is_served);
        if self.outcome.found.is_none() && !self.is_served() {
            let why = match self.role {
                Role::Seed => "it has not got the torrent within an hour",
                Role::Leech | Role::Magnet => "the peer has not got the torrent from it within an hour",
            };
            self.find(Finding::Unserved(why.into()));
        }
        for remote in &mut self.remotes {
            let breaches = remote.conduct.take();
            self.outcome.remotes.extend(breaches.iter().flat_map(|conduct| conduct.breaches().to_vec()));
        }
    }

    fn find(&mut self, finding: Finding) {
        self.outcome.found.get_or_insert(finding);
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

    /// Lets time pass, or until `done`.
    fn pass(&mut self, time: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + time;
        while self.outcome.found.is_none() && !done(self) {
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
        if self.outcome.found.is_none() && !done(self) {
            self.now = self.now.max(end);
        }
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
        if conn.is_some_and(|conn| !self.is_open(conn)) {
            return;
        }
        self.inputs += 1;
        if self.inputs > MOST_INPUTS {
            return self.find(Finding::Hang);
        }
        self.conduct.input(&input);
        if let Input::Closed { conn } = &input {
            self.shut(*conn);
        }
        self.target.input(self.now, input);
        self.drain();
        while self.target.turn(self.now) {
            self.drain();
        }
        if let Some(meter) = self.arm.meter {
            let held = meter().saturating_sub(self.held);
            if held > HELD + HELD_PER_BYTE * self.received {
                self.find(Finding::Memory(held));
            }
        }
    }

    fn drain(&mut self) {
        let most = MOST_OUTPUTS + 2 * self.subject.layout().pieces() as usize * usize::from(REMOTES + 1);
        let mut outputs = 0;
        while let Some(output) = self.target.output() {
            outputs += 1;
            if outputs > most {
                return self.find(Finding::Flood(outputs));
            }
            let broken = self.conduct.breaches().len();
            self.conduct.output(&output);
            if let Some(breach) = self.conduct.breaches().get(broken) {
                let by = breach.by.chars().take(200).collect();
                self.find(Finding::Breach { rule: breach.rule, by });
            }
            self.carry(output);
        }
    }

    fn is_open(&self, conn: ConnId) -> bool {
        match conn {
            HONEST => self.honest_is_open,
            _ => self.remotes.get(conn.index()).is_some_and(|remote| remote.open),
        }
    }

    fn shut(&mut self, conn: ConnId) {
        match conn {
            HONEST => self.honest_is_open = false,
            _ => {
                if let Some(remote) = self.remotes.get_mut(conn.index()) {
                    remote.open = false;
                    (remote.decoder, remote.ears) = (None, None);
                    remote.asked.clear();
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
                    self.find(Finding::Unserved(format!("it was sent wrong bytes for {block:?}")));
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

    fn remote(&mut self, number: u8) -> &mut Remote {
        let last = self.remotes.len() - 1;
        &mut self.remotes[usize::from(number).min(last)]
    }

    fn act(&mut self, step: &Step) {
        let number = step.remote.clamp(1, REMOTES);
        let conn = ConnId(number.into());
        match &step.act {
            Act::Close => return self.tell(Input::Closed { conn }),
            Act::Await(what) => return self.wait_for(number, *what),
            Act::Serve { count, how } => return self.serve(number, *count, *how),
            _ => {}
        }
        if !self.remote(number).open {
            // Who was closed has to dial again before it can say anything.
            let first = !std::mem::replace(&mut self.remote(number).came, true);
            if first || matches!(step.act, Act::Connect) {
                self.connect(number);
            }
        }
        let bytes = step.act.bytes(&self.subject);
        self.send(number, &bytes, step.slice);
    }

    fn connect(&mut self, number: u8) {
        let conn = ConnId(number.into());
        let judge = self.arm.judge_remotes.then(|| Conduct::new(*self.subject.layout()));
        let addr = SocketAddr::from((Ipv4Addr::new(10, 0, 1, number), PORT));
        let remote = self.remote(number);
        remote.open = true;
        remote.decoder = Some(Decoder::new(Limits::default()));
        remote.ears = Some(Decoder::new(Limits::default()));
        remote.heard.clear();
        if let Some(mut conduct) = judge {
            conduct.input(&Input::Connected { conn, addr: target_addr(), outgoing: true });
            remote.conduct = Some(conduct);
        }
        self.tell(Input::Connected { conn, addr, outgoing: false });
    }

    /// What a remote sends, in slices.
    fn send(&mut self, number: u8, bytes: &[u8], slice: u16) {
        let conn = ConnId(number.into());
        let size = if slice == 0 { bytes.len().max(1) } else { slice.into() };
        for slice in bytes.chunks(size) {
            self.received += slice.len() as u64;
            if let Some(decoder) = &mut self.remote(number).decoder {
                decoder.feed(slice);
            }
            loop {
                if self.outcome.found.is_some() {
                    return;
                }
                // The peer may have hung up upon the last message.
                let Some(decoder) = &mut self.remote(number).decoder else { return };
                match decoder.poll() {
                    Ok(None) => break,
                    Ok(Some(decoded)) => self.spoken(number, decoded),
                    Err(error) => {
                        self.tell(Input::Malformed { conn, error });
                        if self.is_open(conn) && self.outcome.found.is_none() {
                            self.find(Finding::Unserved(
                                "bytes that are no message did not end a connection".into(),
                            ));
                        }
                        return;
                    }
                }
            }
        }
    }

    /// What a remote has said, whole.
    fn spoken(&mut self, number: u8, decoded: Decoded) {
        let conn = ConnId(number.into());
        let remote = self.remote(number);
        let input = match decoded {
            Decoded::Handshake(handshake) => {
                remote.fast = handshake.fast();
                if let Some(conduct) = &mut remote.conduct {
                    conduct.output(&Output::SendHandshake { conn, handshake });
                }
                Input::Handshake { conn, handshake }
            }
            Decoded::Message(message) => {
                // Without BEP 6 a choke forgets what was asked for.
                if matches!(message, Message::Choke) && !remote.fast {
                    remote.asked.retain(|asked| !matches!(asked, Message::Request(_)));
                }
                if let Some(conduct) = &mut remote.conduct {
                    conduct.output(&Output::Send { conn, message: message.clone() });
                }
                Input::Message { conn, message }
            }
        };
        self.tell(input);
    }

    /// What the peer says to a remote.
    fn hear(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(remote) = self.remotes.get_mut(conn.index()) else { return };
        let Some(ears) = &mut remote.ears else { return };
        ears.feed(bytes);
        loop {
            let message = match ears.poll() {
                Ok(None) => return,
                Ok(Some(Decoded::Handshake(handshake))) => {
                    if let Some(conduct) = &mut remote.conduct {
                        conduct.input(&Input::Handshake { conn, handshake });
                    }
                    None
                }
                Ok(Some(Decoded::Message(message))) => {
                    if let Some(conduct) = &mut remote.conduct {
                        conduct.input(&Input::Message { conn, message: message.clone() });
                    }
                    Some(message)
                }
                Err(error) => return self.find(Finding::Undecodable(error.to_string())),
            };
            match &message {
                Some(Message::Extended { id: 0, payload }) => {
                    let theirs = ExtendedHandshake::from_bytes(payload);
                    let id = theirs.ok().and_then(|theirs| theirs.id(engine::wire::extension::UT_METADATA));
                    remote.metadata = id.unwrap_or(remote.metadata);
                }
                Some(asked @ (Message::Request(_) | Message::Extended { id: METADATA_HERE, .. })) => {
                    remote.asked.push(asked.clone());
                }
                _ => {}
            }
            if remote.heard.len() < MOST_HEARD {
                remote.heard.push(message);
            }
        }
    }

    fn wait_for(&mut self, number: u8, what: Await) {
        let mut came = false;
        self.pass(PATIENCE, |rig| {
            let remote = rig.remote(number);
            let found = remote.heard.iter().position(|heard| match heard {
                None => what == Await::Handshake,
                Some(message) => what.is(message),
            });
            if let Some(at) = found.filter(|_| !came) {
                remote.heard.remove(at);
                came = true;
            }
            // Who is closed hears nothing more.
            came || !remote.open
        });
        self.outcome.awaited.push(came);
    }

    fn serve(&mut self, number: u8, count: u16, how: Serve) {
        for _ in 0..count {
            // To refuse what is asked is no reason to wait for more.
            let patience = if how == Serve::Reject { Duration::ZERO } else { SERVES };
            self.pass(patience, |rig| !rig.remote(number).asked.is_empty() || !rig.remote(number).open);
            let subject = self.subject.clone();
            let remote = self.remote(number);
            if remote.asked.is_empty() || !remote.open {
                return;
            }
            let asked = remote.asked.remove(0);
            let bytes = answer(&asked, how, remote.metadata, &subject);
            self.send(number, &bytes, 0);
            if self.outcome.found.is_some() {
                return;
            }
        }
    }
}
