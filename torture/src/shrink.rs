//! A scenario that fails, made small: fewer faults, groups, peers and keys, less content, a shorter run, as long as it
//! fails in the same way. Greedy, as every step is tried until none helps any more: what is left is needed.

use std::sync::atomic::{AtomicBool, Ordering};

use simulator::scenario::units::Time;
use toml::{Table, Value};

use crate::checkers::Finding;
use crate::trial::trial;

/// A small scenario that fails as the large one did.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The text of its file.
    pub text: String,
    /// What is found in it.
    pub findings: Vec<Finding>,
    /// Scenarios that were tried.
    pub tries: u32,
}

/// Keys that a group, the content and a fault cannot do without.
const NEEDED: [&str; 9] =
    ["size", "up", "what", "count", "role", "behaviour", "time-limit", "until", "replicates"];

/// Shrinks the scenario in `text`, in which `findings` were found, by at most `tries` trials, or until `stop` is true.
pub fn shrink(text: &str, findings: &[Finding], tries: u32, stop: &AtomicBool) -> Shrunk {
    let Some(first) = findings.first() else {
        return Shrunk { text: text.to_owned(), findings: Vec::new(), tries: 0 };
    };
    let mut last = findings.to_vec();
    let (small, tries) = shrink_with(text, first.at, tries, |text| {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let found = trial("shrunk.toml", text).map(|outcome| outcome.findings).unwrap_or_default();
        // Another failure is another story.
        let same = found.iter().any(|finding| finding.checker == first.checker);
        if same {
            last = found;
        }
        same
    });
    let told = last.iter().find(|finding| finding.checker == first.checker).unwrap_or(first);
    let told = told.to_string().replace(char::is_control, " ");
    let header = format!("# Torture finds here, with `swarmlab torture FILE`: {told}\n\n");
    Shrunk { text: header + &small, findings: last, tries }
}

/// The smallest text that can be come to by steps that all `fails`, and how many were tried. What is sought happens at
/// `at` nanoseconds in the first.
pub fn shrink_with(text: &str, at: u64, tries: u32, mut fails: impl FnMut(&str) -> bool) -> (String, u32) {
    let Ok(mut best) = text.parse::<Table>() else { return (text.to_owned(), 0) };
    let (mut tried, mut printed) = (0, text.to_owned());
    let mut first = Some(at / 1_000_000_000 + 11);
    loop {
        let mut better = false;
        // The list is made anew after each success: what it names may be gone.
        let mut next = 0;
        while tried < tries {
            let mut steps = steps(&best);
            steps.splice(0..0, first.take().map(Step::Until));
            let Some(step) = steps.into_iter().nth(next) else { break };
            let Some(smaller) = step.of(&best).filter(|smaller| *smaller != best) else {
                next += 1;
                continue;
            };
            let Ok(text) = toml::to_string_pretty(&smaller) else { break };
            tried += 1;
            if fails(&text) {
                (best, printed, better) = (smaller, text, true);
            } else {
                next += 1;
            }
        }
        if !better || tried >= tries {
            return (printed, tried);
        }
    }
}

/// A way to make a scenario smaller.
#[derive(Clone, Debug)]
enum Step {
    /// Without this fault or group.
    Without(&'static str, String),
    /// So many peers in this group.
    Count(String, i64),
    /// Without a key of a table, `groups.x` or `network`.
    Default(String, Option<String>, String),
    /// So much content.
    Size(u64),
    /// Ends at this second.
    Until(u64),
}

fn names(table: &Table, section: &str) -> Vec<String> {
    table.get(section).and_then(Value::as_table).map_or(Vec::new(), |table| table.keys().cloned().collect())
}

fn inner<'a>(table: &'a Table, section: &str, name: &str) -> Option<&'a Table> {
    table.get(section)?.as_table()?.get(name)?.as_table()
}

/// The steps that there are, the largest first.
fn steps(table: &Table) -> Vec<Step> {
    let mut steps = Vec::new();
    for section in ["faults", "groups"] {
        steps.extend(names(table, section).into_iter().map(|name| Step::Without(section, name)));
    }
    for name in names(table, "groups") {
        let count = inner(table, "groups", &name).and_then(|group| group.get("count")?.as_integer());
        if let Some(count) = count.filter(|count| *count > 1) {
            steps.extend([1, count / 2, count - 1].map(|count| Step::Count(name.clone(), count)));
        }
    }
    if let Some(bytes) = size(table) {
        steps.extend([bytes / 8, bytes / 2].map(|bytes| Step::Size(bytes.max(1))));
    }
    if let Some(seconds) = seconds(table, "time-limit") {
        steps.push(Step::Until(seconds / 2));
    }
    for section in ["network", "tracker"] {
        let keys = names(table, section).into_iter();
        steps.extend(keys.map(|key| Step::Default(section.to_owned(), None, key)));
    }
    for section in ["faults", "groups"] {
        for name in names(table, section) {
            let Some(of) = inner(table, section, &name) else { continue };
            let keys = of.keys().filter(|key| !NEEDED.contains(&key.as_str()));
            let step = |key: &String| Step::Default(section.to_owned(), Some(name.clone()), key.clone());
            steps.extend(keys.map(step));
        }
    }
    steps
}

