//! The broadcast oracle of Mundinger, Weber and Weiss (J. Scheduling 11, 2008): a server and N peers that all
//! upload at u, downlinks unlimited, a file of M parts. Nobody can be done sooner than
//! (F/u)·(1 + ⌊log2 N⌋/M), and for N + 1 a power of two the binomial pipeline (Ganesan and Seshadri, ICDCS
//! 2005) gets there.
//!
//! [`hypercube`] drives that schedule over the simulator's own uplinks and downlinks with a latency between
//! them. It exercises the arithmetic of links and delays, and nothing of hosts, queue or engine; [`setting`] is
//! the same setting for the engine, which must never be faster.

use std::time::Duration;

use crate::load::{Load, Size};
use crate::network::downlink::Downlink;
use crate::network::uplink::{Sender, Uplink};
use crate::spec::{Group, Latency, Network, Spec, Transport};

/// Bytes of a part: one block, so that the engine can trade parts.
pub const PART: u32 = 16 * 1024;
/// Uplinks, bytes a second: a part takes a second.
pub const RATE: u64 = PART as u64;
/// One-way delay: a thousandth of a part's time.
pub const LATENCY: Duration = Duration::from_millis(1);

/// The least time to bring `parts` parts to `peers` peers, seconds.
pub fn optimum(peers: u32, parts: u32) -> f64 {
    let part = f64::from(PART) / RATE as f64;
    part * (f64::from(parts) + f64::from(peers.max(1).ilog2()))
}

/// One end of the hypercube.
struct Node {
    uplink: Uplink,
    downlink: Downlink,
    /// Which parts it has.
    has: Vec<bool>,
    missing: u32,
    /// The highest-numbered part that it has.
    highest: Option<u32>,
    /// When its uplink is free, and when the last part came: nanoseconds.
    free: u64,
    came: u64,
}

/// Where the link says when a part is out.
struct Out {
    finish: u64,
}

impl Sender for Out {
    fn send(&mut self, _lane: u32, _load: Load, _size: Size, _start: u64, finish: u64) -> u64 {
        self.finish = finish;
        0
    }
    fn park(&mut self, _lane: u32, _at: u64) {}
}

/// Seconds until 2^`dimensions` − 1 peers have all `parts` parts by the binomial pipeline: in round t each node
/// faces the one across dimension t mod n; the server hands out part t (the last one from then on), a peer the
/// highest part that it has, if the other end lacks it. A node acts on a round once it has sent and received
/// what the round before had for it. `latency`: one way.
pub fn hypercube(dimensions: u32, parts: u32, latency: Duration) -> f64 {
    let count = 1usize << dimensions;
    let node = |server: bool| Node {
        uplink: Uplink::new(RATE),
        downlink: Downlink::new(None),
        has: vec![server; parts as usize],
        missing: if server { 0 } else { parts },
        highest: None,
        free: 0,
        came: 0,
    };
    let mut nodes: Vec<Node> = (0..count).map(|i| node(i == 0)).collect();
    let latency = latency.as_nanos() as u64;
    let mut incomplete = count - 1;
    for round in 0.. {
        if incomplete == 0 {
            break;
        }
        let dimension = round % dimensions;
        // What goes where, and when, is decided by what the rounds before have brought.
        let plan: Vec<(usize, usize, u32, u64)> = (0..count)
            .filter_map(|from| {
                let to = from ^ (1 << dimension);
                let part = if from == 0 { Some(round.min(parts - 1)) } else { nodes[from].highest };
                part.filter(|&part| !nodes[to].has[part as usize])
                    .map(|part| (from, to, part, nodes[from].free.max(nodes[from].came)))
            })
            .collect();
        for (from, to, part, start) in plan {
            let sender = &mut nodes[from];
            sender.uplink.enqueue(dimension, Load::of_parcel(part), Size::of_block(PART));
            let mut out = Out { finish: start };
            let end = sender.uplink.serve(start, &mut out);
            let finish = out.finish;
            sender.uplink.free();
            sender.free = end.unwrap_or(start);
            let receiver = &mut nodes[to];
            let came = receiver.downlink.pass(start + latency, finish + latency, PART);
            receiver.has[part as usize] = true;
            receiver.highest = receiver.highest.max(Some(part));
            receiver.missing -= 1;
            incomplete -= usize::from(receiver.missing == 0);
            receiver.came = receiver.came.max(came);
        }
    }
    nodes.iter().map(|node| node.came).max().unwrap_or(0) as f64 / 1e9
}

/// The same setting for the engine: `peers` leechers beside one seed, nothing but uplinks in the way.
pub fn setting(peers: u32, parts: u32) -> Spec {
    Spec {
        content: u64::from(PART) * u64::from(parts),
        piece_length: PART,
        network: Network {
            latency: Latency::Constant(LATENCY),
            transport: Transport::Ideal,
            hash_rate: None,
            ..Network::default()
        },
        groups: vec![
            Group { connections: 40, ..Group::seeds("server", 1, RATE, None) },
            Group { connections: 40, ..Group::leechers("peers", peers, RATE, None) },
        ],
        ..Spec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_is_the_published_one() {
        // One part reaches 1,023 peers in 10 rounds; 400 parts reach 1,000 in 1.0225 F/u.
        assert_eq!(optimum(1023, 1), 10.0);
        assert!((optimum(1000, 400) / 400.0 - 1.0225).abs() < 1e-12);
    }

    #[test]
    fn the_binomial_pipeline_reaches_it_within_a_hundredth() {
        for (dimensions, parts) in [(10, 400), (10, 1), (3, 1), (5, 7), (1, 30), (7, 128)] {
            let optimum = optimum((1 << dimensions) - 1, parts);
            let time = hypercube(dimensions, parts, LATENCY);
            let excess = time / optimum - 1.0;
            assert!(
                (0.0..0.01).contains(&excess),
                "2^{dimensions} ends, {parts} parts: {time} s for {optimum}"
            );
        }
    }
}
