//! What no simulator of this kind can go below: a loop that takes the next event from the queue, touches the cache lines
//! that any event has to touch, and puts a later event into the queue, and does nothing else. Timed on the machine at
//! hand it says what part of a run's cost is the simulator's own.

use engine::Seed;
use engine::rng::{Rng, below};

use crate::event::{Class, Event};
use crate::partition::Partition;
use crate::queue::{Queue, Slots};

/// A host's two lines.
type HostRecord = [u64; 16];
/// A connection's four lines.
type ConnectionRecord = [u64; 32];
/// Events on their way for each host, as in a swarm at work.
const PENDING: u32 = 4;
/// Between an event and what it causes: 50 to 100 ms, a latency as it is by default and the time on a link.
const LEAST_DELAY: u32 = 50_000_000;
const SPREAD: u32 = 50_000_000;

/// As many records as a swarm has, and its events. See the module.
pub struct Floor {
    hosts: Vec<HostRecord>,
    connections: Vec<ConnectionRecord>,
    each: u32,
    queue: Queue,
    rng: Rng,
    number: u32,
}

impl Floor {
    /// `hosts` hosts, 1 to 2²⁴, with `connections` each, at least 1.
    pub fn new(hosts: u32, connections: u32) -> Self {
        let (hosts, each) = (hosts.clamp(1, 1 << 24), connections.max(1));
        let mut floor = Self {
            hosts: vec![[1; 16]; hosts as usize],
            connections: vec![[1; 32]; hosts as usize * each as usize],
            each,
            queue: Queue::new(Partition::new(hosts, 1), hosts as usize, Slots::new(u64::from(LEAST_DELAY))),
            rng: Seed(1).derive("floor", 0).rng(),
            number: 0,
        };
        (0..hosts * PENDING).for_each(|n| floor.cause(0, n % hosts));
        floor
    }

    fn cause(&mut self, now: u64, src: u32) {
        let delay = u64::from(LEAST_DELAY + below(&mut self.rng, SPREAD));
        let dst = below(&mut self.rng, self.hosts.len() as u32);
        self.number = self.number.wrapping_add(1);
        let event = Event::new(now + delay, src, Class::Arrive, 0, self.number, dst);
        self.queue.push(event.with(below(&mut self.rng, self.each), 0));
    }

    /// Handles `events` events; returns what was read, so that nothing can be left out.
    pub fn run(&mut self, events: u64) -> u64 {
        let mut sum = 0u64;
        for _ in 0..events {
            let Some(event) = self.queue.pop_before(u64::MAX) else { break };
            let host = &mut self.hosts[event.dst as usize];
            let connection = &mut self.connections[(event.dst * self.each + event.to) as usize];
            for line in host.chunks_mut(8).chain(connection.chunks_mut(8)) {
                line[0] = line[0].wrapping_add(event.time);
                sum = sum.wrapping_add(line[0]);
            }
            self.cause(event.time, event.dst);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_touches_six_lines_and_causes_one_more() {
        assert_eq!(size_of::<HostRecord>() + size_of::<ConnectionRecord>(), 6 * 64);
        let mut floor = Floor::new(10, 4);
        floor.run(1000);
        let pending = std::iter::from_fn(|| floor.queue.pop_before(u64::MAX)).count();
        assert_eq!(pending, 40);
        let touched = floor.connections.iter().filter(|record| record[24] != 1).count();
        assert_eq!(touched, 40, "a thousand events reach all of forty connections");
    }
}
