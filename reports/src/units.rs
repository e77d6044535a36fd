//! Numbers for people: units chosen by magnitude, thousands with commas, axis values read as quantities.
//!
//! Guarantees: the text depends on the value alone (no locale).

/// A unit to show values in: the text to print, and how many base units it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// What is printed after a value.
    pub name: &'static str,
    /// Base units (seconds, bytes, bytes a second) in one of it.
    pub size: f64,
}

const TIME: [Unit; 4] = [
    Unit { name: "s", size: 1.0 },
    Unit { name: "min", size: 60.0 },
    Unit { name: "h", size: 3600.0 },
    Unit { name: "days", size: 86_400.0 },
];
const RATE: [Unit; 4] = [
    Unit { name: "bit/s", size: 0.125 },
    Unit { name: "kbit/s", size: 125.0 },
    Unit { name: "Mbit/s", size: 125e3 },
    Unit { name: "Gbit/s", size: 125e6 },
];
const SIZE: [Unit; 5] = [
    Unit { name: "B", size: 1.0 },
    Unit { name: "KiB", size: 1024.0 },
    Unit { name: "MiB", size: 1_048_576.0 },
    Unit { name: "GiB", size: 1_073_741_824.0 },
    Unit { name: "TiB", size: 1_099_511_627_776.0 },
];

/// The unit for times up to `seconds`: minutes from two of them on, hours from two on, days from three on.
pub fn time(seconds: f64) -> Unit {
    TIME[usize::from(seconds >= 120.0) + usize::from(seconds >= 7200.0) + usize::from(seconds >= 259_200.0)]
}

/// The unit for one time among others: seconds below ten minutes, minutes below two hours, hours below four days.
pub fn short_time(seconds: f64) -> Unit {
    TIME[usize::from(seconds >= 600.0) + usize::from(seconds >= 7200.0) + usize::from(seconds >= 345_600.0)]
}

/// The unit of times that has `seconds`, or the next smaller one.
pub fn time_unit(seconds: f64) -> Unit {
    largest(&TIME, seconds)
}

/// The bit rate unit for rates up to `rate` bytes a second.
pub fn rate(rate: f64) -> Unit {
    largest(&RATE, rate)
}

/// The binary unit for sizes up to `bytes`.
pub fn size(bytes: f64) -> Unit {
    largest(&SIZE, bytes)
}

fn largest(units: &[Unit], value: f64) -> Unit {
    // A hair under a unit (999.96 kbit/s) would print as 1,000 of the smaller one.
    units.iter().rev().find(|unit| value >= unit.size * 0.9995).copied().unwrap_or(units[0])
}

/// `value` base units in a unit of its own magnitude: `8 Mbit/s`, `100 MiB`.
pub fn with_unit(value: f64, unit: Unit) -> String {
    format!("{} {}", short(value / unit.size), unit.name)
}

