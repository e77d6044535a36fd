//! The packets of BEP 15, both ways, and the options of BEP 41.
//!
//! - A packet shorter than its kind is refused; bytes past the end of what is known are ignored, as BEP 15 asks
//!   ("do not expect packets to be exactly of a certain size").
//! - No bytes make it panic; what is kept is bounded by the packet's own length, by
//!   [`MAX_TORRENTS`] and by [`MAX_PEERS`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::text;
use crate::tracker::origin::Family;
use crate::tracker::reply::{AnnounceReply, DEFAULT_INTERVAL, MAX_INTERVAL, MAX_PEERS};
use crate::tracker::request::{AnnounceRequest, Event};
use crate::tracker::scrape::{MAX_TORRENTS, ScrapeCounts};
use crate::wire::{InfoHash, PeerId};

/// What a connect request begins with.
pub const PROTOCOL: u64 = 0x417_2710_1980;
/// The longest packet that is sent, in bytes: what passes any path in one piece, IPv6's least MTU of 1,280 less
/// its headers.
pub const MAX_PACKET: usize = 1232;
/// The longest error text that is kept, in bytes.
const MAX_TEXT: usize = 1024;
/// An announce without options.
const ANNOUNCE: usize = 98;

/// What a packet is about.
mod action {
    pub const CONNECT: u32 = 0;
    pub const ANNOUNCE: u32 = 1;
    pub const SCRAPE: u32 = 2;
    pub const ERROR: u32 = 3;
}

/// The options of BEP 41.
mod option {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const URL_DATA: u8 = 2;
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Too short for what it says it is.
    #[error("a packet of {got} bytes where {least} are due")]
    Short {
        /// Bytes there are.
        got: usize,
        /// Bytes there must be.
        least: usize,
    },
    /// An action that is not known, or not known in this direction.
    #[error("an unknown action, {0}")]
    Action(u32),
    /// A connect request without [`PROTOCOL`].
    #[error("a connect request without the protocol's number")]
    Protocol,
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id.
    Connect {
        /// To be given back.
        transaction: u32,
    },
    /// An announce.
    Announce {
        /// The connection id.
        connection: u64,
        /// To be given back.
        transaction: u32,
        /// What it says. An `ip` of IPv6, `compact` and `tracker_id` have no place in a packet: they read
        /// `None`, true and `None`. A `key` is always there. `numwant` is at most 2³¹ - 1.
        announce: Box<AnnounceRequest>,
        /// Path and query of the tracker's URL (BEP 41).
        url: Vec<u8>,
    },
    /// A scrape.
    Scrape {
        /// The connection id.
        connection: u64,
        /// To be given back.
        transaction: u32,
        /// One to [`MAX_TORRENTS`] torrents; what is over is left out, either way.
        torrents: Vec<InfoHash>,
    },
}

/// What a tracker sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The connection id that was asked for.
    Connect {
        /// As in the request.
        transaction: u32,
        /// Good for a minute.
        connection: u64,
    },
    /// The answer to an announce.
    Announce {
        /// As in the request.
        transaction: u32,
        /// Of it a packet holds the interval, the counts, and peers of one family.
        reply: AnnounceReply,
    },
    /// The answer to a scrape: one for each torrent, in order.
    Scrape {
        /// As in the request.
        transaction: u32,
        /// The counts; zeros for a torrent that is not known.
        counts: Vec<ScrapeCounts>,
    },
    /// A refusal.
    Error {
        /// As in the request.
        transaction: u32,
        /// Why, for people to read.
        message: String,
    },
}

/// Bytes that are taken off from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    fn some(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        head
    }
}

fn long_enough(packet: &[u8], least: usize) -> Result<(), PacketError> {
    if packet.len() >= least { Ok(()) } else { Err(PacketError::Short { got: packet.len(), least }) }
}

