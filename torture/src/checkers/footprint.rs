//! A peer holds no more memory than what the seam has shown of it accounts for: its connections, the requests on them,
//! the torrent's pieces, and the addresses that there are. Its own account is compared with the most that was counted
//! here, so that whatever is kept and never used again shows, however slowly it grows.

use engine::Bitfield;
use engine::peer::Footprint;

use super::{Checker, Sight};

/// What everybody may hold of anything, in bytes: a table begins with room for a few.
const BASE: u64 = 6 << 10;
/// For each connection, beside its pieces.
const CONNECTION: u64 = 400;
/// For each connection while blocks move on it.
const TRAFFIC: u64 = 500;
/// For each request, either way.
const REQUEST: u64 = 80;
/// For each piece, and for each block of one.
const PIECE: u64 = 320;
const BLOCK: u64 = 16;
/// For each connection, of what its other end says of itself.
const REMOTE: u64 = 512;
/// For each address, in each of the tables that it may be in.
const ADDRESS: u64 = 512;

/// The most that one peer has had in this life.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    connections: usize,
    requests: usize,
}

pub(super) struct Tables {
    most: Vec<Most>,
}

impl Tables {
    pub fn new(peers: usize) -> Self {
        Self { most: vec![Most::default(); peers] }
    }
}

impl Checker for Tables {
    fn name(&self) -> &'static str {
        "footprint"
    }

    fn began(&mut self, sight: Sight<'_>, _: &Bitfield, _: &mut Vec<String>) {
        self.most[sight.peer] = Most::default();
    }

    fn settled(&mut self, sight: Sight<'_>, _: &mut Vec<String>) {
        let most = &mut self.most[sight.peer];
        let conns = &sight.table.conns;
        let requests = conns
            .values()
            .map(|conn| conn.asked.len() + conn.dropped.len() + conn.to_serve.len() + conn.reading.len());
        most.connections = most.connections.max(conns.len());
        most.requests = most.requests.max(requests.sum());
    }

    fn holds(&mut self, sight: Sight<'_>, footprint: &Footprint, out: &mut Vec<String>) {
        if !sight.case.honest(sight.peer) {
            return;
        }
        let most = self.most[sight.peer];
        let (connections, requests) = (most.connections as u64, most.requests as u64);
        let layout = &sight.case.layout;
        let (pieces, peers) = (u64::from(layout.pieces()), sight.case.members.len() as u64);
        let blocks = layout.total().div_ceil(u64::from(engine::BLOCK)) + pieces;
        // A remote is told of everybody there is, in time.
        let told = if sight.case.group(sight.peer).pex { peers * 64 } else { 0 };
        for (what, holds, may) in [
            ("connections", footprint.connections, connections * (CONNECTION + pieces / 4)),
            ("requests", footprint.requests, connections * TRAFFIC + requests * REQUEST),
            ("pieces", footprint.pieces, pieces * PIECE + blocks * BLOCK + connections * 16),
            ("addresses", footprint.addresses, peers * ADDRESS),
            ("what remotes say", footprint.remotes, connections * (REMOTE + told)),
            ("outputs", footprint.outputs, 0),
        ] {
            let may = may + BASE;
            if holds > may {
                out.push(format!(
                    "holds {holds} bytes for {what}, where {may} are accounted for by {connections} connections, \
                     {requests} requests, {pieces} pieces and {peers} peers"
                ));
            }
        }
    }
}