/// `value` to three significant digits, without trailing zeros, thousands with commas: `1,230`, `12.3`, `0.05`.
pub fn short(value: f64) -> String {
    let text = fixed(value, decimals(value, 3));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Decimals that show `value` to `digits` significant digits, at most 6.
pub fn decimals(value: f64, digits: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    (digits - 1 - libm::floor(libm::log10(value.abs())) as i32).clamp(0, 6) as usize
}

/// `value` with that many decimals and commas between thousands; a negative sign is U+2212.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        out.push('\u{2212}');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// An axis's value as a number and the unit written after it: `"256 KiB"` is (256, `KiB`). `None` if it does not
/// open with a finite number, or if more than a short unit follows.
pub fn quantity(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-._,eE".contains(c))).unwrap_or(text.len());
    // The e of a unit is no exponent.
    let digits = text[..end].trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let value: f64 = digits.replace(['_', ','], "").parse().ok()?;
    let is_unit = |c: char| c.is_alphabetic() || c == '/' || c == '%';
    (value.is_finite() && unit.chars().count() <= 8 && unit.chars().all(is_unit)).then_some((value, unit))
}

/// Base units in one of a unit as scenarios write it: sizes to bytes, rates to bytes a second, times to seconds.
fn factor(unit: &str) -> Option<(f64, Kind)> {
    let rate = unit.strip_suffix("/s").or_else(|| unit.strip_suffix("ps")).unwrap_or(unit);
    Some(match (unit, rate) {
        ("", _) => (1.0, Kind::Number),
        ("%", _) => (1.0, Kind::Percent),
        ("us" | "µs", _) => (1e-6, Kind::Time),
        ("ms", _) => (1e-3, Kind::Time),
        ("s" | "sec", _) => (1.0, Kind::Time),
        ("m" | "min", _) => (60.0, Kind::Time),
        ("h" | "hour" | "hours", _) => (3600.0, Kind::Time),
        ("d" | "day" | "days", _) => (86_400.0, Kind::Time),
        (_, "bit") => (0.125, Kind::Rate),
        (_, "kbit" | "Kbit") => (125.0, Kind::Rate),
        (_, "Mbit") => (125e3, Kind::Rate),
        (_, "Gbit") => (125e6, Kind::Rate),
        (_, bytes) => {
            let size = match bytes {
                "B" => 1.0,
                "kB" | "KB" => 1e3,
                "MB" => 1e6,
                "GB" => 1e9,
                "TB" => 1e12,
                binary => SIZE.iter().find(|unit| unit.name == binary)?.size,
            };
            (size, if unit.ends_with("/s") { Kind::Rate } else { Kind::Size })
        }
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Percent,
    Time,
    Rate,
    Size,
}

/// An axis of a sweep as numbers in one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantities {
    /// The values, in the order given.
    pub values: Vec<f64>,
    /// Their unit, empty for plain numbers.
    pub unit: String,
}

/// Reads all of an axis's values as quantities of one kind; `None` if one is none, or if kinds are mixed.
pub fn quantities<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Quantities> {
    let parsed: Vec<(f64, &str)> = texts.into_iter().map(quantity).collect::<Option<_>>()?;
    let first = parsed.first()?.1;
    if parsed.iter().all(|(_, unit)| *unit == first) {
        return Some(Quantities { values: parsed.iter().map(|p| p.0).collect(), unit: first.to_owned() });
    }
    // Zero is zero in every unit: `0` may stand among delays.
    let kind = parsed.iter().find(|(value, _)| *value != 0.0).and_then(|(_, unit)| factor(unit))?.1;
    let mut values = Vec::new();
    for (value, unit) in &parsed {
        let (factor, its) = factor(unit)?;
        if its != kind && *value != 0.0 {
            return None;
        }
        values.push(value * factor);
    }
    let top = values.iter().copied().fold(0.0, f64::max);
    let unit = match kind {
        Kind::Number => Unit { name: "", size: 1.0 },
        Kind::Percent => Unit { name: "%", size: 1.0 },
        Kind::Time if top < 1.0 => Unit { name: "ms", size: 1e-3 },
        Kind::Time => time(top),
        Kind::Rate => rate(top),
        Kind::Size => size(top),
    };
    Some(Quantities {
        values: values.iter().map(|value| value / unit.size).collect(),
        unit: unit.name.to_owned(),
    })
}

/// The shortest endings, cut at dots, that still tell the axes apart: `groups.leechers.up` becomes `up` where no
/// other axis ends so. Underscores and hyphens become spaces.
pub fn axis_names(axes: &[String]) -> Vec<String> {
    let parts: Vec<Vec<&str>> = axes.iter().map(|axis| axis.split('.').collect()).collect();
    let ending = |at: usize, length: usize| {
        let parts: &[&str] = &parts[at];
        parts[parts.len().saturating_sub(length)..].join(" ")
    };
    (0..axes.len())
        .map(|at| {
            let unique = |length: &usize| {
                (0..axes.len()).all(|o| o == at || ending(o, *length) != ending(at, *length))
            };
            let length = (1..parts[at].len()).find(unique).unwrap_or(parts[at].len());
            ending(at, length).replace(['_', '-'], " ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(1234.6), "1,235");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(0.050), "0.05");
        assert_eq!(short(-3.0), "\u{2212}3");
        assert_eq!(fixed(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(fixed(-0.001, 1), "0.0");
        assert_eq!(with_unit(1e6, rate(1e6)), "8 Mbit/s");
        assert_eq!(with_unit(104_857_600.0, size(104_857_600.0)), "100 MiB");
        assert_eq!(with_unit(90.0, time(90.0)), "90 s");
        assert_eq!(with_unit(600.0, time(600.0)), "10 min");
    }

    #[test]
    fn axis_values() {
        assert_eq!(quantity("256 KiB"), Some((256.0, "KiB")));
        assert_eq!(quantity("1e3"), Some((1000.0, "")));
        assert_eq!(quantity("1_000"), Some((1000.0, "")));
        assert_eq!(quantity("10Mbit/s"), Some((10.0, "Mbit/s")));
        assert_eq!(quantity("tit-for-tat"), None);
        assert_eq!(quantity("2 of everything"), None);
        let q = quantities(["512 KiB", "1 MiB"]).unwrap();
        assert_eq!((q.values, q.unit.as_str()), (vec![0.5, 1.0], "MiB"));
        let q = quantities(["0", "20 ms", "0.5 s"]).unwrap();
        assert_eq!((q.values, q.unit.as_str()), (vec![0.0, 20.0, 500.0], "ms"));
        assert_eq!(quantities(["1 s", "1 MiB"]), None);
        assert_eq!(quantities(["10", "swarm"]), None);
    }

    #[test]
    fn axis_names_stay_apart() {
        let names = |axes: &[&str]| axis_names(&axes.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["groups.leechers.count", "variant"]), ["count", "variant"]);
        assert_eq!(names(&["groups.a.up", "groups.b.up"]), ["a up", "b up"]);
    }
}
