//! The protocol test harness.
//!
//! - [`conduct`]: what a peer may say and when, held against what it says.
//! - [`conform`]: cases of conformance, run against the engine in memory or any client over sockets.
//! - [`fuzz`]: dialogues made to break a peer, in memory or over sockets, and what holds for any bytes.
//! - [`launch`]: starting such a client, by a setup file.
//! - [`panics`]: what panics, caught.
//! - [`probe`]: whether there is anybody to be tested.
//! - [`words`]: what was seen, in words.

pub mod clock;
pub mod conduct;
pub mod conform;
pub mod fuzz;
pub mod launch;
pub mod panics;
pub mod probe;
pub mod words;
