//! How fast bytes flow, averaged over a window of time without a history of messages.
//!
//! Guarantees: a constant flow is reported exactly from a twentieth of the period on; a flow that has stopped falls
//! linearly and is exactly zero once `period` has passed; reading changes nothing. An update costs a few
//! additions, and one division once the window is full. 24 bytes.

use std::time::Duration;

use crate::time::{Instant, nanos};

/// A moving average of a byte flow, after the mainline client's `CurrentRateMeasure`: the bytes of a window
/// that reaches back `period` at most are kept as one sum, as if they had come evenly, and what slides out
/// of the window is taken off in proportion.
///
/// Under steady traffic that is an exponential average whose time constant is `period`: after a step it has
/// covered 1 - 1/e, 63 %, of it. Two things differ from mainline. It decayed only when it was asked, so that
/// its answer hung on how often that was, and never reached zero; and it began with five seconds of silence
/// that nobody had kept, which made a newcomer look less than half as fast as it was. Here a rate younger than
/// a twentieth of `period` (1 s of 20 s) is divided by that span, so that a first block at once makes no
/// giant.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The window's start.
    since: Instant,
    /// The last update.
    last: Instant,
    /// Bytes between the two.
    held: f64,
}

/// The time that rates are averaged over at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    now: Instant,
    floor: Instant,
    /// The least time that an average is taken over, nanoseconds.
    least: u64,
}

impl Window {
    /// `period` before `now`.
    #[inline]
    pub fn new(now: Instant, period: Duration) -> Self {
        Self { now, floor: now - period, least: nanos(period) / Rate::LEAST_PART }
    }
}

impl Rate {
    /// The period of the rates that choking goes by: 20 s (BEP 3: "a rolling 20-second average").
    pub const PERIOD: Duration = Duration::from_secs(20);
    /// No average is taken over less than this part of the period.
    const LEAST_PART: u64 = 20;

    /// A flow that starts now, at zero.
    pub fn new(now: Instant) -> Self {
        Self { since: now, last: now, held: 0.0 }
    }

    /// `bytes` more have passed. `now` is not before the last update; `period` should be the same at every
    /// call, and not zero.
    #[inline]
    pub fn add(&mut self, now: Instant, bytes: u64, period: Duration) {
        let floor = now - period;
        if floor > self.since {
            self.held = self.within(floor);
            self.since = floor;
        }
        self.held += bytes as f64;
        self.last = now;
    }

    /// Bytes a second over the window of `period` that ends now (or over the time since the start, if that
    /// is less).
    #[inline]
    pub fn get(&self, now: Instant, period: Duration) -> f64 {
        self.over(&Window::new(now, period))
    }

    /// The same, where many rates are asked for at one moment.
    #[inline]
    pub fn over(&self, window: &Window) -> f64 {
        let floor = self.since.max(window.floor);
        let held = self.within(floor);
        // On most connections nothing has moved in the window: there is nothing to divide.
        if held == 0.0 {
            return 0.0;
        }
        let span = window.now.as_nanos().saturating_sub(floor.as_nanos()).max(window.least);
        held * 1e9 / span as f64
    }

    /// The part of the bytes that came after `floor`, which is not before the window's start.
    #[inline]
    fn within(&self, floor: Instant) -> f64 {
        if floor >= self.last && floor > self.since {
            return 0.0;
        }
        if floor == self.since {
            return self.held;
        }
        let part = self.last.as_nanos() - floor.as_nanos();
        let whole = self.last.as_nanos() - self.since.as_nanos();
        self.held * (part as f64 / whole as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * (S / 1000))
    }

    /// Adds `bytes` every `step` ms in (from, to].
    fn flow(rate: &mut Rate, from: u64, to: u64, step: u64, bytes: u64) {
        for t in (from + step..=to).step_by(step as usize) {
            rate.add(at(t), bytes, Rate::PERIOD);
        }
    }

    fn get(rate: &Rate, millis: u64) -> f64 {
        rate.get(at(millis), Rate::PERIOD)
    }

