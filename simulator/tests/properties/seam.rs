//! Fidelity is what is stacked under a peer, never a second peer: what one simulated host was told, told to a
//! bare engine, gives what the host said.

use std::sync::{Arc, Mutex};

use engine::peer::{Input, Output};
use simulator::spec::{Group, Leave, Spec, Transport};
use simulator::{Options, Seam, Stack, Watch, engine_of};

use crate::common::spec;

type Heard = (engine::Instant, Input, Vec<String>);

/// Every input of a peer, when it came, and what it then said.
fn recorded(spec: &Arc<Spec>, seed: u64, peer: usize, stack: Stack) -> Vec<Heard> {
    let heard = Arc::new(Mutex::new(Vec::<Heard>::new()));
    let sink = heard.clone();
    let observer = Box::new(move |now: engine::Instant, seam: Seam<'_>| {
        let mut heard = sink.lock().unwrap();
        match seam {
            Seam::Input(input) => heard.push((now, input.clone(), Vec::new())),
            Seam::Output(output) => heard.last_mut().expect("told first").2.push(format!("{output:?}")),
        }
    });
    let options = Options { stack, checks: true, ..Options::default() };
    simulator::run(spec, seed, options, Some(Watch { peer, observer }), |_| true).unwrap();
    std::mem::take(&mut *heard.lock().unwrap())
}

#[test]
fn a_bare_engine_says_what_the_simulated_host_said() {
    let leechers = Group { leave: Leave::AtRatio(0.8), ..Group::leechers("leechers", 12, 200_000, None) };
    let spec = spec(2 << 20, 20, Transport::TCP, vec![Group::seeds("seed", 1, 300_000, None), leechers]);
    let spec = Arc::new(spec);
    for stack in [Stack::Message, Stack::Wire] {
        for peer in [0, 1, 7, 12] {
            let mut bare = engine_of(&spec, 3, peer).unwrap();
            let (mut inputs, mut outputs, mut blocks) = (0, 0, 0);
            for (now, input, expected) in recorded(&spec, 3, peer, stack) {
                let shown = format!("{now:?} {input:?}");
                bare.handle_input(now, input);
                let said: Vec<String> = std::iter::from_fn(|| bare.poll_output())
                    .inspect(|output| blocks += usize::from(matches!(output, Output::WriteBlock { .. })))
                    .map(|output| format!("{output:?}"))
                    .collect();
                inputs += 1;
                outputs += said.len();
                assert_eq!(said, expected, "peer {peer} after {}", &shown[..shown.len().min(300)]);
            }
            assert!(inputs > 300 && outputs > 300, "{inputs} inputs and {outputs} outputs say little");
            assert!(peer == 0 || blocks >= 128, "a leecher writes every block: {blocks}");
        }
    }
    assert!(engine_of(&spec, 3, 13).is_err(), "there are 13 peers");
}
