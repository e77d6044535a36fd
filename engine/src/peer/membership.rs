//! Who is connected: dialling, accepting, handshakes, duplicates, bans, closing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smallvec::SmallVec;

use crate::addr::Addr;
use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::{Handshake, Message};

use super::Peer;
use super::connection::{Connection, Stage};
use super::footprint::grow;
use super::priority::priority;
use super::seam::{DisconnectReason, Event, Output, Violation};

/// The most addresses kept to dial.
const MAX_CANDIDATES: usize = 200;
/// The most banned addresses kept, and the most suspects; the lowest goes when there are more.
pub(super) const MAX_BANNED: usize = 10_000;
/// The most addresses of our own that are kept.
const MAX_OURS: usize = 16;
/// The most addresses kept whose connections end at once.
const MAX_SHORT_LIVED: usize = 1000;
/// How long an address that failed, or whose connection ended, is left alone; doubled with each failure.
const RETRY: Duration = Duration::from_secs(60);
/// How long one is left alone whose connection ended as soon as it was made, once. A remote that has not yet seen the end of
/// our last connection takes the next one for a second, and closes it.
const RETRY_SOON: Duration = Duration::from_secs(10);
/// An address that failed this often is forgotten.
const MAX_FAILURES: u8 = 3;

/// An address to dial, in 24 bytes: a swarm keeps some eighty for each peer.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    addr: Addr,
    /// How often it failed in the upper 8 bits, and when it may be dialled: in nanoseconds, up to two years.
    due: u64,
}

impl Candidate {
    const TIME_BITS: u32 = 56;
    const LATEST: u64 = (1 << Self::TIME_BITS) - 1;

    fn new(addr: SocketAddr, failures: u8, not_before: Instant) -> Self {
        let time = not_before.as_nanos().min(Self::LATEST);
        Self { addr: addr.into(), due: u64::from(failures) << Self::TIME_BITS | time }
    }

    /// Bytes beside those in the table.
    pub fn footprint(&self) -> u64 {
        self.addr.footprint()
    }

    fn failures(&self) -> u8 {
        (self.due >> Self::TIME_BITS) as u8
    }

    fn not_before(&self) -> Instant {
        Instant::from_nanos(self.due & Self::LATEST)
    }
}

impl Peer {
    pub(crate) fn on_discovered(&mut self, peers: &[SocketAddr], now: Instant) {
        let room = MAX_CANDIDATES.saturating_sub(self.candidates.len());
        let mut unknown = SmallVec::<[SocketAddr; 64]>::new();
        for &addr in peers {
            let known = self.is_hopeless(addr)
                || self.candidates.iter().any(|candidate| candidate.addr == addr)
                || unknown.contains(&addr)
                || !self.may_dial(addr);
            if !known && unknown.len() < room {
                unknown.push(addr);
            }
        }
        self.candidates.reserve_exact(unknown.len());
        self.candidates.extend(unknown.into_iter().map(|addr| Candidate::new(addr, 0, now)));
        self.dial(now);
        // Most of them may be dialled by now.
        let spare = self.candidates.capacity() - self.candidates.len();
        if spare > self.candidates.len() / 8 + 8 {
            self.candidates.shrink_to_fit();
        }
    }

    /// The user knows better than we do: what has failed before is forgotten, and they come first.
    pub(crate) fn on_named(&mut self, peers: &[SocketAddr], now: Instant) {
        for &addr in peers.iter().rev() {
            self.short_lived.remove(&addr);
            self.candidates.retain(|candidate| candidate.addr != addr);
            if self.may_dial(addr) {
                self.candidates.push_front(Candidate::new(addr, 0, now));
                self.candidates.truncate(MAX_CANDIDATES);
            }
        }
        self.dial(now);
    }

    /// Room is made in small steps, as in the tables of connections: a swarm has many of these lists.
    fn add_candidate(&mut self, candidate: Candidate) {
        if self.candidates.len() == self.candidates.capacity() {
            self.candidates.reserve_exact((self.candidates.len() / 8).max(4));
        }
        self.candidates.push_back(candidate);
    }

    /// Whether an address is somebody else's whom we are not connected with.
    fn may_dial(&self, addr: SocketAddr) -> bool {
        let nowhere = addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast();
        let ours = addr == self.identity.addr || self.ours.contains(&addr);
        !nowhere && !ours && !self.banned.contains(&addr.ip()) && !self.is_connected(addr)
    }

