//! The client's side of BEP 15: one tracker at one address, for as many torrents as ask it.
//!
//! - A question goes out once there is a connection id, which is asked for first and holds for a minute from
//!   its arrival. Without an answer it goes out again after 15·2ⁿ seconds, n from 0, and when the last of those
//!   is over the question has failed. Time spent on getting a connection id counts for it.
//! - Every question has exactly one answer, in no promised order; after [`Client::cancel`] none.
//! - A packet whose transaction id is not that of a question under way, or that is too short, or of another kind
//!   than was asked for, changes nothing. The driver passes on only what comes from the tracker's own address
//!   and port.

use std::collections::VecDeque;
use std::time::Duration;

use super::packet::{Request, Response};
use crate::rng::{Rng, Seed};
use crate::time::Instant;
use crate::tracker::origin::Family;
use crate::tracker::reply::AnnounceReply;
use crate::tracker::request::AnnounceRequest;
use crate::tracker::scrape::{MAX_TORRENTS, ScrapeReply};
use crate::wire::InfoHash;

use rand::Rng as _;

/// How long a connection id may be used after it came (BEP 15).
const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The wait for an answer to the first packet; doubled for each further one.
    pub first_wait: Duration,
    /// How often a packet is sent again.
    pub retries: u32,
}

impl Default for ClientConfig {
    /// BEP 15's: 15 s, and eight times again, which is over two hours in all. A client with other trackers to
    /// try does better with two or three.
    fn default() -> Self {
        Self { first_wait: Duration::from_secs(15), retries: 8 }
    }
}

/// A question's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(u64);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// None came in all the time.
    #[error("the tracker does not answer")]
    TimedOut,
    /// The tracker refuses.
    #[error("the tracker refuses: {0}")]
    Refused(String),
}

/// What to do, told to the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the tracker.
    Send(Vec<u8>),
    /// The answer to an announce.
    Announced(QueryId, Result<AnnounceReply, QueryError>),
    /// The answer to a scrape.
    Scraped(QueryId, Result<ScrapeReply, QueryError>),
}

#[derive(Clone, Debug)]
enum Question {
    Announce { request: Box<AnnounceRequest>, url: Vec<u8> },
    Scrape(Vec<InfoHash>),
}

#[derive(Clone, Debug)]
struct Query {
    id: QueryId,
    transaction: u32,
    question: Question,
    /// Waits that have gone by.
    waits: u32,
    /// When the wait under way is over.
    due: Instant,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Client {
    family: Family,
    config: ClientConfig,
    rng: Rng,
    next: u64,
    /// The connection id, and until when it may be used.
    connection: Option<(u64, Instant)>,
    /// The connect request under way: its transaction, and when it last went out.
    connecting: Option<(u32, Instant)>,
    queries: Vec<Query>,
    outputs: VecDeque<Output>,
}

impl Client {
    /// A client of a tracker whose address is of `family`.
    pub fn new(family: Family, config: ClientConfig, seed: Seed) -> Self {
        Self {
            family,
            config,
            rng: seed.derive("udp-tracker", 0).rng(),
            next: 0,
            connection: None,
            connecting: None,
            queries: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Announces. `url` is path and query of the tracker's URL ([`UdpUrl::path`](crate::tracker::url::UdpUrl)).
    /// A second announce of one torrent does not replace the first: [`cancel`](Self::cancel) that.
    pub fn announce(&mut self, now: Instant, request: AnnounceRequest, url: &str) -> QueryId {
        self.ask(now, Question::Announce { request: Box::new(request), url: url.as_bytes().to_vec() })
    }

    /// Scrapes up to [`MAX_TORRENTS`] torrents; what is over is left out.
    pub fn scrape(&mut self, now: Instant, torrents: &[InfoHash]) -> QueryId {
        self.ask(now, Question::Scrape(torrents[..torrents.len().min(MAX_TORRENTS)].to_vec()))
    }

    /// Gives a question up. No effect if it is answered.
    pub fn cancel(&mut self, id: QueryId) {
        self.queries.retain(|query| query.id != id);
        self.rest();
    }

    /// Questions that are not answered.
    pub fn under_way(&self) -> usize {
        self.queries.len()
    }

    /// The next thing to do; `None` until the next call that mutates.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. May change with any call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queries.iter().map(|query| query.due).min()
    }

    /// Sends again what has waited long enough, and gives up what has done so too often. Harmless when early.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut at = 0;
        while let Some(query) = self.queries.get_mut(at) {
            if query.due > now {
                at += 1;
            } else if query.waits >= self.config.retries {
                let query = self.queries.remove(at);
                self.fail(query, QueryError::TimedOut);
            } else {
                query.waits += 1;
                // 2³¹ times anything is over any limit.
                query.due = now + self.config.first_wait.saturating_mul(1 << query.waits.min(31));
                self.send(now, at);
                at += 1;
            }
        }
        self.rest();
    }

