//! The engine in the setting of Mundinger, Weber and Weiss is never faster than the optimum.

use simulator::validate::measure::last_time;
use simulator::validate::rounds::{optimum, setting};

use crate::common::run;

#[test]
fn the_engine_never_beats_the_optimal_schedule() {
    for (peers, parts) in [(1, 20), (7, 40), (31, 64), (63, 100), (127, 40)] {
        for seed in 0..3 {
            let time = last_time(&run(&setting(peers, parts), seed));
            let optimum = optimum(peers, parts);
            assert!(
                time.is_finite() && time >= optimum,
                "{peers} peers, {parts} parts: {time} s, {optimum} s"
            );
            eprintln!("{peers} peers, {parts} parts: {:.3} times the optimum", time / optimum);
        }
    }
}
