//! What a dialogue can show of the peer that is spoken to.

use std::fmt;

use crate::conduct::Rule;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It panicked.
    Panic {
        /// File and line.
        at: String,
        /// With these words.
        message: String,
    },
    /// Its process ended.
    Gone(String),
    /// It broke a rule of the protocol.
    Breach {
        /// Which.
        rule: Rule,
        /// By this message.
        by: String,
    },
    /// It sent bytes that are no messages.
    Undecodable(String),
    /// It has more to say to one input than any input is worth.
    Flood(usize),
    /// It holds far more memory than it was sent, in bytes.
    Memory(u64),
    /// It no longer does its work for an honest remote.
    Unserved(String),
    /// It does not come to an end.
    Hang,
}

impl Finding {
    /// Whether this is the same fault, as far as can be told: of a panic the place counts, of a breach the rule.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic { at, .. }, Self::Panic { at: other, .. }) => at == other,
            (Self::Breach { rule, .. }, Self::Breach { rule: other, .. }) => rule == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// A word for file names.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Panic { .. } => "panic",
            Self::Gone(_) => "gone",
            Self::Breach { .. } => "breach",
            Self::Undecodable(_) => "undecodable",
            Self::Flood(_) => "flood",
            Self::Memory(_) => "memory",
            Self::Unserved(_) => "unserved",
            Self::Hang => "hang",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic { at, message } => write!(f, "it panicked at {at}: {message}"),
            Self::Gone(how) => write!(f, "its process ended: {how}"),
            Self::Breach { rule, by } => write!(f, "it {rule}: {by}"),
            Self::Undecodable(why) => write!(f, "it sent what is no message: {why}"),
            Self::Flood(outputs) => write!(f, "it had {outputs} things to say to one input, and no end"),
            Self::Memory(bytes) => write!(f, "it held {bytes} bytes more than before"),
            Self::Unserved(why) => write!(f, "an honest remote is not served: {why}"),
            Self::Hang => f.write_str("it does not come to an end"),
        }
    }
}
