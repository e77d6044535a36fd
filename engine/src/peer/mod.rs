//! One participant in one torrent, as a pure state machine.
//!
//! ```text
//! driver ──Input──► Peer::handle_input ──► Peer::poll_output ──Output──► driver
//!                         ▲
//!                         └── Peer::poll_timeout says when the next Input::Timeout is due
//! ```
//!
//! Mutate, drain, mutate: after each [`Peer::handle_input`] the driver takes outputs until there are none;
//! only then may it ask for the deadline, which holds until the next input.

mod ahead;
mod announce;
mod config;
mod connection;
mod connections;
mod download;
mod extended;
mod footprint;
mod handover;
mod membership;
mod metadata;
mod pex;
mod pieces;
mod priority;
mod remotes;
mod round;
mod said;
mod seam;
mod settings;
mod slots;
mod status;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use ahead::About;
use bytes::Bytes;

pub use config::{Identity, PeerConfig, Pipeline, Policy};
pub(crate) use extended::CLIENT;
pub use footprint::Footprint;
pub(crate) use footprint::{grow, of, of_queue, of_tree};
pub use handover::{Adopted, Handover};
pub(crate) use said::push_with;
pub use said::{Outputs, Said};
pub use seam::{Deadline, DisconnectReason, Event, Input, Output, Seam, Violation, Why};
pub use slots::TELLING;
pub use status::ConnectionInfo;

use crate::addr::Addr;
use crate::bitfield::Bitfield;
use crate::choker::Choker;
use crate::ids::ConnId;
use crate::layout::BlockRef;
use crate::picker::Picker;
use crate::rng::{self, Rng, Seed};
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::tracker::Announcer;
use crate::wire::{Message, RawBlock};
use connection::Stage;
use connections::Connections;
use membership::Candidate;
use pieces::Pieces;
use remotes::Remotes;

/// Payload bytes a peer has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payload that left.
    pub uploaded: u64,
    /// Payload that came.
    pub downloaded: u64,
    /// Of `downloaded`, what was of no use: had already, unrequested, or of a piece that failed its hash.
    pub wasted: u64,
}

/// One participant in one torrent. See the module. Laid out by how often a part is touched.
#[derive(Debug)]
#[repr(C)]
pub struct Peer {
    next_round: Instant,
    /// The announcer's deadline, and whether that may be another by now.
    announce_at: Instant,
    announcer_changed: bool,
    running: bool,
    /// A choking decision is due before this input is done with.
    rechoke: bool,
    endgame: bool,
    /// Nothing is asked for.
    upload_mode: bool,
    outputs: Outputs,
    rng: Rng,
    pieces: Pieces,
    stats: Stats,
    config: Arc<PeerConfig>,
    conns: Connections,
    /// Connections that have us unchoked, in the order of their unchokes.
    sources: Vec<ConnId>,
    picker: Box<dyn Picker>,

    torrent: Torrent,
    leech_choker: Box<dyn Choker>,
    seed_choker: Box<dyn Choker>,
    /// Choke rounds so far.
    rounds: u64,
    /// Slots given on trial beside those that are set.
    trials: usize,
    /// What the driver says of our uplink.
    uplink_full: bool,
    /// Payload that had left by the last look at the slots.
    gave: u64,
    /// Those chosen last to be unchoked, in the order of their ids.
    unchoke: Vec<ConnId>,

    identity: Identity,
    announcer: Announcer,
    candidates: VecDeque<Candidate>,
    half_open: Vec<Addr>,
    /// Addresses being dialled again, with how often they failed.
    failed: Vec<(SocketAddr, u8)>,
    banned: BTreeSet<IpAddr>,
    /// Addresses that must show that they alone send good data, connected or not.
    suspects: BTreeSet<IpAddr>,
    /// Addresses that have turned out to be our own.
    ours: Vec<SocketAddr>,
    /// Addresses whose connections end as soon as they are made, with how often.
    short_lived: BTreeMap<SocketAddr, u8>,
    /// What had been moved when it last started.
    stats_at_start: Stats,
    remotes: Remotes,
    /// Whether remotes know that we want nothing (BEP 21), and whether that has ever changed.
    told_upload_only: bool,
    has_told_upload_only: bool,
    endgame_told: bool,
    /// The info dictionary, to be served (BEP 9).
    metadata: Option<Bytes>,
}

