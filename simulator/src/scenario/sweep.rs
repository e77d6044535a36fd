//! `[sweep]` and `[variants.NAME]`: the points of a scenario.
//!
//! Guarantees: every point gives every axis a value, the first axis changing slowest; no two axes change the
//! same key, and no `--set` is lost under one; at most [`MAX_POINTS`] are made.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::edit::{self, Change, Path, Value};
use super::error::{Problem, Sources, choices};
use super::raw::Replicates;

/// The most points of a sweep.
pub(super) const MAX_POINTS: usize = 2_000;
/// The most axes.
const MAX_AXES: usize = 16;
/// The longest value of an axis as text: every point keeps it.
const MAX_VALUE: usize = 200;
/// The most variants.
const MAX_VARIANTS: usize = 64;
/// The most keys that a variant sets.
const MAX_CHANGES: usize = 64;
/// The most groups of a scenario.
pub(super) const MAX_GROUPS: usize = 64;
/// The name of the axis that the variants are.
pub(super) const VARIANT: &str = "variant";

/// A swept key.
#[derive(Clone, Debug)]
struct Axis<'i> {
    key: String,
    path: Path,
    span: Range<usize>,
    values: Vec<Value<'i>>,
}

/// A named set of changes.
#[derive(Clone, Debug)]
struct Variant<'i> {
    name: String,
    replicates: Option<Spanned<Replicates>>,
    changes: Vec<Change<'i>>,
}

/// The scenario as a document, and what is crossed.
#[derive(Clone, Debug)]
pub(super) struct Plan<'i> {
    pub root: DeTable<'i>,
    axes: Vec<Axis<'i>>,
    variants: Vec<Variant<'i>>,
}

/// One point before its document is read.
#[derive(Debug)]
pub(super) struct RawPoint<'i> {
    pub values: Vec<String>,
    pub replicates: Option<Spanned<Replicates>>,
    pub root: DeTable<'i>,
}

impl<'i> Plan<'i> {
    /// Takes the sweep and the variants out of a document.
    pub fn new(mut root: DeTable<'i>) -> Result<Self, Problem> {
        if let Some(DeValue::Table(groups)) = root.get("groups").map(Spanned::get_ref)
            && groups.len() > MAX_GROUPS
        {
            return Err(Problem::general(format!("there are more than {MAX_GROUPS} groups")));
        }
        let sweep = root.remove("sweep");
        let variants = root.remove("variants");
        let mut plan = Self { root, axes: Vec::new(), variants: Vec::new() };
        if let Some(sweep) = sweep {
            plan.axes = plan.read_sweep(sweep)?;
        }
        if let Some(variants) = variants {
            plan.variants = plan.read_variants(variants)?;
        }
        Ok(plan)
    }

