//! Scenario files: TOML with units in, runs out. `docs/scenario.md` lists every key.
//!
//! Guarantees: what loads can be run, every default filled in and every unit resolved; the same text gives the
//! same runs everywhere; no text makes this panic, and none makes it use more than a bounded amount of memory; an
//! error says where it is, what is wrong and what to do ([`ScenarioError`]).
//!
//! ```
//! use simulator::scenario::Scenario;
//! let text = r#"
//!     ## How long does one leecher take?
//!     content.size = "1 MiB"
//!     groups.seeds = { role = "seed", up = "10 Mbit/s" }
//!     groups.leechers = { up = "2 Mbit/s", down = "20 Mbit/s" }
//!     sweep."groups.leechers.count" = [1, 2, 4]
//! "#;
//! let scenario = Scenario::parse("how-long.toml", text, ".".as_ref(), &[])?;
//! assert_eq!(scenario.axes(), ["groups.leechers.count"]);
//! assert_eq!(scenario.points().len(), 3);
//! assert_eq!(scenario.points()[2].spec.groups[1].count, 4);
//! # Ok::<(), simulator::scenario::ScenarioError>(())
//! ```

mod defaults;
mod edit;
mod error;
mod fault;
mod files;
mod group;
mod planetlab;
mod raw;
mod registry;
mod resolve;
mod sweep;
#[cfg(test)]
mod tests;
pub mod units;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use record::Chart;
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::DeTable;

pub use self::error::{Label, ScenarioError};
use self::error::{Problem, Sources, choices};
use self::files::{Files, Kept};
pub use self::registry::Registry;
use self::resolve::Context;
pub use self::resolve::MAX_PEERS;
use self::sweep::{Plan, RawPoint};
use crate::spec::Spec;

/// The largest scenario file, and the largest `--set`.
pub const MAX_BYTES: usize = 1 << 20;
/// The most runs of one scenario: points times replicates.
pub const MAX_RUNS: u64 = 10_000;
/// The most `--set`.
const MAX_OVERRIDES: usize = 1_000;
/// The charts with no keys of their own.
const CHARTS: &[(&str, Chart)] = &[
    ("completion", Chart::Completion),
    ("share-ratio", Chart::ShareRatio),
    ("speed-by-group", Chart::SpeedByGroup),
    ("throughput", Chart::Throughput),
    ("availability", Chart::Availability),
    ("population", Chart::Population),
];

/// A scenario that can be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    question: String,
    source: Arc<str>,
    files: Kept,
    seed: u64,
    charts: Vec<Chart>,
    axes: Vec<String>,
    points: Vec<Point>,
}

/// One point of a scenario's sweep.
#[derive(Clone, Debug)]
pub struct Point {
    /// The value of each axis as text, in the order of [`Scenario::axes`].
    pub values: Vec<String>,
    /// How many runs it gets, each with a seed of its own; at least 1.
    pub replicates: u32,
    /// What each of them is.
    pub spec: Spec,
}

impl Scenario {
    /// Reads the scenario at `path`. Each override is a dotted key and a value, as in `--set KEY=VALUE`: the value
    /// is TOML, or else a string.
    pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Self, ScenarioError> {
        Self::load_with(path, overrides, &Registry::new())
    }

