//! Who dials us: accepted while there is room, and handed to the torrent that it names.
//!
//! Until it has named one, a connection costs a socket, a task and less than a hundred bytes of what it sent;
//! it has [`Settings::handshake_timeout`](super::Settings) for that, and there is a bound on how many such
//! there are, beyond which the oldest goes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut as _;
use engine::InfoHash;
use engine::wire::{Decoder, HANDSHAKE_LENGTH, Limits};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Context, SessionError};
use crate::torrent::Event;

/// How long to wait when the system has no socket for us.
const BREATH: Duration = Duration::from_millis(100);

/// Listens on all of `addrs`.
pub(super) async fn bind(addrs: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), SessionError> {
    let (mut listeners, mut bound) = (Vec::new(), Vec::new());
    for &addr in addrs {
        let failed = |error| SessionError::Listen { addr, error };
        let listener = match TcpListener::bind(addr).await {
            Err(error) if addr.is_ipv6() && addr.ip().is_unspecified() && !in_use(&error) => {
                let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port());
                TcpListener::bind(v4).await.map_err(failed)?
            }
            listener => listener.map_err(failed)?,
        };
        bound.push(listener.local_addr().map_err(failed)?);
        listeners.push(listener);
    }
    Ok((listeners, bound))
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Accepts until it is aborted.
pub(super) fn start(listener: TcpListener, context: Arc<Context>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (stream, addr) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
            let Some((ticket, mut unknown)) = context.gate.accept(addr.ip()) else { continue };
            let context = context.clone();
            tokio::spawn(async move {
                let mut stream = stream;
                let named = named(&mut stream);
                let named = tokio::time::timeout(context.settings.handshake_timeout, named);
                let named = tokio::select! {
                    named = named => named,
                    () = unknown.evicted() => return,
                };
                drop(unknown);
                let Ok(Some((torrent, decoder))) = named else { return };
                let Some(entry) = context.find(torrent) else { return };
                // A torrent that is gone needs no connections.
                let _ = entry.events.send(Event::Accepted { addr, stream, decoder, ticket }).await;
            });
        }
    })
}

/// Reads until a torrent is named, and no further than the handshake.
async fn named(stream: &mut TcpStream) -> Option<(InfoHash, Decoder)> {
    let mut decoder = Decoder::new(Limits::default());
    loop {
        if let Some(torrent) = decoder.info_hash() {
            return Some((torrent, decoder));
        }
        let room = HANDSHAKE_LENGTH - decoder.buffered();
        let read = stream.read_buf(&mut decoder.buffer().limit(room)).await.ok()?;
        // Who speaks another protocol is told by the first byte.
        if read == 0 || (decoder.info_hash().is_none() && decoder.poll().is_err()) {
            return None;
        }
    }
}
