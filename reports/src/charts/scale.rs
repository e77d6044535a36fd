//! Axes: from data to a range, ticks that people count in, and a place between 0 and 1.
//!
//! Guarantees: the range holds every value it was made from and has a width above zero; ticks lie within it, in
//! ascending order; nothing is clamped.

use crate::units;

/// An axis: its name, its range and the ticks on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is measured, unit included.
    pub label: String,
    /// Lower end of the range.
    pub low: f64,
    /// Upper end of the range, above the lower.
    pub high: f64,
    /// Logarithmic; then the range is above zero.
    pub log: bool,
    /// Values with their labels, in ascending order; a label may have several lines.
    pub ticks: Vec<(f64, String)>,
    /// A grid line at each tick.
    pub grid: bool,
}

impl Axis {
    /// A linear axis from zero (or the least value, if negative) to the tick at or above the largest.
    pub fn from_zero(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let (low, high) = (low.min(0.0), high.max(0.0));
        let high = if high > low { high } else { low + 1.0 };
        let step = nice_step((high - low) / 6.0);
        let low = libm::floor(low / step + 1e-9) * step;
        let high = libm::ceil(high / step - 1e-9) * step;
        Self { label: label.into(), low, high, log: false, ticks: linear_ticks(low, high, step), grid: true }
    }

    /// A linear axis from zero to `full`, or to the largest value if that is but a little above it: a share is not
    /// drawn as if it could be half as much again.
    pub fn filled(label: impl Into<String>, values: impl IntoIterator<Item = f64>, full: f64) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let (low, high) = extent(values.iter().copied()).unwrap_or((0.0, full));
        if low < 0.0 || high > full * 1.1 {
            return Self::from_zero(label, values.into_iter().chain([full]));
        }
        let axis = Self::from_zero(label, [full]);
        Self { high: axis.high.max(high), ..axis }
    }

    /// A linear axis from zero to exactly the largest value: for time.
    pub fn time(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let low = low.min(0.0);
        let high = if high > low { high } else { low + 1.0 };
        let ticks = linear_ticks(low, high, nice_step((high - low) / 8.0));
        Self { label: label.into(), low, high, log: false, ticks, grid: false }
    }

    /// A linear axis around the values, with a margin on both sides.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let margin = if high > low { (high - low) * 0.04 } else { (high.abs() * 0.5).max(0.5) };
        let (low, high) = (low - margin, high + margin);
        let ticks = linear_ticks(low, high, nice_step((high - low) / 7.0));
        Self { label: label.into(), low, high, log: false, ticks, grid: false }
    }

    /// A logarithmic axis around the values, with a margin on both sides; `None` if one is not above zero.
    pub fn log(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values).unwrap_or((1.0, 10.0));
        if low <= 0.0 {
            return None;
        }
        // At least a factor of four, so that what hardly differs is not blown up.
        let margin = libm::pow(high / low, 0.05).max(1.02).max((4.0 * low / high).sqrt());
        let (low, high) = (low / margin, high * margin);
        Some(Self { label: label.into(), low, high, log: true, ticks: log_ticks(low, high), grid: true })
    }

    /// A logarithmic axis of times in seconds around the values, with ticks in units that people count in: `30 s`,
    /// `5 min`, `3 h`; `None` if one is not above zero.
    pub fn log_time(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let axis = Self::log(label, values)?;
        let ticks = log_time_ticks(axis.low, axis.high).unwrap_or_else(|| {
            let tick = |(at, _): &(f64, String)| (*at, units::with_unit(*at, units::short_time(*at)));
            axis.ticks.iter().map(tick).collect()
        });
        Some(Self { ticks, ..axis })
    }

    /// With a tick at each of the values (of which there are few), instead of at round numbers.
    pub fn with_ticks_at(self, values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| self.holds(*value)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        Self { ticks: values.into_iter().map(|value| (value, units::short(value))).collect(), ..self }
    }

    /// An axis of categories, at 0, 1, 2, …, half a slot of room on both sides.
    pub fn categories(label: impl Into<String>, names: Vec<String>) -> Self {
        let high = names.len().max(1) as f64 - 0.5;
        let ticks = names.into_iter().enumerate().map(|(at, name)| (at as f64, name)).collect();
        Self { label: label.into(), low: -0.5, high, log: false, ticks, grid: false }
    }

    /// With a grid line at each tick.
    pub fn with_grid(self) -> Self {
        Self { grid: true, ..self }
    }

    /// Where `value` lies: 0 at the lower end of the range, 1 at the upper.
    pub fn place(&self, value: f64) -> f64 {
        if self.log {
            (libm::log(value) - libm::log(self.low)) / (libm::log(self.high) - libm::log(self.low))
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// True if `value` lies within the range.
    pub fn holds(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }
}

/// The least and the largest finite value.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |extent, value| match extent {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `raw` (above zero).
fn nice_step(raw: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(raw)));
    [1.0, 2.0, 5.0]
        .map(|m| m * power)
        .into_iter()
        .find(|step| *step >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

fn linear_ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let decimals = (-libm::floor(libm::log10(step) + 1e-9)).clamp(0.0, 9.0) as usize;
    let first = libm::ceil(low / step - 1e-9);
    (0..=100)
        .map(|at| (first + f64::from(at)) * step)
        .take_while(|tick| *tick <= high + step * 1e-9)
        .map(|tick| tick.clamp(low, high))
        .map(|tick| (tick, units::fixed(tick, decimals)))
        .collect()
}

