//! Randomness: named generators, every stream derived from one seed by name, so that a stream added for a
//! new purpose never changes the draws of another.

pub use rand::rngs::Xoshiro256PlusPlus as Rng;
use rand::{Rng as _, SeedableRng};
use sha1::{Digest, Sha1};

/// A seed, and the root of a tree of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the stream `name`, number `index`: the first eight bytes (big-endian) of the SHA-1 of
    /// this seed, the name and the index.
    pub fn derive(self, name: &str, index: u64) -> Self {
        let mut hash = Sha1::new();
        hash.update(self.0.to_be_bytes());
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
        hash.update(index.to_be_bytes());
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// A generator that starts from this seed.
    pub fn rng(self) -> Rng {
        Rng::seed_from_u64(self.0)
    }
}

/// A number below `bound` (`bound` at least 1), by Lemire's multiply-shift: no division, bias below 2⁻³².
/// Written here and not taken from `rand`, whose ranges change with its feature flags.
pub fn below(rng: &mut Rng, bound: u32) -> u32 {
    debug_assert!(bound > 0, "below() needs a bound of at least 1");
    ((u64::from(rng.next_u32()) * u64::from(bound)) >> 32) as u32
}

/// A number in [0, 1) with 53 random bits.
pub fn unit(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Fisher-Yates shuffle by [`below`].
pub fn shuffle<T>(rng: &mut Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        let j = below(rng, i as u32 + 1) as usize;
        items.swap(i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_draws_never_change() {
        let mut rng = Seed(1).derive("golden", 7).rng();
        let draws: Vec<u32> = (0..4).map(|_| below(&mut rng, 1000)).collect();
        assert_eq!(draws, GOLDEN);
        let mut items: Vec<u32> = (0..8).collect();
        shuffle(&mut rng, &mut items);
        assert_eq!(items, GOLDEN_SHUFFLE);
    }

    const GOLDEN: [u32; 4] = [412, 930, 674, 789];
    const GOLDEN_SHUFFLE: [u32; 8] = [6, 0, 7, 1, 4, 2, 3, 5];

    #[test]
    fn streams_differ_by_name_and_index() {
        let seeds =
            [Seed(1).derive("a", 0), Seed(1).derive("a", 1), Seed(1).derive("b", 0), Seed(2).derive("a", 0)];
        for (i, a) in seeds.iter().enumerate() {
            for b in &seeds[i + 1..] {
                assert_ne!(a, b);
            }
        }
    }
}
