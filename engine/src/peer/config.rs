//! What can be set about a [`Peer`](super::Peer), with the values that real clients use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::choker::ChokerFactory;
use crate::picker::PickerFactory;
use crate::wire::PeerId;

/// Settings that many peers share. `Default` is a client as people run them.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerConfig {
    /// The most connections, either way.
    pub max_connections: u32,
    /// Dial no further once there are this many connections: the rest is left to those who dial us
    /// (mainline: 40 of 80).
    pub max_initiate: u32,
    /// The most dialled connections whose outcome is open.
    pub max_half_open: u32,
    /// Dial no address twice, whatever the port.
    pub one_per_address: bool,
    /// Ask the tracker again, as soon as it allows, below this many connections (mainline: 20).
    pub min_connections: u32,
    /// Upload slots, the optimistic one included (BEP 3: four).
    pub slots: u32,
    /// Who has a slot and takes next to nothing stays unchoked and does not count, so that nobody waits behind
    /// idle remotes. The driver should say while our uplink is full
    /// ([`Peer::set_uplink_full`](super::Peer::set_uplink_full)): else everyone looks idle where a slot gets less than
    /// 1 KiB/s.
    pub lend_idle_slots: bool,
    /// Between choke rounds (BEP 3: 10 s).
    pub choke_interval: Duration,
    /// What rates are averaged over (BEP 3 as mainline did: 20 s).
    pub rate_window: Duration,
    /// A remote that owes blocks and sends none for this long is snubbed (BEP 3: 60 s).
    pub snub_after: Duration,
    /// A keep-alive goes out after this long without a message (BEP 3: two minutes).
    pub keep_alive: Duration,
    /// A connection that is silent for this long is closed.
    pub idle_timeout: Duration,
    /// A connection without a handshake for this long is closed.
    pub handshake_timeout: Duration,
    /// Outstanding requests on a connection.
    pub pipeline: Pipeline,
    /// After an unchoke, one request more for each block that comes, as long as each second brings more than the one
    /// before (libtorrent's slow start): who answers seldom, and then all there is, is soon asked for enough.
    pub slow_start: bool,
    /// Requests a remote may have with us at once; said in the extended handshake as `reqq`.
    pub max_queued: u32,
    /// Blocks of at most this many bytes are served (mainline: 128 KiB).
    pub max_request: u32,
    /// How many pieces a choked newcomer may have (BEP 6 recommends 10; 0 switches it off).
    pub allowed_fast: u32,
    /// The least payload bytes handed to the network ahead of what has left: two blocks.
    pub send_buffer: u32,
    /// Payload handed to the network ahead of what has left, as time at the connection's rate.
    pub send_buffer_time: Duration,
    /// Peers to ask the tracker for.
    pub numwant: u32,
    /// Once everything is requested, ask those who owe us nothing for a block again, one at a time (BEP 3).
    pub endgame: bool,
    /// How many may be asked for one block in endgame.
    pub endgame_copies: u8,
    /// Keep what remotes say of themselves: a client's name for its user, `upload_only` (BEP 21). About 200 bytes
    /// a connection.
    pub remember: bool,
    /// An address whose connections end this often within a minute, with nothing moved, is dialled no more (as
    /// libtorrent does after three), until a tracker names it again; 0: it is dialled each minute for ever.
    pub short_lives: u8,
    /// Tell remotes of each other, and be told (BEP 11); never for a private torrent (BEP 27).
    pub pex: bool,
    /// Speak the fast extension (BEP 6).
    pub fast: bool,
    /// Speak the extension protocol (BEP 10), without which there is neither `pex` nor anything to be had by a magnet link.
    pub extended: bool,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            max_connections: 80,
            max_initiate: 40,
            max_half_open: 20,
            one_per_address: true,
            min_connections: 20,
            slots: 4,
            lend_idle_slots: false,
            choke_interval: Duration::from_secs(10),
            rate_window: Duration::from_secs(20),
            snub_after: Duration::from_secs(60),
            keep_alive: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(240),
            handshake_timeout: Duration::from_secs(20),
            pipeline: Pipeline::default(),
            slow_start: false,
            max_queued: 500,
            max_request: 128 * 1024,
            allowed_fast: 0,
            send_buffer: 2 * crate::layout::BLOCK,
            send_buffer_time: Duration::from_millis(500),
            numwant: 50,
            endgame: true,
            endgame_copies: 4,
            remember: false,
            short_lives: 0,
            pex: false,
            fast: true,
            extended: true,
        }
    }
}

impl PeerConfig {
    /// A client in the real world: the default and what a simulated peer has no use for.
    ///
    /// Of requests it takes and has as many as libtorrent. Transmission 3.00 answers them every 500 ms, and sends
    /// its own once a second: what it is not asked for by then, or may not ask for, waits for the next time.
    pub fn client() -> Self {
        let pipeline = match Pipeline::default() {
            Pipeline::Adaptive { queue, min, .. } => Pipeline::Adaptive { queue, min, max: 500 },
            fixed => fixed,
        };
        Self {
            remember: true,
            short_lives: 3,
            pex: true,
            max_queued: 2000,
            pipeline,
            slow_start: true,
            lend_idle_slots: true,
            ..Self::default()
        }
    }
}

/// How many requests are kept outstanding on a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pipeline {
    /// As many blocks as arrive, at the rate measured since the unchoke, in the smallest round trip seen
    /// plus `queue`: what the path holds, and as much waiting at the sender.
    Adaptive {
        /// Requests that wait at the sender, as time at the connection's rate.
        queue: Duration,
        /// At least.
        min: u32,
        /// At most.
        max: u32,
    },
    /// Always this many, but one while snubbed: for experiments on the pipeline itself.
    Fixed(u32),
}

impl Default for Pipeline {
    fn default() -> Self {
        Self::Adaptive { queue: Duration::from_millis(1000), min: 2, max: 250 }
    }
}

/// Who a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id in handshakes and announces.
    pub peer_id: PeerId,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// The policies of a peer.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whom to upload to while pieces are missing.
    pub leech: Arc<dyn ChokerFactory>,
    /// Whom to upload to once there are none.
    pub seed: Arc<dyn ChokerFactory>,
    /// What to download first.
    pub picker: Arc<dyn PickerFactory>,
}
