//! A scenario file as it is written: typed, with the place of everything that is checked later, and nothing
//! filled in. Unknown keys are refused. No `flatten` and no internal tags, which would lose the places.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use toml::Spanned;

use super::units::{Frequency, Rate, Share, Size, Time};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a scenario")]
pub(super) struct File {
    pub seed: Option<u64>,
    pub replicates: Option<Spanned<Replicates>>,
    pub time_limit: Option<Spanned<Time>>,
    pub sample_every: Option<Spanned<Time>>,
    pub until: Option<Until>,
    pub charts: Option<Vec<Spanned<Chart>>>,
    pub content: Content,
    pub network: Option<Network>,
    pub tracker: Option<Tracker>,
    pub groups: Spanned<Groups>,
    pub faults: Option<Faults>,
    /// Taken out before: here only so that the key is known.
    #[serde(rename = "sweep")]
    pub _sweep: Option<IgnoredAny>,
    /// Taken out before.
    #[serde(rename = "variants")]
    pub _variants: Option<IgnoredAny>,
}

/// `until`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    AllComplete,
    TimeLimit,
}

/// `[content]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Content {
    pub size: Spanned<Size>,
    pub piece: Option<Spanned<Size>>,
}

/// `[network]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Network {
    pub latency: Option<Spanned<Latency>>,
    pub jitter: Option<Time>,
    pub transport: Option<Transport>,
    pub window: Option<Spanned<Size>>,
    pub mss: Option<Spanned<Size>>,
    pub loss: Option<Spanned<Share>>,
    pub hash_rate: Option<Limit>,
}

/// `network.transport`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Transport {
    Tcp,
    Ideal,
}

/// `network.latency`: a time or the name of a distribution, or a table.
#[derive(Debug)]
pub(super) enum Latency {
    Text(String),
    Table(LatencyTable),
}

/// `network.latency` as a table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct LatencyTable {
    pub from: Option<Time>,
    pub to: Option<Time>,
    pub matrix: Option<Spanned<String>>,
}

/// `[tracker]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Tracker {
    pub interval: Option<Spanned<Time>>,
    pub min_interval: Option<Spanned<Time>>,
    pub max_peers: Option<Count>,
    pub returns: Option<Returns>,
    pub latency: Option<Spanned<Time>>,
}

/// `tracker.returns`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Returns {
    All,
    Seeds,
}

/// `[groups.NAME]`, in the order of the file.
#[derive(Debug)]
pub(super) struct Groups(pub Vec<(Spanned<String>, Spanned<Group>)>);

/// One group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Group {
    pub role: Option<Role>,
    pub count: Option<Spanned<Peers>>,
    pub up: Rate,
    pub down: Option<Limit>,
    pub latency: Option<Spanned<Time>>,
    pub choker: Option<Spanned<String>>,
    pub seed_choker: Option<Spanned<String>>,
    pub picker: Option<Spanned<String>>,
    pub slots: Option<Count>,
    pub connections: Option<Spanned<Count>>,
    pub reachable: Option<Share>,
    pub start_with: Option<Spanned<Share>>,
    pub pipeline: Option<Pipeline>,
    pub fast: Option<bool>,
    pub allowed_fast: Option<Spanned<u32>>,
    pub extended: Option<bool>,
    pub pex: Option<Spanned<bool>>,
    pub arrival: Option<Spanned<Arrival>>,
    pub leave: Option<Spanned<Leave>>,
    pub abort_rate: Option<Frequency>,
    pub behaviour: Option<Behaviour>,
}

/// `role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Seed,
    Leecher,
}

/// `arrival`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Arrival {
    AtOnce,
    At(Spanned<Time>),
    Evenly(Evenly),
    Poisson(Poisson),
    FlashCrowd(FlashCrowd),
    Trace(Spanned<String>),
    After(After),
}

/// `arrival = { evenly = … }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Evenly {
    pub from: Option<Time>,
    pub to: Spanned<Time>,
}

/// `arrival = { poisson = … }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Poisson {
    pub rate: Spanned<Frequency>,
    pub from: Option<Spanned<Time>>,
}

/// `arrival = { flash-crowd = … }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct FlashCrowd {
    pub decay: Spanned<Time>,
    pub from: Option<Spanned<Time>>,
}

/// `arrival = { after = … }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct After {
    pub group: Spanned<String>,
    pub delay: Option<Time>,
}

/// `leave`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Leave {
    Never,
    OnCompletion,
    After(Time),
    AfterExponential(Spanned<Time>),
    AtRatio(Spanned<f64>),
}

/// `behaviour`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Behaviour {
    Honest,
    Polluter,
    Liar,
    Staller,
}

/// `[faults.NAME]`, in the order of the file.
#[derive(Debug)]
pub(super) struct Faults(pub Vec<(Spanned<String>, Spanned<Fault>)>);

