//! The torrent's connections: dialled, accepted, what they say, closed.

use std::io;
use std::net::SocketAddr;

use engine::peer::Input;
use engine::tracker::{AnnounceError, AnnounceReply, Tiers};
use engine::wire::{Decoded, Decoder, Limits};
use engine::{ConnId, PeerId};
use tokio::net::TcpStream;

use super::Torrent;
use crate::connection::{Connection, Link, Slot, Wire};
use crate::gate::Ticket;
use crate::session::{Alert, Closed, PeerStatus, TorrentFlags};

/// What happens to a torrent from outside.
pub(crate) enum Event {
    /// A connection says something.
    Wire(Slot, Wire),
    /// A dial has ended.
    Dialled(SocketAddr, io::Result<(TcpStream, Ticket)>),
    /// Somebody has dialled us and named this torrent.
    Accepted { addr: SocketAddr, stream: TcpStream, decoder: Decoder, ticket: Ticket },
    /// An announce has ended.
    Announced { number: u64, reply: Result<Box<AnnounceReply>, AnnounceError>, tiers: Tiers },
}

/// A connection as its torrent sees it.
#[derive(Debug)]
pub(super) struct Entry {
    pub link: Link,
    birth: u64,
    addr: SocketAddr,
    outgoing: bool,
    peer_id: Option<PeerId>,
}

/// The connections, by the numbers that the engine knows them by.
#[derive(Debug, Default)]
pub(super) struct Peers {
    entries: Vec<Option<Entry>>,
    free: Vec<ConnId>,
    births: u64,
}

impl Peers {
    pub fn get(&self, conn: ConnId) -> Option<&Entry> {
        self.entries.get(conn.index())?.as_ref()
    }

    /// The name of the connection that has this number now.
    pub fn slot(&self, conn: ConnId) -> Option<Slot> {
        Some(Slot { conn, birth: self.get(conn)?.birth })
    }

    /// Whether a name is still that of a connection.
    pub fn is(&self, slot: Slot) -> bool {
        self.get(slot.conn).is_some_and(|entry| entry.birth == slot.birth)
    }

    fn reserve(&mut self) -> Slot {
        let conn = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            ConnId(self.entries.len() as u32 - 1)
        });
        self.births += 1;
        Slot { conn, birth: self.births }
    }

    fn insert(&mut self, slot: Slot, link: Link, addr: SocketAddr, outgoing: bool) {
        let entry = Entry { link, birth: slot.birth, addr, outgoing, peer_id: None };
        self.entries[slot.conn.index()] = Some(entry);
    }

    fn remove(&mut self, conn: ConnId) -> Option<Entry> {
        let entry = self.entries.get_mut(conn.index())?.take()?;
        self.free.push(conn);
        Some(entry)
    }

    /// For people to see.
    pub fn status(&self) -> Vec<(ConnId, PeerStatus)> {
        let status = |(number, entry): (usize, &Option<Entry>)| {
            let entry = entry.as_ref()?;
            let status = PeerStatus {
                addr: entry.addr,
                outgoing: entry.outgoing,
                peer_id: entry.peer_id,
                received: entry.link.received(),
                sent: entry.link.sent(),
                info: None,
            };
            Some((ConnId(number as u32), status))
        };
        self.entries.iter().enumerate().filter_map(status).collect()
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

impl Torrent {
    pub(super) fn on_event(&mut self, event: Event) {
        match event {
            Event::Wire(slot, wire) if self.peers.is(slot) => self.on_wire(slot.conn, wire),
            Event::Wire(..) => {}
            Event::Dialled(addr, Ok((stream, ticket))) => {
                self.connected(addr, stream, Decoder::new(Limits::default()), ticket, true);
            }
            Event::Dialled(addr, Err(error)) => {
                tracing::debug!(%addr, %error, "dial failed");
                self.feed(Input::ConnectFailed { addr });
            }
            Event::Accepted { addr, .. } if self.is_filtered(addr) => {}
            Event::Accepted { addr, stream, decoder, ticket } => {
                self.connected(addr, stream, decoder, ticket, false);
            }
            Event::Announced { number, reply, tiers } => self.on_announced(number, reply, tiers),
        }
    }

    fn is_filtered(&self, addr: SocketAddr) -> bool {
        let filter = &self.context.settings.ip_filter;
        self.flags.contains(TorrentFlags::APPLY_IP_FILTER) && filter.blocks(addr.ip())
    }

    pub(super) fn dial(&mut self, addr: SocketAddr) {
        let ticket = if self.is_filtered(addr) { None } else { self.context.gate.dial() };
        let Some(ticket) = ticket else {
            self.inputs.push_back(Input::ConnectFailed { addr });
            return;
        };
        let (context, events) = (self.context.clone(), self.events_to.clone());
        tokio::spawn(async move {
            let result = context.dial(addr).await.map(|stream| (stream, ticket));
            let _ = events.send(Event::Dialled(addr, result)).await;
        });
    }

    fn connected(
        &mut self,
        addr: SocketAddr,
        stream: TcpStream,
        decoder: Decoder,
        ticket: Ticket,
        outgoing: bool,
    ) {
        // Who comes while files are checked may come again.
        if self.machine.is_none() || self.paused {
            return;
        }
        let slot = self.peers.reserve();
        let (down, up) = self.limits();
        let events = self.events_to.clone();
        let link = Connection { stream, decoder, ticket, slot, events, down, up }.start();
        self.peers.insert(slot, link, addr, outgoing);
        self.alert(Alert::PeerConnected { torrent: self.info_hash, addr, outgoing });
        self.feed(Input::Connected { conn: slot.conn, addr, outgoing });
    }

    fn on_wire(&mut self, conn: ConnId, wire: Wire) {
        match wire {
            Wire::Received(all) => {
                let Some(slot) = self.peers.slot(conn) else { return };
                for decoded in all {
                    // One of them may have been the last.
                    if !self.peers.is(slot) {
                        return;
                    }
                    self.on_decoded(conn, decoded);
                }
            }
            Wire::Malformed(error) => self.feed(Input::Malformed { conn, error }),
            Wire::Sent(bytes) => {
                self.context.uplink.sent(bytes);
                self.feed(Input::Sent { conn, bytes });
            }
            Wire::Closed(error) => {
                let reason = error.map_or(Closed::Theirs, |error| Closed::Broken(error.to_string()));
                self.close(conn, reason);
                self.feed(Input::Closed { conn });
            }
        }
    }

    fn on_decoded(&mut self, conn: ConnId, decoded: Decoded) {
        match decoded {
            Decoded::Handshake(handshake) => {
                if let Some(Some(entry)) = self.peers.entries.get_mut(conn.index()) {
                    entry.peer_id = Some(handshake.peer_id);
                }
                self.feed(Input::Handshake { conn, handshake });
            }
            Decoded::Message(message) => self.feed(Input::Message { conn, message }),
        }
    }

    /// Lets go of a connection. The engine knows, or is told next.
    pub(super) fn close(&mut self, conn: ConnId, reason: Closed) {
        let Some(entry) = self.peers.remove(conn) else { return };
        self.alert(Alert::PeerDisconnected { torrent: self.info_hash, addr: entry.addr, reason });
    }
}
