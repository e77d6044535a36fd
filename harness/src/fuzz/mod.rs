//! Fuzzing of a peer: dialogues that are legal, and then are not, with the engine in memory or any client on a socket.
//!
//! ```text
//! generate ──legal──► mutate ──► Dialogue ──► memory │ socket ──► Finding ──► shrink ──► a file, to be replayed
//! ```
//!
//! - The generators are proptest strategies: [`generate::legal`], [`mutate::mutated`], [`mutate::any_dialogue`].
//! - [`campaign`] draws dialogues from a seed: the same seed, the same dialogues.
//! - [`properties`] hold for any bytes: the cargo-fuzz targets in `fuzz/` and the tests of this crate share them.

pub mod campaign;
pub mod dialogue;
pub mod finding;
pub mod generate;
mod judge;
pub mod machine;
pub mod memory;
pub mod mutate;
pub mod properties;
mod remote;
pub mod serve;
pub mod shrink;
pub mod socket;
mod stage;
pub mod subject;
pub mod text;

pub use campaign::{Arm, Campaign, Found};
pub use dialogue::{Act, Dialogue, Role, Step};
pub use finding::Finding;
pub use memory::Memory;
pub use socket::Socket;
pub use subject::Subject;

#[cfg(test)]
mod tests;
