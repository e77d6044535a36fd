//! Dialogues as text, a line a step, made to be read and edited:
//!
//! ```text
//! swarmlab dialogue 1
//! # anything behind a hash sign
//! target seed
//! content 270000 in pieces of 32768
//! 1 +0 handshake 0000000000100005 own "-XX0000-000000000001"
//! 1 +20 request 0 0 16384 / 3
//! ```
//!
//! A step is the remote's number, the milliseconds since the step before, what it does, and after a `/` the length
//! of the slices that its bytes go out in. Bytes are hexadecimal or a string in quotes; `(00*100)` is a hundred
//! zeros.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use engine::wire::{InfoHash, Message, PeerId, RawBlock};

use super::dialogue::{Act, Await, Dialogue, MAX_STEPS, MAX_WAIT, REMOTES, Role, Serve, Step};
use super::subject::Subject;

/// The first line.
pub const HEADER: &str = "swarmlab dialogue 1";
/// The most bytes of one step in a file.
const MAX_BYTES: usize = 4 << 20;
/// From so many equal bytes on they are written as `(00*N)`.
const RUN: usize = 6;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// Bytes as [`read_bytes`] takes them.
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').count();
        if plain * 4 >= self.0.len() * 3 && self.0.len() < 4096 {
            f.write_char('"')?;
            for &byte in self.0 {
                match byte {
                    b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
                    b' '..=b'~' => f.write_char(byte as char)?,
                    _ => write!(f, "\\x{byte:02x}")?,
                }
            }
            return f.write_char('"');
        }
        for run in self.0.chunk_by(|a, b| a == b) {
            match run {
                [byte, ..] if run.len() >= RUN => write!(f, "({byte:02x}*{})", run.len())?,
                _ => run.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

fn block(block: &RawBlock) -> String {
    format!("{} {} {}", block.piece, block.begin, block.length)
}

/// A message as a step names it.
pub fn show_message(message: &Message) -> String {
    match message {
        Message::KeepAlive => "keep-alive".into(),
        Message::Choke => "choke".into(),
        Message::Unchoke => "unchoke".into(),
        Message::Interested => "interested".into(),
        Message::NotInterested => "not-interested".into(),
        Message::Have(piece) => format!("have {piece}"),
        Message::Bitfield(payload) => format!("bitfield {}", Shown(payload)),
        Message::Request(raw) => format!("request {}", block(raw)),
        Message::Piece { piece, begin, data } => format!("piece {piece} {begin} {}", Shown(data)),
        Message::Cancel(raw) => format!("cancel {}", block(raw)),
        Message::Port(port) => format!("port {port}"),
        Message::Suggest(piece) => format!("suggest {piece}"),
        Message::HaveAll => "have-all".into(),
        Message::HaveNone => "have-none".into(),
        Message::Reject(raw) => format!("reject {}", block(raw)),
        Message::AllowedFast(piece) => format!("allowed-fast {piece}"),
        Message::Extended { id, payload } => format!("extended {id} {}", Shown(payload)),
        Message::Unknown { id, payload } => format!("unknown {id} {}", Shown(payload)),
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Handshake { reserved, info_hash, peer_id } => {
                f.write_str("handshake ")?;
                reserved.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                match info_hash {
                    None => f.write_str(" own ")?,
                    Some(hash) => write!(f, " {hash} ")?,
                }
                write!(f, "{}", Shown(&peer_id.0))
            }
            Self::Say(message) => f.write_str(&show_message(message)),
            Self::Block(raw) => write!(f, "block {}", block(raw)),
            Self::Bytes(bytes) => write!(f, "bytes {}", Shown(bytes)),
            Self::Await(what) => {
                let name = Await::ALL.iter().find(|(kind, _)| kind == what).map_or("", |(_, name)| name);
                write!(f, "await {name}")
            }
            Self::Serve { count, how } => {
                let name = Serve::ALL.iter().find(|(kind, _)| kind == how).map_or("", |(_, name)| name);
                write!(f, "serve {count} {name}")
            }
            Self::Close => f.write_str("close"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} +{} {}", self.remote, self.wait.as_millis(), self.act)?;
        if self.slice > 0 { write!(f, " / {}", self.slice) } else { Ok(()) }
    }
}

impl fmt::Display for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "target {}", self.role.name())?;
        writeln!(f, "content {} in pieces of {}", self.total, self.piece_length)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// As text: what fails is to be read, and replayed.
impl fmt::Debug for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

/// One line, word by word.
struct Words<'a>(&'a str);

type Read<T> = Result<T, String>;

