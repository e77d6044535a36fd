//! No peer is served past its limits: neither more remotes than there are slots, nor whom it chokes, nor faster than
//! its links are, nor over more connections than it allows.

use engine::BLOCK;
use engine::peer::{Input, Output};
use engine::wire::Message;
use simulator::faults::What;

use super::{Checker, Sight};

/// Payload over the links of a peer since it first came.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    since: Option<u64>,
    up: u64,
    down: u64,
}

pub(super) struct Limits {
    links: Vec<Links>,
}

impl Limits {
    pub fn new(peers: usize) -> Self {
        Self { links: vec![Links::default(); peers] }
    }
}

/// Bytes that a link of `rate` bytes a second carries in `nanos`.
fn carries(rate: u64, nanos: u64) -> u64 {
    (u128::from(rate) * u128::from(nanos) / 1_000_000_000) as u64
}

impl Checker for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn began(&mut self, sight: Sight<'_>, _: &engine::Bitfield, _: &mut Vec<String>) {
        self.links[sight.peer].since.get_or_insert(sight.now.as_nanos());
    }

    fn input(&mut self, sight: Sight<'_>, input: &Input, out: &mut Vec<String>) {
        let links = &mut self.links[sight.peer];
        let gone_by = sight.now.as_nanos() - links.since.unwrap_or(0);
        let group = sight.case.group(sight.peer);
        match input {
            Input::Sent { bytes, .. } => {
                links.up += u64::from(*bytes);
                let carried = carries(group.up, gone_by);
                if links.up > carried + 1 {
                    out.push(format!("sent {} bytes over a link that carried {carried}", links.up));
                }
            }
            Input::Message { message: Message::Piece { data, .. }, .. } => {
                links.down += data.len() as u64;
                if let Some(down) = group.down {
                    let carried = carries(down, gone_by);
                    if links.down > carried + u64::from(BLOCK) {
                        out.push(format!("got {} bytes over a link that carried {carried}", links.down));
                    }
                }
            }
            _ => {}
        }
    }

    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        if let Output::Send { conn, message: Message::Piece { piece, begin, .. } } = output
            && let Some(conn) = sight.table.conns.get(conn)
            && conn.choking
            && !conn.allowed.contains(piece)
        {
            out.push(format!("sends {piece}+{begin} to whom it chokes"));
        }
    }

    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        let group = sight.case.group(sight.peer);
        let choker = if sight.table.is_complete() { &group.seed_choker } else { &group.choker };
        let conns = sight.table.conns.values();
        let served = conns.clone().filter(|conn| conn.is_ready() && conn.wants && !conn.choking).count();
        if choker.name() != "unchoke-all" && served > group.slots as usize {
            out.push(format!("serves {served} remotes in {} slots", group.slots));
        }
        // A dial that made two connections has taken one place.
        let twice = sight.case.befalls(sight.peer, |what| matches!(what, What::DoubleConnections(_)));
        let most = group.connections as usize * if twice { 2 } else { 1 };
        if sight.table.conns.len() > most {
            out.push(format!("has {} connections of {most}", sight.table.conns.len()));
        }
    }
}
