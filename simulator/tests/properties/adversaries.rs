//! Those who send bad blocks, claim what they lack, or never serve: honest peers finish with the right bytes,
//! who sends bad blocks is banned, nobody else, and who only refuses is dropped.

use std::time::Duration;

use record::Run;
use simulator::Stack;
use simulator::spec::{Behaviour, Group, Spec, Transport};

use crate::common::{run_on, spec};

/// A seed, ten honest leechers and `bad` of another kind, with this much content.
fn among(bad: Group, mib: u64) -> Spec {
    let groups = vec![
        Group::seeds("seed", 1, 250_000, None),
        Group::leechers("honest", 10, 250_000, Some(2_500_000)),
        bad,
    ];
    Spec { time_limit: Duration::from_secs(1200), ..spec(mib << 20, 25, Transport::TCP, groups) }
}

/// On the wire stack, where a corrupt piece has corrupt bytes.
fn outcome(bad: Group, seed: u64) -> Run {
    let what = format!("{} x{}, seed {seed}", bad.behaviour.name(), bad.count);
    // Stalling takes a minute of silence to show.
    let mib = if bad.behaviour == Behaviour::Staller { 16 } else { 6 };
    let run = run_on(&among(bad, mib), seed, Stack::Wire);
    for peer in run.peers.iter().filter(|peer| peer.group == 1) {
        assert!(peer.completed.is_some(), "{what}: an honest peer ends with {} pieces", peer.pieces);
        assert_eq!(peer.downloaded - peer.wasted, run.content, "{what}");
    }
    assert_eq!(run.counters["banned_honest_hosts"], 0, "{what}: {:?}", run.counters);
    run
}

#[test]
fn a_polluter_is_banned_and_no_corrupt_piece_gets_through() {
    for seed in 0..6 {
        let polluter = Group { behaviour: Behaviour::Polluter, ..Group::leechers("bad", 1, 500_000, None) };
        let run = outcome(polluter, seed);
        assert!(run.counters["hash_failures"] > 0, "seed {seed}");
        assert_eq!(run.counters["banned_hosts"], 1, "seed {seed}");
    }
}

#[test]
fn a_polluting_seed_is_banned() {
    for seed in 0..6 {
        let polluter = Group { behaviour: Behaviour::Polluter, ..Group::seeds("bad", 1, 500_000, None) };
        let run = outcome(polluter, seed);
        assert!(run.counters["hash_failures"] > 0, "seed {seed}");
        assert_eq!(run.counters["banned_hosts"], 1, "seed {seed}");
    }
}

#[test]
fn several_polluters_do_no_more_than_slow_the_others() {
    for seed in 0..4 {
        let polluters = Group { behaviour: Behaviour::Polluter, ..Group::leechers("bad", 3, 250_000, None) };
        let run = outcome(polluters, seed);
        assert!(run.counters["hash_failures"] > 0, "seed {seed}");
        assert!((1..=3).contains(&run.counters["banned_hosts"]), "seed {seed}: {:?}", run.counters);
    }
}

#[test]
fn a_liar_is_dropped_and_nobody_is_banned() {
    for seed in 0..6 {
        let liar = Group { behaviour: Behaviour::Liar, ..Group::leechers("bad", 1, 500_000, None) };
        let run = outcome(liar, seed);
        assert_eq!(
            run.counters["banned_hosts"], 0,
            "seed {seed}: it lies about what it has, not about bytes"
        );
        assert_eq!(run.counters["hash_failures"], 0, "seed {seed}");
    }
}

#[test]
fn a_staller_is_snubbed_and_nobody_is_banned() {
    for seed in 0..6 {
        let staller = Group { behaviour: Behaviour::Staller, ..Group::seeds("bad", 1, 500_000, None) };
        let run = outcome(staller, seed);
        assert!(run.counters["snubs"] > 0, "seed {seed}: {:?}", run.counters);
        assert_eq!(run.counters["banned_hosts"], 0, "to be slow is no crime");
        let staller = run.peers.last().unwrap();
        assert_eq!(staller.uploaded, 0);
    }
}