    fn read_sweep(&self, sweep: Value<'i>) -> Result<Vec<Axis<'i>>, Problem> {
        let mut found = Vec::new();
        edit::changes(table(sweep, "[sweep]")?, &Path::new(), &mut found)?;
        if found.len() > MAX_AXES {
            return Err(Problem::at(found[MAX_AXES].span(), format!("more than {MAX_AXES} keys are swept")));
        }
        found.into_iter().map(|change| self.axis(change)).collect()
    }

    fn axis(&self, change: Change<'i>) -> Result<Axis<'i>, Problem> {
        let (key, span) = (change.key(), change.span());
        refuse_fixed(&change)?;
        edit::targets(&self.root, &change.path)?;
        let at = change.value.span();
        let DeValue::Array(values) = change.value.into_inner() else {
            return Err(Problem::at(at, format!("expected the list of values that `{key}` takes"))
                .help(format!("write it as in \"{key}\" = [1, 2, 3]")));
        };
        if values.is_empty() {
            return Err(
                Problem::at(at, format!("`{key}` is swept over no value")).help("give it at least one")
            );
        }
        Ok(Axis { key, path: change.path, span, values: values.into_iter().collect() })
    }

    fn read_variants(&self, variants: Value<'i>) -> Result<Vec<Variant<'i>>, Problem> {
        let mut entries: Vec<_> = table(variants, "[variants.NAME]")?.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        if entries.len() > MAX_VARIANTS {
            let message = format!("there are more than {MAX_VARIANTS} variants");
            return Err(Problem::at(entries[MAX_VARIANTS].0.span(), message));
        }
        entries.into_iter().map(|(name, value)| self.variant(name.get_ref().to_string(), value)).collect()
    }

    fn variant(&self, name: String, value: Value<'i>) -> Result<Variant<'i>, Problem> {
        let mut changes = table(value, "[variants.NAME]")?;
        let replicates = changes.remove("replicates").map(count).transpose()?;
        let mut found = Vec::new();
        edit::changes(changes, &Path::new(), &mut found)?;
        if found.len() > MAX_CHANGES {
            let message = format!("a variant sets more than {MAX_CHANGES} keys");
            return Err(Problem::at(found[MAX_CHANGES].span(), message));
        }
        for change in &found {
            refuse_fixed(change)?;
            edit::targets(&self.root, &change.path)?;
        }
        Ok(Variant { name, replicates, changes: found })
    }

    /// Makes the change of a `--set`, in the sweep or a variant if its key says so. A swept key takes the new
    /// value or list instead of the file's.
    pub fn set(&mut self, change: Change<'i>) -> Result<(), Problem> {
        let names: Vec<&str> = change.path.iter().map(|segment| segment.name.as_str()).collect();
        match names[..] {
            ["sweep"] => self.axes = self.read_sweep(change.value)?,
            ["sweep", ..] => {
                let axis = self.axis(Change { path: change.path[1..].to_vec(), value: change.value })?;
                match self.axes.iter_mut().find(|known| known.key == axis.key) {
                    Some(known) => *known = axis,
                    None => self.axes.push(axis),
                }
            }
            ["variants"] => self.variants = self.read_variants(change.value)?,
            ["variants", name, ..] => {
                let name = name.to_owned();
                self.set_in_variant(&name, change)?;
            }
            _ => self.set_in_root(change)?,
        }
        Ok(())
    }

    fn set_in_variant(&mut self, name: &str, change: Change<'i>) -> Result<(), Problem> {
        let known: Vec<&str> = self.variants.iter().map(|variant| variant.name.as_str()).collect();
        let Some(index) = known.iter().position(|known| *known == name) else {
            let span = change.path[1].span.clone();
            return Err(Problem::at(span, format!("there is no variant `{name}`"))
                .help(choices(name, &known, "variants")));
        };
        let change = Change { path: change.path[2..].to_vec(), value: change.value };
        if change.path.is_empty() {
            self.variants[index] = self.variant(name.to_owned(), change.value)?;
        } else if change.key() == "replicates" {
            self.variants[index].replicates = Some(count(change.value)?);
        } else {
            refuse_fixed(&change)?;
            edit::targets(&self.root, &change.path)?;
            let changes = &mut self.variants[index].changes;
            changes.retain(|known| known.key() != change.key());
            changes.push(change);
        }
        Ok(())
    }

    fn set_in_root(&mut self, change: Change<'i>) -> Result<(), Problem> {
        let key = change.key();
        if let Some(axis) = self.axes.iter_mut().find(|axis| axis.key == key) {
            axis.span = change.span();
            let span = change.value.span();
            axis.values = match change.value.into_inner() {
                DeValue::Array(values) if !values.is_empty() => values.into_iter().collect(),
                value => vec![Spanned::new(span, value)],
            };
            return Ok(());
        }
        let targets = edit::targets(&self.root, &change.path)?;
        for axis in &self.axes {
            if edit::overlap(&targets, &edit::targets(&self.root, &axis.path)?) {
                let problem = Problem::at(change.span(), format!("the sweep would set `{key}` again"));
                return Err(problem
                    .and(axis.span.clone(), "it is swept")
                    .help(format!("set `{}` or `sweep={{}}`", axis.key)));
            }
        }
        for variant in &self.variants {
            for known in &variant.changes {
                if edit::overlap(&targets, &edit::targets(&self.root, &known.path)?) {
                    let name = &variant.name;
                    let problem =
                        Problem::at(change.span(), format!("the variant `{name}` would set `{key}` again"));
                    let help = format!("set `variants.{name}.{}` or `variants={{}}`", known.key());
                    return Err(problem.and(known.span(), "it is set").help(help));
                }
            }
        }
        edit::apply(&mut self.root, &change)
    }

    /// The names of the axes: the variant first, if there are any, then the swept keys.
    pub fn axes(&self) -> Vec<String> {
        let variant = (!self.variants.is_empty()).then(|| VARIANT.to_owned());
        variant.into_iter().chain(self.axes.iter().map(|axis| axis.key.clone())).collect()
    }

    /// Every axis, variants left out: its key, its place, its values as text.
    pub fn swept(&self, sources: &Sources) -> Vec<(String, Range<usize>, Vec<String>)> {
        let values = |axis: &Axis<'_>| axis.values.iter().map(|value| shown(value, sources)).collect();
        self.axes.iter().map(|axis| (axis.key.clone(), axis.span.clone(), values(axis))).collect()
    }

    /// Checks the crossing and says how many points it has.
    pub fn count(&self, sources: &Sources) -> Result<usize, Problem> {
        self.check(sources)?;
        let lengths = self.axes.iter().map(|axis| axis.values.len());
        Ok(lengths.product::<usize>() * self.variants.len().max(1))
    }

    /// Point number `n` of [`Plan::count`].
    pub fn point(&self, n: usize, sources: &Sources) -> Result<RawPoint<'i>, Problem> {
        let mut root = self.root.clone();
        let mut rest = n;
        let mut values = Vec::new();
        // The last axis changes fastest.
        for axis in self.axes.iter().rev() {
            let value = &axis.values[rest % axis.values.len()];
            rest /= axis.values.len();
            edit::apply(&mut root, &Change { path: axis.path.clone(), value: value.clone() })?;
            values.push(shown(value, sources));
        }
        let variant = self.variants.get(rest);
        if let Some(variant) = variant {
            values.push(variant.name.clone());
            for change in &variant.changes {
                edit::apply(&mut root, change)?;
            }
        }
        values.reverse();
        Ok(RawPoint { values, replicates: variant.and_then(|variant| variant.replicates.clone()), root })
    }

    fn check(&self, sources: &Sources) -> Result<(), Problem> {
        let mut seen: Vec<(&Range<usize>, Vec<Vec<String>>)> = Vec::new();
        let mut points = self.variants.len().max(1);
        for axis in &self.axes {
            let targets = edit::targets(&self.root, &axis.path)?;
            if let Some((other, _)) = seen.iter().find(|(_, known)| edit::overlap(known, &targets)) {
                return Err(Problem::at(axis.span.clone(), format!("`{}` is swept twice", axis.key))
                    .and((*other).clone(), "here too"));
            }
            for change in self.variants.iter().flat_map(|variant| &variant.changes) {
                if edit::overlap(&targets, &edit::targets(&self.root, &change.path)?) {
                    let message = format!("`{}` is swept, and a variant sets it too", axis.key);
                    return Err(Problem::at(axis.span.clone(), message).and(change.span(), "the variant's"));
                }
            }
            let mut values: Vec<String> = Vec::new();
            for value in &axis.values {
                let text = shown(value, sources);
                if text.len() > MAX_VALUE {
                    let message = format!("a swept value of more than {MAX_VALUE} bytes");
                    return Err(
                        Problem::at(value.span(), message).help("it names the point in tables and charts")
                    );
                }
                if values.contains(&text) {
                    return Err(Problem::at(value.span(), format!("`{}` takes {text} twice", axis.key)));
                }
                values.push(text);
                if values.len() > MAX_POINTS {
                    break;
                }
            }
            points = points.saturating_mul(axis.values.len());
            if points > MAX_POINTS {
                let message = format!("the sweep has more than {MAX_POINTS} points");
                return Err(Problem::at(axis.span.clone(), message)
                    .help("sweep fewer values at once: the points are the product of all lists"));
            }
            seen.push((&axis.span, targets));
        }
        Ok(())
    }
}

/// A value as tables show it: a string without its quotes, anything else as it was written.
fn shown(value: &Value<'_>, sources: &Sources) -> String {
    match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => sources.text(value.span()).split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn table<'i>(value: Value<'i>, what: &str) -> Result<DeTable<'i>, Problem> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => Ok(table),
        _ => Err(Problem::at(span, format!("expected {what} with dotted keys and their values"))),
    }
}

fn count(value: Value<'_>) -> Result<Spanned<Replicates>, Problem> {
    Spanned::<Replicates>::deserialize(toml::de::ValueDeserializer::from(value))
        .map_err(|error| Problem::from_toml(&error, 0))
}

/// Some keys are the scenario's, not a point's.
fn refuse_fixed(change: &Change<'_>) -> Result<(), Problem> {
    let Some(first) = change.path.first() else { return Ok(()) };
    let help = match first.name.as_str() {
        "seed" => "replicates have seeds of their own, derived from it",
        "replicates" => "a variant may give its own as `replicates = …`",
        "charts" => "charts are made from all points together",
        "sweep" | "variants" => "crossing them again is not possible",
        _ => return Ok(()),
    };
    let message = format!("`{}` is the same for every point", first.name);
    Err(Problem::at(first.span.clone(), message).help(help))
}
