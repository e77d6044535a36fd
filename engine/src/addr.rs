//! Socket addresses as they are kept in large numbers.

use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address in 16 bytes, where a [`SocketAddr`] takes 32: one of IPv4 lies in the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Addr {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl Addr {
    /// Nobody's.
    pub const NONE: Self = Self::V4(SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0));

    #[inline]
    pub fn get(&self) -> SocketAddr {
        match self {
            Self::V4(v4) => SocketAddr::V4(*v4),
            Self::V6(v6) => SocketAddr::V6(**v6),
        }
    }

    /// Bytes on the heap.
    pub fn footprint(&self) -> u64 {
        match self {
            Self::V4(_) => 0,
            Self::V6(_) => size_of::<SocketAddrV6>() as u64,
        }
    }

    #[inline]
    pub fn ip(&self) -> IpAddr {
        self.get().ip()
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }
}

impl PartialEq<SocketAddr> for Addr {
    #[inline]
    fn eq(&self, other: &SocketAddr) -> bool {
        self.get() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_16_bytes_and_comes_back_as_it_went_in() {
        assert_eq!(size_of::<Addr>(), 16);
        let v4 = "10.1.2.3:6881".parse::<SocketAddr>().unwrap();
        // With what a link-local address cannot do without.
        let v6 = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 6881, 7, 3));
        for addr in [v4, v6] {
            assert_eq!(Addr::from(addr).get(), addr);
            assert_eq!(Addr::from(addr).ip(), addr.ip());
            assert_eq!(Addr::from(addr), addr);
        }
    }
}
