//! Faults do what they say, to those whom they befall and at their time; and a run with faults is as repeatable as any.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::peer::{Input, Output};
use engine::wire::Message;
use engine::{Bitfield, Instant};
use simulator::faults::{Fault, What};
use simulator::spec::{Group, Spec, Transport, Until};
use simulator::{Onlooker, Options, Seam, Stack, members, run_watched};

use crate::common::{run_on, spec};

const SEC: Duration = Duration::from_secs(1);
/// The group of leechers.
const LEECHERS: usize = 1;

/// A fault of all leechers.
fn fault(what: What, from: u64, to: u64) -> Fault {
    let (from, to) = (SEC * from as u32, SEC * to as u32);
    Fault { name: "one".into(), what, groups: vec![LEECHERS], share: 1.0, from, to }
}

/// A seed and six leechers, who need some half a minute.
fn swarm(faults: Vec<Fault>) -> Spec {
    let groups = vec![
        Group::seeds("seed", 1, 250_000, None),
        Group::leechers("leechers", 6, 150_000, Some(1_000_000)),
    ];
    Spec {
        faults,
        time_limit: 900 * SEC,
        until: Until::TimeLimit,
        sample_every: 10 * SEC,
        ..spec(3 << 20, 25, Transport::TCP, groups)
    }
}

/// What happened, to whom, and when in seconds.
type Seen = Vec<(usize, f64, Happened)>;

/// An event as these tests need it.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    Began(u32),
    Ended,
    Told(String),
    Said(String),
    Block,
}

#[derive(Clone, Default)]
struct Eyes(Arc<Mutex<Seen>>);

impl Eyes {
    fn see(&self, peer: usize, now: Instant, what: Happened) {
        self.0.lock().unwrap().push((peer, now.as_nanos() as f64 / 1e9, what));
    }
}

impl Onlooker for Eyes {
    fn began(&mut self, peer: usize, now: Instant, have: &Bitfield) {
        self.see(peer, now, Happened::Began(have.count()));
    }

    fn seam(&mut self, peer: usize, now: Instant, seam: Seam<'_>) {
        let what = match seam {
            Seam::Input(Input::Message { message: Message::Piece { .. }, .. }) => Happened::Block,
            Seam::Input(Input::BlockRead { data, .. }) => Happened::Told(format!("read {}", data.is_some())),
            Seam::Input(Input::PieceVerified { ok, .. }) => Happened::Told(format!("verified {ok}")),
            Seam::Input(Input::Announced(reply)) => Happened::Told(format!("tracker {}", reply.is_ok())),
            Seam::Input(Input::Connected { outgoing: true, .. }) => Happened::Told("connected".into()),
            Seam::Input(Input::Closed { .. }) => Happened::Told("closed".into()),
            Seam::Input(Input::Stop) => Happened::Told("stop".into()),
            Seam::Output(Output::Connect { .. }) => Happened::Said("connect".into()),
            Seam::Output(Output::ReadBlock { .. }) => Happened::Said("read".into()),
            _ => return,
        };
        self.see(peer, now, what);
    }

    fn ended(&mut self, peer: usize, now: Instant) {
        self.see(peer, now, Happened::Ended);
    }
}

fn watched(faults: Vec<Fault>) -> (record::Run, Seen) {
    let (spec, eyes) = (Arc::new(swarm(faults)), Eyes::default());
    let options = Options { stack: Stack::Message, checks: true, ..Options::default() };
    let run = run_watched(&spec, 3, options, Box::new(eyes.clone()), |_| true).unwrap();
    let seen = std::mem::take(&mut *eyes.0.lock().unwrap());
    (run, seen)
}

/// How often leechers were told, or said, this.
fn count(seen: &Seen, what: &Happened) -> usize {
    seen.iter().filter(|(peer, _, of)| *peer > 0 && of == what).count()
}

fn told(what: &str) -> Happened {
    Happened::Told(what.to_owned())
}

fn all_complete(run: &record::Run) {
    let missing = run.peers.iter().filter(|peer| peer.pieces < run.pieces).count();
    assert_eq!(missing, 0, "peers that are not complete");
}

