//! Who takes part and when: arrivals, and the draws that decide about a peer.

use std::time::Duration;

use engine::rng::{Rng, shuffle, unit};
use engine::{Bitfield, Layout, PieceIndex, Seed};

use crate::spec::{Arrival, Group, Spec};

/// An exponential variate of the given mean, by inversion.
pub fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -libm::log(1.0 - unit(rng)) * mean
}

/// The pieces that a leecher begins with: so large a share of them, drawn at random.
pub fn start_pieces(layout: &Layout, share: f64, rng: &mut Rng) -> Bitfield {
    let mut have = Bitfield::empty(layout);
    let mut pieces: Vec<PieceIndex> = layout.all().collect();
    shuffle(rng, &mut pieces);
    let count = (share * f64::from(layout.pieces())).round() as usize;
    for piece in pieces.into_iter().take(count) {
        have.insert(piece);
    }
    have
}

/// When each peer of each group arrives, ascending; `None` for a group that waits for another. A trace may name fewer
/// peers than the group has: the others never come.
pub fn timetable(spec: &Spec, seed: Seed) -> Vec<Option<Vec<Duration>>> {
    let groups = spec.groups.iter().enumerate();
    groups.map(|(i, group)| arrivals(group, seed.derive("arrivals", i as u64))).collect()
}

fn arrivals(group: &Group, seed: Seed) -> Option<Vec<Duration>> {
    let count = group.count as usize;
    let mut rng = seed.rng();
    Some(match &group.arrival {
        Arrival::At(time) => vec![*time; count],
        Arrival::Evenly { from, to } => {
            let step = to.saturating_sub(*from).as_secs_f64() / (count.max(2) - 1) as f64;
            (0..count).map(|i| *from + Duration::from_secs_f64(step * i as f64)).collect()
        }
        Arrival::Poisson { from, rate } => {
            let mut time = from.as_secs_f64();
            let mut next = || {
                time += exponential(&mut rng, 1.0 / rate);
                Duration::from_secs_f64(time.min(1e9))
            };
            (0..count).map(|_| next()).collect()
        }
        Arrival::FlashCrowd { from, decay } => {
            let draw = |_| *from + Duration::from_secs_f64(exponential(&mut rng, decay.as_secs_f64()));
            let mut times: Vec<Duration> = (0..count).map(draw).collect();
            times.sort_unstable();
            times
        }
        Arrival::Trace(times) => {
            let mut times = times.to_vec();
            times.sort_unstable();
            times.truncate(count);
            times
        }
        Arrival::After { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_has_its_mean_and_its_tail() {
        let mut rng = Seed(3).rng();
        let draws: Vec<f64> = (0..100_000).map(|_| exponential(&mut rng, 2.0)).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let above = draws.iter().filter(|&&x| x > 4.0).count() as f64 / 1e5;
        assert!((mean - 2.0).abs() < 0.03, "{mean}");
        assert!((above - 0.1353).abs() < 0.005, "P(X > 2 means) = e^-2, got {above}");
    }
}
