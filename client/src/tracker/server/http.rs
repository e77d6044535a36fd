//! The tracker's HTTP: a GET on a connection, its answer, and the end (BEP 3, BEP 48).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::tracker::Failure;
use engine::tracker::request::AnnounceRequest;
use engine::tracker::scrape::read_scrape_query;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::{Shared, canonical};

/// The longest request, its headers included.
const MAX_REQUEST: usize = 8 << 10;
/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers until it is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // The system has no socket for us.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let from = canonical(from);
        let Some(place) = shared.gate.accept(from.ip()) else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            // Who is too slow, or gone, gets no answer.
            let _ = timeout(PATIENCE, one(stream, from, &shared)).await;
            drop(place);
        });
    }
}

async fn one(mut stream: TcpStream, from: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    let (status, body) = loop {
        if ends(&head) {
            break answer(&head, from, shared);
        }
        if head.len() >= MAX_REQUEST {
            break ("431 Request Header Fields Too Large", b"the request is too long".to_vec());
        }
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&chunk[..read]);
    };
    let length = body.len();
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    reply.extend(body);
    stream.write_all(&reply).await?;
    stream.shutdown().await
}

/// Whether the request's head is all there.
fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// Status and body.
fn answer(head: &[u8], from: SocketAddr, shared: &Shared) -> (&'static str, Vec<u8>) {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    if method != Some(b"GET") {
        return ("405 Method Not Allowed", b"only GET is answered".to_vec());
    }
    let (path, query) = match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[][..]),
    };
    match path.rsplit(|&byte| byte == b'/').next() {
        Some(b"announce") => ("200 OK", announce(query, from, shared).unwrap_or_else(|no| no.to_bytes())),
        Some(b"scrape") => ("200 OK", scrape(query, shared).unwrap_or_else(|no| no.to_bytes())),
        _ => ("404 Not Found", b"this is a BitTorrent tracker: /announce, /scrape".to_vec()),
    }
}

fn announce(query: &[u8], from: SocketAddr, shared: &Shared) -> Result<Vec<u8>, Failure> {
    let request = AnnounceRequest::from_query(query).map_err(|error| Failure::new(error.to_string()))?;
    let (tracker, rng) = &mut *shared.logic();
    let reply = tracker.announce(shared.clock.now(), &request, from, rng)?;
    Ok(reply.to_bytes(request.compact))
}

fn scrape(query: &[u8], shared: &Shared) -> Result<Vec<u8>, Failure> {
    let torrents = read_scrape_query(query).map_err(|error| Failure::new(error.to_string()))?;
    let (tracker, _) = &mut *shared.logic();
    Ok(tracker.scrape(shared.clock.now(), &torrents).to_bytes())
}
