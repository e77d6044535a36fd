//! The UDP tracker protocol (BEP 15), both sides, without sockets: the packets ([`packet`]), who asks
//! ([`Client`]) and who answers ([`Server`]).

pub mod client;
pub mod packet;
pub mod server;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientConfig, Output, QueryError, QueryId};
pub use packet::{MAX_PACKET, PacketError, Request, Response};
pub use server::{Checked, Server};
