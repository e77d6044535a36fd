//! The chokers in a small world of facts that follow from their own decisions: each against what it
//! promises, all of them against the contract.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::rng::{self, Rng, Seed};

const KIB: u64 = 1024;
const PIECES: u32 = 100;

/// A choker and the connections it decides about.
struct World {
    choker: Box<dyn Choker>,
    rng: Rng,
    peers: Vec<Facts>,
    round: Round,
    /// What the last decision said, ascending.
    unchoked: Vec<u32>,
}

impl World {
    /// `n` interested connections, numbered from 0, none unchoked, nothing flowing.
    fn new(name: &str, n: u32, slots: usize) -> Self {
        let mut world = Self {
            choker: by_name(name).unwrap().build(),
            rng: Seed(5).rng(),
            peers: Vec::new(),
            round: Round { now: Instant::ZERO, number: 0, periodic: true, slots, pieces: PIECES },
            unchoked: Vec::new(),
        };
        (0..n).for_each(|id| world.join(id));
        world
    }

    fn join(&mut self, id: u32) {
        let facts = Facts {
            conn: ConnId(id),
            interested: true,
            unchoked: false,
            snubbed: false,
            complete: false,
            pieces: PIECES / 2,
            download_rate: 0,
            upload_rate: 0,
            sent_since_unchoke: 0,
            connected_at: self.round.now,
            unchoked_at: None,
            flushed: true,
        };
        let at = self.peers.partition_point(|f| f.conn < facts.conn);
        self.peers.insert(at, facts);
        self.choker.connected(facts.conn, &mut self.rng);
    }

    fn set(&mut self, id: u32, change: impl FnOnce(&mut Facts)) {
        change(self.peers.iter_mut().find(|f| f.conn == ConnId(id)).unwrap());
    }

    /// 10 s pass, in which each unchoked remote takes `bytes`; then the periodic round.
    fn round(&mut self, bytes: u64) {
        self.round.now = self.round.now + Duration::from_secs(10);
        self.round.number += 1;
        for facts in &mut self.peers {
            let taken = if facts.unchoked { bytes } else { 0 };
            facts.sent_since_unchoke += taken;
            facts.upload_rate = taken / 10;
            facts.flushed = taken == 0;
        }
        self.decide(true);
    }

    fn decide(&mut self, periodic: bool) {
        let round = Round { periodic, ..self.round };
        let mut unchoke = Vec::new();
        self.choker.decide(&round, &self.peers, &mut self.rng, &mut unchoke);
        self.unchoked = unchoke.iter().map(|conn| conn.0).collect();
        self.unchoked.sort_unstable();
        let once = self.unchoked.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(once, "twice in {:?}", self.unchoked);
        let mut known = 0;
        for facts in &mut self.peers {
            let unchoked = self.unchoked.binary_search(&facts.conn.0).is_ok();
            known += usize::from(unchoked);
            if unchoked && !facts.unchoked {
                facts.unchoked_at = Some(round.now);
                facts.sent_since_unchoke = 0;
            }
            facts.unchoked = unchoked;
        }
        assert_eq!(known, self.unchoked.len(), "strangers in {:?}", self.unchoked);
    }

    /// In how many of `rounds` each connection was unchoked.
    fn shares(&mut self, rounds: u32, bytes: u64) -> Vec<u32> {
        let mut shares = vec![0; self.peers.len()];
        for _ in 0..rounds {
            self.round(bytes);
            for &id in &self.unchoked {
                shares[id as usize] += 1;
            }
        }
        shares
    }
}

#[test]
fn tit_for_tat_ranks_by_rate_and_then_by_id() {
    let mut world = World::new("tit-for-tat", 8, 4);
    for (id, rate) in [(1, 10), (3, 50), (4, 10), (6, 90), (7, 10)] {
        world.set(id, |f| f.download_rate = rate);
    }
    for _ in 0..12 {
        world.round(0);
        // 6 and 3 lead; of the three that give 10, the least id.
        assert!([1, 3, 6].iter().all(|id| world.unchoked.contains(id)), "{:?}", world.unchoked);
        assert_eq!(world.unchoked.len(), 4);
    }
}

