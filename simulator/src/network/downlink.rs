//! An access downlink: serves what arrives in order at its rate, cut-through. A load whose bytes came in
//! slower than the link could take them passes at once; what came in faster waits.

use super::rate::Rate;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Downlink {
    /// `None`: unlimited.
    rate: Option<Rate>,
    /// When the link will have passed all that has arrived.
    busy_until: u64,
}

impl Downlink {
    /// An idle link of `rate` bytes a second; `None`: unlimited.
    pub fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.map(Rate::new), busy_until: 0 }
    }

    /// When it will have passed all that has arrived; in the past if it is idle.
    pub fn busy_until(&self) -> u64 {
        self.busy_until
    }

    /// A load of `size` bytes arrives, its first byte at `first` and its last at `now`; the moment at
    /// which it has passed. Never earlier than for any load before.
    pub fn pass(&mut self, first: u64, now: u64, size: u32) -> u64 {
        let Some(rate) = self.rate else { return now };
        self.busy_until = self.busy_until.max(first) + rate.takes(size);
        self.busy_until.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_sender_passes_a_fast_link_at_once() {
        let mut link = Downlink::new(Some(1000));
        // 100 bytes over 200 ms into a link that takes them in 100 ms.
        assert_eq!(link.pass(0, 200_000_000, 100), 200_000_000);
    }

    #[test]
    fn a_fast_sender_waits_for_a_slow_link() {
        let mut link = Downlink::new(Some(1000));
        // Two parcels of 100 bytes in 10 ms each: they pass at 100 ms and 200 ms.
        assert_eq!(link.pass(0, 10_000_000, 100), 100_000_000);
        assert_eq!(link.pass(10_000_000, 20_000_000, 100), 200_000_000);
    }

    #[test]
    fn unlimited_is_immediate() {
        assert_eq!(Downlink::new(None).pass(0, 5, u32::MAX), 5);
    }
}
