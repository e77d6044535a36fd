//! Each picker against what it promises, by counting draws; all of them against the contract.

use proptest::prelude::*;

use super::*;
use crate::layout::Layout;
use crate::rng::{self, Seed};

fn layout(pieces: u32) -> Layout {
    Layout::new(u64::from(pieces), 1).unwrap()
}

fn set(layout: &Layout, pieces: &[u32]) -> Bitfield {
    let mut set = Bitfield::empty(layout);
    for &i in pieces {
        set.insert(layout.piece(i).unwrap());
    }
    set
}

/// How often each of ten pieces is picked in 10,000 independent draws.
fn tally(mut picker: impl Picker, open: &[u32], remote: Option<&[u32]>, completed: u32) -> [u32; 10] {
    let layout = layout(10);
    let mut rng = Seed(3).rng();
    let mut availability = Availability::new(&layout, &mut rng);
    for piece in layout.all() {
        if !open.contains(&piece.get()) {
            availability.close(piece);
        }
        // Piece 0 is the most frequent, piece 9 the rarest.
        for _ in piece.get()..9 {
            availability.increment(piece, &mut rng);
        }
    }
    let remote = remote.map(|pieces| set(&layout, pieces));
    let choice = Choice { remote: remote.as_ref(), availability: &availability, completed };
    let mut tally = [0; 10];
    for _ in 0..10_000 {
        tally[picker.pick(&choice, &mut rng).unwrap().index()] += 1;
    }
    tally
}

#[test]
fn rarest_first_takes_the_rarest_that_is_there() {
    let all: Vec<u32> = (0..10).collect();
    assert_eq!(tally(RarestFirst::default(), &all, None, 4)[9], 10_000);
    assert_eq!(tally(RarestFirst::default(), &all, Some(&[1, 6, 2]), 4)[6], 10_000);
    assert_eq!(tally(RarestFirst::default(), &[1, 2, 7], Some(&[1, 6, 2]), 4)[2], 10_000);
    assert_eq!(tally(RarestFirst::new(0), &all, None, 0)[9], 10_000);
}

#[test]
fn the_first_four_pieces_are_random() {
    // 10,000 draws among three: 3,333 each, standard deviation 47.
    for completed in 0..4 {
        let tally = tally(RarestFirst::default(), &[0, 4, 8, 9], Some(&[0, 4, 8, 5]), completed);
        for i in [0, 4, 8] {
            assert!((3_130..=3_530).contains(&tally[i]), "{tally:?}");
        }
    }
}

#[test]
fn random_is_uniform_by_chance_and_by_count() {
    // 1,000 each of ten, standard deviation 30.
    let all: Vec<u32> = (0..10).collect();
    assert!(tally(Random, &all, None, 100).iter().all(|n| (880..=1120).contains(n)));
    // One in 500 pieces at the remote: nearly every pick comes from counting. 5,000 each, deviation 50.
    let layout = layout(1_000);
    let mut rng = Seed(4).rng();
    let availability = Availability::new(&layout, &mut rng);
    let remote = set(&layout, &[17, 900]);
    let choice = Choice { remote: Some(&remote), availability: &availability, completed: 0 };
    let low = (0..10_000).filter(|_| Random.pick(&choice, &mut rng).unwrap().get() == 17).count();
    assert!((4_800..=5_200).contains(&low), "{low}");
}

#[test]
fn sequential_takes_the_lowest() {
    assert_eq!(tally(Sequential, &[3, 5, 7], None, 0)[3], 10_000);
    assert_eq!(tally(Sequential, &[3, 5, 7], Some(&[0, 7, 5]), 0)[5], 10_000);
}

#[test]
fn names_and_factories_agree() {
    for (name, about) in NAMES {
        let factory = by_name(name).unwrap();
        assert_eq!(factory.name(), name);
        assert!(!about.is_empty());
        assert_eq!(format!("{factory:?}"), format!("picker {name}"));
    }
    assert!(by_name("fastest").is_none());
}

proptest! {
    #[test]
    fn a_pick_is_open_and_there_or_nothing_is(pieces in 1u32..80, seed: u64, completed in 0u32..8) {
        let layout = layout(pieces);
        let mut rng = Seed(seed).rng();
        let mut availability = Availability::new(&layout, &mut rng);
        let mut remote = Bitfield::empty(&layout);
        for piece in layout.all() {
            for _ in 0..rng::below(&mut rng, 4) {
                availability.increment(piece, &mut rng);
            }
            if rng::below(&mut rng, 2) == 0 {
                availability.close(piece);
            }
            if rng::below(&mut rng, 8) == 0 {
                remote.insert(piece);
            }
        }
        for (name, _) in NAMES {
            let mut picker = by_name(name).unwrap().build();
            for remote in [None, Some(&remote)] {
                let choice = Choice { remote, availability: &availability, completed };
                let any = layout.all().any(|p| availability.is_open(p) && choice.remote_has(p));
                let picked = picker.pick(&choice, &mut rng);
                prop_assert_eq!(picked.is_some(), any, "{}", name);
                if let Some(piece) = picked {
                    prop_assert!(availability.is_open(piece) && choice.remote_has(piece), "{}", name);
                }
            }
        }
    }
}