#[test]
fn tit_for_tat_reciprocates_neither_the_snubbed_nor_the_complete_nor_the_uninterested() {
    let mut world = World::new("tit-for-tat", 6, 3);
    for id in 0..6 {
        world.set(id, |f| f.download_rate = 100 - u64::from(id));
    }
    world.set(0, |f| f.snubbed = true);
    world.set(1, |f| f.complete = true);
    world.set(2, |f| f.interested = false);
    let mut snubbed = 0;
    for _ in 0..24 {
        world.round(0);
        assert!(world.unchoked.contains(&3) && world.unchoked.contains(&4), "{:?}", world.unchoked);
        snubbed += u32::from(world.unchoked.contains(&0));
    }
    // The optimistic slot goes round among 0, 1 and 5.
    assert!((6..=10).contains(&snubbed), "{snubbed}");
}

#[test]
fn the_optimistic_slot_reaches_everyone_once_in_n_turns() {
    for name in ["tit-for-tat", "fastest-upload"] {
        let mut world = World::new(name, 13, 4);
        // Three hold the regular slots, so ten are left for ten turns of three rounds.
        for id in 0..3 {
            world.set(id, |f| f.download_rate = 1000);
        }
        let mut rounds = [0; 13];
        for _ in 0..3 + 30 {
            world.round.now = world.round.now + Duration::from_secs(10);
            world.round.number += 1;
            for facts in &mut world.peers {
                let regular = facts.conn.0 < 3;
                facts.upload_rate = if regular { 1000 } else { u64::from(facts.unchoked) };
                facts.unchoked |= regular;
            }
            world.decide(true);
            if world.round.number >= 3 && world.round.number < 33 {
                world.unchoked.iter().for_each(|&id| rounds[id as usize] += 1);
            }
        }
        assert_eq!(rounds, [30, 30, 30, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3], "{name}");
    }
}

#[test]
fn decisions_between_the_rounds_do_not_rotate() {
    let mut world = World::new("tit-for-tat", 10, 4);
    world.round(0);
    world.round(0);
    world.round(0);
    let before = world.unchoked.clone();
    for _ in 0..10 {
        world.decide(false);
        assert_eq!(world.unchoked, before);
    }
}

#[test]
fn the_walk_to_the_optimistic_slot_unchokes_the_uninterested_for_free() {
    let mut world = World::new("tit-for-tat", 9, 4);
    for id in 0..8 {
        world.set(id, |f| f.interested = false);
    }
    // One taker: the walk never fills its slots, and passes everyone.
    world.round(0);
    assert_eq!(world.unchoked, (0..9).collect::<Vec<_>>());
    for id in 0..8 {
        world.set(id, |f| f.interested = true);
        world.decide(false);
        let interested = world.unchoked.iter().filter(|&&i| world.peers[i as usize].interested).count();
        assert_eq!(interested, 4.min(id as usize + 2));
    }
}

#[test]
fn a_newcomer_is_three_times_as_likely_to_come_first() {
    // Nine are in; a tenth comes first with 3 in 12, and at each other of nine places with 1 in 12. 12,000
    // draws: 3,000 with a standard deviation of 47, and 1,000 with 30.
    let world = World::new("never", 10, 1);
    let mut places = [0u32; 10];
    for seed in 0..12_000 {
        let mut rng = Seed(6).derive("newcomer", seed).rng();
        let mut rotation = Rotation::default();
        (0..10).for_each(|id| rotation.join(ConnId(id), &mut rng));
        rotation.align(&world.peers, &mut rng);
        places[rotation.order().position(|i| i == 9).unwrap()] += 1;
    }
    assert!((2_800..=3_200).contains(&places[0]), "{places:?}");
    assert!(places[1..].iter().all(|n| (870..=1_130).contains(n)), "{places:?}");
}

