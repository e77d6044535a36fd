//! Announces and scrapes, to trackers of any kind that is spoken.

use engine::InfoHash;
use engine::tracker::scrape::scrape_query;
use engine::tracker::{
    AnnounceError, AnnounceReply, AnnounceRequest, ReplyError, ScrapeReply, TrackerUrl, scrape_url,
};

use super::http::{HttpError, HttpLimits, get};
use super::udp::{self, Asking, UdpError};
use super::url::{Url, UrlError};
use crate::session::Context;

/// The longest answer of a tracker, in bytes: the most peers that are kept, in their longest form.
const MAX_ANSWER: usize = 1 << 20;

/// Why a tracker has no answer for us.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    /// It cannot be asked.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It did not answer over HTTP.
    #[error(transparent)]
    Http(HttpError),
    /// It did not answer over UDP, or refuses.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// It refuses, or its answer cannot be read.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// Its URL has no place to scrape at (BEP 48).
    #[error("{0:?} cannot be scraped")]
    NoScrape(String),
}

impl From<TrackerError> for AnnounceError {
    fn from(error: TrackerError) -> Self {
        match error {
            TrackerError::Reply(error) => error.into(),
            other => Self::Unanswered(other.to_string()),
        }
    }
}

impl Context {
    fn http(&self) -> HttpLimits {
        HttpLimits { time: self.settings.tracker_timeout, body: MAX_ANSWER }
    }

    fn asking(&self) -> Asking<'_> {
        Asking { config: self.settings.udp_tracker, seed: self.fresh_seed("udp tracker"), from: &self.from }
    }
}

/// Announces to one tracker.
pub(crate) async fn announce(
    context: &Context,
    url: &str,
    request: &AnnounceRequest,
) -> Result<AnnounceReply, TrackerError> {
    if let Some(TrackerUrl::Udp(url)) = TrackerUrl::parse(url) {
        return Ok(udp::announce(url, request, context.asking()).await?);
    }
    let url = Url::parse(url)?.with_query(&request.to_query());
    match get(url, context.http(), &context.from).await {
        Ok(body) => Ok(AnnounceReply::from_bytes(&body)?),
        // Some refuse with a status of their own, and the reason in the body.
        Err(HttpError::Status(status, body)) => match AnnounceReply::from_bytes(&body) {
            Err(error @ ReplyError::Refused(_)) => Err(error.into()),
            _ => Err(TrackerError::Http(HttpError::Status(status, body))),
        },
        Err(error) => Err(TrackerError::Http(error)),
    }
}

/// Asks a tracker how many peers it knows of torrents (BEP 48; BEP 15).
pub(crate) async fn scrape(
    context: &Context,
    announce_url: &str,
    torrents: &[InfoHash],
) -> Result<ScrapeReply, TrackerError> {
    if let Some(TrackerUrl::Udp(url)) = TrackerUrl::parse(announce_url) {
        return Ok(udp::scrape(url, torrents, context.asking()).await?);
    }
    let url = Url::parse(announce_url)
        .and_then(|_| Url::parse(&scrape_url(announce_url).unwrap_or_default()))
        .map_err(|error| match error {
            UrlError::Scheme(text) if text.is_empty() => TrackerError::NoScrape(announce_url.to_owned()),
            error => error.into(),
        })?;
    let body = get(url.with_query(&scrape_query(torrents)), context.http(), &context.from).await;
    Ok(ScrapeReply::from_bytes(&body.map_err(TrackerError::Http)?)?)
}
