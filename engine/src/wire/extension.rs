//! The extended handshake (BEP 10), with the keys of BEP 9 (`metadata_size`) and BEP 21 (`upload_only`).
//!
//! It must be a bencoded dictionary, strictly; what is in it is taken if it makes sense and ignored if not,
//! key by key. No bytes make it panic, and what is kept is bounded by [`MAX_NAMES`] and [`MAX_NAME`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::bencode::{BencodeError, Value, integer, string};
use crate::text;

/// The name of BEP 9's extension: the info dictionary from peers.
pub const UT_METADATA: &str = "ut_metadata";
/// The name of BEP 11's extension: peer exchange.
pub const UT_PEX: &str = "ut_pex";
/// The id under which we take [`UT_PEX`], always the same: a connection may be handed on, and both ends go on.
pub const PEX_ID: u8 = 1;
/// The id under which we take [`UT_METADATA`].
pub const METADATA_ID: u8 = 2;

/// The most extensions that are kept of one remote.
pub const MAX_NAMES: usize = 64;
/// The longest extension name, and the longest client name, that is kept, in bytes.
pub const MAX_NAME: usize = 128;

/// What one side says of itself. Each side may say it again: [`merge`](Self::merge).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// `m`: the id under which the sender takes each extension's messages; 0: it does not any more.
    pub messages: BTreeMap<String, u8>,
    /// `v`: the client's name and version.
    pub client: Option<String>,
    /// `p`: the port the sender listens on.
    pub port: Option<u16>,
    /// `reqq`: how many outstanding requests the sender holds without dropping any.
    pub request_queue: Option<u32>,
    /// `yourip`: the address that the sender sees the receiver under.
    pub your_ip: Option<IpAddr>,
    /// `upload_only` (BEP 21): the sender wants nothing more.
    pub upload_only: Option<bool>,
    /// `metadata_size` (BEP 9): bytes in the info dictionary. Unchecked: any number that a remote likes.
    pub metadata_size: Option<u32>,
}

/// Bytes that are no extended handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// Not strict bencode.
    #[error("its extended handshake is not valid bencode: {0}")]
    Syntax(#[from] BencodeError),
    /// Bencode of something else.
    #[error("its extended handshake is no dictionary")]
    NoDictionary,
}

impl ExtendedHandshake {
    /// The payload of a message `Extended { id: 0, .. }`.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Written as it goes, its keys in their order: whoever connects sends one.
        let mut out = Vec::with_capacity(160);
        let number = |out: &mut Vec<u8>, key: &str, value: Option<u32>| {
            if let Some(value) = value {
                string(key.as_bytes(), out);
                integer(value.into(), out);
            }
        };
        out.extend_from_slice(b"d1:md");
        for (name, id) in &self.messages {
            number(&mut out, name, Some((*id).into()));
        }
        out.push(b'e');
        number(&mut out, "metadata_size", self.metadata_size);
        number(&mut out, "p", self.port.map(u32::from));
        number(&mut out, "reqq", self.request_queue);
        number(&mut out, "upload_only", self.upload_only.map(u32::from));
        if let Some(client) = &self.client {
            string(b"v", &mut out);
            string(client.as_bytes(), &mut out);
        }
        if let Some(ip) = self.your_ip {
            string(b"yourip", &mut out);
            match ip {
                IpAddr::V4(ip) => string(&ip.octets(), &mut out),
                IpAddr::V6(ip) => string(&ip.octets(), &mut out),
            }
        }
        out.push(b'e');
        debug_assert!(Value::parse(&out).is_ok(), "strict bencode");
        out
    }

    /// What a payload says. Ignored are: names in `m` that are not UTF-8 or too long, and ids there that are
    /// not 0 to 255; numbers out of range; a `yourip` of neither 4 nor 16 bytes. A `v` is cut to
    /// [`MAX_NAME`], what is not UTF-8 in it replaced.
    pub fn from_bytes(payload: &[u8]) -> Result<Self, ExtensionError> {
        let value = Value::parse(payload)?;
        let id = |(name, id): (&[u8], Value<'_>)| {
            let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME)?;
            Some((name.to_owned(), id.number()?))
        };
        let positive = |value: Value<'_>| value.number().filter(|&n: &u32| n > 0);
        let mut said = Self::default();
        for (key, value) in value.dictionary().ok_or(ExtensionError::NoDictionary)? {
            match key {
                b"m" => {
                    let messages = value.dictionary().into_iter().flatten().filter_map(id);
                    said.messages = messages.take(MAX_NAMES).collect();
                }
                b"v" => said.client = value.string().map(|v| text::lossy(v, MAX_NAME)),
                b"p" => said.port = value.number().filter(|&port| port != 0),
                b"reqq" => said.request_queue = positive(value),
                b"yourip" => said.your_ip = value.string().and_then(address),
                b"upload_only" => said.upload_only = value.integer().map(|only| only != 0),
                b"metadata_size" => said.metadata_size = positive(value),
                _ => {}
            }
        }
        Ok(said)
    }

    /// The id to send an extension's messages under; `None` if the sender does not take them.
    pub fn id(&self, name: &str) -> Option<u8> {
        self.messages.get(name).copied().filter(|&id| id != 0)
    }

    /// Takes a later handshake of the same side (BEP 10): ids are added, replaced, or taken away by a 0; of
    /// the rest, what is said replaces what was.
    pub fn merge(&mut self, later: Self) {
        for (name, id) in later.messages {
            if id == 0 {
                self.messages.remove(&name);
            } else if self.messages.len() < MAX_NAMES || self.messages.contains_key(&name) {
                self.messages.insert(name, id);
            }
        }
        self.client = later.client.or(self.client.take());
        self.port = later.port.or(self.port);
        self.request_queue = later.request_queue.or(self.request_queue);
        self.your_ip = later.your_ip.or(self.your_ip);
        self.upload_only = later.upload_only.or(self.upload_only);
        self.metadata_size = later.metadata_size.or(self.metadata_size);
    }
}

