//! What an input will touch, asked for ahead of it: hints to the processor that change nothing.

use std::mem::offset_of;

use crate::ids::ConnId;

use super::Peer;
use super::connections::Connections;

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

/// Asks the processor for what inputs will touch. Each step needs what the one before has brought, so that some hundred
/// nanoseconds should lie between two. Changes nothing; for drivers of swarms that are larger than any cache.
impl Peer {
    /// The bytes of a peer, from its first on, that blocks, requests and HAVEs touch.
    pub const OF_BLOCKS: usize = offset_of!(Self, conns) + Connections::OF_BLOCKS;

    /// The first step of what moves: a connection.
    #[inline]
    pub fn prefetch_connection(&self, conn: ConnId) {
        self.conns.prefetch(conn);
    }

    /// The first step of HAVEs, beside that of each.
    #[inline]
    pub fn prefetch_borders(&self) {
        self.pieces.availability.prefetch_borders();
    }

    /// The first step of a HAVE: what it needs of a connection, and where the piece is found.
    #[inline]
    pub fn prefetch_have(&self, conn: ConnId, piece: u32) {
        self.conns.prefetch_first_line(conn);
        if let Some(piece) = self.pieces.layout.piece(piece) {
            self.pieces.availability.prefetch(piece);
        }
    }

    /// The second step of a HAVE: the piece's neighbours in the order of rarity.
    #[inline]
    pub fn prefetch_order(&self, piece: u32) {
        if let Some(piece) = self.pieces.layout.piece(piece) {
            self.pieces.availability.prefetch_order(piece);
        }
    }

    /// The third step of a HAVE: the piece that makes room for it.
    #[inline]
    pub fn prefetch_border(&self, piece: u32) {
        if let Some(piece) = self.pieces.layout.piece(piece) {
            self.pieces.availability.prefetch_border(piece);
        }
    }

    /// The first step of blocks: which pieces are begun.
    #[inline]
    pub fn prefetch_pieces(&self) {
        self.pieces.prefetch();
    }

    /// The second step of blocks, beside that of each: the pieces that more will be asked of.
    #[inline]
    pub fn prefetch_partial(&self) {
        self.pieces.prefetch_partial();
    }

    /// The second step of whatever moves: what is kept of it, and the piece of a block.
    #[inline]
    pub fn prefetch_traffic(&self, conn: ConnId, about: About) {
        self.conns.prefetch_traffic(conn);
        if let About::Block(piece) = about
            && let Some(piece) = self.pieces.layout.piece(piece)
        {
            self.pieces.prefetch_begun(piece);
        }
    }

    /// The third: the last that is requested, and what else is known of the piece.
    #[inline]
    pub fn prefetch_requests(&self, conn: ConnId, about: About) {
        match about {
            About::Block(piece) => {
                self.conns.prefetch_requests(conn);
                if let Some(piece) = self.pieces.layout.piece(piece) {
                    self.pieces.prefetch_sources(piece);
                }
            }
            About::Upload => self.conns.prefetch_uploads(conn),
            About::Have(_) | About::Other => {}
        }
    }

    /// The fourth: the first that is requested.
    #[inline]
    pub fn prefetch_first(&self, conn: ConnId, about: About) {
        match about {
            About::Block(_) => self.conns.prefetch_first_request(conn),
            About::Upload => self.conns.prefetch_first_upload(conn),
            About::Have(_) | About::Other => {}
        }
    }
}
