//! The clock of the arms that talk to real programs; nothing else in this crate may look at one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// The day, UTC, as in `2026-03-01`.
#[expect(clippy::disallowed_methods, reason = "results of real programs say when they were made")]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    day(since.as_secs() / 86_400)
}

/// The day so many days after 1970-01-01.
fn day(days: u64) -> String {
    // Counted from 0000-03-01, so that a leap day is the last of its year: 400 years are 146,097 days.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March on come in fives of 153 days.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn days_have_dates() {
        let due = [(0, "1970-01-01"), (58, "1970-02-28"), (59, "1970-03-01"), (11_016, "2000-02-29")];
        let more =
            [(11_017, "2000-03-01"), (20_783, "2026-11-26"), (47_540, "2100-02-28"), (47_541, "2100-03-01")];
        for (days, date) in due.into_iter().chain(more) {
            assert_eq!(day(days), date);
        }
    }
}
