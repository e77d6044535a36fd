//! A GET over HTTP/1.1, for trackers: one request on one connection.
//!
//! Bounded in time, in size and in redirects. What trackers in the field send is taken: answers with a
//! length, in chunks, or until the connection ends; lines that end without a carriage return; status lines of
//! any version. Nothing compressed is asked for.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::url::{Url, UrlError};
use crate::net;

/// The most redirects that are followed.
const REDIRECTS: usize = 5;
/// The longest head of an answer.
const MAX_HEAD: usize = 32 << 10;

/// What a GET may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// In all, redirects included.
    pub time: Duration,
    /// The longest body, in bytes.
    pub body: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL, or that of a redirect, cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// It cannot be reached, or the connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What came is no HTTP, or breaks off.
    #[error("the answer is not HTTP that can be read: {0}")]
    Malformed(&'static str),
    /// Head or body is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// More redirects than are followed.
    #[error("more than {REDIRECTS} redirects")]
    Redirects,
    /// Another status than 200, with what came with it.
    #[error("the server answers with status {0}")]
    Status(u16, Vec<u8>),
}

use HttpError::{Malformed, TooLong};

/// Gets what a URL names; `from` is the address to dial from, if it matters, of each family.
pub async fn get(url: Url, limits: HttpLimits, from: &[IpAddr]) -> Result<Vec<u8>, HttpError> {
    let followed = follow(url, limits, from);
    timeout(limits.time, followed).await.unwrap_or(Err(HttpError::Timeout(limits.time)))
}

async fn follow(mut url: Url, limits: HttpLimits, from: &[IpAddr]) -> Result<Vec<u8>, HttpError> {
    for _ in 0..=REDIRECTS {
        let answer = request(&url, limits.body, from).await?;
        match (answer.status, answer.location) {
            (200, _) => return Ok(answer.body),
            (301 | 302 | 303 | 307 | 308, Some(location)) => url = url.join(&location)?,
            (status, _) => return Err(HttpError::Status(status, answer.body)),
        }
    }
    Err(HttpError::Redirects)
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

async fn request(url: &Url, most: usize, from: &[IpAddr]) -> Result<Answer, HttpError> {
    let stream = net::connect_host(&url.host, url.port, from).await?;
    let mut input = Input { stream, held: Vec::new(), at: 0 };
    let Url { path, .. } = url;
    let host = url.authority();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: swarmlab/{}\r\nAccept: */*\r\n\
         Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    input.stream.write_all(request.as_bytes()).await?;
    let mut room = MAX_HEAD;
    let status = status(&input.line(&mut room).await?)?;
    let (mut location, mut length, mut chunked) = (None, None, false);
    loop {
        let line = input.line(&mut room).await?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "location" => location = Some(value.to_owned()),
            "content-length" => length = Some(value.parse().map_err(|_| Malformed("its length"))?),
            "transfer-encoding" => chunked = value.to_ascii_lowercase().contains("chunked"),
            _ => {}
        }
    }
    let body = match (chunked, length) {
        (true, _) => input.chunks(most).await?,
        (false, Some(length)) if length > most => return Err(TooLong(most)),
        (false, Some(length)) => input.exactly(length).await?,
        (false, None) => input.rest(most).await?,
    };
    Ok(Answer { status, location, body })
}

fn status(line: &str) -> Result<u16, HttpError> {
    let mut words = line.split_ascii_whitespace();
    let http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let code = words.next().and_then(|word| word.parse().ok()).filter(|_| http);
    code.ok_or(Malformed("its status line"))
}

/// What comes, and how far it is read.
struct Input {
    stream: TcpStream,
    held: Vec<u8>,
    at: usize,
}

impl Input {
    /// Reads more; false at the end.
    async fn more(&mut self) -> Result<bool, HttpError> {
        if self.at > 0 {
            self.held.drain(..self.at);
            self.at = 0;
        }
        let mut chunk = [0; 8192];
        let read = self.stream.read(&mut chunk).await?;
        self.held.extend_from_slice(&chunk[..read]);
        Ok(read > 0)
    }

    /// A line without its end, taken out of `room`.
    async fn line(&mut self, room: &mut usize) -> Result<String, HttpError> {
        let mut seen = 0;
        loop {
            let held = &self.held[self.at..];
            if let Some(end) = held[seen..].iter().position(|&byte| byte == b'\n') {
                let line = &held[..seen + end];
                let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                let taken = seen + end + 1;
                self.at += taken;
                *room = room.checked_sub(taken).ok_or(TooLong(MAX_HEAD))?;
                return Ok(text);
            }
            seen = held.len();
            if seen > *room {
                return Err(TooLong(MAX_HEAD));
            }
            if !self.more().await? {
                return Err(Malformed("it breaks off"));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        while body.len() < length {
            let held = &self.held[self.at..];
            let now = held.len().min(length - body.len());
            body.extend_from_slice(&held[..now]);
            self.at += now;
            if body.len() < length && !self.more().await? {
                return Err(Malformed("it breaks off"));
            }
        }
        Ok(body)
    }

    async fn rest(&mut self, most: usize) -> Result<Vec<u8>, HttpError> {
        loop {
            if self.held.len() - self.at > most {
                return Err(TooLong(most));
            }
            if !self.more().await? {
                return Ok(self.held.split_off(self.at));
            }
        }
    }

    async fn chunks(&mut self, most: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        // Each chunk is a byte at least; the lines between them are bounded too.
        let mut room = MAX_HEAD.max(most);
        loop {
            let line = self.line(&mut room).await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| Malformed("a chunk's length"))?;
            if length == 0 {
                return Ok(body);
            }
            if length > most - body.len() {
                return Err(TooLong(most));
            }
            body.extend(self.exactly(length).await?);
            if !self.line(&mut room).await?.is_empty() {
                return Err(Malformed("a chunk's end"));
            }
        }
    }
}
