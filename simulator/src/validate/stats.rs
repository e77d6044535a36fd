//! The statistics that claims are decided by: intervals of a mean, paired differences, a straight line.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with half the width of its 95 % confidence interval: mean ± t(0.975, n − 1)·s/√n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width; infinite if there are fewer than two values.
    pub half: f64,
}

impl Interval {
    /// Of independent values; the mean of none is NaN, of which every comparison is false.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = mean(values);
        if values.len() < 2 {
            return Self { mean, half: f64::INFINITY };
        }
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Self { mean, half: t975(n - 1.0) * (variance / n).sqrt() }
    }

    /// Of the differences `b − a` of values that belong together: runs of one seed.
    pub fn of_pairs(a: &[f64], b: &[f64]) -> Self {
        Self::of(&a.iter().zip(b).map(|(a, b)| b - a).collect::<Vec<_>>())
    }

    /// The whole interval lies above zero.
    pub fn is_positive(self) -> bool {
        self.mean - self.half > 0.0
    }

    /// The whole interval lies below zero.
    pub fn is_negative(self) -> bool {
        self.mean + self.half < 0.0
    }

    /// The interval leaves out zero, so that the sign of the mean is beyond chance; or there is no mean, which no
    /// further value would give it.
    pub fn is_decided(self) -> bool {
        self.is_positive() || self.is_negative() || !self.mean.is_finite()
    }
}

/// The arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The 97.5th percentile of Student's t; the normal's for degrees of freedom that make no sense.
fn t975(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(1.959_963_985, |t| t.inverse_cdf(0.975))
}

/// A least-squares line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Rise for a unit of x.
    pub slope: f64,
    /// Share of the variance that it explains.
    pub r2: f64,
}

impl Line {
    /// Through points (x, y); NaN for fewer than two different x.
    pub fn through(points: &[(f64, f64)]) -> Self {
        let n = points.len() as f64;
        let (mx, my) =
            (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            xx += (x - mx) * (x - mx);
            xy += (x - mx) * (y - my);
            yy += (y - my) * (y - my);
        }
        Self { slope: xy / xx, r2: xy * xy / (xx * yy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_known_samples() {
        // t(0.975, 4) = 2.776; s = 1.5811 for 1 to 5: 2.776 · 1.5811 / √5 = 1.963.
        let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((interval.mean - 3.0).abs() < 1e-12 && (interval.half - 1.9632).abs() < 1e-3, "{interval:?}");
        assert!(interval.is_positive() && !interval.is_negative());
        // A shift shows in pairs though the samples overlap.
        let pairs = Interval::of_pairs(&[1.0, 5.0, 9.0], &[2.0, 6.1, 9.9]);
        assert!((pairs.mean - 1.0).abs() < 1e-12 && pairs.is_positive(), "{pairs:?}");
        let one = Interval::of(&[7.0]);
        assert!(!one.is_positive() && !one.is_decided(), "one value says nothing");
        assert!(Interval::of(&[f64::INFINITY; 3]).is_decided(), "and more of those no more");
        assert!(!Interval::of(&[]).is_positive());
    }

    #[test]
    fn a_line_is_found_and_noise_shows() {
        let line = Line::through(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((line.slope - 2.0).abs() < 1e-12 && (line.r2 - 1.0).abs() < 1e-12);
        let bent = Line::through(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]);
        assert!(bent.slope.abs() < 1e-12 && bent.r2 < 1e-12);
    }
}