    /// The same with policies of the caller's.
    pub fn load_with(
        path: &Path,
        overrides: &[(String, String)],
        registry: &Registry,
    ) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text = files::read(path, MAX_BYTES as u64).map_err(|message| {
            ScenarioError::unreadable(&name, message, "a scenario is a TOML file; scenarios/ holds examples")
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse_with(&name, &text, base, overrides, registry)
    }

    /// Reads a scenario from its text. `name` is what errors call it, and without folder and `.toml` the
    /// scenario's name; the paths in it count from the folder `base`.
    pub fn parse(
        name: &str,
        text: &str,
        base: &Path,
        overrides: &[(String, String)],
    ) -> Result<Self, ScenarioError> {
        Self::parse_with(name, text, base, overrides, &Registry::new())
    }

    /// The same with policies of the caller's.
    pub fn parse_with(
        name: &str,
        text: &str,
        base: &Path,
        overrides: &[(String, String)],
        registry: &Registry,
    ) -> Result<Self, ScenarioError> {
        Self::parse_from(name, text, Files::new(base), overrides, registry)
    }

    /// Reads again the scenario that a record is of: `name` is its name, `text` its text, `files` what the record holds
    /// of the files it names. One that it does not hold is looked for in the folder `base`, and without that, missing.
    pub fn recorded(
        name: &str,
        text: &str,
        files: &BTreeMap<String, String>,
        base: Option<&Path>,
        overrides: &[(String, String)],
    ) -> Result<Self, ScenarioError> {
        let held = files.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        Self::parse_from(name, text, Files::held(held, base), overrides, &Registry::new())
    }

    fn parse_from(
        name: &str,
        text: &str,
        mut files: Files,
        overrides: &[(String, String)],
        registry: &Registry,
    ) -> Result<Self, ScenarioError> {
        let too_large = |what: &str| {
            let message = format!("{what} is larger than the {} KiB that are read", MAX_BYTES >> 10);
            ScenarioError::unreadable(name, message, "a scenario describes groups of peers, not each one")
        };
        if text.len() > MAX_BYTES {
            return Err(too_large(name));
        }
        let set_bytes = overrides.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        if set_bytes > MAX_BYTES || overrides.len() > MAX_OVERRIDES {
            return Err(too_large("the text of all --set"));
        }
        let file = (name.to_owned(), text.to_owned());
        let sets = overrides.iter().map(|(key, value)| ("--set".to_owned(), format!("{key}={value}")));
        let sources = Sources::new(std::iter::once(file).chain(sets));
        let mut scenario = Loader { sources: &sources, context: Context { files: &mut files, registry } }
            .load(overrides)
            .map_err(|problem| sources.error(problem))?;
        let stem = Path::new(name).file_stem().unwrap_or_default();
        scenario.name = stem.to_string_lossy().into_owned();
        scenario.question = leading_comment(text);
        scenario.source = text.into();
        scenario.files = files.into_kept();
        Ok(scenario)
    }

    /// Its name: the file's, without folder and `.toml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The comment that the file opens with, as running text.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// The file's text, overrides not applied.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of each file that it names and that was read, by its name there; without those of
    /// [`Scenario::left_out`].
    pub fn files(&self) -> &BTreeMap<String, Arc<str>> {
        &self.files.texts
    }

    /// Files that were read and are too large to keep.
    pub fn left_out(&self) -> &[String] {
        &self.files.left_out
    }

    /// What every run's seed is derived from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What to chart.
    pub fn charts(&self) -> &[Chart] {
        &self.charts
    }

    /// The names of the axes: `variant` if there are variants, then the swept keys as they are written.
    pub fn axes(&self) -> &[String] {
        &self.axes
    }

    /// All points, the first axis changing slowest; one without values if nothing is swept.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How many runs that is: at most [`MAX_RUNS`].
    pub fn runs(&self) -> u64 {
        self.points.iter().map(|point| u64::from(point.replicates)).sum()
    }
}

/// The texts of one load and what resolving needs.
struct Loader<'a, 'c> {
    sources: &'a Sources,
    context: Context<'c>,
}

impl Loader<'_, '_> {
    fn load(&mut self, overrides: &[(String, String)]) -> Result<Scenario, Problem> {
        let sources = self.sources;
        let text = sources.part(0).0;
        let root = DeTable::parse(text).map_err(|error| Problem::syntax(&error, 0))?;
        let mut plan = Plan::new(root.into_inner())?;
        for (n, (key, _)) in overrides.iter().enumerate() {
            plan.set(edit::parse_set(sources, n + 1, key.len())?)?;
        }
        let mut scenario = Scenario {
            name: String::new(),
            question: String::new(),
            source: "".into(),
            files: Kept::default(),
            seed: defaults::SEED,
            charts: Vec::new(),
            axes: plan.axes(),
            points: Vec::new(),
        };
        for n in 0..plan.count(sources)? {
            let point = plan.point(n, sources)?;
            let values = point.values.clone();
            let (file, point) = self.point(point, text.len()).map_err(|problem| {
                // Where other points passed, it matters which one did not.
                if n == 0 { problem } else { at_point(problem, &scenario.axes, &values) }
            })?;
            if n == 0 {
                scenario.seed = file.seed.unwrap_or(defaults::SEED);
                scenario.charts = charts(&file, &plan.swept(sources))?;
                // No other point needs them read again.
                plan.root.remove("charts");
            }
            scenario.points.push(point);
            if scenario.runs() > MAX_RUNS {
                let message =
                    format!("points times replicates are more than the {MAX_RUNS} runs that are allowed");
                let span = file.replicates.map_or(0..text.len(), |count| count.span());
                return Err(Problem::at(span, message).help(format!(
                    "lower `replicates`, or sweep fewer values: there are {} points",
                    plan.count(sources)?
                )));
            }
        }
        Ok(scenario)
    }

