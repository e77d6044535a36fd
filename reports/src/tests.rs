//! Files, tables and comparisons from small records whose every number is known.

use std::fs;

use record::{End, Record};

use super::*;
use crate::compare::{Method, compare};
use crate::facts::Measure;
use crate::testing::{group, peer, run, sample, sweep};

/// Two replicates at one point: one seed, two leechers, of which the second run's last never completes.
fn small() -> Record {
    let mut runs = Vec::new();
    for (replicate, last) in [(0u32, Some(25.0)), (1, None)] {
        let mut run = run(vec![group("seeds", true, 1, 100), group("leechers", false, 2, 50)], 30.0);
        run.point = vec!["4 KiB".to_owned()];
        (run.replicate, run.seed) = (replicate, format!("1844674407370955161{replicate}"));
        run.bound = Some(12.5);
        run.end = if last.is_some() { End::Done } else { End::Stuck };
        run.peers = vec![peer(0, 0.0, None), peer(1, 0.0, Some(20.0)), peer(1, 5.0, last)];
        run.peers[0].uploaded = 1500;
        run.peers[1].uploaded = 500;
        run.peers[1].downloaded = 1000;
        run.peers[1].left = Some(20.0);
        run.peers[2].downloaded = 1000;
        run.series = vec![sample(0.0, 0), sample(10.0, 500)];
        runs.push(run);
    }
    testing::record(&["piece, length"], runs)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn peers_as_csv() {
    insta::assert_snapshot!(text(csv::peers(&small()).expect("CSV")), @r#"
    "piece, length",replicate,seed,group,starts_with_content,behaviour,choker,picker,peer,arrived_s,completed_s,left_s,download_time_s,uploaded_bytes,downloaded_bytes,wasted_bytes,pieces,content_bytes,uploaded_per_content
    4 KiB,0,18446744073709551610,seeds,true,honest,tit-for-tat,rarest-first,0,0,,,,1500,0,0,0,1000,1.5
    4 KiB,0,18446744073709551610,leechers,false,honest,tit-for-tat,rarest-first,0,0,20,20,20,500,1000,0,0,1000,0.5
    4 KiB,0,18446744073709551610,leechers,false,honest,tit-for-tat,rarest-first,1,5,25,,20,0,1000,0,0,1000,0
    4 KiB,1,18446744073709551611,seeds,true,honest,tit-for-tat,rarest-first,0,0,,,,1500,0,0,0,1000,1.5
    4 KiB,1,18446744073709551611,leechers,false,honest,tit-for-tat,rarest-first,0,0,20,20,20,500,1000,0,0,1000,0.5
    4 KiB,1,18446744073709551611,leechers,false,honest,tit-for-tat,rarest-first,1,5,,,,0,1000,0,0,1000,0
    "#);
}

#[test]
fn series_as_csv() {
    insta::assert_snapshot!(text(csv::series(&small()).expect("CSV")), @r#"
    "piece, length",replicate,seed,time_s,leechers,seeds,completed,downloaded_bytes,uploaded_bytes,uplink_bytes_per_s,rarest_copies,mean_copies,throughput_bytes_per_s,uplink_utilisation
    4 KiB,0,18446744073709551610,0,0,0,0,0,0,0,0,0,,
    4 KiB,0,18446744073709551610,10,0,0,0,500,500,0,0,0,50,0.2857142857142857
    4 KiB,1,18446744073709551611,0,0,0,0,0,0,0,0,0,,
    4 KiB,1,18446744073709551611,10,0,0,0,500,500,0,0,0,50,0.2857142857142857
    "#);
}

#[test]
fn runs_as_csv() {
    insta::assert_snapshot!(text(csv::runs(&small()).expect("CSV")), @r#"
    "piece, length",replicate,seed,end,ended_at_s,content_bytes,digest,group,peers,completed,median_download_time_s,p95_download_time_s,mean_speed_bytes_per_s,share_ratio,uploaded_per_content,uplink_utilisation,last_completion_s,bound_s,last_completion_over_bound
    4 KiB,0,18446744073709551610,done,30,1000,00,*,2,2,20,20,50,0.25,0.25,0.2222222222222222,25,12.5,
    4 KiB,0,18446744073709551610,done,30,1000,00,seeds,1,,,,,,1.5,0.5,,,
    4 KiB,0,18446744073709551610,done,30,1000,00,leechers,2,2,20,20,50,0.25,0.25,0.2222222222222222,25,,
    4 KiB,1,18446744073709551611,stuck,30,1000,00,*,2,1,20,20,50,0.25,0.25,0.2222222222222222,,12.5,
    4 KiB,1,18446744073709551611,stuck,30,1000,00,seeds,1,,,,,,1.5,0.5,,,
    4 KiB,1,18446744073709551611,stuck,30,1000,00,leechers,2,1,20,20,50,0.25,0.25,0.2222222222222222,,,
    "#);
}

#[test]
fn summary_as_csv() {
    insta::assert_snapshot!(text(csv::summary(&small()).expect("CSV")), @r#"
    "piece, length",group,replicates,unfinished,peers,peers_ci95_low,peers_ci95_high,completed,completed_ci95_low,completed_ci95_high,median_download_time_s,median_download_time_s_ci95_low,median_download_time_s_ci95_high,p95_download_time_s,p95_download_time_s_ci95_low,p95_download_time_s_ci95_high,mean_speed_bytes_per_s,mean_speed_bytes_per_s_ci95_low,mean_speed_bytes_per_s_ci95_high,share_ratio,share_ratio_ci95_low,share_ratio_ci95_high,uploaded_per_content,uploaded_per_content_ci95_low,uploaded_per_content_ci95_high,uplink_utilisation,uplink_utilisation_ci95_low,uplink_utilisation_ci95_high,last_completion_s,last_completion_s_ci95_low,last_completion_s_ci95_high,bound_s,bound_s_ci95_low,bound_s_ci95_high,last_completion_over_bound,last_completion_over_bound_ci95_low,last_completion_over_bound_ci95_high
    4 KiB,*,2,1,2,2,2,1.5,-4.853102368,7.853102368,20,20,20,20,20,20,50,50,50,0.25,0.25,0.25,0.25,0.25,0.25,0.2222222222222222,0.2222222222222222,0.2222222222222222,25,,,12.5,12.5,12.5,,,
    4 KiB,seeds,2,1,1,1,1,,,,,,,,,,,,,,,,1.5,1.5,1.5,0.5,0.5,0.5,,,,,,,,,
    4 KiB,leechers,2,1,2,2,2,1.5,-4.853102368,7.853102368,20,20,20,20,20,20,50,50,50,0.25,0.25,0.25,0.25,0.25,0.25,0.2222222222222222,0.2222222222222222,0.2222222222222222,25,,,,,,,,
    "#);
}

#[test]
fn summary_as_table() {
    insta::assert_snapshot!(table::summary(&small()), @r#"
    flash-crowd · 2 runs · seed 1
    piece, length  completed     median  95 %       speed  share  uplink  seeds
                                    (s)   (s)     (bit/s)  ratio     (%)    (%)
    ────────────────────────────────────────────────────────────────────────────
    4 KiB           1.5 of 2  20.0 ±0.0  20.0  400.0 ±0.0   0.25      22     50

    Last completion, counted from the first arrival; no swarm can be below the bound (Kumar & Ross 2006)
    piece, length  runs  last  bound  last ÷ bound
                          (s)    (s)
    ───────────────────────────────────────────────
    4 KiB             2  25.0   12.5             –
    – leechers come over time, and the bound takes every one as there from the first arrival on
    ± half the 95 % confidence interval over replicates
    1 of 2 runs ended with leechers incomplete
    "#);
}

#[test]
fn the_bound_is_compared_where_all_come_at_once() {
    let mut record = small();
    record.runs.iter_mut().for_each(|run| run.peers[2].arrived = 0.0);
    let printed = table::summary(&record);
    assert!(printed.contains("12.5          2.00") && !printed.contains("come over time"), "{printed}");
}

/// A swarm of minutes beside a server of days: each time and speed in a unit of its own.
#[test]
fn far_values_have_their_own_units() {
    let mut record = sweep(&[10, 1000], &["swarm"], 2);
    for run in record.runs.iter_mut().filter(|run| run.point[0] == "1000") {
        run.peers.iter_mut().for_each(|peer| peer.completed = peer.completed.map(|time| time * 40.0));
        run.groups.truncate(2);
        run.peers.retain(|peer| peer.group < 2);
    }
    for run in record.runs.iter_mut().filter(|run| run.point[0] == "10") {
        run.groups.truncate(2);
        run.peers.retain(|peer| peer.group < 2);
    }
    record.axes[0] = "groups.cable.count".to_owned();
    let text = table::summary(&record);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("all ")).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert!(rows[0].starts_with("10 ") && rows[0].contains(" s ") && rows[0].contains("Mbit/s"), "{text}");
    assert!(rows[1].starts_with("1,000 ") && rows[1].contains(" h ") && rows[1].contains("kbit/s"), "{text}");
    assert!(text.contains("\nleechers  "), "{text}");
}

#[test]
fn tables_fit_a_terminal() {
    for line in table::summary(&sweep(&[10, 100], &["swarm", "client-server"], 3)).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn an_axis_may_be_called_like_a_column() {
    let mut record = small();
    record.axes = vec!["seed".to_owned()];
    let header = text(csv::peers(&record).expect("CSV"));
    assert!(header.starts_with("point.seed,replicate,seed,group,"), "{header}");
}

#[test]
fn pairs_by_seed() {
    let first = sweep(&[10], &["swarm"], 4);
    let mut second = first.clone();
    for (nth, run) in second.runs.iter_mut().enumerate() {
        run.content += 1_048_576 * (100 + nth as u64);
    }
    let found = compare(&first, &second);
    assert_eq!(found.notes, Vec::<String>::new());
    let speed = found.differences.iter().find(|row| row.group == "*" && row.measure == Measure::Speed);
    let speed = speed.expect("a row");
    assert_eq!((speed.method, speed.difference.n), (Method::Paired, 4));
    assert!(speed.difference.excludes_zero() && speed.b > 2.0 * speed.a, "{speed:?}");
    let same = compare(&first, &first);
    assert!(
        same.differences.iter().all(|row| row.difference.mean == 0.0 && row.difference.half == Some(0.0))
    );
    let printed = found.to_string();
    assert!(printed.contains("mean speed (Mbit/s)") && printed.contains("(all)"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
}

#[test]
fn says_what_it_cannot_compare() {
    let first = sweep(&[10, 30], &["swarm"], 3);
    let mut second = sweep(&[10, 100], &["swarm"], 3);
    second.runs.iter_mut().for_each(|run| run.groups[2].name = "fibre".to_owned());
    second.runs[0].seed = "5".to_owned();
    let found = compare(&first, &second);
    insta::assert_snapshot!(found.notes.join("\n"), @r#"
    group dsl of point 10, swarm is only in the first record
    group fibre of point 10, swarm is only in the second record
    the seeds of point 10, swarm differ: its runs are compared as independent samples
    point 30, swarm is only in the first record
    point 100, swarm is only in the second record
    "#);
    assert!(found.differences.iter().all(|row| row.method == Method::Welch));
}

#[test]
fn writes_everything_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let into = dir.path().join("out/of/nothing");
    let record = small();
    let paths = write(&record, &into).expect("files");
    let names: Vec<String> =
        paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    insta::assert_snapshot!(names.join(" "), @r#"
    peers.csv series.csv runs.csv summary.csv speed.svg speed.png speed-2.svg speed-2.png completion.svg completion.png share-ratio.svg share-ratio.png speed-by-group.svg speed-by-group.png throughput.svg throughput.png availability.svg availability.png population.svg population.png
    "#);
    let mut there: Vec<String> = fs::read_dir(&into)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    let mut expected = names.clone();
    expected.sort();
    assert_eq!(there, expected);
    let bytes = |path: &PathBuf| fs::read(path).expect("a file");
    let before: Vec<Vec<u8>> = paths.iter().map(bytes).collect();
    let again = write(&record, &into).expect("files");
    assert_eq!(again.iter().map(bytes).collect::<Vec<_>>(), before);
}

#[test]
fn an_error_names_the_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("a-file");
    fs::write(&file, "").expect("a file");
    let error = write(&small(), &file).expect_err("no folder");
    assert!(error.to_string().contains("a-file"), "{error}");
}
