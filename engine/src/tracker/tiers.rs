//! Which of a torrent's trackers to ask (BEP 12): tiers in order, shuffled inside, the one that works first
//! in its tier. For a private torrent too: one at a time, the next only when it fails (BEP 27).

use crate::rng::{Rng, shuffle};

/// The trackers of one torrent. An announce is tried at [`current`](Self::current) until one succeeds or
/// [`failed`](Self::failed) says that all have been tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    tiers: Vec<Vec<String>>,
    tier: usize,
    tracker: usize,
}

impl Tiers {
    /// The tiers of a metainfo, each shuffled; `None` if there is no tracker at all.
    pub fn new(mut tiers: Vec<Vec<String>>, rng: &mut Rng) -> Option<Self> {
        tiers.retain(|tier| !tier.is_empty());
        tiers.iter_mut().for_each(|tier| shuffle(rng, tier));
        (!tiers.is_empty()).then_some(Self { tiers, tier: 0, tracker: 0 })
    }

    /// The tracker to ask now.
    pub fn current(&self) -> &str {
        &self.tiers[self.tier][self.tracker]
    }

    /// The current tracker has answered: it moves to the front of its tier, and the next announce begins
    /// with the first tier again.
    pub fn succeeded(&mut self) {
        self.tiers[self.tier][..=self.tracker].rotate_right(1);
        (self.tier, self.tracker) = (0, 0);
    }

    /// The current tracker has failed. True if there is another one to try in this round; false if all have
    /// failed, and the next round begins with the first.
    pub fn failed(&mut self) -> bool {
        self.tracker += 1;
        if self.tracker == self.tiers[self.tier].len() {
            self.tracker = 0;
            self.tier = (self.tier + 1) % self.tiers.len();
        }
        (self.tier, self.tracker) != (0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    fn tiers(tiers: &[&[&str]]) -> Option<Tiers> {
        let tiers = tiers.iter().map(|tier| tier.iter().map(|&t| t.to_owned()).collect()).collect();
        Tiers::new(tiers, &mut Seed(1).rng())
    }

    #[test]
    fn the_one_that_works_comes_first_in_its_tier() {
        let mut t = tiers(&[&["a", "b", "c"], &[], &["z"]]).unwrap();
        let order: Vec<String> = t.tiers[0].clone();
        assert_eq!(t.current(), order[0]);
        assert!(t.failed() && t.failed());
        assert_eq!(t.current(), order[2]);
        t.succeeded();
        assert_eq!(t.tiers[0], [order[2].as_str(), &order[0], &order[1]], "BEP 12's third example");
        assert_eq!(t.current(), order[2]);
        assert!(t.failed() && t.failed() && t.failed());
        assert_eq!(t.current(), "z");
        assert!(!t.failed(), "all have failed");
        assert_eq!(t.current(), order[2]);
    }

    #[test]
    fn no_tracker_is_none() {
        assert_eq!(tiers(&[]), None);
        assert_eq!(tiers(&[&[], &[]]), None);
        let mut one = tiers(&[&["a"]]).unwrap();
        assert!(!one.failed());
        assert_eq!(one.current(), "a");
    }
}
