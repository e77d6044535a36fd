//! What an event will touch, asked for ahead of it. A swarm is larger than any cache, and the hosts of two
//! events in a row have nothing in common: without this an event spends most of its time waiting for memory.

use std::mem::offset_of;

use engine::peer::About;
use engine::{ConnId, Peer};

use crate::event::{Class, Event};
use crate::load::{Load, Notation};

use super::Host;
use super::actor::Actor;
use super::link::Handle;

/// Where a host's peer begins.
const PEER: usize = offset_of!(Host, actor) + offset_of!(Actor, peer);
/// The bytes of a host, from its first on, that blocks and requests touch; HAVEs do nearly all of them too.
const OF_BLOCKS: usize = PEER + Peer::OF_BLOCKS;

/// Events of a host's turn that are looked at: more would push each other out before they come.
const MOST: usize = 16;

/// What the events of a host's turn are about, as far as it is known before: found once, and apart by kind, since what an
/// event is nobody can guess, the processor neither.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The pieces of HAVEs that come.
    haves: Vec<u32>,
    /// Everything else that moves on a connection.
    moves: Vec<(ConnId, About)>,
}

/// What is asked for, in steps of which each needs what the one before has brought.
impl Host {
    /// The first step: the host.
    #[inline]
    pub fn ask_for_host(&self) {
        prefetch::part(self, 0..OF_BLOCKS);
    }

    /// The second: links and the queues of connections, the peer's part of them, where pieces are found, and whose turn it
    /// is at the uplink. Makes the plan for those that follow.
    #[inline]
    pub fn ask_for_connections(&self, events: &[Event], plan: &mut Plan, notation: Notation) {
        plan.haves.clear();
        plan.moves.clear();
        let Some(actor) = self.actor.get() else { return };
        self.uplink.prefetch_next();
        for event in events.iter().take(MOST) {
            let class = event.class();
            let (conn, about) = match (class, self.serving) {
                (Class::Arrive | Class::Deliver, _) => {
                    (Handle(event.to).slot(), notation.about(Load::of_word(event.arg)))
                }
                (Class::LinkFree, Some((handle, _))) => (handle.slot(), About::Upload),
                _ => continue,
            };
            self.links.prefetch(conn);
            if let About::Have(piece) = about {
                actor.peer.prefetch_have(ConnId(conn), piece);
                plan.haves.push(piece);
            } else {
                actor.peer.prefetch_connection(ConnId(conn));
                self.uplink.prefetch(conn);
                plan.moves.push((ConnId(conn), about));
            }
        }
        if !plan.haves.is_empty() {
            actor.peer.prefetch_borders();
        }
        if !plan.moves.is_empty() {
            actor.peer.prefetch_pieces();
        }
    }

    /// The third: what moves on the connections, begun pieces, the neighbours of pieces in the order of rarity, and the queues
    /// of those whose turn it is at the uplink.
    #[inline]
    pub fn ask_for_traffic(&self, plan: &Plan) {
        let Some(actor) = self.actor.get() else { return };
        plan.haves.iter().for_each(|piece| actor.peer.prefetch_order(*piece));
        plan.moves.iter().for_each(|(conn, about)| actor.peer.prefetch_traffic(*conn, *about));
        if !plan.moves.is_empty() {
            actor.peer.prefetch_partial();
        }
        for lane in self.uplink.next() {
            self.uplink.prefetch(lane);
            self.links.prefetch(lane);
        }
    }

    /// The fourth: the last that is requested, who sent the blocks of pieces, the pieces that would make room for others, and
    /// what will be sent next.
    #[inline]
    pub fn ask_for_requests(&self, plan: &Plan) {
        let Some(actor) = self.actor.get() else { return };
        plan.haves.iter().for_each(|piece| actor.peer.prefetch_border(*piece));
        plan.moves.iter().for_each(|(conn, about)| actor.peer.prefetch_requests(*conn, *about));
        self.uplink.next().for_each(|lane| self.uplink.prefetch_rest(lane));
    }

    /// The last: the first that is requested.
    #[inline]
    pub fn ask_for_first(&self, plan: &Plan) {
        let Some(actor) = self.actor.get() else { return };
        plan.moves.iter().for_each(|(conn, about)| actor.peer.prefetch_first(*conn, *about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_touches_twelve_lines_of_a_host() {
        assert_eq!(OF_BLOCKS.div_ceil(64), 12);
    }
}
