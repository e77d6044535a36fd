//! Values with units, as scenario files write them: `"10 Mbit/s"`, `"256 KiB"`, `"50 ms"`, `"20 %"`, `"0.1 /s"`.
//!
//! Guarantees: a value without a unit is refused, and so is a unit that could be read in two ways (`Mb/s`); the
//! arithmetic is exact in integers, so a text has the same value on every platform; every value that is made
//! lies in its type's range, which leaves room to add times and to sum rates without overflow.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Why a text is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    message: String,
    help: String,
}

impl UnitError {
    fn new(message: String, help: String) -> Self {
        Self { message, help }
    }

    /// What to write instead.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// A kind of quantity: what it is called, its units, and an example.
struct Kind {
    noun: &'static str,
    example: &'static str,
    /// Units with their factors, in the smallest step of the kind.
    units: &'static [(&'static str, u64)],
}

const RATE: Kind = Kind {
    noun: "rate",
    example: "10 Mbit/s",
    // In bits a second.
    units: &[
        ("bit/s", 1),
        ("kbit/s", 1_000),
        ("Mbit/s", 1_000_000),
        ("Gbit/s", 1_000_000_000),
        ("B/s", 8),
        ("kB/s", 8_000),
        ("MB/s", 8_000_000),
        ("GB/s", 8_000_000_000),
        ("KiB/s", 8 << 10),
        ("MiB/s", 8 << 20),
        ("GiB/s", 8 << 30),
    ],
};

const SIZE: Kind = Kind {
    noun: "size",
    example: "256 KiB",
    units: &[
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ],
};

const TIME: Kind = Kind {
    noun: "time",
    example: "50 ms",
    // In nanoseconds.
    units: &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ],
};

const SHARE: Kind = Kind {
    noun: "share",
    example: "20 %",
    // In millionths.
    units: &[("%", 10_000)],
};

const FREQUENCY: Kind = Kind {
    noun: "frequency",
    example: "0.1 /s",
    // In thousandths an hour.
    units: &[("/s", 3_600_000), ("/min", 60_000), ("/h", 1_000)],
};

impl Kind {
    fn list(&self) -> String {
        self.units.iter().map(|unit| unit.0).collect::<Vec<_>>().join(", ")
    }

    fn units_help(&self) -> String {
        format!("write it with a unit, as in \"{}\"; the units are {}", self.example, self.list())
    }

    /// The quantity as a fraction of the kind's smallest step: (numerator, denominator).
    fn parse(&self, text: &str) -> Result<(u128, u128), UnitError> {
        let shown = shorten(text);
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = (&trimmed[..end], trimmed[end..].trim_start());
        if trimmed == "unlimited" {
            return Err(UnitError::new(format!("this {} cannot be unlimited", self.noun), self.units_help()));
        }
        if trimmed.starts_with('-') {
            let message = format!("a {} is never negative: \"{shown}\"", self.noun);
            return Err(UnitError::new(message, self.units_help()));
        }
        let (digits, scale) = decimal(number)
            .ok_or_else(|| UnitError::new(format!("\"{shown}\" is no {}", self.noun), self.units_help()))?;
        if unit.is_empty() {
            return Err(self.bare(&shown));
        }
        let factor = self.units.iter().find(|known| known.0 == unit).ok_or_else(|| {
            let message = format!("\"{}\" is no unit of a {}", shorten(unit), self.noun);
            UnitError::new(message, self.unit_help(number, unit))
        })?;
        Ok((digits * u128::from(factor.1), scale))
    }

    fn bare(&self, number: &str) -> UnitError {
        UnitError::new(format!("{number} needs a unit: what {} is it?", self.noun), self.units_help())
    }

    fn unit_help(&self, number: &str, unit: &str) -> String {
        let list = format!("the units are {}", self.list());
        if self.noun == RATE.noun
            && let Some((bits, bytes)) = ambiguous(unit)
        {
            let bits = format!("\"{number} {bits}\" for bits");
            return format!("write {bits} or \"{number} {bytes}\" for bytes; {list}");
        }
        let lower = unit.to_lowercase();
        let same = self.units.iter().find(|known| known.0.to_lowercase() == lower);
        let alias = ALIASES
            .iter()
            .filter(|alias| alias.0 == lower)
            .find_map(|alias| self.units.iter().find(|known| known.0 == alias.1));
        let meant = same.or(alias).map(|known| known.0);
        match meant {
            Some(meant) => format!("did you mean \"{number} {meant}\"? {list}"),
            None => list,
        }
    }

