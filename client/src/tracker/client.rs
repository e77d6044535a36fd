//! Announces and scrapes, to trackers of any kind that is spoken.

use std::net::IpAddr;

use engine::InfoHash;
use engine::tracker::scrape::scrape_query;
use engine::tracker::{AnnounceReply, AnnounceRequest, ReplyError, ScrapeReply, scrape_url};

use super::http::{HttpError, HttpLimits, get};
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
    /// It did not answer.
    #[error(transparent)]
    Http(HttpError),
    /// It refuses, or its answer cannot be read.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// Its URL has no place to scrape at (BEP 48).
    #[error("{0:?} cannot be scraped")]
    NoScrape(String),
}

/// Announces to one tracker.
pub(crate) async fn announce(
    context: &Context,
    url: &str,
    request: &AnnounceRequest,
) -> Result<AnnounceReply, TrackerError> {
    let url = Url::parse(url)?.with_query(&request.to_query());
    let limits = HttpLimits { time: context.settings.tracker_timeout, body: MAX_ANSWER };
    match get(url, limits, &context.from).await {
        Ok(body) => Ok(AnnounceReply::from_bytes(&body)?),
        // Some refuse with a status of their own, and the reason in the body.
        Err(HttpError::Status(status, body)) => match AnnounceReply::from_bytes(&body) {
            Err(error @ ReplyError::Refused(_)) => Err(error.into()),
            _ => Err(TrackerError::Http(HttpError::Status(status, body))),
        },
        Err(error) => Err(TrackerError::Http(error)),
    }
}

/// Asks a tracker how many peers it knows of torrents (BEP 48).
pub async fn scrape(
    announce_url: &str,
    torrents: &[InfoHash],
    limits: HttpLimits,
    from: &[IpAddr],
) -> Result<ScrapeReply, TrackerError> {
    let url = scrape_url(announce_url).ok_or_else(|| TrackerError::NoScrape(announce_url.to_owned()))?;
    let url = Url::parse(&url)?.with_query(&scrape_query(torrents));
    let body = get(url, limits, from).await.map_err(TrackerError::Http)?;
    Ok(ScrapeReply::from_bytes(&body)?)
}
