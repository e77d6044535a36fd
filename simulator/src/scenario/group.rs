//! One group of peers, from `[groups.NAME]` to [`spec::Group`].

use std::time::Duration;

use toml::Spanned;

use super::defaults;
use super::error::{Problem, choices};
use super::raw::{self, Role};
use super::resolve::{Context, Entries, duration, positive, span_of};
use super::units::{Frequency, Share, Time};
use crate::spec::{self, Arrival, Leave, Pipeline};

/// The group at `index`; `time_limit` is the end of the run, which no arrival may lie behind.
pub(super) fn resolve(
    entries: &Entries,
    index: usize,
    time_limit: Duration,
    context: &mut Context<'_>,
) -> Result<spec::Group, Problem> {
    let (name, table) = &entries[index];
    let raw = table.get_ref();
    let seed = raw.role.unwrap_or(Role::Leecher) == Role::Seed;
    let (arrival, count) = arrival(entries, index, time_limit, context)?;
    let registry = context.registry;
    let named = |given: &Option<Spanned<String>>, default: &str| {
        given.clone().unwrap_or_else(|| Spanned::new(name.span(), default.to_owned()))
    };
    Ok(spec::Group {
        name: name.get_ref().clone(),
        count,
        seed,
        up: raw.up.bytes_per_second(),
        down: raw.down.and_then(|limit| limit.0).map(|rate| rate.bytes_per_second()),
        latency: raw.latency.as_ref().map_or(Duration::ZERO, |time| time.get_ref().duration()),
        choker: registry.find_choker(&named(&raw.choker, defaults::CHOKER))?,
        seed_choker: registry.find_choker(&named(&raw.seed_choker, defaults::SEED_CHOKER))?,
        picker: registry.find_picker(&named(&raw.picker, defaults::PICKER))?,
        slots: raw.slots.map_or(defaults::SLOTS, |count| count.0),
        connections: raw.connections.as_ref().map_or(defaults::CONNECTIONS, |count| count.get_ref().0),
        reachable: raw.reachable.map_or(1.0, Share::get),
        start_with: start_with(raw, seed)?,
        pipeline: raw.pipeline.and_then(|depth| depth.0).map_or(Pipeline::Adaptive, Pipeline::Fixed),
        fast: raw.fast.unwrap_or(true),
        allowed_fast: allowed_fast(raw)?,
        extended: raw.extended.unwrap_or(true),
        pex: pex(raw)?,
        arrival,
        leave: leave(raw, seed)?,
        abort_rate: raw.abort_rate.map_or(0.0, Frequency::per_second),
        behaviour: match raw.behaviour.unwrap_or(raw::Behaviour::Honest) {
            raw::Behaviour::Honest => spec::Behaviour::Honest,
            raw::Behaviour::Polluter => spec::Behaviour::Polluter,
            raw::Behaviour::Liar => spec::Behaviour::Liar,
            raw::Behaviour::Staller => spec::Behaviour::Staller,
        },
    })
}

/// The most pieces that a newcomer may have while it is choked: as many as the engine remembers of a remote.
const MAX_ALLOWED_FAST: u32 = 64;

fn allowed_fast(raw: &raw::Group) -> Result<u32, Problem> {
    let Some(pieces) = &raw.allowed_fast else { return Ok(0) };
    if *pieces.get_ref() > MAX_ALLOWED_FAST {
        let what =
            format!("{} is more than the {MAX_ALLOWED_FAST} pieces that may be allowed", pieces.get_ref());
        return Err(Problem::at(pieces.span(), what));
    }
    if *pieces.get_ref() > 0 && raw.fast == Some(false) {
        return Err(Problem::at(pieces.span(), "who does not speak the fast extension allows nothing")
            .help("leave `allowed-fast` or `fast` out"));
    }
    Ok(*pieces.get_ref())
}

fn pex(raw: &raw::Group) -> Result<bool, Problem> {
    let Some(pex) = &raw.pex else { return Ok(false) };
    if *pex.get_ref() && raw.extended == Some(false) {
        return Err(Problem::at(pex.span(), "peers are exchanged by the extension protocol alone")
            .help("leave `pex` or `extended` out"));
    }
    Ok(*pex.get_ref())
}

fn start_with(raw: &raw::Group, seed: bool) -> Result<f64, Problem> {
    let Some(share) = &raw.start_with else { return Ok(0.0) };
    if seed {
        return Err(Problem::at(share.span(), "a seed begins with everything")
            .help("leave `start-with` out, or make the group leechers"));
    }
    if share.get_ref().get() >= 1.0 {
        return Err(Problem::at(share.span(), "a leecher that begins with everything is a seed")
            .help("write `role = \"seed\"`, or a share below 100 %"));
    }
    Ok(share.get_ref().get())
}

