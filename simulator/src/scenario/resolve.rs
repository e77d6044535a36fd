//! From one point as it is written to the [`Spec`] that the simulator reads: defaults filled in, units resolved,
//! files read, and everything checked that takes more than one value to check. What passes here can be run.

use std::ops::Range;
use std::time::Duration;

use engine::layout::{BLOCK, Layout};
use toml::Spanned;

use super::error::{Problem, choices};
use super::fault;
use super::files::{Files, MIN_ONE_WAY};
use super::group;
use super::raw;
use super::registry::Registry;
use super::units::{Size, Time};
use super::{defaults, planetlab};
use crate::spec::{self, Latency, Spec, Transport};

/// The most peers of a run.
pub const MAX_PEERS: u64 = 2_000_000;
/// The most samples of a run.
const MAX_SAMPLES: u128 = 1_000_000;
/// The names of the shipped latency distributions.
const DISTRIBUTIONS: &[&str] = &["planetlab"];

/// What resolving needs besides the text.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub files: &'a mut Files,
    pub registry: &'a Registry,
}

/// The run that `file` describes.
pub(super) fn resolve(file: &raw::File, context: &mut Context<'_>) -> Result<Spec, Problem> {
    let (content, piece_length) = content(&file.content)?;
    let time_limit = positive(file.time_limit.as_ref(), defaults::TIME_LIMIT, "time-limit")?;
    let sample_every = positive(file.sample_every.as_ref(), defaults::SAMPLE_EVERY, "sample-every")?;
    if time_limit.as_nanos() / sample_every.as_nanos() > MAX_SAMPLES {
        let span = span_of(file.sample_every.as_ref()).or_else(|| span_of(file.time_limit.as_ref()));
        let message = format!("a run would have more than {MAX_SAMPLES} samples");
        return Err(somewhere(span, message).help("raise `sample-every` or lower `time-limit`"));
    }
    let network = network(file.network.as_ref().unwrap_or(&raw::Network::default()), context.files)?;
    let tracker = tracker(file.tracker.as_ref().unwrap_or(&raw::Tracker::default()))?;
    let entries = &file.groups.get_ref().0;
    check_names(entries, file.groups.span())?;
    let mut groups = Vec::with_capacity(entries.len());
    for index in 0..entries.len() {
        groups.push(group::resolve(entries, index, time_limit, context)?);
    }
    check_population(entries, &groups, file.groups.span())?;
    check_delay(file, &network.latency, entries, &groups)?;
    let until = match file.until.unwrap_or(raw::Until::AllComplete) {
        raw::Until::AllComplete => spec::Until::AllComplete,
        raw::Until::TimeLimit => spec::Until::TimeLimit,
    };
    let faults = match &file.faults {
        Some(faults) => fault::resolve(&faults.0, &groups, time_limit)?,
        None => Vec::new(),
    };
    Ok(Spec { content, piece_length, time_limit, sample_every, until, network, tracker, groups, faults })
}

fn content(raw: &raw::Content) -> Result<(u64, u32), Problem> {
    let size = raw.size.get_ref().bytes();
    let piece = raw.piece.as_ref().map_or(defaults::PIECE, |piece| piece.get_ref().bytes());
    let piece_span = span_of(raw.piece.as_ref()).unwrap_or(raw.size.span());
    if piece == 0 || !piece.is_multiple_of(u64::from(BLOCK)) {
        return Err(Problem::at(piece_span, "a piece must be a multiple of 16 KiB").help(
            "blocks have 16 KiB, and no piece may end inside one; usual pieces have 256 KiB to 4 MiB",
        ));
    }
    let layout = Layout::new(size, piece).map_err(|error| {
        let span = if size == 0 { raw.size.span() } else { piece_span };
        Problem::at(span, error.to_string())
    })?;
    Ok((layout.total(), layout.piece_length()))
}

fn network(raw: &raw::Network, files: &mut Files) -> Result<spec::Network, Problem> {
    let latency = match &raw.latency {
        Some(latency) => self::latency(latency, files)?,
        None => Latency::Constant(defaults::LATENCY),
    };
    let mss = within(raw.mss.as_ref(), defaults::MSS, 64..=65_495, "from 64 B to 65495 B")?;
    let range = mss..=1 << 30;
    let window = within(raw.window.as_ref(), defaults::WINDOW, range, "from one segment (`mss`) to 1 GiB")?;
    let loss = raw.loss.as_ref().map_or(0.0, |loss| loss.get_ref().get());
    if loss > 0.5 {
        return Err(somewhere(span_of(raw.loss.as_ref()), "a loss of more than 50 %")
            .help("the formula for TCP's rate under loss does not hold there"));
    }
    let transport = match raw.transport.unwrap_or(raw::Transport::Tcp) {
        raw::Transport::Tcp => Transport::Tcp { window, mss, loss },
        raw::Transport::Ideal => Transport::Ideal,
    };
    let hash_rate = match raw.hash_rate {
        Some(limit) => limit.0.map(|rate| rate.bytes_per_second()),
        None => Some(defaults::HASH_RATE),
    };
    Ok(spec::Network { latency, jitter: duration(raw.jitter), transport, hash_rate })
}

