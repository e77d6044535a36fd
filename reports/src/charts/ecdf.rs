//! Empirical distribution functions, by hand: steps that rise at each value.
//!
//! Guarantees: a curve rises from share 0 at the first value to the share of the population that has one at the
//! last; only if that is not all of them does it go on, level, to the end of the axis. It is thinned to at most
//! [`STEPS`] steps, keeping the last.

/// Steps drawn at most.
pub const STEPS: usize = 300;

/// The steps, in per cent of `population`, of `sorted` values on an axis of the given `range`.
pub fn steps(sorted: &[f64], population: usize, range: (f64, f64)) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    if sorted.is_empty() {
        points.push((range.0, 0.0));
    }
    let stride = sorted.len().saturating_sub(1) / STEPS + 1;
    let mut share = 0.0;
    for (at, value) in sorted.iter().enumerate() {
        let count = at + 1;
        if !(count.is_multiple_of(stride) || count == sorted.len()) {
            continue;
        }
        points.push((*value, share));
        share = 100.0 * count as f64 / population.max(1) as f64;
        points.push((*value, share));
    }
    if sorted.len() < population {
        points.push((range.1, share));
    }
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_at_each_value() {
        let range = (0.0, 9.0);
        assert_eq!(steps(&[1.0, 3.0], 2, range), [(1.0, 0.0), (1.0, 50.0), (3.0, 50.0), (3.0, 100.0)]);
        let half = [(1.0, 0.0), (1.0, 25.0), (3.0, 25.0), (3.0, 50.0), (9.0, 50.0)];
        assert_eq!(steps(&[1.0, 3.0], 4, range), half);
        assert_eq!(steps(&[], 4, range), [(0.0, 0.0), (9.0, 0.0)]);
        let many: Vec<f64> = (1..=10_000).map(f64::from).collect();
        let steps = steps(&many, 10_000, (0.0, 10_000.0));
        assert!(steps.len() <= 2 * STEPS + 2);
        assert_eq!(steps.last(), Some(&(10_000.0, 100.0)));
    }
}
