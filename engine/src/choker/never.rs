//! The free rider: nobody is ever unchoked.

use super::{Choker, Facts, Round};
use crate::ids::ConnId;
use crate::rng::Rng;

/// Unchokes nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl Choker for Never {
    fn decide(&mut self, _round: &Round, _peers: &[Facts], _rng: &mut Rng, _unchoke: &mut Vec<ConnId>) {}
}
