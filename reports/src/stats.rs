//! Statistics of small samples: mean, deviation, Student-t intervals, percentiles, and differences.
//!
//! Guarantees: every result is finite where the input is; an empty sample gives `None`, never NaN; an interval
//! is given only where a spread can be estimated (two values or more).

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Values behind the mean, at least 1.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Half the width of the 95 % interval; `None` if there is a single value.
    pub half: Option<f64>,
}

impl Estimate {
    /// Estimates the mean of `values`, taken as independent: mean ± t(0.975, n − 1)·s/√n. `None` if empty.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mean = mean(values)?;
        let n = values.len();
        let half = deviation(values).map(|s| t975((n - 1) as f64) * s / (n as f64).sqrt());
        Some(Self { n, mean, half })
    }

    /// The lower end of the interval, the mean itself if there is no interval.
    pub fn low(&self) -> f64 {
        self.mean - self.half.unwrap_or(0.0)
    }

    /// The upper end of the interval, the mean itself if there is no interval.
    pub fn high(&self) -> f64 {
        self.mean + self.half.unwrap_or(0.0)
    }

    /// Multiplies everything by `factor`, at least 0: a change of unit.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { n: self.n, mean: self.mean * factor, half: self.half.map(|half| half * factor) }
    }

    /// True if there is an interval and it leaves out zero: the sign of the mean is beyond chance.
    pub fn excludes_zero(&self) -> bool {
        self.half.is_some_and(|half| self.mean.abs() > half)
    }
}

/// The arithmetic mean; `None` if empty.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (n − 1 in the denominator); `None` for fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    if values.len() < 2 {
        return None;
    }
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The 97.5th percentile of Student's t with `freedom` degrees of freedom (above 0, need not be whole),
/// rounded to nine decimals so that it does not carry a platform's last bit.
pub fn t975(freedom: f64) -> f64 {
    // Only a degree of freedom of zero or less is refused, which no caller passes; the normal's is the limit.
    let t = StudentsT::new(0.0, 1.0, freedom).map_or(1.959_963_985, |t| t.inverse_cdf(0.975));
    (t * 1e9).round() / 1e9
}

/// The `p`-th quantile (0 ≤ p ≤ 1) of `sorted` (ascending), by linear interpolation between order statistics:
/// type 7 of Hyndman and Fan 1996, the default of R and NumPy. `None` if empty.
pub fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = (at.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (at - below as f64) * (sorted[above] - sorted[below]))
}

/// `values` in ascending order.
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The mean of `b − a` over pairs, with its interval. `None` without a pair.
pub fn paired_difference(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
    Estimate::of(&differences)
}

/// The difference of the means, `b − a`, of two independent samples, with the interval of Welch 1947 (degrees of
/// freedom by Satterthwaite). `None` if one is empty; no interval unless both have two values. `n` is the
/// smaller sample's.
pub fn welch_difference(a: &[f64], b: &[f64]) -> Option<Estimate> {
    let difference = mean(b)? - mean(a)?;
    let n = a.len().min(b.len());
    let half = match (deviation(a), deviation(b)) {
        (Some(sa), Some(sb)) => {
            let (na, nb) = (a.len() as f64, b.len() as f64);
            let (va, vb) = (sa * sa / na, sb * sb / nb);
            let freedom = (va + vb) * (va + vb) / (va * va / (na - 1.0) + vb * vb / (nb - 1.0));
            // Two samples without any spread have no degrees of freedom to compute: the interval is empty.
            Some(if freedom.is_finite() { t975(freedom) * (va + vb).sqrt() } else { 0.0 })
        }
        _ => None,
    };
    Some(Estimate { n, mean: difference, half })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn t_agrees_with_the_printed_tables() {
        // Pearson and Hartley, Biometrika Tables for Statisticians, table 12 (two-sided 5 %).
        for (freedom, t) in [
            (1.0, 12.706_205),
            (2.0, 4.302_653),
            (4.0, 2.776_445),
            (9.0, 2.262_157),
            (29.0, 2.045_230),
            (120.0, 1.979_930),
        ] {
            close(t975(freedom), t, 5e-6);
        }
    }

    #[test]
    fn interval_of_a_known_sample() {
        let e = Estimate::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((e.n, e.mean), (8, 5.0));
        // s = sqrt(32/7) = 2.138090, t(0.975, 7) = 2.364624: half = 2.364624 * 2.138090 / sqrt(8)
        close(e.half.unwrap(), 1.787_487, 1e-5);
        assert!(e.excludes_zero());
    }

    #[test]
    fn small_samples() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[3.0]), Some(Estimate { n: 1, mean: 3.0, half: None }));
        assert_eq!(Estimate::of(&[3.0, 3.0]), Some(Estimate { n: 2, mean: 3.0, half: Some(0.0) }));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn percentiles_are_type_7() {
        let values = [1.0, 2.0, 3.0, 4.0];
        // R: quantile(1:4, c(.5, .95, .25))
        close(percentile(&values, 0.5).unwrap(), 2.5, 1e-12);
        close(percentile(&values, 0.95).unwrap(), 3.85, 1e-12);
        close(percentile(&values, 0.25).unwrap(), 1.75, 1e-12);
        assert_eq!(percentile(&values, 1.0), Some(4.0));
    }

    #[test]
    fn differences() {
        let paired = paired_difference(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]).unwrap();
        // Differences 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.302653.
        assert_eq!(paired.mean, 2.0);
        close(paired.half.unwrap(), 4.302_653 / 3f64.sqrt(), 1e-5);
        // SciPy: ttest_ind([2, 4, 6, 8], [1, 2, 3], equal_var=False) has df = 4.0755 and the interval
        // (-0.89798, 6.89798).
        let welch = welch_difference(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0, 8.0]).unwrap();
        assert_eq!((welch.mean, welch.n), (3.0, 3));
        close(welch.low(), -0.89798, 1e-5);
        close(welch.high(), 6.89798, 1e-5);
        assert_eq!(welch_difference(&[1.0, 1.0], &[2.0, 2.0]).unwrap().half, Some(0.0));
        assert_eq!(welch_difference(&[1.0], &[2.0, 3.0]).unwrap().half, None);
    }
}
