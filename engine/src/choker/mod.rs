//! Choking policies: whom to upload to. Mechanism (when a round is due, what an unchoke sends, who is
//! snubbed) is the peer's; a policy only ranks. One file each.
//!
//! A policy gets facts and a generator, never the peer. Every ranking ends in the connection's id, so that
//! ties are decided and a run can be repeated.
//!
//! The policies here keep these promises, in either role, leeching or seeding: never more interested remotes
//! are unchoked than there are slots (but for `unchoke-all`), and no slot is left idle while an interested
//! remote is choked (but for `never`). A decision about n connections with s slots costs O(n s) at most, and allocates
//! nothing while n is not over some hundred.

mod anti_leech;
mod fastest_upload;
mod mainline_seed;
mod never;
mod random;
mod rotation;
mod round_robin;
#[cfg(test)]
mod tests;
mod tit_for_tat;
mod unchoke_all;

use std::fmt;
use std::sync::Arc;

pub use anti_leech::AntiLeech;
pub use fastest_upload::FastestUpload;
pub use mainline_seed::MainlineSeed;
pub use never::Never;
pub use random::Random;
pub use rotation::{Ranking, Rotation};
pub use round_robin::RoundRobin;
pub use tit_for_tat::TitForTat;
pub use unchoke_all::UnchokeAll;

use crate::ids::ConnId;
use crate::rng::Rng;
use crate::time::Instant;

/// Periodic rounds between two turns of an optimistic slot: at 10 s each, 30 s (BEP 3, mainline, libtorrent).
pub const OPTIMISTIC_ROUNDS: u64 = 3;

/// What a policy may know about one connection when it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The connection.
    pub conn: ConnId,
    /// The remote wants pieces from us.
    pub interested: bool,
    /// We have it unchoked now.
    pub unchoked: bool,
    /// It has sent nothing for a minute though we had requests with it (BEP 3, anti-snubbing).
    pub snubbed: bool,
    /// It has every piece.
    pub complete: bool,
    /// Pieces it has.
    pub pieces: u32,
    /// Bytes a second from it, averaged over 20 s.
    pub download_rate: u64,
    /// Bytes a second to it, averaged over 20 s.
    pub upload_rate: u64,
    /// Payload bytes sent to it since it was last unchoked.
    pub sent_since_unchoke: u64,
    /// When the connection was made.
    pub connected_at: Instant,
    /// When it was last unchoked; `None` if never.
    pub unchoked_at: Option<Instant>,
    /// Nothing of ours is queued for it or on its way out.
    pub flushed: bool,
}

impl Facts {
    /// Interested and choked: it waits for a slot.
    pub fn waits(&self) -> bool {
        self.interested && !self.unchoked
    }

    /// When its last turn began: its last unchoke, or the connection if it never had one, so that newcomers
    /// go to the end of the queue.
    pub fn last_turn(&self) -> Instant {
        self.unchoked_at.unwrap_or(self.connected_at)
    }

    /// To rank by who has waited longest, least first: [`Facts::last_turn`] while it is choked, never while
    /// it is unchoked. (libtorrent takes the last unchoke of either, and so lets the oldest turn go on.)
    pub fn waiting_since(&self) -> Instant {
        if self.unchoked { Instant::FAR } else { self.last_turn() }
    }

    /// The upload rate, bytes a second, and zero if it is choked: what a choked remote still gets was asked
    /// for before, and says nothing about it (libtorrent's `round_robin` counts it so too).
    pub fn current_upload_rate(&self) -> u64 {
        if self.unchoked { self.upload_rate } else { 0 }
    }
}

/// The decision that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Now.
    pub now: Instant,
    /// How many periodic rounds there have been, this one included; the first is 1.
    pub number: u64,
    /// True for the round of every 10 s; false when something changed in between (an unchoked peer's
    /// interest, a connection made or lost), where mainline decides again without rotating.
    pub periodic: bool,
    /// Upload slots, the optimistic one included; at least 1.
    pub slots: usize,
    /// Pieces in the torrent.
    pub pieces: u32,
}

impl Round {
    /// Whether optimistic slots go to the next one: each third periodic round, every 30 s.
    pub fn turns(&self) -> bool {
        self.periodic && self.number.is_multiple_of(OPTIMISTIC_ROUNDS)
    }
}

