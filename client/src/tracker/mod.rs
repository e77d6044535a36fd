//! Trackers, both sides, over sockets.

mod client;
mod http;
mod server;
mod udp;
mod url;

pub use client::TrackerError;
pub(crate) use client::{announce, scrape};
pub use http::{HttpError, HttpLimits, get};
pub use server::{ServeError, TrackerServer, TrackerSettings};
pub use udp::UdpError;
pub use url::{Url, UrlError};
