//! What scenarios resolve to: defaults, every form of every value, sweeps, variants, overrides.

use std::sync::Arc;
use std::time::Duration;

use engine::choker::{Choker, ChokerFactory};
use record::Chart;

use super::{BASE, folder, load, loaded};
use crate::scenario::{Registry, Scenario};
use crate::spec::*;

fn spec(more: &str) -> Spec {
    loaded(more, &[]).points()[0].spec.clone()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = loaded("", &[]);
    assert_eq!((scenario.seed(), scenario.runs()), (1, 4));
    assert!(scenario.charts().is_empty() && scenario.axes().is_empty() && scenario.question().is_empty());
    let spec = &scenario.points()[0].spec;
    assert_eq!((spec.content, spec.piece_length), (1 << 20, 256 << 10));
    assert_eq!((spec.time_limit, spec.sample_every), (4 * 3600 * SECOND, SECOND));
    assert_eq!(spec.until, Until::AllComplete);
    assert!(matches!(spec.network.latency, Latency::Constant(time) if time == SECOND / 20));
    assert_eq!(spec.network.jitter, Duration::ZERO);
    assert_eq!(spec.network.transport, Transport::Tcp { window: 1 << 20, mss: 1460, loss: 0.0 });
    assert_eq!(spec.network.hash_rate, Some(500_000_000));
    let tracker = &spec.tracker;
    assert_eq!((tracker.interval, tracker.min_interval), (1800 * SECOND, 60 * SECOND));
    assert_eq!((tracker.max_peers, tracker.returns, tracker.latency), (50, Returns::All, SECOND / 20));
    let group = &spec.groups[1];
    assert_eq!((group.name.as_str(), group.count, group.seed), ("leechers", 1, false));
    assert_eq!((group.up, group.down, group.latency), (500_000, None, Duration::ZERO));
    assert_eq!((group.choker.name(), group.seed_choker.name()), ("tit-for-tat", "mainline-seed"));
    assert_eq!((group.picker.name(), group.slots, group.connections), ("rarest-first", 4, 40));
    assert_eq!((group.reachable, group.start_with, group.abort_rate), (1.0, 0.0, 0.0));
    assert_eq!((group.pipeline, &group.arrival), (Pipeline::Adaptive, &Arrival::At(SECOND)));
    assert_eq!((group.leave, group.behaviour), (Leave::Never, Behaviour::Honest));
    assert_eq!((group.fast, group.allowed_fast, group.extended, group.pex), (true, 0, true, false));
    assert!(spec.groups[0].seed, "groups keep the order of the file");
}

#[test]
fn every_form_of_arrival_and_leaving() {
    let arrival = |text: &str| spec(&format!("groups.leechers.arrival = {text}\n")).groups[1].arrival.clone();
    assert_eq!(arrival("\"at-once\""), Arrival::At(SECOND));
    assert_eq!(arrival("{ at = \"3 s\" }"), Arrival::At(3 * SECOND));
    let evenly = Arrival::Evenly { from: SECOND, to: 60 * SECOND };
    assert_eq!(arrival("{ evenly = { from = \"1 s\", to = \"1 min\" } }"), evenly);
    let poisson = Arrival::Poisson { from: SECOND, rate: 0.5 };
    assert_eq!(arrival("{ poisson = { rate = \"0.5 /s\", from = \"1 s\" } }"), poisson);
    let crowd = Arrival::FlashCrowd { from: Duration::ZERO, decay: 60 * SECOND };
    assert_eq!(arrival("{ flash-crowd = { decay = \"1 min\" } }"), crowd);
    let times = [Duration::ZERO, SECOND * 5 / 2, 60 * SECOND];
    assert_eq!(arrival("{ trace = \"trace.txt\" }"), Arrival::Trace(times.into()));
    let traced = spec(
        "groups.leechers = { arrival.trace = \"trace.txt\", count = 2 }\n"
            .replace(
                "groups.leechers = { arrival.trace = \"trace.txt\", count = 2 }",
                "groups.leechers.arrival.trace = \"trace.txt\"\ngroups.leechers.count = 2",
            )
            .as_str(),
    );
    assert_eq!(traced.groups[1].arrival, Arrival::Trace(times[..2].into()));
    let after =
        spec("groups.late = { up = \"1 B/s\", arrival.after = { group = \"leechers\", delay = \"1 s\" } }\n");
    assert_eq!(after.groups[2].arrival, Arrival::After { group: 1, delay: SECOND });

    let leave = |text: &str| spec(&format!("groups.leechers.leave = {text}\n")).groups[1].leave;
    assert_eq!(leave("\"on-completion\""), Leave::OnCompletion);
    assert_eq!(leave("{ after = \"1 s\" }"), Leave::After(SECOND));
    assert_eq!(leave("{ after-exponential = \"1 s\" }"), Leave::AfterExponential(SECOND));
    assert_eq!(leave("{ at-ratio = 1 }"), Leave::AtRatio(1.0));
}

