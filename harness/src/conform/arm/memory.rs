//! The engine as a target, in virtual time: what a client's driver does around it is done here, with a vector for
//! a disk and bytes for sockets. Everything goes through the engine's own codec, as over a real socket.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::metadata::{Fetch, FetchConfig};
use engine::peer::{Identity, Input, Output, PeerConfig, Policy};
use engine::rng::Seed;
use engine::tracker::origin::Family;
use engine::tracker::reply::ReplyError;
use engine::tracker::udp::{Client, ClientConfig, Output as ClientOutput};
use engine::tracker::{AnnounceError, AnnounceReply, AnnounceRequest, Failure, Tiers};
use engine::wire::{Decoded, Decoder, Limits, encode};
use engine::{Bitfield, BlockRef, ConnId, InfoHash, Instant, Layout, Metainfo, Peer, PeerId, choker, picker};
use sha1::{Digest, Sha1};

use super::{Answer, Arm, Asked, Death, Heard, Link, NotHere, Question, tracker};
use crate::conform::case::{Role, Setup, Tracking};
use crate::conform::subject::{Forge, Subject};

/// Where the target is.
const TARGET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 6881);
/// A reaction is there at once, or after a timer of the engine's: choke rounds are 10 s.
const PATIENCE: Duration = Duration::from_secs(25);

/// What speaks for the target.
enum Machine {
    None,
    Peer(Box<Peer>),
    Fetch(Box<Fetch>),
}

impl Machine {
    fn input(&mut self, now: Instant, input: Input) {
        match self {
            Self::None => {}
            Self::Peer(peer) => peer.handle_input(now, input),
            Self::Fetch(fetch) => fetch.handle_input(now, input),
        }
    }

    fn output(&mut self) -> Option<Output> {
        match self {
            Self::None => None,
            Self::Peer(peer) => peer.poll_output(),
            Self::Fetch(fetch) => fetch.poll_output(),
        }
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::Peer(peer) => Some(peer.poll_timeout()?.at),
            Self::Fetch(fetch) => Some(fetch.poll_timeout()?.at),
        }
    }
}

/// A connection, both ends.
struct Pipe {
    addr: SocketAddr,
    outgoing: bool,
    /// What the target hears.
    decoder: Decoder,
    /// The engine knows of it.
    told: bool,
    /// Bytes for us.
    inbox: Vec<u8>,
    /// The target has closed it.
    closed: bool,
    /// We have.
    gone: bool,
}

impl Pipe {
    fn new(addr: SocketAddr, outgoing: bool) -> Self {
        let decoder = Decoder::new(Limits::default());
        Self { addr, outgoing, decoder, told: false, inbox: Vec::new(), closed: false, gone: false }
    }
}

/// A question to one of our trackers that is not answered.
struct Open {
    number: usize,
    /// Over UDP the questions are the packets of [`Memory::udp`].
    packet: bool,
}

/// See the module.
pub struct Memory {
    now: Instant,
    setup: Setup,
    subject: Subject,
    machine: Machine,
    config: Arc<PeerConfig>,
    /// The torrent that it answers for.
    info_hash: InfoHash,
    identity: Identity,
    layout: Layout,
    /// What the target has on its disk.
    disk: Vec<u8>,
    hashes: Vec<[u8; 20]>,
    pipes: Vec<Pipe>,
    /// Dials of the target that are not accepted.
    dialled: VecDeque<Link>,
    addresses: u16,
    inputs: VecDeque<Input>,
    /// The announce under way, and where it goes.
    announce: Option<AnnounceRequest>,
    tiers: Option<Tiers>,
    /// The number of the tracker whose turn it is.
    current: Option<usize>,
    urls: Vec<String>,
    questions: VecDeque<Asked>,
    open: BTreeMap<usize, Open>,
    tickets: usize,
    udp: Option<Client>,
}

fn policy() -> Option<Policy> {
    Some(Policy {
        leech: choker::by_name("tit-for-tat")?,
        seed: choker::by_name("round-robin")?,
        picker: picker::by_name("rarest-first")?,
    })
}

