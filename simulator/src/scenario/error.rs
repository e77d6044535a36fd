//! What is wrong with a scenario, told so that it can be shown: the text it was read from, the bytes at fault,
//! and what to do. Every span lies inside the text, on character boundaries.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of the source, with a word on what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bytes, within [`ScenarioError::source_text`].
    pub span: Range<usize>,
    /// What is there; may be empty.
    pub text: String,
}

/// Why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScenarioError {
    /// Where the text is from: the scenario file's path, or `--set`.
    pub source_name: String,
    /// The text; empty if it could not be read.
    pub source_text: Arc<str>,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// Where, the most important place first; empty if the text as a whole is at fault.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl ScenarioError {
    /// An error of the file as a whole, such as that there is none.
    pub(super) fn unreadable(source_name: &str, message: String, help: &str) -> Self {
        Self {
            source_name: source_name.to_owned(),
            source_text: "".into(),
            message,
            labels: Vec::new(),
            help: Some(help.to_owned()),
        }
    }

    /// Line and column of the first label, both from 1, the column in characters.
    pub fn position(&self) -> Option<(usize, usize)> {
        let start = self.labels.first()?.span.start;
        Some(position(&self.source_text, start))
    }

    /// The error as plain text: message, place, each labelled line with its bytes underlined, help. Ends in a
    /// line feed. (A program with colours makes its own from the fields.)
    pub fn render(&self) -> String {
        let mut out = format!("error: {}\n", self.message);
        match self.position() {
            Some((line, column)) => writeln!(out, " --> {}:{line}:{column}", self.source_name),
            None => writeln!(out, " --> {}", self.source_name),
        }
        .ok();
        for label in &self.labels {
            let text = &*self.source_text;
            let (line, column) = position(text, label.span.start);
            let content = text.lines().nth(line - 1).unwrap_or("").trim_end();
            let covered = text.get(label.span.clone()).unwrap_or("").lines().next().unwrap_or("");
            let gutter = " ".repeat(line.to_string().len());
            let marks = "^".repeat(covered.chars().count().max(1));
            writeln!(out, "{line} | {content}").ok();
            let under = format!("{gutter} | {}{marks} {}", " ".repeat(column - 1), label.text);
            writeln!(out, "{}", under.trim_end()).ok();
        }
        if let Some(help) = &self.help {
            writeln!(out, "help: {help}").ok();
        }
        out
    }
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |feed| feed + 1);
    (line, before[start..].chars().count() + 1)
}

/// An error before it is known which text its spans are in: they count through all texts of one load (see
/// [`Sources`]).
#[derive(Debug)]
pub(super) struct Problem {
    pub message: String,
    pub labels: Vec<(Range<usize>, String)>,
    pub help: Option<String>,
}

impl Problem {
    /// An error at `span`.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: vec![(span, String::new())], help: None }
    }

    /// An error of no particular place.
    pub fn general(message: impl Into<String>) -> Self {
        Self { message: message.into(), labels: Vec::new(), help: None }
    }

    /// The same with a further place.
    pub fn and(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// The same with what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// From an error of the TOML parser, in a text that begins at `offset`.
    pub fn syntax(error: &toml::de::Error, offset: usize) -> Self {
        let mut problem = Self::from_toml(error, offset);
        problem.message = format!("this is no TOML: {}", problem.message);
        problem
    }

    /// From an error of a typed value whose spans begin at `offset`.
    pub fn from_toml(error: &toml::de::Error, offset: usize) -> Self {
        let (message, help) = plain(error.message());
        let labels = error.span().map(|span| (span.start + offset..span.end + offset, String::new()));
        Self { message, labels: labels.into_iter().collect(), help }
    }
}