#[test]
fn every_form_of_latency() {
    let latency = |text: &str| spec(&format!("network.latency = {text}\n")).network.latency;
    let Latency::Uniform(from, to) = latency("{ from = \"1 ms\", to = \"1 s\" }") else { panic!() };
    assert_eq!((from, to), (SECOND / 1000, SECOND));
    let Latency::Quantiles(table) = latency("\"planetlab\"") else { panic!() };
    assert_eq!(table.len(), 201);
    assert!(table.is_sorted() && table[0] == SECOND / 1000);
    // Median and 95th percentile of the data set: 135 ms and 325 ms for the round trip.
    assert_eq!((table[100].as_micros(), table[190].as_micros()), (67_500, 162_450));
    let Latency::Matrix { n, delays } = latency("{ matrix = \"rtt.csv\" }") else { panic!() };
    let millis: Vec<_> = delays.iter().map(Duration::as_millis).collect();
    assert_eq!((n, millis), (3, vec![1, 50, 20, 50, 1, 10, 20, 10, 1]));
    let both = spec("network.latency = \"0 ms\"\ngroups.seeds.latency = \"1 ms\"\n");
    assert_eq!(both.groups[0].latency, SECOND / 1000);
}

#[test]
fn every_other_key_arrives() {
    let spec = spec(concat!(
        "until = \"time-limit\"\n",
        "network = { transport = \"ideal\", jitter = \"2 ms\", hash-rate = \"unlimited\" }\n",
        "tracker = { interval = \"10 s\", max-peers = 7, returns = \"seeds\", latency = \"3 ms\" }\n",
        "groups.leechers.down = \"unlimited\"\ngroups.leechers.slots = 9\ngroups.leechers.connections = 8\n",
        "groups.leechers.reachable = 0.5\ngroups.leechers.start-with = \"25 %\"\n",
        "groups.leechers.pipeline = 6\ngroups.leechers.abort-rate = \"6 /min\"\n",
        "groups.leechers.behaviour = \"liar\"\ngroups.leechers.picker = \"sequential\"\n",
        "groups.leechers.allowed-fast = 10\ngroups.leechers.pex = true\n",
        "groups.seeds.fast = false\ngroups.seeds.extended = false\n",
    ));
    assert_eq!((spec.until, spec.network.transport), (Until::TimeLimit, Transport::Ideal));
    assert_eq!((spec.network.jitter, spec.network.hash_rate), (SECOND / 500, None));
    // The least interval is at most the interval, also by default.
    assert_eq!((spec.tracker.min_interval, spec.tracker.max_peers), (10 * SECOND, 7));
    assert_eq!((spec.tracker.returns, spec.tracker.latency), (Returns::Seeds, SECOND * 3 / 1000));
    let group = &spec.groups[1];
    assert_eq!((group.down, group.slots, group.connections), (None, 9, 8));
    assert_eq!((group.reachable, group.start_with, group.abort_rate), (0.5, 0.25, 0.1));
    assert_eq!((group.pipeline, group.behaviour), (Pipeline::Fixed(6), Behaviour::Liar));
    assert_eq!(group.picker.name(), "sequential");
    assert_eq!((group.fast, group.allowed_fast, group.extended, group.pex), (true, 10, true, true));
    assert_eq!((spec.groups[0].fast, spec.groups[0].extended), (false, false));
}

