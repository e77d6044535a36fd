//! When peers come and when they go.

use std::time::Duration;

use simulator::spec::{Arrival, Group, Leave, Spec, Transport, Until};

use crate::common::{arriving, choker, close, run, servers, spec};

const SEC: Duration = Duration::from_secs(1);

/// `group` fetches one block each from a server that has time for all of them.
fn crowd(group: Group) -> Spec {
    let server = Group { connections: 5000, ..servers(1, 1_000_000_000) };
    let mut spec = spec(16 << 10, 5, Transport::Ideal, vec![server, Group { connections: 2, ..group }]);
    spec.piece_length = 16 << 10;
    spec.tracker.returns = simulator::spec::Returns::Seeds;
    spec
}

fn arrivals(arrival: Arrival, count: u32, seed: u64) -> Vec<f64> {
    let leechers = Group { leave: Leave::OnCompletion, ..Group::leechers("crowd", count, 1_000_000, None) };
    let run = run(&crowd(arriving(leechers, arrival)), seed);
    let times: Vec<f64> = run.peers[1..].iter().map(|peer| peer.arrived).collect();
    assert_eq!(times.len(), count as usize);
    assert!(times.is_sorted());
    times
}

#[test]
fn poisson_arrivals_have_their_rate_and_their_spread() {
    let times = arrivals(Arrival::Poisson { from: 10 * SEC, rate: 20.0 }, 2000, 1);
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    // 2,000 draws: a standard error of 2.2 % for the mean, as much for the deviation.
    close("mean gap", mean, 0.05, 0.07);
    close("deviation over mean", deviation / mean, 1.0, 0.07);
    // Independent increments: the numbers in seconds have a variance equal to their mean.
    let counts: Vec<f64> = (0..90)
        .map(|i| times.iter().filter(|&&time| (time - 10.0) as i64 == i && time >= 10.0).count() as f64)
        .collect();
    let mean = counts.iter().sum::<f64>() / 90.0;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 89.0;
    close("index of dispersion", variance / mean, 1.0, 0.45);
}

#[test]
fn a_flash_crowd_decays_at_its_time_constant() {
    // Guo et al. 2005: λ(t) = λ0 e^(−t/τ); the slope of the logarithm of the counts gives τ within 15 %.
    let decay = 60.0;
    let times = arrivals(Arrival::FlashCrowd { from: 5 * SEC, decay: 60 * SEC }, 3000, 2);
    let mean = times.iter().map(|time| time - 5.0).sum::<f64>() / times.len() as f64;
    close("mean of a flash crowd", mean, decay, 0.06);
    let points: Vec<(f64, f64)> = (0..10)
        .map(|i| {
            let (from, to) = (5.0 + 15.0 * f64::from(i), 20.0 + 15.0 * f64::from(i));
            let count = times.iter().filter(|&&time| time >= from && time < to).count() as f64;
            ((from + to) / 2.0, libm::log(count))
        })
        .collect();
    let slope = simulator::validate::stats::Line::through(&points).slope;
    close("τ from the slope", -1.0 / slope, decay, 0.15);
}

