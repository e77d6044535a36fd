//! Several peers in memory, without latency: what one says the other hears, in order on each connection, and
//! between connections in an order drawn from a seed.

use std::collections::VecDeque;

use super::bench::*;
use crate::Bitfield;
use crate::ids::ConnId;
use crate::peer::{DisconnectReason, Input, Output, Peer};
use crate::rng::{self, Rng, Seed};
use crate::time::Instant;
use crate::wire::Message;

struct Link {
    ends: [usize; 2],
    fast: bool,
    /// Whether each end has it open.
    open: [bool; 2],
    /// What is on its way to each end.
    way: [VecDeque<Input>; 2],
}

struct Swarm {
    peers: Vec<Peer>,
    links: Vec<Link>,
    /// For each peer, what its own disk says.
    own: Vec<VecDeque<Input>>,
    now: Instant,
    rng: Rng,
    closed: Vec<(usize, ConnId, DisconnectReason)>,
}

impl Swarm {
    fn new(setups: &[Setup], seed: u64) -> Self {
        let peers: Vec<_> = setups.iter().map(Setup::peer).collect();
        let own = peers.iter().map(|_| VecDeque::new()).collect();
        let rng = Seed(seed).derive("swarm", 0).rng();
        let mut swarm = Self { peers, links: Vec::new(), own, now: Instant::ZERO, rng, closed: Vec::new() };
        for peer in 0..setups.len() {
            swarm.feed(peer, Input::Start);
        }
        swarm
    }

    /// Peer `a` dials peer `b`. Both know the connection by the same id.
    fn connect(&mut self, a: usize, b: usize, fast: bool) {
        let conn = ConnId(self.links.len() as u32);
        let connected = |other: usize, outgoing| {
            VecDeque::from([Input::Connected { conn, addr: addr(100 + other as u32), outgoing }])
        };
        let way = [connected(b, true), connected(a, false)];
        self.links.push(Link { ends: [a, b], fast, open: [true; 2], way });
    }

    /// One input, drawn from all that wait.
    fn step(&mut self) -> bool {
        let links = (0..self.links.len()).flat_map(|link| [(link, 0), (link, 1)]);
        let waiting: Vec<_> = links.filter(|&(link, end)| !self.links[link].way[end].is_empty()).collect();
        let busy: Vec<_> = (0..self.peers.len()).filter(|&peer| !self.own[peer].is_empty()).collect();
        let choices = waiting.len() + busy.len();
        if choices == 0 {
            return false;
        }
        let choice = rng::below(&mut self.rng, choices as u32) as usize;
        let (peer, input) = match waiting.get(choice) {
            Some(&(link, end)) => {
                let link = &mut self.links[link];
                let input = link.way[end].pop_front();
                if !link.open[end] {
                    return true;
                }
                if matches!(input, Some(Input::Closed { .. })) {
                    link.open[end] = false;
                }
                (link.ends[end], input)
            }
            None => (busy[choice - waiting.len()], self.own[busy[choice - waiting.len()]].pop_front()),
        };
        self.feed(peer, input.unwrap());
        true
    }

    fn feed(&mut self, peer: usize, input: Input) {
        self.peers[peer].handle_input(self.now, input);
        while let Some(output) = self.peers[peer].poll_output() {
            self.carry(peer, output);
        }
        self.peers[peer].check();
    }

    fn other_end(&mut self, peer: usize, conn: ConnId) -> (&mut Link, usize) {
        let link = &mut self.links[conn.index()];
        let own = usize::from(link.ends[1] == peer);
        assert!(link.open[own], "peer {peer} uses {conn:?}, which is closed");
        (link, 1 - own)
    }

    fn carry(&mut self, peer: usize, output: Output) {
        match output {
            Output::SendHandshake { conn, mut handshake } => {
                let (link, to) = self.other_end(peer, conn);
                handshake.reserved[7] = if link.fast { handshake.reserved[7] } else { 0 };
                link.way[to].push_back(Input::Handshake { conn, handshake });
            }
            Output::Send { conn, message } => {
                if let Message::Piece { piece, data, .. } = &message {
                    let has = |piece| self.peers[peer].have().contains(piece);
                    let layout = Setup::leech(self.peers[peer].have().pieces()).layout;
                    assert!(has(layout.piece(*piece).unwrap()), "peer {peer} sends what it lacks");
                    self.own[peer].push_back(Input::Sent { conn, bytes: data.len() as u32 });
                }
                let (link, to) = self.other_end(peer, conn);
                link.way[to].push_back(Input::Message { conn, message });
            }
            Output::Disconnect { conn, reason } => {
                let (link, to) = self.other_end(peer, conn);
                link.open[1 - to] = false;
                link.way[to].push_back(Input::Closed { conn });
                self.closed.push((peer, conn, reason));
            }
            Output::ReadBlock { conn, block } => {
                let data = Some(payload(block.length()));
                self.own[peer].push_back(Input::BlockRead { conn, block, data });
            }
            Output::VerifyPiece { piece } => {
                self.own[peer].push_back(Input::PieceVerified { piece, ok: true });
            }
            Output::Announce(_) => {
                self.own[peer].push_back(Input::Announced(Ok(Box::new(reply(&[])))));
            }
            Output::Connect { .. } | Output::WriteBlock { .. } | Output::Event(_) => {}
        }
    }