impl Memory {
    /// A target for a case, just started. `Err`: what is wrong with the case's torrent.
    pub fn start(setup: Setup) -> Result<Self, String> {
        let scheme = if setup.tracking == Tracking::Udp { "udp" } else { "http" };
        let urls: Vec<String> =
            (0..tracker::count(setup.tracking)).map(|n| format!("{scheme}://tracker{n}/announce")).collect();
        let tiers = tracker::tiers(setup.tracking, &urls);
        let subject = Subject::new(&tiers, setup.private).map_err(|error| error.to_string())?;
        let file = match setup.role {
            Role::File(make) => make(&Forge { trackers: tiers.clone() }),
            _ => subject.file.clone(),
        };
        let identity = Identity { peer_id: PeerId(*b"-SL0100-conformance!"), addr: TARGET };
        let config = Arc::new(PeerConfig::client());
        let mut memory = Self {
            now: Instant::ZERO,
            setup,
            machine: Machine::None,
            layout: subject.layout(),
            info_hash: subject.metainfo.info_hash,
            disk: Vec::new(),
            hashes: Vec::new(),
            pipes: Vec::new(),
            dialled: VecDeque::new(),
            addresses: 0,
            inputs: VecDeque::new(),
            announce: None,
            tiers: Tiers::new(tiers, &mut Seed(1).rng()),
            current: None,
            urls,
            questions: VecDeque::new(),
            open: BTreeMap::new(),
            tickets: 0,
            udp: (setup.tracking == Tracking::Udp)
                .then(|| Client::new(Family::V4, ClientConfig::default(), Seed(2))),
            subject,
            config,
            identity,
        };
        match setup.role {
            Role::Link => {
                let info_hash = memory.subject.metainfo.info_hash;
                let config = FetchConfig::new(memory.config.clone());
                let fetch = Fetch::new(info_hash, config, identity, &[], Seed(3));
                memory.machine = Machine::Fetch(Box::new(fetch));
            }
            Role::Seed | Role::Leech | Role::File(_) => {
                // A file that is refused leaves nobody to speak.
                if let Ok(metainfo) = Metainfo::parse(&file) {
                    memory.take(&metainfo, matches!(setup.role, Role::Seed))?;
                }
            }
        }
        memory.feed(Input::Start);
        Ok(memory)
    }

    /// The target has the torrent file.
    fn take(&mut self, metainfo: &Metainfo, complete: bool) -> Result<(), String> {
        self.layout = metainfo.layout;
        self.info_hash = metainfo.info_hash;
        self.hashes.clone_from(&metainfo.piece_hashes);
        let have = match complete {
            true => {
                self.disk = self.subject.content().to_vec();
                Bitfield::full(&self.layout)
            }
            false => Bitfield::empty(&self.layout),
        };
        let policy = policy().ok_or("no such policy")?;
        let config = self.config.clone();
        let mut peer = Peer::new(metainfo.torrent(), config, &policy, self.identity, have, Seed(4));
        // Of a private torrent it is not given away (BEP 27).
        let _ = peer.set_metadata(metainfo.info.clone());
        self.machine = Machine::Peer(Box::new(peer));
        Ok(())
    }

    fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            self.machine.input(self.now, input);
            while let Some(output) = self.machine.output() {
                self.act(output);
            }
            self.hand_over();
        }
    }

    /// The info dictionary is there: a peer goes on with the fetch's connections.
    fn hand_over(&mut self) {
        let Machine::Fetch(fetch) = &self.machine else { return };
        let Some(info) = fetch.info() else { return };
        let Ok(metainfo) = Metainfo::from_info(info) else { return };
        let Machine::Fetch(fetch) = std::mem::replace(&mut self.machine, Machine::None) else { return };
        let (handover, closed) = fetch.hand_over(metainfo.private);
        for conn in closed {
            self.shut(conn);
        }
        if self.take(&metainfo, false).is_err() {
            return;
        }
        self.machine.input(self.now, Input::Start);
        while let Some(output) = self.machine.output() {
            self.act(output);
        }
        if let Machine::Peer(peer) = &mut self.machine {
            peer.take_over(self.now, handover);
        }
        while let Some(output) = self.machine.output() {
            self.act(output);
        }
    }

    fn shut(&mut self, conn: ConnId) {
        if let Some(pipe) = self.pipes.get_mut(conn.index()) {
            pipe.closed = true;
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Connect { addr } => {
                if !self.ours().contains(&addr) {
                    return self.inputs.push_back(Input::ConnectFailed { addr });
                }
                let link = self.pipes.len();
                self.pipes.push(Pipe { told: true, ..Pipe::new(addr, true) });
                self.dialled.push_back(link);
                let conn = ConnId(link as u32);
                self.inputs.push_back(Input::Connected { conn, addr, outgoing: true });
            }
            Output::Disconnect { conn, .. } => self.shut(conn),
            Output::SendHandshake { conn, handshake } => self.put(conn, &handshake.to_bytes()),
            Output::Send { conn, message } => {
                let mut bytes = Vec::new();
                encode(&message, &mut bytes);
                self.put(conn, &bytes);
                if let engine::Message::Piece { data, .. } = &message {
                    self.inputs.push_back(Input::Sent { conn, bytes: data.len() as u32 });
                }
            }
            Output::ReadBlock { conn, block } => {
                let data = self.place(block).and_then(|range| self.disk.get(range));
                let data = data.map(Bytes::copy_from_slice);
                self.inputs.push_back(Input::BlockRead { conn, block, data });
            }
            Output::WriteBlock { block, data } => {
                let Some(range) = self.place(block) else { return };
                if self.disk.len() < range.end {
                    self.disk.resize(range.end, 0);
                }
                self.disk[range].copy_from_slice(&data);
            }
            Output::VerifyPiece { piece } => {
                let start = u64::from(piece.get()) * u64::from(self.layout.piece_length());
                let length = self.layout.length_of(piece) as usize;
                let bytes = self.disk.get(start as usize..start as usize + length);
                let hash = self.hashes.get(piece.index());
                let ok = bytes.zip(hash).is_some_and(|(bytes, hash)| Sha1::digest(bytes).as_slice() == hash);
                self.inputs.push_back(Input::PieceVerified { piece, ok });
            }
            Output::Announce(request) => self.announce(*request),
            Output::Event(_) => {}
        }
    }

    fn place(&self, block: BlockRef) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(self.layout.offset_of(block)).ok()?;
        Some(start..start + block.length() as usize)
    }

    fn put(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(pipe) = self.pipes.get_mut(conn.index()).filter(|pipe| !pipe.closed && !pipe.gone) {
            pipe.inbox.extend_from_slice(bytes);
        }
    }

    /// Carries an announce to the tracker whose turn it is.
    fn announce(&mut self, request: AnnounceRequest) {
        if let Tracking::Tells(_) = self.setup.tracking {
            let reply = tracker::reply(self.ours());
            return self.inputs.push_back(Input::Announced(Ok(Box::new(reply))));
        }
        self.announce = Some(request);
        self.ask();
    }

    fn ask(&mut self) {
        let Some(request) = self.announce.clone() else { return };
        if let Some(udp) = &mut self.udp {
            udp.announce(self.now, request, "/announce");
            return self.carry();
        }
        let Some(tiers) = &mut self.tiers else { return };
        let Some(url) = tiers.next(self.now).map(str::to_owned) else {
            let retry = tiers.retry(self.now);
            return self
                .refused(AnnounceError::Refused(Failure { retry, ..Failure::new("all have failed") }));
        };
        let tracker = self.urls.iter().position(|known| *known == url).unwrap_or_default();
        self.current = Some(tracker);
        let path = format!("/announce?{}", request.to_query());
        self.question(tracker, Question::Http(path));
    }

    fn question(&mut self, tracker: usize, what: Question) {
        self.tickets += 1;
        let packet = matches!(what, Question::Udp(_));
        self.open.insert(self.tickets, Open { number: tracker, packet });
        let at = self.now();
        self.questions.push_back(Asked { ticket: self.tickets, tracker, at, what });
    }

    /// Does what the client of the UDP tracker says.
    fn carry(&mut self) {
        while let Some(output) = self.udp.as_mut().and_then(Client::poll_output) {
            match output {
                ClientOutput::Send(packet) => self.question(0, Question::Udp(packet)),
                ClientOutput::Announced(_, reply) => {
                    let reply =
                        reply.map(Box::new).map_err(|error| AnnounceError::unanswered(error.to_string()));
                    self.inputs.push_back(Input::Announced(reply));
                }
                ClientOutput::Scraped(..) => {}
            }
        }
    }

    fn announced(&mut self, reply: Result<AnnounceReply, ReplyError>) {
        let Some(tiers) = &mut self.tiers else { return };
        match reply {
            Ok(reply) => {
                tiers.succeeded();
                self.announce = None;
                self.feed(Input::Announced(Ok(Box::new(reply))));
            }
            Err(error) => {
                tiers.failed(self.now, AnnounceError::from(error).retry());
                self.ask();
            }
        }
    }

    /// No tracker is left to ask.
    fn refused(&mut self, error: AnnounceError) {
        self.announce = None;
        self.feed(Input::Announced(Err(error)));
    }

    /// Bytes have come for the target.
    fn receive(&mut self, link: Link) {
        loop {
            let Some(pipe) = self.pipes.get_mut(link).filter(|pipe| !pipe.closed && !pipe.gone) else {
                return;
            };
            let conn = ConnId(link as u32);
            if !pipe.told {
                // A client waits for the torrent to be named before anything else.
                match pipe.decoder.info_hash() {
                    Some(hash) if hash == self.info_hash => {
                        pipe.told = true;
                        let (addr, outgoing) = (pipe.addr, pipe.outgoing);
                        self.feed(Input::Connected { conn, addr, outgoing });
                        continue;
                    }
                    Some(_) => pipe.closed = true,
                    None if pipe.decoder.poll().is_err() => pipe.closed = true,
                    None => {}
                }
                return;
            }
            match pipe.decoder.poll() {
                Ok(Some(Decoded::Handshake(handshake))) => self.feed(Input::Handshake { conn, handshake }),
                Ok(Some(Decoded::Message(message))) => self.feed(Input::Message { conn, message }),
                Ok(None) => return,
                Err(error) => return self.feed(Input::Malformed { conn, error }),
            }
        }
    }

    /// Lets time go by until `done`, at most to `end`.
    fn run(&mut self, end: Instant, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let udp = self.udp.as_ref().and_then(Client::poll_timeout);
            let next = [self.machine.due(), udp].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            if let Some(udp) = &mut self.udp {
                udp.handle_timeout(self.now);
            }
            self.carry();
            self.feed(Input::Timeout);
        }
    }
}

