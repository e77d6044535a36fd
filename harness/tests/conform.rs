//! The suite of conformance: its cases, what it makes of targets that do well and badly, its forms.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::wire::encode;
use engine::{Message, RawBlock};
use harness::conform::arm::memory::Memory;
use harness::conform::arm::socket::Terms;
use harness::conform::arm::{Answer, Arm, Asked, Death, Heard, Link, NotHere};
use harness::conform::case::{Case, Reaction, Requirement, Role, Verdict};
use harness::conform::subject::Subject;
use harness::conform::suite::{self, Made, Report, Target};
use harness::conform::{cases, report, run};
use harness::launch::{Client, Net};

fn terms() -> Terms {
    Terms { patience: Duration::from_secs(1), limit: Duration::from_secs(30), net: Net::loopback() }
}

fn engine() -> Report {
    let target = Target::Memory;
    let mut report = target.report(None);
    suite::run(&target, &cases::all(), 2, &terms(), &AtomicBool::new(false), |result| report.take(result));
    report
}

fn case(id: &str) -> Case {
    cases::all().into_iter().find(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"))
}

#[test]
fn ids_are_unique_and_every_area_is_covered() {
    let all = cases::all();
    let ids: BTreeSet<&str> = all.iter().map(|case| case.id).collect();
    assert_eq!(ids.len(), all.len());
    assert!(all.len() >= 120, "{}", all.len());
    for case in &all {
        let parts = case.id.split('/').count();
        let plain =
            case.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "/-.".contains(c));
        assert!((2..=3).contains(&parts) && plain, "{}", case.id);
        assert!(!case.description.is_empty() && !case.section.is_empty(), "{}", case.id);
    }
    let areas: BTreeSet<&str> = all.iter().map(Case::area).collect();
    let due = [
        "bencode", "bep10", "bep11", "bep12", "bep15", "bep21", "bep27", "bep3", "bep52", "bep54", "bep6",
        "bep9", "metainfo", "tracker",
    ];
    assert_eq!(areas.into_iter().collect::<Vec<_>>(), due);
}

#[test]
fn the_engine_keeps_every_must_and_every_should() {
    let report = engine();
    let odd = report
        .results
        .iter()
        .filter(|result| !matches!(result.verdict, Verdict::Pass | Verdict::Info | Verdict::Skip));
    let odd: Vec<String> = odd.map(report::line).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    // What it skips it has no use for: HTTP, extensions that it does not speak.
    assert!(report.count(Verdict::Skip) <= 15, "{}", report.summary());
}

#[test]
fn in_memory_a_run_is_the_same_each_time() {
    let [a, b] = [engine(), engine()].map(|report| report::json(&[report]).unwrap());
    assert!(a == b);
}

/// How a target that is no client behaves.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    /// It takes no connection.
    Deaf,
    /// It takes connections and says nothing.
    Mute,
    /// It sends back what it is sent.
    Echo,
    /// It has ended.
    Dead,
    /// It shakes hands, and then talks without end and without a pause.
    Loud,
}

struct Fake {
    bad: Bad,
    now: Duration,
    subject: Subject,
    links: Vec<Vec<u8>>,
}

impl Fake {
    fn new(bad: Bad) -> Self {
        let subject = Subject::new(&[vec!["http://nowhere/announce".to_owned()]], false).unwrap();
        Self { bad, now: Duration::ZERO, subject, links: Vec::new() }
    }
}