    fn out_of_range(&self, text: &str, range: &str) -> UnitError {
        let message = format!("\"{}\" is out of range for a {}", shorten(text), self.noun);
        UnitError::new(message, format!("it may be {range}"))
    }
}

/// What people write for a unit; the left side in lower case.
const ALIASES: &[(&str, &str)] = &[
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("m", "min"),
    ("mins", "min"),
    ("minute", "min"),
    ("minutes", "min"),
    ("hour", "h"),
    ("hours", "h"),
    ("hr", "h"),
    ("day", "d"),
    ("days", "d"),
    ("µs", "us"),
    ("μs", "us"),
    ("msec", "ms"),
    ("k", "KiB"),
    ("m", "MiB"),
    ("g", "GiB"),
    ("byte", "B"),
    ("bytes", "B"),
    ("percent", "%"),
    ("hz", "/s"),
    ("per second", "/s"),
    ("1/s", "/s"),
    ("/sec", "/s"),
    ("/second", "/s"),
    ("/m", "/min"),
    ("/minute", "/min"),
    ("/hour", "/h"),
];

/// For a unit that does not say whether it counts bits or bytes: what it may be.
fn ambiguous(unit: &str) -> Option<(&'static str, &'static str)> {
    let lower = unit.to_lowercase();
    let stem =
        lower.trim_end_matches("/s").trim_end_matches("ps").trim_end_matches("it").trim_end_matches('b');
    if RATE.units.iter().any(|known| known.0.to_lowercase() == lower && !lower.ends_with("b/s")) {
        return None;
    }
    match stem {
        "" if lower.contains('b') => Some(("bit/s", "B/s")),
        "k" => Some(("kbit/s", "kB/s")),
        "m" => Some(("Mbit/s", "MB/s")),
        "g" => Some(("Gbit/s", "GB/s")),
        _ => None,
    }
}

/// `digits / 10^k` for at most 18 digits with at most one point between them, as (digits, 10^k).
fn decimal(text: &str) -> Option<(u128, u128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let good = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !good(whole) || !good(fraction) || whole.len() + fraction.len() > 18 {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, 10_u128.pow(fraction.len() as u32)))
}

/// The text as an error may show it: on one line and short.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}

/// A rate in bytes a second: at least 1, at most 10¹² (8 Tbit/s), rounded to the nearest byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// The highest rate.
    pub const MAX: u64 = 1_000_000_000_000;

    /// Bytes a second.
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (bits, scale) = RATE.parse(text)?;
        let bytes = (bits + 4 * scale) / (8 * scale);
        if bytes == 0 || bytes > u128::from(Self::MAX) {
            return Err(RATE.out_of_range(text, "from 1 B/s to 8000 Gbit/s"));
        }
        Ok(Self(bytes as u64))
    }
}

/// A size in bytes: a whole number of them, at most 1024 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// The largest size.
    pub const MAX: u64 = 1 << 50;

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (bytes, scale) = SIZE.parse(text)?;
        if bytes % scale != 0 {
            let message = format!("\"{}\" is no whole number of bytes", shorten(text));
            return Err(UnitError::new(message, "write a size that is".into()));
        }
        if bytes / scale > u128::from(Self::MAX) {
            return Err(SIZE.out_of_range(text, "at most 1024 TiB"));
        }
        Ok(Self((bytes / scale) as u64))
    }
}

/// A time, in steps of a nanosecond, at most 3650 days: a sum of many fits the simulator's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The longest time: 3650 days.
    pub const MAX: Duration = Duration::from_secs(3650 * 86_400);

    /// The time as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Time {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (nanos, scale) = TIME.parse(text)?;
        if nanos % scale != 0 {
            let message = format!("\"{}\" is finer than a nanosecond", shorten(text));
            return Err(UnitError::new(message, "the simulator's clock counts nanoseconds".into()));
        }
        if nanos / scale > Self::MAX.as_nanos() {
            return Err(TIME.out_of_range(text, "at most 3650 d"));
        }
        Ok(Self(Duration::from_nanos((nanos / scale) as u64)))
    }
}

