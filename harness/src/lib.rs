//! The protocol test harness: [`conduct`], what a peer may say and when, and [`fuzz`], dialogues made to break it.

pub mod conduct;
pub mod fuzz;
