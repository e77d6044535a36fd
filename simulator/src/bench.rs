//! A door for the benchmarks to parts that nobody else outside may use: each makes one turn of what it does in a run.
//! Nothing else should come to hang on it.

use engine::rng::{Rng, below};
use engine::{BLOCK, Seed};

use crate::event::{Class, Event};
use crate::load::{Load, Size};
use crate::network::uplink::{Sender, Uplink};
use crate::partition::Partition;
use crate::queue::{Queue, Slots};

/// How long after an event what it causes is due, in microseconds from and to, and how many of 1,000 are in there:
/// counted in a run of `swarm-scaling` with 1,000 leechers of 16 MiB, which put 8.2 million events into the queue.
/// Most are on their way for 40 ms or more; a slow uplink is busy with a block for about 100 ms; the deadlines
/// of peers lie 8 to 16 s ahead, beyond the wheel.
const DELAYS: [(u32, u32, u32); 7] = [
    (0, 1_000, 61),
    (1_000, 8_000, 37),
    (8_000, 32_000, 3),
    (32_000, 64_000, 644),
    (64_000, 128_000, 237),
    (128_000, 256_000, 17),
    (8_000_000, 16_000_000, 1),
];
/// The least latency of that run, nanoseconds.
const LATENCY: u64 = 50_000_000;
/// Events on their way for each host, beside its deadline.
const PENDING: u32 = 4;

/// The event queue of so many hosts at work.
#[derive(Debug)]
pub struct Calendar {
    queue: Queue,
    rng: Rng,
    number: u32,
}

impl Calendar {
    /// A queue with the events of `hosts` hosts, 1 to 2²⁴.
    pub fn new(hosts: u32) -> Self {
        let hosts = hosts.clamp(1, 1 << 24);
        let rng = Seed(1).derive("calendar", 0).rng();
        let queue = Queue::new(Partition::new(hosts, 1), hosts as usize, Slots::new(LATENCY));
        let mut calendar = Self { queue, rng, number: 0 };
        for host in 0..hosts {
            let deadline = u64::from(below(&mut calendar.rng, 10_000_000));
            calendar.push(host, deadline);
            (0..PENDING).for_each(|_| calendar.cause(0, host));
        }
        calendar
    }

    /// Takes the next event out, which is in no earlier slot than the last, and puts a later one in; its time, nanoseconds.
    pub fn turn(&mut self) -> u64 {
        let Some(event) = self.queue.pop_before(u64::MAX) else { return 0 };
        self.cause(event.time, event.dst);
        event.time
    }

    fn cause(&mut self, now: u64, host: u32) {
        let mut drawn = below(&mut self.rng, 1000);
        let found = DELAYS.iter().find(|(_, _, share)| match drawn.checked_sub(*share) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let (from, to) = found.map_or((1_000, 2_000), |&(from, to, _)| (from, to));
        let delay = u64::from(from + below(&mut self.rng, to - from));
        self.push(host, now / 1000 + delay);
    }

    fn push(&mut self, host: u32, micros: u64) {
        self.number = self.number.wrapping_add(1);
        self.queue.push(Event::new(micros * 1000, host, Class::Arrive, 0, self.number, host));
    }
}

/// Small messages that go out for each block: as many as arrive for one in the run above.
const SMALL: u32 = 4;

/// An uplink whose connections always have a block to send.
#[derive(Debug)]
pub struct BusyUplink {
    link: Uplink,
    out: Out,
    connections: u32,
    small: u32,
    now: u64,
}

/// What a service has sent.
#[derive(Debug, Default)]
struct Out {
    sent: Vec<(u32, Size)>,
}

impl Sender for Out {
    fn send(&mut self, lane: u32, _: Load, size: Size, _: u64, finish: u64) -> u64 {
        self.sent.push((lane, size));
        finish
    }

    fn park(&mut self, _: u32, _: u64) {}
}

impl BusyUplink {
    /// One of `rate` bytes a second that `connections` connections, at least 1, share.
    pub fn new(rate: u64, connections: u32) -> Self {
        let connections = connections.max(1);
        let link = Uplink::new(rate);
        let mut busy = Self { link, out: Out::default(), connections, small: 0, now: 0 };
        (0..connections).for_each(|lane| busy.queue_block(lane));
        busy
    }

    fn queue_block(&mut self, lane: u32) {
        self.link.enqueue(lane, Load::of_parcel(0), Size::of_block(BLOCK + 13));
    }

    /// Queues four HAVEs, each on another connection, and makes services until a block has gone, and its connection has the
    /// next one queued. When that is, nanoseconds.
    pub fn block(&mut self) -> u64 {
        for _ in 0..SMALL {
            self.small = (self.small + 1) % self.connections;
            self.link.enqueue(self.small, Load::of_parcel(1), Size::of(9));
        }
        self.link.free();
        let Some(end) = self.link.serve(self.now, &mut self.out) else { return self.now };
        self.now = end;
        for (lane, size) in std::mem::take(&mut self.out.sent) {
            if size.payload() > 0 {
                self.queue_block(lane);
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_delays_are_a_whole() {
        assert_eq!(DELAYS.iter().map(|(_, _, share)| share).sum::<u32>(), 1000);
        assert!(DELAYS.iter().all(|(from, to, _)| from < to));
    }

    #[test]
    fn a_calendar_keeps_its_events_and_the_order_of_slots() {
        let mut calendar = Calendar::new(50);
        let times: Vec<u64> = (0..20_000).map(|_| calendar.turn()).collect();
        assert!(times.is_sorted_by_key(|time| Slots::new(LATENCY).of(*time)));
        assert_eq!(std::iter::from_fn(|| calendar.queue.pop_before(u64::MAX)).count(), 250);
        // On average 68 ms and, in one of 1,000, 12 s: 50 hosts with five events each have some 3,000 a second.
        let rate = 20_000.0 / (times[19_999] as f64 * 1e-9);
        assert!((2500.0..4000.0).contains(&rate), "{rate} events a second");
    }

    #[test]
    fn a_busy_uplink_sends_a_block_and_four_small_messages_each_time() {
        let mut uplink = BusyUplink::new(1_000_000, 40);
        let before = uplink.block();
        let ends: Vec<u64> = (0..400).map(|_| uplink.block()).collect();
        // 16,397 bytes and four times nine, at a byte a microsecond.
        let each = (ends[399] - before) as f64 / 400.0;
        assert!((each - 16_433_000.0).abs() < 16_433_000.0 * 0.01, "{each} ns");
    }
}
