//! Connections that somebody else has begun, and a peer goes on with: those of
//! [`metadata::Fetch`](crate::metadata::Fetch), which knew the torrent by its info-hash alone. Nobody has to
//! dial again, and nothing is lost that was said meanwhile.

use std::net::{IpAddr, SocketAddr};

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::{Handshake, Message};

use super::Peer;

/// A connection as it was left.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// The driver's name for it, which stays.
    pub conn: ConnId,
    /// The other end.
    pub addr: SocketAddr,
    /// We dialled it.
    pub outgoing: bool,
    /// When the transport came up.
    pub since: Instant,
    /// Our handshake has gone out.
    pub handshake_sent: bool,
    /// The remote's handshake. If it has come, then ours, our "no pieces" (BEP 6) and our extended handshake
    /// have gone out as well, and nothing else.
    pub handshake: Option<Handshake>,
    /// What the remote has said since that still counts, in an order in which it may be said.
    pub messages: Vec<Message>,
}

/// All that a peer goes on with.
#[derive(Clone, Debug, Default)]
pub struct Handover {
    /// Connections.
    pub connections: Vec<Adopted>,
    /// Addresses that have not been dialled. Of a private torrent, such as the tracker has named (BEP 27).
    pub candidates: Vec<SocketAddr>,
    /// Addresses that have sent wrong bytes.
    pub banned: Vec<IpAddr>,
}

impl Peer {
    /// Goes on with connections that are open already. To be called once, right after
    /// [`Input::Start`](super::Input::Start) and the drain that follows it; drain
    /// [`poll_output`](Self::poll_output) afterwards, as after an input. Connections that are not taken are in
    /// there as [`Output::Disconnect`](super::Output::Disconnect). What was being dialled is told by `Connected`
    /// or `ConnectFailed` as if this peer had asked for it.
    pub fn take_over(&mut self, now: Instant, handover: Handover) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        self.banned.extend(handover.banned);
        for adopted in handover.connections {
            self.adopt(adopted, now);
        }
        self.on_discovered(&handover.candidates, now);
        self.after_input(now);
    }

    fn adopt(&mut self, adopted: Adopted, now: Instant) {
        let Adopted { conn: id, addr, outgoing, since, handshake_sent, handshake, messages } = adopted;
        if !self.accept(id, addr, outgoing, since, now) {
            return;
        }
        if let Some(conn) = self.conns.get_mut(id) {
            conn.handshake_sent = handshake_sent;
        }
        let Some(theirs) = handshake else {
            if outgoing && !handshake_sent {
                self.send_handshake(id);
            }
            return;
        };
        self.meet(id, theirs, true, now);
        for message in messages {
            self.on_message(id, message, now);
        }
        let Some(conn) = self.conns.get(id) else { return };
        // It was told that we have nothing; now we know what we have, and what we can do.
        if conn.extended {
            self.renew_extended_handshake(id);
        }
        let have: Vec<_> = self.pieces.have().iter(&self.torrent.layout).collect();
        for piece in have {
            self.send(id, Message::Have(piece.get()));
        }
    }
}