impl Arm for Memory {
    fn now(&self) -> Duration {
        self.now.since(Instant::ZERO)
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn sleep(&mut self, time: Duration) {
        self.run(self.now + time, |_| false);
    }

    fn fresh(&mut self) -> Ipv4Addr {
        self.addresses += 1;
        let [high, low] = self.addresses.to_be_bytes();
        Ipv4Addr::new(10, 1, high, low)
    }

    fn dial(&mut self, from: Ipv4Addr) -> Option<Link> {
        // The port that a system would pick, another each time.
        let port = 40_000 + (self.pipes.len() % 20_000) as u16;
        self.pipes.push(Pipe::new((from, port).into(), false));
        Some(self.pipes.len() - 1)
    }

    fn accept(&mut self, at: usize, within: Duration) -> Option<Link> {
        let addr = *self.ours().get(at)?;
        let found = |arm: &Self| arm.dialled.iter().position(|&link| arm.pipes[link].addr == addr);
        self.run(self.now + within, |arm| found(arm).is_some());
        self.dialled.remove(found(self)?)
    }

    fn ours(&self) -> Vec<SocketAddr> {
        let many = tracker::listeners(self.setup.tracking);
        (0..many).map(|n| SocketAddr::new(Ipv4Addr::new(10, 2, 0, n as u8 + 1).into(), 6881)).collect()
    }

    fn send(&mut self, link: Link, bytes: &[u8]) -> bool {
        let Some(pipe) = self.pipes.get_mut(link).filter(|pipe| !pipe.closed && !pipe.gone) else {
            return false;
        };
        pipe.decoder.feed(bytes);
        self.receive(link);
        true
    }

    fn hear(&mut self, link: Link, within: Duration) -> Heard {
        let ready = |arm: &Self| {
            arm.pipes.get(link).is_none_or(|pipe| pipe.closed || pipe.gone || !pipe.inbox.is_empty())
        };
        self.run(self.now + within, ready);
        match self.pipes.get_mut(link) {
            Some(pipe) if !pipe.inbox.is_empty() => Heard::Bytes(std::mem::take(&mut pipe.inbox)),
            Some(pipe) if !pipe.closed && !pipe.gone => Heard::Nothing,
            _ => Heard::Closed,
        }
    }

    fn close(&mut self, link: Link) {
        let Some(pipe) = self.pipes.get_mut(link) else { return };
        let told = pipe.told && !pipe.closed && !pipe.gone;
        pipe.gone = true;
        if told {
            self.feed(Input::Closed { conn: ConnId(link as u32) });
        }
    }

    fn asked(&mut self, within: Duration) -> Option<Asked> {
        self.run(self.now + within, |arm| !arm.questions.is_empty());
        self.questions.pop_front()
    }

    fn answer(&mut self, ticket: usize, answer: Answer) -> Result<(), NotHere> {
        let Some(open) = self.open.get(&ticket) else { return Ok(()) };
        match answer {
            Answer::Body(body) if !open.packet => {
                let current = self.current == Some(open.number);
                self.open.remove(&ticket);
                if current {
                    self.announced(AnnounceReply::from_bytes(&body));
                }
                Ok(())
            }
            Answer::Packet(packet) if open.packet => {
                if let Some(udp) = &mut self.udp {
                    udp.handle_packet(self.now, &packet);
                }
                self.carry();
                if let Some(input) = self.inputs.pop_front() {
                    self.feed(input);
                }
                Ok(())
            }
            _ => Err(NotHere("only over sockets: it is not the engine's to do".to_owned())),
        }
    }

    fn stop(&mut self) -> Result<(), NotHere> {
        self.feed(Input::Stop);
        Ok(())
    }

    fn death(&mut self) -> Option<Death> {
        None
    }

    fn strays(&mut self) -> Vec<String> {
        Vec::new()
    }
}
