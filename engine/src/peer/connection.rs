//! What a peer keeps about one connection, in parts by how often they are touched: a swarm has far
//! more connections than fit a cache, most of them idle but for the HAVEs of others.
//!
//! - [`Connection`]: two cache lines; the first is all that a HAVE needs.
//! - [`Traffic`]: only while blocks move, or have moved within the time that rates are averaged over. What is requested
//!   either way lies in [`Pools`] that all connections share.
//! - [`Allowed`]: only where the fast extension lets pieces go to who is choked.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::addr::Addr;
use crate::bitfield::Bitfield;
use crate::choker::Facts;
use crate::ids::ConnId;
use crate::layout::{BLOCK, BlockRef, Layout, PieceIndex};
use crate::rate::{Rate, Window};
use crate::time::{Instant, nanos};
use crate::wire::RawBlock;

use super::config::{PeerConfig, Pipeline};
use super::slots::SlotUse;
use crate::chain::{Chain, Pool};

/// A request that has gone out: 24 bytes, that with its place in a chain it has 28 and not 32.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub(crate) struct Pending {
    pub block: BlockRef,
    pub sent_at: Instant,
    /// We no longer count on it: cancelled, or given to others when the remote was snubbed. Its block may
    /// still come.
    pub dropped: bool,
    /// The remote was told that it need not come.
    pub cancelled: bool,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// An empty slot.
    Free,
    /// The transport is up.
    Connected,
    /// The remote's handshake has come.
    Ready,
    /// So has its first message, which alone may be a bitfield.
    Began,
}

/// No traffic.
pub(super) const NONE: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Connection {
    pub have: Bitfield,
    /// Pieces it has and we lack.
    pub wanted: u32,
    /// Index of its traffic.
    pub(super) traffic: u32,
    pub stage: Stage,
    /// Something was received, or sent, since the last round.
    pub heard: bool,
    pub spoke: bool,
    pub fast: bool,
    /// Its pieces are counted in the availability (those that came with everything are not).
    pub counted: bool,
    pub am_interested: bool,
    pub peer_choking: bool,
    /// Nothing to ask for was found; until something changes there is no point in looking again.
    pub dry: bool,

    pub am_choking: bool,
    pub peer_interested: bool,
    pub slot_use: SlotUse,
    pub snubbed: bool,
    /// Takes part in pieces of its own only, since it helped with one that failed its hash.
    pub suspect: bool,
    pub outgoing: bool,
    pub handshake_sent: bool,
    pub extended: bool,
    /// Blocks sent unasked, requests for what we never claimed: each a fault that adds up.
    pub faults: u8,
    /// Requests refused without reason, less the blocks sent since.
    pub refusals: u8,
    /// Rounds since a message was received, or sent.
    pub silent_rounds: u16,
    pub quiet_rounds: u16,
    /// The most requests it takes at once (BEP 10 `reqq`).
    pub remote_queue: u16,
    pub addr: Addr,
    /// How deep the pipeline became by slow start: only with that, and with traffic.
    pub(super) ramp: Option<Box<Ramp>>,
    pub connected_at: Instant,
    /// `Instant::FAR`: never.
    pub unchoked_at: Instant,
}

/// What is requested over all connections, and of us.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pub requests: Pool<Pending>,
    /// For the chains `uploads` and `reading`.
    pub blocks: Pool<BlockRef>,
}

/// What is kept while blocks move on a connection: two cache lines, of which what we give needs the first alone.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Traffic {
    pub uploads: Chain,
    /// Blocks asked of the disk.
    pub reading: Chain,
    pub up: Rate,
    pub sent_since_unchoke: u64,
    /// Payload bytes handed to the network that have not left.
    pub unsent: u32,

    /// Of `requests`, those not dropped.
    pub outstanding: u32,
    pub requests: Chain,
    pub down: Rate,
    /// The download rate since the unchoke, over a shorter time, for the pipeline's depth.
    pub pace: Rate,
    /// The smallest time from a request to its block, in nanoseconds; [`NO_RTT`] before the first.
    pub min_rtt: u64,
    /// When a block last came, or the first request went out.
    pub last_block: Instant,
}

/// Slow start, if it is on: the depth grows with each block until a second brings no more than the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    /// Zero: it is over.
    depth: u32,
    /// When this second began, and the blocks of it and of the one before.
    since: Instant,
    blocks: u32,
    before: u32,
}

impl Ramp {
    /// What must lie between two looks.
    const SECOND: Duration = Duration::from_secs(1);

    /// A new one, if slow start is on.
    pub fn begin(config: &PeerConfig, now: Instant) -> Option<Box<Self>> {
        config.slow_start.then(|| Box::new(Self { depth: FIRST_DEPTH, since: now, blocks: 0, before: 0 }))
    }

