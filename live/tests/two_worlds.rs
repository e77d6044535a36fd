//! Two worlds, one behaviour: a swarm on loopback against the same one in the simulator.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::Layout;
use engine::peer::Seam;
use harness::conduct::Conduct;
use record::End;
use simulator::spec::{Arrival, Behaviour, Group, Latency, Leave, Network, Spec, Tracker, Transport};
use simulator::{Options, Stack};

const MS: Duration = Duration::from_millis(1);

/// A seed and nine leechers, whose links decide how long it takes; the network between is that of loopback.
fn spec() -> Spec {
    let mut leechers = Group::leechers("leechers", 9, 400_000, Some(2_000_000));
    leechers.leave = Leave::Never;
    Spec {
        content: 8 << 20,
        piece_length: 128 << 10,
        network: Network {
            latency: Latency::Constant(MS),
            transport: Transport::Ideal,
            ..Network::default()
        },
        tracker: Tracker { latency: MS, ..Tracker::default() },
        time_limit: Duration::from_secs(240),
        groups: vec![Group::seeds("seed", 1, 800_000, None), leechers],
        ..Spec::default()
    }
}

/// Mean time from arrival to completion of those who were to complete, all of whom must have.
fn mean(run: &record::Run) -> f64 {
    let leechers = run.peers.iter().filter(|peer| !run.groups[peer.group as usize].seed);
    let times: Vec<f64> =
        leechers.map(|peer| peer.completed.expect("every leecher completes") - peer.arrived).collect();
    assert_eq!(times.len(), 9);
    times.iter().sum::<f64>() / times.len() as f64
}

#[test]
fn a_swarm_on_loopback_takes_as_long_as_a_simulated_one() {
    let spec = Arc::new(spec());
    let layout = Layout::new(spec.content, u64::from(spec.piece_length)).expect("a layout");
    let conducts: Arc<Vec<Mutex<Conduct>>> =
        Arc::new((0..10).map(|_| Mutex::new(Conduct::new(layout))).collect());
    let sink = conducts.clone();
    let tap = Arc::new(move |place: usize, seam: Seam<'_>| {
        let mut conduct = sink[place].lock().expect("nobody panics");
        match seam {
            Seam::Input(input) => conduct.input(input),
            Seam::Output(output) => conduct.output(output),
        }
    });
    let live = live::run(&spec, 7, Some(tap), |_| true).expect("it runs");
    assert_eq!(live.end, End::Done);
    let options = Options { stack: Stack::Wire, checks: true, ..Options::default() };
    let simulated: Vec<f64> = (0..5)
        .map(|seed| mean(&simulator::run(&spec, seed, options, None, |_| true).expect("it runs")))
        .collect();
    let expected = simulated.iter().sum::<f64>() / simulated.len() as f64;
    let ratio = mean(&live) / expected;
    println!("live {:.1} s, simulated {simulated:.1?} s, ratio {ratio:.3}", mean(&live));
    assert!((0.85..=1.15).contains(&ratio), "live {:.1} s, simulated {simulated:.1?} s", mean(&live));
    let received: u64 = live.peers.iter().map(|peer| peer.downloaded - peer.wasted).sum();
    assert_eq!(received, 9 * spec.content, "everybody has received the content once");
    for (place, conduct) in conducts.iter().enumerate() {
        let conduct = conduct.lock().expect("nobody panics");
        assert!(conduct.messages() > 100, "peer {place} sent {} messages", conduct.messages());
        assert_eq!(conduct.breaches(), [], "peer {place}");
    }
}

#[test]
fn who_a_trace_does_not_name_is_not_waited_for() {
    let mut spec = spec();
    spec.content = 1 << 20;
    spec.time_limit = Duration::from_secs(60);
    let trace = Arrival::Trace([MS, 2 * MS].into());
    spec.groups[1] = Group { arrival: trace, ..Group::leechers("leechers", 4, 2_000_000, None) };
    let after = Arrival::After { group: 1, delay: MS };
    spec.groups.push(Group { arrival: after, ..Group::leechers("late", 1, 2_000_000, None) });
    let spec = Arc::new(spec);
    let simulated = simulator::run(&spec, 3, Options::default(), None, |_| true).expect("it runs");
    let live = live::run(&spec, 3, None, |_| true).expect("it runs");
    for run in [simulated, live] {
        assert_eq!(run.end, End::Done);
        let complete = run.peers.iter().filter(|peer| peer.completed.is_some()).count();
        assert_eq!((run.peers.len(), complete), (4, 3), "the seed, two of the trace, and the one after them");
    }
}

#[test]
fn who_begins_with_pieces_or_behind_a_nat_does_so_in_both_worlds() {
    let mut spec = spec();
    spec.content = 1 << 20;
    spec.time_limit = Duration::from_secs(60);
    // Four of eight pieces each; and nobody whom a leecher could dial but the seed.
    spec.groups[1] =
        Group { start_with: 0.5, reachable: 0.0, ..Group::leechers("leechers", 4, 2_000_000, None) };
    let spec = Arc::new(spec);
    let simulated = simulator::run(&spec, 3, Options::default(), None, |_| true).expect("it runs");
    let live = live::run(&spec, 3, None, |_| true).expect("it runs");
    for run in [simulated, live] {
        assert_eq!(run.end, End::Done);
        let (seed, leechers) = run.peers.split_first().expect("a seed");
        assert!(leechers.iter().all(|peer| peer.completed.is_some() && peer.pieces == 8));
        for peer in leechers {
            assert_eq!((peer.downloaded - peer.wasted, peer.uploaded), (512 << 10, 0));
        }
        assert!(seed.uploaded >= 4 * (512 << 10));
    }
}

#[test]
fn what_only_a_simulation_has_is_refused() {
    let refused = |change: fn(&mut Spec)| {
        let mut spec = spec();
        change(&mut spec);
        live::run(&Arc::new(spec), 1, None, |_| true).expect_err("it must be refused").to_string()
    };
    let liars = refused(|spec| spec.groups[1].behaviour = Behaviour::Polluter);
    assert_eq!(liars, "group leechers: hosts misbehave only in a simulation");
    let many = refused(|spec| spec.groups[1].count = 50);
    assert_eq!(many, "51 peers: a live run has at most 50, each a whole client");
}
