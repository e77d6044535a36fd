//! Several shards at once, a thread each, with the result of one.
//!
//! Hosts act on each other by events that come at least a latency later. Time is cut into slots that are no longer
//! ([`Slots`](crate::queue::Slots)): whatever any shard does in one cannot reach another before the next. For the slot of
//! the earliest event of all, every shard goes on alone. Then they hand over what is for others, agree on the next slot, and
//! so on (conservative parallel simulation with a global window: Chandy and Misra 1979, Nicol 1993). A host sees its events
//! in the order of their keys however the hosts are cut, and the order of events of two hosts is nobody's business: the
//! digest is the same.
//!
//! One barrier a window: what is written for the next window lies in other boxes than what is read in this one.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::context::Shared;
use crate::shard::{Crossing, Shard};

/// What is handed over at the end of windows with one parity.
struct Exchange {
    /// `[to][from]`.
    boxes: Vec<Vec<Mutex<Vec<Crossing>>>>,
    /// The time of the earliest event that each shard has or has sent, or the beginning of its slot.
    next: Vec<AtomicU64>,
}

impl Exchange {
    fn new(shards: usize) -> Self {
        let row = || (0..shards).map(|_| Mutex::default()).collect();
        Self {
            boxes: (0..shards).map(|_| row()).collect(),
            next: (0..shards).map(|_| AtomicU64::new(u64::MAX)).collect(),
        }
    }
}

/// Handles every event before `limit` in all shards, on as many threads. Fails, with nothing handled, if a thread cannot
/// be started.
pub(crate) fn run_until(shards: &mut [Shard], shared: &Shared, limit: u64) -> std::io::Result<()> {
    if let [one] = shards {
        one.run_until(limit, shared);
        return Ok(());
    }
    let meeting = Meeting::new(shards.len());
    let exchanges = [Exchange::new(shards.len()), Exchange::new(shards.len())];
    let (meeting, exchanges) = (&meeting, &exchanges);
    std::thread::scope(|scope| {
        let mut shards = shards.iter_mut().enumerate();
        let own = shards.next();
        let mut others = Vec::new();
        for (i, shard) in shards {
            let work = move || work(i, shard, shared, limit, meeting, exchanges);
            match std::thread::Builder::new().spawn_scoped(scope, work) {
                Ok(other) => others.push(other),
                Err(error) => {
                    // Those that wait for it go home: without it none has begun.
                    meeting.broken.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        if let Some((i, shard)) = own {
            work(i, shard, shared, limit, meeting, exchanges);
        }
        for other in others {
            // What one says when it panics is not to be lost.
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        Ok(())
    })
}

/// What one thread does.
fn work(own: usize, shard: &mut Shard, shared: &Shared, limit: u64, meeting: &Meeting, both: &[Exchange; 2]) {
    let _guard = meeting.guard();
    for turn in 0usize.. {
        let exchange = &both[turn % 2];
        // What is for others, and when the next event is.
        let mut next = shard.next();
        for (to, sent) in shard.outbox.boxes.iter_mut().enumerate() {
            if !sent.is_empty() {
                let mut there = exchange.boxes[to][own].lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(sent, &mut *there);
            }
        }
        next = next.min(std::mem::replace(&mut shard.outbox.earliest, u64::MAX));
        exchange.next[own].store(next, Ordering::Release);
        if !meeting.wait() {
            return;
        }
        for from in &exchange.boxes[own] {
            let mut sent = from.lock().unwrap_or_else(PoisonError::into_inner);
            for crossing in sent.drain(..) {
                shard.take_in(crossing);
            }
        }
        let first = exchange.next.iter().map(|next| next.load(Ordering::Acquire)).min().unwrap_or(u64::MAX);
        if first >= limit {
            // Nobody has anything: for all of them the same `first`.
            return shard.run_until(limit, shared);
        }
        shard.run_until(shared.slots.end_of(first).min(limit), shared);
    }
}

/// A barrier for threads that meet often: it spins before it gives way.
struct Meeting {
    threads: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    /// A thread has panicked: the others must not wait for it.
    broken: AtomicBool,
}

/// Looks before a waiting thread gives its core to others.
const SPINS: u32 = 200;

impl Meeting {
    fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Waits for all; false if one will never come.
    fn wait(&self) -> bool {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return true;
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            if self.broken.load(Ordering::Relaxed) {
                return false;
            }
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        true
    }

    /// Tells the others if its thread panics.
    fn guard(&self) -> Guard<'_> {
        Guard(self)
    }
}

struct Guard<'a>(&'a Meeting);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_all_have_come() {
        let (meeting, count) = (Meeting::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for turn in 1..=500 {
                        count.fetch_add(1, Ordering::AcqRel);
                        assert!(meeting.wait());
                        assert!(count.load(Ordering::Acquire) >= 3 * turn);
                        assert!(meeting.wait());
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 1500);
    }

    #[test]
    fn who_waits_for_one_that_panicked_is_told() {
        let meeting = Meeting::new(2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let _guard = meeting.guard();
                panic!("as it may");
            });
            assert!(!meeting.wait());
            assert!(other.join().is_err());
        });
    }
}
