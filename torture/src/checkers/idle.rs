//! What may be done is done: no slot stays free while somebody waits for one, and nobody who would serve is left unasked
//! while there is a piece that he alone is needed for.
//!
//! Looked at whenever a peer's own clock has rung, which is every ten seconds at least.

use std::collections::{BTreeMap, BTreeSet};

use engine::peer::Input;
use engine::{Bitfield, ConnId};

use super::table::Conn;
use super::{Checker, Sight};

/// It must have lasted this long, nanoseconds: some rounds.
const TOO_LONG: u64 = 45_000_000_000;

#[derive(Debug, Default)]
struct State {
    rings: bool,
    /// Since when a slot has been free and somebody has waited.
    slot: Option<u64>,
    /// Since when a connection has been left unasked.
    unasked: BTreeMap<ConnId, u64>,
    /// Pieces of which something has been written in this life.
    touched: BTreeSet<u32>,
}

pub(super) struct Idle {
    states: Vec<State>,
}

impl Idle {
    pub fn new(peers: usize) -> Self {
        Self { states: (0..peers).map(|_| State::default()).collect() }
    }
}

/// Somebody who would serve, and of whom nothing is expected.
fn is_free(conn: &Conn) -> bool {
    conn.is_ready() && !conn.choked && conn.interested && conn.asked.is_empty() && conn.dropped.is_empty()
}

impl Checker for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn began(&mut self, sight: Sight<'_>, _: &Bitfield, _: &mut Vec<String>) {
        self.states[sight.peer] = State::default();
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        self.states[sight.peer].rings = matches!(input, Input::Timeout);
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let state = &mut self.states[sight.peer];
        state.touched.extend(sight.table.written.iter().map(|block| block.0));
        if !state.rings || !sight.case.honest(sight.peer) {
            return;
        }
        let now = sight.now.as_nanos();
        let group = sight.case.group(sight.peer);
        let conns = || sight.table.conns.iter().filter(|(_, conn)| conn.is_ready());
        let choker = if sight.table.is_complete() { &group.seed_choker } else { &group.choker };
        let served = conns().filter(|(_, conn)| conn.wants && !conn.choking).count();
        let waits = conns().any(|(_, conn)| conn.wants && conn.choking);
        if choker.name() != "never" && waits && served < group.slots as usize {
            if now - *state.slot.get_or_insert(now) > TOO_LONG {
                out.push(format!("serves {served} remotes in {} slots while others wait", group.slots));
                state.slot = Some(now);
            }
        } else {
            state.slot = None;
        }
        let Some(good) = &sight.table.good else { return };
        let asked: BTreeSet<u32> = conns()
            .flat_map(|(_, conn)| conn.asked.iter().chain(&conn.dropped))
            .map(|block| block.0)
            .collect();
        let needs = |conn: &Conn| {
            conn.pieces.iter(&sight.case.layout).any(|piece| {
                let number = piece.get();
                !good.contains(piece) && !asked.contains(&number) && !state.touched.contains(&number)
            })
        };
        let unasked: Vec<ConnId> =
            conns().filter(|(_, conn)| is_free(conn) && needs(conn)).map(|(id, _)| *id).collect();
        state.unasked.retain(|id, _| unasked.contains(id));
        for id in unasked {
            let since = state.unasked.entry(id).or_insert(now);
            if now - *since > TOO_LONG {
                let addr = sight.table.conns.get(&id).map(|conn| conn.addr.to_string()).unwrap_or_default();
                out.push(format!(
                    "asks {addr} for nothing, which would serve it a piece that nobody is asked for"
                ));
                *since = now;
            }
        }
    }
}
