//! The one place that looks at a clock: the engine's time, counted from the session's start.

use std::time::Duration;

use tokio::time::Instant as Wall;

/// A session's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Wall);

impl Clock {
    /// Time that begins now.
    pub fn start() -> Self {
        Self(Wall::now())
    }

    /// Now, for the engine.
    pub fn now(&self) -> engine::Instant {
        engine::Instant::ZERO + self.0.elapsed()
    }

    /// When a moment of the engine's comes; `None` if it never does.
    pub fn at(&self, moment: engine::Instant) -> Option<Wall> {
        self.0.checked_add(Duration::from_nanos(moment.as_nanos())).filter(|_| moment != engine::Instant::FAR)
    }
}