fn latency(raw: &Spanned<raw::Latency>, files: &mut Files) -> Result<Latency, Problem> {
    let at = |message: String| Problem::at(raw.span(), message);
    match raw.get_ref() {
        raw::Latency::Text(text) if text == "planetlab" => {
            Ok(Latency::Quantiles(planetlab::ONE_WAY_MICROS.map(Duration::from_micros).into()))
        }
        raw::Latency::Text(text) if text.starts_with(|c: char| c.is_alphabetic()) => Err(at(format!(
            "there is no latency distribution `{text}`"
        ))
        .help(choices(text, DISTRIBUTIONS, "distributions"))),
        raw::Latency::Text(text) => match text.parse::<Time>() {
            Ok(time) => Ok(Latency::Constant(time.duration())),
            Err(error) => Err(at(error.to_string()).help(error.help())),
        },
        raw::Latency::Table(raw::LatencyTable { from: Some(from), to: Some(to), matrix: None }) => {
            if from > to {
                return Err(at("the range ends before it begins".to_owned()).help("`from` is at most `to`"));
            }
            Ok(Latency::Uniform(from.duration(), to.duration()))
        }
        raw::Latency::Table(raw::LatencyTable { from: None, to: None, matrix: Some(name) }) => {
            let matrix = files.matrix(name.get_ref()).map_err(|message| {
                Problem::at(name.span(), message).help(
                    "a matrix of round-trip times has a line for each row, in milliseconds, separated by \
                     commas; its path counts from the scenario's folder",
                )
            })?;
            Ok(Latency::Matrix { n: matrix.rows, delays: matrix.delays })
        }
        raw::Latency::Table(_) => {
            Err(at("either both `from` and `to` belong here, or `matrix` alone".to_owned()))
        }
    }
}

fn tracker(raw: &raw::Tracker) -> Result<spec::Tracker, Problem> {
    let interval = positive(raw.interval.as_ref(), defaults::INTERVAL, "interval")?;
    let shortest = defaults::MIN_INTERVAL.min(interval);
    let min_interval = positive(raw.min_interval.as_ref(), shortest, "min-interval")?;
    if min_interval > interval {
        return Err(somewhere(span_of(raw.min_interval.as_ref()), "the least interval exceeds the interval")
            .help("`min-interval` is at most `interval`"));
    }
    let latency = raw.latency.as_ref().map_or(defaults::TRACKER_LATENCY, |time| time.get_ref().duration());
    if latency < MIN_ONE_WAY {
        return Err(too_near(span_of(raw.latency.as_ref()), "a peer and the tracker", latency));
    }
    let returns = match raw.returns.unwrap_or(raw::Returns::All) {
        raw::Returns::All => spec::Returns::All,
        raw::Returns::Seeds => spec::Returns::Seeds,
    };
    let max_peers = raw.max_peers.map_or(defaults::MAX_PEERS, |count| count.0);
    Ok(spec::Tracker { interval, min_interval, max_peers, returns, latency })
}

/// Groups as they are written.
pub(super) type Entries = [(Spanned<String>, Spanned<raw::Group>)];

fn check_names(entries: &Entries, all: Range<usize>) -> Result<(), Problem> {
    if entries.is_empty() {
        return Err(Problem::at(all, "there is no group").help("add a table [groups.NAME] with `up = …`"));
    }
    entries.iter().try_for_each(|(name, _)| check_name(name, "a group"))
}

/// What may be called so.
pub(super) fn check_name(name: &Spanned<String>, what: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if !(1..=40).contains(&name.get_ref().chars().count()) || !name.get_ref().chars().all(plain) {
        return Err(Problem::at(name.span(), format!("this is no name for {what}"))
            .help("a name has 1 to 40 letters, digits, `-` and `_`"));
    }
    Ok(())
}

