//! No choking: everyone is unchoked, whatever the slots. Shows what choking is for.

use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;

/// Unchokes everyone.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnchokeAll;

impl Choker for UnchokeAll {
    fn decide(&mut self, _round: &Round, peers: &[Facts], _rng: &mut Rng, unchoke: &mut Vec<ConnId>) {
        unchoke.extend(peers.iter().map(|f| f.conn));
    }
}
