//! The protocol test harness. So far: [`conduct`], what a peer may say and when.

pub mod conduct;