    /// A block has come; whether a second was over, and with it what the rate was measured of.
    fn grow(&mut self, now: Instant) -> bool {
        if self.depth == 0 {
            return false;
        }
        let over = now.since(self.since) >= Self::SECOND;
        if over {
            let more = self.blocks > self.before;
            self.depth = if more { self.depth } else { 0 };
            (self.since, self.before, self.blocks) = (now, self.blocks, 0);
        }
        self.blocks += 1;
        if self.depth > 0 {
            self.depth = self.depth.saturating_add(1);
        }
        over && self.depth > 0
    }
}

/// Pieces that may be had while choked (BEP 6).
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    /// It lets us have them.
    pub to_us: SmallVec<[PieceIndex; 2]>,
    /// We let it have them.
    pub to_it: SmallVec<[PieceIndex; 2]>,
}

/// No round trip has been measured.
const NO_RTT: u64 = u64::MAX;
/// The least depth before the first round trip is measured.
const FIRST_DEPTH: u32 = 4;
/// What the pipeline's rate is averaged over.
const PACE_WINDOW: Duration = Duration::from_secs(5);
/// Requests without an answer that are remembered after we have stopped to count on them.
pub(super) const MAX_DROPPED: usize = 256;
/// Requests that a remote takes at once if it does not say (as libtorrent assumes).
const REMOTE_QUEUE: u16 = 250;

impl Connection {
    pub fn new(addr: SocketAddr, outgoing: bool, layout: &Layout, now: Instant) -> Self {
        let have = Bitfield::empty(layout);
        Self { have, stage: Stage::Connected, outgoing, addr: addr.into(), connected_at: now, ..Self::free() }
    }

    /// An empty slot.
    pub const fn free() -> Self {
        Self {
            have: Bitfield::none(),
            wanted: 0,
            traffic: NONE,
            stage: Stage::Free,
            heard: false,
            spoke: false,
            fast: false,
            counted: false,
            am_interested: false,
            peer_choking: true,
            dry: false,
            am_choking: true,
            peer_interested: false,
            slot_use: SlotUse::UNKNOWN,
            snubbed: false,
            suspect: false,
            outgoing: false,
            handshake_sent: false,
            extended: false,
            faults: 0,
            refusals: 0,
            silent_rounds: 0,
            quiet_rounds: 0,
            remote_queue: REMOTE_QUEUE,
            addr: Addr::NONE,
            ramp: None,
            connected_at: Instant::ZERO,
            unchoked_at: Instant::FAR,
        }
    }

    /// Bytes beside those in the table.
    pub fn footprint(&self) -> u64 {
        let ramp = self.ramp.as_ref().map_or(0, |_| size_of::<Ramp>() as u64);
        self.have.footprint() + self.addr.footprint() + ramp
    }

    /// The handshake is done.
    pub fn is_ready(&self) -> bool {
        self.stage >= Stage::Ready
    }

    /// Whether anything but HAVEs may be going on.
    pub fn has_traffic(&self) -> bool {
        self.traffic != NONE
    }

    /// Once a round: what was received or sent since the last is as old as this one.
    pub fn age(&mut self) {
        let next = |rounds: u16, active: &mut bool| match std::mem::take(active) {
            true => 0,
            false => rounds.saturating_add(1),
        };
        self.silent_rounds = next(self.silent_rounds, &mut self.heard);
        self.quiet_rounds = next(self.quiet_rounds, &mut self.spoke);
    }

    /// How many requests to keep outstanding.
    pub fn depth(&self, traffic: &Traffic, config: &PeerConfig, now: Instant) -> u32 {
        if planted!(PipelineUnbounded) {
            return 10_000;
        }
        let depth = match config.pipeline {
            _ if self.snubbed => 1,
            Pipeline::Fixed(depth) => depth,
            Pipeline::Adaptive { queue, min, max } => {
                let known = traffic.min_rtt != NO_RTT;
                let wait = (if known { traffic.min_rtt } else { 0 } + nanos(queue)) as f64 * 1e-9;
                let blocks = traffic.pace.get(now, PACE_WINDOW) * wait / f64::from(BLOCK);
                let least = if known { min } else { min.max(FIRST_DEPTH) };
                let ramp = self.ramp.as_ref().map_or(FIRST_DEPTH, |ramp| ramp.depth);
                let least = if config.slow_start { least.max(ramp) } else { least };
                (blocks as u32).saturating_add(1).clamp(least.min(max), max)
            }
        };
        depth.min(u32::from(self.remote_queue)).max(1)
    }

    #[inline(always)]
    pub fn facts(&self, id: ConnId, traffic: Option<&Traffic>, window: &Window) -> Facts {
        Facts {
            conn: id,
            interested: self.peer_interested,
            unchoked: !self.am_choking,
            snubbed: self.snubbed,
            complete: self.have.is_full(),
            pieces: self.have.count(),
            download_rate: traffic.map_or(0, |t| t.down.over(window) as u64),
            upload_rate: traffic.map_or(0, |t| t.up.over(window) as u64),
            sent_since_unchoke: traffic.map_or(0, |t| t.sent_since_unchoke),
            connected_at: self.connected_at,
            unchoked_at: (self.unchoked_at != Instant::FAR).then_some(self.unchoked_at),
            flushed: traffic.is_none_or(Traffic::flushed),
        }
    }
}