fn leave(raw: &raw::Group, seed: bool) -> Result<Leave, Problem> {
    let Some(leave) = &raw.leave else { return Ok(Leave::Never) };
    Ok(match leave.get_ref() {
        raw::Leave::Never => Leave::Never,
        raw::Leave::OnCompletion if seed => {
            return Err(Problem::at(
                leave.span(),
                "a seed is complete when it arrives: it would leave at once",
            )
            .help("write { after = \"…\" } or \"never\""));
        }
        raw::Leave::OnCompletion => Leave::OnCompletion,
        raw::Leave::After(time) => Leave::After(time.duration()),
        raw::Leave::AfterExponential(mean) => {
            Leave::AfterExponential(positive(Some(mean), Duration::ZERO, "after-exponential")?)
        }
        raw::Leave::AtRatio(ratio) => {
            let value = *ratio.get_ref();
            if !(value > 0.0 && value <= 1e6) {
                return Err(Problem::at(ratio.span(), format!("{value} is no share ratio"))
                    .help("write a number above 0, such as 1.0: payload sent over content size"));
            }
            Leave::AtRatio(value)
        }
    })
}

/// When the group's peers come, and how many they are: a trace may say the latter.
fn arrival(
    entries: &Entries,
    index: usize,
    time_limit: Duration,
    context: &mut Context<'_>,
) -> Result<(Arrival, u32), Problem> {
    let raw = entries[index].1.get_ref();
    let count = raw.count.as_ref().map_or(1, |count| count.get_ref().0);
    let in_time = |time: &Spanned<Time>| {
        if time.get_ref().duration() > time_limit {
            return Err(Problem::at(time.span(), format!("the run ends before that, at {time_limit:?}"))
                .help("raise `time-limit`, or let them come earlier"));
        }
        Ok(time.get_ref().duration())
    };
    let from = |time: &Option<Spanned<Time>>| time.as_ref().map_or(Ok(Duration::ZERO), in_time);
    // The tracker must know the seeds when the first leecher asks.
    let seed = raw.role == Some(Role::Seed);
    let at_once = Arrival::At(if seed { Duration::ZERO } else { crate::spec::Group::LEECHERS_COME });
    let Some(written) = &raw.arrival else { return Ok((at_once, count)) };
    let arrival = match written.get_ref() {
        raw::Arrival::AtOnce => at_once,
        raw::Arrival::At(time) => Arrival::At(in_time(time)?),
        raw::Arrival::Evenly(evenly) => {
            let (from, to) = (duration(evenly.from), in_time(&evenly.to)?);
            if from > to {
                return Err(Problem::at(evenly.to.span(), "the arrivals end before they begin")
                    .help("`from` is at most `to`"));
            }
            Arrival::Evenly { from, to }
        }
        raw::Arrival::Poisson(poisson) => {
            let rate = poisson.rate.get_ref().per_second();
            if rate <= 0.0 {
                return Err(Problem::at(poisson.rate.span(), "at a rate of zero nobody ever comes"));
            }
            Arrival::Poisson { from: from(&poisson.from)?, rate }
        }
        raw::Arrival::FlashCrowd(crowd) => Arrival::FlashCrowd {
            from: from(&crowd.from)?,
            decay: positive(Some(&crowd.decay), Duration::ZERO, "decay")?,
        },
        raw::Arrival::Trace(name) => return trace(name, raw, time_limit, context),
        raw::Arrival::After(after) => {
            Arrival::After { group: waited_for(&after.group, entries)?, delay: duration(after.delay) }
        }
    };
    Ok((arrival, count))
}

fn waited_for(name: &Spanned<String>, entries: &Entries) -> Result<usize, Problem> {
    let names: Vec<&String> = entries.iter().map(|(name, _)| name.get_ref()).collect();
    let Some(group) = names.iter().position(|known| *known == name.get_ref()) else {
        return Err(Problem::at(name.span(), format!("there is no group `{}`", name.get_ref()))
            .help(choices(name.get_ref(), &names, "groups")));
    };
    if entries[group].1.get_ref().role == Some(Role::Seed) {
        return Err(Problem::at(name.span(), format!("`{}` is a seed: it never completes", name.get_ref()))
            .help("wait for a group of leechers, or arrive { at = \"…\" }"));
    }
    Ok(group)
}

fn trace(
    name: &Spanned<String>,
    raw: &raw::Group,
    time_limit: Duration,
    context: &mut Context<'_>,
) -> Result<(Arrival, u32), Problem> {
    let count = raw.count.as_ref().map(|count| count.get_ref().0 as usize);
    let times = context.files.trace(name.get_ref(), count).map_err(|message| {
        Problem::at(name.span(), message).help(
            "a trace has a time on each line, in seconds or with a unit; its path counts from the scenario's \
             folder",
        )
    })?;
    if let Some(count) = count.filter(|count| *count > times.len()) {
        let span = span_of(raw.count.as_ref()).unwrap_or(name.span());
        let message = format!("{count} peers, but the trace has {} arrivals", times.len());
        return Err(Problem::at(span, message)
            .and(name.span(), "the trace")
            .help("leave `count` out to take all of them; a smaller count takes the first"));
    }
    if let Some(late) = times.last().filter(|time| **time > time_limit) {
        return Err(Problem::at(
            name.span(),
            format!("the run ends at {time_limit:?}, before the arrival at {late:?}"),
        )
        .help("raise `time-limit`"));
    }
    // A trace has at most as many arrivals as a run may have peers.
    let count = times.len() as u32;
    Ok((Arrival::Trace(times), count))
}