    /// Runs until all are complete and nothing is on its way, or the time is over. Seconds it took.
    fn run(&mut self, most: u64) -> f64 {
        loop {
            while self.step() {}
            let next = self.peers.iter().filter_map(Peer::poll_timeout).map(|deadline| deadline.at).min();
            let done = self.peers.iter().all(Peer::is_complete);
            if done || next.is_none_or(|at| at > Instant::ZERO + seconds(most)) {
                return self.now.as_secs_f64();
            }
            self.now = self.now.max(next.unwrap());
            for peer in 0..self.peers.len() {
                self.own[peer].push_back(Input::Timeout);
            }
        }
    }
}

/// Peers of `pieces` pieces, as the default configuration has them; the first is the seed.
fn setups(count: u8, pieces: u32) -> Vec<Setup> {
    let setup = |n| Setup {
        config: crate::peer::PeerConfig::default(),
        picker: "rarest-first",
        choker: if n == 0 { "mainline-seed" } else { "tit-for-tat" },
        seed: u64::from(n),
        peer_id: n + 1,
        ..if n == 0 { Setup::seed(pieces) } else { Setup::leech(pieces) }
    };
    (0..count).map(setup).collect()
}

#[test]
fn a_file_goes_down_a_chain_with_and_without_the_fast_extension() {
    let mut times = Vec::new();
    for (first, second) in [(true, true), (true, false), (false, true), (false, false)] {
        for seed in 0..4 {
            let mut swarm = Swarm::new(&setups(3, 40), seed);
            swarm.connect(1, 0, first);
            swarm.connect(1, 2, second);
            let time = swarm.run(120);
            let total = Setup::leech(40).layout.total();
            for (n, peer) in swarm.peers.iter().enumerate() {
                assert!(
                    peer.is_complete(),
                    "peer {n}, fast {first} {second}, seed {seed}: {:?}",
                    peer.have()
                );
            }
            let moved: Vec<_> =
                swarm.peers.iter().map(|peer| (peer.stats().uploaded, peer.stats().downloaded)).collect();
            assert_eq!(moved, [(total, 0), (total, total), (0, total)]);
            assert!(swarm.peers.iter().all(|peer| peer.stats().wasted == 0));
            assert!(swarm.closed.iter().all(|(.., reason)| *reason == DisconnectReason::BothComplete));
            times.push(time);
        }
    }
    assert!(times.iter().all(|&time| time <= 30.0), "nothing takes time but choke rounds: {times:?}");
}

#[test]
fn a_mesh_fills_and_falls_apart() {
    for seed in 0..6 {
        let mut swarm = Swarm::new(&setups(7, 40), seed);
        for a in 0..7 {
            for b in 0..a {
                swarm.connect(a, b, !(a + b + seed as usize).is_multiple_of(3));
            }
        }
        swarm.run(600);
        let have: Vec<_> = swarm.peers.iter().map(|peer| peer.have().count()).collect();
        assert_eq!(have, [40; 7], "seed {seed} at {}", swarm.now);
        let sum = |of: fn(&Peer) -> u64| swarm.peers.iter().map(of).sum::<u64>();
        let (up, down) = (sum(|peer| peer.stats().uploaded), sum(|peer| peer.stats().downloaded));
        let (wasted, total) = (sum(|peer| peer.stats().wasted), Setup::leech(40).layout.total());
        // What was on its way to somebody who has closed is lost.
        assert!(up >= down && down - wasted == 6 * total, "{up} up, {down} down, {wasted} wasted");
        assert!(wasted <= 6 * total / 5, "seed {seed}: {wasted} of {down} bytes wasted");
        let bad = swarm.closed.iter().find(|(.., reason)| *reason != DisconnectReason::BothComplete);
        assert_eq!(bad, None, "seed {seed}");
        assert!(swarm.peers.iter().all(|peer| peer.connections() == 0));
    }
}

#[test]
fn of_a_crossed_pair_both_ends_keep_the_same() {
    let mut ends = [0; 2];
    for seed in 0..300 {
        let mut swarm = Swarm::new(&setups(3, 8)[1..], seed);
        swarm.connect(0, 1, true);
        swarm.connect(1, 0, true);
        while swarm.step() {}
        let open: Vec<_> = swarm.links.iter().map(|link| link.open).collect();
        assert_eq!(open, [[true, true], [false, false]], "seed {seed}: what the lower id dialled stays");
        let kept: Vec<_> = swarm.peers.iter().map(Peer::connections).collect();
        assert_eq!(kept, [1, 1], "seed {seed}");
        for (peer, _, reason) in swarm.closed {
            assert_eq!(reason, DisconnectReason::Duplicate);
            ends[peer] += 1;
        }
    }
    assert!(ends[0] > 20 && ends[1] > 20, "both ends have been the one to see it: {ends:?}");
}

#[test]
fn who_leaves_and_returns_gets_the_rest() {
    let mut swarm = Swarm::new(&setups(2, 40), 1);
    swarm.connect(1, 0, true);
    for _ in 0..200 {
        swarm.step();
    }
    swarm.feed(1, Input::Stop);
    while swarm.step() {}
    let before = swarm.peers[1].have().count();
    assert!(before < 40 && swarm.links[0].open == [false, false]);
    swarm.feed(1, Input::Start);
    swarm.connect(1, 0, false);
    swarm.run(120);
    assert_eq!(swarm.peers[1].have(), &Bitfield::full(&Setup::leech(40).layout));
    let stats = swarm.peers[1].stats();
    assert_eq!(stats.downloaded - stats.wasted, Setup::leech(40).layout.total());
}