impl<'a> Words<'a> {
    /// The next word; what is in quotes is one.
    fn next(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start();
        let end = if self.0.starts_with('"') {
            let mut escaped = false;
            let closing = self.0.char_indices().skip(1).find(|&(_, c)| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            closing.map_or(self.0.len(), |(at, _)| at + 1)
        } else {
            self.0.find(char::is_whitespace).unwrap_or(self.0.len())
        };
        let (word, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn word(&mut self, what: &str) -> Read<&'a str> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    fn number<T: FromStr>(&mut self, what: &str) -> Read<T> {
        let word = self.word(what)?;
        word.parse().map_err(|_| format!("{what} is no number, or out of range: {}", cut(word)))
    }

    fn bytes(&mut self) -> Read<Vec<u8>> {
        self.next().map_or(Ok(Vec::new()), read_bytes)
    }

    fn block(&mut self) -> Read<RawBlock> {
        Ok(RawBlock {
            piece: self.number("the piece")?,
            begin: self.number("the offset")?,
            length: self.number("the length")?,
        })
    }

    fn one_of<T: Copy>(&mut self, what: &str, all: &[(T, &str)]) -> Read<T> {
        let word = self.word(what)?;
        let names = || all.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|(_, name)| *name == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| format!("{what} is {}, not one of {}", cut(word), names()))
    }
}

/// As much of a word as an error shows.
fn cut(word: &str) -> String {
    let shown: String = word.chars().take(40).collect();
    if shown.len() < word.len() { format!("`{shown}…`") } else { format!("`{shown}`") }
}

fn hex(pair: &[u8]) -> Read<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    match pair {
        [high, low] => digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8),
        _ => None,
    }
    .ok_or_else(|| format!("these are no two hexadecimal digits: {}", cut(&String::from_utf8_lossy(pair))))
}

/// Bytes from a word: hexadecimal with runs, or a string in quotes.
pub fn read_bytes(word: &str) -> Read<Vec<u8>> {
    let mut out = Vec::new();
    if let Some(rest) = word.strip_prefix('"') {
        let mut rest = rest.strip_suffix('"').ok_or("a string without its closing quote")?.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match (byte, rest) {
                (b'\\', [b'x', a, b, after @ ..]) => {
                    out.push(hex(&[*a, *b])?);
                    rest = after;
                }
                (b'\\', [escaped @ (b'"' | b'\\'), after @ ..]) => {
                    out.push(*escaped);
                    rest = after;
                }
                (b'\\', _) => return Err("after a \\ comes x and two digits, a quote, or another \\".into()),
                _ => out.push(byte),
            }
        }
        return Ok(out);
    }
    let mut rest = word;
    while !rest.is_empty() {
        if let Some(run) = rest.strip_prefix('(') {
            let (run, after) = run.split_once(')').ok_or("a run without its closing bracket")?;
            let (byte, times) = run.split_once('*').ok_or("a run has the form (00*100)")?;
            let byte = hex(byte.as_bytes())?;
            let times =
                times.parse::<usize>().ok().filter(|times| out.len().saturating_add(*times) <= MAX_BYTES);
            let times = times.ok_or_else(|| format!("a step has at most {MAX_BYTES} bytes"))?;
            out.resize(out.len() + times, byte);
            rest = after;
        } else {
            let (pair, after) =
                rest.split_at_checked(2).ok_or_else(|| format!("half a byte: {}", cut(rest)))?;
            out.push(hex(pair.as_bytes())?);
            rest = after;
        }
    }
    Ok(out)
}

fn array<const N: usize>(bytes: Vec<u8>, what: &str) -> Read<[u8; N]> {
    let got = bytes.len();
    bytes.try_into().map_err(|_| format!("{what} has {N} bytes, not {got}"))
}

fn read_act(words: &mut Words<'_>) -> Read<Act> {
    let name = words.word("what is done")?;
    Ok(match name {
        "connect" => Act::Connect,
        "close" => Act::Close,
        "handshake" => {
            let reserved = array(words.bytes()?, "what a handshake reserves")?;
            let hash = words.word("the info-hash")?;
            let own = hash == "own";
            let info_hash =
                if own { None } else { Some(InfoHash(array(read_bytes(hash)?, "an info-hash")?)) };
            Act::Handshake { reserved, info_hash, peer_id: PeerId(array(words.bytes()?, "a peer id")?) }
        }
        "block" => Act::Block(words.block()?),
        "bytes" => Act::Bytes(words.bytes()?),
        "await" => Act::Await(words.one_of("what is awaited", &Await::ALL)?),
        "serve" => {
            let count = words.number("how many are served")?;
            Act::Serve { count, how: words.one_of("how they are served", &Serve::ALL)? }
        }
        _ => Act::Say(read_message(name, words)?),
    })
}

