//! The clock on the wall, which real processes go by.

use std::time::{Duration, Instant};

/// When something began.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// One that starts now.
    #[expect(clippy::disallowed_methods, reason = "other programs run in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// When to give up.
#[derive(Clone, Copy)]
pub struct Deadline(Stopwatch, Duration);

impl Deadline {
    /// So long from now.
    pub fn after(limit: Duration) -> Self {
        Self(Stopwatch::start(), limit)
    }

    /// Whether it has come.
    pub fn over(self) -> bool {
        self.0.elapsed() > self.1
    }
}
