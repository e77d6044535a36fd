//! What goes wrong, from `[faults.NAME]` to [`Fault`].

use std::time::Duration;

use toml::Spanned;

use super::error::{Problem, choices};
use super::raw;
use super::resolve::{check_name, positive};
use super::units::{Share, Time};
use crate::faults::{Fault, What};
use crate::spec::Group;

/// The most faults of a scenario.
const MAX_FAULTS: usize = 64;
/// The most connections that a peer may lose a second.
const MAX_LOST: f64 = 10.0;

/// The faults, in order. One that has no end lasts until the run's, at `time_limit`.
pub(super) fn resolve(
    entries: &[(Spanned<String>, Spanned<raw::Fault>)],
    groups: &[Group],
    time_limit: Duration,
) -> Result<Vec<Fault>, Problem> {
    if let Some((name, _)) = entries.get(MAX_FAULTS) {
        return Err(Problem::at(name.span(), format!("there are more than {MAX_FAULTS} faults"))
            .help("a fault may befall several groups"));
    }
    entries.iter().map(|(name, fault)| one(name, fault.get_ref(), groups, time_limit)).collect()
}

fn one(
    name: &Spanned<String>,
    raw: &raw::Fault,
    groups: &[Group],
    time_limit: Duration,
) -> Result<Fault, Problem> {
    check_name(name, "a fault")?;
    let all = || (0..groups.len()).collect();
    let befallen = raw.groups.as_ref().map_or_else(|| Ok(all()), |names| of_names(names, groups))?;
    let moment = |time: &Spanned<Time>| {
        let at = time.get_ref().duration();
        if at > time_limit {
            return Err(Problem::at(time.span(), format!("the run ends before that, at {time_limit:?}"))
                .help("raise `time-limit`, or let it happen earlier"));
        }
        Ok(at)
    };
    let from = raw.from.as_ref().map_or(Ok(Duration::ZERO), moment)?;
    let to = raw.to.as_ref().map_or(Ok(time_limit), moment)?;
    if from >= to {
        let span = raw.to.as_ref().or(raw.from.as_ref()).map_or(name.span(), Spanned::span);
        return Err(Problem::at(span, "the fault is over before it begins").help("`from` is before `to`"));
    }
    let what = what(&raw.what, &befallen, groups)?;
    let share = raw.share.map_or(1.0, Share::get);
    Ok(Fault { name: name.get_ref().clone(), what, groups: befallen, share, from, to })
}

fn of_names(names: &[Spanned<String>], groups: &[Group]) -> Result<Vec<usize>, Problem> {
    let known: Vec<&String> = groups.iter().map(|group| &group.name).collect();
    let find = |name: &Spanned<String>| {
        known.iter().position(|known| *known == name.get_ref()).ok_or_else(|| {
            Problem::at(name.span(), format!("there is no group `{}`", name.get_ref())).help(choices(
                name.get_ref(),
                &known,
                "groups",
            ))
        })
    };
    let mut found = names.iter().map(find).collect::<Result<Vec<usize>, Problem>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn what(raw: &Spanned<raw::What>, befallen: &[usize], groups: &[Group]) -> Result<What, Problem> {
    let span = raw.span();
    let longer = |time: &Spanned<Time>, key| positive(Some(time), Duration::ZERO, key);
    Ok(match raw.get_ref() {
        raw::What::Partition => What::Partition,
        raw::What::TrackerOutage => What::TrackerOutage,
        raw::What::Delay(by) => What::Delay(longer(by, "delay")?),
        raw::What::LostConnections(rate) => {
            let rate = rate.get_ref().per_second();
            if !(rate > 0.0 && rate <= MAX_LOST) {
                return Err(Problem::at(span, "so many connections are not lost")
                    .help("a peer may lose up to 10 a second, and more than none"));
            }
            What::LostConnections(rate)
        }
        raw::What::DoubleConnections(chance) => What::DoubleConnections(chance.get()),
        raw::What::SlowDisk(by) => What::SlowDisk(longer(by, "slow-disk")?),
        raw::What::ReadErrors(chance) => What::ReadErrors(chance.get()),
        raw::What::HashFailures(chance) => What::HashFailures(chance.get()),
        raw::What::Restart(restart) => {
            let keep = restart.keep.as_ref().map_or(1.0, |keep| keep.get_ref().get());
            if let Some(seed) = befallen.iter().find(|index| groups[**index].seed)
                && keep < 1.0
            {
                let span = restart.keep.as_ref().map_or(span, Spanned::span);
                let message =
                    format!("`{}` are seeds: what they lose may be nowhere else", groups[*seed].name);
                return Err(Problem::at(span, message).help("name the groups of leechers in `groups`"));
            }
            What::Restart { down: restart.down.duration(), keep, crash: restart.crash }
        }
    })
}
