//! The scenarios that ship.

use std::path::Path;
use std::time::Duration;

use record::Chart;

use super::sets;
use crate::scenario::Scenario;
use crate::spec::{Arrival, Leave, Returns, Spec, Until};

fn shipped(name: &str, with: &[(&str, &str)]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    Scenario::load(&path, &sets(with)).unwrap_or_else(|error| panic!("{}", error.render()))
}

/// Blocks of 16 KiB that the leechers of all runs receive.
fn blocks(scenario: &Scenario) -> u64 {
    let of = |spec: &Spec| {
        let leechers: u64 = spec.groups.iter().filter(|g| !g.seed).map(|g| u64::from(g.count)).sum();
        leechers * spec.content.div_ceil(16 << 10)
    };
    scenario.points().iter().map(|point| u64::from(point.replicates) * of(&point.spec)).sum()
}

#[test]
fn all_load_with_their_points_and_cost() {
    // Name, points, runs, millions of blocks (rounded up): at 300,000 blocks a second and core, at most 100 s.
    let expected = [
        ("three-friends", 1, 4, 1),
        ("swarm-scaling", 10, 25, 30),
        ("seed-leech-ratio", 7, 28, 12),
        ("choking-strategies", 6, 24, 10),
        ("share-ratio", 3, 12, 5),
        ("flash-crowd", 1, 4, 12),
        ("piece-picking", 3, 12, 5),
        ("two-worlds", 1, 4, 1),
    ];
    for (name, points, runs, millions) in expected {
        let scenario = shipped(&format!("{name}.toml"), &[]);
        assert_eq!(scenario.name(), name);
        assert_eq!(scenario.points().len(), points, "{name}");
        assert_eq!(scenario.runs(), runs, "{name}");
        assert_eq!(blocks(&scenario).div_ceil(1_000_000), millions, "{name}");
        assert!(scenario.question().contains('?'), "{name}: {}", scenario.question());
        assert!(!scenario.charts().is_empty(), "{name}");
        assert!(scenario.source().starts_with("# "), "{name}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    // And the folder of those that are too large for the table.
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), expected.len() + 1);
}

#[test]
fn a_million_are_one_run_of_a_thousand_million_blocks() {
    let scenario = shipped("scale/million.toml", &[]);
    assert_eq!((scenario.runs(), blocks(&scenario)), (1, 1_024_000_000));
    assert!(scenario.points()[0].spec.groups.iter().all(|group| group.connections == 20));
}

#[test]
fn three_friends_has_the_shape_of_its_claim() {
    let scenario = shipped("three-friends.toml", &[]);
    let spec = &scenario.points()[0].spec;
    let [first, second, third] = &spec.groups[..] else { panic!("{:?}", spec.groups) };
    assert!(first.seed && !second.seed && !third.seed);
    assert!(spec.content / second.up >= 200, "F/u is at least 200 s");
    assert!(second.down.unwrap() >= 4 * second.up && third.down.unwrap() >= 4 * third.up);
    assert_eq!(third.arrival, Arrival::After { group: 1, delay: Duration::from_secs(5) });
    assert_eq!((second.leave, third.count), (Leave::Never, 1));
}

#[test]
fn swarm_scaling_crosses_counts_with_swarm_and_server() {
    let scenario = shipped("swarm-scaling.toml", &[]);
    assert_eq!(scenario.axes(), ["variant", "groups.leechers.count"]);
    let values: Vec<_> = scenario.points().iter().map(|point| point.values.join(" ")).collect();
    assert_eq!(values[..5], ["swarm 10", "swarm 30", "swarm 100", "swarm 300", "swarm 1000"]);
    assert_eq!(values[9], "client-server 1000");
    let [swarm, server] = [&scenario.points()[4], &scenario.points()[9]];
    assert_eq!((swarm.replicates, server.replicates), (4, 1));
    assert_eq!(swarm.spec.content / u64::from(swarm.spec.piece_length), 256);
    assert_eq!(swarm.spec.groups[0].up, 4 * swarm.spec.groups[1].up);
    assert_eq!(swarm.spec.groups[1].leave, Leave::Never);
    assert_eq!((swarm.spec.tracker.returns, server.spec.tracker.returns), (Returns::All, Returns::Seeds));
    let (seed, leechers) = (&server.spec.groups[0], &server.spec.groups[1]);
    assert_eq!((seed.seed_choker.name(), leechers.choker.name()), ("unchoke-all", "never"));
    assert!(seed.slots >= leechers.count && seed.connections >= leechers.count);
    // The server serves one after the other no slower than all at once: that long at least, and less than the limit.
    let seconds = server.spec.content * u64::from(leechers.count) / seed.up;
    assert!(Duration::from_secs(seconds * 5 / 4) < server.spec.time_limit);
    let speed = Chart::Speed { x: "groups.leechers.count".into(), log_x: true, log_y: true, bound: true };
    assert_eq!(scenario.charts()[0], speed);
}

#[test]
fn the_others_have_the_shape_of_their_claims() {
    let ratio = shipped("seed-leech-ratio.toml", &[]);
    let share = |point: &Spec| f64::from(point.groups[0].count) / f64::from(point.groups[1].count);
    assert_eq!((share(&ratio.points()[0].spec), share(&ratio.points()[6].spec)), (0.02, 2.0));

    let choking = shipped("choking-strategies.toml", &[]);
    for point in choking.points() {
        let [_, _, medium, _, free] = &point.spec.groups[..] else { panic!() };
        assert_eq!((medium.up, medium.down), (free.up, free.down));
        assert_eq!((free.choker.name(), free.seed_choker.name()), ("never", "never"));
    }
    let names: Vec<_> = choking.points().iter().map(|point| point.spec.groups[2].choker.name()).collect();
    assert_eq!(names[..3], ["tit-for-tat", "random", "unchoke-all"]);

    let share = shipped("share-ratio.toml", &[]);
    let leaves: Vec<_> = share.points().iter().map(|point| point.spec.groups[2].leave).collect();
    let five = Leave::After(Duration::from_secs(300));
    assert_eq!(leaves, [Leave::OnCompletion, five, Leave::AtRatio(1.0)]);
    assert_eq!(share.points()[0].spec.until, Until::TimeLimit);

    let crowd = shipped("flash-crowd.toml", &[]).points()[0].spec.clone();
    let ten = Duration::from_secs(10);
    assert_eq!(crowd.groups[1].arrival, Arrival::Evenly { from: Duration::ZERO, to: ten });
    assert_eq!(crowd.groups[1].count, 500);

    let picking = shipped("piece-picking.toml", &[]);
    let names: Vec<_> = picking.points().iter().map(|point| point.spec.groups[1].picker.name()).collect();
    assert_eq!(names, ["rarest-first", "random", "sequential"]);
}

#[test]
fn a_test_can_make_them_small() {
    let with = [("groups.leechers.count", "[5, 10]"), ("content.size", "4 MiB"), ("replicates", "1")];
    let small = shipped("swarm-scaling.toml", &with);
    assert_eq!((small.points().len(), small.runs()), (4, 4));
    assert_eq!(blocks(&small), 2 * 15 * 256);
    let pinned = shipped("seed-leech-ratio.toml", &[("groups.seeds.count", "3"), ("time-limit", "1 h")]);
    assert_eq!(pinned.points()[0].values, ["3"]);
}
