//! What the axes of a sweep are called, from the keys of the scenario: `groups.leechers.count` is the “number of
//! leechers”, and its value 1000 is “1,000 leechers”.
//!
//! Guarantees: no two axes of a record have the same name; a key that is not known here keeps the shortest ending
//! that tells it apart. The group is said where the record has others of its kind.

use record::Record;

use crate::{summary, units};

/// The names of one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// For a title or the axis of a chart: `number of leechers`.
    pub name: String,
    /// For the head of a column: `leechers`.
    pub head: String,
    /// What a number is called with: before it, and after it.
    around: (String, String),
}

impl Axis {
    fn new(name: impl Into<String>, head: impl Into<String>, after: impl Into<String>) -> Self {
        Self { name: name.into(), head: head.into(), around: (String::new(), after.into()) }
    }

    /// A value, with what it counts or measures: `1,000 leechers`, `2 Mbit/s up`. A value that is a name speaks
    /// for itself.
    pub fn value(&self, value: &str) -> String {
        let Some((number, unit)) = units::quantity(value) else { return value.to_owned() };
        let (before, after) = &self.around;
        let after = if number == 1.0 && unit.is_empty() { singular(after) } else { after.clone() };
        format!("{before} {} {after}", self.plain(value)).trim().to_owned()
    }

    /// A value alone, with commas between the thousands.
    pub fn plain(&self, value: &str) -> String {
        value.parse::<u64>().map_or_else(|_| value.to_owned(), |whole| units::fixed(whole as f64, 0))
    }
}

/// `leechers in crowd` as `leecher in crowd`: the nouns used here make their plural with an s.
fn singular(noun: &str) -> String {
    let (first, rest) = noun.split_once(' ').map_or((noun, String::new()), |(f, r)| (f, format!(" {r}")));
    format!("{}{rest}", first.strip_suffix('s').unwrap_or(first))
}

/// The names of a record's axes, in order.
pub fn names(record: &Record) -> Vec<Axis> {
    let runs: Vec<_> = record.runs.iter().collect();
    let groups = summary::group_names(&runs);
    let endings = units::axis_names(&record.axes);
    let named: Vec<Option<Axis>> = record.axes.iter().map(|key| known(key, &groups)).collect();
    let unique = |axis: &Axis| named.iter().flatten().filter(|other| other.name == axis.name).count() == 1;
    let or_ending = |(axis, ending): (&Option<Axis>, String)| match axis {
        Some(axis) if unique(axis) => axis.clone(),
        _ => Axis { name: ending.clone(), head: ending.clone(), around: (ending, String::new()) },
    };
    named.iter().zip(endings).map(or_ending).collect()
}

/// The names of a key of the scenario; `None` if it has none of its own.
fn known(key: &str, groups: &[(String, bool)]) -> Option<Axis> {
    let parts: Vec<&str> = key.split('.').collect();
    Some(match parts[..] {
        ["content", "size"] => Axis::new("content size", "content", "of content"),
        ["content", "piece"] => Axis::new("piece length", "piece", "pieces"),
        ["network", "latency"] => Axis::new("latency", "latency", "latency"),
        ["network", "loss"] => Axis::new("loss", "loss", "loss"),
        ["groups", selected, key] => of_group(selected, key, groups)?,
        _ => return None,
    })
}

fn of_group(selected: &str, key: &str, groups: &[(String, bool)]) -> Option<Axis> {
    let (all, names) = (selected == "*", selected.split(',').map(str::trim).collect::<Vec<_>>());
    let chosen = |name: &str| all || names.contains(&name);
    let kinds: Vec<bool> = groups.iter().filter(|(name, _)| chosen(name)).map(|(_, seed)| *seed).collect();
    let one_kind = kinds.first().filter(|first| kinds.iter().all(|kind| kind == *first)).copied();
    // The group goes without saying if it is all there is of its kind.
    let whole = |seed: bool| groups.iter().filter(|(_, kind)| *kind == seed).all(|(name, _)| chosen(name));
    let group = names.join(" and ");
    if key == "count" {
        let who = match one_kind {
            Some(true) => "seeds",
            Some(false) => "leechers",
            None => "peers",
        };
        let each = if names.len() > 1 { "each of " } else { "" };
        let who = match (all || one_kind.is_some_and(whole)) && names.len() == 1 {
            true => who.to_owned(),
            false => format!("{who} in {each}{group}"),
        };
        return Some(Axis::new(format!("number of {who}"), who.clone(), who));
    }
    let of = match one_kind {
        _ if all => String::new(),
        Some(false) if whole(false) => String::new(),
        _ => format!(" of {group}"),
    };
    let (name, after) = match key {
        "up" => ("uplink", "up"),
        "down" => ("downlink", "down"),
        "latency" => ("latency", "latency"),
        "picker" => ("piece picker", ""),
        "choker" => ("choker", ""),
        "seed-choker" => ("seed choker", ""),
        "slots" => ("unchoke slots", "slots"),
        "connections" => ("connections", "connections"),
        _ => return None,
    };
    Some(Axis::new(format!("{name}{of}"), format!("{name}{of}"), format!("{after}{of}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, group, run};

    fn named(groups: &[(&str, bool)], keys: &[&str], value: &str) -> Vec<(String, String)> {
        let groups = groups.iter().map(|(name, seed)| group(name, *seed, 1, 1)).collect();
        let record = testing::record(keys, vec![run(groups, 1.0)]);
        names(&record).into_iter().map(|axis| (axis.value(value), axis.name)).collect()
    }

    fn one(groups: &[(&str, bool)], key: &str, value: &str) -> (String, String) {
        named(groups, &[key], value).remove(0)
    }

    fn pair(value: &str, name: &str) -> (String, String) {
        (value.to_owned(), name.to_owned())
    }

    #[test]
    fn keys_become_words() {
        let plain = [("origin", true), ("people", false)];
        let counted = one(&plain, "groups.people.count", "1000");
        assert_eq!(counted, pair("1,000 leechers", "number of leechers"));
        assert_eq!(one(&plain, "groups.people.count", "1").0, "1 leecher");
        assert_eq!(one(&plain, "groups.origin.count", "2"), pair("2 seeds", "number of seeds"));
        assert_eq!(one(&plain, "groups.people.up", "2 Mbit/s"), pair("2 Mbit/s up", "uplink"));
        assert_eq!(one(&plain, "groups.origin.up", "2 Mbit/s").1, "uplink of origin");
        assert_eq!(one(&plain, "groups.people.picker", "random"), pair("random", "piece picker"));
        assert_eq!(one(&plain, "content.piece", "1 MiB").0, "1 MiB pieces");
        assert_eq!(one(&plain, "tracker.interval", "30 s"), pair("interval 30 s", "interval"));
    }

    #[test]
    fn groups_are_told_apart() {
        let mixed = [("seed", true), ("slow", false), ("fast", false)];
        assert_eq!(
            one(&mixed, "groups.slow.count", "10"),
            pair("10 leechers in slow", "number of leechers in slow")
        );
        assert_eq!(one(&mixed, "groups.slow,fast.count", "10").0, "10 leechers in each of slow and fast");
        assert_eq!(one(&mixed, "groups.slow,fast.choker", "random").1, "choker");
        let two = named(&mixed, &["groups.slow.up", "groups.fast.up"], "1 Mbit/s");
        assert_eq!(two[1], pair("1 Mbit/s up of fast", "uplink of fast"));
        let same = named(&mixed, &["groups.slow,fast.up", "groups.*.up"], "1 Mbit/s");
        assert!(same[0].1 != same[1].1, "{same:?}");
    }
}
