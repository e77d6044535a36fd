//! Rate limits: who wants to move bytes reserves them, and waits for their turn.
//!
//! - Over any span longer than [`BURST`], what passes is at most the rate times the span plus that burst, and
//!   as much if there is that much to move: turns are given out ahead, so that a late timer loses nothing.
//! - Turns are given in the order of asking, in slices of a twentieth of a second: connections share fairly.
//! - All bytes count that go through the socket, the protocol's own included. Downloads are held back by not
//!   reading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How far a limiter that has been idle, or late, may catch up.
const BURST: Duration = Duration::from_millis(100);
/// Slices are what passes in this part of a second, but for the bounds below.
const SLICES: u64 = 20;
const SLICE_LEAST: u64 = 256;
const SLICE_MOST: u64 = 64 << 10;

/// A limit in bytes a second that can be changed while it is in use.
#[derive(Debug)]
pub struct Limiter {
    /// 0: none.
    rate: AtomicU64,
    /// When the next turn begins.
    next: Mutex<Instant>,
    changed: Notify,
}

impl Limiter {
    /// `None`: no limit. A rate of 0 is taken for 1 byte a second.
    pub fn new(rate: Option<u64>) -> Arc<Self> {
        let limiter =
            Self { rate: AtomicU64::new(0), next: Mutex::new(Instant::now()), changed: Notify::new() };
        limiter.set(rate);
        Arc::new(limiter)
    }

    /// Changes the limit. Who waits for a turn has it at once.
    pub fn set(&self, rate: Option<u64>) {
        let mut next = self.next();
        self.rate.store(rate.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
        *next = Instant::now();
        drop(next);
        self.changed.notify_waiters();
    }

    /// The limit.
    pub fn get(&self) -> Option<u64> {
        Some(self.rate.load(Ordering::Relaxed)).filter(|&rate| rate > 0)
    }

    /// Whether turns are given out ahead: who wants to move bytes has to wait. Never without a limit.
    pub fn is_full(&self) -> bool {
        self.get().is_some() && *self.next() > Instant::now()
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the turn of so many bytes comes, which are the caller's from here on.
    fn reserve(&self, bytes: u64) -> Option<Instant> {
        let rate = self.get()?;
        let mut next = self.next();
        let now = Instant::now();
        let turn = (*next).max(now.checked_sub(BURST).unwrap_or(now));
        *next = turn + Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(rate)) as u64);
        Some(turn)
    }
}

/// The limits that bytes of one connection and one direction are under: its torrent's and the session's.
#[derive(Clone, Debug)]
pub(crate) struct Limits(pub [Arc<Limiter>; 2]);

impl Limits {
    /// Whether there is any limit.
    pub fn any(&self) -> bool {
        self.0.iter().any(|limiter| limiter.get().is_some())
    }

    /// Waits for a turn of at most `want` bytes, at least 1 if `want` is; how many it is.
    pub async fn take(&self, want: usize) -> usize {
        let slice = |rate: u64| (rate / SLICES).clamp(SLICE_LEAST, SLICE_MOST) as usize;
        let grant = self.0.iter().filter_map(|limiter| limiter.get()).map(slice).fold(want, usize::min);
        for limiter in &self.0 {
            let changed = limiter.changed.notified();
            if let Some(turn) = limiter.reserve(grant as u64) {
                tokio::select! {
                    () = sleep_until(turn) => {}
                    () = changed => {}
                }
            }
        }
        grant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes until `seconds` are over, in a clock that jumps; how many bytes.
    async fn taken(limits: &Limits, seconds: u64) -> u64 {
        let (start, mut bytes) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(seconds) {
            bytes += limits.take(16 << 10).await as u64;
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_are_within_five_per_cent() {
        for rate in [2_000, 50_000, 1_000_000, 300_000_000] {
            let limits = Limits([Limiter::new(None), Limiter::new(Some(rate))]);
            let bytes = taken(&limits, 10).await as f64 / (10 * rate) as f64;
            assert!((0.95..1.05).contains(&bytes), "{bytes} at {rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_share_one_limit_evenly_and_the_lower_limit_counts() {
        let (torrent, session) = (Limiter::new(Some(40_000)), Limiter::new(Some(100_000)));
        let both = Limits([torrent, session.clone()]);
        let other = Limits([Limiter::new(None), session]);
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let limits = if i < 4 { both.clone() } else { other.clone() };
                tokio::spawn(async move { taken(&limits, 20).await })
            })
            .collect();
        let mut shares = Vec::new();
        for task in tasks {
            shares.push(task.await.unwrap() as f64 / 20.0);
        }
        let held: f64 = shares[..4].iter().sum();
        let all: f64 = shares.iter().sum();
        assert!((95_000.0..105_000.0).contains(&all), "{shares:?}");
        assert!(held < 42_000.0, "{shares:?}");
        assert!(shares[..4].iter().all(|share| (share / held - 0.25).abs() < 0.05), "{shares:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_full_while_any_of_fifty_torrents_waits_for_it() {
        let session = Limiter::new(Some(16 << 10));
        let torrents: Vec<_> = (0..50).map(|_| Limiter::new(None)).collect();
        let limits = torrents.iter().map(|torrent| Limits([torrent.clone(), session.clone()]));
        let tasks: Vec<_> = limits
            .flat_map(|limits| (0..4).map(move |_| limits.clone()))
            .map(|limits| tokio::spawn(async move { taken(&limits, 600).await }))
            .collect();
        for second in 1..600 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(session.is_full(), "second {second}");
        }
        assert!(torrents.iter().all(|torrent| !torrent.is_full()));
        for task in tasks {
            assert!(task.await.unwrap() > 0);
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(!session.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_lowered_is_full_from_the_next_turn_on() {
        let limiter = Limiter::new(Some(1 << 20));
        let limits = Limits([limiter.clone(), Limiter::new(None)]);
        let mut full = Vec::new();
        for rate in [Some(1 << 20), Some(2_000), None] {
            limiter.set(rate);
            // 10 KB/s are asked for.
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let limits = limits.clone();
                tokio::spawn(async move {
                    let mut left = 1_000;
                    while left > 0 {
                        left -= limits.take(left).await;
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(90)).await;
            full.push(limiter.is_full());
        }
        assert_eq!(full, [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_lifted_lets_go_at_once() {
        let limiter = Limiter::new(Some(1));
        let limits = Limits([limiter.clone(), Limiter::new(None)]);
        limits.take(1000).await;
        let start = Instant::now();
        let waiting = tokio::spawn(async move { limits.take(1000).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        limiter.set(None);
        waiting.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