impl Arm for Fake {
    fn now(&self) -> Duration {
        self.now
    }
    fn subject(&self) -> &Subject {
        &self.subject
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }
    fn sleep(&mut self, time: Duration) {
        self.now += time;
    }
    fn fresh(&mut self) -> Ipv4Addr {
        Ipv4Addr::LOCALHOST
    }
    fn dial(&mut self, _: Ipv4Addr) -> Option<Link> {
        self.links.push(Vec::new());
        (self.bad != Bad::Deaf).then(|| self.links.len() - 1)
    }
    fn accept(&mut self, _: usize, within: Duration) -> Option<Link> {
        self.now += within;
        None
    }
    fn ours(&self) -> Vec<SocketAddr> {
        Vec::new()
    }
    fn send(&mut self, link: Link, bytes: &[u8]) -> bool {
        self.links[link].extend_from_slice(bytes);
        true
    }
    fn hear(&mut self, link: Link, within: Duration) -> Heard {
        let said = std::mem::take(&mut self.links[link]);
        match self.bad {
            Bad::Echo if !said.is_empty() => return Heard::Bytes(said),
            Bad::Loud if said.starts_with(b"\x13BitTorrent") => return Heard::Bytes(said[..68].to_vec()),
            Bad::Loud => return Heard::Bytes([0, 0, 0, 5, 4, 0, 0, 0, 1].repeat(4096)),
            _ => {}
        }
        self.now += within;
        Heard::Nothing
    }
    fn close(&mut self, _: Link) {}
    fn asked(&mut self, within: Duration) -> Option<Asked> {
        self.now += within;
        None
    }
    fn answer(&mut self, _: usize, _: Answer) -> Result<(), NotHere> {
        Ok(())
    }
    fn stop(&mut self) -> Result<(), NotHere> {
        Ok(())
    }
    fn death(&mut self) -> Option<Death> {
        (self.bad == Bad::Dead).then(|| Death { orderly: false, text: "was ended by signal 11".to_owned() })
    }
    fn strays(&mut self) -> Vec<String> {
        vec!["stray.bin".to_owned()]
    }
}

/// No case passes that says something was done, and none hangs over a target that does nothing.
#[test]
fn no_target_that_is_no_client_passes() {
    for bad in [Bad::Deaf, Bad::Mute, Bad::Echo, Bad::Dead] {
        let mut good = Vec::new();
        for case in cases::all() {
            // A mirror shakes hands, and is interested in nothing: as a leech it may pass for one that lies low.
            if bad == Bad::Echo && !matches!(case.setup.role, Role::Seed) {
                continue;
            }
            let result = run::run(&case, &mut Fake::new(bad));
            let refusals = case.id.starts_with("bencode/") || case.id.starts_with("metainfo/");
            if matches!(result.verdict, Verdict::Pass | Verdict::Info) && !refusals {
                good.push(case.id);
            }
        }
        // Who does nothing also does nothing wrong where that is all that is asked; a tracker is never asked.
        let only =
            ["tracker/announce/", "tracker/reply/", "tracker/interval/", "tracker/http/", "bep12/", "bep15/"];
        good.retain(|id| !only.iter().any(|start| id.starts_with(start)));
        assert!(good.is_empty(), "{good:?}");
    }
    let crash = run::run(&case("bep3/request/block"), &mut Fake::new(Bad::Dead));
    assert_eq!((crash.verdict, crash.note.as_str()), (Verdict::Crash, "was ended by signal 11"));
    assert!(crash.verdict.is_failure(Requirement::May));
}

/// The engine in memory, behind somebody who spoils what passes.
struct Spoilt {
    how: How,
    arm: Memory,
    /// Bytes that were heard on each connection.
    heard: BTreeMap<Link, usize>,
}

/// What is spoilt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// It seems never to close, and to say nothing after what it would have closed for.
    StaysOpen,
    /// It closes all connections after the handshakes.
    HangsUp,
    /// Each byte after the handshakes is another.
    Garbled,
    /// Each byte far behind the handshakes is another: blocks and metadata.
    Corrupt,
    /// What it says after the handshakes comes twice.
    Doubled,
    /// Nothing that it says after the handshakes comes.
    Muted,
    /// The tracker is never asked.
    Untold,
    /// The tracker is asked everything twice, the first time over.
    Impatient,
    /// It says first of all that it is unchoked, interested, and asks for something, and answers with a block.
    Eager,
}