    /// Whether there is an address to dial with this IP.
    pub(crate) fn is_candidate(&self, ip: IpAddr) -> bool {
        self.candidates.iter().any(|candidate| candidate.addr.ip() == ip)
    }

    /// Whether dialling `addr` would be a second connection to one peer, open or being dialled. Who dialled us did so from a port
    /// that says nothing, so that by default the address alone counts, as with most clients.
    fn is_connected(&self, addr: SocketAddr) -> bool {
        let same = |other: SocketAddr| match self.config.one_per_address {
            true => other.ip() == addr.ip(),
            false => other == addr,
        };
        self.half_open.iter().any(|open| same(open.get()))
            || self.conns.iter().any(|(_, conn)| same(conn.addr.get()))
    }

    /// Dials while there is room and somebody to dial.
    pub(crate) fn dial(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        let limit = self.config.max_initiate.min(self.config.max_connections) as usize;
        for _ in 0..self.candidates.len() {
            let busy = self.conns.live() as usize + self.half_open.len();
            if busy >= limit || self.half_open.len() >= self.config.max_half_open as usize {
                return;
            }
            let Some(candidate) = self.candidates.pop_front() else { return };
            if candidate.not_before() > now {
                self.candidates.push_back(candidate);
            } else if let addr = candidate.addr.get()
                && !self.is_connected(addr)
            {
                if candidate.failures() > 0 {
                    self.failed.push((addr, candidate.failures()));
                }
                grow(&mut self.half_open);
                self.half_open.push(candidate.addr);
                self.emit(Output::Connect { addr });
            }
        }
    }

    pub(crate) fn on_connect_failed(&mut self, addr: SocketAddr, now: Instant) {
        self.half_open.retain(|open| *open != addr);
        let failures = self.take_failures(addr) + 1;
        if failures < MAX_FAILURES {
            self.retry_later(addr, failures, now);
        }
        self.dial(now);
    }

    fn take_failures(&mut self, addr: SocketAddr) -> u8 {
        let at = self.failed.iter().position(|(failed, _)| *failed == addr);
        at.map_or(0, |at| self.failed.swap_remove(at).1)
    }

    fn retry_later(&mut self, addr: SocketAddr, failures: u8, now: Instant) {
        self.retry_after(RETRY * (1 << failures.min(6)), addr, failures, now);
    }

    fn retry_after(&mut self, wait: Duration, addr: SocketAddr, failures: u8, now: Instant) {
        let known = self.candidates.iter().any(|candidate| candidate.addr == addr);
        if !known && self.candidates.len() < MAX_CANDIDATES {
            self.add_candidate(Candidate::new(addr, failures, now + wait));
        }
    }

    pub(crate) fn on_connected(&mut self, id: ConnId, addr: SocketAddr, outgoing: bool, now: Instant) {
        if self.accept(id, addr, outgoing, now, now) && outgoing {
            self.send_handshake(id);
        }
    }

    /// Takes a connection that is up since `since`, or refuses it: false.
    pub(crate) fn accept(
        &mut self,
        id: ConnId,
        addr: SocketAddr,
        outgoing: bool,
        since: Instant,
        now: Instant,
    ) -> bool {
        if outgoing {
            self.half_open.retain(|open| *open != addr);
            self.take_failures(addr);
        }
        // Room is kept for those whom we have dialled: a peer that everybody dials would otherwise have none
        // left for the seed by the time it answers.
        let taken = self.conns.live() as usize + self.half_open.len();
        let refuse = if !self.running {
            Some(DisconnectReason::Leaving)
        } else if self.banned.contains(&addr.ip()) && !planted!(BanForgotten) {
            Some(DisconnectReason::Banned)
        } else if !outgoing && taken >= self.config.max_connections as usize && !self.make_room(addr, now) {
            Some(DisconnectReason::TooMany)
        } else {
            None
        };
        if let Some(reason) = refuse {
            self.emit(Output::Disconnect { conn: id, reason });
            return false;
        }
        let mut conn = Connection::new(addr, outgoing, &self.torrent.layout, since);
        // Suspicion is of the address: it does not end with a connection.
        conn.suspect = self.suspects.contains(&addr.ip());
        let free = self.conns.insert(id, conn);
        debug_assert!(free, "the driver used {id:?} twice");
        free
    }

