//! Runs of small scenarios: order, pairing, jobs, stopping and going on.

use std::path::Path;

use super::*;

const TEXT: &str = r#"
    content = { size = "1 MiB", piece = "64 KiB" }
    replicates = 2
    groups.seed = { role = "seed", up = "8 Mbit/s" }
    groups.leechers = { up = "2 Mbit/s", down = "20 Mbit/s" }
    sweep."groups.leechers.count" = [2, 5, 3]
"#;

fn scenario() -> Scenario {
    Scenario::parse("small.toml", TEXT, Path::new("."), &[]).unwrap()
}

fn go(settings: &Settings, earlier: Option<Record>) -> (Record, u32) {
    let started = AtomicUsize::new(0);
    let count = |update: Update<'_>| {
        if matches!(update, Update::Started(_)) {
            started.fetch_add(1, Ordering::Relaxed);
        }
    };
    let record = run_all(&scenario(), settings, earlier, &AtomicBool::new(false), count).unwrap();
    (record, started.into_inner() as u32)
}

#[test]
fn runs_are_in_order_and_points_are_paired_by_replicate() {
    let (record, started) = go(&Settings::default(), None);
    let places: Vec<(&str, u32)> =
        record.runs.iter().map(|run| (run.point[0].as_str(), run.replicate)).collect();
    assert_eq!(places, [("2", 0), ("2", 1), ("5", 0), ("5", 1), ("3", 0), ("3", 1)]);
    assert_eq!(started, 6);
    assert!(!record.partial);
    for run in &record.runs {
        assert_eq!(run.seed, run_seed(1, run.replicate).to_string());
        assert_eq!(run.digest.len(), 40);
    }
    assert_ne!(record.runs[0].digest, record.runs[1].digest);
}

#[test]
fn jobs_change_nothing() {
    let (one, _) = go(&Settings::default(), None);
    let (three, _) = go(&Settings { jobs: 3, ..Settings::default() }, None);
    assert_eq!(one, three);
}

#[test]
fn finished_runs_of_the_same_scenario_are_taken_again() {
    let (whole, _) = go(&Settings::default(), None);
    let mut part = whole.clone();
    part.partial = true;
    part.runs.retain(|run| run.point[0] != "5");
    let (resumed, started) = go(&Settings::default(), Some(part.clone()));
    assert_eq!((started, &resumed), (2, &whole));
    // More replicates: only the new ones are run.
    let more = ("replicates".to_owned(), "3".to_owned());
    let settings = Settings { overrides: vec!["replicates=3".to_owned()], ..Settings::default() };
    let scenario = Scenario::parse("small.toml", TEXT, Path::new("."), &[more]).unwrap();
    assert_eq!(differences(&whole, &scenario, &settings), [] as [&str; 0]);
    let extended = run_all(&scenario, &settings, Some(whole.clone()), &AtomicBool::new(false), |_| {});
    assert_eq!(extended.unwrap().runs.len(), 9);
    let other = Settings { overrides: vec!["content.size=2 MiB".to_owned()], ..Settings::default() };
    assert_eq!(differences(&whole, &scenario, &other), ["what --set says"]);
    // Another seed: all of them.
    let (_, started) = go(&Settings { seed: Some(9), ..Settings::default() }, Some(part.clone()));
    assert_eq!(started, 6);
    part.version = "0.0.1".to_owned();
    assert_eq!(go(&Settings::default(), Some(part)).1, 6);
}

/// Is given the record whenever it has changed.
struct Always(Mutex<Vec<Record>>);

impl Keep for Always {
    fn is_due(&self) -> bool {
        true
    }

    fn keep(&self, record: &Record) {
        lock(&self.0).push(record.clone());
    }
}

#[test]
fn what_is_kept_on_the_way_can_be_gone_on_from() {
    let (whole, _) = go(&Settings::default(), None);
    let kept = Always(Mutex::default());
    let record = run_all_keeping(
        &scenario(),
        &Settings { jobs: 2, ..Settings::default() },
        None,
        &AtomicBool::new(false),
        |_| {},
        &kept,
    );
    assert_eq!(record.unwrap(), whole);
    let kept = kept.0.into_inner().unwrap();
    assert!((1..=6).contains(&kept.len()), "{}", kept.len());
    for part in kept {
        assert_eq!(part.partial, part.runs.len() < 6);
        let left = 6 - part.runs.len() as u32;
        assert_eq!(go(&Settings::default(), Some(part)), (whole.clone(), left));
    }
}

#[test]
fn what_has_ended_is_kept_when_told_to_stop() {
    let cancel = AtomicBool::new(false);
    let stop_after_one = |update: Update<'_>| {
        if matches!(update, Update::Finished(..)) {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let record = run_all(&scenario(), &Settings::default(), None, &cancel, stop_after_one).unwrap();
    assert!(record.partial);
    // The largest goes first.
    let kept: Vec<_> = record.runs.iter().map(|run| (run.point[0].as_str(), run.replicate)).collect();
    assert_eq!(kept, [("5", 0)]);
}
