//! Who asks a tracker, as far as the transport knows: the address, the account if there is one, and which
//! family of addresses the answer can hold.

use std::net::{IpAddr, SocketAddr};

/// A family of addresses. UDP answers hold one alone, that of the packet (BEP 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; an IPv4 address that is mapped into IPv6 is IPv4.
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Where an announce comes from. A bare address is one too: `announce(now, &request, from, rng)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The address it came from; its port does not matter.
    pub from: SocketAddr,
    /// Whose it is, if the driver knows: the passkey in the URL's path, once it is found to be valid. Ratios
    /// are kept by it; without it, by address.
    pub account: Option<&'a [u8]>,
    /// The only family that the answer can hold.
    pub only: Option<Family>,
}

impl From<SocketAddr> for Origin<'_> {
    fn from(from: SocketAddr) -> Self {
        Self { from, account: None, only: None }
    }
}