/// One fault.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Fault {
    pub what: Spanned<What>,
    pub groups: Option<Vec<Spanned<String>>>,
    pub share: Option<Share>,
    pub from: Option<Spanned<Time>>,
    pub to: Option<Spanned<Time>>,
}

/// `what`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    Partition,
    TrackerOutage,
    Delay(Spanned<Time>),
    LostConnections(Spanned<Frequency>),
    DoubleConnections(Share),
    SlowDisk(Spanned<Time>),
    ReadErrors(Share),
    HashFailures(Share),
    Restart(Restart),
}

/// `what = { restart = … }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Restart {
    pub down: Time,
    pub keep: Option<Spanned<Share>>,
    #[serde(default)]
    pub crash: bool,
}

/// An element of `charts`: a name, or `{ speed = { … } }`.
#[derive(Debug)]
pub(super) enum Chart {
    Name(String),
    Table(ChartTable),
}

/// A chart with keys of its own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct ChartTable {
    pub speed: Speed,
}

/// The keys of the chart `speed`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a table")]
pub(super) struct Speed {
    pub x: Option<Spanned<String>>,
    #[serde(default)]
    pub log_x: bool,
    #[serde(default)]
    pub log_y: bool,
    #[serde(default)]
    pub bound: bool,
}

/// A number of things, from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count<const MAX: u32 = { u32::MAX }>(pub u32);

/// The peers of a group.
pub(super) type Peers = Count<{ super::MAX_PEERS as u32 }>;

/// The runs of a point.
pub(super) type Replicates = Count<{ super::MAX_RUNS as u32 }>;

/// A rate, or `"unlimited"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(pub Option<Rate>);

/// `"adaptive"`, or a number of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipeline(pub Option<u32>);

impl<'de, const MAX: u32> Deserialize<'de> for Count<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<const MAX: u32>;
        impl<const MAX: u32> Visitor<'_> for V<MAX> {
            type Value = Count<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count<MAX>, E> {
                let help = format!("write a number from 1 to {MAX}");
                match u32::try_from(number) {
                    Ok(0) => Err(E::custom(format_args!("this must not be zero\n{help}"))),
                    Ok(count) if count <= MAX => Ok(Count(count)),
                    _ if number < 0 => Err(E::custom(format_args!("{number} is no count\n{help}"))),
                    _ => Err(E::custom(format_args!(
                        "{number} is more than the {MAX} that are allowed\n{help}"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as \"10 Mbit/s\", or \"unlimited\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                if text == "unlimited" {
                    return Ok(Limit(None));
                }
                Rate::deserialize(de::value::StrDeserializer::new(text)).map(|rate| Limit(Some(rate)))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit, E> {
                Rate::deserialize(de::value::I64Deserializer::new(number)).map(|rate| Limit(Some(rate)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Limit, E> {
                Rate::deserialize(de::value::F64Deserializer::new(number)).map(|rate| Limit(Some(rate)))
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl<'de> Deserialize<'de> for Pipeline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Pipeline;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"adaptive\" or a number of requests")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Pipeline, E> {
                match text {
                    "adaptive" => Ok(Pipeline(None)),
                    _ => Err(E::unknown_variant(text, &["adaptive"])),
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Pipeline, E> {
                match u32::try_from(number) {
                    Ok(depth @ 1..=10_000) => Ok(Pipeline(Some(depth))),
                    _ => Err(E::custom(format_args!(
                        "{number} outstanding requests are out of range\nwrite \"adaptive\" or a number from 1 to 10000"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// Reads what is a text or a table.
macro_rules! deserialize_text_or_table {
    ($type:ident, $text:ident, $table:ident, $expecting:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct V;
                impl<'de> Visitor<'de> for V {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        Ok($type::$text(text.to_owned()))
                    }
                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$type, A::Error> {
                        $table::deserialize(MapAccessDeserializer::new(map)).map($type::Table)
                    }
                }
                deserializer.deserialize_any(V)
            }
        }
    };
}

deserialize_text_or_table!(
    Latency,
    Text,
    LatencyTable,
    "a time such as \"50 ms\", the name of a distribution, { from = …, to = … } or { matrix = \"FILE\" }"
);
deserialize_text_or_table!(Chart, Name, ChartTable, "the name of a chart, or { speed = { … } }");

/// Reads named tables in the order of the file.
macro_rules! deserialize_named_tables {
    ($type:ident, $expecting:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct V;
                impl<'de> Visitor<'de> for V {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                        let mut tables = Vec::new();
                        while let Some(entry) = map.next_entry::<Spanned<String>, _>()? {
                            tables.push(entry);
                        }
                        // The map is sorted by name; a reader expects the order of the file.
                        tables.sort_by_key(|(name, _)| name.span().start);
                        Ok($type(tables))
                    }
                }
                deserializer.deserialize_any(V)
            }
        }
    };
}

deserialize_named_tables!(Groups, "tables [groups.NAME]");
deserialize_named_tables!(Faults, "tables [faults.NAME]");