/// The parser's message in this project's words, and what to do about it.
fn plain(message: &str) -> (String, Option<String>) {
    // Our own values put their help after a line feed.
    if let Some((message, help)) = message.split_once('\n') {
        return (message.to_owned(), Some(help.to_owned()));
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let expected = quoted.get(1..).unwrap_or_default();
    if let Some(name) = quoted.first() {
        if message.starts_with("unknown field") {
            let help = match expected {
                [] => "nothing may stand here".to_owned(),
                _ => choices(name, expected, "keys here"),
            };
            return (format!("there is no key `{name}` here"), Some(help));
        }
        if message.starts_with("unknown variant") {
            return (format!("`{name}` is none of the choices"), Some(choices(name, expected, "choices")));
        }
        if message.starts_with("missing field") {
            let help = match *name {
                "content" => "add a table [content] with the `size` of what is shared".to_owned(),
                "groups" => "add a table [groups.NAME] for each kind of peer".to_owned(),
                _ => format!("add `{name} = …` to this table"),
            };
            return (format!("the key `{name}` is missing"), Some(help));
        }
    }
    if message.starts_with("wanted exactly 1 element") {
        return ("exactly one key belongs into this table".to_owned(), None);
    }
    if message.ends_with("expected newtype variant") {
        let help = "write it as a table, as in `{ after = \"5 min\" }`; docs/scenario.md lists the forms";
        return ("this choice needs a value".to_owned(), Some(help.to_owned()));
    }
    let invalid = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some(rest) = invalid
        && let Some((found, wanted)) = rest.split_once(", expected ")
    {
        let wanted = if wanted == "u64" { "a whole number from 0 to 18446744073709551615" } else { wanted };
        return (format!("expected {wanted}, found {}", found.trim_end_matches(" as i128")), None);
    }
    (message.to_owned(), None)
}

/// "did you mean `x`? NOUN: `x`, `y`".
pub(super) fn choices<S: AsRef<str>>(name: &str, known: &[S], noun: &str) -> String {
    let list = known.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known.as_ref()), known.as_ref()))
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3)
        .min();
    let begun = |known: &&str| name.len() >= 3 && (known.starts_with(name) || name.starts_with(*known));
    match near.map(|near| near.1).or_else(|| known.iter().map(AsRef::as_ref).find(begun)) {
        Some(near) => format!("did you mean `{near}`? {noun}: {list}"),
        None if known.is_empty() => format!("{noun}: none"),
        None => format!("{noun}: {list}"),
    }
}

/// The texts of one load, the file first, then each `--set`: spans count through all of them, so that a value
/// keeps its place when it is moved from one into another.
#[derive(Debug)]
pub(super) struct Sources {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    text: Arc<str>,
    start: usize,
}

impl Sources {
    /// The texts with their names.
    pub fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut parts = Vec::new();
        let mut start = 0;
        for (name, text) in texts {
            let end = start + text.len();
            parts.push(Part { name, text: text.into(), start });
            // The gap tells the end of one text from the start of the next.
            start = end + 1;
        }
        Self { parts }
    }

    /// Text number `n` and where its spans begin.
    pub fn part(&self, n: usize) -> (&str, usize) {
        self.parts.get(n).map_or(("", 0), |part| (&*part.text, part.start))
    }

    /// The text at `span`.
    pub fn text(&self, span: Range<usize>) -> &str {
        let (part, span) = self.locate(span);
        self.parts.get(part).and_then(|part| part.text.get(span)).unwrap_or("")
    }

    fn locate(&self, span: Range<usize>) -> (usize, Range<usize>) {
        let after = self.parts.partition_point(|part| part.start <= span.start);
        let part = after.saturating_sub(1);
        let Some(Part { text, start, .. }) = self.parts.get(part) else { return (0, 0..0) };
        let boundary = |at: usize| {
            let mut at = at.saturating_sub(*start).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (from, to) = (boundary(span.start), boundary(span.end));
        (part, from..to.max(from))
    }

    /// The error as it is shown: in the text of its first place; places in other texts go into the help.
    pub fn error(&self, problem: Problem) -> ScenarioError {
        let located: Vec<_> =
            problem.labels.into_iter().map(|(span, text)| (self.locate(span), text)).collect();
        let part = located.first().map_or(0, |((part, _), _)| *part);
        let mut help = problem.help;
        let mut labels = Vec::new();
        for ((at, span), text) in located {
            if at != part {
                if let Some(Part { name, text: source, .. }) = self.parts.get(at) {
                    let (line, column) = position(source, span.start);
                    let note = format!("{text} at {name}:{line}:{column}");
                    help = Some(help.map_or(note.clone(), |help| format!("{help}; {note}")));
                }
            } else if span != (0..self.parts[part].text.len()) {
                // A span of everything says nothing.
                labels.push(Label { span, text });
            }
        }
        let (source_name, source_text) = self
            .parts
            .get(part)
            .map_or((String::new(), "".into()), |part| (part.name.clone(), Arc::clone(&part.text)));
        ScenarioError { source_name, source_text, message: problem.message, labels, help }
    }
}
