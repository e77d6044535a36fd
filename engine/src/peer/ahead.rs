//! What an input will touch, asked for ahead of it: hints to the processor that change nothing.

use std::mem::offset_of;

use crate::ids::ConnId;

use super::Peer;
use super::connections::Connections;

/// How far [`Peer::prefetch`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// The connection itself, and where the piece is found.
    Connection,
    /// What moves on it, and the piece.
    Traffic,
    /// What is requested over it.
    Requests,
}

/// What an input is about, as far as that decides what it touches. Pieces are not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A HAVE of this piece.
    Have(u32),
    /// A block of this piece that has come.
    Block(u32),
    /// What is uploaded: a request, or a block that has left.
    Upload,
    /// Anything else.
    Other,
}

impl Peer {
    /// The bytes of a peer, from its first on, that a HAVE touches.
    pub const OF_HAVES: usize = offset_of!(Self, conns) + Connections::OF_HAVES;
    /// Those that blocks and requests touch.
    pub const OF_BLOCKS: usize = offset_of!(Self, conns) + Connections::OF_BLOCKS;

    /// Asks the processor for what an input of `conn` will touch. Each step needs what the one before has
    /// brought, so that some hundred nanoseconds should lie between two. Changes nothing; for drivers of swarms
    /// that are larger than any cache.
    #[inline]
    pub fn prefetch(&self, conn: ConnId, about: About, step: Ahead) {
        match (step, about) {
            (Ahead::Connection, About::Have(piece)) => {
                self.conns.prefetch(conn);
                if let Some(piece) = self.pieces.layout.piece(piece) {
                    self.pieces.availability.prefetch(piece);
                }
            }
            (Ahead::Connection, About::Block(_)) => {
                self.conns.prefetch(conn);
                self.pieces.prefetch();
            }
            (Ahead::Connection, _) => self.conns.prefetch(conn),
            (_, About::Have(_) | About::Other) => {}
            (Ahead::Traffic, _) => {
                self.conns.prefetch_traffic(conn);
                if let About::Block(piece) = about
                    && let Some(piece) = self.pieces.layout.piece(piece)
                {
                    self.pieces.prefetch_begun(piece);
                }
            }
            (Ahead::Requests, About::Block(_)) => self.conns.prefetch_requests(conn),
            (Ahead::Requests, About::Upload) => self.conns.prefetch_uploads(conn),
        }
    }
}