#[test]
fn the_rotation_follows_who_is_there() {
    let mut rng = Seed(7).rng();
    let world = World::new("never", 6, 1);
    let mut rotation = Rotation::default();
    for id in [0, 2, 4, 99] {
        rotation.join(ConnId(id), &mut rng);
    }
    rotation.leave(ConnId(4));
    rotation.align(&world.peers, &mut rng);
    let mut order: Vec<_> = rotation.order().collect();
    let before = order.clone();
    rotation.turn(2);
    order.rotate_left(2);
    assert_eq!(rotation.order().collect::<Vec<_>>(), order);
    rotation.align(&world.peers, &mut rng);
    assert_eq!(rotation.order().collect::<Vec<_>>(), order, "aligning again changes nothing");
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    assert_ne!(before, order, "this seed does not draw the ascending order");
}

#[test]
fn the_rotation_knows_who_is_there_though_as_many_are_as_before() {
    let mut rng = Seed(8).rng();
    let mut world = World::new("never", 6, 1);
    let mut rotation = Rotation::default();
    // As many as there are, but one of them is somebody else.
    [3, 0, 5, 99, 2, 1].into_iter().for_each(|id| rotation.join(ConnId(id), &mut rng));
    rotation.align(&world.peers, &mut rng);
    let mut order: Vec<_> = rotation.order().collect();
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    // Number 2 goes: those behind it have other indices, and their turns stay.
    let before: Vec<_> = rotation.order().filter(|&i| i != 2).collect();
    rotation.leave(ConnId(2));
    world.peers.remove(2);
    rotation.align(&world.peers, &mut rng);
    let ids: Vec<_> = rotation.order().map(|i| world.peers[i].conn.index()).collect();
    assert_eq!(ids, before);
}

#[test]
fn random_draws_every_third_round_and_keeps_who_stays_interested() {
    let mut world = World::new("random", 12, 4);
    let mut before = Vec::new();
    let mut shares = [0u32; 12];
    for number in 1..=3_000 {
        world.round(0);
        assert_eq!(world.unchoked.len(), 4);
        if number % 3 != 0 {
            assert!(number == 1 || world.unchoked == before);
        } else {
            world.unchoked.iter().for_each(|&id| shares[id as usize] += 1);
        }
        before = world.unchoked.clone();
    }
    // 1,000 draws of 4 in 12: 333 each, standard deviation 15.
    assert!(shares.iter().all(|n| (270..=395).contains(n)), "{shares:?}");
    // One of the four loses interest: three stay, and its slot is drawn for.
    world.round(0);
    let gone = world.unchoked[1];
    let stay: Vec<_> = world.unchoked.iter().copied().filter(|&id| id != gone).collect();
    world.set(gone, |f| f.interested = false);
    world.decide(false);
    assert_eq!(world.unchoked.len(), 4);
    assert!(stay.iter().all(|id| world.unchoked.contains(id)) && !world.unchoked.contains(&gone));
}

#[test]
fn mainline_seed_forces_two_new_slots_of_four_in_three_rounds() {
    let mut world = World::new("mainline-seed", 20, 4);
    world.round(0);
    let mut new = Vec::new();
    for _ in 2..=13 {
        let before = world.unchoked.clone();
        world.round(0);
        new.push(world.unchoked.iter().filter(|id| !before.contains(id)).count());
        assert_eq!(world.unchoked.len(), 4);
    }
    // Rounds 2 to 13: (2 + number % 3) / 3 each.
    assert_eq!(new, [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]);
    // With eleven slots (mainline's example): four in three rounds, 1 + 1 + 2.
    let mut world = World::new("mainline-seed", 40, 11);
    world.round(0);
    let mut new = Vec::new();
    for _ in 2..=7 {
        let before = world.unchoked.clone();
        world.round(0);
        new.push(world.unchoked.iter().filter(|id| !before.contains(id)).count());
    }
    assert_eq!(new, [2, 1, 1, 2, 1, 1]);
}

#[test]
fn seeding_in_turn_serves_everyone_equally() {
    // 12 remotes, 4 slots, 1,800 rounds: 600 each.
    for (name, tolerance) in [("mainline-seed", 6), ("round-robin", 24), ("anti-leech", 6)] {
        let mut world = World::new(name, 12, 4);
        let shares = world.shares(1_800, 2_000 * KIB);
        assert_eq!(shares.iter().sum::<u32>(), 7_200, "{name}");
        assert!(shares.iter().all(|n| n.abs_diff(600) <= tolerance), "{name}: {shares:?}");
    }
}

