//! What a peer may say and when: a model of the protocol's states, apart from the engine, held against all that
//! crosses the seam of one peer. The same model judges a peer in the simulator and one over sockets.
//!
//! Messages cross on their way, so that only the speaker can be judged: by what it had heard when it spoke. To
//! judge both ends of a connection, watch both.

mod dialogue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use engine::peer::{Input, Output};
use engine::{ConnId, Layout};

use crate::words;

use dialogue::Dialogue;

/// A rule that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Rule {
    /// BEP 3: the handshake comes first.
    #[error("spoke before its handshake")]
    HandshakeFirst,
    /// BEP 3: one handshake.
    #[error("sent a second handshake")]
    OneHandshake,
    /// Nothing goes to a connection that is closed.
    #[error("spoke to a connection that is closed")]
    Closed,
    /// BEP 3, BEP 6: a bitfield, have-all or have-none is the first message or none.
    #[error("sent its pieces late")]
    PiecesFirst,
    /// BEP 3: a bitfield has a bit for each piece and no other bit set.
    #[error("sent an invalid bitfield")]
    ValidBitfield,
    /// BEP 6: both must have set the bit.
    #[error("sent a message of the fast extension without both ends' bit")]
    FastAgreed,
    /// BEP 6: who speaks it says its pieces first, if only that it has none.
    #[error("speaks the fast extension and did not say its pieces first")]
    FastSaysPieces,
    /// BEP 10: the receiver must have set the bit.
    #[error("sent an extended message without the receiver's bit")]
    ExtendedAgreed,
    /// A piece that the torrent does not have.
    #[error("named a piece out of range")]
    PieceInRange,
    /// BEP 3: a HAVE is news.
    #[error("said twice that it has a piece")]
    HaveOnce,
    /// BEP 3: only changes of interest are said.
    #[error("said its interest twice")]
    InterestChanges,
    /// BEP 3: interest is in pieces that the other has and we lack.
    #[error("is interested in nothing that the other has")]
    InterestFounded,
    /// BEP 3: only changes of choking are said.
    #[error("said twice that it chokes, or that it does not")]
    ChokeChanges,
    /// BEP 3: blocks lie in the torrent; every client asks for 16 KiB at an offset of as many.
    #[error("asked for what is no block")]
    RequestIsBlock,
    /// BEP 3: one asks for what the other has.
    #[error("asked for a piece that the other has not")]
    RequestHad,
    /// BEP 3: one does not ask while choked; but BEP 6: for pieces that are allowed.
    #[error("asked while it was choked")]
    RequestUnchoked,
    /// BEP 3: one asks when interested.
    #[error("asked without interest")]
    RequestInterested,
    /// One asks once, until it is answered.
    #[error("asked twice for a block")]
    RequestOnce,
    /// BEP 3: what is cancelled was asked for.
    #[error("cancelled what it had not asked for")]
    CancelAsked,
    /// BEP 3: what is sent was asked for, and neither cancelled nor dropped by a choke (BEP 6 keeps it).
    #[error("sent a block that nobody waits for")]
    PieceAsked,
    /// BEP 3: what is sent is had.
    #[error("sent of a piece that it never said it has")]
    PieceHad,
    /// BEP 6: what is rejected was asked for and not answered.
    #[error("rejected what nobody waits for")]
    RejectAsked,
}

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// On which connection.
    pub conn: ConnId,
    /// Which.
    pub rule: Rule,
    /// The message, in words.
    pub by: String,
}

/// The model of one peer's connections.
#[derive(Debug)]
pub struct Conduct {
    layout: Layout,
    open: BTreeMap<ConnId, Dialogue>,
    breaches: Vec<Breach>,
    messages: u64,
}

impl Conduct {
    /// A peer of a torrent of this layout that has no connection.
    pub fn new(layout: Layout) -> Self {
        Self { layout, open: BTreeMap::new(), breaches: Vec::new(), messages: 0 }
    }

    /// What the peer was told.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Connected { conn, .. } => {
                self.open.insert(*conn, Dialogue::new(&self.layout));
            }
            Input::Closed { conn } => {
                self.open.remove(conn);
            }
            Input::Handshake { conn, handshake } => {
                if let Some(dialogue) = self.open.get_mut(conn) {
                    dialogue.heard_handshake(handshake);
                }
            }
            Input::Message { conn, message } => {
                if let Some(dialogue) = self.open.get_mut(conn) {
                    dialogue.heard(message, &self.layout);
                }
            }
            _ => {}
        }
    }

    /// What the peer said.
    pub fn output(&mut self, output: &Output) {
        let (conn, rule, by) = match output {
            Output::Disconnect { conn, .. } => {
                self.open.remove(conn);
                return;
            }
            Output::SendHandshake { conn, handshake } => {
                let verdict = match self.open.get_mut(conn) {
                    Some(dialogue) => dialogue.said_handshake(handshake),
                    None => Err(Rule::Closed),
                };
                (*conn, verdict.err(), "a handshake".to_owned())
            }
            Output::Send { conn, message } => {
                self.messages += 1;
                let verdict = match self.open.get_mut(conn) {
                    Some(dialogue) => dialogue.said(message, &self.layout),
                    None => Err(Rule::Closed),
                };
                match verdict {
                    Ok(()) => return,
                    Err(rule) => (*conn, Some(rule), words::message(message)),
                }
            }
            _ => return,
        };
        if let Some(rule) = rule {
            self.breaches.push(Breach { conn, rule, by });
        }
    }

    /// What was broken, in order.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// Messages that were judged.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}