impl Arm for Spoilt {
    fn now(&self) -> Duration {
        self.arm.now()
    }
    fn subject(&self) -> &Subject {
        self.arm.subject()
    }
    fn patience(&self) -> Duration {
        self.arm.patience()
    }
    fn sleep(&mut self, time: Duration) {
        self.arm.sleep(time);
    }
    fn fresh(&mut self) -> Ipv4Addr {
        self.arm.fresh()
    }
    fn dial(&mut self, from: Ipv4Addr) -> Option<Link> {
        self.arm.dial(from)
    }
    fn accept(&mut self, at: usize, within: Duration) -> Option<Link> {
        self.arm.accept(at, within)
    }
    fn ours(&self) -> Vec<SocketAddr> {
        self.arm.ours()
    }
    fn send(&mut self, link: Link, bytes: &[u8]) -> bool {
        self.arm.send(link, bytes)
    }
    fn hear(&mut self, link: Link, within: Duration) -> Heard {
        const HANDSHAKE: usize = 68;
        let mut bytes = match self.arm.hear(link, within) {
            Heard::Bytes(bytes) => bytes,
            Heard::Closed if self.how == How::StaysOpen => {
                self.arm.sleep(within);
                return Heard::Nothing;
            }
            other => return other,
        };
        let before = self.heard.entry(link).or_default();
        let from = *before;
        *before += bytes.len();
        let rest = HANDSHAKE.saturating_sub(from).min(bytes.len());
        match self.how {
            How::HangsUp if rest == 0 => return Heard::Closed,
            How::HangsUp | How::Muted => bytes.truncate(rest),
            How::Garbled => bytes[rest..].iter_mut().for_each(|byte| *byte ^= 1),
            How::Corrupt => {
                let most = bytes.len();
                bytes[2000_usize.saturating_sub(from).min(most)..].iter_mut().for_each(|byte| *byte ^= 0x10);
            }
            How::Doubled => bytes.extend_from_within(rest..),
            How::Eager if from < HANDSHAKE && from + bytes.len() >= HANDSHAKE => {
                let block = RawBlock { piece: 9, begin: 1, length: 40_000 };
                let data = vec![1; 16].into();
                let mut early = Vec::new();
                for message in [
                    Message::Have(3),
                    Message::Interested,
                    Message::Unchoke,
                    Message::Request(block),
                    Message::Port(1),
                    Message::AllowedFast(1),
                    Message::Piece { piece: 0, begin: 0, data },
                    Message::Extended {
                        id: 0,
                        payload: b"d1:md1:ai3e1:bi3ee11:upload_onlyi1e6:yourip4:abcde".to_vec().into(),
                    },
                ] {
                    encode(&message, &mut early);
                }
                bytes.splice(rest..rest, early);
            }
            _ => {}
        }
        if bytes.is_empty() { Heard::Nothing } else { Heard::Bytes(bytes) }
    }
    fn close(&mut self, link: Link) {
        self.arm.close(link);
    }
    fn asked(&mut self, within: Duration) -> Option<Asked> {
        match self.how {
            How::Untold => {
                self.arm.sleep(within);
                None
            }
            _ => self.arm.asked(within),
        }
    }
    fn answer(&mut self, ticket: usize, answer: Answer) -> Result<(), NotHere> {
        match self.how {
            // As if the answer had not come: it asks again.
            How::Impatient => self.arm.answer(ticket, Answer::Body(b"no".to_vec())),
            _ => self.arm.answer(ticket, answer),
        }
    }
    fn stop(&mut self) -> Result<(), NotHere> {
        self.arm.stop()
    }
    fn death(&mut self) -> Option<Death> {
        None
    }
    fn strays(&mut self) -> Vec<String> {
        vec!["stray.bin".to_owned()]
    }
}