#[test]
fn sweeps_cross_in_order_and_reach_several_groups() {
    let scenario = loaded(
        "variants.a.replicates = 2\nvariants.b.\"groups.seeds.up\" = \"3 B/s\"\n\
         sweep.groups.leechers.count = [1, 2]\nsweep.\"groups.*.slots\" = [3, 4]\n\
         sweep.\"groups.seeds,leechers.choker\" = [\"never\"]\n",
        &[],
    );
    let axes = ["variant", "groups.leechers.count", "groups.*.slots", "groups.seeds,leechers.choker"];
    assert_eq!(scenario.axes(), axes);
    let values: Vec<_> = scenario.points().iter().map(|point| point.values.join(" ")).collect();
    let expected = ["a 1 3", "a 1 4", "a 2 3", "a 2 4", "b 1 3", "b 1 4", "b 2 3", "b 2 4"];
    assert_eq!(values, expected.map(|value| format!("{value} never")));
    assert_eq!(scenario.runs(), 4 * 2 + 4 * 4);
    let last = &scenario.points()[7].spec.groups;
    assert_eq!((last[0].slots, last[1].slots, last[1].count, last[0].up), (4, 4, 2, 3));
    assert_eq!((last[0].choker.name(), last[1].choker.name()), ("never", "never"));
    assert_eq!(scenario.points()[0].spec.groups[0].up, 1_000_000);
}

#[test]
fn overrides_come_before_the_sweep() {
    let file = "sweep.\"groups.leechers.count\" = [1, 2]\nvariants.a.\"tracker.interval\" = \"5 min\"\n";
    let with = |sets: &[(&str, &str)]| loaded(file, sets);
    // A string without quotes, a number, a table; a section that the file does not have.
    let scenario = with(&[
        ("groups.seeds.up", "8 Mbit/s"),
        ("groups.*.slots", "7"),
        ("groups.leechers.leave", "{ after = \"1 s\" }"),
        ("network.latency", "planetlab"),
        ("seed", "9"),
        ("replicates", "1"),
    ]);
    let spec = &scenario.points()[0].spec;
    assert_eq!((spec.groups[0].up, spec.groups[1].slots), (1_000_000, 7));
    assert_eq!(spec.groups[1].leave, Leave::After(SECOND));
    assert!(matches!(spec.network.latency, Latency::Quantiles(_)));
    assert_eq!((scenario.seed(), scenario.runs()), (9, 2));
    // A swept key takes the value instead of the list; so does the sweep itself.
    assert_eq!(with(&[("groups.leechers.count", "5")]).points()[0].values, ["a", "5"]);
    assert_eq!(with(&[("groups.leechers.count", "[5, 6, 7]")]).points().len(), 3);
    assert_eq!(with(&[("sweep.groups.seeds.count", "[5, 6, 7]")]).points().len(), 6);
    assert_eq!(with(&[("sweep", "{}"), ("variants", "{}")]).axes(), [""; 0]);
    let variant = with(&[("variants.a.tracker.interval", "1 s"), ("variants.a.replicates", "1")]);
    assert_eq!((variant.points()[0].spec.tracker.interval, variant.runs()), (SECOND, 2));
}

#[test]
fn charts_and_question() {
    let scenario = loaded(
        "charts = [\"speed\", { speed = { x = \"groups.leechers.count\", log-x = true, bound = true } }, \
         \"population\"]\nsweep.\"groups.leechers.count\" = [1, 2]\n",
        &[],
    );
    let plain = Chart::Speed { x: String::new(), log_x: false, log_y: false, bound: false };
    let full = Chart::Speed { x: "groups.leechers.count".into(), log_x: true, log_y: false, bound: true };
    assert_eq!(scenario.charts(), [plain, full, Chart::Population]);

    let text = format!("# How fast\n# is it?\n#\n# And why?\n\n# Not this.\n{BASE}");
    let scenario = Scenario::parse("x/how.toml", &text, &folder(), &[]).unwrap();
    assert_eq!((scenario.question(), scenario.name()), ("How fast is it?\nAnd why?", "how"));
    assert_eq!(scenario.source(), text);
}

#[test]
fn a_program_can_add_policies() {
    #[derive(Debug)]
    struct Mine;
    impl ChokerFactory for Mine {
        fn name(&self) -> &str {
            "mine"
        }
        fn build(&self) -> Box<dyn Choker> {
            unreachable!("nothing is run here")
        }
    }
    let registry = Registry::new().with_choker(Arc::new(Mine));
    let text = format!("{BASE}groups.leechers.choker = \"mine\"\n");
    let scenario = Scenario::parse_with("mine.toml", &text, &folder(), &[], &registry).unwrap();
    assert_eq!(scenario.points()[0].spec.groups[1].choker.name(), "mine");
    let error = load("groups.leechers.choker = \"mine\"\n", &[]).unwrap_err();
    assert_eq!(error.message, "there is no choker `mine`");
}
