//! Whether our line is full, as far as can be told from what leaves: whether who waits for a block waits for us.
//!
//! - The line is full while at least half of the most that has left lately leaves.
//! - What the buffers of sockets take has left. So a line looks wide enough for remotes that ask and hardly read: their
//!   buffers took far more at once. The price: four slots' buffers, 64 KiB each within a window of 20 s, make a line of
//!   less than some 8 KiB/s look wider than it is, until that is forgotten ([`Uplink::FORGET`]).
//! - Of limits that are set everything is known ([`Limiter::is_full`](crate::limit::Limiter::is_full)).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::Instant;

use crate::clock::Clock;

/// The payload that leaves by all connections of a session.
#[derive(Debug)]
pub(crate) struct Uplink {
    clock: Clock,
    /// What rates are taken over.
    window: Duration,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Line {
    sent: u64,
    /// What had been sent by then: one mark from before the window, and those within, in order of time.
    marks: VecDeque<(Instant, u64)>,
    /// The most bytes a second in this stretch of time and in the one before, and when this one began.
    best: [f64; 2],
    since: Instant,
}

impl Uplink {
    /// Marks in a window.
    const MARKS: u32 = 20;
    /// What has left is remembered for so many windows at least, and twice as many at most.
    const FORGET: u32 = 15;

    /// A line of which nothing is known, with rates over `window` (1 ms at least).
    pub fn new(clock: Clock, window: Duration) -> Self {
        let (now, window) = (clock.now(), window.max(Duration::from_millis(1)));
        let line = Line { sent: 0, marks: VecDeque::from([(now, 0)]), best: [0.0; 2], since: now };
        Self { clock, window, line: Mutex::new(line) }
    }

    /// So many bytes have left.
    pub fn sent(&self, bytes: u32) {
        let mut line = self.line();
        let now = self.clock.now();
        line.rate(now, self.window);
        line.sent += u64::from(bytes);
    }

    /// Whether the line gives no more, as far as is known. Not if nothing leaves.
    pub fn is_full(&self) -> bool {
        let mut line = self.line();
        let now = self.clock.now();
        let rate = line.rate(now, self.window);
        rate > 0.0 && 2.0 * rate >= line.best[0].max(line.best[1])
    }

    /// Bytes a second over the last quarter of the window: what was before a limit was lowered is soon forgotten.
    pub fn recent(&self) -> f64 {
        let line = self.line();
        let (now, span) = (self.clock.now(), self.window / 4);
        let floor = now - span;
        let before = line.marks.iter().rev().find(|(at, _)| *at <= floor).or(line.marks.front());
        (line.sent - before.map_or(line.sent, |&(_, sent)| sent)) as f64 / span.as_secs_f64()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Bytes a second over the window that ends now.
    fn rate(&mut self, now: Instant, window: Duration) -> f64 {
        let floor = now - window;
        while self.marks.get(1).is_some_and(|&(at, _)| at <= floor) {
            self.marks.pop_front();
        }
        let (from, before) = self.marks.front().copied().unwrap_or((now, self.sent));
        if self.marks.back().is_none_or(|&(at, _)| now.since(at) >= window / Uplink::MARKS) {
            self.marks.push_back((now, self.sent));
        }
        let rate = (self.sent - before) as f64 / now.since(from).max(window).as_secs_f64();
        if now.since(self.since) >= window * Uplink::FORGET {
            (self.best, self.since) = ([0.0, self.best[0]], now);
        }
        self.best[0] = self.best[0].max(rate);
        rate
    }
}

#[cfg(test)]
mod tests {
    use engine::BLOCK;
    use tokio::time::sleep;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(20);

    fn uplink() -> Uplink {
        Uplink::new(Clock::start(), WINDOW)
    }

    #[tokio::test(start_paused = true)]
    async fn what_left_lately_is_what_left_in_the_last_five_seconds() {
        let uplink = uplink();
        assert_eq!(uplink.recent(), 0.0);
        for _ in 0..30 {
            second(&uplink, 10_000).await;
        }
        assert!((9_000.0..=13_000.0).contains(&uplink.recent()), "{}", uplink.recent());
        for _ in 0..7 {
            second(&uplink, 100).await;
        }
        assert!((90.0..=200.0).contains(&uplink.recent()), "{}", uplink.recent());
    }

    /// A second in which so many bytes leave.
    async fn second(uplink: &Uplink, bytes: u32) {
        sleep(Duration::from_secs(1)).await;
        if bytes > 0 {
            uplink.sent(bytes);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_is_full_while_it_sends_and_a_silent_one_is_not() {
        let uplink = uplink();
        assert!(!uplink.is_full());
        // A block every eight seconds: four slots of 512 bytes a second.
        for n in 1..=600 {
            second(&uplink, if n % 8 == 0 { BLOCK } else { 0 }).await;
            assert!(n < 30 || uplink.is_full(), "second {n}");
        }
        for _ in 0..30 {
            second(&uplink, 0).await;
        }
        assert!(!uplink.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn those_whose_buffers_took_more_than_they_read_do_not_fill_a_line() {
        let uplink = uplink();
        // Every 30 s there are twice as many that ask. Each takes five blocks at once, and 500 bytes a second from then on.
        let mut readers = 4;
        for _ in 0..9 {
            let new = readers;
            uplink.sent(new * 5 * BLOCK);
            for second_of_trial in 1..=30 {
                second(&uplink, readers * 500).await;
                assert!(second_of_trial < 25 || !uplink.is_full(), "{readers} readers");
            }
            readers *= 2;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_line_gave_is_forgotten_in_time() {
        let uplink = uplink();
        for _ in 0..60 {
            second(&uplink, 1 << 20).await;
        }
        assert!(uplink.is_full());
        let mut until = 0;
        while !uplink.is_full() || until < 30 {
            second(&uplink, 10_000).await;
            until += 1;
        }
        println!("full again after {until} s");
        assert!((240..=600).contains(&until), "{until} s");
        assert!(uplink.line().marks.len() <= 2 + Uplink::MARKS as usize);
    }
}
