//! The protocol test harness.
//!
//! - [`conduct`]: what a peer may say and when, held against what it says.
//! - [`conform`]: cases of conformance, run against the engine in memory or any client over sockets.
//! - [`launch`]: starting such a client, by a setup file.

pub mod clock;
pub mod conduct;
pub mod conform;
pub mod launch;