#[test]
fn others_come_at_once_evenly_or_as_listed() {
    assert_eq!(arrivals(Arrival::At(3 * SEC), 3, 1), [3.0; 3]);
    assert_eq!(arrivals(Arrival::Evenly { from: SEC, to: 5 * SEC }, 5, 1), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let trace = Arrival::Trace([7, 2, 4].map(|n| n * SEC).into());
    assert_eq!(arrivals(trace, 3, 1), [2.0, 4.0, 7.0]);
}

#[test]
fn a_group_waits_for_another_to_complete() {
    let first = Group::leechers("first", 4, 100_000, None);
    let then = Arrival::After { group: 1, delay: 7 * SEC };
    let then = arriving(Group::leechers("then", 2, 100_000, None), then);
    let run = run(&spec(2 << 20, 20, Transport::TCP, vec![servers(1, 100_000), first, then]), 3);
    let of = |group: u32| run.peers.iter().filter(move |peer| peer.group == group);
    let done = of(1).map(|peer| peer.completed.expect("all complete")).fold(0.0, f64::max);
    for peer in of(2) {
        // The look at who has completed is taken on the grid of samples, here each second.
        assert!(peer.arrived >= done + 7.0 && peer.arrived <= done + 8.0, "{} after {done}", peer.arrived);
        assert!(peer.completed.is_some());
    }
}

fn stays(leave: Leave, count: u32) -> Vec<f64> {
    let spec = crowd(Group { leave, ..Group::leechers("crowd", count, 1_000_000, None) });
    let run = run(&Spec { until: Until::TimeLimit, time_limit: 3600 * SEC, ..spec }, 4);
    run.peers[1..].iter().map(|peer| peer.left.unwrap() - peer.completed.unwrap()).collect()
}

#[test]
fn peers_leave_when_they_said() {
    for stay in stays(Leave::OnCompletion, 20) {
        assert_eq!(stay, 0.0);
    }
    for stay in stays(Leave::After(90 * SEC), 20) {
        assert!((stay - 90.0).abs() < 1e-6, "{stay}");
    }
    let stays = stays(Leave::AfterExponential(100 * SEC), 800);
    let mean = stays.iter().sum::<f64>() / 800.0;
    close("mean stay", mean, 100.0, 0.11);
    let above = stays.iter().filter(|&&stay| stay > 100.0).count() as f64 / 800.0;
    close("share that stays longer than the mean", above, libm::exp(-1.0), 0.15);
}

#[test]
fn a_ratio_is_reached_within_a_block() {
    let leechers = Group { leave: Leave::AtRatio(0.5), ..Group::leechers("leechers", 10, 250_000, None) };
    let late = arriving(
        Group { leave: Leave::Never, ..Group::leechers("late", 10, 250_000, None) },
        Arrival::At(60 * SEC),
    );
    let seed = Group::seeds("seed", 1, 1_000_000, None);
    let spec = spec(8 << 20, 20, Transport::TCP, vec![seed, leechers, late]);
    let run = run(&Spec { until: Until::TimeLimit, time_limit: 600 * SEC, ..spec }, 5);
    let (mut at_completion, mut after) = (0, 0);
    for peer in run.peers.iter().filter(|peer| peer.group == 1) {
        let Some(left) = peer.left else { continue };
        let (given, asked) = (peer.uploaded, 4 << 20);
        assert!(given >= asked, "{given} of {asked} given");
        if left - peer.completed.unwrap() < 1e-6 {
            at_completion += 1;
        } else {
            after += 1;
            assert!(given < asked + 16384, "{given} given, {asked} would have been enough");
        }
    }
    eprintln!("{at_completion} left at completion, {after} later");
    assert!(at_completion + after >= 8 && after >= 2, "{at_completion} and {after}");
}

#[test]
fn leechers_give_up_at_their_rate() {
    // Nobody serves them: after 600 s at 1/500 s, e^(−1.2) = 30 % are left.
    let seed = Group { seed_choker: choker("never"), ..Group::seeds("seed", 1, 1000, None) };
    let leechers = Group { abort_rate: 1.0 / 500.0, ..Group::leechers("leechers", 500, 1000, None) };
    let spec = spec(1 << 20, 20, Transport::Ideal, vec![seed, Group { connections: 4, ..leechers }]);
    let run = run(&Spec { until: Until::TimeLimit, time_limit: 600 * SEC, ..spec }, 6);
    let there = run.peers[1..].iter().filter(|peer| peer.left.is_none()).count();
    // A standard deviation is 10 of 500.
    close("leechers left", there as f64, 500.0 * libm::exp(-1.2), 0.2);
    assert!(run.peers.iter().all(|peer| peer.completed.is_none()));
}
