//! The network between hosts: access links, where the bandwidth of a swarm is decided, and a core that has
//! latency. No part of it looks at more than one host's own state.

pub mod downlink;
pub mod flow;
pub mod latency;
pub mod rate;
pub mod uplink;
