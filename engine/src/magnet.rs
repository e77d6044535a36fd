//! Magnet links (BEP 9): read from text, and written back. Of version 1: `xt=urn:btih:` with forty
//! hexadecimal or thirty-two base32 digits.
//!
//! No text makes it panic. What a link can do without and cannot be used is left out; what it cannot do
//! without is an error that says so.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::percent;
use crate::wire::InfoHash;

/// The longest link that is read, in bytes.
pub const MAX_LINK: usize = 16 << 10;
/// The most trackers, the most peers and the most web seeds that are kept.
pub const MAX_EACH: usize = 100;

/// What a magnet link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// `xt`: the torrent.
    pub info_hash: InfoHash,
    /// `dn`: what to call it until its own name is known. For display alone: it is no safe file name.
    pub name: Option<String>,
    /// `tr`: tracker URLs.
    pub trackers: Vec<String>,
    /// `x.pe`: peers to ask. Those given by a host's name are left out.
    pub peers: Vec<SocketAddr>,
    /// `ws`: web seeds (BEP 19).
    pub web_seeds: Vec<String>,
}

/// Why text is no magnet link that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MagnetError {
    /// Longer than [`MAX_LINK`].
    #[error("the magnet link is longer than {MAX_LINK} bytes")]
    TooLong,
    /// It does not begin with `magnet:?`.
    #[error("a magnet link begins with \"magnet:?\"")]
    Scheme,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the magnet link has a broken percent-encoding")]
    Escape,
    /// No `xt=urn:btih:`.
    #[error("the magnet link has no BitTorrent info-hash (xt=urn:btih:)")]
    NoInfoHash,
    /// Only `xt=urn:btmh:`.
    #[error("the magnet link is of a version 2 torrent alone (xt=urn:btmh:), which is not supported")]
    OnlyVersion2,
    /// An info-hash that is neither forty hexadecimal nor thirty-two base32 digits.
    #[error("the magnet link's info-hash is neither 40 hexadecimal nor 32 base32 digits")]
    InfoHash,
    /// Two info-hashes that differ.
    #[error("the magnet link has more than one info-hash")]
    TwoInfoHashes,
}

/// The twenty bytes of thirty-two base32 digits (RFC 4648) of either case.
fn base32(digits: &str) -> Option<[u8; 20]> {
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 20];
    let groups = digits.as_bytes().chunks_exact(8).zip(bytes.chunks_exact_mut(5));
    for (group, out) in groups {
        let mut bits = 0u64;
        for digit in group {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                number @ b'2'..=b'7' => number - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        out.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

/// The rest of `text` after `prefix`, whose letters may be of either case.
fn strip<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(link: &str) -> Result<Self, MagnetError> {
        if link.len() > MAX_LINK {
            return Err(MagnetError::TooLong);
        }
        let query = strip(link, "magnet:?").ok_or(MagnetError::Scheme)?;
        let mut hash: Option<InfoHash> = None;
        let mut version2 = false;
        let mut magnet = Self {
            info_hash: InfoHash([0; 20]),
            name: None,
            trackers: Vec::new(),
            peers: Vec::new(),
            web_seeds: Vec::new(),
        };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            // Several of one kind may be numbered: `tr.1`.
            let kind = match key.rsplit_once('.') {
                Some((kind, number)) if number.bytes().all(|b| b.is_ascii_digit()) => kind,
                _ => key,
            };
            let bytes = percent::decode(value.as_bytes()).ok_or(MagnetError::Escape)?;
            let text = String::from_utf8_lossy(&bytes);
            match kind {
                "xt" => {
                    version2 |= strip(&text, "urn:btmh:").is_some();
                    let Some(digits) = strip(&text, "urn:btih:") else { continue };
                    let read = digits.parse().ok().or_else(|| base32(digits).map(InfoHash));
                    let read = read.ok_or(MagnetError::InfoHash)?;
                    if hash.is_some_and(|hash| hash != read) {
                        return Err(MagnetError::TwoInfoHashes);
                    }
                    hash = Some(read);
                }
                // Link makers write a space as a plus here, though a plus means itself.
                "dn" if !text.is_empty() => magnet.name = Some(text.replace('+', " ")),
                "tr" => keep(&mut magnet.trackers, Some(text.into_owned())),
                "ws" => keep(&mut magnet.web_seeds, Some(text.into_owned())),
                "x.pe" => keep(&mut magnet.peers, text.parse().ok()),
                _ => {}
            }
        }
        let missing = if version2 { MagnetError::OnlyVersion2 } else { MagnetError::NoInfoHash };
        Ok(Self { info_hash: hash.ok_or(missing)?, ..magnet })
    }
}

/// Keeps what is new, up to [`MAX_EACH`].
fn keep<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    if let Some(item) = item
        && list.len() < MAX_EACH
        && !list.contains(&item)
    {
        list.push(item);
    }
}

