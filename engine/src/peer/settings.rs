//! What may be set while a peer runs. Each is like an input: drain [`Peer::poll_output`] before it and after it.
//!
//! What is not here is done otherwise: limits on rates are the driver's, which delays what it reads and what it
//! reports as sent; a pause is [`Input::Stop`](super::Input::Stop) and then [`Input::Start`](super::Input::Start),
//! which keep pieces, blocks of unfinished ones, bans and [`Stats`](super::Stats) (a tracker is told of what has
//! been moved since the last start alone, as BEP 3 has it); pieces found by looking at the disk again make a new
//! peer.

use std::sync::Arc;

use crate::ids::ConnId;
use crate::picker::PickerFactory;
use crate::time::Instant;
use crate::wire::Message;

use super::Peer;
use super::connections::Busy;
use super::priority::priority;
use super::seam::{DisconnectReason, Output};

impl Peer {
    /// Upload mode: nothing is asked of anybody from here on, and what has been asked is cancelled; to give goes
    /// on. For a full disk, and for who has all the files it wants of the torrent. Remotes hear that we want nothing (BEP 3, and with
    /// [`PeerConfig::remember`](super::PeerConfig::remember) BEP 21).
    pub fn set_upload_mode(&mut self, now: Instant, on: bool) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        if std::mem::replace(&mut self.upload_mode, on) == on {
            return;
        }
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if on {
                self.cancel_requests(id);
            } else if let Some(conn) = self.conns.get_mut(id) {
                conn.dry = false;
            }
            self.update_interest(id);
        }
        self.tell_upload_only(now);
        self.refill_all(now);
        self.after_input(now);
    }

    fn cancel_requests(&mut self, id: ConnId) {
        let Some(Busy { traffic, pools, .. }) = self.conns.busy(id) else { return };
        let asked = pools.requests.iter(traffic.requests).filter(|pending| !pending.dropped);
        let asked: Vec<_> = asked.map(|pending| pending.block).collect();
        for block in asked {
            self.emit(Output::Send { conn: id, message: Message::Cancel(block.into()) });
        }
        self.drop_requests(id, false);
        self.abandon(id);
    }

    /// Pieces are begun by another policy from here on: in order, say. What is begun is finished.
    pub fn set_picker(&mut self, picker: &dyn PickerFactory) {
        self.picker = picker.build();
    }

    /// Another number of connections at most (dialled ones are kept to half of it, as by default), and of upload
    /// slots. Who is too many is let go, the lowest canonical priority first (BEP 40). No slot counts as idle any more.
    pub fn set_limits(&mut self, now: Instant, max_connections: u32, slots: u32) {
        debug_assert!(self.is_drained(), "outputs must be drained before the next input");
        let config = Arc::make_mut(&mut self.config);
        config.max_connections = max_connections;
        config.max_initiate = max_connections.div_ceil(2);
        config.slots = slots;
        self.forget_idle();
        let ours = self.identity.addr;
        while self.conns.live() > max_connections {
            let ranked = self.conns.iter().map(|(id, conn)| (priority(ours, conn.addr.get()), id));
            let Some((_, id)) = ranked.min() else { break };
            self.disconnect(id, DisconnectReason::TooMany, now);
        }
        self.rechoke = true;
        self.dial(now);
        self.after_input(now);
    }

    /// Whether our uplink is full, as far as the driver knows: a limit is reached, or the line gives no more. Counts from the
    /// next choke round on: who waits for a block then may wait for us, and does not leave its slot idle
    /// ([`PeerConfig::lend_idle_slots`](super::PeerConfig::lend_idle_slots)). At first it is not.
    pub fn set_uplink_full(&mut self, full: bool) {
        self.uplink_full = full;
    }

    /// BEP 21: we want nothing more, having everything or being told to want nothing.
    pub(crate) fn is_upload_only(&self) -> bool {
        self.upload_mode || self.is_complete()
    }

    /// BEP 21: says so to everyone when it changes, and lets go who has no more use for us than we for it.
    pub(crate) fn tell_upload_only(&mut self, now: Instant) {
        let only = self.is_upload_only();
        if !self.config.remember || self.told_upload_only == only {
            return;
        }
        self.told_upload_only = only;
        self.has_told_upload_only = true;
        for i in 0..self.conns.len() {
            let id = ConnId(i as u32);
            if self.conns.get(id).is_some_and(|conn| conn.is_ready() && conn.extended) {
                self.send_extended_handshake(id);
                self.part_if_useless(id, now);
            }
        }
    }

    /// Nothing will ever move between two who have both all that they want.
    pub(crate) fn part_if_useless(&mut self, id: ConnId, now: Instant) {
        if self.is_complete() && self.remotes.upload_only(id) {
            self.disconnect(id, DisconnectReason::BothComplete, now);
        }
    }
}