/// A share from 0 to 1, written `"20 %"` or `0.2`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// From 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }

    fn from_number(number: f64) -> Result<Self, UnitError> {
        if (0.0..=1.0).contains(&number) {
            return Ok(Self(number));
        }
        let mut help = "a share is from \"0 %\" to \"100 %\", or a number from 0 to 1".to_owned();
        if (1.0..=100.0).contains(&number) {
            help = format!("did you mean \"{number} %\"? {help}");
        }
        Err(UnitError::new(format!("{number} is no share"), help))
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        // A `--set reachable=0.5` without quotes arrives as a number, in quotes as a text: both are plain.
        if let Some((digits, scale)) = decimal(text.trim()) {
            return Self::from_number(digits as f64 / scale as f64);
        }
        let (millionths, scale) = SHARE.parse(text)?;
        if millionths > 1_000_000 * scale {
            return Err(SHARE.out_of_range(text, "from \"0 %\" to \"100 %\""));
        }
        Ok(Self(millionths as f64 / (scale as f64 * 1e6)))
    }
}

/// How often something happens, per second; at most 10⁶.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Frequency(f64);

impl Frequency {
    /// Per second.
    pub const fn per_second(self) -> f64 {
        self.0
    }
}

impl FromStr for Frequency {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (steps, scale) = FREQUENCY.parse(text)?;
        let per_second = steps as f64 / (scale as f64 * 3.6e6);
        if per_second > 1e6 {
            return Err(FREQUENCY.out_of_range(text, "at most 1000000 /s"));
        }
        Ok(Self(per_second))
    }
}

/// Reads a value from TOML: a string with a unit; a bare number gets told which units exist. The error's text
/// is the message, a line feed, the help (see `super::error`).
macro_rules! deserialize_with_unit {
    ($type:ident, $kind:ident, $number:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct V;
                impl Visitor<'_> for V {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a {} such as \"{}\"", $kind.noun, $kind.example)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(custom)
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        #[allow(clippy::redundant_closure_call)]
                        ($number)(number as f64, number.to_string()).map_err(custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        #[allow(clippy::redundant_closure_call)]
                        ($number)(number as f64, number.to_string()).map_err(custom)
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        #[allow(clippy::redundant_closure_call)]
                        ($number)(number, number.to_string()).map_err(custom)
                    }
                }
                deserializer.deserialize_any(V)
            }
        }
    };
}

deserialize_with_unit!(Rate, RATE, |_, text: String| Err(RATE.bare(&text)));
deserialize_with_unit!(Size, SIZE, |_, text: String| Err(SIZE.bare(&text)));
deserialize_with_unit!(Time, TIME, |_, text: String| Err(TIME.bare(&text)));
deserialize_with_unit!(Share, SHARE, |number, _| Share::from_number(number));
deserialize_with_unit!(Frequency, FREQUENCY, |_, text: String| Err(FREQUENCY.bare(&text)));

