//! Who has its turn soon, and what is asked of the memory for it ([`host::ahead`](crate::host::ahead)): a step nearer with
//! every turn, so that each step finds what the one before has brought.

use crate::event::Event;
use crate::host::Host;
use crate::host::ahead::Plan;
use crate::load::Notation;
use crate::queue::Queue;

/// So many hosts stay in the caches by themselves: nothing is to be asked for (in turns at 100 no difference was seen
/// but in instructions, of which it is one in seven).
const CACHED: usize = 128;

/// Turns, from the one under way on, whose events are known.
const PLANS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// The slot and turn of the queue in which memory was asked for last.
    looked_at: (u64, usize),
    /// Those of the turn under way and of the next ones.
    plans: [Plan; PLANS],
}

impl Lookout {
    /// One for so many hosts; none if they need none.
    pub fn new(hosts: usize) -> Option<Self> {
        (hosts > CACHED).then(|| Self { looked_at: (u64::MAX, 0), plans: Default::default() })
    }

    /// Asks for the memory that the next hosts will touch in their turns.
    pub fn look(&mut self, queue: &Queue, hosts: &[Host], notation: Notation) {
        let (slot, next) = queue.turn();
        if self.looked_at == (slot, next) {
            return;
        }
        self.looked_at = (slot, next);
        // The host that has a turn, and what is known to be due there; none if it is the tracker's.
        let ahead = |turn: usize| {
            let (place, events) = queue.ahead(turn)?;
            Some((hosts.get(place)?, events))
        };
        if next == 1 {
            // Of a new slot nothing has been asked for.
            (0..4).for_each(|turn| ask_for_host(ahead(turn)));
            (0..3).for_each(|turn| self.ask_for_connections(turn, ahead(turn), notation));
            (0..2).for_each(|turn| self.ask_for(turn, ahead(turn), Host::ask_for_traffic));
            self.ask_for(0, ahead(0), Host::ask_for_requests);
        }
        ask_for_host(ahead(next + 3));
        self.ask_for_connections(next + 2, ahead(next + 2), notation);
        self.ask_for(next + 1, ahead(next + 1), Host::ask_for_traffic);
        self.ask_for(next, ahead(next), Host::ask_for_requests);
        self.ask_for(next - 1, ahead(next - 1), Host::ask_for_first);
    }

    #[inline]
    fn ask_for_connections(&mut self, turn: usize, ahead: Option<(&Host, &[Event])>, notation: Notation) {
        if let Some((host, events)) = ahead {
            host.ask_for_connections(events, &mut self.plans[turn % PLANS], notation);
        }
    }

    #[inline]
    fn ask_for(&self, turn: usize, ahead: Option<(&Host, &[Event])>, what: impl Fn(&Host, &Plan)) {
        if let Some((host, _)) = ahead {
            what(host, &self.plans[turn % PLANS]);
        }
    }
}

#[inline]
fn ask_for_host(ahead: Option<(&Host, &[Event])>) {
    if let Some((host, _)) = ahead {
        host.ask_for_host();
    }
}