    #[track_caller]
    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance * expected, "{got} where {expected} was due");
    }

    #[test]
    fn a_constant_flow_is_exact_from_the_first_second_on() {
        // 16 KiB every 100 ms.
        let mut rate = Rate::new(at(5_000));
        for second in [1, 2, 5, 19, 20, 21, 60, 600] {
            let mut rate = rate;
            flow(&mut rate, 5_000, 5_000 + second * 1000, 100, 16_384);
            close(get(&rate, 5_000 + second * 1000), 163_840.0, 1e-9);
        }
        // Before that it is too low, never too high: one block at once is a block a second.
        rate.add(at(5_000), 16_384, Rate::PERIOD);
        assert_eq!(get(&rate, 5_000), 16_384.0);
        assert_eq!(get(&rate, 5_500), 16_384.0);
    }

    #[test]
    fn the_size_of_the_steps_does_not_matter() {
        for (step, bytes) in [(1, 1_000), (10, 10_000), (1_000, 1_000_000), (5_000, 5_000_000)] {
            let mut rate = Rate::new(at(0));
            flow(&mut rate, 0, 100_000, step, bytes);
            close(get(&rate, 100_000), 1e6, 1e-9);
        }
    }

    #[test]
    fn a_stopped_flow_falls_linearly_to_zero_within_the_period() {
        let mut rate = Rate::new(at(0));
        flow(&mut rate, 0, 100_000, 100, 16_384);
        for (idle, left) in [(0, 1.0), (5, 0.75), (10, 0.5), (19, 0.05)] {
            close(get(&rate, 100_000 + idle * 1000), 163_840.0 * left, 1e-9);
        }
        assert_eq!(get(&rate, 120_000), 0.0);
        assert_eq!(get(&rate, 1_000_000), 0.0);
        // Asking changed nothing, and what comes after the silence starts a new window.
        close(get(&rate, 110_000), 81_920.0, 1e-9);
        rate.add(at(500_000), 20_000, Rate::PERIOD);
        close(get(&rate, 500_000), 1_000.0, 1e-9);
    }

    #[test]
    fn a_young_flow_that_stops_is_averaged_over_its_whole_life() {
        let mut rate = Rate::new(at(0));
        flow(&mut rate, 0, 4_000, 100, 10_000);
        close(get(&rate, 4_000), 100_000.0, 1e-9);
        close(get(&rate, 16_000), 25_000.0, 1e-9);
        assert_eq!(get(&rate, 24_000), 0.0);
    }

    #[test]
    fn a_step_is_covered_to_63_percent_after_the_period() {
        let e = std::f64::consts::E;
        // From one level to another, up and down, in steps of 1/200 of the period: within half a percent of
        // the larger level.
        for (before, after) in [(1_000, 10_000), (10_000, 1_000)] {
            let mut rate = Rate::new(at(0));
            flow(&mut rate, 0, 200_000, 100, before);
            flow(&mut rate, 200_000, 220_000, 100, after);
            let (before, after) = (before as f64 * 10.0, after as f64 * 10.0);
            let error = get(&rate, 220_000) - (after + (before - after) / e);
            assert!(error.abs() <= 0.005 * before.max(after), "off by {error}");
        }
    }

    #[test]
    fn many_updates_at_one_instant_add_up() {
        let mut rate = Rate::new(at(0));
        rate.add(at(30_000), 0, Rate::PERIOD);
        for _ in 0..20 {
            rate.add(at(30_000), 1_000, Rate::PERIOD);
        }
        close(get(&rate, 30_000), 1_000.0, 1e-9);
        let mut young = Rate::new(at(0));
        young.add(at(0), 5_000, Rate::PERIOD);
        close(get(&young, 20_000), 250.0, 1e-9);
        assert_eq!(get(&young, 20_001), 0.0);
    }

    #[test]
    fn it_is_24_bytes() {
        assert_eq!(size_of::<Rate>(), 24);
    }
}