#[test]
fn one_digest_on_both_stacks_under_every_fault() {
    let calm = run_on(&swarm(Vec::new()), 3, Stack::Message).digest;
    let restart = |crash| What::Restart { down: 5 * SEC, keep: 0.5, crash };
    let faults = [
        What::Partition,
        What::TrackerOutage,
        What::Delay(SEC / 5),
        What::LostConnections(0.1),
        What::DoubleConnections(0.5),
        What::SlowDisk(SEC / 50),
        What::ReadErrors(0.1),
        What::HashFailures(0.1),
        restart(false),
        restart(true),
    ];
    for what in faults {
        let spec = swarm(vec![fault(what, 0, 20)]);
        let [message, wire] = [Stack::Message, Stack::Wire].map(|stack| run_on(&spec, 3, stack));
        assert_eq!(message.digest, wire.digest, "{what:?}");
        assert_eq!(message.counters, wire.counters, "{what:?}");
        assert_ne!(message.digest, calm, "{what:?} changes something");
        if !matches!(what, What::HashFailures(_)) {
            all_complete(&message);
        }
    }
}

#[test]
fn a_fault_that_befalls_nobody_changes_nothing() {
    let calm = run_on(&swarm(Vec::new()), 3, Stack::Message);
    let nobody = Fault { share: 0.0, ..fault(What::LostConnections(1.0), 0, 600) };
    let later = fault(What::Partition, 800, 850);
    let run = run_on(&swarm(vec![nobody, later]), 3, Stack::Message);
    // What comes after the last message is the keep-alives'.
    assert_eq!(run.peers, calm.peers);
    let share = Fault { share: 0.5, ..fault(What::Partition, 0, 10) };
    let befallen = members(&Arc::new(swarm(vec![share])), 3).unwrap();
    let befallen: Vec<usize> = befallen.iter().map(|member| member.faults.len()).collect();
    assert_eq!(befallen[0], 0, "not of the group");
    assert!((1..6).contains(&befallen.iter().sum::<usize>()), "{befallen:?}");
}

#[test]
fn a_partition_lets_nothing_pass_and_loses_nothing() {
    // Three of the leechers apart from all others: the seed is not among them.
    let apart = Fault { share: 0.5, ..fault(What::Partition, 5, 100) };
    let (run, seen) = watched(vec![apart.clone()]);
    all_complete(&run);
    let befallen = members(&Arc::new(swarm(vec![apart])), 3).unwrap();
    let alone: Vec<usize> = (0..7).filter(|peer| !befallen[*peer].faults.is_empty()).collect();
    let completed = |peer: &usize| run.peers[*peer].completed.unwrap();
    assert!(alone.iter().all(|peer| completed(peer) > 100.0), "the seed is beyond");
    assert!((1..7).filter(|peer| !alone.contains(peer)).all(|peer| completed(&peer) < 100.0));
    let before = seen.iter().filter(|(_, at, what)| *what == Happened::Block && *at < 5.0).count();
    assert!(before > 0, "it began in the middle of it");
}

#[test]
fn a_tracker_that_does_not_answer_is_given_up_after_a_while() {
    let (run, seen) = watched(vec![fault(What::TrackerOutage, 0, 60)]);
    all_complete(&run);
    assert!(count(&seen, &told("tracker false")) >= 6);
    let first = seen.iter().find(|(peer, _, what)| *peer > 0 && *what == told("tracker false")).unwrap().1;
    assert!((15.9..16.1).contains(&first), "asked at 1 s, given up 15 s later: {first}");
    let answered = seen.iter().find(|(peer, _, what)| *peer > 0 && *what == told("tracker true")).unwrap().1;
    assert!(answered > 60.0, "{answered}");
}

#[test]
fn connections_are_lost_as_often_as_is_said() {
    let (run, seen) = watched(vec![fault(What::LostConnections(0.1), 0, 20)]);
    all_complete(&run);
    // Six leechers for 19 s at one in ten seconds: eleven on average, and both ends are told.
    let closed =
        |seen: &Seen| seen.iter().filter(|(_, at, what)| *what == told("closed") && *at < 20.0).count();
    assert!((8..36).contains(&closed(&seen)), "{}", closed(&seen));
    assert_eq!(closed(&watched(Vec::new()).1), 0, "nobody closes one by himself so soon");
}