    fn point(&mut self, point: RawPoint<'_>, length: usize) -> Result<(raw::File, Point), Problem> {
        let document = toml::de::Deserializer::from(Spanned::new(0..length, point.root));
        let file = raw::File::deserialize(document).map_err(|error| Problem::from_toml(&error, 0))?;
        let spec = resolve::resolve(&file, &mut self.context)?;
        let replicates = point.replicates.as_ref().or(file.replicates.as_ref());
        let replicates = replicates.map_or(defaults::REPLICATES, |count| count.get_ref().0);
        Ok((file, Point { values: point.values, replicates, spec }))
    }
}

fn at_point(problem: Problem, axes: &[String], values: &[String]) -> Problem {
    let at: Vec<String> = axes.iter().zip(values).map(|(axis, value)| format!("{axis} = {value}")).collect();
    let note = format!("this is at the point {}", at.join(", "));
    let help = problem.help.clone().map_or(note.clone(), |help| format!("{help}; {note}"));
    problem.help(help)
}

/// The charts, once it is known what is swept.
fn charts(
    file: &raw::File,
    swept: &[(String, std::ops::Range<usize>, Vec<String>)],
) -> Result<Vec<Chart>, Problem> {
    let mut charts = Vec::new();
    for chart in file.charts.iter().flatten() {
        let default = raw::Speed::default();
        charts.push(match chart.get_ref() {
            raw::Chart::Name(name) if name == "speed" => speed(&default, swept)?,
            raw::Chart::Table(table) => speed(&table.speed, swept)?,
            raw::Chart::Name(name) => match CHARTS.iter().find(|known| known.0 == name) {
                Some((_, chart)) => chart.clone(),
                None => {
                    let known: Vec<&str> = CHARTS.iter().map(|known| known.0).chain(["speed"]).collect();
                    return Err(Problem::at(chart.span(), format!("there is no chart `{name}`"))
                        .help(choices(name, &known, "charts")));
                }
            },
        });
    }
    Ok(charts)
}

fn speed(
    raw: &raw::Speed,
    swept: &[(String, std::ops::Range<usize>, Vec<String>)],
) -> Result<Chart, Problem> {
    if let Some(x) = &raw.x {
        let Some((key, span, values)) = swept.iter().find(|axis| axis.0 == *x.get_ref()) else {
            let keys: Vec<&str> = swept.iter().map(|axis| axis.0.as_str()).collect();
            return Err(Problem::at(x.span(), format!("`{}` is not swept", x.get_ref())).help(choices(
                x.get_ref(),
                &keys,
                "swept keys",
            )));
        };
        if let Some(value) = values.iter().find(|value| value.parse::<f64>().is_err()) {
            return Err(Problem::at(
                x.span(),
                format!("the chart needs numbers, and `{key}` takes `{value}`"),
            )
            .and(span.clone(), "it is swept"));
        }
    }
    Ok(Chart::Speed {
        x: raw.x.as_ref().map_or(String::new(), |x| x.get_ref().clone()),
        log_x: raw.log_x,
        log_y: raw.log_y,
        bound: raw.bound,
    })
}

/// The comment that a text opens with, without its marks: lines joined, an empty comment line begins a new one.
fn leading_comment(text: &str) -> String {
    let mut out = String::new();
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    for line in lines.skip_while(|line| line.is_empty()).map_while(|line| line.strip_prefix('#')) {
        let line = line.trim_start_matches('#').trim();
        if line.is_empty() {
            out.push('\n');
        } else {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push(' ');
            }
            out.push_str(line);
        }
    }
    out.trim().to_owned()
}
