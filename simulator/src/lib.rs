//! Virtual time, hosts and a network model under the real BitTorrent engine.
//!
//! A run is a pure function of its [`spec::Spec`] and a seed: [`run::run`] gives the same record, digest
//! included, on any machine. Nothing here reads a clock or draws from a global generator.

#[doc(hidden)]
pub mod bench;
mod context;
mod digest;
mod event;
pub mod faults;
pub mod floor;
mod host;
mod load;
mod lookout;
pub mod network;
mod parcel;
mod partition;
pub mod population;
mod prompt;
mod queue;
pub mod run;
pub mod runner;
pub mod scenario;
mod shard;
pub mod spec;
pub mod theory;
pub mod validate;
mod watch;
mod windows;
mod world;

pub use engine::peer::Seam;
pub use run::{Member, Options, Progress, RunError, Stack, Watch, engine_of, members, run, run_watched};
pub use watch::Onlooker;
