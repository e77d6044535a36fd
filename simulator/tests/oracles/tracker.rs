//! Peers meet through the tracker alone, and only those meet that can.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::peer::{Input, Output};
use record::End;
use simulator::spec::{Arrival, Group, Returns, Spec, Tracker, Transport, Until};
use simulator::{Options, Seam, Watch};

use crate::common::{run, spec};

fn swarm(tracker: Tracker) -> Spec {
    let groups =
        vec![Group::seeds("seed", 1, 1_000_000, None), Group::leechers("leechers", 8, 1_000_000, None)];
    Spec { tracker, time_limit: Duration::from_secs(3600), ..spec(4 << 20, 20, Transport::TCP, groups) }
}

#[test]
fn a_tracker_that_names_nobody_keeps_everyone_apart() {
    let apart = run(&swarm(Tracker { max_peers: 0, ..Tracker::default() }), 1);
    assert_eq!((apart.end, apart.counters["messages_piece"]), (End::Stuck, 0));
    assert_eq!(apart.counters["messages_bitfield"] + apart.counters["messages_interested"], 0);
    let together = run(&swarm(Tracker::default()), 1);
    assert_eq!(together.end, End::Done, "the same with names ends well");
}

#[test]
fn whom_the_tracker_names_is_whom_one_meets() {
    let mut spec = swarm(Tracker { returns: Returns::Seeds, ..Tracker::default() });
    // The tracker knows the seed by then.
    spec.groups[1].arrival = Arrival::At(Duration::from_secs(1));
    // (Named by the tracker, dialled, connected)
    let met = Arc::new(Mutex::new((BTreeSet::new(), BTreeSet::new(), BTreeSet::new())));
    let seen = met.clone();
    let observer = Box::new(move |_: engine::Instant, seam: Seam<'_>| {
        let (named, dialled, connected) = &mut *seen.lock().unwrap();
        match seam {
            Seam::Input(Input::Announced(Ok(reply))) => named.extend(reply.peers.iter().copied()),
            Seam::Input(Input::Connected { addr, .. }) => _ = connected.insert(addr.ip()),
            Seam::Output(Output::Connect { addr }) => {
                assert!(named.contains(addr), "{addr} is dialled and nobody named it");
                dialled.insert(addr.ip());
            }
            _ => {}
        }
    });
    let watch = Watch { peer: 3, observer };
    // Not to the end: who completes is a seed that may be named.
    let run = simulator::run(&Arc::new(spec), 1, Options::default(), Some(watch), |now| now.time < 3.0);
    assert!(matches!(run, Err(simulator::RunError::Interrupted)));
    let (named, dialled, connected) = &*met.lock().unwrap();
    assert_eq!((named.len(), dialled.len(), connected.len()), (1, 1, 1), "the seed alone");
}

#[test]
fn two_behind_nat_never_connect() {
    let natted = |seeds: f64, leechers: f64| {
        let groups = vec![
            Group { reachable: seeds, ..Group::seeds("seed", 1, 1_000_000, None) },
            Group { reachable: leechers, ..Group::leechers("leechers", 5, 1_000_000, None) },
        ];
        run(&Spec { time_limit: Duration::from_secs(1800), ..spec(4 << 20, 20, Transport::TCP, groups) }, 1)
    };
    let both = natted(0.0, 0.0);
    assert_eq!(both.counters["messages_piece"] + both.counters["messages_interested"], 0);
    assert_ne!(both.end, End::Done);
    for (seeds, leechers) in [(1.0, 0.0), (0.0, 1.0)] {
        let one = natted(seeds, leechers);
        assert_eq!(one.end, End::Done, "one end that can be reached is enough");
        if leechers == 0.0 {
            let sent: u64 = one.peers[1..].iter().map(|peer| peer.uploaded).sum();
            assert_eq!(sent, 0, "the leechers cannot be reached by one another");
        }
    }
}

#[test]
fn the_share_that_is_reachable_is_as_asked() {
    // A seed comes last and dials the 50 that it is told of: 40 % of them answer.
    let (mut dialled, mut answered) = (0, 0);
    for seed in 0..8 {
        let late = Arrival::At(Duration::from_secs(30));
        let groups = vec![
            Group { arrival: late, connections: 200, ..Group::seeds("seed", 1, 1_000_000, None) },
            Group { reachable: 0.4, connections: 20, ..Group::leechers("leechers", 200, 1_000, None) },
        ];
        let until = Spec { until: Until::TimeLimit, ..spec(1 << 20, 20, Transport::Ideal, groups) };
        let spec = Spec { time_limit: Duration::from_secs(40), ..until };
        let sets = Arc::new(Mutex::new((BTreeSet::new(), BTreeSet::new())));
        let seen = sets.clone();
        let observer = Box::new(move |_: engine::Instant, seam: Seam<'_>| match seam {
            Seam::Output(Output::Connect { addr }) => _ = seen.lock().unwrap().0.insert(*addr),
            Seam::Input(Input::Connected { addr, outgoing: true, .. }) => {
                seen.lock().unwrap().1.insert(*addr);
            }
            _ => {}
        });
        let watch = Watch { peer: 0, observer };
        simulator::run(&Arc::new(spec), seed, Options::default(), Some(watch), |_| true).unwrap();
        let sets = sets.lock().unwrap();
        dialled += sets.0.len();
        answered += sets.1.len();
    }
    assert!(dialled >= 300, "{dialled}");
    let share = answered as f64 / dialled as f64;
    // A standard deviation is 2.5 points.
    assert!((share - 0.4).abs() < 0.075, "{answered} of {dialled} answered");
}
