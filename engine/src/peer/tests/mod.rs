//! What a peer does, seen through `Input` and `Output` alone.

mod bench;
mod blame;
mod check;
mod clock;
mod download;
mod endgame;
mod extended;
mod membership;
mod metadata;
mod pex;
mod property;
mod settings;
mod slots;
mod swarm;
mod tracker;
mod upload;