/// Whatever is found wrong, the note says what was expected and what was seen, in words.
#[test]
fn what_fails_is_told_with_what_was_expected_and_seen() {
    let (mut failed, mut odd) = (BTreeSet::new(), Vec::new());
    let mut judge = |case: &Case, result: run::Result, how: &str| {
        let note = &result.note;
        let binding = matches!(result.verdict, Verdict::Fail | Verdict::Warn);
        let told = match note.split_once("; seen: ") {
            Some((expected, seen)) => {
                expected.strip_prefix("expected: ").is_some_and(|text| !text.is_empty()) && !seen.is_empty()
            }
            None => false,
        };
        // What Rust would show of a value, and no word of ours.
        let code = ["Some(", "None", "RawBlock", "Ok(", "Err(", "{ "].iter().any(|text| note.contains(text));
        let stuck = matches!(result.verdict, Verdict::Stuck | Verdict::Hang | Verdict::Crash);
        if binding {
            failed.insert(case.id);
        }
        if binding && !told || code || stuck && note.is_empty() {
            odd.push(format!("{how}: {}", report::line(&result)));
        }
    };
    for how in [
        How::StaysOpen,
        How::HangsUp,
        How::Garbled,
        How::Corrupt,
        How::Doubled,
        How::Muted,
        How::Untold,
        How::Impatient,
        How::Eager,
    ] {
        for case in cases::all() {
            let arm = Memory::start(case.setup).unwrap();
            let mut spoilt = Spoilt { how, arm, heard: BTreeMap::new() };
            judge(&case, run::run(&case, &mut spoilt), &format!("{how:?}"));
        }
    }
    for bad in [Bad::Deaf, Bad::Mute, Bad::Echo] {
        for case in cases::all() {
            judge(&case, run::run(&case, &mut Fake::new(bad)), "fake");
        }
    }
    assert!(odd.is_empty(), "{} of {}: {odd:#?}", odd.len(), failed.len());
    // That is what this is about: many cases, in every way that there is to fail.
    assert!(failed.len() >= 80, "{}", failed.len());
}

#[test]
fn who_talks_without_end_is_not_kept_without_end() {
    let result = run::run(&case("bep3/request/block"), &mut Fake::new(Bad::Loud));
    assert_eq!(result.verdict, Verdict::Hang);
    assert!(result.note.contains("it says more than 64 MiB on a connection"), "{}", result.note);
}

#[test]
fn what_was_seen_is_told() {
    let mut arm = Memory::start(case("bep3/request/beyond-end").setup).unwrap();
    let result = run::run(&case("bep3/request/beyond-end"), &mut arm);
    assert_eq!((result.verdict, result.reaction), (Verdict::Pass, Some(Reaction::Closes)));
    let text = report::line(&result);
    assert_eq!(text, "pass   must    bep3/request/beyond-end: closes");
}

#[test]
fn every_form_has_every_case() {
    let mut report = engine();
    report.results.retain(|result| result.id.starts_with("bep6/"));
    report.results[0].verdict = Verdict::Fail;
    report.results[0].note = "a <b> & \"c\" | d".to_owned();
    assert!(!report.holds());
    let reports = [report];
    let forms = [report::markdown(&reports), report::html(&reports)];
    for result in &reports[0].results {
        for form in &forms {
            assert!(form.contains(&result.id), "{}", result.id);
        }
    }
    let junit = report::junit(&reports);
    assert_eq!(junit.matches("<testcase ").count(), reports[0].results.len());
    assert_eq!(junit.matches("<failure ").count(), 1);
    assert!(junit.contains("a &lt;b&gt; &amp; &quot;c&quot; | d"), "{junit}");
    let json = report::json(&reports).unwrap();
    let read: Vec<Report> = serde_json::from_str(&json).unwrap();
    assert_eq!(report::json(&read).unwrap(), json);
}