    /// Gives up the connection of the lowest priority for one with `addr`; false if that has the lowest.
    fn make_room(&mut self, addr: SocketAddr, now: Instant) -> bool {
        let ours = self.identity.addr;
        let ranked = self.conns.iter().map(|(id, conn)| (priority(ours, conn.addr.get()), id));
        let Some((lowest, id)) = ranked.min() else { return false };
        if lowest >= priority(ours, addr) {
            return false;
        }
        self.disconnect(id, DisconnectReason::TooMany, now);
        true
    }

    pub(crate) fn send_handshake(&mut self, id: ConnId) {
        let handshake = Handshake::new(self.torrent.info_hash, self.identity.peer_id)
            .limited(self.config.fast, self.config.extended);
        if let Some(conn) = self.conns.get_mut(id) {
            conn.handshake_sent = true;
            self.emit(Output::SendHandshake { conn: id, handshake });
        }
    }

    pub(crate) fn on_handshake(&mut self, id: ConnId, theirs: Handshake, now: Instant) {
        self.meet(id, theirs, false, now);
    }

    /// The remote's handshake; `greeted` if it has had our first messages.
    pub(crate) fn meet(&mut self, id: ConnId, theirs: Handshake, greeted: bool, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.heard = true;
        if conn.is_ready() {
            return self.violation(id, Violation::SecondHandshake, now);
        }
        if theirs.info_hash != self.torrent.info_hash {
            return self.disconnect(id, DisconnectReason::WrongTorrent, now);
        }
        if theirs.peer_id == self.identity.peer_id {
            // Whoever told us of it will do so again.
            if conn.outgoing && self.ours.len() < MAX_OURS {
                self.ours.push(conn.addr.get());
            }
            return self.disconnect(id, DisconnectReason::SelfConnection, now);
        }
        if let Some(loser) = self.duplicate(id, &theirs).filter(|_| !planted!(DuplicateKept)) {
            self.disconnect(loser, DisconnectReason::Duplicate, now);
            if loser == id {
                return;
            }
        }
        self.conns.name(id, theirs.peer_id);
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.stage = Stage::Ready;
        // What both offer.
        conn.fast = theirs.fast() && self.config.fast;
        conn.extended = theirs.extended() && self.config.extended;
        if !conn.handshake_sent {
            self.send_handshake(id);
        }
        if !greeted {
            self.greet(id);
        }
        self.leech_choker.connected(id, &mut self.rng);
        self.seed_choker.connected(id, &mut self.rng);
        self.rechoke = true;
    }

    /// Which of two connections to one peer has to go. Both ends decide alike: of a pair that crossed, the
    /// one that the lower peer id dialled stays; of two dialled by one side, the first.
    ///
    /// One peer is one id at one address: anybody can say a peer id that he has heard, and must neither end
    /// the connection of whom he heard it from nor keep him out.
    fn duplicate(&self, id: ConnId, theirs: &Handshake) -> Option<ConnId> {
        let new = self.conns.get(id)?;
        let old_id = self.conns.of_peer(theirs.peer_id, new.addr.ip())?;
        let old = self.conns.get(old_id)?;
        if old.outgoing == new.outgoing {
            return Some(id);
        }
        let ours_stays = self.identity.peer_id < theirs.peer_id;
        Some(if new.outgoing == ours_stays { old_id } else { id })
    }

    /// The first messages: what we have, and what we can do.
    fn greet(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else { return };
        let (fast, extended) = (conn.fast, conn.extended);
        let have = self.pieces.have();
        let pieces = if fast && have.is_full() {
            Some(Message::HaveAll)
        } else if have.count() == 0 {
            fast.then_some(Message::HaveNone)
        } else {
            Some(Message::Bitfield(have.to_wire().into()))
        };
        if let Some(message) = pieces {
            self.send(id, message);
        }
        if extended {
            self.send_extended_handshake(id);
        }
        if fast && self.config.allowed_fast > 0 {
            self.send_allowed_fast(id);
        }
    }

    pub(crate) fn on_closed(&mut self, id: ConnId, now: Instant) {
        if let Some(conn) = self.forget(id, now) {
            if conn.outgoing {
                self.lost(&conn, 0, now);
            }
            self.dial(now);
        }
    }

