//! From a magnet link to the torrent: [`Fetch`] meets peers by the info-hash alone and gets the info dictionary
//! from them (BEP 9), then hands its connections to a [`Peer`](crate::Peer). A pure state machine behind the same
//! seam as a peer's: the same inputs and outputs, so that one driver serves both.
//!
//! ```text
//! Magnet ──► Fetch::new ──► handle_input / poll_output ──► Fetch::info ──► Metainfo::from_info
//!                                                               │
//!              Peer::new, Input::Start, Peer::take_over ◄── Fetch::hand_over
//! ```
//!
//! - Nothing is handed out but bytes that hash to the info-hash.
//! - A remote is asked for one piece at a time: some clients answer only the first of several requests.
//! - Several remotes that name one size share the work. If the whole is wrong, the only one who sent some of it
//!   is banned; of several nobody knows who it was, and from then on one remote at a time is to send all of it.
//! - Nothing is allocated on the word of a size: memory grows with what has come, at most
//!   [`FetchConfig::max_size`], and for each connection as `remote.rs` says.
//! - We are interested in nothing, choke everybody, and have no pieces (BEP 6).

mod attempt;
mod gather;
mod messages;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ids::ConnId;
use crate::peer::{
    Adopted, Deadline, DisconnectReason, Event, Handover, Identity, Input, Output, PeerConfig, Violation,
    Why, of, of_queue, of_tree,
};
use crate::rng::Seed;
use crate::time::Instant;
use crate::tracker::announcer::{self, Announcer, AnnouncerConfig};
use crate::tracker::{AnnounceError, AnnounceReply, Retry};
use crate::wire::extension::{METADATA_ID, PEX_ID, UT_METADATA, UT_PEX};
use crate::wire::{ExtendedHandshake, Handshake, InfoHash, METADATA_PIECE, Message};

use attempt::Attempt;
use remote::Remote;

use rand::Rng as _;

/// The most addresses kept to dial.
const MAX_CANDIDATES: usize = 200;
/// An address that failed this often is forgotten: it has been tried for half an hour.
const MAX_FAILURES: u8 = 5;
/// The wait before an address is dialled again; doubled with each failure.
const RETRY: Duration = Duration::from_secs(60);
/// Between looks at everything that waits.
const TICK: Duration = Duration::from_secs(1);
/// How a fetch behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchConfig {
    /// The largest info dictionary that is fetched, in bytes: 16 MiB, enough for 700,000 pieces.
    pub max_size: u32,
    /// A request without an answer for this long goes to another remote as well; after three times as long it
    /// counts as lost.
    pub request_timeout: Duration,
    /// A remote that rejects a request is asked again after this long: it may have the metadata by then.
    pub retry_rejected: Duration,
    /// Limits on connections, time-outs, the tracker's `numwant` and whether peers are exchanged: what the peer
    /// will have, that goes on with the connections.
    pub peer: Arc<PeerConfig>,
}

impl FetchConfig {
    /// The defaults, for a peer of this configuration.
    pub fn new(peer: Arc<PeerConfig>) -> Self {
        Self {
            max_size: 16 << 20,
            request_timeout: Duration::from_secs(15),
            retry_rejected: Duration::from_secs(60),
            peer,
        }
    }
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Connections, those whose handshake is not done included.
    pub connections: u32,
    /// Of these, those that offer the metadata.
    pub sources: u32,
    /// The size that is being tried, in bytes.
    pub size: Option<u32>,
    /// Pieces of 16 KiB that have come.
    pub had: u32,
}