    /// A packet has come from the tracker.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match Response::from_bytes(packet, self.family) {
            Ok(Response::Connect { transaction, connection }) => {
                if self.connecting.is_some_and(|(asked, _)| asked == transaction) {
                    self.connecting = None;
                    self.connection = Some((connection, now + CONNECTION_LIFE));
                    (0..self.queries.len()).for_each(|at| self.send(now, at));
                }
            }
            Ok(Response::Announce { transaction, reply }) => {
                let announce = |question: &Question| matches!(question, Question::Announce { .. });
                if let Some(query) = self.take(transaction, announce) {
                    self.outputs.push_back(Output::Announced(query.id, Ok(reply)));
                }
            }
            Ok(Response::Scrape { transaction, counts }) => {
                let scrape = |question: &Question| matches!(question, Question::Scrape(_));
                let Some(query) = self.take(transaction, scrape) else { return };
                if let Question::Scrape(torrents) = query.question {
                    let files = torrents.into_iter().zip(counts).collect();
                    self.outputs.push_back(Output::Scraped(query.id, Ok(ScrapeReply { files })));
                }
            }
            Ok(Response::Error { transaction, message }) => self.refused(transaction, &message),
            Err(_) => {}
        }
    }

    /// With nothing to ask, nobody would ask again for a connection id that does not come.
    fn rest(&mut self) {
        if self.queries.is_empty() {
            self.connecting = None;
        }
    }

    fn ask(&mut self, now: Instant, question: Question) -> QueryId {
        let id = QueryId(self.next);
        self.next += 1;
        let transaction = self.transaction();
        let due = now + self.config.first_wait;
        self.queries.push(Query { id, transaction, question, waits: 0, due });
        // One connect request serves all who wait for its answer.
        if self.connection(now).is_some() || self.connecting.is_none() {
            self.send(now, self.queries.len() - 1);
        }
        id
    }

    /// A transaction id that is not in use.
    fn transaction(&mut self) -> u32 {
        loop {
            let id = self.rng.next_u32();
            let used = self.queries.iter().any(|query| query.transaction == id);
            if !used && self.connecting.is_none_or(|(connecting, _)| connecting != id) {
                return id;
            }
        }
    }

    fn connection(&self, now: Instant) -> Option<u64> {
        self.connection.filter(|&(_, until)| now < until).map(|(id, _)| id)
    }

    /// Sends a question, or the request for the connection id that it needs.
    fn send(&mut self, now: Instant, at: usize) {
        let Some(connection) = self.connection(now) else { return self.connect(now) };
        let Some(Query { transaction, question, .. }) = self.queries.get(at).cloned() else { return };
        let request = match question {
            Question::Announce { request: announce, url } => {
                Request::Announce { connection, transaction, announce, url }
            }
            Question::Scrape(torrents) => Request::Scrape { connection, transaction, torrents },
        };
        self.outputs.push_back(Output::Send(request.to_bytes()));
    }

    /// Asks for a connection id. Sent again under the same transaction, so that a late answer counts.
    fn connect(&mut self, now: Instant) {
        let transaction = match self.connecting {
            // Several questions fell due at once.
            Some((_, sent)) if sent == now => return,
            Some((transaction, _)) => transaction,
            None => self.transaction(),
        };
        self.connecting = Some((transaction, now));
        self.outputs.push_back(Output::Send(Request::Connect { transaction }.to_bytes()));
    }

    fn take(&mut self, transaction: u32, kind: impl Fn(&Question) -> bool) -> Option<Query> {
        let asked = |query: &Query| query.transaction == transaction && kind(&query.question);
        let at = self.queries.iter().position(asked)?;
        Some(self.queries.remove(at))
    }

    fn refused(&mut self, transaction: u32, message: &str) {
        if self.connecting.is_some_and(|(asked, _)| asked == transaction) {
            self.connecting = None;
            for query in std::mem::take(&mut self.queries) {
                self.fail(query, QueryError::Refused(message.to_owned()));
            }
        } else if let Some(query) = self.take(transaction, |_| true) {
            // It may be the connection id that it does not like: the tracker was started anew.
            self.connection = None;
            self.fail(query, QueryError::Refused(message.to_owned()));
        }
    }

    fn fail(&mut self, query: Query, error: QueryError) {
        self.outputs.push_back(match query.question {
            Question::Announce { .. } => Output::Announced(query.id, Err(error)),
            Question::Scrape(_) => Output::Scraped(query.id, Err(error)),
        });
    }
}
