//! What happens by the clock: choke rounds, snubs, keep-alives, time-outs.

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::Message;

use super::Peer;
use super::seam::{DisconnectReason, Event, Output};

/// A remote that stays snubbed for this many times the snub time is dropped.
const STALLED: u32 = 3;

/// What is due for one connection.
enum Due {
    Nothing,
    Close(DisconnectReason),
    Snub,
    KeepAlive,
}

impl Peer {
    /// The periodic look at everything, once in a choke interval.
    pub(crate) fn round(&mut self, now: Instant) {
        self.rounds += 1;
        #[cfg(debug_assertions)]
        self.pieces.check();
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if let Some(conn) = self.conns.get_mut(id) {
                conn.age();
            }
            match self.due(id, now) {
                Due::Nothing => {}
                Due::Close(reason) => self.disconnect(id, reason, now),
                Due::Snub => self.snub(id, now),
                Due::KeepAlive => self.send(id, Message::KeepAlive),
            }
        }
        self.decide_chokes(true, now);
        for i in 0..self.conns.len() {
            self.conns.settle(ConnId(i as u32), &self.config, now);
        }
        if self.is_complete() {
            self.conns.trim();
        }
        self.dial(now);
        self.want_peers();
        self.exchange_peers(now);
    }

    fn due(&self, id: ConnId, now: Instant) -> Due {
        let Some(conn) = self.conns.get(id) else { return Due::Nothing };
        let config = &self.config;
        if !conn.is_ready() {
            let late = now.since(conn.connected_at) > config.handshake_timeout;
            return if late { Due::Close(DisconnectReason::HandshakeTimeout) } else { Due::Nothing };
        }
        if config.choke_interval * u32::from(conn.silent_rounds) > config.idle_timeout {
            return Due::Close(DisconnectReason::Idle);
        }
        if let Some(traffic) = self.conns.traffic_of(conn).filter(|traffic| traffic.outstanding > 0) {
            let waited = now.since(traffic.last_block);
            if waited > config.snub_after * STALLED {
                return Due::Close(DisconnectReason::Stalled);
            }
            if waited > config.snub_after && !conn.snubbed {
                return Due::Snub;
            }
        }
        // It may have been quiet for up to a round longer than we know, and the next look is a round away.
        let quiet = config.choke_interval * (u32::from(conn.quiet_rounds) + 2);
        if quiet > config.keep_alive { Due::KeepAlive } else { Due::Nothing }
    }

    /// BEP 3, anti-snubbing: it owes us blocks and sends none. Others may have them, and the choker hears.
    fn snub(&mut self, id: ConnId, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.snubbed = true;
        self.drop_requests(id, false);
        self.abandon(id);
        self.emit(Output::Event(Event::Snubbed(id)));
        // It is the last to be asked for what it did not send.
        if let Some(at) = self.sources.iter().position(|&source| source == id) {
            self.sources[at..].rotate_left(1);
        }
        self.refill_all(now);
    }
}
