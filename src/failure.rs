//! How a command ends: its exit code, and what is printed when it could not do its work.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    ThemeCharacters, ThemeStyles,
};
use simulator::scenario::ScenarioError;

/// How a command ended that did its work, or as much of it as it was let.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Ok,
    /// The verdict that was asked for is no.
    Failed,
    /// It was told to stop.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// A scenario is wrong.
    Scenario(Box<ScenarioError>),
    /// What was given is wrong: the message, and what to do about it.
    Input(String, Option<String>),
    /// A file cannot be read or written.
    Io(String),
    /// A process of ours could not do its work: it has said why, and ended with this code.
    Told(u8),
    /// Nobody reads what is printed any more: no error.
    BrokenPipe,
}

impl Failure {
    /// What was given is wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into(), None)
    }

    /// A path that cannot be `done` (read, written).
    pub fn path(done: &str, path: &Path, error: &io::Error) -> Self {
        Self::Io(format!("cannot {done} {}: {error}", path.display()))
    }

    /// A path that was given and cannot be read. If there is nothing, what was given is wrong; else the file's or
    /// the system's state is.
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::input(format!("{} is no file and no folder", path.display()))
            }
            io::ErrorKind::IsADirectory => {
                Self::input(format!("{} is a folder, and no file", path.display()))
            }
            _ => Self::path("read", path, error),
        }
    }

    /// The same with what to do about it, where it is what was given that is wrong.
    pub fn help(self, help: &str) -> Self {
        match self {
            Self::Input(message, None) => Self::Input(message, Some(help.to_owned())),
            other => other,
        }
    }

    /// What is wrong, in a line.
    pub fn message(&self) -> &str {
        match self {
            Self::Scenario(error) => &error.message,
            Self::Input(message, _) | Self::Io(message) => message,
            Self::Told(_) => "a process of ours has failed",
            Self::BrokenPipe => "nobody reads what is printed",
        }
    }

    /// Prints it; the exit code that it has.
    pub fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Scenario(error) => (rendered(&ScenarioReport::new(*error)), 2),
            Self::Input(message, help) => {
                let help = help.map_or(String::new(), |help| format!("  help: {help}\n"));
                (format!("error: {message}\n{help}"), 2)
            }
            Self::Io(message) => (format!("error: {message}\n"), 3),
            Self::Told(code) => (String::new(), code),
            Self::BrokenPipe => (String::new(), 0),
        };
        // There is nowhere left to say that this could not be said.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(code)
    }
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(Box::new(error))
    }
}

impl From<io::Error> for Failure {
    /// Of printing: commands tell other errors with their path.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Io(format!("cannot print: {error}")),
        }
    }
}

impl From<reports::Error> for Failure {
    fn from(error: reports::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<simulator::runner::RunnerError> for Failure {
    fn from(error: simulator::runner::RunnerError) -> Self {
        Self::input(error.to_string())
    }
}

/// A scenario's error with its source, as miette wants it.
#[derive(Debug)]
struct ScenarioReport {
    error: ScenarioError,
    source: NamedSource<String>,
}

impl ScenarioReport {
    fn new(error: ScenarioError) -> Self {
        let source = NamedSource::new(&error.source_name, error.source_text.to_string());
        Self { error, source }
    }
}

impl std::fmt::Display for ScenarioReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Where nothing is pointed at, the file is to be named all the same, and once.
        if self.error.labels.is_empty() && !self.error.message.contains(&self.error.source_name) {
            write!(f, "{}: ", self.error.source_name)?;
        }
        f.write_str(&self.error.message)
    }
}

impl std::error::Error for ScenarioReport {}

impl Diagnostic for ScenarioReport {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let help = self.error.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.error.source_text.is_empty()).then_some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.error.labels.is_empty() {
            return None;
        }
        let labels = self.error.labels.iter().map(|label| {
            let text = Some(label.text.clone()).filter(|text| !text.is_empty());
            LabeledSpan::new(text, label.span.start, label.span.len())
        });
        Some(Box::new(labels))
    }
}

/// With colours on a terminal, as plain ASCII elsewhere.
fn rendered(report: &ScenarioReport) -> String {
    let coloured = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let mut theme = match coloured {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme { characters: ThemeCharacters::ascii(), styles: ThemeStyles::none() },
    };
    theme.characters.error = "error:".to_owned();
    let mut out = String::new();
    match GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut out, report) {
        Ok(()) => out.trim().lines().map(|line| format!("{}\n", line.trim_end())).collect(),
        Err(_) => report.error.render(),
    }
}