/// Ticks on a logarithmic axis: the sparsest of a few customary sets that has at least four; evenly spaced ones
/// if the range is too short for any.
fn log_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    const SETS: [&[f64]; 4] = [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 5.0, 7.0]];
    let (from, to) = (libm::floor(libm::log10(low)) as i32, libm::ceil(libm::log10(high)) as i32);
    let stride = ((to - from) / 9 + 1) as usize;
    for set in SETS {
        let powers = (from..=to).step_by(stride).map(|power| libm::pow(10.0, f64::from(power)));
        let all = powers.flat_map(|power| set.iter().map(move |m| m * power));
        let ticks: Vec<f64> = all.filter(|tick| *tick >= low && *tick <= high).collect();
        if ticks.len() >= 4 {
            return ticks.into_iter().map(|tick| (tick, units::short(tick))).collect();
        }
    }
    linear_ticks(low, high, nice_step((high - low) / 8.0))
}

/// Ticks on a logarithmic axis of seconds: of a few sets, the first with at least four within the range.
fn log_time_ticks(low: f64, high: f64) -> Option<Vec<(f64, String)>> {
    const COARSE: &[(f64, &[f64])] = &[(1.0, &[1.0, 10.0]), (60.0, &[1.0, 10.0]), (3600.0, &[1.0, 10.0])];
    const MIDDLE: &[(f64, &[f64])] = &[
        (1.0, &[1.0, 3.0, 10.0, 30.0]),
        (60.0, &[1.0, 3.0, 10.0, 30.0]),
        (3600.0, &[1.0, 3.0, 10.0]),
        (86_400.0, &[1.0, 3.0, 10.0, 30.0, 100.0]),
    ];
    const FINE: &[(f64, &[f64])] = &[
        (1.0, &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0]),
        (60.0, &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0]),
        (3600.0, &[1.0, 2.0, 5.0, 10.0]),
        (86_400.0, &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]),
    ];
    [COARSE, MIDDLE, FINE].into_iter().find_map(|set| {
        let all = set.iter().flat_map(|(unit, counts)| counts.iter().map(move |count| (unit * count, *unit)));
        let label = |(time, unit): (f64, f64)| {
            let text = units::with_unit(time, units::time_unit(unit));
            (time, if time == 86_400.0 { "1 day".to_owned() } else { text })
        };
        let ticks: Vec<_> = all.filter(|(time, _)| *time >= low && *time <= high).map(label).collect();
        // Past the last of a set there would be a range without a tick.
        let covers = ticks.last().is_some_and(|(last, _)| high / last < 30.0);
        (ticks.len() >= 4 && covers).then_some(ticks)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_what_people_count_in() {
        let axis = Axis::from_zero("", [0.3, 8.7]);
        assert_eq!((axis.low, axis.high), (0.0, 10.0));
        assert_eq!(labels(&axis), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Axis::from_zero("", [0.31])), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        let wide = Axis::log("", [10.0, 100_000.0]).unwrap();
        assert_eq!(labels(&wide), ["10", "100", "1,000", "10,000", "100,000"]);
        let two = Axis::log("", [10.0, 1000.0]).unwrap();
        assert_eq!(labels(&two), ["10", "30", "100", "300", "1,000"]);
        let short = Axis::log("", [4.0, 6.0]).unwrap();
        assert!(short.ticks.len() >= 4, "{short:?}");
        assert_eq!(Axis::log("", [0.0, 6.0]), None);
        let share = Axis::filled("", [3.0, 100.4], 100.0);
        assert_eq!((share.high, labels(&share)[5]), (100.4, "100"));
        assert_eq!(Axis::filled("", [3.0, 130.0], 100.0).high, 150.0);
        let times = Axis::log_time("", [100.0, 68_000.0]).unwrap();
        assert_eq!(labels(&times), ["3 min", "10 min", "30 min", "1 h", "3 h", "10 h", "1 day"]);
        let times = Axis::log_time("", [40.0, 900.0]).unwrap();
        assert_eq!(labels(&times), ["1 min", "2 min", "5 min", "10 min"]);
        let chosen = Axis::log("", [2.0, 200.0]).unwrap().with_ticks_at([2.0, 200.0, 25.0, 2.0]);
        assert_eq!(labels(&chosen), ["2", "25", "200"]);
    }

    proptest! {
        #[test]
        fn ranges_hold_their_values(values in prop::collection::vec(-1e9f64..1e9, 0..20), small in any::<bool>()) {
            let values: Vec<f64> = values.iter().map(|v| if small { v / 1e12 } else { *v }).collect();
            let positive: Vec<f64> = values.iter().map(|v| v.abs() + 1e-9).collect();
            let linear = [Axis::from_zero("", values.clone()), Axis::time("", values.clone()), Axis::around("", values.clone())];
            for (axis, values) in linear.iter().map(|a| (a, &values)).chain([(&Axis::log("", positive.clone()).unwrap(), &positive), (&Axis::log_time("", positive.clone()).unwrap(), &positive)]) {
                prop_assert!(axis.high > axis.low);
                for value in values {
                    prop_assert!(axis.holds(*value), "{value} outside of {axis:?}");
                    prop_assert!((-1e-9..=1.0 + 1e-9).contains(&axis.place(*value)));
                }
                prop_assert!(axis.ticks.iter().all(|(tick, _)| axis.holds(*tick)));
                prop_assert!(axis.ticks.is_sorted_by(|a, b| a.0 < b.0));
            }
        }
    }
}
