//! The engine in the simulator, held against the model of conduct: whatever goes on around it, an honest peer
//! breaks no rule.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Instant, Layout};
use harness::conduct::{Breach, Conduct};
use simulator::spec::{Arrival, Behaviour, Group, Latency, Leave, Network, Spec, Transport};
use simulator::{Options, Seam, Watch};

const CONTENT: u64 = 4 << 20;
const PIECE: u32 = 128 * 1024;

/// A seed, leechers that come and go, and others.
fn spec(others: Option<Group>) -> Arc<Spec> {
    let leechers = Group {
        arrival: Arrival::Evenly { from: Duration::ZERO, to: Duration::from_secs(20) },
        leave: Leave::AtRatio(0.9),
        ..Group::leechers("leechers", 9, 200_000, Some(2_000_000))
    };
    let mut groups = vec![Group::seeds("seed", 1, 300_000, None), leechers];
    groups.extend(others);
    Arc::new(Spec {
        content: CONTENT,
        piece_length: PIECE,
        network: Network {
            latency: Latency::Constant(Duration::from_millis(40)),
            transport: Transport::TCP,
            ..Network::default()
        },
        time_limit: Duration::from_secs(900),
        groups,
        ..Spec::default()
    })
}

/// What one peer broke, and how many messages it sent.
fn conduct_of(spec: &Arc<Spec>, seed: u64, peer: usize) -> (Vec<Breach>, u64) {
    let layout = Layout::new(CONTENT, u64::from(PIECE)).expect("a layout");
    let conduct = Arc::new(Mutex::new(Conduct::new(layout)));
    let sink = conduct.clone();
    let observer = Box::new(move |_: Instant, seam: Seam<'_>| {
        let mut conduct = sink.lock().expect("one thread");
        match seam {
            Seam::Input(input) => conduct.input(input),
            Seam::Output(output) => conduct.output(output),
        }
    });
    let options = Options { checks: false, ..Options::default() };
    simulator::run(spec, seed, options, Some(Watch { peer, observer }), |_| true).expect("it runs");
    let conduct = conduct.lock().expect("one thread");
    (conduct.breaches().to_vec(), conduct.messages())
}

fn holds(others: Option<Group>, peers: impl IntoIterator<Item = usize>) {
    let spec = spec(others);
    for (seed, peer) in peers.into_iter().enumerate() {
        let (breaches, messages) = conduct_of(&spec, seed as u64, peer);
        assert!(messages > 100, "peer {peer} sent {messages} messages");
        assert!(breaches.is_empty(), "peer {peer}, seed {seed}: {breaches:#?}");
    }
}

#[test]
fn seeds_and_leechers_keep_the_rules() {
    holds(None, [0, 1, 4, 9]);
}

#[test]
fn among_those_who_misbehave_too() {
    for behaviour in [Behaviour::Polluter, Behaviour::Liar, Behaviour::Staller] {
        let others = Group { behaviour, ..Group::leechers("others", 2, 300_000, None) };
        holds(Some(others), [0, 1, 5]);
    }
}

#[test]
fn a_liar_is_found_out() {
    let liar = Group { behaviour: Behaviour::Liar, ..Group::leechers("liar", 1, 300_000, None) };
    let (breaches, _) = conduct_of(&spec(Some(liar)), 1, 10);
    assert!(!breaches.is_empty(), "what it claims it never says again");
}