fn custom<E: de::Error>(error: UnitError) -> E {
    E::custom(format_args!("{}\n{}", error.message, error.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_value() {
        let rates = [
            ("8 bit/s", 1),
            ("12 bit/s", 2),
            ("1 kbit/s", 125),
            ("10 Mbit/s", 1_250_000),
            ("1 Gbit/s", 125_000_000),
            ("1 B/s", 1),
            ("2 kB/s", 2_000),
            ("2 MB/s", 2_000_000),
            ("2.5GB/s", 2_500_000_000),
            ("1 KiB/s", 1_024),
            ("1.5 MiB/s", 1_572_864),
            ("1 GiB/s", 1 << 30),
            ("8000 Gbit/s", Rate::MAX),
        ];
        for (text, bytes) in rates {
            assert_eq!(text.parse::<Rate>().map(Rate::bytes_per_second), Ok(bytes), "{text}");
        }
        let sizes = [
            ("0 B", 0),
            ("3 kB", 3_000),
            ("1 MB", 1_000_000),
            ("1 GB", 1_000_000_000),
            ("1 TB", 1_000_000_000_000),
            ("256 KiB", 262_144),
            ("0.5 MiB", 524_288),
            ("1 GiB", 1 << 30),
            ("1024 TiB", Size::MAX),
        ];
        for (text, bytes) in sizes {
            assert_eq!(text.parse::<Size>().map(Size::bytes), Ok(bytes), "{text}");
        }
        let times = [
            ("0 s", 0),
            ("7 ns", 7),
            ("3 us", 3_000),
            ("50 ms", 50_000_000),
            ("1.5 s", 1_500_000_000),
            ("2 min", 120_000_000_000),
            ("1 h", 3_600_000_000_000),
            ("1 d", 86_400_000_000_000),
        ];
        for (text, nanos) in times {
            assert_eq!(text.parse::<Time>().map(Time::duration), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        assert_eq!("20 %".parse::<Share>().unwrap().get(), 0.2);
        assert_eq!("0.25".parse::<Share>().unwrap().get(), 0.25);
        assert_eq!("100%".parse::<Share>().unwrap().get(), 1.0);
        assert_eq!("0.1 /s".parse::<Frequency>().unwrap().per_second(), 0.1);
        assert_eq!("6 /min".parse::<Frequency>().unwrap().per_second(), 0.1);
        assert_eq!("9 /h".parse::<Frequency>().unwrap().per_second(), 0.0025);
    }

    fn refused<T: FromStr<Err = UnitError> + fmt::Debug>(text: &str) -> (String, String) {
        let error = text.parse::<T>().unwrap_err();
        (error.to_string(), error.help().to_owned())
    }

    #[test]
    fn bits_and_bytes_are_never_guessed() {
        for unit in ["Mb/s", "Mbps", "mb/s", "mbps", "MBps", "mbit/s", "M"] {
            let (message, help) = refused::<Rate>(&format!("10 {unit}"));
            assert_eq!(message, format!("\"{unit}\" is no unit of a rate"));
            assert!(help.contains("Mbit/s"), "{unit}: {help}");
        }
        let (_, help) = refused::<Rate>("10 Mb/s");
        assert!(
            help.starts_with("write \"10 Mbit/s\" for bits or \"10 MB/s\" for bytes; the units are bit/s")
        );
    }

    #[test]
    fn refusals_say_what_to_write() {
        let (message, help) = refused::<Rate>("10");
        assert_eq!(message, "10 needs a unit: what rate is it?");
        assert!(help.starts_with("write it with a unit, as in \"10 Mbit/s\"; the units are bit/s, kbit/s,"));
        assert_eq!(
            refused::<Time>("5 sec").1,
            "did you mean \"5 s\"? the units are ns, us, ms, s, min, h, d"
        );
        assert_eq!(refused::<Time>("5 S").1, "did you mean \"5 s\"? the units are ns, us, ms, s, min, h, d");
        assert!(refused::<Time>("5 m").1.starts_with("did you mean \"5 min\"?"));
        assert!(refused::<Size>("5 kib").1.starts_with("did you mean \"5 KiB\"?"));
        assert_eq!(refused::<Size>("0.1 KiB").0, "\"0.1 KiB\" is no whole number of bytes");
        assert_eq!(refused::<Size>("-1 B").0, "a size is never negative: \"-1 B\"");
        assert_eq!(refused::<Time>("0.1 ns").0, "\"0.1 ns\" is finer than a nanosecond");
        assert_eq!(refused::<Time>("fast").0, "\"fast\" is no time");
        assert_eq!(refused::<Rate>("0 B/s").0, "\"0 B/s\" is out of range for a rate");
        assert_eq!(refused::<Time>("3651 d").0, "\"3651 d\" is out of range for a time");
        assert_eq!(refused::<Share>("101 %").0, "\"101 %\" is out of range for a share");
        assert!(refused::<Share>("20").1.starts_with("did you mean \"20 %\"?"));
        assert_eq!(refused::<Frequency>("2 Hz").1, "did you mean \"2 /s\"? the units are /s, /min, /h");
        assert_eq!(refused::<Size>("1.2.3 B").0, "\"1.2.3 B\" is no size");
        assert_eq!(refused::<Size>("9999999999999999999 B").0, "\"9999999999999999999 B\" is no size");
    }
}