/// An address to dial.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    addr: SocketAddr,
    failures: u8,
    not_before: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Fetch {
    info_hash: InfoHash,
    config: FetchConfig,
    identity: Identity,
    running: bool,
    announcer: Announcer,
    next_tick: Instant,
    remotes: BTreeMap<ConnId, Remote>,
    candidates: VecDeque<Candidate>,
    half_open: Vec<Candidate>,
    /// Addresses that a tracker or the user has named: the only ones that a private torrent may be had from.
    named: BTreeSet<SocketAddr>,
    banned: Vec<IpAddr>,
    /// Several remotes have made one wrong whole of it.
    alone: bool,
    attempt: Option<Attempt>,
    /// The size that was last given up.
    stalled: Option<u32>,
    attempts: u32,
    info: Option<Bytes>,
    outputs: VecDeque<Output>,
}

impl Fetch {
    /// A fetch that knows `peers` (a magnet's `x.pe`, as good as [`Input::Named`]) and does nothing until [`Input::Start`].
    pub fn new(
        info_hash: InfoHash,
        config: FetchConfig,
        identity: Identity,
        peers: &[SocketAddr],
        seed: Seed,
    ) -> Self {
        let mut rng = seed.derive("fetch", 0).rng();
        let announced = announcer::Identity {
            info_hash,
            peer_id: identity.peer_id,
            port: identity.addr.port(),
            ip: None,
            key: Some(rng.next_u32()),
        };
        let announcer = Announcer::new(
            announced,
            AnnouncerConfig { numwant: config.peer.numwant, ..AnnouncerConfig::default() },
        );
        let mut fetch = Self {
            info_hash,
            config,
            identity,
            running: false,
            announcer,
            next_tick: Instant::FAR,
            remotes: BTreeMap::new(),
            candidates: VecDeque::new(),
            half_open: Vec::new(),
            named: BTreeSet::new(),
            banned: Vec::new(),
            alone: false,
            attempt: None,
            stalled: None,
            attempts: 0,
            info: None,
            outputs: VecDeque::new(),
        };
        fetch.on_named(peers, Instant::ZERO);
        fetch
    }

    /// Tells it what happened, as a peer is told. Of blocks, pieces and payload there is nothing to tell.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.outputs.is_empty(), "outputs must be drained before the next input");
        match input {
            Input::Start => self.start(now),
            Input::Connected { conn, addr, outgoing } => self.on_connected(conn, addr, outgoing, now),
            Input::ConnectFailed { addr } => self.on_connect_failed(addr, now),
            Input::Closed { conn } => self.forget(conn, now),
            Input::Handshake { conn, handshake } => self.on_handshake(conn, handshake, now),
            Input::Message { conn, message } => self.on_message(conn, message, now),
            Input::Malformed { conn, .. } => self.violation(conn, Violation::Malformed, now),
            Input::Discovered { peers } => self.discover(&peers, now),
            Input::Named { peers } => self.on_named(&peers, now),
            Input::Announced(reply) => self.on_announced(reply.map(|reply| *reply), now),
            Input::Stop => self.stop(now),
            Input::Timeout | Input::Sent { .. } | Input::BlockRead { .. } | Input::PieceVerified { .. } => {}
        }
        if !self.running {
            return;
        }
        if self.next_tick <= now {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        self.dial(now);
        self.ask(now);
        self.announce(now);
    }

