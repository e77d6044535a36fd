//! The network model and the populations against closed forms and independent solvers. Tolerances are those
//! of the project's validation plan: ±5 % for transport, 5 % in the mean and 15 % at worst for sharing.

#[path = "../common/mod.rs"]
mod common;

mod population;
mod sharing;
mod tracker;
mod transport;
