//! Slots by lot: as many interested remotes as there are slots, drawn again every 30 s. What tit for tat is
//! to be measured against: it rewards nobody.

use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::{self, Rng};

/// Draws lots; between the draws who stays interested stays, and free slots are drawn for.
#[derive(Clone, Debug, Default)]
pub struct Random {
    pool: Vec<ConnId>,
}

impl Choker for Random {
    fn decide(&mut self, round: &Round, peers: &[Facts], rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        let again = round.turns();
        self.pool.clear();
        let mut kept = 0;
        for facts in peers.iter().filter(|f| f.interested) {
            self.pool.push(facts.conn);
            if facts.unchoked && !again {
                let last = self.pool.len() - 1;
                self.pool.swap(kept, last);
                kept += 1;
            }
        }
        let slots = round.slots.min(self.pool.len());
        // More may be unchoked than there are slots (the policy changed): then the lot is among those.
        let (from, to) = if kept > slots { (0, kept) } else { (kept, self.pool.len()) };
        for i in from..slots {
            let j = i + rng::below(rng, (to - i) as u32) as usize;
            self.pool.swap(i, j);
        }
        unchoke.extend_from_slice(&self.pool[..slots]);
    }
}
