//! What is asked is answered, and what is taken back is let go: a request is served or refused in the end, a cancel is
//! heeded, a block that came is asked of nobody else, and interest says what is wanted.

use engine::Bitfield;
use engine::peer::{Input, Output};
use engine::wire::Message;

use super::table::{Table, block_of, named};
use super::{Case, Checker, Sight};

/// A request that is as old as this and has no answer is forgotten. The slowest link takes some seven minutes for all
/// that may be queued.
const FORGOTTEN: u64 = 3600 * 1_000_000_000;

/// A block of a connection that was taken back before it was read.
type Cancelled = std::collections::BTreeSet<(engine::ConnId, super::table::Block)>;

pub(super) struct Answers {
    cancelled: Vec<Cancelled>,
}

impl Answers {
    pub fn new(peers: usize) -> Self {
        Self { cancelled: vec![Cancelled::new(); peers] }
    }
}

impl Checker for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn began(&mut self, sight: Sight<'_>, _: &Bitfield, _: &mut Vec<String>) {
        self.cancelled[sight.peer].clear();
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        let cancelled = &mut self.cancelled[sight.peer];
        match input {
            Input::Message { conn, message: Message::Cancel(raw) } => {
                let read = sight.table.conns.get(conn).is_some_and(|of| of.reading.contains(&block_of(raw)));
                if !read {
                    cancelled.insert((*conn, block_of(raw)));
                }
            }
            Input::Message { conn, message: Message::Request(raw) } => {
                cancelled.remove(&(*conn, block_of(raw)));
            }
            Input::Connected { conn, .. } => cancelled.retain(|(of, _)| of != conn),
            _ => {}
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        let Output::ReadBlock { conn, block } = output else { return };
        if !sight.case.honest(sight.peer) {
            return;
        }
        let block = (block.piece().get(), block.begin(), block.length());
        if self.cancelled[sight.peer].contains(&(*conn, block)) {
            out.push(format!("reads {} for a remote that has taken it back", named(&block)));
        } else if !sight.table.conns.get(conn).is_some_and(|of| of.to_serve.contains_key(&block)) {
            out.push(format!("reads {}, which nobody waits for", named(&block)));
        }
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        for block in &sight.table.written {
            for conn in sight.table.conns.values().filter(|conn| conn.asked.contains(block)) {
                out.push(format!("has {}, and still asks {} for it", named(block), conn.addr));
            }
        }
        let Some(good) = &sight.table.good else { return };
        for conn in sight.table.conns.values().filter(|conn| conn.is_ready()) {
            // BEP 6: a choke answers all that is not allowed regardless.
            let owed = conn.owed_in_vain();
            if conn.choking && conn.fast() && owed > 0 {
                out.push(format!("chokes {} and neither sends nor refuses {owed} blocks", conn.addr));
            }
            let wants = conn.pieces.count_missing_from(good) > 0;
            if wants != conn.interested {
                let says = if conn.interested { "interested" } else { "not interested" };
                out.push(format!("is {says} in {}, and that is not so", conn.addr));
            }
        }
    }

    fn finish(
        &mut self,
        case: &Case,
        tables: &[Table],
        run: &record::Run,
        out: &mut Vec<(Option<usize>, String)>,
    ) {
        let end = (run.ended_at * 1e9) as u64;
        for (peer, table) in tables.iter().enumerate().filter(|(peer, _)| case.honest(*peer)) {
            for conn in table.conns.values() {
                let old =
                    |(_, asked): &(_, &engine::Instant)| end.saturating_sub(asked.as_nanos()) > FORGOTTEN;
                if let Some((block, _)) = conn.to_serve.iter().find(old) {
                    out.push((Some(peer), format!("never answered {} about {}", conn.addr, named(block))));
                }
            }
        }
    }
}
