//! What a case is, and what comes of one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::subject::Forge;
use super::talk::Talk;
use crate::launch::With;

/// How binding what a case asks for is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// The specification demands it. BEP 3 has no such words: its flat statements count.
    Must,
    /// The specification recommends it ("generally" in BEP 3).
    Should,
    /// The specification leaves it open: what is done is noted, and passes.
    May,
    /// No specification says so, and every program owes it: it lives on, and goes on with its work.
    Robust,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::May => "may",
            Self::Robust => "robust",
        })
    }
}

/// What the target is when the case begins.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// It has all of the torrent.
    Seed,
    /// It has the torrent file and none of the content.
    Leech,
    /// It has a magnet link.
    Link,
    /// It is given a torrent file that the case makes.
    File(fn(&Forge) -> Vec<u8>),
}

impl Role {
    /// How a client is told of the torrent.
    pub fn with(&self) -> With {
        match self {
            Self::Seed => With::Seed,
            Self::Leech | Self::File(_) => With::Leech,
            Self::Link => With::Magnet,
        }
    }
}

/// What the target's trackers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// One that answers by itself and knows of so many peers, all of them ours. With 0 the target is dialled.
    Tells(u8),
    /// The case answers: HTTP trackers, so many in each tier (BEP 12).
    Http(&'static [u8]),
    /// The case answers, over UDP (BEP 15).
    Udp,
}

/// What a case begins with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// What the target is.
    pub role: Role,
    /// The torrent is private (BEP 27).
    pub private: bool,
    /// Its trackers.
    pub tracking: Tracking,
    /// It is to dial us.
    pub dials: bool,
}

impl Setup {
    /// A seed that we dial.
    pub const SEED: Self =
        Self { role: Role::Seed, private: false, tracking: Tracking::Tells(0), dials: false };
    /// A leech that we dial.
    pub const LEECH: Self = Self { role: Role::Leech, ..Self::SEED };
    /// One that has a magnet link and that we dial.
    pub const LINK: Self = Self { role: Role::Link, ..Self::SEED };

    /// With other trackers.
    pub const fn tracking(self, tracking: Tracking) -> Self {
        Self { tracking, ..self }
    }

    /// And it is to dial those that its tracker tells of.
    pub const fn dials(self) -> Self {
        Self { dials: true, ..self }
    }

    /// With a private torrent.
    pub const fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// A target that is given this file, and a tracker that the case answers for.
    pub const fn file(make: fn(&Forge) -> Vec<u8>) -> Self {
        Self { role: Role::File(make), private: false, tracking: Tracking::Http(&[1]), dials: false }
    }

    /// Whether any seed of the torrent will do: no tracker, no content of ours.
    pub fn is_plain_seed(&self) -> bool {
        matches!(self.role, Role::Seed) && !self.private && self.tracking == Tracking::Tells(0)
    }
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, as in `bep3/request/beyond-end`.
    pub id: &'static str,
    /// Where the specification says so.
    pub section: &'static str,
    /// How binding it is.
    pub requirement: Requirement,
    /// What is required, in a sentence.
    pub description: &'static str,
    /// What it begins with.
    pub setup: Setup,
    /// The target is asked to leave in it: nothing is expected of it afterwards.
    pub ends: bool,
    /// Does it. Written once, in steps that wait; what waiting is, the arm knows.
    pub run: fn(&mut Talk<'_>) -> Outcome,
}

impl Case {
    /// The first part of its id.
    pub fn area(&self) -> &'static str {
        self.id.split('/').next().unwrap_or(self.id)
    }
}

/// What the target did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reaction {
    /// It closed the connection.
    Closes,
    /// It took no notice, and went on.
    Ignores,
    /// It refused, by a message.
    Rejects,
    /// It did what it was asked for.
    Serves,
    /// It choked.
    Chokes,
    /// It took what it was told.
    Accepts,
    /// It said nothing more, and left the connection open.
    Silent,
    /// It takes no connection from that address any more.
    Bans,
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closes => "closes",
            Self::Ignores => "ignores",
            Self::Rejects => "rejects",
            Self::Serves => "serves",
            Self::Chokes => "chokes",
            Self::Accepts => "accepts",
            Self::Silent => "silent",
            Self::Bans => "bans",
        })
    }
}

/// What a case saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is what is required.
    pub holds: bool,
    /// What the target did.
    pub reaction: Option<Reaction>,
    /// How long that took, from the stimulus.
    pub after: Option<Duration>,
    /// More of what was seen, for people. Of what breaks a requirement it says what that was, unless the reaction does.
    pub note: String,
    /// What should have been seen, where the case's description does not say so.
    pub expected: Option<String>,
}

impl Finding {
    /// What is required was seen.
    pub fn holds(note: impl Into<String>) -> Self {
        Self { holds: true, reaction: None, after: None, note: note.into(), expected: None }
    }

    /// Something else was.
    pub fn breaks(note: impl Into<String>) -> Self {
        Self { holds: false, ..Self::holds(note) }
    }

    /// By a condition, with what was seen.
    pub fn of(holds: bool, note: impl Into<String>) -> Self {
        Self { holds, ..Self::holds(note) }
    }

    /// What should have been seen, for a case whose description does not say so.
    pub fn expecting(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    /// What was seen, in words: the reaction, when, and the note.
    pub fn seen(&self) -> String {
        let reaction = self.reaction.map(|reaction| reaction.to_string());
        // In virtual time, and on the spot, there is nothing to tell.
        let after = self.after.filter(|after| after.as_micros() >= 500);
        let after = after.map(|after| format!("after {:.3} s", after.as_secs_f64()));
        let mut words: Vec<String> = [reaction, after].into_iter().flatten().collect();
        if !self.note.is_empty() {
            words.push(if words.is_empty() { self.note.clone() } else { format!("({})", self.note) });
        }
        words.join(" ")
    }
}

/// A reaction and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What.
    pub reaction: Reaction,
    /// How long it took.
    pub after: Duration,
}

impl Seen {
    /// Whichever it was, it is noted.
    pub fn noted(self) -> Finding {
        self.required(true)
    }

    /// It must be one of these.
    pub fn one_of(self, allowed: &[Reaction]) -> Finding {
        self.required(allowed.contains(&self.reaction))
    }

    fn required(self, holds: bool) -> Finding {
        Finding { reaction: Some(self.reaction), after: Some(self.after), ..Finding::of(holds, "") }
    }
}

/// Why a case came to no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// It does not apply: what it needs is not there.
    Skip(String),
    /// What has to come before it went wrong.
    Stuck(String),
}

/// What a case's `run` returns.
pub type Outcome = Result<Finding, Halt>;

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As required.
    Pass,
    /// Left open by the specification; noted.
    Info,
    /// Not applicable.
    Skip,
    /// A should is broken.
    Warn,
    /// A must is broken, or what everybody owes.
    Fail,
    /// The case did not come to what it is about.
    Stuck,
    /// It does not answer any more, though its process lives.
    Hang,
    /// Its process has ended.
    Crash,
}

impl Verdict {
    /// Whether a run with this in it fails.
    pub fn is_failure(self, requirement: Requirement) -> bool {
        match self {
            Self::Fail | Self::Hang | Self::Crash => true,
            Self::Stuck => matches!(requirement, Requirement::Must | Requirement::Robust),
            Self::Pass | Self::Info | Self::Skip | Self::Warn => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Info => "info",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Stuck => "STUCK",
            Self::Hang => "HANG",
            Self::Crash => "CRASH",
        })
    }
}
