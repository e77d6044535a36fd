//! Which of a torrent's trackers to ask (BEP 12): tiers in order, shuffled inside, the one that works first
//! in its tier. For a private torrent too: one at a time, the next only when it fails (BEP 27).
//!
//! A tracker that has said when it wants to be asked again, or that it never does, is left out until then
//! (BEP 31).

use super::reply::Retry;
use crate::rng::{Rng, shuffle};
use crate::time::Instant;

/// The trackers of one torrent. For an announce, whoever [`next`](Self::next) names is asked, until one has
/// [`succeeded`](Self::succeeded) or all have [`failed`](Self::failed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    tiers: Vec<Vec<Tracker>>,
    tier: usize,
    tracker: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tracker {
    url: String,
    /// Not to be asked before; [`Instant::FAR`]: never again.
    rests_until: Instant,
}

impl Tiers {
    /// The tiers of a metainfo, each shuffled; `None` if there is no tracker at all.
    pub fn new(tiers: Vec<Vec<String>>, rng: &mut Rng) -> Option<Self> {
        let tracker = |url| Tracker { url, rests_until: Instant::ZERO };
        let tiers = tiers.into_iter().filter(|tier| !tier.is_empty());
        let mut tiers: Vec<Vec<_>> = tiers.map(|tier| tier.into_iter().map(tracker).collect()).collect();
        tiers.iter_mut().for_each(|tier| shuffle(rng, tier));
        (!tiers.is_empty()).then_some(Self { tiers, tier: 0, tracker: 0 })
    }

    /// The tracker to ask now; `None` if all have been tried that may be, and the next announce begins with
    /// the first again.
    pub fn next(&mut self, now: Instant) -> Option<&str> {
        while self.tier < self.tiers.len() && self.tiers[self.tier][self.tracker].rests_until > now {
            self.advance();
        }
        if self.tier == self.tiers.len() {
            (self.tier, self.tracker) = (0, 0);
            return None;
        }
        Some(&self.tiers[self.tier][self.tracker].url)
    }

    /// The one that was asked has answered: it moves to the front of its tier, and the next announce begins
    /// with the first tier again.
    pub fn succeeded(&mut self) {
        self.tiers[self.tier][..=self.tracker].rotate_right(1);
        (self.tier, self.tracker) = (0, 0);
    }

    /// The one that was asked has failed, and may have said when to ask it again.
    pub fn failed(&mut self, now: Instant, retry: Retry) {
        self.tiers[self.tier][self.tracker].rests_until = match retry {
            Retry::Unsaid => Instant::ZERO,
            Retry::After(wait) => now + wait,
            Retry::Never => Instant::FAR,
        };
        self.advance();
    }

    /// When there is somebody to ask, as the trackers that rest have said: [`Retry::Unsaid`] if one does not.
    pub fn retry(&self, now: Instant) -> Retry {
        let first = self.tiers.iter().flatten().map(|tracker| tracker.rests_until).min();
        match first {
            Some(Instant::FAR) => Retry::Never,
            Some(at) if at > now => Retry::After(at.since(now)),
            _ => Retry::Unsaid,
        }
    }

    fn advance(&mut self) {
        self.tracker += 1;
        if self.tracker == self.tiers[self.tier].len() {
            (self.tier, self.tracker) = (self.tier + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Seed;

    const NOW: Instant = Instant::ZERO;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn tiers(tiers: &[&[&str]]) -> Option<Tiers> {
        let tiers = tiers.iter().map(|tier| tier.iter().map(|&t| t.to_owned()).collect()).collect();
        Tiers::new(tiers, &mut Seed(1).rng())
    }

    fn urls(tier: &[Tracker]) -> Vec<String> {
        tier.iter().map(|tracker| tracker.url.clone()).collect()
    }

    /// All that are asked at this moment, each of which fails.
    fn round(tiers: &mut Tiers, now: Instant) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some(url) = tiers.next(now) {
            asked.push(url.to_owned());
            tiers.failed(now, Retry::Unsaid);
        }
        asked
    }

    #[test]
    fn the_one_that_works_comes_first_in_its_tier() {
        let mut t = tiers(&[&["a", "b", "c"], &[], &["z"]]).unwrap();
        let order = urls(&t.tiers[0]);
        for expected in &order {
            assert_eq!(t.next(NOW), Some(expected.as_str()));
            if *expected != order[2] {
                t.failed(NOW, Retry::Unsaid);
            }
        }
        t.succeeded();
        let order = [order[2].clone(), order[0].clone(), order[1].clone()];
        assert_eq!(urls(&t.tiers[0]), order, "BEP 12's third example");
        let all = [order.as_slice(), &["z".to_owned()]].concat();
        assert_eq!(round(&mut t, NOW), all);
        assert_eq!(round(&mut t, NOW), all, "and again from the first");
    }

    #[test]
    fn no_tracker_is_none() {
        assert_eq!(tiers(&[]), None);
        assert_eq!(tiers(&[&[], &[]]), None);
        assert_eq!(round(&mut tiers(&[&["a"]]).unwrap(), NOW), ["a"]);
    }

    #[test]
    fn who_wants_to_be_left_alone_is() {
        let mut t = tiers(&[&["a"], &["b"], &["c"]]).unwrap();
        for (url, retry) in [("a", Retry::Never), ("b", Retry::After(Duration::from_secs(300)))] {
            assert_eq!(t.next(NOW), Some(url));
            t.failed(NOW, retry);
        }
        assert_eq!((t.retry(NOW), t.next(NOW)), (Retry::Unsaid, Some("c")));
        t.succeeded();
        assert_eq!(round(&mut t, at(299)), ["c"]);
        assert_eq!(round(&mut t, at(300)), ["b", "c"], "but never a");
        let mut t = tiers(&[&["a", "b"]]).unwrap();
        t.next(NOW);
        t.failed(NOW, Retry::Never);
        t.next(NOW);
        t.failed(NOW, Retry::After(Duration::from_secs(60)));
        assert_eq!((t.retry(at(20)), t.next(at(20))), (Retry::After(Duration::from_secs(40)), None));
        assert_eq!(round(&mut t, at(60)).len(), 1);
        assert_eq!(t.retry(at(60)), Retry::Unsaid, "it failed without a word of when");
        t.next(at(60));
        t.failed(at(60), Retry::Never);
        assert_eq!((t.retry(at(60)), t.next(at(60))), (Retry::Never, None));
    }
}
