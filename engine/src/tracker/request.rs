//! What a peer tells a tracker, and its form as the query of an HTTP GET (BEP 3, BEP 7, BEP 23). Decoding
//! takes any bytes: it never panics, and holds no more than the query's own length.

use std::fmt::{self, Write};
use std::net::IpAddr;

use smallvec::SmallVec;

use crate::percent::{self, Decoded};
use crate::wire::{InfoHash, PeerId};

use super::reply::MAX_TEXT;

/// The longest query that is read, in bytes.
pub const MAX_QUERY: usize = 4096;

/// Why a peer announces (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Event {
    /// The first announce.
    Started,
    /// It has just got the last piece; not sent by who started complete.
    Completed,
    /// It leaves.
    Stopped,
    /// The regular interval is over, or it wants more peers.
    #[default]
    None,
}

impl Event {
    /// The value of the `event` key; `None` if the key is to be left out.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Started => Some("started"),
            Self::Completed => Some("completed"),
            Self::Stopped => Some("stopped"),
            Self::None => None,
        }
    }
}

/// One announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who announces.
    pub peer_id: PeerId,
    /// The address it wants to be known by, if not the one it comes from. Most trackers ignore it (BEP 7).
    pub ip: Option<IpAddr>,
    /// The port it listens on.
    pub port: u16,
    /// Payload bytes sent since it started.
    pub uploaded: u64,
    /// Payload bytes received since it started.
    pub downloaded: u64,
    /// Bytes it still needs; 0 makes it a seed.
    pub left: u64,
    /// Why now.
    pub event: Event,
    /// How many peers it asks for; `None` leaves it to the tracker.
    pub numwant: Option<u32>,
    /// It prefers the compact form (BEP 23). Advisory.
    pub compact: bool,
    /// The same for each of its announces of this torrent, so that a tracker knows it under two addresses
    /// (BEP 7).
    pub key: Option<u32>,
    /// What the tracker gave it to give back.
    pub tracker_id: Option<Vec<u8>>,
}

/// What is wrong with a query. The text is fit to be sent back as the failure reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`MAX_QUERY`].
    #[error("the query is longer than {MAX_QUERY} bytes")]
    TooLong,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the query has a broken percent-encoding")]
    Escape,
    /// A key that an announce cannot do without.
    #[error("the query has no {0}")]
    Missing(&'static str),
    /// A value that is not what its key asks for.
    #[error("the query has a {0} that cannot be read")]
    Invalid(&'static str),
    /// A key that may be there once.
    #[error("the query has more than one {0}")]
    Twice(&'static str),
}

/// A key and its value.
pub(super) type Pair = (Decoded, Decoded);

/// Those of a query, of which an announce seldom has more than a dozen.
pub(super) type Pairs = SmallVec<[Pair; 16]>;

/// The keys and values of a query, percent-decoded, in their order. Also the scrape's.
pub(super) fn pairs(query: &[u8]) -> Result<Pairs, QueryError> {
    if query.len() > MAX_QUERY {
        return Err(QueryError::TooLong);
    }
    let parts = query.split(|&b| b == b'&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = match part.iter().position(|&b| b == b'=') {
                Some(at) => (&part[..at], &part[at + 1..]),
                None => (part, &[][..]),
            };
            percent::decode(key).zip(percent::decode(value)).ok_or(QueryError::Escape)
        })
        .collect()
}

/// One key's value, which may be there once.
fn single<'a>(pairs: &'a [Pair], key: &'static str) -> Result<Option<&'a [u8]>, QueryError> {
    let mut values =
        pairs.iter().filter(|(k, _)| k.as_slice() == key.as_bytes()).map(|(_, value)| value.as_slice());
    let first = values.next();
    if values.next().is_some() { Err(QueryError::Twice(key)) } else { Ok(first) }
}

/// A number in decimal digits alone: neither sign nor space.
fn decimal<T: std::str::FromStr>(value: &[u8], key: &'static str) -> Result<T, QueryError> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(QueryError::Invalid(key))
}

impl AnnounceRequest {
    /// As the query of a URL, without the `?`.
    pub fn to_query(&self) -> String {
        let mut query = String::with_capacity(256);
        // Writing to a string cannot fail.
        let _ = self.write_query(&mut query);
        query
    }

    /// Appends the query of a URL, without the `?`, to `out`. Fails where `out` does.
    pub fn write_query(&self, out: &mut impl Write) -> fmt::Result {
        let Self { port, uploaded, downloaded, left, .. } = self;
        let compact = u8::from(self.compact);
        out.write_str("info_hash=")?;
        percent::encode(&self.info_hash.0, out)?;
        out.write_str("&peer_id=")?;
        percent::encode(&self.peer_id.0, out)?;
        write!(
            out,
            "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&compact={compact}"
        )?;
        if let Some(event) = self.event.name() {
            write!(out, "&event={event}")?;
        }
        if let Some(numwant) = self.numwant {
            write!(out, "&numwant={numwant}")?;
        }
        if let Some(key) = self.key {
            write!(out, "&key={key:08x}")?;
        }
        if let Some(ip) = self.ip {
            write!(out, "&ip={ip}")?;
        }
        if let Some(id) = &self.tracker_id {
            out.write_str("&trackerid=")?;
            percent::encode(id, out)?;
        }
        Ok(())
    }

