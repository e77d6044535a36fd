//! Bytes are conserved: what comes was sent, what is counted moved, and what was kept is the content.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::Bitfield;
use engine::peer::{Input, Output};
use engine::wire::Message;

use super::table::Table;
use super::{Case, Checker, Sight};

#[derive(Clone, Debug, Default)]
struct Account {
    /// Payload of the blocks handed to the network, that left, and that came: all lives, and this one.
    handed: u64,
    left: u64,
    came: u64,
    left_before: u64,
    came_before: u64,
    /// Bytes it began with.
    began_with: u64,
}

pub(super) struct Books {
    accounts: Vec<Account>,
    /// Payload handed to the network by one peer for another, less what came there.
    between: BTreeMap<(usize, usize), i64>,
}

impl Books {
    pub fn new(peers: usize) -> Self {
        Self { accounts: vec![Account::default(); peers], between: BTreeMap::new() }
    }
}

fn bytes_of(case: &Case, pieces: &Bitfield) -> u64 {
    pieces.iter(&case.layout).map(|piece| u64::from(case.layout.length_of(piece))).sum()
}

fn other(sight: &Sight<'_>, conn: &engine::ConnId) -> Option<usize> {
    let ip: IpAddr = sight.table.conns.get(conn)?.addr.ip();
    sight.case.at(ip)
}

impl Checker for Books {
    fn name(&self) -> &'static str {
        "books"
    }

    fn began(&mut self, sight: Sight<'_>, have: &Bitfield, _: &mut Vec<String>) {
        let account = &mut self.accounts[sight.peer];
        (account.left_before, account.came_before) = (account.left, account.came);
        if sight.table.lives == 0 {
            account.began_with = bytes_of(sight.case, have);
        }
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, out: &mut Vec<String>) {
        let account = &mut self.accounts[sight.peer];
        match input {
            Input::Sent { conn, bytes } => {
                account.left += u64::from(*bytes);
                let unsent = sight.table.conns.get(conn).map_or(0, |conn| conn.unsent);
                if u64::from(*bytes) > unsent {
                    out.push(format!("{bytes} bytes left, of {unsent} that it had handed over"));
                }
            }
            Input::Message { conn, message: Message::Piece { data, .. } } => {
                account.came += data.len() as u64;
                let Some(from) = other(&sight, conn) else { return };
                let between = self.between.entry((from, sight.peer)).or_default();
                *between -= data.len() as i64;
                if *between < 0 {
                    out.push(format!("got bytes from peer {from} that it never sent"));
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        let account = &mut self.accounts[sight.peer];
        match output {
            Output::Send { conn, message: Message::Piece { data, .. } } => {
                account.handed += data.len() as u64;
                if let Some(to) = other(&sight, conn) {
                    *self.between.entry((sight.peer, to)).or_default() += data.len() as i64;
                }
            }
            Output::Announce(request) if sight.case.honest(sight.peer) => {
                let (up, down) = (account.left - account.left_before, account.came - account.came_before);
                // BEP 3: since it said `started`.
                if (request.uploaded, request.downloaded) != (up, down) {
                    let said = (request.uploaded, request.downloaded);
                    out.push(format!(
                        "tells the tracker {} bytes up and {} down, and moved {up} and {down}",
                        said.0, said.1
                    ));
                }
                let missing = sight.case.layout.total()
                    - sight.table.good.as_ref().map_or(0, |good| bytes_of(sight.case, good));
                if request.left != missing {
                    out.push(format!(
                        "tells the tracker that {} bytes are left: {missing} are",
                        request.left
                    ));
                }
            }
            _ => {}
        }
    }

    fn finish(
        &mut self,
        case: &Case,
        tables: &[Table],
        run: &record::Run,
        out: &mut Vec<(Option<usize>, String)>,
    ) {
        let mut say = |peer: usize, what: String| out.push((Some(peer), what));
        for (peer, facts) in super::recorded(tables, run) {
            let account = &self.accounts[peer];
            if facts.downloaded != account.came {
                say(peer, format!("is recorded with {} bytes down: {} came", facts.downloaded, account.came));
            }
            if !(account.left..=account.handed).contains(&facts.uploaded) {
                let (left, handed) = (account.left, account.handed);
                say(peer, format!("is recorded with {} bytes up: {left} to {handed} left", facts.uploaded));
            }
            let table = &tables[peer];
            if case.honest(peer) && table.lives == 1 && table.is_complete() {
                let kept = facts.downloaded.checked_sub(facts.wasted);
                let wanted = case.layout.total() - account.began_with;
                if kept != Some(wanted) {
                    let (down, wasted) = (facts.downloaded, facts.wasted);
                    say(peer, format!("kept {down} - {wasted} bytes of the {wanted} that it lacked"));
                }
            }
        }
        let count = |name: &str| run.counters.get(name).copied().unwrap_or(0);
        let came: u64 = self.accounts.iter().map(|account| account.came).sum();
        if count("payload_received_bytes") != came {
            let what =
                format!("{} bytes are counted as received: {came} came", count("payload_received_bytes"));
            out.push((None, what));
        }
        let sent: u64 = run.peers.iter().map(|peer| peer.uploaded).sum();
        if count("payload_sent_bytes") != sent {
            out.push((
                None,
                format!("{} bytes are counted as sent: {sent} left", count("payload_sent_bytes")),
            ));
        }
    }
}
