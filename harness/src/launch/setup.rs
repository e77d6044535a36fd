//! Setup files: how to start a client, have it take a torrent, and end it. TOML; `docs/harness.md` has the keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::place::Place;
use super::template;

/// How a client is told of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum With {
    /// By a torrent file; all of the content is there.
    Seed,
    /// By a torrent file; nothing is there.
    Leech,
    /// By a magnet link.
    Magnet,
}

/// What ends a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// SIGINT.
    Int,
    /// SIGTERM.
    #[default]
    Term,
    /// SIGKILL.
    Kill,
}

/// A setup file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// What it is called in reports.
    pub name: String,
    /// A command that prints its version: the first word of the form `1.2`.
    #[serde(default)]
    pub version: Vec<String>,
    /// How it is started.
    pub start: Start,
    /// Files that are written below its folder first: their names and texts.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Requests to its control port that have it take the torrent.
    #[serde(default)]
    pub add: Vec<Step>,
    /// The signal that ends it.
    #[serde(default)]
    pub stop: Signal,
    /// How long a reaction of it may take, in seconds; what takes longer counts as none.
    #[serde(default = "default_patience")]
    pub patience_seconds: f64,
    /// How many of it may run at a time.
    #[serde(default)]
    pub jobs: Option<u16>,
    /// What it cannot do, and why: `magnet`, `dial`, `dial-loopback`,
    /// `udp-tracker`, `http-tracker`.
    #[serde(default)]
    pub cannot: BTreeMap<String, String>,
    /// Where the file is.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The program that runs, for setup files that start it again.
    #[serde(skip)]
    pub program: PathBuf,
}

fn default_patience() -> f64 {
    2.0
}

fn default_ready() -> f64 {
    40.0
}

/// How a client is started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Start {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// More of them to seed.
    #[serde(default)]
    pub seed: Vec<String>,
    /// More of them to leech.
    #[serde(default)]
    pub leech: Vec<String>,
    /// More of them for a magnet link.
    #[serde(default)]
    pub magnet: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The ports that it is ready with: `peers`, `control`, both or none.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// How long it may take until it listens and has checked a torrent, in seconds.
    #[serde(default = "default_ready")]
    pub ready_seconds: f64,
}

/// A port of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// For peers.
    Peers,
    /// For whoever controls it.
    Control,
}

/// A request over HTTP to the control port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// When: all, if none is named.
    #[serde(default)]
    pub when: Vec<With>,
    /// The path.
    pub path: String,
    /// Lines of the head.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The body; with none it is a GET.
    #[serde(default)]
    pub body: Option<String>,
    /// A header whose value, if the answer is 409, is to be sent back with the same request.
    #[serde(default)]
    pub token: Option<String>,
    /// A text that the answer has to have.
    #[serde(default)]
    pub expect: Option<String>,
}

impl Step {
    pub(super) fn applies(&self, with: With) -> bool {
        self.when.is_empty() || self.when.contains(&with)
    }
}

impl Start {
    pub(super) fn of(&self, with: With) -> &[String] {
        match with {
            With::Seed => &self.seed,
            With::Leech => &self.leech,
            With::Magnet => &self.magnet,
        }
    }

    pub(super) fn waits_for(&self, place: &Place) -> Vec<SocketAddr> {
        let addr = |port: &Port| match port {
            Port::Peers => place.peers(),
            Port::Control => place.control(),
        };
        self.ports.iter().map(addr).collect()
    }
}

/// Why a setup file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It is no setup file: the place in it is shown.
    #[error("{path}: {error}")]
    Syntax {
        /// The file.
        path: String,
        /// What is wrong, with the line.
        error: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{path}: {text}")]
    Value {
        /// The file.
        path: String,
        /// What is wrong.
        text: String,
    },
}

/// What a client may be said to be unable to do.
const ABILITIES: [&str; 5] = ["dial", "dial-loopback", "http-tracker", "magnet", "udp-tracker"];

impl Client {
    /// Reads a setup file.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| SetupError::Read { path: name.clone(), error })?;
        // Of a file without a folder in its name the parent is empty, which is no path.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new(".")).to_owned();
        let folder = folder.canonicalize().unwrap_or(folder);
        Self::parse(&text, folder, &name)
    }

    /// Reads a setup file's text. `name` is what errors call it.
    pub fn parse(text: &str, folder: PathBuf, name: &str) -> Result<Self, SetupError> {
        let path = name.to_owned();
        let client: Self = toml::from_str(text)
            .map_err(|error| SetupError::Syntax { path: path.clone(), error: Box::new(error) })?;
        let program = std::env::current_exe().unwrap_or_default();
        let client = Self { folder, program, ..client };
        match client.fault() {
            Some(text) => Err(SetupError::Value { path, text }),
            None => Ok(client),
        }
    }

    fn fault(&self) -> Option<String> {
        let seconds = |value: f64| value.is_finite() && value > 0.0 && value <= 3600.0;
        if self.start.command.is_empty() {
            return Some("start.command is empty".to_owned());
        }
        if !seconds(self.patience_seconds) || !seconds(self.start.ready_seconds) {
            return Some("times are above 0 and at most 3600 seconds".to_owned());
        }
        if let Some(odd) = self.cannot.keys().find(|key| !ABILITIES.contains(&key.as_str())) {
            return Some(format!("cannot.{odd} is not known: there are {}", ABILITIES.join(", ")));
        }
        let outside = |name: &&String| {
            Path::new(name.as_str()).components().any(|part| !matches!(part, std::path::Component::Normal(_)))
        };
        if let Some(name) = self.files.keys().find(outside) {
            return Some(format!("files.{name:?} is not below the client's folder"));
        }
        let start = &self.start;
        let texts = [&start.command, &start.seed, &start.leech, &start.magnet].into_iter().flatten();
        let texts = texts.chain(self.files.values()).chain(start.env.values());
        let steps = self
            .add
            .iter()
            .flat_map(|step| std::iter::once(&step.path).chain(&step.headers).chain(&step.body));
        texts.chain(steps).find_map(|text| template::check(text).err()).map(|error| error.to_string())
    }

    /// Why it cannot be told of a torrent in this way, if it cannot.
    pub fn cannot(&self, with: With) -> Option<String> {
        match with {
            With::Magnet => self.cannot.get("magnet").cloned(),
            With::Seed | With::Leech => None,
        }
    }
}