/// Ranks connections. See the module for what it may and may not do.
pub trait Choker: fmt::Debug + Send {
    /// A connection is ready (its handshake is done). Called before the decision that follows.
    fn connected(&mut self, _conn: ConnId, _rng: &mut Rng) {}
    /// A connection is gone.
    fn closed(&mut self, _conn: ConnId) {}
    /// Puts the connections that are to be unchoked into `unchoke` (empty at the call, any order, no
    /// duplicates); every other one is choked. `peers` is in ascending order of connection id.
    fn decide(&mut self, round: &Round, peers: &[Facts], rng: &mut Rng, unchoke: &mut Vec<ConnId>);
}

/// Makes the choker of one peer. [`FactoryOf`] makes one from a name and a closure.
pub trait ChokerFactory: fmt::Debug + Send + Sync {
    /// The name in scenario files and tables.
    fn name(&self) -> &str;
    /// A choker for one peer.
    fn build(&self) -> Box<dyn Choker>;
}

/// A factory from a name and a closure that makes a choker.
///
/// ```
/// # use engine::{ConnId, Rng};
/// use engine::choker::{Choker, ChokerFactory, Facts, FactoryOf, Round};
///
/// /// Unchokes the oldest connections.
/// #[derive(Debug)]
/// struct Loyal;
///
/// impl Choker for Loyal {
///     fn decide(&mut self, round: &Round, peers: &[Facts], _: &mut Rng, unchoke: &mut Vec<ConnId>) {
///         let mut by_age: Vec<_> =
///             peers.iter().filter(|f| f.interested).map(|f| (f.connected_at, f.conn)).collect();
///         by_age.sort_unstable();
///         unchoke.extend(by_age.iter().take(round.slots).map(|&(_, conn)| conn));
///     }
/// }
///
/// let factory = FactoryOf::new("loyal", || Loyal);
/// assert_eq!(factory.name(), "loyal");
/// ```
pub struct FactoryOf<F> {
    name: String,
    make: F,
}

impl<C: Choker + 'static, F: Fn() -> C + Send + Sync> FactoryOf<F> {
    /// The factory called `name` whose chokers `make` makes.
    pub fn new(name: impl Into<String>, make: F) -> Self {
        Self { name: name.into(), make }
    }
}

impl<F> fmt::Debug for FactoryOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choker {}", self.name)
    }
}

impl<C: Choker + 'static, F: Fn() -> C + Send + Sync> ChokerFactory for FactoryOf<F> {
    fn name(&self) -> &str {
        &self.name
    }
    fn build(&self) -> Box<dyn Choker> {
        Box::new((self.make)())
    }
}

/// The chokers that come with the engine: the name in scenario files, and what it does.
pub const NAMES: [(&str, &str); 8] = [
    ("tit-for-tat", "unchokes whoever gives most, and one more by rotation (BEP 3, mainline leeching)"),
    ("random", "unchokes interested remotes by lot, drawn every 30 s"),
    ("unchoke-all", "unchokes everyone, whatever the slots"),
    ("never", "unchokes nobody: the free rider"),
    ("mainline-seed", "gives everyone a turn at a steady pace (mainline 4.x seeding)"),
    ("fastest-upload", "unchokes whoever takes it fastest, and one more by rotation (libtorrent)"),
    ("round-robin", "gives everyone a share of bytes in turn (libtorrent's default for seeding)"),
    ("anti-leech", "unchokes whoever has just begun or is nearly done (libtorrent)"),
];

/// The factory called `name`, if it is one of [`NAMES`].
pub fn by_name(name: &str) -> Option<Arc<dyn ChokerFactory>> {
    Some(match name {
        "tit-for-tat" => Arc::new(FactoryOf::new(name, TitForTat::default)),
        "random" => Arc::new(FactoryOf::new(name, Random::default)),
        "unchoke-all" => Arc::new(FactoryOf::new(name, || UnchokeAll)),
        "never" => Arc::new(FactoryOf::new(name, || Never)),
        "mainline-seed" => Arc::new(FactoryOf::new(name, MainlineSeed::default)),
        "fastest-upload" => Arc::new(FactoryOf::new(name, FastestUpload::default)),
        "round-robin" => Arc::new(FactoryOf::new(name, RoundRobin::default)),
        "anti-leech" => Arc::new(FactoryOf::new(name, AntiLeech::default)),
        _ => return None,
    })
}
