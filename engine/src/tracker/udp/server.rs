//! The tracker's side of BEP 15, over the same [`Tracker`] as HTTP's.
//!
//! - It keeps nothing for a client: a connection id is a keyed hash of the client's address and the time, so who
//!   cannot receive at an address cannot announce from it.
//! - Nothing that is sent to an address that has not shown a connection id is longer than what came.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sha1::{Digest, Sha1};

use super::packet::{Request, Response};
use crate::rng::Rng;
use crate::time::{Instant, nanos};
use crate::tracker::origin::{Family, Origin};
use crate::tracker::request::AnnounceRequest;
use crate::tracker::server::Tracker;

/// Connection ids change this often, and are taken from two windows before the present one: for two minutes at
/// least (BEP 15), for three at most.
const WINDOW: Duration = Duration::from_secs(60);
/// What a stale connection id is answered with. With the head this is less than the shortest packet it answers.
const STALE: &str = "connection id is stale";

/// A question whose sender has shown that it can receive at its address. The driver may look at it before it
/// answers: at the passkey in an announce's URL, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked(Request);

/// See the module.
#[derive(Clone, Debug)]
pub struct Server {
    key: [u8; 32],
}

impl Server {
    /// A server with a secret of its own. The same secret after a restart honours the ids given before.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Answers a packet that came from `from`, by the tracker's own logic. `None`: nothing is to be sent.
    pub fn handle(
        &self,
        now: Instant,
        packet: &[u8],
        from: SocketAddr,
        tracker: &mut Tracker,
        rng: &mut Rng,
    ) -> Option<Vec<u8>> {
        match self.check(now, packet, from) {
            Ok(checked) => Some(checked.answer(now, from, None, tracker, rng)),
            Err(answer) => answer,
        }
    }

    /// A packet as a question that is to be answered; or what to send, if anything, without asking the tracker.
    pub fn check(&self, now: Instant, packet: &[u8], from: SocketAddr) -> Result<Checked, Option<Vec<u8>>> {
        let request = Request::from_bytes(packet).map_err(|_| None)?;
        let response = match request {
            Request::Connect { transaction } => {
                Response::Connect { transaction, connection: self.connection(window(now), from.ip()) }
            }
            Request::Announce { connection, .. } | Request::Scrape { connection, .. }
                if self.is_valid(now, connection, from.ip()) =>
            {
                return Ok(Checked(request));
            }
            Request::Announce { transaction, .. } | Request::Scrape { transaction, .. } => {
                Response::Error { transaction, message: STALE.into() }
            }
        };
        Err(Some(response.to_bytes(Family::of(from.ip()))))
    }

    /// The port is no part of it: who is behind a NAT may have another one a minute later.
    fn connection(&self, window: u64, ip: IpAddr) -> u64 {
        let hash = |inner: &[&[u8]]| {
            let mut sha1 = Sha1::new_with_prefix(self.key);
            inner.iter().for_each(|bytes| sha1.update(bytes));
            <[u8; 20]>::from(sha1.finalize())
        };
        let ip = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        // Twice under the key, so that what is seen of one id is no beginning of another.
        let inner = hash(&[&window.to_be_bytes(), &ip.octets()]);
        let [a, b, c, d, e, f, g, h, ..] = hash(&[&inner]);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn is_valid(&self, now: Instant, connection: u64, ip: IpAddr) -> bool {
        let window = window(now);
        (window.saturating_sub(2)..=window).any(|window| self.connection(window, ip) == connection)
    }
}

fn window(now: Instant) -> u64 {
    now.as_nanos() / nanos(WINDOW)
}

impl Checked {
    /// The announce, and path and query of the URL it was made to (BEP 41); `None` for a scrape.
    pub fn announce(&self) -> Option<(&AnnounceRequest, &[u8])> {
        match &self.0 {
            Request::Announce { announce, url, .. } => Some((announce, url)),
            _ => None,
        }
    }

    /// The answer by the tracker's own logic; `account` is whose the announce is, if the driver knows.
    pub fn answer(
        self,
        now: Instant,
        from: SocketAddr,
        account: Option<&[u8]>,
        tracker: &mut Tracker,
        rng: &mut Rng,
    ) -> Vec<u8> {
        let family = Family::of(from.ip());
        let response = match self.0 {
            Request::Announce { transaction, announce, .. } => {
                let origin = Origin { from, account, only: Some(family) };
                match tracker.announce(now, &announce, origin, rng) {
                    Ok(reply) => Response::Announce { transaction, reply },
                    Err(failure) => Response::Error { transaction, message: failure.reason },
                }
            }
            Request::Scrape { transaction, torrents, .. } => {
                let known = tracker.scrape(now, &torrents).files;
                let counts = torrents.iter().map(|hash| known.get(hash).copied().unwrap_or_default());
                Response::Scrape { transaction, counts: counts.collect() }
            }
            Request::Connect { transaction } => {
                Response::Error { transaction, message: "not a question".into() }
            }
        };
        response.to_bytes(family)
    }

    /// A refusal of the driver's own: an unknown passkey, say.
    pub fn refuse(self, reason: &str, family: Family) -> Vec<u8> {
        let (Request::Connect { transaction }
        | Request::Announce { transaction, .. }
        | Request::Scrape { transaction, .. }) = self.0;
        Response::Error { transaction, message: reason.to_owned() }.to_bytes(family)
    }
}