impl Allowed {
    /// Bytes beside those in the table.
    pub fn footprint(&self) -> u64 {
        let sets = [&self.to_us, &self.to_it];
        let spilled = sets.iter().filter(|set| set.spilled()).map(|set| set.capacity());
        (spilled.sum::<usize>() * size_of::<PieceIndex>()) as u64
    }
}

impl Traffic {
    pub fn new(now: Instant) -> Self {
        Self {
            requests: Chain::default(),
            outstanding: 0,
            down: Rate::new(now),
            pace: Rate::new(now),
            min_rtt: NO_RTT,
            last_block: now,
            uploads: Chain::default(),
            reading: Chain::default(),
            up: Rate::new(now),
            sent_since_unchoke: 0,
            unsent: 0,
        }
    }

    /// Nobody's any more: `next` is the place that is free after it.
    pub(super) fn set_free(&mut self, next: u32) {
        self.outstanding = next;
    }

    /// What [`Self::set_free`] was told.
    pub(super) fn next_free(&self) -> u32 {
        self.outstanding
    }

    /// Nothing is requested any more, either way.
    pub fn clear(&mut self, pools: &mut Pools) {
        pools.requests.clear(&mut self.requests);
        pools.blocks.clear(&mut self.uploads);
        pools.blocks.clear(&mut self.reading);
        self.outstanding = 0;
    }

    /// Before a request more: of those that we no longer count on the oldest is forgotten if there are too
    /// many, or a remote that answers none of them would make us keep them all.
    pub fn limit_dropped(&mut self, requests: &mut Pool<Pending>) {
        if self.requests.len() - self.outstanding as usize >= MAX_DROPPED {
            requests.take(&mut self.requests, |pending| pending.dropped);
        }
    }

    /// Takes the request for `raw` out, the oldest if there are several.
    pub fn answered(&mut self, requests: &mut Pool<Pending>, raw: RawBlock) -> Option<Pending> {
        let pending = requests.take(&mut self.requests, |pending| RawBlock::from(pending.block) == raw)?;
        self.outstanding -= u32::from(!pending.dropped);
        Some(pending)
    }

    /// A block is to be asked for: true if its request stands, given up when the remote was snubbed and never taken
    /// back. It is counted on again, and not to be sent twice.
    pub fn counts_on_again(&mut self, requests: &mut Pool<Pending>, block: BlockRef) -> bool {
        // Seldom is anything given up.
        if self.requests.len() == self.outstanding as usize {
            return false;
        }
        let found = requests.visit(self.requests, |pending| {
            let given_up = pending.dropped && !pending.cancelled && pending.block == block;
            pending.dropped &= !given_up;
            given_up
        });
        self.outstanding += u32::from(found);
        found
    }

    /// A requested block has come: `pending` is its request.
    pub fn account_download(
        &mut self,
        ramp: Option<&mut Ramp>,
        config: &PeerConfig,
        now: Instant,
        bytes: u32,
        pending: &Pending,
    ) {
        self.down.add(now, u64::from(bytes), config.rate_window);
        if ramp.is_some_and(|ramp| ramp.grow(now)) {
            // While it grows, what was before says too little.
            self.pace = Rate::new(now);
        }
        self.pace.add(now, u64::from(bytes), PACE_WINDOW);
        self.min_rtt = self.min_rtt.min(now.as_nanos().saturating_sub(pending.sent_at.as_nanos()));
        self.last_block = now;
    }

    /// The most payload bytes to hand to the network ahead of what has left.
    pub fn send_watermark(&self, config: &PeerConfig, now: Instant) -> u32 {
        let by_rate = self.up.get(now, config.rate_window) * config.send_buffer_time.as_secs_f64();
        (by_rate as u32).max(config.send_buffer)
    }

    /// Nothing of ours waits for it or is on its way out.
    pub fn flushed(&self) -> bool {
        self.unsent == 0 && self.uploads.is_empty() && self.reading.is_empty()
    }

    /// Nothing moves and nothing has moved for as long as anybody remembers.
    pub fn is_over(&self, config: &PeerConfig, now: Instant) -> bool {
        let still = self.flushed() && self.requests.is_empty();
        still && self.up.get(now, config.rate_window) == 0.0 && self.down.get(now, config.rate_window) == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_two_cache_lines_and_so_is_what_moves_on_it() {
        assert_eq!((size_of::<Connection>(), size_of::<Traffic>()), (128, 128));
        // What a HAVE needs, and what we give, is in the first.
        assert_eq!(std::mem::offset_of!(Connection, am_choking), 64);
        assert_eq!(std::mem::offset_of!(Traffic, down), 64);
    }
}
