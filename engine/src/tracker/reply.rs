//! What a tracker answers, and its form as a bencoded body: peers as a list of dictionaries (BEP 3), compact
//! (BEP 23), and IPv6 compact (BEP 7). Decoding takes any bytes, and keeps at most [`MAX_PEERS`] peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::bencode::{BencodeError, Item, Value, integer, string, string_of};
use crate::text;
use crate::wire::PeerId;

/// The most peers that are taken from one reply.
pub const MAX_PEERS: usize = 2000;
/// The interval when a tracker names none that makes sense: half an hour, as most do.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// The longest interval that is believed.
pub const MAX_INTERVAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest text that is kept, in bytes.
pub(super) const MAX_TEXT: usize = 1024;

/// A tracker's answer to an announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceReply {
    /// How long to wait until the next regular announce; whole seconds on the wire.
    pub interval: Duration,
    /// How long to wait at least, whatever the reason.
    pub min_interval: Option<Duration>,
    /// How many peers have the whole content.
    pub complete: Option<u32>,
    /// How many do not.
    pub incomplete: Option<u32>,
    /// Where peers are.
    pub peers: Vec<SocketAddr>,
    /// Who they are, in the same order; empty if unknown (the compact form does not say).
    pub peer_ids: Vec<PeerId>,
    /// To be shown to the user.
    pub warning: Option<String>,
    /// To be given back with the next announce.
    pub tracker_id: Option<Vec<u8>>,
}

/// When an announce that was refused may be made again (BEP 31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// The tracker does not say.
    #[default]
    Unsaid,
    /// After this long; whole minutes on the wire.
    After(Duration),
    /// Never.
    Never,
}

/// A tracker's refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the tracker refuses: {reason}")]
pub struct Failure {
    /// Why, for people to read.
    pub reason: String,
    /// When to ask again.
    pub retry: Retry,
}

impl Failure {
    /// A refusal that says no more than why.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry: Retry::Unsaid }
    }

    /// As a bencoded body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let retry = match self.retry {
            Retry::Unsaid => None,
            Retry::After(wait) => Some(Item::unsigned(wait.as_secs().div_ceil(60))),
            Retry::Never => Some(Item::string("never")),
        };
        Item::dictionary([("failure reason", Some(Item::string(&self.reason))), ("retry in", retry)])
            .to_bytes()
    }

    /// The refusal that a reply says, if it is one.
    pub(super) fn read(value: Value<'_>) -> Option<Self> {
        let reason = text(value.get("failure reason")?).unwrap_or_default();
        let retry = value.get("retry in").map_or(Retry::Unsaid, |retry| {
            // BEP 31 shows the minutes as a string, and speaks of an integer.
            let minutes = retry.number::<u64>().or_else(|| retry.text()?.parse().ok());
            match minutes {
                Some(minutes) if minutes > 0 => {
                    Retry::After(Duration::from_secs(minutes.saturating_mul(60)).min(MAX_INTERVAL))
                }
                _ if retry.string() == Some(b"never") => Retry::Never,
                _ => Retry::Unsaid,
            }
        });
        Some(Self { reason, retry })
    }
}

/// Why an announce has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// The tracker refuses, and may say when to ask again (BEP 31).
    #[error(transparent)]
    Refused(#[from] Failure),
    /// It did not answer, or not with anything that can be read; why, for people to read.
    #[error("{0}")]
    Unanswered(String),
}

impl AnnounceError {
    /// There is no answer, for this reason.
    pub fn unanswered(reason: impl Into<String>) -> Self {
        Self::Unanswered(reason.into())
    }

    /// What is said of asking again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(failure) => failure.retry,
            Self::Unanswered(_) => Retry::Unsaid,
        }
    }
}

impl From<ReplyError> for AnnounceError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Refused(failure) => Self::Refused(failure),
            other => Self::Unanswered(other.to_string()),
        }
    }
}

