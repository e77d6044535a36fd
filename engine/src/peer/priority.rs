//! BEP 40, canonical peer priority: a number for a pair of addresses that both ends work out alike. A peer
//! whose table is full keeps the connections of the highest numbers, so that who knows whom does not hang on
//! who came first, and a swarm that fills at once stays one random graph instead of a chain of cliques.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C, by table.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The priority of a connection between two addresses; the same whichever end asks.
pub(crate) fn priority(a: SocketAddr, b: SocketAddr) -> u32 {
    match (a.ip(), b.ip()) {
        (IpAddr::V4(x), IpAddr::V4(y)) if x != y => {
            let mask = v4_mask(x, y);
            sorted(&(u32::from(x) & mask).to_be_bytes(), &(u32::from(y) & mask).to_be_bytes())
        }
        (IpAddr::V6(x), IpAddr::V6(y)) if x != y => {
            let mask = v6_mask(x, y);
            sorted(&(u128::from(x) & mask).to_be_bytes(), &(u128::from(y) & mask).to_be_bytes())
        }
        // One address, or two families, of which the BEP says nothing: the ports decide.
        _ => sorted(&a.port().to_be_bytes(), &b.port().to_be_bytes()),
    }
}

fn v4_mask(a: Ipv4Addr, b: Ipv4Addr) -> u32 {
    let (a, b) = (a.octets(), b.octets());
    if a[..2] != b[..2] {
        0xffff_5555
    } else if a[..3] != b[..3] {
        0xffff_ff55
    } else {
        u32::MAX
    }
}

/// One more whole byte for each byte that the addresses share from the sixth on.
fn v6_mask(a: Ipv6Addr, b: Ipv6Addr) -> u128 {
    let same = a.octets().iter().zip(b.octets()).take_while(|(x, y)| **x == *y).count();
    let whole = if same < 6 { 6 } else { (same + 1).min(16) };
    let ones = !0u128 << (8 * (16 - whole) as u32).min(127);
    let fives = 0x5555_5555_5555_5555_5555_5555_5555_5555;
    if whole == 16 { !0 } else { ones | fives }
}

fn sorted(a: &[u8], b: &[u8]) -> u32 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut digest = CRC32C.digest();
    digest.update(low);
    digest.update(high);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &str, b: &str) -> u32 {
        let addr = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 6881);
        assert_eq!(priority(addr(a), addr(b)), priority(addr(b), addr(a)));
        priority(addr(a), addr(b))
    }

    #[test]
    fn the_examples_of_bep_40() {
        assert_eq!(of("123.213.32.10", "98.76.54.32"), 0xec2d_7224);
        assert_eq!(of("123.213.32.10", "123.213.32.234"), 0x9956_8189);
    }

    #[test]
    fn v6_masks_grow_with_what_is_shared() {
        let mask = |a: &str, b: &str| v6_mask(a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(mask("2001:db8::1", "2002:db8::1"), 0xffff_ffff_ffff_5555_5555_5555_5555_5555);
        assert_eq!(mask("2001:db8:1:1000::", "2001:db8:1:2000::"), 0xffff_ffff_ffff_ff55_5555_5555_5555_5555);
        assert_eq!(mask("2001:db8:1:1::", "2001:db8:1:2::"), 0xffff_ffff_ffff_ffff_5555_5555_5555_5555);
    }
}
