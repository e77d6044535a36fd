//! Trackers, both sides: when a peer announces ([`Announcer`]), what a tracker answers ([`Tracker`]), and the
//! HTTP forms of what they say (BEP 3, 7, 23, 31, 48), without HTTP itself, and UDP's with all that goes with
//! them (BEP 15, 41). In a simulation the two speak in these types alone.
//!
//! An announce does not name its tracker: [`Tiers`] says which URL to ask (BEP 12), [`TrackerUrl`] by which
//! protocol, and the driver tries one after the other until one answers.

pub mod announcer;
pub mod ledger;
pub mod origin;
pub mod reply;
pub mod request;
pub mod scrape;
pub mod server;
mod swarm;
pub mod tiers;
pub mod udp;
pub mod url;

pub use announcer::{Announcer, AnnouncerConfig, Identity, Stats};
pub use ledger::{Account, AccountKey, MinRatio};
pub use origin::{Family, Origin};
pub use reply::{AnnounceError, AnnounceReply, Failure, ReplyError, Retry};
pub use request::{AnnounceRequest, Event, QueryError};
pub use scrape::{ScrapeCounts, ScrapeReply, scrape_url};
pub use server::{Returns, Tracker, TrackerConfig};
pub use tiers::Tiers;
pub use url::{TrackerUrl, UdpUrl};
