//! Upload slots that lie idle are lent to others ([`PeerConfig::lend_idle_slots`](super::PeerConfig)).
//!
//! Slots bound how many share the uplink. Who has one and takes next to nothing shares nothing: it stays unchoked, in
//! case it begins to ask, but the choker neither sees nor counts it. It is looked at in each round: it is idle if it takes
//! nothing once it has had its slot for [`LOOKS`] rounds, and uses its slot if it has taken something at so many looks
//! in a row, which what fills a socket's buffer does not. When most slots have turned out to be idle, as many more
//! remotes are unchoked on trial, so that those with a slot double every 30 s: behind 2,000 that take nothing, whoever
//! does waits for nine times that, and not for 500 turns of a minute.
//!
//! Trials end when as many as there are slots have been found that take something: then the choker is back to
//! its slots, and nobody but the idle has been unchoked beyond them.
//!
//! Who asks and gets little because we have no more to give is not idle. While the driver says that the uplink is full
//! ([`Peer::set_uplink_full`]), and those who get the most get less than [`TELLING`] each, whoever waits for a block
//! uses its slot. Where they get more, who does not keep up is slow by itself.

use crate::choker::{Facts, OPTIMISTIC_ROUNDS};
use crate::ids::ConnId;
use crate::time::Instant;

use super::Peer;

/// Who takes less, in bytes a second over the rate window, leaves its slot idle. (libtorrent's choker by rate
/// begins to count at as much, its `rate_choker_initial_threshold`.)
const LEAST_USE: u64 = 1024;
/// What as many as there are slots must get each, in bytes a second, before little is a sign of an idle slot while the
/// uplink is full: four times `LEAST_USE`, as shares differ.
pub const TELLING: u64 = 4 * LEAST_USE;
/// Rounds that it takes to tell. With 20 s for rates and 10 s for rounds, what was taken at once is seen twice.
const LOOKS: u8 = OPTIMISTIC_ROUNDS as u8;

/// How a remote uses its slot, in a byte: at how many looks in a row it has taken something, and whether it is
/// idle until that is [`LOOKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotUse(u8);

impl SlotUse {
    /// It has not had its slot for long.
    pub const UNKNOWN: Self = Self(0);
    const IDLE: u8 = 0x80;

    /// It leaves its slot idle.
    pub fn is_idle(self) -> bool {
        self.0 & Self::IDLE != 0
    }

    fn is_used(self) -> bool {
        self.0 == LOOKS
    }

    /// It has taken something lately, or not; `settled`: it has had the time to.
    fn look(&mut self, takes: bool, settled: bool) {
        let (idle, looks) = (self.0 & Self::IDLE, (self.0 & !Self::IDLE) + 1);
        self.0 = match takes {
            true if looks >= LOOKS => LOOKS,
            true => idle | looks,
            false if settled => Self::IDLE,
            false => 0,
        };
    }
}

impl Peer {
    /// The slots to be given, those of the idle not counted.
    pub(crate) fn slots(&self) -> usize {
        self.config.slots.max(1) as usize + self.trials
    }

    /// Whether a connection has a slot that is lent to another.
    pub(crate) fn has_lent(&self, id: ConnId) -> bool {
        self.conns
            .get(id)
            .is_some_and(|conn| conn.slot_use.is_idle() && conn.peer_interested && !conn.am_choking)
    }

    /// Once a round: who leaves its slot idle, and how many may be tried in their place.
    pub(crate) fn look_for_idle(&mut self, facts: &[Facts], now: Instant) {
        let settled = self.config.choke_interval * u32::from(LOOKS);
        let slots = self.config.slots.max(1) as usize;
        let gave = self.stats.uploaded - std::mem::replace(&mut self.gave, self.stats.uploaded);
        // Of this round, as rates remember what was before a limit was lowered.
        let gave = (gave as f64 / self.config.choke_interval.as_secs_f64()) as u64;
        let short = self.uplink_full && gave.min(best_slots_take(facts, slots)) < TELLING * slots as u64;
        let (mut idle, mut used, mut unknown) = (0, 0, 0);
        for facts in facts.iter().filter(|facts| facts.interested && facts.unchoked) {
            let Some(conn) = self.conns.get_mut(facts.conn) else { continue };
            let had = now.since(facts.last_turn());
            let takes = facts.upload_rate >= LEAST_USE || (short && !facts.flushed);
            conn.slot_use.look(takes, had >= settled);
            match conn.slot_use {
                slot if slot.is_idle() => idle += 1,
                slot if slot.is_used() => used += 1,
                _ => unknown += 1,
            }
        }
        if used >= slots {
            self.trials = 0;
        } else if 2 * (used + unknown) < slots + self.trials {
            // Of those that were tried last, too, most are idle. Twice as many are tried in a round at most.
            self.trials = idle.min(slots + 2 * self.trials);
        }
    }

    /// What was found out by other limits says nothing: everyone has yet to show how it uses its slot.
    pub(crate) fn forget_idle(&mut self) {
        self.trials = 0;
        for i in 0..self.conns.len() {
            if let Some(conn) = self.conns.get_mut(ConnId(i as u32)) {
                conn.slot_use = SlotUse::UNKNOWN;
            }
        }
    }
}

/// What as many remotes as there are slots take in all, those that take the most: bytes a second.
fn best_slots_take(facts: &[Facts], slots: usize) -> u64 {
    let mut rates: Vec<u64> = facts.iter().map(|facts| facts.upload_rate).collect();
    rates.sort_unstable();
    rates.iter().rev().take(slots).sum()
}