#[test]
fn a_slot_given_between_the_rounds_counts_against_the_next() {
    let mut world = World::new("mainline-seed", 20, 4);
    world.round(0);
    let first = world.unchoked[0];
    world.set(first, |f| f.interested = false);
    world.decide(false);
    let before = world.unchoked.clone();
    assert!(before.len() == 4 && !before.contains(&first));
    // Round 2 would force one: it has been given.
    world.round(0);
    assert_eq!(world.unchoked, before);
}

#[test]
fn fastest_upload_keeps_the_fast_and_tries_the_others() {
    let mut world = World::new("fastest-upload", 10, 4);
    let mut shares = [0; 10];
    for _ in 0..300 {
        world.round.now = world.round.now + Duration::from_secs(10);
        world.round.number += 1;
        for facts in &mut world.peers {
            facts.upload_rate = if facts.unchoked { 100 * (1 + u64::from(facts.conn.0)) } else { 0 };
        }
        world.decide(true);
        assert_eq!(world.unchoked.len(), 4);
        world.unchoked.iter().for_each(|&id| shares[id as usize] += 1);
    }
    // Once found (at the latest after ten turns of 30 s) the three fastest stay.
    assert!(shares[7..].iter().all(|&n| n >= 270), "{shares:?}");
    // The fourth slot is shared by seven: 43 of 300 rounds each.
    assert!(shares[..7].iter().all(|n| (33..=60).contains(n)), "{shares:?}");
}

#[test]
fn round_robin_ends_a_turn_by_bytes_by_time_or_for_idleness() {
    // Each takes 1 MiB a round: the quota of 5 MiB is had after 5 rounds, the minute after 6.
    for (bytes, turn) in [(1024 * KIB, 6), (8 * KIB, 18), (0, 6)] {
        let mut world = World::new("round-robin", 3, 1);
        let mut turns = Vec::new();
        for _ in 0..=3 * turn {
            world.round(bytes);
            turns.push(world.unchoked[0]);
        }
        let expected: Vec<u32> = (0..=3 * turn).map(|n| (n / turn) % 3).collect();
        assert_eq!(turns, expected, "{bytes} bytes a round");
    }
}

#[test]
fn a_newcomer_does_not_jump_the_queue_of_round_robin() {
    let mut world = World::new("round-robin", 3, 1);
    for id in 3..20 {
        for _ in 0..6 {
            world.round(1024 * KIB);
        }
        world.join(id);
    }
    let shares = world.shares(20 * 6, 1024 * KIB);
    assert!(shares.iter().all(|&n| n == 6), "{shares:?}");
}

#[test]
fn anti_leech_serves_both_ends_first() {
    let mut world = World::new("anti-leech", 5, 1);
    for (id, pieces) in [(0, 50), (1, 90), (2, 2), (3, 99), (4, 30)] {
        world.set(id, |f| f.pieces = pieces);
    }
    // Distances from 50: 0, 40, 48, 49, 20.
    for expected in [[3].as_slice(), &[2, 3], &[1, 2, 3], &[1, 2, 3, 4], &[0, 1, 2, 3, 4]] {
        world.round.slots = expected.len();
        world.round(0);
        assert_eq!(world.unchoked, expected);
    }
    // Equals take turns.
    world.round.slots = 1;
    world.peers.iter_mut().for_each(|f| f.pieces = 0);
    let shares = world.shares(50, 0);
    assert_eq!(shares, [10; 5]);
}

#[test]
fn between_the_rounds_seeding_takes_no_slot_from_who_wants_it() {
    for name in ["fastest-upload", "round-robin", "anti-leech", "random", "mainline-seed"] {
        let mut world = World::new(name, 12, 4);
        for number in 0..40 {
            world.round(1024 * KIB);
            let leaves = world.unchoked[number % 4];
            let stay: Vec<_> = world.unchoked.iter().copied().filter(|&id| id != leaves).collect();
            world.set(leaves, |f| f.interested = false);
            world.decide(false);
            assert!(stay.iter().all(|id| world.unchoked.contains(id)), "{name}");
            world.set(leaves, |f| f.interested = true);
        }
    }
}

