//! One sender, one receiver: what limits a single connection.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use engine::peer::Input;
use engine::wire::Message;
use simulator::spec::{Group, Leave, Spec, Transport, Until};
use simulator::{Options, Seam, Watch};

use crate::common::{BLOCK, close, rates, readers, run, servers, spec};

/// Fast enough that its serialisation times do not matter: 8 Gbit/s.
const FAST: u64 = 1_000_000_000;
const TOLERANCE: f64 = 0.05;

fn one_to_one(content: u64, latency: u64, transport: Transport, depth: u32) -> Spec {
    spec(content, latency, transport, vec![servers(1, FAST), readers("reader", 1, None, depth)])
}

/// The rate between the 10th and the 30th second.
fn steady_rate(spec: &Spec) -> f64 {
    rates(spec, 1, 10, 30)[1]
}

#[test]
fn a_pipeline_carries_its_depth_each_round_trip() {
    // q blocks of 16 KiB each round trip: 410 kB/s for 5 and 200 ms.
    for (depth, latency) in [(5, 100), (1, 100), (20, 100), (5, 25)] {
        let rtt = 2.0 * latency as f64 / 1000.0;
        let expected = f64::from(depth) * BLOCK / rtt;
        let rate = steady_rate(&one_to_one((expected * 40.0) as u64, latency, Transport::Ideal, depth));
        close(&format!("{depth} blocks in {rtt} s"), rate, expected, TOLERANCE);
    }
}

#[test]
fn the_window_caps_a_connection() {
    for (window, latency) in [(65_536, 50), (262_144, 50), (262_144, 100)] {
        let transport = Transport::Tcp { window, mss: 1460, loss: 0.0 };
        let expected = f64::from(window) / (2.0 * latency as f64 / 1000.0);
        // Four windows and more are asked for.
        let depth = 4 * window / 16_384 + 8;
        let rate = steady_rate(&one_to_one((expected * 40.0) as u64, latency, transport, depth));
        close(&format!("a window of {window} in {} ms", 2 * latency), rate, expected, TOLERANCE);
    }
}

#[test]
fn loss_caps_a_connection_as_mathis_says() {
    for (loss, latency) in [(0.01, 50), (0.001, 50), (0.0001, 100)] {
        let transport = Transport::Tcp { window: u32::MAX, mss: 1460, loss };
        let rtt = 2.0 * latency as f64 / 1000.0;
        let expected = 1.22 * 1460.0 / (rtt * loss.sqrt());
        let depth = (4.0 * expected * rtt / BLOCK) as u32 + 8;
        let rate = steady_rate(&one_to_one((expected * 40.0) as u64, latency, transport, depth));
        close(&format!("loss of {loss} in {rtt} s"), rate, expected, TOLERANCE);
    }
}

/// When each block reached the only leecher, seconds.
fn block_times(spec: &Spec) -> Vec<f64> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = times.clone();
    let observer = Box::new(move |now: engine::Instant, seam: Seam<'_>| {
        if let Seam::Input(Input::Message { message: Message::Piece { .. }, .. }) = seam {
            seen.lock().unwrap().push(now.as_nanos() as f64 / 1e9);
        }
    });
    let watch = Watch { peer: 1, observer };
    simulator::run(&Arc::new(spec.clone()), 1, Options::default(), Some(watch), |_| true).unwrap();
    let times = times.lock().unwrap();
    times.clone()
}

#[test]
fn slow_start_doubles_from_ten_segments() {
    // Round k (from 0) carries 14,600 · 2^k bytes, so that block n is out in round ⌈log2(n·B/14,600 + 1)⌉ − 1.
    let transport = Transport::Tcp { window: u32::MAX, mss: 1460, loss: 0.0 };
    let spec = Spec { sample_every: Duration::from_secs(10), ..one_to_one(3 << 20, 100, transport, 200) };
    let times = block_times(&spec);
    assert_eq!(times.len(), 192);
    let round = |n: usize| (libm::log2(n as f64 * (BLOCK + 13.0) / 14_600.0 + 1.0).ceil() - 1.0) * 0.2;
    for n in [5, 12, 25, 50, 100, 192] {
        let elapsed = times[n - 1] - times[0];
        let expected = round(n) - round(1);
        close(&format!("block {n} of a new connection"), elapsed, expected, TOLERANCE);
    }
}

#[test]
fn what_a_leaver_has_sent_still_comes() {
    // Half a megabyte waits for a downlink of 100 kB/s when the sender leaves: its close stands behind that.
    let sender = Group { leave: Leave::After(Duration::from_secs(3)), ..servers(1, FAST) };
    let spec = Spec {
        until: Until::TimeLimit,
        time_limit: Duration::from_secs(30),
        ..spec(16 << 20, 50, Transport::Ideal, vec![sender, readers("reader", 1, Some(100_000), 32)])
    };
    let run = run(&spec, 1);
    let (sender, reader) = (&run.peers[0], &run.peers[1]);
    assert!(sender.left.is_some_and(|left| left < 4.0), "{sender:?}");
    assert!(sender.uploaded > 32 * 16_384, "{sender:?}");
    assert_eq!(run.counters["payload_lost_bytes"], 0);
    assert_eq!(reader.downloaded, sender.uploaded);
}
