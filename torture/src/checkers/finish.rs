//! Honest peers that stay and can reach a full copy finish.
//!
//! *Stay*: they are there at the end. *Can reach*: of those who are there at the end, are honest and upload, some that
//! they can connect with, over others if need be, have every piece among them. *Finish*: with [`PATIENCE`] after the
//! last arrival and the last fault, and time for a slow link besides.
//!
//! Who fails good pieces for himself bans whoever sent them, and may ban everybody: nothing is said of him.

use std::time::Duration;

use engine::Bitfield;
use simulator::faults::What;

use super::table::Table;
use super::{Case, Checker};

/// How long all must have been calm. Trackers that failed are asked again after up to half an hour, and peers that
/// they name late are dialled after some minutes.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

pub(super) struct Finish;

impl Checker for Finish {
    fn name(&self) -> &'static str {
        "finish"
    }

    fn finish(
        &mut self,
        case: &Case,
        tables: &[Table],
        run: &record::Run,
        out: &mut Vec<(Option<usize>, String)>,
    ) {
        if run.ended_at < patience(case, run).as_secs_f64() {
            return;
        }
        let counts = |peer: &usize| {
            let misled = case.befalls(*peer, |what| matches!(what, What::HashFailures(_)));
            tables[*peer].alive && case.honest(*peer) && !misled
        };
        let there: Vec<usize> = (0..tables.len()).filter(counts).collect();
        for &peer in &there {
            let table = &tables[peer];
            if table.is_complete() {
                continue;
            }
            let near = reached(case, peer, &there, |other| gives(case, other, tables));
            let mut union = Bitfield::empty(&case.layout);
            for good in near.iter().filter_map(|&other| tables[other].good.as_ref()) {
                good.iter(&case.layout).for_each(|piece| {
                    union.insert(piece);
                });
            }
            if union.is_full() {
                let had = table.good.as_ref().map_or(0, Bitfield::count);
                let (all, open) = (case.layout.pieces(), table.conns.len());
                out.push((
                    Some(peer),
                    format!("ends with {had} of {all} pieces and {open} connections, though {} others have them all", near.len() - 1),
                ));
            }
        }
    }
}

/// Whether a peer unchokes anybody, as long as it lacks something and once it lacks nothing.
fn gives(case: &Case, peer: usize, tables: &[Table]) -> bool {
    let group = case.group(peer);
    let choker = if tables[peer].is_complete() { &group.seed_choker } else { &group.choker };
    choker.name() != "never"
}

/// When all that was calm for long enough.
fn patience(case: &Case, run: &record::Run) -> Duration {
    let spec = &case.spec;
    let restarted = |what: &What| if let What::Restart { down, .. } = what { *down } else { Duration::ZERO };
    let faults = spec.faults.iter().map(|fault| fault.to + restarted(&fault.what)).max().unwrap_or_default();
    let arrivals = run.peers.iter().map(|peer| peer.arrived).fold(0.0, f64::max);
    // The slowest alone, ten times over.
    let slowest =
        spec.groups.iter().map(|group| group.up.min(group.down.unwrap_or(u64::MAX))).min().unwrap_or(1);
    let transfer = Duration::from_secs(10 * spec.content / slowest.max(1));
    faults.max(Duration::from_secs_f64(arrivals)) + transfer + PATIENCE
}

/// Whom `peer` can get pieces of, over others if need be, and itself.
fn reached(case: &Case, peer: usize, there: &[usize], gives: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut reached = vec![peer];
    let mut at = 0;
    while let Some(&from) = reached.get(at) {
        at += 1;
        for &to in there.iter().filter(|&&to| gives(to)) {
            // One of two must accept connections.
            let can = case.members[from].reachable || case.members[to].reachable;
            if can && !reached.contains(&to) {
                reached.push(to);
            }
        }
    }
    reached
}