impl fmt::Display for Magnet {
    /// The link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut link = format!("magnet:?xt=urn:btih:{}", self.info_hash);
        let mut add = |key: &str, value: &str| {
            link.push_str(key);
            // Writing to a string cannot fail.
            let _ = percent::encode(value.as_bytes(), &mut link);
        };
        self.name.iter().for_each(|name| add("&dn=", name));
        self.trackers.iter().for_each(|url| add("&tr=", url));
        self.peers.iter().for_each(|peer| add("&x.pe=", &peer.to_string()));
        self.web_seeds.iter().for_each(|url| add("&ws=", url));
        f.write_str(&link)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    fn parse(text: &str) -> Result<Magnet, MagnetError> {
        text.parse()
    }

    #[test]
    fn all_that_it_may_say() {
        let link = format!(
            "magnet:?xt=urn:btmh:1220abcd&xt=urn:btih:{HEX}&dn=a%20b+c%C3%A9&tr=http%3A%2F%2Ft%2Fannounce\
             &tr.1=udp://u:1&tr=udp://u:1&x.pe=10.0.0.1:6881&x.pe=[::1]:1&x.pe=example.com:1&x.pe=1.2.3.4\
             &ws=http://w/&xl=10&so=0,2&novalue"
        );
        let magnet = parse(&link).unwrap();
        assert_eq!(magnet.info_hash.to_string(), HEX);
        assert_eq!(magnet.name.as_deref(), Some("a b cé"));
        assert_eq!(magnet.trackers, ["http://t/announce", "udp://u:1"]);
        assert_eq!(magnet.peers, ["10.0.0.1:6881".parse().unwrap(), "[::1]:1".parse().unwrap()]);
        assert_eq!(magnet.web_seeds, ["http://w/"]);
        assert_eq!(
            magnet.to_string(),
            format!(
                "magnet:?xt=urn:btih:{HEX}&dn=a%20b%20c%C3%A9&tr=http%3A%2F%2Ft%2Fannounce&tr=udp%3A%2F%2Fu%3A1\
                 &x.pe=10.0.0.1%3A6881&x.pe=%5B%3A%3A1%5D%3A1&ws=http%3A%2F%2Fw%2F"
            )
        );
    }

    #[test]
    fn base32_is_the_same_hash() {
        // SHA-1 of "abc", as RFC 4648 writes it.
        let link = "MAGNET:?xt.1=URN:BTIH:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5";
        assert_eq!(parse(link).unwrap().info_hash.to_string(), HEX);
        assert_eq!(parse(&link.to_lowercase()).unwrap().info_hash.to_string(), HEX);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let hash = "xt=urn:btih:a9993e364706816aba3e25717850c26c9cd0d89d";
        for (link, error) in [
            ("", MagnetError::Scheme),
            ("http://x/?", MagnetError::Scheme),
            ("magnet:", MagnetError::Scheme),
            ("magnét:?", MagnetError::Scheme),
            ("magnet:?", MagnetError::NoInfoHash),
            ("magnet:?dn=x", MagnetError::NoInfoHash),
            ("magnet:?xt=urn:sha1:x", MagnetError::NoInfoHash),
            ("magnet:?xt=urn:btmh:1220aa", MagnetError::OnlyVersion2),
            ("magnet:?xt=urn:btih:", MagnetError::InfoHash),
            ("magnet:?xt=urn:btih:a9", MagnetError::InfoHash),
            ("magnet:?xt=urn:btih:g9993e364706816aba3e25717850c26c9cd0d89d", MagnetError::InfoHash),
            ("magnet:?xt=urn:btih:1GMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", MagnetError::InfoHash),
            (&format!("magnet:?{hash}&dn=%4"), MagnetError::Escape),
            (&format!("magnet:?{hash}&{}", hash.replace("a9", "b9")), MagnetError::TwoInfoHashes),
            (&format!("magnet:?{hash}&dn={}", "x".repeat(MAX_LINK)), MagnetError::TooLong),
        ] {
            assert_eq!(parse(link), Err(error), "{link}");
        }
        let many: String = (0..500).map(|i| format!("&tr=u{i}")).collect();
        assert_eq!(parse(&format!("magnet:?{hash}{many}")).unwrap().trackers.len(), MAX_EACH);
    }

    proptest! {
        #[test]
        fn links_read_what_they_say(
            hash in any::<[u8; 20]>(), name in prop::option::of("[^+]{1,20}"),
            trackers in prop::collection::btree_set(".{1,20}", 0..5), peers in any::<Option<([u8; 4], u16)>>(),
        ) {
            let magnet = Magnet {
                info_hash: InfoHash(hash), name, trackers: trackers.into_iter().collect(),
                peers: peers.into_iter().map(SocketAddr::from).collect(), web_seeds: Vec::new(),
            };
            prop_assert_eq!(parse(&magnet.to_string()), Ok(magnet));
        }

        #[test]
        fn no_text_breaks_it(text in "(magnet:\\?)?(xt=urn:bt[im]h:)?.{0,60}") {
            let _ = parse(&text);
        }
    }
}
