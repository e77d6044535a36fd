//! Where a case is run. An arm carries bytes between a case and its target, and knows what waiting is.
//!
//! - [`memory`]: the engine itself, in virtual time: a case takes no time at all.
//! - [`socket`]: any client over TCP and UDP.

pub mod memory;
mod serving;
pub mod socket;
mod tracker;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::subject::Subject;

/// A connection, by number.
pub type Link = usize;

/// What came of waiting on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes, at least one.
    Bytes(Vec<u8>),
    /// The target has closed it.
    Closed,
    /// Nothing, in all the time.
    Nothing,
}

/// What a tracker of ours was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// To be given with the answer.
    pub ticket: usize,
    /// Which of the trackers, in the order of the torrent file.
    pub tracker: usize,
    /// When.
    pub at: Duration,
    /// How.
    pub what: Question,
}

/// The question itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An HTTP GET of this path and query, as they came.
    Http(String),
    /// A packet.
    Udp(Vec<u8>),
}

/// What a tracker of ours answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The body of an HTTP response.
    Body(Vec<u8>),
    /// All bytes of an HTTP response. Only over sockets.
    Raw(Vec<u8>),
    /// A packet.
    Packet(Vec<u8>),
    /// A packet from another port than was asked. Only over sockets.
    Astray(Vec<u8>),
}

/// How a target ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// By its own will, with a code: it may have refused what it was given.
    pub orderly: bool,
    /// In words.
    pub text: String,
}

/// An arm cannot do what a case needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotHere(pub String);

/// See the module. A target is there from the start to the end of an arm.
pub trait Arm {
    /// Since the arm began.
    fn now(&self) -> Duration;

    /// What is shared.
    fn subject(&self) -> &Subject;

    /// How long a reaction may take before there is none.
    fn patience(&self) -> Duration;

    /// Lets time go by.
    fn sleep(&mut self, time: Duration);

    /// An address that no connection of ours has come from.
    fn fresh(&mut self) -> Ipv4Addr;

    /// Dials the target; `None`: it takes no connection.
    fn dial(&mut self, from: Ipv4Addr) -> Option<Link>;

    /// A connection that the target has made to us, at the given one of our addresses.
    fn accept(&mut self, at: usize, within: Duration) -> Option<Link>;

    /// Our addresses that its tracker tells of.
    fn ours(&self) -> Vec<SocketAddr>;

    /// Sends; false: the connection is gone.
    fn send(&mut self, link: Link, bytes: &[u8]) -> bool;

    /// Waits for bytes.
    fn hear(&mut self, link: Link, within: Duration) -> Heard;

    /// Closes a connection.
    fn close(&mut self, link: Link);

    /// The next thing a tracker of ours is asked.
    fn asked(&mut self, within: Duration) -> Option<Asked>;

    /// Answers it.
    fn answer(&mut self, ticket: usize, answer: Answer) -> Result<(), NotHere>;

    /// Asks the target to leave.
    fn stop(&mut self) -> Result<(), NotHere>;

    /// Bytes that the target has in memory, if that can be told.
    fn memory(&mut self) -> Option<u64> {
        None
    }

    /// What is left of the time that the case has.
    fn left(&self) -> Duration {
        Duration::MAX
    }

    /// Whether the case has had its time.
    fn is_over(&self) -> bool {
        false
    }

    /// Gives time for what comes after the case.
    fn grace(&mut self) {}

    /// Why the target is no more, if so.
    fn death(&mut self) -> Option<Death>;

    /// What of the target's torrent lies outside of its folder.
    fn strays(&mut self) -> Vec<String>;
}
