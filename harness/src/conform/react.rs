//! What a target does about what it has just been sent: seen by what it says next, whether it closes, and when.

use std::time::Duration;

use bytes::Bytes;
use engine::{Message, RawBlock};

use super::case::{Halt, Reaction, Seen};
use super::talk::{Conn, Talk};

impl Talk<'_> {
    /// Waits whether the target closes. It has just been given a reason to, at `since`.
    pub fn closes(&mut self, conn: Conn, since: Duration) -> Result<Seen, Halt> {
        let within = self.patience();
        self.until(conn, within, |_| false)?;
        let reaction = if self.is_closed(conn)? { Reaction::Closes } else { Reaction::Ignores };
        Ok(Seen { reaction, after: self.now() - since })
    }

    /// What the target does on a connection on which it serves us: closes, chokes, or goes on to serve blocks. It
    /// has just been given a reason, at `since`.
    pub fn goes_on(&mut self, conn: Conn, since: Duration) -> Result<Seen, Halt> {
        let block = self.probe();
        self.send(conn, &Message::Request(block))?;
        let within = self.patience();
        let ends = |message: &Message| match message {
            Message::Piece { piece, begin, data } => {
                (*piece, *begin, data.len() as u32) == (block.piece, block.begin, block.length)
            }
            Message::Reject(rejected) => *rejected == block,
            Message::Choke => true,
            _ => false,
        };
        let reaction = match self.until(conn, within, ends)? {
            Some(Message::Choke) => Reaction::Chokes,
            Some(Message::Reject(_)) => Reaction::Rejects,
            Some(_) => Reaction::Ignores,
            None if self.is_closed(conn)? => Reaction::Closes,
            None => Reaction::Silent,
        };
        Ok(Seen { reaction, after: self.now() - since })
    }

    /// As [`goes_on`](Self::goes_on) on a connection where the target has not unchoked us as yet.
    pub fn still_serves(&mut self, conn: Conn, since: Duration) -> Result<Seen, Halt> {
        self.send(conn, &Message::Interested)?;
        let within = Duration::from_secs(35);
        let unchoke = self.until(conn, within, |message| *message == Message::Unchoke)?;
        let reaction = match unchoke {
            Some(_) => return self.goes_on(conn, since),
            None if self.is_closed(conn)? => Reaction::Closes,
            None => Reaction::Silent,
        };
        Ok(Seen { reaction, after: self.now() - since })
    }

    /// A block that no case asks for: what comes for it shows that the target goes on.
    pub fn probe(&self) -> RawBlock {
        let last = self.subject().pieces().saturating_sub(2);
        self.subject().block(last)
    }

    /// What the target does about a request: serves it, rejects, closes, chokes or ignores it.
    pub fn answer_to(&mut self, conn: Conn, block: RawBlock) -> Result<(Seen, Option<Bytes>), Halt> {
        let since = self.now();
        self.send(conn, &Message::Request(block))?;
        let probe = self.probe();
        self.send(conn, &Message::Request(probe))?;
        let is = |wanted: RawBlock| {
            move |piece: u32, begin: u32, length: u32| {
                (piece, begin, length) == (wanted.piece, wanted.begin, wanted.length)
            }
        };
        let ends = |message: &Message| match message {
            Message::Piece { piece, begin, data } => {
                // Whatever it is that comes for this place.
                (*piece, *begin) == (block.piece, block.begin) || is(probe)(*piece, *begin, data.len() as u32)
            }
            Message::Reject(rejected) => *rejected == block,
            Message::Choke => true,
            _ => false,
        };
        let within = self.patience();
        let (reaction, data) = match self.until(conn, within, ends)? {
            Some(Message::Piece { piece, begin, data }) => match (piece, begin) == (block.piece, block.begin)
                && !is(probe)(piece, begin, data.len() as u32)
                || block == probe
            {
                true => (Reaction::Serves, Some(data)),
                // Blocks need not come in order: the answer may follow.
                false => match self.until(conn, Duration::from_millis(300), |message| {
                    matches!(message, Message::Piece { piece, begin, .. } if (*piece, *begin) == (block.piece, block.begin))
                        || *message == Message::Reject(block)
                })? {
                    Some(Message::Piece { data, .. }) => (Reaction::Serves, Some(data)),
                    Some(_) => (Reaction::Rejects, None),
                    None if self.is_closed(conn)? => (Reaction::Closes, None),
                    None => (Reaction::Ignores, None),
                },
            },
            Some(Message::Choke) => (Reaction::Chokes, None),
            Some(_) => (Reaction::Rejects, None),
            None if self.is_closed(conn)? => (Reaction::Closes, None),
            None => (Reaction::Silent, None),
        };
        Ok((Seen { reaction, after: self.now() - since }, data))
    }
}