fn check_population(entries: &Entries, groups: &[spec::Group], all: Range<usize>) -> Result<(), Problem> {
    let peers: u64 = groups.iter().map(|group| u64::from(group.count)).sum();
    if peers > MAX_PEERS {
        let largest = (0..groups.len()).max_by_key(|index| groups[*index].count).unwrap_or(0);
        let span = span_of(entries[largest].1.get_ref().count.as_ref()).unwrap_or(entries[largest].0.span());
        let message = format!("{peers} peers in all are more than the {MAX_PEERS} that are allowed");
        let key = format!("groups.{}.count", groups[largest].name);
        return Err(Problem::at(span, message).help(format!("lower `{key}`, the largest")));
    }
    if groups.iter().all(|group| group.seed) {
        return Err(Problem::at(all, "nobody downloads: every group is a seed")
            .help("give one group `role = \"leecher\"`"));
    }
    let copies: f64 = groups.iter().map(|group| f64::from(group.count) * group.start_with).sum();
    if groups.iter().all(|group| !group.seed) && copies < 1.0 {
        return Err(Problem::at(all, "nobody has the content: no group is a seed").help(
            "give one group `role = \"seed\"`, or let leechers begin with at least one copy among them \
             (`start-with`)",
        ));
    }
    check_cycles(entries, groups)
}

/// A group that waits for another must not be waited for by it.
fn check_cycles(entries: &Entries, groups: &[spec::Group]) -> Result<(), Problem> {
    for start in 0..groups.len() {
        let mut at = start;
        for _ in 0..groups.len() {
            let spec::Arrival::After { group, .. } = groups[at].arrival else { break };
            at = group;
            if at == start {
                let span = span_of(entries[start].1.get_ref().arrival.as_ref());
                let name = &groups[start].name;
                return Err(somewhere(span, format!("group `{name}` waits for itself to complete"))
                    .help("`after` must lead to a group that arrives at a time of its own"));
            }
        }
    }
    Ok(())
}

/// Any two hosts must be apart, or the order of events would be open.
fn check_delay(
    file: &raw::File,
    latency: &Latency,
    entries: &Entries,
    groups: &[spec::Group],
) -> Result<(), Problem> {
    let least = match latency {
        Latency::Constant(time) | Latency::Uniform(time, _) => *time,
        Latency::Quantiles(times) => times.first().copied().unwrap_or_default(),
        Latency::Matrix { delays, .. } => delays.iter().min().copied().unwrap_or_default(),
    };
    // The two nearest hosts: both of one group, if it has two.
    let mut halves: Vec<(Duration, usize)> = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| vec![(group.latency, index); group.count.min(2) as usize])
        .collect();
    halves.sort_unstable();
    halves.truncate(2);
    let total = halves.iter().fold(least, |sum, (half, _)| sum.saturating_add(*half));
    if total >= MIN_ONE_WAY {
        return Ok(());
    }
    let of_group = halves.iter().find_map(|(_, index)| span_of(entries[*index].1.get_ref().latency.as_ref()));
    let of_network = file.network.as_ref().and_then(|network| span_of(network.latency.as_ref()));
    Err(too_near(of_network.or(of_group), "two peers", total))
}

fn too_near(span: Option<Range<usize>>, what: &str, delay: Duration) -> Problem {
    let message = format!("{what} would be {delay:?} apart");
    somewhere(span, message).help(
        "one way must take at least 1 ms in total (the network's latency and both groups'): the order of \
         events, and with it the repeatability of a run, hangs on that",
    )
}

/// A time above zero.
pub(super) fn positive(
    time: Option<&Spanned<Time>>,
    default: Duration,
    key: &str,
) -> Result<Duration, Problem> {
    match time {
        None => Ok(default),
        Some(time) if time.get_ref().duration().is_zero() => {
            Err(Problem::at(time.span(), format!("`{key}` must be longer than zero")))
        }
        Some(time) => Ok(time.get_ref().duration()),
    }
}

fn within(
    size: Option<&Spanned<Size>>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
    words: &str,
) -> Result<u32, Problem> {
    let Some(size) = size else { return Ok(default.max(*range.start())) };
    u32::try_from(size.get_ref().bytes()).ok().filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        let message = format!("{} bytes are out of range", size.get_ref().bytes());
        Problem::at(size.span(), message).help(format!("it may be {words}"))
    })
}

/// The time, or none at all.
pub(super) fn duration(time: Option<Time>) -> Duration {
    time.map_or(Duration::ZERO, Time::duration)
}

/// Where an optional value is.
pub(super) fn span_of<T>(value: Option<&Spanned<T>>) -> Option<Range<usize>> {
    value.map(Spanned::span)
}

fn somewhere(span: Option<Range<usize>>, message: impl Into<String>) -> Problem {
    match span {
        Some(span) => Problem::at(span, message),
        None => Problem::general(message),
    }
}