#[test]
fn a_dial_may_make_two_connections() {
    let (run, seen) = watched(vec![fault(What::DoubleConnections(1.0), 0, 900)]);
    all_complete(&run);
    let (dials, made) = (count(&seen, &Happened::Said("connect".into())), count(&seen, &told("connected")));
    // The last may be under way when the run ends.
    assert!(
        dials > 20 && (2 * dials - 10..=2 * dials).contains(&made),
        "{dials} dials made {made} connections"
    );
}

#[test]
fn a_slow_disk_reads_late_and_in_order() {
    let (run, seen) = watched(vec![fault(What::SlowDisk(SEC / 20), 0, 900)]);
    all_complete(&run);
    let asked = seen.iter().filter(|(peer, _, what)| *peer == 2 && *what == Happened::Said("read".into()));
    let asked: Vec<f64> = asked.map(|(_, at, _)| *at).collect();
    let read = seen.iter().filter(|(peer, _, what)| *peer == 2 && *what == told("read true"));
    let read: Vec<f64> = read.map(|(_, at, _)| *at).collect();
    assert!(read.len() > 20, "{}", read.len());
    assert!(read[0] - asked[0] > 0.0499, "{} s", read[0] - asked[0]);
    assert!(read.windows(2).all(|two| two[1] - two[0] > 0.0499), "one after the other");
}

#[test]
fn reads_and_hashes_fail_as_often_as_is_said() {
    let (run, seen) = watched(vec![fault(What::ReadErrors(0.25), 0, 900)]);
    all_complete(&run);
    let (bad, good) = (count(&seen, &told("read false")) as f64, count(&seen, &told("read true")) as f64);
    let share = bad / (bad + good);
    assert!(bad + good > 300.0 && (0.17..0.33).contains(&share), "{share} of {}", bad + good);
    let (_, seen) = watched(vec![fault(What::HashFailures(0.25), 0, 900)]);
    let (bad, good) = (count(&seen, &told("verified false")), count(&seen, &told("verified true")));
    assert!(bad >= 3 && good >= 10, "{bad} and {good}");
}

#[test]
fn who_restarts_has_what_was_kept() {
    for (keep, crash) in [(1.0, false), (0.0, true), (0.5, false)] {
        let (run, seen) = watched(vec![fault(What::Restart { down: 5 * SEC, keep, crash }, 10, 30)]);
        all_complete(&run);
        for peer in 1..7 {
            let of: Vec<&(usize, f64, Happened)> = seen.iter().filter(|event| event.0 == peer).collect();
            let began: Vec<(f64, u32)> = of
                .iter()
                .filter_map(
                    |(_, at, what)| if let Happened::Began(have) = what { Some((*at, *have)) } else { None },
                )
                .collect();
            let ended = of.iter().find(|event| event.2 == Happened::Ended).unwrap().1;
            assert_eq!(began.len(), 2, "it restarts once");
            assert!((10.0..30.0).contains(&ended) && (began[1].0 - ended - 5.0).abs() < 1e-6);
            let had = of.iter().filter(|event| event.2 == told("verified true") && event.1 < ended).count();
            let (least, most) = if keep == 0.5 {
                (0, had)
            } else {
                ((had as f64 * keep) as usize, (had as f64 * keep) as usize)
            };
            assert!((least..=most).contains(&(began[1].1 as usize)), "{} of {had} kept", began[1].1);
            assert_eq!(of.iter().any(|event| event.2 == told("stop")), !crash);
        }
        // All lives count.
        let downloaded: u64 = run.peers.iter().map(|peer| peer.downloaded).sum();
        assert_eq!(downloaded, run.counters["payload_received_bytes"]);
        assert!(keep == 1.0 || downloaded > 6 * run.content, "what was lost was got again");
    }
}
