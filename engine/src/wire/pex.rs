//! The message of BEP 11, `ut_pex`: who the sender has connected to, and lost, since its last. No bytes make it
//! panic; it keeps at most [`MAX_CONTACTS`] contacts of each kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::extension::ExtensionError;
use crate::bencode::{Item, Value};

/// The most contacts that are taken from one message, added and dropped each. BEP 11 allows 50 of each, and more
/// in the first message alone.
pub const MAX_CONTACTS: usize = 100;

/// What is said of a contact.
pub mod flag {
    /// It prefers encryption.
    pub const ENCRYPTION: u8 = 0x01;
    /// It has everything, or wants nothing (BEP 21).
    pub const SEED: u8 = 0x02;
    /// It speaks uTP.
    pub const UTP: u8 = 0x04;
    /// It helps to get through NATs.
    pub const HOLEPUNCH: u8 = 0x08;
    /// The sender has dialled it, and reached it.
    pub const REACHABLE: u8 = 0x10;
}

/// A peer that the sender is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Bits of [`flag`]; 0 if the sender says nothing of it.
    pub flags: u8,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// Connected to since the last message.
    pub added: Vec<Contact>,
    /// Lost since the last message.
    pub dropped: Vec<SocketAddr>,
}

/// Contacts in compact form, of IPv4 and of IPv6.
fn compact(addrs: impl Iterator<Item = SocketAddr>) -> [Vec<u8>; 2] {
    let mut out = [Vec::new(), Vec::new()];
    for addr in addrs {
        match addr.ip() {
            IpAddr::V4(ip) => out[0].extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out[1].extend_from_slice(&ip.octets()),
        }
        out[usize::from(addr.is_ipv6())].extend_from_slice(&addr.port().to_be_bytes());
    }
    out
}

impl PexMessage {
    /// The payload of an extension message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flags = |v6| {
            let of = self.added.iter().filter(|contact| contact.addr.is_ipv6() == v6);
            of.map(|contact| contact.flags).collect::<Vec<u8>>()
        };
        let [added, added6] = compact(self.added.iter().map(|contact| contact.addr));
        let [dropped, dropped6] = compact(self.dropped.iter().copied());
        let some = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(Item::String(bytes));
        let always = |bytes: Vec<u8>| Some(Item::String(bytes));
        // BEP 11 asks for one of the fields at least; most clients send those of IPv4 also when they are empty.
        Item::dictionary([
            ("added", always(added)),
            ("added.f", always(flags(false))),
            ("added6", some(added6)),
            ("added6.f", some(flags(true))),
            ("dropped", always(dropped)),
            ("dropped6", some(dropped6)),
        ])
        .to_bytes()
    }

    /// What a payload says. A field that is no whole number of contacts is left out, and so are contacts with
    /// port 0; flags that are missing are 0.
    pub fn from_bytes(payload: &[u8]) -> Result<Self, ExtensionError> {
        let value = Value::parse(payload)?;
        value.dictionary().ok_or(ExtensionError::NoDictionary)?;
        let field = |key: &str| value.get(key).and_then(Value::string).unwrap_or_default();
        let addrs = |v4: &str, v6: &str| {
            let (four, six) = (whole::<6>(field(v4)), whole::<18>(field(v6)));
            let four = four.iter().enumerate().map(|(i, entry)| (false, i, read_v4(entry)));
            let six = six.iter().enumerate().map(|(i, entry)| (true, i, read_v6(entry)));
            four.chain(six).filter(|(.., addr)| addr.port() != 0).take(MAX_CONTACTS)
        };
        let flags = [field("added.f"), field("added6.f")];
        let contact = |(v6, i, addr): (bool, usize, SocketAddr)| {
            let flags = flags[usize::from(v6)].get(i).copied().unwrap_or_default();
            Contact { addr, flags }
        };
        Ok(Self {
            added: addrs("added", "added6").map(contact).collect(),
            dropped: addrs("dropped", "dropped6").map(|(.., addr)| addr).collect(),
        })
    }
}

/// The entries of a field; none if it is no whole number of them.
fn whole<const N: usize>(bytes: &[u8]) -> &[[u8; N]] {
    let (entries, rest) = bytes.as_chunks();
    if rest.is_empty() { entries } else { &[] }
}

fn read_v4(entry: &[u8; 6]) -> SocketAddr {
    let [a, b, c, d, high, low] = *entry;
    SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))
}

fn read_v6(entry: &[u8; 18]) -> SocketAddr {
    let [address @ .., high, low] = *entry;
    SocketAddr::new(Ipv6Addr::from(address).into(), u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_there_is_taken_and_what_is_odd_left_out() {
        let payload = b"d5:added18:\x01\x02\x03\x04\0\x05\x01\x02\x03\x05\0\0\x01\x02\x03\x06\0\x07\
                        7:added.f2:\x12\x01\
                        6:added618:0000000000000000\0\x08\
                        7:dropped5:xxxxx8:dropped6i1ee";
        let message = PexMessage::from_bytes(payload).unwrap();
        let contact = |addr: &str, flags| Contact { addr: addr.parse().unwrap(), flags };
        let six = "[3030:3030:3030:3030:3030:3030:3030:3030]:8";
        assert_eq!(message.added, [contact("1.2.3.4:5", 0x12), contact("1.2.3.6:7", 0), contact(six, 0)]);
        assert_eq!(message.dropped, []);
        assert_eq!(PexMessage::from_bytes(b"de"), Ok(PexMessage::default()));
        assert_eq!(PexMessage::from_bytes(b"le"), Err(ExtensionError::NoDictionary));
        assert_eq!(PexMessage::default().to_bytes(), b"d5:added0:7:added.f0:7:dropped0:e");
        let many = [b"d5:added6000:".to_vec(), vec![1; 6000], b"e".to_vec()].concat();
        assert_eq!(PexMessage::from_bytes(&many).unwrap().added.len(), MAX_CONTACTS);
    }

    proptest! {
        #[test]
        fn messages_read_what_they_say(
            v4 in prop::collection::vec((any::<[u8; 4]>(), 1u16.., any::<u8>()), 0..50),
            v6 in prop::collection::vec((any::<[u16; 8]>(), 1u16.., any::<u8>()), 0..50),
            gone in prop::collection::vec((any::<[u8; 4]>(), 1u16..), 0..50),
            gone6 in prop::collection::vec((any::<[u16; 8]>(), 1u16..), 0..50),
        ) {
            let four = v4.into_iter().map(|(ip, port, flags)| Contact { addr: (ip, port).into(), flags });
            let six = v6.into_iter().map(|(ip, port, flags)| Contact { addr: (ip, port).into(), flags });
            let gone = gone.into_iter().map(SocketAddr::from);
            let dropped = gone.chain(gone6.into_iter().map(SocketAddr::from)).collect();
            let message = PexMessage { added: four.chain(six).collect(), dropped };
            prop_assert_eq!(PexMessage::from_bytes(&message.to_bytes()), Ok(message));
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..60), tail in "[de0-9:i]{0,20}") {
            let _ = PexMessage::from_bytes(&bytes);
            let _ = PexMessage::from_bytes(&[b"d5:added", tail.as_bytes(), b"e"].concat());
        }
    }
}
