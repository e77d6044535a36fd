//! Memory is bounded: what a peer asks for, owes, and has handed to the network for one connection at a time.

use engine::BLOCK;

use super::{Checker, Sight};

/// Requests on one connection at once: the most that the pipeline, and a remote that says nothing of it, take.
const REQUESTS: usize = 250;
/// Requests that are remembered though nothing is expected of them.
const DROPPED: usize = 256;
/// Requests of one remote at once.
const QUEUED: usize = 500;

pub(super) struct Memory;

impl Checker for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        let group = sight.case.group(sight.peer);
        // Half a second at the connection's rate, which is measured and may be over the link's for a moment.
        let ahead = group.up.max(u64::from(2 * BLOCK)) + u64::from(BLOCK);
        for conn in sight.table.conns.values() {
            if conn.asked.len() > REQUESTS {
                out.push(format!("has {} requests outstanding with {}", conn.asked.len(), conn.addr));
            }
            if conn.dropped.len() > REQUESTS + DROPPED {
                out.push(format!("remembers {} requests to {}", conn.dropped.len(), conn.addr));
            }
            if conn.to_serve.len() > QUEUED {
                out.push(format!("owes {} blocks to {}", conn.to_serve.len(), conn.addr));
            }
            let reading: u64 = conn.reading.iter().map(|block| u64::from(block.2)).sum();
            if conn.unsent + reading > ahead {
                let bytes = conn.unsent + reading;
                out.push(format!("has {bytes} bytes under way to {}, of {ahead}", conn.addr));
            }
        }
    }
}
