//! Which hosts are where: they are dealt out, one to each shard in turn. Those of one group come in the order of their
//! numbers, so that a shard of neighbours would have all the work while its hosts come, and another while its do.

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition {
    shards: u32,
}

impl Partition {
    /// `hosts` in `shards` parts of one size, as near as can be; at least one part, and no empty ones.
    pub fn new(hosts: u32, shards: u32) -> Self {
        Self { shards: shards.clamp(1, hosts.max(1)) }
    }

    pub fn shards(self) -> u32 {
        self.shards
    }

    /// The shard that has `host`, or the tracker by its number.
    #[inline]
    pub fn of(self, host: u32) -> u32 {
        if self.shards == 1 { 0 } else { host % self.shards }
    }

    /// The place of `host` in its shard.
    #[inline]
    pub fn place(self, host: u32) -> usize {
        (if self.shards == 1 { host } else { host / self.shards }) as usize
    }

    /// Those of `hosts` that a shard has, in the order of their places.
    pub fn members(self, shard: u32, hosts: u32) -> impl Iterator<Item = u32> {
        (shard..hosts).step_by(self.shards as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_one_place_and_no_shard_is_larger_than_another_by_more_than_one() {
        for hosts in 1..40 {
            for shards in 1..10 {
                let partition = Partition::new(hosts, shards);
                assert!(partition.shards() >= 1 && partition.shards() <= shards.min(hosts));
                let mut seen = vec![false; hosts as usize];
                for shard in 0..partition.shards() {
                    let members: Vec<u32> = partition.members(shard, hosts).collect();
                    assert!(members.len() as u32 - hosts / partition.shards() <= 1, "{hosts} in {shards}");
                    for (place, &host) in members.iter().enumerate() {
                        assert_eq!((partition.of(host), partition.place(host)), (shard, place));
                        assert!(!std::mem::replace(&mut seen[host as usize], true));
                    }
                    // The tracker's number is one past the last host's: nobody's place.
                    let tracker = partition.of(hosts) == shard;
                    assert!(!tracker || partition.place(hosts) == members.len());
                }
                assert!(seen.iter().all(|seen| *seen), "{hosts} in {shards}");
                // Those who come one after the other are not of one shard.
                let apart = |host: u32| partition.of(host) != partition.of(host + 1);
                assert!(partition.shards() == 1 || (0..hosts - 1).all(apart), "{hosts} in {shards}");
            }
        }
    }
}