    pub(crate) fn disconnect(&mut self, id: ConnId, reason: DisconnectReason, now: Instant) {
        let Some(conn) = self.forget(id, now) else { return };
        self.emit(Output::Disconnect { conn: id, reason });
        let addr = conn.addr.get();
        if !conn.outgoing {
            return;
        }
        match reason {
            DisconnectReason::TooMany | DisconnectReason::Idle => self.retry_later(addr, 0, now),
            DisconnectReason::HandshakeTimeout | DisconnectReason::Stalled => self.lost(&conn, 1, now),
            _ => {}
        }
    }

    /// A connection that we dialled has ended, not by our will: the address is dialled again in a while. One
    /// whose connections end at once, with nothing moved, has another try soon, waits twice as long each time after that, and
    /// is given up after [`PeerConfig::short_lives`](super::PeerConfig::short_lives) of them.
    fn lost(&mut self, conn: &Connection, failures: u8, now: Instant) {
        let addr = conn.addr.get();
        let most = self.config.short_lives;
        if most == 0 || conn.has_traffic() || now.since(conn.connected_at) > RETRY {
            self.short_lived.remove(&addr);
            return self.retry_later(addr, failures, now);
        }
        let lives = self.short_lived.get(&addr).map_or(1, |lives| lives.saturating_add(1)).min(most);
        if self.short_lived.len() >= MAX_SHORT_LIVED {
            self.short_lived.pop_first();
        }
        self.short_lived.insert(addr, lives);
        if lives < most {
            let wait = if lives == 1 { RETRY_SOON } else { RETRY * (1 << (lives - 1).min(6)) };
            self.retry_after(wait, addr, lives, now);
        }
    }

    /// Whether an address has been given up.
    fn is_hopeless(&self, addr: SocketAddr) -> bool {
        let most = self.config.short_lives;
        most > 0 && self.short_lived.get(&addr).is_some_and(|&lives| lives >= most)
    }

    /// A tracker still names these: who has been given up has one more try.
    pub(crate) fn forgive(&mut self, peers: &[SocketAddr]) {
        let most = self.config.short_lives;
        for addr in peers {
            if let Some(lives) = self.short_lived.get_mut(addr).filter(|lives| **lives >= most) {
                *lives -= 1;
            }
        }
    }

    /// A remote broke the protocol: it goes. Nobody is banned for less than bad data: an honest client that
    /// pauses, or whose disk fails, refuses what it claims too.
    pub(crate) fn violation(&mut self, id: ConnId, violation: Violation, now: Instant) {
        self.disconnect(id, DisconnectReason::Violation(violation), now);
    }

    /// Refuses an address from here on, and drops what it has open.
    pub(crate) fn ban(&mut self, ip: IpAddr, now: Instant) {
        if !self.banned.insert(ip) {
            return;
        }
        if self.banned.len() > MAX_BANNED {
            self.banned.pop_first();
        }
        self.suspects.remove(&ip);
        self.candidates.retain(|candidate| candidate.addr.ip() != ip);
        self.emit(Output::Event(Event::Banned(ip)));
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if self.conns.get(id).is_some_and(|conn| conn.addr.ip() == ip) {
                self.disconnect(id, DisconnectReason::Violation(Violation::CorruptData), now);
            }
        }
    }

    /// Takes a connection out of every table.
    fn forget(&mut self, id: ConnId, now: Instant) -> Option<Connection> {
        self.drop_requests(id, true);
        let conn = self.conns.remove(id)?;
        self.remotes.forget(id);
        self.abandon(id);
        self.sources.retain(|&source| source != id);
        if conn.counted && !self.is_complete() {
            for piece in conn.have.iter(&self.torrent.layout) {
                self.pieces.availability.decrement(piece, &mut self.rng);
            }
        }
        if conn.is_ready() {
            self.leech_choker.closed(id);
            self.seed_choker.closed(id);
            self.rechoke |= !conn.am_choking;
        }
        self.refill_starved(None, now);
        Some(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_24_bytes_and_says_what_it_was_told() {
        assert_eq!(size_of::<Candidate>(), 24);
        let addr = "10.0.0.7:6881".parse().unwrap();
        for (failures, nanos) in [(0, 0), (3, 60_000_000_001), (u8::MAX, (1 << 56) - 1)] {
            let candidate = Candidate::new(addr, failures, Instant::from_nanos(nanos));
            assert_eq!(candidate.addr, addr);
            assert_eq!((candidate.failures(), candidate.not_before().as_nanos()), (failures, nanos));
        }
        assert_eq!(Candidate::new(addr, 1, Instant::FAR).failures(), 1, "no time spills over");
    }
}
