//! Peer exchange (BEP 11): each remote is told whom else we are connected to, and tells us. Only with
//! [`PeerConfig::pex`](super::PeerConfig), and never for a private torrent (BEP 27).
//!
//! - A remote is told at most once in [`INTERVAL`], at a choke round; at most [`MOST`] peers added and as many
//!   dropped, none in both, none that is said already; and every peer that was added is dropped once it is gone.
//! - A peer is told of by where it listens: where we dialled it, or its own word (BEP 10, `p`).
//! - What a remote says is a hint: it leads to addresses to dial, like any other source's, within the limits
//!   there, and from one message to [`MOST`] at most. Who says more often than it may is ignored, and closed if it
//!   goes on. Which addresses are worth dialling at all is the driver's business.
//! - Memory: [`TOLD`] addresses for each remote that is told.
//!
//! Left out is what BEP 11 allows those with few connections: to tell of peers that have just been lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::pex::{MAX_CONTACTS, flag};
use crate::wire::{Contact, Message, PexMessage};

use super::Peer;
use super::seam::Violation;

/// Between two messages to one remote (BEP 11).
const INTERVAL: Duration = Duration::from_secs(60);
/// Between two messages from one remote that are listened to: the same, but for what the way makes of it.
const LEAST: Duration = Duration::from_secs(50);
/// The most peers added, and the most dropped, in one message.
const MOST: usize = 50;
/// The most peers that one remote is told of at a time.
const TOLD: usize = 200;

/// What has been exchanged with one remote.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    sent: Option<Instant>,
    heard: Option<Instant>,
    /// Whom it has been told of, ascending.
    told: Vec<SocketAddr>,
}

impl Exchange {
    /// Bytes beside those of the value.
    pub fn footprint(&self) -> u64 {
        super::of(&self.told)
    }
}

impl Peer {
    pub(crate) fn exchanges_peers(&self) -> bool {
        self.config.pex && !self.torrent.private
    }

    /// Tells everyone who takes it what is new.
    pub(crate) fn exchange_peers(&mut self, now: Instant) {
        if !self.exchanges_peers() {
            return;
        }
        let contacts = self.contacts();
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if let Some((theirs, message)) = self.news_for(id, &contacts, now) {
                self.send(id, Message::Extended { id: theirs, payload: message.to_bytes().into() });
            }
        }
    }

    /// Everybody we are connected to and could tell of, by where they listen.
    fn contacts(&self) -> BTreeMap<SocketAddr, (ConnId, u8)> {
        let mut contacts = BTreeMap::new();
        for (id, conn) in self.conns.iter().filter(|(_, conn)| conn.is_ready()) {
            let remote = self.remotes.get(id);
            let port = if conn.outgoing { Some(conn.addr.get().port()) } else { remote.and_then(|r| r.port) };
            let Some(port) = port else { continue };
            let seed = conn.have.is_full() || remote.is_some_and(|remote| remote.upload_only);
            let seed = if seed { flag::SEED } else { 0 };
            let reached = if conn.outgoing { flag::REACHABLE } else { 0 };
            contacts.insert(SocketAddr::new(conn.addr.ip().to_canonical(), port), (id, seed | reached));
        }
        contacts
    }

    /// What is new for one remote, and the id under which it takes it.
    fn news_for(
        &mut self,
        id: ConnId,
        contacts: &BTreeMap<SocketAddr, (ConnId, u8)>,
        now: Instant,
    ) -> Option<(u8, PexMessage)> {
        let remote = self.remotes.get_mut(id).filter(|remote| remote.pex_id != 0)?;
        let exchange = &mut remote.exchange;
        if exchange.sent.is_some_and(|sent| now.since(sent) < INTERVAL) {
            return None;
        }
        let gone = exchange.told.iter().filter(|addr| !contacts.contains_key(addr));
        let dropped: Vec<_> = gone.copied().take(MOST).collect();
        exchange.told.retain(|addr| !dropped.contains(addr));
        let room = (TOLD - exchange.told.len()).min(MOST);
        let new = contacts
            .iter()
            .filter(|(addr, (conn, _))| *conn != id && exchange.told.binary_search(addr).is_err());
        let added: Vec<_> = new.map(|(&addr, &(_, flags))| Contact { addr, flags }).take(room).collect();
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        exchange.told.extend(added.iter().map(|contact| contact.addr));
        exchange.told.sort_unstable();
        exchange.sent = Some(now);
        Some((remote.pex_id, PexMessage { added, dropped }))
    }

    pub(crate) fn on_pex(&mut self, id: ConnId, payload: &[u8], now: Instant) {
        let Some(remote) = self.remotes.get_mut(id).filter(|_| self.config.pex && !self.torrent.private)
        else {
            return;
        };
        let exchange = &mut remote.exchange;
        if exchange.heard.is_some_and(|heard| now.since(heard) < LEAST) {
            if self.fault(id) {
                self.violation(id, Violation::PexFlood, now);
            }
            return;
        }
        // BEP 11 allows more in the first message.
        let most = if exchange.heard.is_none() { MAX_CONTACTS } else { MOST };
        exchange.heard = Some(now);
        let Ok(message) = PexMessage::from_bytes(payload) else { return };
        let complete = self.is_complete();
        let mut seen: Vec<IpAddr> = Vec::new();
        let mut peers = Vec::new();
        for contact in message.added.iter().take(most) {
            // A seed has no use for seeds.
            let useless = complete && contact.flags & flag::SEED != 0;
            // BEP 11: one address with many ports is not many peers.
            let ip = contact.addr.ip();
            let again = self.config.one_per_address && (seen.contains(&ip) || self.is_candidate(ip));
            if !useless && !again {
                seen.push(ip);
                peers.push(contact.addr);
            }
        }
        self.on_discovered(&peers, now);
    }
}