impl Peer {
    /// A peer that has the pieces `have` and does nothing until [`Input::Start`].
    pub fn new(
        torrent: Torrent,
        config: Arc<PeerConfig>,
        policy: &Policy,
        identity: Identity,
        have: Bitfield,
        seed: Seed,
    ) -> Self {
        let mut rng = seed.derive("peer", 0).rng();
        let announcer = announce::announcer(&torrent, &config, &identity, &mut rng);
        let have_all = have.is_full();
        Self {
            pieces: Pieces::new(torrent.layout, have, &mut rng),
            torrent,
            identity,
            running: false,
            rng,
            outputs: None,
            stats: Stats::default(),
            conns: Connections::default(),
            sources: Vec::new(),
            candidates: VecDeque::new(),
            half_open: Vec::new(),
            failed: Vec::new(),
            banned: BTreeSet::new(),
            suspects: BTreeSet::new(),
            picker: policy.picker.build(),
            endgame: false,
            endgame_told: false,
            upload_mode: false,
            told_upload_only: have_all,
            has_told_upload_only: false,
            leech_choker: policy.leech.build(),
            seed_choker: policy.seed.build(),
            rounds: 0,
            trials: 0,
            uplink_full: false,
            gave: 0,
            next_round: Instant::FAR,
            rechoke: false,
            unchoke: Vec::new(),
            announcer,
            announce_at: Instant::FAR,
            announcer_changed: false,
            ours: Vec::new(),
            short_lived: BTreeMap::new(),
            stats_at_start: Stats::default(),
            remotes: Remotes::default(),
            metadata: None,
            config,
        }
    }