#[test]
fn names_and_factories_agree() {
    for (name, about) in NAMES {
        let factory = by_name(name).unwrap();
        assert_eq!(factory.name(), name);
        assert!(!about.is_empty());
        assert_eq!(format!("{factory:?}"), format!("choker {name}"));
    }
    assert!(by_name("nice").is_none());
}

/// Facts drawn without regard to sense: policies get no guarantee that their own decisions were carried out.
fn scramble(facts: &mut Facts, now: Instant, rng: &mut Rng) {
    let mut chance = |n| rng::below(rng, n) == 0;
    facts.interested = !chance(3);
    facts.snubbed = chance(5);
    facts.complete = chance(5);
    facts.flushed = !chance(3);
    if chance(8) {
        facts.unchoked = !facts.unchoked;
    }
    if chance(4) {
        facts.unchoked_at = Some(now);
    }
    facts.pieces = rng::below(rng, PIECES + 1);
    facts.download_rate = u64::from(rng::below(rng, 3)) * 1000;
    facts.upload_rate = u64::from(rng::below(rng, 3)) * 1000;
    facts.sent_since_unchoke = u64::from(rng::below(rng, 20)) << 20;
}

proptest! {
    /// Best first, equals by id, cut at `most`; and who was taken is remembered.
    #[test]
    fn a_ranking_is_a_sorted_list_that_is_cut(
        keys in prop::collection::vec(prop::option::of(0u8..6), 0..150), most in 0usize..12,
    ) {
        let world = World::new("never", keys.len() as u32, 1);
        let (mut ranking, mut unchoke) = (Ranking::new(), Vec::new());
        let count = ranking.take(&world.peers, most, |facts| keys[facts.conn.index()], &mut unchoke);
        let ranked = keys.iter().zip(0..).filter_map(|(key, id)| key.map(|key| (key, ConnId(id))));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_unstable();
        ranked.truncate(most);
        prop_assert_eq!(count, ranked.len());
        prop_assert!(ranked.iter().all(|(_, conn)| ranking.took(conn.index())));
        prop_assert_eq!((0..keys.len()).filter(|&i| ranking.took(i)).count(), count);
        prop_assert_eq!(unchoke, ranked.into_iter().map(|(_, conn)| conn).collect::<Vec<_>>());
    }

    #[test]
    fn every_policy_keeps_the_contract(seed: u64, slots in 1usize..12, steps in 1u32..40) {
        for (name, _) in NAMES {
            let mut world = World::new(name, 0, slots);
            let mut rng = Seed(seed).rng();
            for _ in 0..steps {
                let id = rng::below(&mut rng, 20);
                match world.peers.iter().position(|f| f.conn == ConnId(id)) {
                    None => world.join(id),
                    Some(i) if rng::below(&mut rng, 3) == 0 => {
                        world.peers.remove(i);
                        world.choker.closed(ConnId(id));
                    }
                    Some(_) => {}
                }
                world.round.now = world.round.now + Duration::from_secs(7);
                let periodic = rng::below(&mut rng, 2) == 0;
                world.round.number += u64::from(periodic);
                let now = world.round.now;
                world.peers.iter_mut().for_each(|f| scramble(f, now, &mut rng));
                world.decide(periodic);

                let interested = world.peers.iter().filter(|f| f.interested).count();
                let served = world.peers.iter().filter(|f| f.interested && f.unchoked).count();
                let expected = match name {
                    "unchoke-all" => interested,
                    "never" => 0,
                    _ => interested.min(slots),
                };
                prop_assert_eq!(served, expected, "{}", name);
                if !["tit-for-tat", "unchoke-all"].contains(&name) {
                    prop_assert_eq!(world.unchoked.len(), served, "{}", name);
                }
            }
        }
    }
}
