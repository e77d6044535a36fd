//! Questions to a tracker over UDP (BEP 15): a socket, and the engine's machine that decides what goes
//! through it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use engine::Seed;
use engine::tracker::udp::{Client, ClientConfig, MAX_PACKET, Output, QueryError};
use engine::tracker::{AnnounceReply, AnnounceRequest, Family, ScrapeReply, UdpUrl};
use engine::wire::InfoHash;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::sleep_until;

use crate::clock::Clock;

/// The most addresses of one tracker that are asked.
const ADDRESSES: usize = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// The tracker does not answer, or refuses.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There is no way to it.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub config: ClientConfig,
    pub seed: Seed,
    /// Addresses to ask from, if they matter.
    pub from: &'a [IpAddr],
}

/// Announces.
pub(crate) async fn announce(
    url: UdpUrl<'_>,
    request: &AnnounceRequest,
    asking: Asking<'_>,
) -> Result<AnnounceReply, UdpError> {
    let ask = |client: &mut Client, now| {
        client.announce(now, request.clone(), url.path);
    };
    each(url, asking, ask, |output| match output {
        Output::Announced(_, answer) => Some(answer),
        _ => None,
    })
    .await
}

/// Scrapes.
pub(crate) async fn scrape(
    url: UdpUrl<'_>,
    torrents: &[InfoHash],
    asking: Asking<'_>,
) -> Result<ScrapeReply, UdpError> {
    let ask = |client: &mut Client, now| {
        client.scrape(now, torrents);
    };
    each(url, asking, ask, |output| match output {
        Output::Scraped(_, answer) => Some(answer),
        _ => None,
    })
    .await
}

/// Asks one address after the other, until one says something.
async fn each<T>(
    url: UdpUrl<'_>,
    asking: Asking<'_>,
    ask: impl Fn(&mut Client, engine::Instant),
    answer: impl Fn(Output) -> Option<Result<T, QueryError>>,
) -> Result<T, UdpError> {
    let mut last =
        UdpError::Io(io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", url.host)));
    for addr in lookup_host((url.host, url.port)).await?.take(ADDRESSES) {
        match one(addr, asking, &ask, &answer).await {
            Ok(answer) => return Ok(answer),
            Err(error @ UdpError::Query(QueryError::Refused(_))) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn one<T>(
    addr: SocketAddr,
    asking: Asking<'_>,
    ask: impl Fn(&mut Client, engine::Instant),
    answer: impl Fn(Output) -> Option<Result<T, QueryError>>,
) -> Result<T, UdpError> {
    let any: IpAddr = match addr {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let from = asking.from.iter().find(|ip| ip.is_ipv4() == addr.is_ipv4()).copied().unwrap_or(any);
    let socket = UdpSocket::bind((from, 0)).await?;
    // From here on, only what comes from there gets through.
    socket.connect(addr).await?;
    let clock = Clock::start();
    let mut client = Client::new(Family::of(addr.ip()), asking.config, asking.seed);
    ask(&mut client, clock.now());
    let mut packet = vec![0; MAX_PACKET];
    loop {
        while let Some(output) = client.poll_output() {
            match output {
                // A packet that cannot be sent is one that was lost: it goes out again.
                Output::Send(bytes) => drop(socket.send(&bytes).await),
                output => {
                    if let Some(answer) = answer(output) {
                        return Ok(answer?);
                    }
                }
            }
        }
        let Some(due) = client.poll_timeout().and_then(|due| clock.at(due)) else {
            return Err(QueryError::TimedOut.into());
        };
        tokio::select! {
            // A port that is closed says so: it may be opened before we ask again.
            received = socket.recv(&mut packet) => match received {
                Ok(length) => client.handle_packet(clock.now(), &packet[..length]),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            () = sleep_until(due) => client.handle_timeout(clock.now()),
        }
    }
}
