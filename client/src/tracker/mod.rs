//! Trackers, both sides, over sockets.

mod client;
mod http;
mod url;

pub(crate) use client::announce;
pub use client::{TrackerError, scrape};
pub use http::{HttpError, HttpLimits, get};
pub use url::{Url, UrlError};
