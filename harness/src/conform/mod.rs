//! A suite of conformance for BitTorrent clients. See `docs/harness.md`.
//!
//! ```text
//! cases ──► Talk ──► Arm: memory ──► engine::Peer, in virtual time
//!                     └── socket ──► any client, started by `launch` or at an address
//! ```
//!
//! - A [`Case`](case::Case) is written once, in steps that wait ([`talk::Talk`]), and runs on both arms.
//! - What the target does is observed: what it says, whether it closes, how long that took.
//! - After each case the target must live, answer a new connection, and serve a block if it is a seed.

pub mod arm;
pub mod case;
pub mod cases;
mod react;
pub mod report;
pub mod run;
pub mod subject;
pub mod suite;
pub mod talk;
