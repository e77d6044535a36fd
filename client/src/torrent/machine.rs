//! What speaks for a torrent: a fetch while its info dictionary is missing, then a peer. Both are driven alike.

use engine::metadata::Fetch;
use engine::peer::{Deadline, Input, Output, Stats};
use engine::{Instant, Peer};

/// See the module.
#[derive(Debug, Default)]
pub(super) enum Machine {
    /// Files are checked, or a file failed us: nobody speaks.
    #[default]
    None,
    Fetch(Box<Fetch>),
    Peer(Box<Peer>),
}

impl Machine {
    /// False if there is nobody to tell.
    pub fn handle_input(&mut self, now: Instant, input: Input) -> bool {
        match self {
            Self::None => return false,
            Self::Fetch(fetch) => fetch.handle_input(now, input),
            Self::Peer(peer) => peer.handle_input(now, input),
        }
        true
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::None => None,
            Self::Fetch(fetch) => fetch.poll_output(),
            Self::Peer(peer) => peer.poll_output(),
        }
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self {
            Self::None => None,
            Self::Fetch(fetch) => fetch.poll_timeout(),
            Self::Peer(peer) => peer.poll_timeout(),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub fn stats(&self) -> Stats {
        match self {
            Self::Peer(peer) => peer.stats(),
            Self::None | Self::Fetch(_) => Stats::default(),
        }
    }
}
