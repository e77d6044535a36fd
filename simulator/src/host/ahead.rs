//! What an event will touch, asked for ahead of it. A swarm is larger than any cache, and the hosts of two
//! events in a row have nothing in common: without this an event spends most of its time waiting for memory.

use std::mem::offset_of;

use engine::peer::{About, Ahead};
use engine::{ConnId, Peer};

use crate::parcel::Parcels;
use crate::queue::{Class, Event};

use super::Host;
use super::actor::Actor;
use super::link::Handle;

/// Where a host's peer begins.
const PEER: usize = offset_of!(Host, actor) + offset_of!(Actor, peer);
/// The bytes of a host, from its first on, that a HAVE touches, and those that blocks and requests do.
const OF_HAVES: usize = PEER + Peer::OF_HAVES;
const OF_BLOCKS: usize = PEER + Peer::OF_BLOCKS;

/// What is asked for, in steps of which each needs what the one before has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The host and the parcel.
    Host,
    /// The link and the queue of the connection, and the peer's part of it.
    Connection,
    /// What moves on it.
    Traffic,
    /// What is requested over it.
    Requests,
}

impl Step {
    /// The steps, first to last.
    pub const ALL: [Self; 4] = [Self::Host, Self::Connection, Self::Traffic, Self::Requests];
}

impl Host {
    /// Asks for what `event` will touch in this host.
    #[inline]
    pub fn look_ahead(&self, event: &Event, step: Step, parcels: &Parcels) {
        let class = event.class();
        let comes = matches!(class, Class::Arrive | Class::Deliver);
        if step == Step::Host {
            // What it is that comes, the next step will know.
            prefetch::part(self, 0..if comes { OF_HAVES } else { OF_BLOCKS });
            if comes {
                parcels.prefetch(event.arg);
            }
            return;
        }
        let Some(actor) = &self.actor else { return };
        if class == Class::LinkFree {
            self.look_at_next_service(step, parcels);
        }
        let handle = match self.serving {
            _ if comes => Handle(event.to),
            Some((handle, _)) if class == Class::LinkFree => handle,
            _ => return,
        };
        let conn = ConnId(handle.slot());
        let about = || if comes { parcels[event.arg].about() } else { About::Upload };
        match step {
            Step::Host => {}
            Step::Connection => {
                let about = about();
                self.links.prefetch(conn.0);
                // A HAVE has no answer.
                if !matches!(about, About::Have(_)) {
                    self.uplink.prefetch(conn.0);
                    prefetch::part(self, OF_HAVES..OF_BLOCKS);
                }
                actor.peer.prefetch(conn, about, Ahead::Connection);
            }
            Step::Traffic => actor.peer.prefetch(conn, about(), Ahead::Traffic),
            Step::Requests => actor.peer.prefetch(conn, about(), Ahead::Requests),
        }
    }

    /// Asks for what the uplink will send next.
    #[inline]
    fn look_at_next_service(&self, step: Step, parcels: &Parcels) {
        let Some(lane) = self.uplink.next() else { return };
        match step {
            Step::Connection => self.uplink.prefetch(lane),
            Step::Traffic => {
                self.links.prefetch(lane);
                parcels.prefetch(self.uplink.first_of(lane));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_have_touches_ten_lines_of_a_host_and_a_block_twelve() {
        assert_eq!((OF_HAVES.div_ceil(64), OF_BLOCKS.div_ceil(64)), (10, 12));
    }
}
