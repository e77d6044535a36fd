//! The clock of the arms that talk to real programs; nothing else in this crate may look at one.

use std::time::{Duration, Instant};

/// Time since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "real programs live in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since it began.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// Whether so much time is over.
    pub fn past(&self, limit: Duration) -> bool {
        self.now() >= limit
    }
}
