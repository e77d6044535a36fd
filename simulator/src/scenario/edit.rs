//! Changes to a scenario by dotted keys: what `[sweep]`, `[variants.NAME]` and `--set` have in common.
//!
//! Guarantees: a change keeps the place it was written at, so that what is wrong with it is shown there; none
//! makes a group that the file does not have, and none is lost by writing through a value that is no table.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{Problem, Sources, choices};

/// A value and where it is.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One name of a dotted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub name: String,
    pub span: Range<usize>,
}

/// A dotted key.
pub(super) type Path = Vec<Segment>;

/// The most names in a dotted key.
const MAX_DEPTH: usize = 8;

/// A dotted key with the value it gets.
#[derive(Clone, Debug)]
pub(super) struct Change<'i> {
    pub path: Path,
    pub value: Value<'i>,
}

impl Change<'_> {
    /// The key as it was written.
    pub fn key(&self) -> String {
        join(&self.path)
    }

    /// Where the key is.
    pub fn span(&self) -> Range<usize> {
        span_of(&self.path)
    }
}

/// The names with dots between them.
pub(super) fn join(path: &[Segment]) -> String {
    path.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".")
}

fn span_of(path: &[Segment]) -> Range<usize> {
    match (path.first(), path.last()) {
        (Some(first), Some(last)) => first.span.start..last.span.end.max(first.span.start),
        _ => 0..0,
    }
}

/// The names of `key`, which stands at `span`, perhaps in quotes.
pub(super) fn split(key: &str, span: Range<usize>) -> Result<Path, Problem> {
    // Where escapes make the text longer than the key, every name has the place of the whole.
    let start = match span.len().checked_sub(key.len()) {
        Some(0) => Some(span.start),
        Some(2) => Some(span.start + 1),
        _ => None,
    };
    let mut at = 0;
    let mut path = Vec::new();
    for name in key.split('.') {
        let here = start.map_or(span.clone(), |start| start + at..start + at + name.len());
        if name.trim().is_empty() {
            return Err(Problem::at(span, "a name is missing in this dotted key")
                .help("write it as in `groups.leechers.count`"));
        }
        path.push(Segment { name: name.trim().to_owned(), span: here });
        at += name.len() + 1;
    }
    if path.len() > MAX_DEPTH {
        return Err(Problem::at(span, "no key is as deep as this"));
    }
    Ok(path)
}

/// The changes that a table holds: `"a.b" = 1` and `a.b = 1` alike, in the order of the file. A table is entered
/// where it can only be a section of the scenario; any other is a value.
pub(super) fn changes<'i>(
    table: DeTable<'i>,
    prefix: &Path,
    out: &mut Vec<Change<'i>>,
) -> Result<(), Problem> {
    for (key, value) in table {
        let mut path = prefix.clone();
        path.extend(split(key.get_ref(), key.span())?);
        let names: Vec<&str> = path.iter().map(|segment| segment.name.as_str()).collect();
        let section = matches!(
            names[..],
            ["content" | "network" | "tracker" | "groups" | "faults"] | ["groups" | "faults", _]
        );
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(inner) if section => changes(inner, &path, out)?,
            value => out.push(Change { path, value: Spanned::new(span, value) }),
        }
    }
    out.sort_by_key(|change| change.span().start);
    Ok(())
}

/// What `path` changes, with `groups.*` and `groups.A,B` written out: one key for each.
pub(super) fn targets(root: &DeTable<'_>, path: &[Segment]) -> Result<Vec<Vec<String>>, Problem> {
    let names = |path: &[Segment]| path.iter().map(|segment| segment.name.clone()).collect::<Vec<_>>();
    match path {
        [groups, group, rest @ ..] if groups.name == "groups" => {
            let which = group_names(root, group)?;
            Ok(which
                .into_iter()
                .map(|name| [vec!["groups".to_owned(), name], names(rest)].concat())
                .collect())
        }
        _ => Ok(vec![names(path)]),
    }
}