fn read_message(name: &str, words: &mut Words<'_>) -> Read<Message> {
    Ok(match name {
        "keep-alive" => Message::KeepAlive,
        "choke" => Message::Choke,
        "unchoke" => Message::Unchoke,
        "interested" => Message::Interested,
        "not-interested" => Message::NotInterested,
        "have" => Message::Have(words.number("the piece")?),
        "bitfield" => Message::Bitfield(words.bytes()?.into()),
        "request" => Message::Request(words.block()?),
        "piece" => Message::Piece {
            piece: words.number("the piece")?,
            begin: words.number("the offset")?,
            data: words.bytes()?.into(),
        },
        "cancel" => Message::Cancel(words.block()?),
        "port" => Message::Port(words.number("the port")?),
        "suggest" => Message::Suggest(words.number("the piece")?),
        "have-all" => Message::HaveAll,
        "have-none" => Message::HaveNone,
        "reject" => Message::Reject(words.block()?),
        "allowed-fast" => Message::AllowedFast(words.number("the piece")?),
        "extended" => Message::Extended { id: words.number("the id")?, payload: words.bytes()?.into() },
        "unknown" => Message::Unknown { id: words.number("the id")?, payload: words.bytes()?.into() },
        _ => return Err(format!("{} is nothing that a remote does", cut(name))),
    })
}

fn read_step(line: &str) -> Read<Step> {
    let mut words = Words(line);
    let remote = words.number("the remote")?;
    if !(1..=REMOTES).contains(&remote) {
        return Err(format!("remotes are numbered from 1 to {REMOTES}"));
    }
    let wait = words.word("the wait")?;
    let wait = wait.strip_prefix('+').ok_or_else(|| format!("a wait has the form +20, not {}", cut(wait)))?;
    let wait = wait.parse().ok().map(Duration::from_millis).filter(|wait| *wait <= MAX_WAIT);
    let wait = wait.ok_or_else(|| format!("a wait is at most {} ms", MAX_WAIT.as_millis()))?;
    // The slash may be in a string, so it counts as a word alone.
    let (head, slice) = match line.rsplit_once(" / ") {
        Some((head, slice)) if slice.trim().bytes().all(|byte| byte.is_ascii_digit()) => {
            let slice = slice.trim().parse::<u16>().ok().filter(|slice| *slice > 0);
            (head, slice.ok_or("slices have 1 to 65535 bytes")?)
        }
        _ => (line, 0),
    };
    let mut words = Words(head);
    let _ = (words.next(), words.next());
    let act = read_act(&mut words)?;
    match words.next() {
        None => Ok(Step { remote, wait, act, slice }),
        Some(more) => Err(format!("{} is more than belongs there", cut(more))),
    }
}

impl FromStr for Dialogue {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let fail = |line, what: String| TextError { line, what };
        let mut due =
            |what: &str| lines.next().ok_or_else(|| fail(text.lines().count(), format!("{what} is missing")));
        let (at, header) = due("the first line")?;
        if header != HEADER {
            return Err(fail(at, format!("the first line is `{HEADER}`, not {}", cut(header))));
        }
        let (at, target) = due("the target")?;
        let roles = Role::ALL.map(|role| (role, role.name()));
        let mut words = Words(target.strip_prefix("target ").ok_or_else(|| {
            fail(at, format!("the second line names the target, as in `target seed`, not {}", cut(target)))
        })?);
        let role = words.one_of("the target", &roles).map_err(|what| fail(at, what))?;
        let (at, content) = due("the content")?;
        let numbers = content.strip_prefix("content ").and_then(|rest| rest.split_once(" in pieces of "));
        let numbers = numbers.and_then(|(total, piece)| Some((total.parse().ok()?, piece.parse().ok()?)));
        let (total, piece_length) = numbers.filter(|&(total, piece)| {
            (1..=Subject::MAX_TOTAL).contains(&total) && engine::Layout::new(total, piece).is_ok() && total / piece <= 65_536
        }).ok_or_else(|| {
            fail(at, "the third line says how the content is cut, as in `content 270000 in pieces of 32768`, with at most 64 MiB and 65,536 pieces".into())
        })?;
        let piece_length = u32::try_from(piece_length).map_err(|_| fail(at, "a piece is too long".into()))?;
        let mut steps = Vec::new();
        for (at, line) in lines {
            if steps.len() == MAX_STEPS {
                return Err(fail(at, format!("a dialogue has at most {MAX_STEPS} steps")));
            }
            steps.push(read_step(line).map_err(|what| fail(at, what))?);
        }
        Ok(Self { role, total, piece_length, steps })
    }
}