    /// Tells the peer what happened. Cannot fail; drain [`Peer::poll_output`] before the next call.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        match input {
            Input::Message { conn, message } => self.handle_message(now, conn, message),
            Input::Sent { conn, bytes } => self.handle_sent(now, conn, bytes),
            Input::BlockRead { conn, block, data } => self.handle_block_read(now, conn, block, data),
            Input::Timeout => self.after_input(now),
            other => {
                self.on_seldom(other, now);
                self.after_input(now);
            }
        }
    }

    // The inputs that come all the time can be told without an `Input` around them: where it is known what comes, the
    // function is a part of its caller, and asks nothing about its kind.

    /// What [`handle_input`](Self::handle_input) does with an [`Input::Message`]; drain before it, too.
    #[inline(always)]
    pub fn handle_message(&mut self, now: Instant, conn: ConnId, message: Message) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        self.on_message(conn, message, now);
        self.after_input(now);
    }

    /// What [`handle_input`](Self::handle_input) does with an [`Input::Sent`]; drain before it, too.
    #[inline(always)]
    pub fn handle_sent(&mut self, now: Instant, conn: ConnId, bytes: u32) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        self.on_sent(conn, bytes, now);
        self.after_input(now);
    }

    /// What [`handle_input`](Self::handle_input) does with an [`Input::BlockRead`]; drain before it, too.
    #[inline(always)]
    pub fn handle_block_read(&mut self, now: Instant, conn: ConnId, block: BlockRef, data: Option<Bytes>) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        self.on_block_read(conn, block, data, now);
        self.after_input(now);
    }

    /// What does not happen with every block: apart, so that what does has little to set up.
    #[inline(never)]
    fn on_seldom(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.start(now),
            Input::Connected { conn, addr, outgoing } => self.on_connected(conn, addr, outgoing, now),
            Input::ConnectFailed { addr } => self.on_connect_failed(addr, now),
            Input::Closed { conn } => self.on_closed(conn, now),
            Input::Handshake { conn, handshake } => self.on_handshake(conn, handshake, now),
            Input::Malformed { conn, .. } => self.violation(conn, Violation::Malformed, now),
            Input::PieceVerified { piece, ok } => {
                self.on_verified(piece, ok, now);
                self.tell_upload_only(now);
            }
            // BEP 27: the peers of a private torrent come from its tracker alone.
            Input::Discovered { .. } if self.torrent.private => {}
            Input::Discovered { peers } => self.on_discovered(&peers, now),
            Input::Named { peers } => self.on_named(&peers, now),
            Input::Announced(reply) => self.on_announced(reply.map(|reply| *reply), now),
            Input::Stop => self.stop(now),
            Input::Message { .. } | Input::Sent { .. } | Input::BlockRead { .. } | Input::Timeout => {}
        }
    }

    /// What may have become due by what has just changed.
    #[inline]
    fn after_input(&mut self, now: Instant) {
        let due = self.next_round <= now || self.announce_at <= now;
        if self.running && (due || self.rechoke || self.announcer_changed) {
            self.do_what_is_due(now);
        }
    }

    #[inline(never)]
    fn do_what_is_due(&mut self, now: Instant) {
        if self.next_round <= now {
            self.next_round = now + self.config.choke_interval;
            self.round(now);
        }
        if self.rechoke {
            self.decide_chokes(false, now);
        }
        if self.announce_at <= now || self.announcer_changed {
            self.announce_if_due(now);
        }
    }

    /// The next thing to do; `None` until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.as_mut()?.pop()
    }

    /// Exchanges the outputs for an empty buffer, or the other way round. Drivers of many peers in one thread may let them
    /// share a buffer, which stays in the cache and is kept once, and take what is in it in place of polling.
    #[inline]
    pub fn exchange_outputs(&mut self, buffer: &mut Outputs) {
        debug_assert!(
            self.is_drained() || buffer.as_ref().is_none_or(|b| b.is_empty()),
            "nothing may be mixed"
        );
        std::mem::swap(&mut self.outputs, buffer);
    }

    /// When [`Input::Timeout`] is due. May change with any input, not in between.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if !self.running {
            return None;
        }
        let round = Deadline { at: self.next_round, why: Why::Round };
        let announce = Deadline { at: self.announce_at, why: Why::Announce };
        Some(if announce.at < round.at { announce } else { round })
    }

    /// Payload moved so far, over every start and stop.
    pub fn stats(&self) -> Stats {
        self.stats
    }
    /// The pieces it has.
    pub fn have(&self) -> &Bitfield {
        self.pieces.have()
    }
    /// Whether it has every piece.
    pub fn is_complete(&self) -> bool {
        self.pieces.have().is_full()
    }
    /// Connections, those whose handshake is not done included.
    pub fn connections(&self) -> u32 {
        self.conns.live()
    }
    /// Connections that have us unchoked, and that we ask for blocks; for observers.
    pub fn active_downloads(&self) -> u32 {
        self.conns
            .iter()
            .filter(|(_, conn)| self.conns.traffic_of(conn).is_some_and(|t| t.outstanding > 0))
            .count() as u32
    }
    /// Connections that are interested and that we have unchoked; for observers.
    pub fn active_uploads(&self) -> u32 {
        self.conns.iter().filter(|(_, conn)| conn.peer_interested && !conn.am_choking).count() as u32
    }
    /// Whether the fast extension (BEP 6) is spoken on a connection: both ends offer it.
    pub fn speaks_fast(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|conn| conn.fast)
    }
    /// Whether an address is banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip)
    }

    fn start(&mut self, now: Instant) {
        if self.running {
            return;
        }
        self.running = true;
        self.stats_at_start = self.stats;
        // Rounds start at a phase of their own, as in a real swarm: no lockstep, no bursts.
        self.next_round = now + self.config.choke_interval.mul_f64(rng::unit(&mut self.rng));
        self.announcer.start(now);
        self.announcer_changed = true;
    }

    fn stop(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        self.running = false;
        for i in 0..self.conns.len() {
            self.disconnect(ConnId(i as u32), DisconnectReason::Leaving, now);
        }
        self.half_open.clear();
        self.failed.clear();
        self.announce_stopped(now);
    }

    #[inline(always)]
    fn on_message(&mut self, id: ConnId, message: Message, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.heard = true;
        if !conn.is_ready() {
            return self.violation(id, Violation::NoHandshake, now);
        }
        let first = conn.stage == Stage::Ready;
        // BEP 10's handshake and keep-alives may come before the bitfield.
        if first && !matches!(message, Message::Extended { .. } | Message::KeepAlive | Message::Port(_)) {
            conn.stage = Stage::Began;
        }
        let fast = conn.fast;
        match message {
            Message::KeepAlive | Message::Port(_) | Message::Unknown { .. } => {}
            Message::Choke => self.on_choke(id, now),
            Message::Unchoke => self.on_unchoke(id, now),
            Message::Interested => self.on_interest(id, true),
            Message::NotInterested => self.on_interest(id, false),
            Message::Have(piece) => self.on_have(id, piece, now),
            Message::Bitfield(bytes) => match Bitfield::from_wire(&self.torrent.layout, &bytes) {
                Ok(have) if first => self.set_remote_pieces(id, have, now),
                Ok(have) => self.add_remote_pieces(id, &have, now),
                Err(_) => self.violation(id, Violation::BadBitfield, now),
            },
            Message::Request(block) => self.on_request(id, block, now),
            Message::Piece { piece, begin, data } => {
                let raw = RawBlock { piece, begin, length: data.len() as u32 };
                self.on_block(id, raw, data, now);
            }
            Message::Cancel(block) => self.on_cancel(id, block, now),
            Message::HaveAll if fast => {
                let have = Bitfield::full(&self.torrent.layout);
                match first {
                    true => self.set_remote_pieces(id, have, now),
                    false => self.add_remote_pieces(id, &have, now),
                }
            }
            Message::HaveNone if fast => match conn.have.count() == 0 {
                true if first => self.set_remote_pieces(id, Bitfield::empty(&self.torrent.layout), now),
                // WebTorrent says it once it has the metadata, after much else; no news.
                true => {}
                false => self.violation(id, Violation::LateHaveNone, now),
            },
            Message::Reject(block) if fast => self.on_reject(id, block, now),
            Message::AllowedFast(piece) if fast => self.on_allowed_fast(id, piece, now),
            Message::Suggest(piece) if fast => {
                if self.torrent.layout.piece(piece).is_none() {
                    self.violation(id, Violation::PieceOutOfRange, now);
                }
            }
            Message::Extended { id: extension, payload } => self.on_extended(id, extension, &payload, now),
            Message::HaveAll
            | Message::HaveNone
            | Message::Reject(_)
            | Message::AllowedFast(_)
            | Message::Suggest(_) => {
                self.violation(id, Violation::FastNotAgreed, now);
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.outputs.as_ref().is_none_or(|outputs| outputs.is_empty())
    }

    fn emit(&mut self, output: Output) {
        self.outputs.get_or_insert_default().push(output);
    }

    /// The same, made where it will lie: for what is said often.
    #[inline(always)]
    fn emit_with(&mut self, make: impl FnOnce() -> Output) {
        push_with(&mut self.outputs, make);
    }

    #[inline(always)]
    fn send(&mut self, conn: ConnId, message: Message) {
        if let Some(connection) = self.conns.get_mut(conn) {
            connection.spoke = true;
        }
        self.emit_with(|| Output::Send { conn, message });
    }
}