    /// The next thing to do; `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due. May change with any input, not in between.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if !self.running {
            return None;
        }
        let round = Deadline { at: self.next_tick, why: Why::Round };
        let announce = self.announcer.deadline().map(|at| Deadline { at, why: Why::Announce });
        Some(announce.filter(|announce| announce.at < round.at).unwrap_or(round))
    }

    /// The info dictionary, once it is there. [`Metainfo::from_info`](crate::Metainfo::from_info) reads it.
    pub fn info(&self) -> Option<&Bytes> {
        self.info.as_ref()
    }

    /// How far it is; for people to read.
    pub fn progress(&self) -> Progress {
        Progress {
            connections: self.remotes.len() as u32,
            sources: self.remotes.values().filter(|remote| remote.metadata().is_some()).count() as u32,
            size: self.attempt.as_ref().map(|attempt| attempt.size),
            had: self.attempt.as_ref().map_or(0, Attempt::had),
        }
    }

    /// Bytes that its tables and what it has been sent hold, by its own account; see
    /// [`Peer::footprint`](crate::Peer::footprint).
    pub fn footprint(&self) -> u64 {
        let remotes = of_tree::<(ConnId, Remote)>(self.remotes.len());
        let said: u64 = self.remotes.values().map(Remote::footprint).sum();
        let addresses = of_queue(&self.candidates)
            + of(&self.half_open)
            + of(&self.banned)
            + of_tree::<SocketAddr>(self.named.len());
        let whole = self.info.as_ref().map_or(0, |info| info.len() as u64);
        let parts = self.attempt.as_ref().map_or(0, Attempt::footprint);
        remotes + said + addresses + whole + parts + of_queue(&self.outputs)
    }

    /// Ends the fetch and gives its connections to [`Peer::take_over`](crate::Peer::take_over). The tracker is
    /// not told: the peer's own `started` follows. Of a `private` torrent whom neither the tracker nor the user has
    /// named is left out (BEP 27); the second part of the answer is whose connections the driver has to close for that.
    pub fn hand_over(self, private: bool) -> (Handover, Vec<ConnId>) {
        let may_stay = |addr: &SocketAddr| !private || self.named.contains(addr);
        let (mut connections, mut closed) = (Vec::new(), Vec::new());
        for (conn, remote) in self.remotes {
            if remote.outgoing && !may_stay(&remote.addr) {
                closed.push(conn);
                continue;
            }
            let Remote { addr, outgoing, since, handshake_sent, theirs: handshake, .. } = remote;
            let messages = remote.messages();
            connections.push(Adopted { conn, addr, outgoing, since, handshake_sent, handshake, messages });
        }
        let candidates = self.candidates.iter().map(|candidate| candidate.addr).filter(may_stay).collect();
        (Handover { connections, candidates, banned: self.banned }, closed)
    }

    fn start(&mut self, now: Instant) {
        if !self.running {
            self.running = true;
            self.next_tick = now + TICK;
            self.announcer.start(now);
        }
    }

    fn stop(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        self.running = false;
        let open: Vec<_> = self.remotes.keys().copied().collect();
        open.into_iter().for_each(|conn| self.disconnect(conn, DisconnectReason::Leaving, now));
        self.half_open.clear();
        self.announcer.stop(now);
        self.announce(now);
        self.announcer.reply(now, Err(Retry::Unsaid));
    }

    /// What is left is not known, but it is not nothing.
    fn announce(&mut self, now: Instant) {
        let stats = announcer::Stats { left: METADATA_PIECE.into(), ..announcer::Stats::default() };
        if let Some(request) = self.announcer.due(now, stats) {
            self.outputs.push_back(Output::Announce(Box::new(request)));
        }
    }

    fn on_announced(&mut self, reply: Result<AnnounceReply, AnnounceError>, now: Instant) {
        match reply {
            Ok(reply) => {
                self.announcer.reply(now, Ok(&reply));
                if self.running {
                    let room = MAX_CANDIDATES.saturating_sub(self.named.len());
                    self.named.extend(reply.peers.iter().take(room));
                    self.discover(&reply.peers, now);
                }
            }
            Err(error) => self.announcer.reply(now, Err(error.retry())),
        }
    }

    fn discover(&mut self, peers: &[SocketAddr], now: Instant) {
        for &addr in peers {
            let known = self.candidates.iter().any(|candidate| candidate.addr == addr);
            if !known && self.may_dial(addr) && self.candidates.len() < MAX_CANDIDATES {
                self.candidates.push_back(Candidate { addr, failures: 0, not_before: now });
            }
        }
    }

    /// As with a peer: what has failed before is forgotten, and they come first.
    fn on_named(&mut self, peers: &[SocketAddr], now: Instant) {
        for &addr in peers.iter().rev() {
            self.candidates.retain(|candidate| candidate.addr != addr);
            if self.named.len() < MAX_CANDIDATES {
                self.named.insert(addr);
            }
            if self.may_dial(addr) {
                self.candidates.push_front(Candidate { addr, failures: 0, not_before: now });
                self.candidates.truncate(MAX_CANDIDATES);
            }
        }
    }

    /// Whether an address is somebody else's whom we are not connected with.
    fn may_dial(&self, addr: SocketAddr) -> bool {
        let nowhere = addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast();
        let known = addr == self.identity.addr || self.banned.contains(&addr.ip());
        !nowhere && !known && !self.is_connected(addr)
    }

    fn is_connected(&self, addr: SocketAddr) -> bool {
        let same = |other: SocketAddr| match self.config.peer.one_per_address {
            true => other.ip() == addr.ip(),
            false => other == addr,
        };
        self.half_open.iter().any(|open| same(open.addr))
            || self.remotes.values().any(|remote| same(remote.addr))
    }

    fn dial(&mut self, now: Instant) {
        let limit = self.config.peer.max_initiate.min(self.config.peer.max_connections) as usize;
        for _ in 0..self.candidates.len() {
            let busy = self.remotes.len() + self.half_open.len();
            if busy >= limit || self.half_open.len() >= self.config.peer.max_half_open as usize {
                return;
            }
            let Some(candidate) = self.candidates.pop_front() else { return };
            if candidate.not_before > now {
                self.candidates.push_back(candidate);
            } else if !self.is_connected(candidate.addr) {
                self.half_open.push(candidate);
                self.outputs.push_back(Output::Connect { addr: candidate.addr });
            }
        }
    }

    fn on_connect_failed(&mut self, addr: SocketAddr, now: Instant) {
        let Some(at) = self.half_open.iter().position(|open| open.addr == addr) else { return };
        let failed = self.half_open.swap_remove(at);
        self.retry_later(addr, failed.failures + 1, now);
    }

    fn retry_later(&mut self, addr: SocketAddr, failures: u8, now: Instant) {
        let known = self.candidates.iter().any(|candidate| candidate.addr == addr);
        if failures < MAX_FAILURES && !known && self.candidates.len() < MAX_CANDIDATES {
            let not_before = now + RETRY * (1 << failures.saturating_sub(1));
            self.candidates.push_back(Candidate { addr, failures, not_before });
        }
    }

    fn on_connected(&mut self, id: ConnId, addr: SocketAddr, outgoing: bool, now: Instant) {
        if outgoing {
            self.half_open.retain(|open| open.addr != addr);
        }
        let refuse = if !self.running {
            Some(DisconnectReason::Leaving)
        } else if self.banned.contains(&addr.ip()) {
            Some(DisconnectReason::Banned)
        } else if !outgoing
            && self.remotes.len() + self.half_open.len() >= self.config.peer.max_connections as usize
        {
            Some(DisconnectReason::TooMany)
        } else {
            None
        };
        if let Some(reason) = refuse {
            return self.outputs.push_back(Output::Disconnect { conn: id, reason });
        }
        debug_assert!(!self.remotes.contains_key(&id), "the driver used {id:?} twice");
        self.remotes.insert(id, Remote::new(addr, outgoing, now));
        if outgoing {
            self.send_handshake(id);
        }
    }

    fn send_handshake(&mut self, id: ConnId) {
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.handshake_sent = true;
            let handshake = Handshake::new(self.info_hash, self.identity.peer_id)
                .limited(self.config.peer.fast, self.config.peer.extended);
            self.outputs.push_back(Output::SendHandshake { conn: id, handshake });
        }
    }

    fn on_handshake(&mut self, id: ConnId, theirs: Handshake, now: Instant) {
        let Some(remote) = self.remotes.get(&id) else { return };
        // What we do not speak is not spoken.
        let theirs = theirs.limited(self.config.peer.fast, self.config.peer.extended);
        if remote.is_ready() {
            return self.violation(id, Violation::SecondHandshake, now);
        }
        if theirs.info_hash != self.info_hash {
            return self.disconnect(id, DisconnectReason::WrongTorrent, now);
        }
        if theirs.peer_id == self.identity.peer_id {
            return self.disconnect(id, DisconnectReason::SelfConnection, now);
        }
        // As between peers: one peer is one id at one address, or who has heard an id could keep its peer out; of a
        // pair that crossed, the one that the lower peer id dialled stays.
        let same = |other: &Remote| {
            let id = other.theirs.map(|theirs| theirs.peer_id);
            id == Some(theirs.peer_id) && other.addr.ip() == remote.addr.ip()
        };
        if let Some((&old, other)) = self.remotes.iter().find(|(_, other)| same(other)) {
            let ours_stays = self.identity.peer_id < theirs.peer_id;
            let new_stays = other.outgoing != remote.outgoing && remote.outgoing == ours_stays;
            let loser = if new_stays { old } else { id };
            self.disconnect(loser, DisconnectReason::Duplicate, now);
            if loser == id {
                return;
            }
        }
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        remote.theirs = Some(theirs);
        remote.heard = now;
        if !remote.handshake_sent {
            self.send_handshake(id);
        }
        if theirs.fast() {
            self.send(id, Message::HaveNone, now);
        }
        if theirs.extended() {
            self.send_extended_handshake(id, now);
        }
    }

    /// BEP 10. No `metadata_size`: we do not know it.
    fn send_extended_handshake(&mut self, id: ConnId, now: Instant) {
        let Some(remote) = self.remotes.get(&id) else { return };
        let port = self.identity.addr.port();
        let mut messages = BTreeMap::from([(UT_METADATA.to_owned(), METADATA_ID)]);
        if self.config.peer.pex {
            messages.insert(UT_PEX.to_owned(), PEX_ID);
        }
        let handshake = ExtendedHandshake {
            messages,
            client: Some(crate::peer::CLIENT.to_owned()),
            port: (port != 0).then_some(port),
            request_queue: Some(self.config.peer.max_queued),
            your_ip: Some(remote.addr.ip()),
            ..ExtendedHandshake::default()
        };
        self.send(id, Message::Extended { id: 0, payload: handshake.to_bytes().into() }, now);
    }

    fn send(&mut self, id: ConnId, message: Message, now: Instant) {
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.spoke = now;
            self.outputs.push_back(Output::Send { conn: id, message });
        }
    }

    fn violation(&mut self, id: ConnId, violation: Violation, now: Instant) {
        self.disconnect(id, DisconnectReason::Violation(violation), now);
    }

    fn disconnect(&mut self, id: ConnId, reason: DisconnectReason, now: Instant) {
        if let Some(remote) = self.remotes.remove(&id) {
            self.outputs.push_back(Output::Disconnect { conn: id, reason });
            let again =
                [DisconnectReason::HandshakeTimeout, DisconnectReason::Idle, DisconnectReason::TooMany];
            if remote.outgoing && again.contains(&reason) {
                self.retry_later(remote.addr, 2, now);
            }
        }
    }

    /// The connection is gone.
    fn forget(&mut self, id: ConnId, now: Instant) {
        if let Some(remote) = self.remotes.remove(&id)
            && remote.outgoing
        {
            self.retry_later(remote.addr, 2, now);
        }
    }

    fn ban(&mut self, ip: IpAddr, now: Instant) {
        self.banned.push(ip);
        self.candidates.retain(|candidate| candidate.addr.ip() != ip);
        self.outputs.push_back(Output::Event(Event::Banned(ip)));
        let open = self.remotes.iter().filter(|(_, remote)| remote.addr.ip() == ip);
        let open: Vec<_> = open.map(|(&id, _)| id).collect();
        open.into_iter().for_each(|id| self.violation(id, Violation::CorruptData, now));
    }
}