    /// The announce that a query says, given without its `?`.
    ///
    /// Unknown keys and unknown events are ignored, and so is an `ip` that is a name and a `key` that is
    /// not eight hexadecimal digits or fewer. `compact` is taken as wanted unless it is 0 (BEP 23 suggests
    /// it). A `+` stands for itself: the hashes are raw bytes.
    pub fn from_query(query: &[u8]) -> Result<Self, QueryError> {
        let pairs = pairs(query)?;
        let get = |key| single(&pairs, key);
        let due = |key| get(key)?.ok_or(QueryError::Missing(key));
        let count = |key| decimal(due(key)?, key);
        let bytes20 = |key| due(key)?.try_into().map_err(|_| QueryError::Invalid(key));
        let text = |key| Ok(get(key)?.and_then(|value| std::str::from_utf8(value).ok()));
        Ok(Self {
            info_hash: InfoHash(bytes20("info_hash")?),
            peer_id: PeerId(bytes20("peer_id")?),
            ip: text("ip")?.and_then(|text| text.parse().ok()),
            port: decimal(due("port")?, "port")?,
            uploaded: count("uploaded")?,
            downloaded: count("downloaded")?,
            left: count("left")?,
            event: match get("event")? {
                Some(b"started") => Event::Started,
                Some(b"completed") => Event::Completed,
                Some(b"stopped") => Event::Stopped,
                _ => Event::None,
            },
            numwant: get("numwant")?.map(|value| decimal(value, "numwant")).transpose()?,
            compact: get("compact")? != Some(b"0"),
            key: text("key")?.and_then(|text| u32::from_str_radix(text, 16).ok()),
            // None that a tracker has given (`AnnounceReply` keeps none that is longer).
            tracker_id: get("trackerid")?.filter(|id| id.len() <= MAX_TEXT).map(<[u8]>::to_vec),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> AnnounceRequest {
        AnnounceRequest {
            info_hash: InfoHash(*b"\x124Vx\x9a\xbc\xde\xf1#Eg\x89\xab\xcd\xef\x124Vx\x9a"),
            peer_id: PeerId(*b"-SL0100-abc.def_+ &="),
            ip: None,
            port: 6881,
            uploaded: 1,
            downloaded: 2,
            left: u64::MAX,
            event: Event::Started,
            numwant: Some(50),
            compact: true,
            key: Some(0xbeef),
            tracker_id: None,
        }
    }

    #[test]
    fn the_query_is_as_bep_3_says() {
        assert_eq!(
            request().to_query(),
            "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-SL0100-abc.def_%2B%20%26%3D\
             &port=6881&uploaded=1&downloaded=2&left=18446744073709551615&compact=1&event=started\
             &numwant=50&key=0000beef"
        );
    }

    #[test]
    fn faults_are_named() {
        let good = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&uploaded=0\
                    &downloaded=0&left=0";
        let parse = |query: &str| AnnounceRequest::from_query(query.as_bytes());
        let parsed = parse(good).unwrap();
        assert_eq!((parsed.event, parsed.numwant, parsed.compact), (Event::None, None, true));
        let odd = parse(&format!("{good}&event=paused&ip=example.com&key=zz&compact=0&x=%ff")).unwrap();
        assert_eq!((odd.event, odd.ip, odd.key, odd.compact), (Event::None, None, None, false));
        for (from, to, error) in [
            ("&port=1", "", QueryError::Missing("port")),
            ("port=1", "port=65536", QueryError::Invalid("port")),
            ("port=1", "port=+1", QueryError::Invalid("port")),
            ("port=1", "port=", QueryError::Invalid("port")),
            ("left=0", "left=-1", QueryError::Invalid("left")),
            ("left=0", "left=18446744073709551616", QueryError::Invalid("left")),
            ("info_hash=a", "info_hash=", QueryError::Invalid("info_hash")),
            ("peer_id=a", "peer_id=aa", QueryError::Invalid("peer_id")),
            ("port=1", "port=1&port=1", QueryError::Twice("port")),
            ("peer_id=a", "peer_id=%g1", QueryError::Escape),
        ] {
            assert_eq!(parse(&good.replace(from, to)), Err(error), "{to}");
        }
        assert_eq!(parse(&"a".repeat(5000)), Err(QueryError::TooLong));
    }

    #[test]
    fn a_tracker_id_that_could_not_be_written_again_is_left_out() {
        let mut query = request().to_query().into_bytes();
        query.extend(b"&trackerid=");
        // Escaped, a byte is three.
        for (length, kept) in [(1024, true), (1025, false), (3500, false)] {
            let asked = [&query[..], &vec![0xff; length]].concat();
            let request = AnnounceRequest::from_query(&asked).unwrap();
            assert_eq!(request.tracker_id.is_some(), kept, "{length}");
            assert_eq!(AnnounceRequest::from_query(request.to_query().as_bytes()), Ok(request), "{length}");
        }
    }

    proptest! {
        #[test]
        fn queries_read_what_they_say(
            hash in any::<[u8; 20]>(), id in any::<[u8; 20]>(), ip in any::<Option<IpAddr>>(),
            port in any::<u16>(), left in any::<u64>(), numwant in any::<Option<u32>>(),
            key in any::<Option<u32>>(), tracker_id in any::<Option<Vec<u8>>>(), compact in any::<bool>(),
            event in prop::sample::select(vec![
                Event::None, Event::Started, Event::Completed, Event::Stopped,
            ]),
        ) {
            let request = AnnounceRequest {
                info_hash: InfoHash(hash), peer_id: PeerId(id), ip, port, left, event, numwant, compact, key,
                tracker_id, ..request()
            };
            prop_assert_eq!(AnnounceRequest::from_query(request.to_query().as_bytes()), Ok(request));
        }

        #[test]
        fn no_query_breaks_it(query in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = AnnounceRequest::from_query(&query);
        }
    }
}
