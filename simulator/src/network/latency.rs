//! One-way delays between hosts: the same for a pair whenever it is asked, whoever asks.

use std::time::Duration;

use engine::Seed;
use engine::rng::unit;

use crate::spec::Latency;

/// The least delay between two hosts: the window in which they cannot affect each other.
pub const MIN_LATENCY: Duration = Duration::from_millis(1);

/// The one-way delay of the pair `a`, `b` of the core alone; `seed` is the run's for delays.
pub fn between(latency: &Latency, seed: Seed, a: u32, b: u32) -> Duration {
    let (low, high) = (a.min(b), a.max(b));
    let draw = || {
        let pair = mix(seed.0 ^ mix(u64::from(low) << 32 | u64::from(high)));
        unit(&mut Seed(pair).rng())
    };
    match latency {
        Latency::Constant(delay) => *delay,
        Latency::Uniform(from, to) => *from + to.saturating_sub(*from).mul_f64(draw()),
        Latency::Quantiles(quantiles) => interpolate(quantiles, draw()),
        Latency::Matrix { n, delays } => {
            let (row, column) = (low as usize % n, high as usize % n);
            delays.get(row * n + column).copied().unwrap_or(MIN_LATENCY)
        }
    }
}

/// The least one-way delay that any pair may have.
pub fn least(latency: &Latency) -> Duration {
    let least = match latency {
        Latency::Constant(delay) => Some(*delay),
        Latency::Uniform(from, to) => Some(*from.min(to)),
        Latency::Quantiles(delays) | Latency::Matrix { delays, .. } => delays.iter().min().copied(),
    };
    least.unwrap_or_default().max(MIN_LATENCY)
}

/// The quantile at `q` in [0, 1), by linear interpolation.
fn interpolate(quantiles: &[Duration], q: f64) -> Duration {
    let Some(last) = quantiles.len().checked_sub(1) else { return MIN_LATENCY };
    let at = q * last as f64;
    let (low, high) = (quantiles[at as usize], quantiles[(at as usize + 1).min(last)]);
    low + high.saturating_sub(low).mul_f64(at.fract())
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_delay() {
        let latency = Latency::Uniform(Duration::from_millis(10), Duration::from_millis(90));
        let mut sum = 0.0;
        for a in 0..100 {
            for b in 0..100 {
                let delay = between(&latency, Seed(1), a, b);
                assert_eq!(delay, between(&latency, Seed(1), b, a));
                assert!(delay >= Duration::from_millis(10) && delay < Duration::from_millis(90));
                sum += delay.as_secs_f64();
            }
        }
        assert!((sum / 1e4 - 0.05).abs() < 0.001, "mean {}", sum / 1e4);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let ms = Duration::from_millis;
        assert_eq!(interpolate(&[ms(10), ms(20), ms(40)], 0.75), ms(30));
        assert_eq!(interpolate(&[ms(10)], 0.9), ms(10));
    }
}