impl Request {
    /// The packet.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut head = |connection: u64, action: u32, transaction: u32| {
            out.extend_from_slice(&connection.to_be_bytes());
            out.extend_from_slice(&action.to_be_bytes());
            out.extend_from_slice(&transaction.to_be_bytes());
        };
        match self {
            Self::Connect { transaction } => head(PROTOCOL, action::CONNECT, *transaction),
            Self::Announce { connection, transaction, announce, url } => {
                head(*connection, action::ANNOUNCE, *transaction);
                announce_body(announce, &mut out);
                url_options(url, &mut out);
            }
            Self::Scrape { connection, transaction, torrents } => {
                head(*connection, action::SCRAPE, *transaction);
                torrents.iter().take(MAX_TORRENTS).for_each(|hash| out.extend_from_slice(&hash.0));
            }
        }
        out
    }

    /// What a packet says. An event that is not known is none.
    pub fn from_bytes(packet: &[u8]) -> Result<Self, PacketError> {
        long_enough(packet, 16)?;
        let short = |least| PacketError::Short { got: packet.len(), least };
        let mut r = Reader(packet);
        let head = (r.u64(), r.u32(), r.u32());
        let (Some(connection), Some(action), Some(transaction)) = head else { return Err(short(16)) };
        match action {
            action::CONNECT if connection == PROTOCOL => Ok(Self::Connect { transaction }),
            action::CONNECT => Err(PacketError::Protocol),
            action::ANNOUNCE => {
                let announce = read_announce(&mut r).ok_or(short(ANNOUNCE))?;
                let url = read_url(&mut r);
                Ok(Self::Announce { connection, transaction, announce: Box::new(announce), url })
            }
            action::SCRAPE => {
                long_enough(packet, 36)?;
                let hashes = r.0.as_chunks().0.iter().take(MAX_TORRENTS);
                let torrents = hashes.map(|hash| InfoHash(*hash)).collect();
                Ok(Self::Scrape { connection, transaction, torrents })
            }
            other => Err(PacketError::Action(other)),
        }
    }
}

fn announce_body(announce: &AnnounceRequest, out: &mut Vec<u8>) {
    out.extend_from_slice(&announce.info_hash.0);
    out.extend_from_slice(&announce.peer_id.0);
    for number in [announce.downloaded, announce.left, announce.uploaded] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let event: u32 = match announce.event {
        Event::None => 0,
        Event::Completed => 1,
        Event::Started => 2,
        Event::Stopped => 3,
    };
    let ip = match announce.ip {
        Some(IpAddr::V4(ip)) => u32::from(ip),
        // The field is too small for IPv6, which is to leave it 0.
        Some(IpAddr::V6(_)) | None => 0,
    };
    let numwant = announce.numwant.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
    for number in [event, ip, announce.key.unwrap_or(0), numwant as u32] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&announce.port.to_be_bytes());
}

/// BEP 41: in parts of at most 255 bytes; what does not fit the packet is left out. Nothing for no URL: some
/// trackers take no packet that is longer than they know.
fn url_options(url: &[u8], out: &mut Vec<u8>) {
    for part in url.chunks(255) {
        if out.len() + 2 + part.len() > MAX_PACKET {
            return;
        }
        out.extend_from_slice(&[option::URL_DATA, part.len() as u8]);
        out.extend_from_slice(part);
    }
}

fn read_announce(r: &mut Reader<'_>) -> Option<AnnounceRequest> {
    let (info_hash, peer_id) = (InfoHash(r.take()?), PeerId(r.take()?));
    let (downloaded, left, uploaded) = (r.u64()?, r.u64()?, r.u64()?);
    let event = match r.u32()? {
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        _ => Event::None,
    };
    let ip = Some(r.u32()?).filter(|&ip| ip != 0).map(|ip| Ipv4Addr::from(ip).into());
    let (key, numwant, port) = (r.u32()?, r.u32()? as i32, r.u16()?);
    Some(AnnounceRequest {
        info_hash,
        peer_id,
        ip,
        port,
        uploaded,
        downloaded,
        left,
        event,
        numwant: u32::try_from(numwant).ok(),
        compact: true,
        key: Some(key),
        tracker_id: None,
    })
}

/// BEP 41: the options' URL data. What is unknown is skipped; what is cut off ends it.
fn read_url(r: &mut Reader<'_>) -> Vec<u8> {
    let mut url = Vec::new();
    while let Some(kind) = r.u8() {
        match kind {
            option::END => break,
            option::NOP => continue,
            _ => {}
        }
        let Some(length) = r.u8() else { break };
        let data = r.some(length.into());
        if kind == option::URL_DATA {
            url.extend_from_slice(data);
        }
    }
    url
}