/// Sections whose cases are in several files stand once; each client has the days and options of its own runs.
#[test]
fn a_matrix_has_each_section_once_and_says_how_each_client_was_tested() {
    let made = |date: &str, options: &str| Made {
        date: date.to_owned(),
        by: "1.0".to_owned(),
        options: options.to_owned(),
    };
    let mut one = engine();
    one.made = vec![made("2026-01-02", "--jobs 1")];
    let mut later = Report { results: Vec::new(), ..one.clone() };
    later.made = vec![made("2026-03-04", "--jobs 1 --filter bep6")];
    one.renew(later.clone());
    let mut other = engine();
    other.client = "other".to_owned();
    other.made = vec![made("2026-05-06", "")];
    let reports = [one, other];
    let matrix = report::markdown(&reports);
    let due = "| engine 0.1.0 | 2026-01-02, 2026-03-04 | `--jobs 1`, `--jobs 1 --filter bep6` |";
    assert!(matrix.contains(due) && matrix.contains("| other 0.1.0 | 2026-05-06 |  |"), "{matrix}");
    for (text, mark) in [(matrix, "## "), (report::html(&reports), "<h2>")] {
        let headings: Vec<&str> = text.lines().filter(|line| line.starts_with(mark)).collect();
        let names: BTreeSet<&str> = headings.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert!(names.len() == headings.len() && names.len() > 30, "{headings:?}");
    }
}

#[test]
fn a_later_run_renews_the_cases_that_it_has() {
    let mut report = engine();
    let before = report.results.len();
    let mut later = report.clone();
    later.results.retain(|result| result.id == "bep3/request/block");
    later.results[0].verdict = Verdict::Fail;
    report.renew(later);
    assert_eq!((report.results.len(), report.count(Verdict::Fail)), (before, 1));
    let order: Vec<usize> = report.results.iter().map(|result| cases::place(&result.id)).collect();
    assert!(order.is_sorted());
}

#[test]
fn every_setup_file_that_ships_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("clients");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            names.push(Client::read(&path).unwrap_or_else(|error| panic!("{error}")).name);
        }
    }
    names.sort();
    assert_eq!(
        names,
        ["aria2", "libtorrent", "qbittorrent", "rtorrent", "swarmlab", "transmission", "webtorrent"]
    );
}

#[test]
fn a_setup_file_that_is_wrong_is_told_where() {
    let read = |text: &str| Client::parse(text, "/".into(), "x.toml").map_err(|error| error.to_string());
    let start = "name = \"x\"\n[start]\ncommand = [\"x\"]\n";
    assert!(read(start).is_ok());
    for (text, due) in [
        (format!("{start}comand = []\n"), "line 4"),
        (format!("{start}seed = [\"{{prot}}\"]\n"), "the placeholder {prot} is not known"),
        ("name = \"x\"\n[start]\ncommand = []\n".to_owned(), "start.command is empty"),
        (format!("{start}ready-seconds = -1\n"), "times are above 0"),
        (format!("{start}[cannot]\nfly = \"x\"\n"), "cannot.fly is not known"),
        (format!("{start}[files]\n\"../x\" = \"\"\n"), "is not below the client's folder"),
        ("name = \"x\"\n".to_owned(), "missing field `start`"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(due) && error.contains("x.toml"), "{error}");
    }
}

/// A client that is a shell script: what is started with it ends with it.
#[test]
fn what_a_client_has_started_ends_with_it() {
    let marker = format!("{}.5", 7000 + std::process::id());
    let text = format!(
        "name = \"shell\"\n[start]\nready-seconds = 1\ncommand = [\"sh\", \"-c\", \"sleep {marker} & sleep {marker}\"]\n"
    );
    let client = Client::parse(&text, "/".into(), "x.toml").unwrap();
    let result = Target::Client(Box::new(client)).run(&case("bep3/handshake/answered"), &terms());
    assert_eq!(result.verdict, Verdict::Stuck, "{}", result.note);
    let sleeps = || {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line) == format!("sleep\0{marker}\0")).count()
    };
    for _ in 0..100 {
        if sleeps() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} are left", sleeps());
}
