//! What a link passes in a second.

use std::num::NonZeroU64;

/// Bytes a second, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    bytes: NonZeroU64,
    /// Nanoseconds that one byte takes, if they are whole: to divide takes a while. Else 0.
    each: u64,
}

impl Rate {
    /// As many bytes a second; of none there is one.
    pub fn new(bytes: u64) -> Self {
        let bytes = NonZeroU64::new(bytes).unwrap_or(NonZeroU64::MIN);
        let whole = NANOS % bytes == 0;
        Self { bytes, each: if whole { NANOS / bytes } else { 0 } }
    }

    /// Nanoseconds that `size` bytes take, rounded up.
    #[inline]
    pub fn takes(self, size: u32) -> u64 {
        let size = u64::from(size);
        if self.each > 0 { size * self.each } else { (size * NANOS).div_ceil(self.bytes.get()) }
    }
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_whole_is_no_other(
            bytes in prop_oneof![0u64..1 << 40, (0u32..10, 0u32..10).prop_map(|(a, b)| 2u64.pow(a) * 5u64.pow(b))],
            size in any::<u32>(),
        ) {
            let exact = (u128::from(size) * 1_000_000_000).div_ceil(u128::from(bytes.max(1)));
            prop_assert_eq!(u128::from(Rate::new(bytes).takes(size)), exact);
        }
    }
}