impl Response {
    /// The packet, with those peers that are of `family`, as many as fit [`MAX_PACKET`].
    pub fn to_bytes(&self, family: Family) -> Vec<u8> {
        let mut out = Vec::new();
        let mut numbers = |numbers: &[u32]| {
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
        };
        match self {
            Self::Connect { transaction, connection } => {
                numbers(&[action::CONNECT, *transaction, (connection >> 32) as u32, *connection as u32]);
            }
            Self::Announce { transaction, reply } => {
                let interval = u32::try_from(reply.interval.as_secs()).unwrap_or(u32::MAX);
                let (leechers, seeds) =
                    (reply.incomplete.unwrap_or_default(), reply.complete.unwrap_or_default());
                numbers(&[action::ANNOUNCE, *transaction, interval, leechers, seeds]);
                for peer in &reply.peers {
                    let room = MAX_PACKET - out.len();
                    match (peer.ip().to_canonical(), family) {
                        (IpAddr::V4(ip), Family::V4) if room >= 6 => out.extend_from_slice(&ip.octets()),
                        (IpAddr::V6(ip), Family::V6) if room >= 18 => out.extend_from_slice(&ip.octets()),
                        _ => continue,
                    }
                    out.extend_from_slice(&peer.port().to_be_bytes());
                }
            }
            Self::Scrape { transaction, counts } => {
                numbers(&[action::SCRAPE, *transaction]);
                for counts in counts.iter().take(MAX_TORRENTS) {
                    numbers(&[counts.complete, counts.downloaded, counts.incomplete]);
                }
            }
            Self::Error { transaction, message } => {
                numbers(&[action::ERROR, *transaction]);
                let text = message.as_bytes();
                out.extend_from_slice(&text[..text.len().min(MAX_TEXT)]);
            }
        }
        out
    }

    /// What a packet says that came over `family`. An interval of zero, or over
    /// [`MAX_INTERVAL`], is mended as HTTP's is; peers with port 0 are
    /// left out, and so are bytes that make no whole peer.
    pub fn from_bytes(packet: &[u8], family: Family) -> Result<Self, PacketError> {
        long_enough(packet, 8)?;
        let mut r = Reader(packet);
        let (Some(action), Some(transaction)) = (r.u32(), r.u32()) else {
            return Err(PacketError::Short { got: packet.len(), least: 8 });
        };
        match action {
            action::CONNECT => {
                let connection = r.u64().ok_or(PacketError::Short { got: packet.len(), least: 16 })?;
                Ok(Self::Connect { transaction, connection })
            }
            action::ANNOUNCE => {
                let short = PacketError::Short { got: packet.len(), least: 20 };
                let reply = read_reply(&mut r, family).ok_or(short)?;
                Ok(Self::Announce { transaction, reply })
            }
            action::SCRAPE => {
                let counts = std::iter::from_fn(|| {
                    let (complete, downloaded, incomplete) = (r.u32()?, r.u32()?, r.u32()?);
                    Some(ScrapeCounts { complete, incomplete, downloaded })
                });
                Ok(Self::Scrape { transaction, counts: counts.take(MAX_TORRENTS).collect() })
            }
            action::ERROR => {
                let message = text::lossy(r.some(MAX_TEXT), MAX_TEXT);
                Ok(Self::Error { transaction, message })
            }
            other => Err(PacketError::Action(other)),
        }
    }
}

fn read_reply(r: &mut Reader<'_>, family: Family) -> Option<AnnounceReply> {
    let (interval, incomplete, complete) = (r.u32()?, r.u32()?, r.u32()?);
    let interval = match i32::try_from(interval) {
        Ok(seconds @ 1..) => Duration::from_secs(seconds as u64).min(MAX_INTERVAL),
        _ => DEFAULT_INTERVAL,
    };
    let peers = std::iter::from_fn(|| {
        let ip: IpAddr = match family {
            Family::V4 => Ipv4Addr::from(r.take()?).into(),
            Family::V6 => Ipv6Addr::from(r.take::<16>()?).into(),
        };
        Some(SocketAddr::new(ip, r.u16()?))
    });
    let peers = peers.filter(|peer| peer.port() != 0).take(MAX_PEERS).collect();
    let (complete, incomplete) = (Some(complete), Some(incomplete));
    Some(AnnounceReply { interval, complete, incomplete, peers, ..AnnounceReply::default() })
}