/// Why a body is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The tracker refuses, in the proper form.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The body is not bencode.
    #[error("the tracker's reply is not bencode: {0}")]
    Syntax(#[from] BencodeError),
    /// The body says something else than a tracker does.
    #[error("the tracker's reply has no {0} that can be read")]
    Shape(&'static str),
}

/// The text of a string, what is not UTF-8 replaced, cut to [`MAX_TEXT`].
fn text(value: Value<'_>) -> Option<String> {
    Some(text::lossy(value.string()?, MAX_TEXT))
}

/// A number of seconds above zero, at most [`MAX_INTERVAL`].
fn seconds(value: Option<Value<'_>>) -> Option<Duration> {
    let seconds = value?.number::<u64>().filter(|&seconds| seconds > 0)?;
    Some(Duration::from_secs(seconds).min(MAX_INTERVAL))
}

impl AnnounceReply {
    /// As a bencoded body: compact with `peers` and, if there are any, `peers6`; or with a list of
    /// dictionaries, which hold the peer ids that are known.
    pub fn to_bytes(&self, compact: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(compact, &mut out);
        out
    }

    /// Appends what [`AnnounceReply::to_bytes`] says to `out`.
    pub fn encode(&self, compact: bool, out: &mut Vec<u8>) {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        let numbers = [
            ("complete", self.complete.map(i64::from)),
            ("incomplete", self.incomplete.map(i64::from)),
            ("interval", Some(seconds(self.interval))),
            ("min interval", self.min_interval.map(seconds)),
        ];
        let texts = [
            ("tracker id", self.tracker_id.as_deref()),
            ("warning message", self.warning.as_ref().map(String::as_bytes)),
        ];
        // The keys of a dictionary are in order.
        out.push(b'd');
        for (key, number) in numbers {
            if let Some(number) = number {
                string(key.as_bytes(), out);
                integer(number, out);
            }
        }
        string(b"peers", out);
        if compact {
            self.compact_peers(false, out);
            if self.peers.iter().any(SocketAddr::is_ipv6) {
                string(b"peers6", out);
                self.compact_peers(true, out);
            }
        } else {
            self.listed_peers(out);
        }
        for (key, text) in texts {
            if let Some(text) = text {
                string(key.as_bytes(), out);
                string(text, out);
            }
        }
        out.push(b'e');
    }

    /// BEP 23 and BEP 7: address and port, big-endian, of the peers of one family.
    fn compact_peers(&self, ipv6: bool, out: &mut Vec<u8>) {
        let peers = self.peers.iter().filter(|peer| peer.is_ipv6() == ipv6);
        string_of(peers.clone().count() * if ipv6 { 18 } else { 6 }, out);
        for peer in peers {
            match peer.ip() {
                IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
            }
            out.extend_from_slice(&peer.port().to_be_bytes());
        }
    }

    /// BEP 3.
    fn listed_peers(&self, out: &mut Vec<u8>) {
        out.push(b'l');
        for (i, peer) in self.peers.iter().enumerate() {
            out.extend_from_slice(b"d2:ip");
            string(peer.ip().to_string().as_bytes(), out);
            if let Some(id) = self.peer_ids.get(i) {
                string(b"peer id", out);
                string(&id.0, out);
            }
            string(b"port", out);
            integer(peer.port().into(), out);
            out.push(b'e');
        }
        out.push(b'e');
    }

    /// The answer that a body says, in any of the three forms.
    ///
    /// What a client can do without is forgiven: an interval that is missing or not above zero is
    /// [`DEFAULT_INTERVAL`], one above [`MAX_INTERVAL`] is that, counts that make no sense are `None`, and a
    /// listed peer without a port above 0 or whose `ip` is a name is left out. Refused are a body that is
    /// not a strict bencoded dictionary, one without `peers` and `peers6`, and compact peers that are no
    /// whole number of peers.
    pub fn from_bytes(body: &[u8]) -> Result<Self, ReplyError> {
        let value = Value::parse(body)?;
        value.dictionary().ok_or(ReplyError::Shape("dictionary"))?;
        if let Some(failure) = Failure::read(value) {
            return Err(failure.into());
        }
        let mut reply = Self {
            interval: seconds(value.get("interval")).unwrap_or(DEFAULT_INTERVAL),
            min_interval: seconds(value.get("min interval")),
            complete: value.get("complete").and_then(Value::number),
            incomplete: value.get("incomplete").and_then(Value::number),
            peers: Vec::new(),
            peer_ids: Vec::new(),
            warning: value.get("warning message").and_then(text),
            tracker_id: value.get("tracker id").and_then(Value::string).map(<[u8]>::to_vec),
        };
        // It goes back in every query: one that is too long would fill it.
        reply.tracker_id = reply.tracker_id.filter(|id| id.len() <= MAX_TEXT);
        let (peers, peers6) = (value.get("peers"), value.get("peers6"));
        if peers.is_none() && peers6.is_none() {
            return Err(ReplyError::Shape("peers"));
        }
        if let Some(peers) = peers {
            match peers.string() {
                Some(bytes) => reply.read_compact::<6>(bytes, "peers", v4)?,
                None => reply.read_list(peers)?,
            }
        }
        if let Some(peers) = peers6 {
            let bytes = peers.string().ok_or(ReplyError::Shape("peers6"))?;
            reply.read_compact::<18>(bytes, "peers6", v6)?;
        }
        Ok(reply)
    }

    fn read_compact<const N: usize>(
        &mut self,
        bytes: &[u8],
        key: &'static str,
        read: fn(&[u8; N]) -> SocketAddr,
    ) -> Result<(), ReplyError> {
        let (entries, rest) = bytes.as_chunks::<N>();
        if !rest.is_empty() {
            return Err(ReplyError::Shape(key));
        }
        let room = MAX_PEERS.saturating_sub(self.peers.len());
        self.peers.reserve_exact(entries.len().min(room));
        self.peers.extend(entries.iter().map(read).filter(|peer| peer.port() != 0).take(room));
        // Ids and addresses stay in step: the compact form has no ids.
        self.peer_ids.clear();
        Ok(())
    }

    fn read_list(&mut self, peers: Value<'_>) -> Result<(), ReplyError> {
        let mut all_named = true;
        for peer in peers.list().ok_or(ReplyError::Shape("peers"))? {
            let ip = peer.get("ip").and_then(Value::text).and_then(|ip| ip.parse::<IpAddr>().ok());
            let port = peer.get("port").and_then(Value::number).filter(|&port: &u16| port != 0);
            let (Some(ip), Some(port)) = (ip, port) else { continue };
            if self.peers.len() == MAX_PEERS {
                break;
            }
            self.peers.push(SocketAddr::new(ip, port));
            let id = peer.get("peer id").and_then(Value::string).and_then(|id| id.try_into().ok());
            match id {
                Some(id) => self.peer_ids.push(PeerId(id)),
                None => all_named = false,
            }
        }
        if !all_named {
            self.peer_ids.clear();
        }
        Ok(())
    }
}

fn v4(entry: &[u8; 6]) -> SocketAddr {
    let [a, b, c, d, high, low] = *entry;
    SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
}

fn v6(entry: &[u8; 18]) -> SocketAddr {
    let [address @ .., high, low] = *entry;
    SocketAddr::new(Ipv6Addr::from(address).into(), u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_beps_decode() {
        // BEP 7's own example.
        let reply =
            AnnounceReply::from_bytes(b"d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe");
        let reply = reply.unwrap();
        assert_eq!(reply.interval, Duration::from_secs(1800));
        let [a, b] = ["105.105.105.105:28784", "[6969:6969:6969:6969:6969:6969:6969:6969]:28784"];
        assert_eq!(reply.peers, [a.parse().unwrap(), b.parse().unwrap()]);

        let listed = b"d8:completei3e10:incompletei4e8:intervali60e12:min intervali30e5:peersl\
                       d2:ip9:127.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee\
                       d2:ip11:example.com4:porti6881eed2:ip9:127.0.0.14:porti0eed2:ip3:::14:porti70000eee\
                       10:tracker id1:x15:warning message2:\xff!e";
        let reply = AnnounceReply::from_bytes(listed).unwrap();
        assert_eq!(reply.peers, ["127.0.0.1:6881".parse().unwrap()]);
        assert_eq!(reply.peer_ids, [PeerId([b'a'; 20])]);
        assert_eq!((reply.complete, reply.incomplete), (Some(3), Some(4)));
        assert_eq!(reply.min_interval, Some(Duration::from_secs(30)));
        assert_eq!(reply.warning.as_deref(), Some("\u{fffd}!"));
        assert_eq!(reply.tracker_id.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn intervals_that_make_no_sense_are_mended() {
        for (text, seconds) in
            [("i5e", 5), ("i0e", 1800), ("i-1e", 1800), ("i2147483648e", 604_800), ("1:5", 1800)]
        {
            let reply = AnnounceReply::from_bytes(format!("d8:interval{text}5:peers0:e").as_bytes());
            assert_eq!(reply.unwrap().interval.as_secs(), seconds, "{text}");
        }
        let reply = AnnounceReply::from_bytes(b"d5:peers0:e").unwrap();
        assert_eq!((reply.interval, reply.peers.len()), (DEFAULT_INTERVAL, 0));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        use ReplyError::Shape;
        for (body, error) in [
            (&b"le"[..], Shape("dictionary")),
            (b"de", Shape("peers")),
            (b"d5:peersi1ee", Shape("peers")),
            (b"d5:peersdee", Shape("peers")),
            (b"d5:peers7:aaaabbbe", Shape("peers")),
            (b"d6:peers617:aaaaaaaaaaaaaaaaae", Shape("peers6")),
            (b"d6:peers6lee", Shape("peers6")),
        ] {
            assert_eq!(AnnounceReply::from_bytes(body), Err(error), "{}", body.escape_ascii());
        }
        assert!(matches!(AnnounceReply::from_bytes(b"<html>"), Err(ReplyError::Syntax(_))));
    }

    #[test]
    fn five_megabytes_of_peers_are_cut() {
        let body = [b"d5:peers5400000:".to_vec(), vec![1; 5_400_000], b"e".to_vec()].concat();
        assert_eq!(AnnounceReply::from_bytes(&body).unwrap().peers.len(), MAX_PEERS);
    }

    #[test]
    fn refusals_say_when_to_ask_again() {
        for retry in [Retry::Unsaid, Retry::Never, Retry::After(Duration::from_secs(300))] {
            let failure = Failure { reason: "full".into(), retry };
            assert_eq!(AnnounceReply::from_bytes(&failure.to_bytes()), Err(failure.into()));
        }
        assert_eq!(Failure::new("no").to_bytes(), b"d14:failure reason2:noe");
        // BEP 31's example has the minutes as a string.
        let body = b"d14:failure reason10:Overloaded5:peers6:aaaabb8:retry in1:5e";
        let after = Retry::After(Duration::from_secs(300));
        assert_eq!(
            AnnounceReply::from_bytes(body),
            Err(ReplyError::Refused(Failure { reason: "Overloaded".into(), retry: after })),
            "the peers of a refusal are not used"
        );
    }

    proptest! {
        #[test]
        fn replies_read_what_they_say(
            interval in 1u64..604_800, min in prop::option::of(1u64..604_800),
            complete in any::<Option<u32>>(), incomplete in any::<Option<u32>>(),
            v4 in prop::collection::vec((any::<Ipv4Addr>(), 1u16..), 0..20),
            v6 in prop::collection::vec((any::<Ipv6Addr>(), 1u16..), 0..20),
            warning in prop::option::of("[a-z ]{0,9}"), tracker_id in prop::option::of("[a-z]{0,9}"),
            compact in any::<bool>(), named in any::<bool>(),
        ) {
            let v4 = v4.into_iter().map(SocketAddr::from);
            let peers: Vec<_> = v4.chain(v6.into_iter().map(SocketAddr::from)).collect();
            let peer_ids = if named && !compact {
                (0..peers.len()).map(|i| PeerId([i as u8; 20])).collect()
            } else {
                Vec::new()
            };
            let reply = AnnounceReply {
                interval: Duration::from_secs(interval), min_interval: min.map(Duration::from_secs),
                complete, incomplete, peers, peer_ids, warning,
                tracker_id: tracker_id.map(String::into_bytes),
            };
            prop_assert_eq!(AnnounceReply::from_bytes(&reply.to_bytes(compact)), Ok(reply));
        }

        #[test]
        fn no_body_breaks_it(body in "(d5:peers|d6:peers6)?[ilde0-9:a-c]{0,30}") {
            let _ = AnnounceReply::from_bytes(body.as_bytes());
        }
    }
}
