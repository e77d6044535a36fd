//! Who sends bad data is banned, nobody else is, and a ban holds. One connection leads to one peer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use engine::Bitfield;
use engine::peer::{Event, Input, Output};
use engine::wire::Message;
use simulator::faults::What;
use simulator::spec::Behaviour;

use super::{Checker, Sight};

#[derive(Debug, Default)]
struct Record {
    banned: BTreeSet<IpAddr>,
    /// Who has sent blocks of a piece that has no verdict yet.
    sources: BTreeMap<u32, BTreeSet<IpAddr>>,
    /// Who alone sent the piece that has just failed.
    culprit: Option<IpAddr>,
    /// Who is sending a block now.
    sender: Option<IpAddr>,
}

pub(super) struct Blame {
    records: Vec<Record>,
}

impl Blame {
    pub fn new(peers: usize) -> Self {
        Self { records: (0..peers).map(|_| Record::default()).collect() }
    }
}

impl Checker for Blame {
    fn name(&self) -> &'static str {
        "blame"
    }

    fn began(&mut self, sight: Sight<'_>, _: &Bitfield, _: &mut Vec<String>) {
        self.records[sight.peer] = Record::default();
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, _: &mut Vec<String>) {
        let record = &mut self.records[sight.peer];
        record.sender = None;
        match input {
            Input::Message { conn, message: Message::Piece { .. } } => {
                record.sender = sight.table.conns.get(conn).map(|conn| conn.addr.ip());
            }
            Input::PieceVerified { piece, ok } => {
                let sources = record.sources.remove(&piece.get()).unwrap_or_default();
                if !ok && sources.len() == 1 {
                    record.culprit = sources.first().copied();
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        let record = &mut self.records[sight.peer];
        if !sight.case.honest(sight.peer) {
            return;
        }
        match output {
            Output::WriteBlock { block, .. } => {
                let sources = record.sources.entry(block.piece().get()).or_default();
                sources.extend(record.sender);
            }
            Output::Event(Event::Banned(ip)) => {
                record.banned.insert(*ip);
                if record.culprit == Some(*ip) {
                    record.culprit = None;
                }
                let Some(who) = sight.case.at(*ip) else { return };
                // A hash that fails by itself is put down to who sent the piece, and cannot be otherwise.
                let misled = sight.case.befalls(sight.peer, |what| matches!(what, What::HashFailures(_)));
                if sight.case.group(who).behaviour != Behaviour::Polluter && !misled {
                    out.push(format!("bans peer {who}, which sent no bad data"));
                }
            }
            Output::Connect { addr } if record.banned.contains(&addr.ip()) => {
                out.push(format!("dials {addr}, which it has banned"));
            }
            _ => {}
        }
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let record = &mut self.records[sight.peer];
        if !sight.case.honest(sight.peer) {
            return;
        }
        if let Some(culprit) = record.culprit.take().filter(|ip| !record.banned.contains(ip)) {
            out.push(format!("does not ban {culprit}, who alone sent a piece that failed"));
        }
        let mut ready = BTreeSet::new();
        for conn in sight.table.conns.values() {
            if record.banned.contains(&conn.addr.ip()) {
                out.push(format!("keeps a connection to {}, which it has banned", conn.addr));
            }
            if conn.is_ready() && !ready.insert(conn.addr.ip()) {
                out.push(format!("has two connections to {}", conn.addr.ip()));
            }
        }
    }
}