/// An address in its compact form.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &[u8]) -> ExtendedHandshake {
        ExtendedHandshake::from_bytes(text).unwrap()
    }

    #[test]
    fn the_example_of_bep_10() {
        let text = b"d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";
        let handshake = parse(text);
        assert_eq!((handshake.id("LT_metadata"), handshake.id(UT_PEX)), (Some(1), Some(2)));
        assert_eq!((handshake.port, handshake.client.as_deref()), (Some(6881), Some("µTorrent 1.2")));
        assert_eq!(handshake.to_bytes(), text);
    }

    #[test]
    fn what_makes_no_sense_is_ignored_alone() {
        let text = b"d1:md1:ai300e1:bi-1e1:c1:x1:di255e1:\xffi1ee13:metadata_sizei4611686018427387904e\
                     1:pi70000e4:reqqi-1e11:upload_onlyi1e1:v2:\xffx6:yourip3:abce";
        let expected = ExtendedHandshake {
            messages: BTreeMap::from([("d".into(), 255)]),
            client: Some("\u{fffd}x".into()),
            upload_only: Some(true),
            ..ExtendedHandshake::default()
        };
        assert_eq!(parse(text), expected);
        assert_eq!(parse(b"d1:mi1ee"), ExtendedHandshake::default());
        assert_eq!(parse(b"de"), ExtendedHandshake::default());
        assert_eq!(parse(b"d6:yourip4:\x7f\0\0\x01e").your_ip, Some([127, 0, 0, 1].into()));
        for text in [&b"i1e"[..], b"le"] {
            assert_eq!(ExtendedHandshake::from_bytes(text), Err(ExtensionError::NoDictionary));
        }
        for text in [&b""[..], b"d1:m", b"d1:v0:1:m0:e", b"dex"] {
            assert!(matches!(ExtendedHandshake::from_bytes(text), Err(ExtensionError::Syntax(_))));
        }
    }

    #[test]
    fn a_remote_cannot_make_us_keep_much() {
        let names: String = (0..10_000).map(|i| format!("5:{i:05}i1e")).collect();
        let text = format!("d1:md{names}e1:v3000:{}e", "v".repeat(3000));
        let mut handshake = parse(text.as_bytes());
        assert_eq!(handshake.messages.len(), MAX_NAMES);
        assert_eq!(handshake.client.as_ref().map(String::len), Some(MAX_NAME));
        let broken = [b"d1:v128:".to_vec(), vec![0xff; 128], b"e".to_vec()].concat();
        assert!(parse(&broken).client.is_some_and(|client| client.len() <= MAX_NAME));
        handshake.merge(parse(b"d1:md5:extrai1eee"));
        assert_eq!(handshake.messages.len(), MAX_NAMES);
    }

    #[test]
    fn later_handshakes_change_what_they_say() {
        let mut handshake = parse(b"d1:md1:ai1e1:bi2ee1:pi1e4:reqqi250ee");
        handshake.merge(parse(b"d1:md1:ai0e1:ci3ee4:reqqi7e11:upload_onlyi1ee"));
        let expected = parse(b"d1:md1:bi2e1:ci3ee1:pi1e4:reqqi7e11:upload_onlyi1ee");
        assert_eq!(handshake, expected);
        assert_eq!((handshake.id("a"), handshake.id("b")), (None, Some(2)));
    }

    proptest! {
        #[test]
        fn handshakes_read_what_they_say(
            messages in prop::collection::btree_map("[a-z_]{0,12}", any::<u8>(), 0..6),
            client in prop::option::of(".{0,20}"), port in prop::option::of(1u16..),
            request_queue in prop::option::of(1u32..), your_ip in any::<Option<IpAddr>>(),
            upload_only in any::<Option<bool>>(), metadata_size in prop::option::of(1u32..),
        ) {
            let handshake = ExtendedHandshake {
                messages, client, port, request_queue, your_ip, upload_only, metadata_size,
            };
            prop_assert_eq!(ExtendedHandshake::from_bytes(&handshake.to_bytes()), Ok(handshake));
        }
    }
}
