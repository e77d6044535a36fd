//! The handshake of BEP 3: 68 bytes that name the protocol, the torrent and the peer.

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use sha1::{Digest, Sha1};

use crate::rng::Rng;

/// The SHA-1 of a torrent's info dictionary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; 20]);

/// Who a peer says it is; 20 bytes of its own choice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

/// The 68 bytes, less the fixed protocol name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Which extensions the sender knows; see [`Handshake::fast`] and [`Handshake::extended`].
    pub reserved: [u8; 8],
    /// The torrent.
    pub info_hash: InfoHash,
    /// The sender.
    pub peer_id: PeerId,
}

/// The length of a handshake on the wire.
pub const HANDSHAKE_LENGTH: usize = 68;

/// What every handshake begins with (BEP 3): the length of the protocol's name, and the name.
pub const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// Where the info-hash ends: who has so much of a handshake may answer it (BEP 3), and trackers' NAT checks
/// send no more.
pub const THROUGH_INFO_HASH: usize = 48;

/// BEP 6: the fast extension, in the last reserved byte.
const FAST: u8 = 0x04;
/// BEP 10: the extension protocol, in the sixth reserved byte.
const EXTENDED: u8 = 0x10;

impl Handshake {
    /// The handshake of a peer that speaks BEP 6 and BEP 10.
    pub fn new(info_hash: InfoHash, peer_id: PeerId) -> Self {
        Self { reserved: [0, 0, 0, 0, 0, EXTENDED, 0, FAST], info_hash, peer_id }
    }

    /// The same, less the bits of what is not to be spoken.
    pub fn limited(mut self, fast: bool, extended: bool) -> Self {
        if !fast {
            self.reserved[7] &= !FAST;
        }
        if !extended {
            self.reserved[5] &= !EXTENDED;
        }
        self
    }

    /// Whether the sender speaks the fast extension (BEP 6).
    pub fn fast(&self) -> bool {
        self.reserved[7] & FAST != 0
    }

    /// Whether the sender speaks the extension protocol (BEP 10).
    pub fn extended(&self) -> bool {
        self.reserved[5] & EXTENDED != 0
    }

    /// As BEP 3 sends it.
    pub fn to_bytes(&self) -> [u8; HANDSHAKE_LENGTH] {
        let mut bytes = [0; HANDSHAKE_LENGTH];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }

    /// The handshake that these bytes say; `None` if they do not begin with [`PROTOCOL`].
    pub fn from_bytes(bytes: &[u8; HANDSHAKE_LENGTH]) -> Option<Self> {
        bytes.starts_with(PROTOCOL).then(|| Self {
            reserved: array(&bytes[20..28]),
            info_hash: InfoHash(array(&bytes[28..48])),
            peer_id: PeerId(array(&bytes[48..68])),
        })
    }
}

/// A copy of `bytes`, which are `N`.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut copy = [0; N];
    copy.copy_from_slice(bytes);
    copy
}

/// Text that is no info-hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an info-hash is forty hexadecimal digits")]
pub struct NotAnInfoHash;

impl InfoHash {
    /// The info-hash of an info dictionary: the SHA-1 of its bytes as they are in the metainfo (BEP 3).
    pub fn of(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }
}

impl FromStr for InfoHash {
    type Err = NotAnInfoHash;

    /// Forty hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(NotAnInfoHash);
        }
        let mut hash = [0; 20];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).ok_or(NotAnInfoHash);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(hash))
    }
}

impl PeerId {
    /// A peer id of the shape of BEP 20: `-`, the client's two letters and four digits, `-`, and twelve
    /// random letters and digits.
    pub fn generate(client: &[u8; 6], rng: &mut Rng) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        let mut id = [b'-'; 20];
        id[1..7].copy_from_slice(client);
        let mut bits = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        for byte in &mut id[8..] {
            *byte = ALPHABET[(bits & 63) as usize];
            bits >>= 6;
        }
        Self(id)
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InfoHash {
    /// Forty hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn sixty_eight_bytes_as_bep_3_lists_them() {
        let handshake = Handshake::new(InfoHash([7; 20]), PeerId(*b"-XX0001-abcdefghijkl"));
        let mut expected = b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04".to_vec();
        expected.extend([7; 20]);
        expected.extend(b"-XX0001-abcdefghijkl");
        assert_eq!(handshake.to_bytes().as_slice(), expected);
        assert_eq!(Handshake::from_bytes(&handshake.to_bytes()), Some(handshake));
        assert!(handshake.fast() && handshake.extended());
        let plain = Handshake { reserved: [0; 8], ..handshake };
        assert!(!plain.fast() && !plain.extended());
    }

    #[test]
    fn another_protocol_is_none() {
        let mut bytes = Handshake::new(InfoHash([7; 20]), PeerId([1; 20])).to_bytes();
        bytes[19] = b'L';
        assert_eq!(Handshake::from_bytes(&bytes), None);
    }

    #[test]
    fn info_hashes_read_what_they_print() {
        let hash = InfoHash::of(b"abc");
        assert_eq!(hash.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
        assert_eq!("a9".parse::<InfoHash>(), Err(NotAnInfoHash));
        assert_eq!("é993e364706816aba3e25717850c26c9cd0d89d".parse::<InfoHash>(), Err(NotAnInfoHash));
        assert_eq!("+9993e364706816aba3e25717850c26c9cd0d89d".parse::<InfoHash>(), Err(NotAnInfoHash));
    }

    #[test]
    fn peer_ids_have_the_shape_of_bep_20() {
        let mut rng = Seed(1).rng();
        let (a, b) = (PeerId::generate(b"SL0100", &mut rng), PeerId::generate(b"SL0100", &mut rng));
        assert_ne!(a, b);
        assert!(a.0.starts_with(b"-SL0100-") && a.0[8..].iter().all(u8::is_ascii_graphic));
    }
}
