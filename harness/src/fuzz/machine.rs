//! What stands behind the seam of the engine: a peer, a fetch that becomes one, or a double with a planted fault.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use engine::metadata::{Fetch, FetchConfig};
use engine::peer::{Deadline, Identity, Input, Output, PeerConfig, Policy};
use engine::wire::PeerId;
use engine::{Bitfield, Instant, Peer, Seed, choker, picker};

use super::dialogue::Role;
use super::subject::Subject;

/// See the module.
pub trait Machine {
    /// As [`Peer::handle_input`].
    fn input(&mut self, now: Instant, input: Input);
    /// As [`Peer::poll_output`].
    fn output(&mut self) -> Option<Output>;
    /// As [`Peer::poll_timeout`].
    fn timeout(&self) -> Option<Deadline>;
    /// Called when there are no outputs: whether it has changed into something else and has more to say.
    fn turn(&mut self, _now: Instant) -> bool {
        false
    }
    /// Whether it has all that it is there for.
    fn is_done(&self) -> bool;
    /// Bytes of memory that it holds by its own account.
    fn holds(&self) -> u64;
}

impl Machine for Peer {
    fn input(&mut self, now: Instant, input: Input) {
        self.handle_input(now, input);
    }
    fn output(&mut self) -> Option<Output> {
        self.poll_output()
    }
    fn timeout(&self) -> Option<Deadline> {
        self.poll_timeout()
    }
    fn is_done(&self) -> bool {
        self.is_complete()
    }
    fn holds(&self) -> u64 {
        self.footprint().total()
    }
}

/// The port that everybody listens on.
pub(super) const PORT: u16 = 6881;

/// The peer that is spoken to listens here.
pub(super) fn target_addr() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), PORT))
}

/// The honest remote is here.
pub(super) fn honest_addr() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), PORT))
}

/// An engine's peer of the torrent, as the client makes one by default.
pub fn peer(subject: &Subject, seeds: bool, id: u8, addr: SocketAddr) -> Option<Peer> {
    let policy = Policy {
        leech: choker::by_name("tit-for-tat")?,
        seed: choker::by_name("round-robin")?,
        picker: picker::by_name("rarest-first")?,
    };
    let identity = Identity { peer_id: PeerId([id; 20]), addr };
    let layout = subject.layout();
    let have = if seeds { Bitfield::full(layout) } else { Bitfield::empty(layout) };
    let config = Arc::new(PeerConfig::client());
    let mut peer = Peer::new(subject.metainfo.torrent(), config, &policy, identity, have, Seed(id.into()));
    peer.set_metadata(subject.metainfo.info.clone());
    Some(peer)
}

/// The engine in a role.
pub fn engine(role: Role, subject: &Arc<Subject>) -> Option<Box<dyn Machine>> {
    let addr = target_addr();
    Some(match role {
        Role::Leech | Role::Seed => Box::new(peer(subject, role == Role::Seed, 1, addr)?),
        Role::Magnet => {
            let identity = Identity { peer_id: PeerId([1; 20]), addr };
            let config = FetchConfig::new(Arc::new(PeerConfig::client()));
            let fetch = Fetch::new(subject.metainfo.info_hash, config, identity, &[], Seed(1));
            Box::new(Magnet { subject: subject.clone(), fetch: Some(fetch), peer: None })
        }
    })
}

/// A fetch, and the peer that takes over from it.
struct Magnet {
    subject: Arc<Subject>,
    fetch: Option<Fetch>,
    peer: Option<Peer>,
}

impl Machine for Magnet {
    fn input(&mut self, now: Instant, input: Input) {
        match (&mut self.fetch, &mut self.peer) {
            (Some(fetch), _) => fetch.handle_input(now, input),
            (_, Some(peer)) => peer.handle_input(now, input),
            _ => {}
        }
    }

    fn output(&mut self) -> Option<Output> {
        match (&mut self.fetch, &mut self.peer) {
            (Some(fetch), _) => fetch.poll_output(),
            (_, Some(peer)) => peer.poll_output(),
            _ => None,
        }
    }

    fn timeout(&self) -> Option<Deadline> {
        match (&self.fetch, &self.peer) {
            (Some(fetch), _) => fetch.poll_timeout(),
            (_, Some(peer)) => peer.poll_timeout(),
            _ => None,
        }
    }

    fn turn(&mut self, now: Instant) -> bool {
        let there = self.fetch.as_ref().is_some_and(|fetch| fetch.info().is_some());
        let Some(fetch) = self.fetch.take_if(|_| there) else { return false };
        // What it says is right is right.
        assert_eq!(fetch.info(), Some(&self.subject.metainfo.info), "a wrong info dictionary was taken");
        let Some(mut peer) = peer(&self.subject, false, 1, target_addr()) else { return false };
        peer.handle_input(now, Input::Start);
        let mut first = Vec::new();
        while let Some(output) = peer.poll_output() {
            first.push(output);
        }
        // Its announce is answered by nobody: the driver asks no tracker.
        peer.take_over(now, fetch.hand_over(false).0);
        self.peer = Some(peer);
        true
    }

    fn is_done(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_complete)
    }

    fn holds(&self) -> u64 {
        self.fetch.as_ref().map_or(0, Fetch::footprint) + self.peer.as_ref().map_or(0, Peer::holds)
    }
}