fn group_names(root: &DeTable<'_>, segment: &Segment) -> Result<Vec<String>, Problem> {
    let known: Vec<&str> = match root.get("groups").map(|groups| groups.get_ref()) {
        Some(DeValue::Table(groups)) => groups.keys().map(|name| name.get_ref().as_ref()).collect(),
        _ => Vec::new(),
    };
    if segment.name == "*" {
        return Ok(known.iter().map(|name| (*name).to_owned()).collect());
    }
    let mut names = Vec::new();
    for name in segment.name.split(',').map(str::trim) {
        if !known.contains(&name) {
            return Err(Problem::at(segment.span.clone(), format!("there is no group `{name}`"))
                .help(choices(name, &known, "groups")));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// True if one of these keys is the other, or lies within it.
pub(super) fn overlap(a: &[Vec<String>], b: &[Vec<String>]) -> bool {
    a.iter().any(|a| b.iter().any(|b| a.iter().zip(b).all(|(a, b)| a == b)))
}

/// Makes a change.
pub(super) fn apply<'i>(root: &mut DeTable<'i>, change: &Change<'i>) -> Result<(), Problem> {
    for target in targets(root, &change.path)? {
        let path: Path = target
            .into_iter()
            .zip(&change.path)
            .map(|(name, segment)| Segment { name, span: segment.span.clone() })
            .collect();
        set(root, &path, &change.value)?;
    }
    Ok(())
}

fn set<'i>(table: &mut DeTable<'i>, path: &[Segment], value: &Value<'i>) -> Result<(), Problem> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let key = || Spanned::new(first.span.clone(), first.name.clone().into());
    if rest.is_empty() {
        table.insert(key(), value.clone());
        return Ok(());
    }
    if !table.contains_key(first.name.as_str()) {
        table.insert(key(), Spanned::new(first.span.clone(), DeValue::Table(DeTable::new())));
    }
    let Some(inner) = table.get_mut(first.name.as_str()) else { return Ok(()) };
    let span = inner.span();
    match inner.get_mut() {
        DeValue::Table(inner) => set(inner, rest, value),
        _ => {
            let name = &first.name;
            let help =
                format!("give `{name}` a whole value instead, as in {name} = {{ {} = … }}", join(rest));
            let problem = Problem::at(span_of(rest), format!("`{name}` has no keys: it is no table"));
            Err(problem.and(span, format!("`{name}` is given")).help(help))
        }
    }
}

/// One `--set KEY=VALUE`, as number `n` of the sources: the value is TOML, or else a string.
pub(super) fn parse_set(sources: &Sources, n: usize, key_len: usize) -> Result<Change<'_>, Problem> {
    let (text, offset) = sources.part(n);
    let (key, value) = (&text[..key_len], text.get(key_len + 1..).unwrap_or(""));
    let path = split(key, offset..offset + key_len)?;
    let at = offset + key_len + 1;
    let value = match DeValue::parse(value) {
        Ok(parsed) => shift(parsed, at),
        // What begins like TOML is a slip, not a string.
        Err(error) if value.trim_start().starts_with(['[', '{', '"', '\'']) => {
            return Err(Problem::syntax(&error, at));
        }
        Err(_) => Spanned::new(at..at + value.len(), DeValue::String(value.into())),
    };
    Ok(Change { path, value })
}

/// The value as if its text began at `offset`.
fn shift(value: Value<'_>, offset: usize) -> Value<'_> {
    let moved = |span: Range<usize>| span.start + offset..span.end + offset;
    let span = moved(value.span());
    let value = match value.into_inner() {
        DeValue::Array(array) => {
            let mut shifted = DeArray::new();
            for element in array {
                shifted.push(shift(element, offset));
            }
            DeValue::Array(shifted)
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| (Spanned::new(moved(key.span()), key.into_inner()), shift(value, offset)))
                .collect(),
        ),
        value => value,
    };
    Spanned::new(span, value)
}
