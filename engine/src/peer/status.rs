//! What there is to see of a peer's connections, for people. Costs nothing until it is asked for.

use std::net::SocketAddr;

use crate::ids::ConnId;
use crate::rate::Window;
use crate::time::Instant;
use crate::wire::PeerId;

use super::Peer;

/// One connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionInfo {
    /// The driver's name for it.
    pub conn: ConnId,
    /// The other end.
    pub addr: SocketAddr,
    /// We dialled it.
    pub outgoing: bool,
    /// When it came up.
    pub connected_at: Instant,
    /// Who it is; `None` until its handshake has come.
    pub peer_id: Option<PeerId>,
    /// What it calls itself (BEP 10 `v`). A stranger's text: not to be printed as it is. `None` without
    /// [`PeerConfig::remember`](super::PeerConfig::remember).
    pub client: Option<String>,
    /// We choke it.
    pub am_choking: bool,
    /// We want something of it.
    pub am_interested: bool,
    /// It chokes us.
    pub peer_choking: bool,
    /// It wants something of us.
    pub peer_interested: bool,
    /// It owes us blocks for too long.
    pub snubbed: bool,
    /// It says that it wants nothing (BEP 21).
    pub upload_only: bool,
    /// Pieces it has.
    pub pieces: u32,
    /// Of these, pieces we lack.
    pub wanted: u32,
    /// Payload from it, bytes a second.
    pub download_rate: u64,
    /// Payload to it, bytes a second.
    pub upload_rate: u64,
    /// Requests of ours that it has not answered.
    pub requested: u32,
    /// Requests of its that we have not answered.
    pub queued: u32,
}

impl Peer {
    /// Every connection as it is now, in the order of their ids.
    pub fn connections_info(&self, now: Instant) -> impl Iterator<Item = ConnectionInfo> + '_ {
        let window = Window::new(now, self.config.rate_window);
        self.conns.iter().map(move |(conn, connection)| {
            let traffic = self.conns.traffic_of(connection);
            let facts = connection.facts(conn, traffic, &window);
            let remote = self.remotes.get(conn);
            ConnectionInfo {
                conn,
                addr: connection.addr.get(),
                outgoing: connection.outgoing,
                connected_at: connection.connected_at,
                peer_id: self.conns.peer_id(conn).filter(|_| connection.is_ready()),
                client: remote.and_then(|remote| remote.client.as_deref()).map(str::to_owned),
                am_choking: connection.am_choking,
                am_interested: connection.am_interested,
                peer_choking: connection.peer_choking,
                peer_interested: connection.peer_interested,
                snubbed: connection.snubbed,
                upload_only: remote.is_some_and(|remote| remote.upload_only),
                pieces: facts.pieces,
                wanted: connection.wanted,
                download_rate: facts.download_rate,
                upload_rate: facts.upload_rate,
                requested: traffic.map_or(0, |traffic| traffic.outstanding),
                queued: traffic.map_or(0, |traffic| (traffic.uploads.len() + traffic.reading.len()) as u32),
            }
        })
    }
}