fn size(table: &Table) -> Option<u64> {
    table.get("content")?.as_table()?.get("size")?.as_str()?.strip_suffix(" B")?.parse().ok()
}

fn seconds(table: &Table, key: &str) -> Option<u64> {
    let time: Time = table.get(key)?.as_str()?.parse().ok()?;
    Some(time.duration().as_secs())
}

impl Step {
    /// The scenario after this step; `None` if there is no such.
    fn of(&self, table: &Table) -> Option<Table> {
        let mut table = table.clone();
        match self {
            Self::Without(section, name) => {
                let of = table.get_mut(*section)?.as_table_mut()?;
                of.remove(name)?;
                if of.is_empty() {
                    table.remove(*section);
                }
                if *section == "groups" {
                    befall_no_more(&mut table, name);
                }
            }
            Self::Count(name, count) => {
                let group = table.get_mut("groups")?.get_mut(name)?.as_table_mut()?;
                group.insert("count".to_owned(), Value::Integer(*count));
            }
            Self::Default(section, name, key) => {
                let mut of = table.get_mut(section)?;
                if let Some(name) = name {
                    of = of.get_mut(name)?;
                }
                of.as_table_mut()?.remove(key)?;
                if name.is_none() && of.as_table().is_some_and(Table::is_empty) {
                    table.remove(section);
                }
            }
            Self::Size(bytes) => {
                let content = table.get_mut("content")?.as_table_mut()?;
                content.insert("size".to_owned(), Value::String(format!("{bytes} B")));
            }
            Self::Until(second) => cut(&mut table, *second)?,
        }
        Some(table)
    }
}

/// Takes a group out of what befalls it; a fault that befalls nobody else befalls everybody, and all keep their pieces.
fn befall_no_more(table: &mut Table, group: &str) {
    let Some(faults) = table.get_mut("faults").and_then(Value::as_table_mut) else { return };
    for (_, fault) in faults.iter_mut() {
        let Some(fault) = fault.as_table_mut() else { continue };
        let Some(groups) = fault.get_mut("groups").and_then(Value::as_array_mut) else { continue };
        groups.retain(|name| name.as_str() != Some(group));
        if !groups.is_empty() {
            continue;
        }
        fault.remove("groups");
        let restart = fault.get_mut("what").and_then(|what| what.get_mut("restart"));
        if let Some(restart) = restart.and_then(Value::as_table_mut) {
            restart.remove("keep");
        }
    }
}

/// Ends the run at this second, and faults with it.
fn cut(table: &mut Table, second: u64) -> Option<()> {
    if second == 0 || seconds(table, "time-limit")? <= second {
        return None;
    }
    table.insert("time-limit".to_owned(), Value::String(format!("{second} s")));
    let Some(faults) = table.get_mut("faults").and_then(Value::as_table_mut) else { return Some(()) };
    faults.retain(|_, fault| {
        let Some(fault) = fault.as_table_mut() else { return true };
        if seconds(fault, "to").is_some_and(|to| to > second) {
            fault.remove("to");
        }
        seconds(fault, "from").is_none_or(|from| from < second)
    });
    if faults.is_empty() {
        table.remove("faults");
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::scenario::Scenario;
    use simulator::spec::Behaviour;

    /// Any scenario with this in it fails: what is left is this.
    #[test]
    fn what_is_left_is_what_is_needed() {
        let wanted = |text: &str| {
            let Ok(scenario) = Scenario::parse("x.toml", text, ".".as_ref(), &[]) else { return false };
            let spec = &scenario.points()[0].spec;
            let liars = spec.groups.iter().find(|group| group.behaviour == Behaviour::Liar);
            let restarts = spec.faults.iter().any(|fault| fault.what.name() == "restart");
            liars.is_some_and(|liars| liars.count >= 2) && restarts && spec.content > 100_000
        };
        let text = (0..).map(crate::draw).find(|text| wanted(text) && text.matches("[faults.").count() > 3);
        let text = text.expect("one of them has it all");
        let (small, tried) = shrink_with(&text, 0, 500, wanted);
        assert!(wanted(&small) && (10..500).contains(&tried), "{tried} tries");
        let scenario = Scenario::parse("x.toml", &small, ".".as_ref(), &[]).expect("it can be run");
        let spec = &scenario.points()[0].spec;
        assert_eq!((spec.groups.len(), spec.faults.len()), (2, 1), "{small}");
        let peers: u32 = spec.groups.iter().map(|group| group.count).sum();
        assert_eq!(peers, 3, "two liars and a seed:\n{small}");
        assert!(spec.content < 200_002 && spec.time_limit.as_secs() < 20, "{small}");
        assert!(small.lines().count() < 30, "{small}");
        // Nothing can be taken away.
        assert_eq!(shrink_with(&small, u64::MAX / 2, 500, wanted).0.parse::<Table>(), small.parse::<Table>());
    }

    #[test]
    fn what_is_no_scenario_stays() {
        assert_eq!(shrink_with("= 3", 0, 10, |_| true), ("= 3".to_owned(), 0));
    }
}
