//! Trackers, both sides: when a peer announces ([`Announcer`]), what a tracker answers ([`Tracker`]), and the
//! HTTP forms of what they say (BEP 3, 7, 23, 31, 48), without HTTP itself. In a simulation the two speak in
//! these types alone.

pub mod announcer;
pub mod reply;
pub mod request;
pub mod scrape;
pub mod server;
mod swarm;
pub mod tiers;

pub use announcer::{Announcer, AnnouncerConfig, Identity, Stats};
pub use reply::{AnnounceReply, Failure, ReplyError, Retry};
pub use request::{AnnounceRequest, Event, QueryError};
pub use scrape::{ScrapeCounts, ScrapeReply, scrape_url};
pub use server::{Returns, Tracker, TrackerConfig};
pub use tiers::Tiers;
