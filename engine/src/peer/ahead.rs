//! What an input will touch, asked for ahead of it: hints to the processor that change nothing.

use crate::ids::ConnId;

use super::Peer;

/// How far [`Peer::prefetch`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// The connection itself, and what the message concerns: `have`, the piece that a HAVE tells of, or else
    /// the pieces begun.
    Connection {
        /// Not yet checked.
        have: Option<u32>,
    },
    /// Its traffic.
    Traffic,
    /// What is requested over it.
    Requests,
}

impl Peer {
    /// Asks the processor for what an input of `conn` will touch. Each step needs what the one before has
    /// brought, so that some hundred nanoseconds should lie between two. Changes nothing; for drivers of swarms
    /// that are larger than any cache.
    #[inline]
    pub fn prefetch(&self, conn: ConnId, step: Ahead) {
        match step {
            Ahead::Connection { have } => {
                self.conns.prefetch(conn);
                match have.and_then(|piece| self.torrent.layout.piece(piece)) {
                    Some(piece) => self.pieces.availability.prefetch(piece),
                    None => self.pieces.prefetch(),
                }
            }
            Ahead::Traffic => self.conns.prefetch_traffic(conn),
            Ahead::Requests => self.conns.prefetch_requests(conn),
        }
    }
}
