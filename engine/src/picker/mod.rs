//! Picking policies: which piece to begin next. Mechanism (strict priority for begun pieces, endgame, who
//! may be asked) is the peer's; a policy chooses among the pieces that nobody has begun. One file each.
//!
//! A policy gets facts and a generator, never the peer. It allocates nothing while picking.

pub mod availability;
mod random;
mod rarest_first;
mod sequential;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use availability::Availability;
pub use random::Random;
pub use rarest_first::RarestFirst;
pub use sequential::Sequential;

use crate::bitfield::Bitfield;
use crate::layout::PieceIndex;
use crate::rng::Rng;

/// What a policy may know when it chooses.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The pieces the remote has; `None` if it has all of them.
    pub remote: Option<&'a Bitfield>,
    /// The open pieces (wanted and not begun) and how many neighbours have each.
    pub availability: &'a Availability,
    /// Pieces we have.
    pub completed: u32,
}

impl Choice<'_> {
    /// Whether the remote has `piece`.
    #[inline]
    pub fn remote_has(&self, piece: PieceIndex) -> bool {
        self.remote.is_none_or(|remote| remote.contains(piece))
    }
}

/// Chooses the next piece to begin from one remote.
pub trait Picker: fmt::Debug + Send {
    /// An open piece that the remote has, or `None` if there is none.
    fn pick(&mut self, choice: &Choice<'_>, rng: &mut Rng) -> Option<PieceIndex>;
}

/// Makes the picker of one peer. [`FactoryOf`] makes one from a name and a closure.
pub trait PickerFactory: fmt::Debug + Send + Sync {
    /// The name in scenario files and tables.
    fn name(&self) -> &str;
    /// A picker for one peer.
    fn build(&self) -> Box<dyn Picker>;
}

/// A factory from a name and a closure that makes a picker.
pub struct FactoryOf<F> {
    name: String,
    make: F,
}

impl<P: Picker + 'static, F: Fn() -> P + Send + Sync> FactoryOf<F> {
    /// The factory called `name` whose pickers `make` makes.
    pub fn new(name: impl Into<String>, make: F) -> Self {
        Self { name: name.into(), make }
    }
}

impl<F> fmt::Debug for FactoryOf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "picker {}", self.name)
    }
}

impl<P: Picker + 'static, F: Fn() -> P + Send + Sync> PickerFactory for FactoryOf<F> {
    fn name(&self) -> &str {
        &self.name
    }
    fn build(&self) -> Box<dyn Picker> {
        Box::new((self.make)())
    }
}

/// The pickers that come with the engine: the name in scenario files, and what it does.
pub const NAMES: [(&str, &str); 3] = [
    (
        "rarest-first",
        "random for the first 4 pieces, then what the fewest neighbours have (BEP 3, every client)",
    ),
    ("random", "any piece the remote has, all equally likely"),
    ("sequential", "the lowest-numbered piece the remote has, as for streaming"),
];

/// The factory called `name`, if it is one of [`NAMES`].
pub fn by_name(name: &str) -> Option<Arc<dyn PickerFactory>> {
    Some(match name {
        "rarest-first" => Arc::new(FactoryOf::new(name, RarestFirst::default)),
        "random" => Arc::new(FactoryOf::new(name, || Random)),
        "sequential" => Arc::new(FactoryOf::new(name, || Sequential)),
        _ => return None,
    })
}
