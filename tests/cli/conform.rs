//! `conform`: our own client over sockets, and the engine in memory.

use std::fs;
use std::path::Path;

use super::{call, fail, succeed};

fn setup(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name).display().to_string()
}

#[test]
fn the_client_keeps_to_the_protocol_over_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let filters = [
        "bep3/request",
        "bep3/leech/complete",
        "bep3/leech/corrupt",
        "bep3/have/each-piece",
        "bep6/reject",
        "bep9/link/complete",
        "bep10/ids",
        "bep15/announce",
        "bep12",
        "tracker/announce",
        "metainfo/path",
        "bencode/integer",
    ];
    let client = setup("swarmlab.toml");
    let mut args = vec![
        "conform",
        "--client",
        &client,
        "--jobs",
        "4",
        "--json",
        "results.json",
        "--junit",
        "results.xml",
    ];
    args.extend(filters.iter().flat_map(|filter| ["--filter", *filter]));
    let output = call(folder.path(), &args);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let results: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("results.json")).unwrap()).unwrap();
    let cases = results[0]["results"].as_array().unwrap();
    assert!(cases.len() > 60, "{}", cases.len());
    for case in cases {
        let verdict = case["verdict"].as_str().unwrap();
        assert!(["pass", "info", "skip"].contains(&verdict), "{case}");
    }
    assert_eq!(results[0]["version"], env!("CARGO_PKG_VERSION"));
    let junit = fs::read_to_string(folder.path().join("results.xml")).unwrap();
    assert_eq!(junit.matches("<testcase ").count(), cases.len());
    // What was written can be taken in again.
    succeed(
        folder.path(),
        &[
            "conform",
            "--merge",
            "results.json",
            "--markdown",
            "matrix.md",
            "--html",
            "matrix.html",
            "--quiet",
        ],
    );
    let matrix = fs::read_to_string(folder.path().join("matrix.md")).unwrap();
    assert!(matrix.contains("| swarmlab 0.1.0 |") && matrix.contains("`bep3/request/block`"), "{matrix}");
    let made = &results[0]["made"][0];
    let (date, options) = (made["date"].as_str().unwrap(), made["options"].as_str().unwrap());
    assert!(
        options.starts_with("--timeout '90 s' --patience '1.5 s' --jobs 4 --filter bep3/request"),
        "{options}"
    );
    assert!(matrix.contains(&format!("| swarmlab 0.1.0 | {date} | `{options}` |")), "{matrix}");
    let headings: Vec<&str> = matrix.lines().filter(|line| line.starts_with("## ")).collect();
    let names: std::collections::BTreeSet<&str> =
        headings.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert!(names.len() == headings.len() && headings.len() > 8, "{headings:?}");
}

#[test]
fn the_engine_is_tested_in_memory_and_cases_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["conform", "--engine", "--filter", "bep6"]);
    assert!(printed.starts_with("engine 0.1.0\n"), "{printed}");
    assert!(printed.contains("\npass   should  bep6/reject/choked: rejects\n"), "{printed}");
    let one = succeed(folder.path(), &["conform", "--engine", "--filter", "bep6/reject/choked", "--quiet"]);
    assert_eq!(one, "engine 0.1.0: 1 case, 1 binding: 1 passed\n");
    let list = succeed(folder.path(), &["conform", "--list"]);
    assert!(list.lines().count() >= 120);
    let some = succeed(folder.path(), &["conform", "--list", "--filter", "beyond-end"]);
    assert!(some.starts_with("bep3/request/beyond-end ") && some.lines().count() == 1, "{some}");
}

#[test]
fn a_client_that_runs_is_tested_as_far_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), vec![7; 300_000]).unwrap();
    succeed(folder.path(), &["create", "film", "--piece", "64 KiB"]);
    let mut seed = Seed::of(folder.path(), &["seed", "film.torrent"]);
    let addr = seed.addr.replace("127.0.0.1", "localhost");
    let args = [
        "conform",
        &addr,
        "--torrent",
        "film.torrent",
        "--filter",
        "bep3/request",
        "--filter",
        "bep3/leech",
        "--json",
        "-",
    ];
    let output = call(folder.path(), &args);
    seed.end();
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = results[0]["results"].as_array().unwrap();
    for case in cases {
        let leech = case["id"].as_str().unwrap().starts_with("bep3/leech");
        let verdict = case["verdict"].as_str().unwrap();
        assert!(
            if leech { verdict == "skip" } else { ["pass", "info", "warn"].contains(&verdict) },
            "{case}"
        );
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.toml"), "name = \"x\"\n[start]\ncomand = []\n").unwrap();
    let error = fail(folder.path(), &["conform", "--client", "x.toml"], 2);
    assert!(error.contains("x.toml") && error.contains("line 3") && error.contains("comand"), "{error}");
    let error = fail(folder.path(), &["conform", "--client", "none.toml"], 2);
    assert!(error.contains("none.toml is no file"), "{error}");
    let error = fail(folder.path(), &["conform"], 2);
    assert!(error.contains("who is to be tested") && error.contains("--client FILE"), "{error}");
    let error = fail(folder.path(), &["conform", "--engine", "--filter", "bep99"], 2);
    assert!(error.contains("no case has an id with \"bep99\""), "{error}");
    let error = fail(folder.path(), &["conform", "127.0.0.1:1"], 2);
    assert!(error.contains("--torrent"), "{error}");
}

/// Nobody is there to be tested: one error, before any case.
#[test]
fn who_is_not_there_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), vec![7; 300_000]).unwrap();
    fs::write(folder.path().join("other"), vec![8; 300_000]).unwrap();
    for name in ["film", "other"] {
        succeed(folder.path(), &["create", name, "--piece", "64 KiB"]);
    }
    let told = |args: &[&str]| {
        let output = call(folder.path(), args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
        assert!(error.contains("  help: "), "{error}");
        error
    };
    // Nobody listens: the port is bound, and nothing else.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = taken.local_addr().unwrap().to_string();
    drop(taken);
    let error = told(&["conform", &nobody, "--torrent", "film.torrent"]);
    assert!(error.contains(&format!("nobody takes connections at {nobody}")), "{error}");
    let error = told(&["conform", "no-such-host.invalid:6881", "--torrent", "film.torrent"]);
    assert!(error.contains("no-such-host.invalid:6881"), "{error}");
    // Somebody listens who speaks another protocol, hangs up, has another torrent, or not all of this one.
    type Answer = fn([u8; 68]) -> Vec<u8>;
    let answers: [(Answer, &str); 4] = [
        (|_| b"220 ready, who are you?\r\n".to_vec(), "what it says is no BitTorrent"),
        (|_| Vec::new(), "closes the connection on a handshake for the torrent"),
        (|handshake| [&handshake[..28], &[7; 40]].concat(), "a handshake for another torrent, 07070707"),
        (|handshake| [&handshake[..], &[0, 0, 0, 2, 5, 0x80]].concat(), "says that it has 1 of 5 pieces"),
    ];
    for (answer, due) in answers {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut handshake = [0; 68];
            std::io::Read::read_exact(&mut stream, &mut handshake).unwrap();
            std::io::Write::write_all(&mut stream, &answer(handshake)).unwrap();
        });
        let error = told(&["conform", &addr, "--torrent", "film.torrent"]);
        assert!(error.contains(&addr) && error.contains(due), "{error}");
        server.join().unwrap();
    }
    // A client of ours that has another torrent.
    let mut seed = Seed::of(folder.path(), &["seed", "other.torrent"]);
    let error = told(&["conform", &seed.addr, "--torrent", "film.torrent"]);
    assert!(error.contains("closes the connection on a handshake for the torrent"), "{error}");
    seed.end();
    // Programs that are not there, end at once, or are no client.
    let setup = |command: &str| {
        let text = format!(
            "name = \"mine\"\n[start]\nready-seconds = 1\nports = [\"peers\"]\ncommand = {command}\n"
        );
        fs::write(folder.path().join("mine.toml"), text).unwrap();
        told(&["conform", "--client", "mine.toml", "--filter", "bep3"])
    };
    for (command, due) in [
        ("[\"/no/such/program\"]", "mine cannot be started: /no/such/program cannot be run"),
        ("[\"no-such-program\"]", "there is no program \"no-such-program\" in PATH"),
        ("[\"bin/mine\"]", "{setup}/bin/mine"),
        ("[\"{setup}/mine.toml\"]", "may not be executed"),
        ("[\"sh\", \"-c\", \"echo no such option; exit 3\"]", "ended with code 3: no such option"),
        ("[\"sleep\", \"60\"]", "did not listen at"),
    ] {
        let error = setup(command);
        assert!(error.contains(due), "{command}: {error}");
    }
    // It does listen, and does not answer for the torrent.
    let text = "name = \"mine\"\n[start]\nready-seconds = 2\ncommand = [\"{self}\", \"tracker\", \"--http\", \"{peers}\", \"--udp\", \"{peers}\"]\n";
    fs::write(folder.path().join("mine.toml"), text).unwrap();
    let error = told(&["conform", "--client", "mine.toml"]);
    assert!(error.contains("mine was started as a seed") && error.contains("was not ready"), "{error}");
}

/// A run in which nothing was tested is no success.
#[test]
fn where_every_case_is_skipped_nothing_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["conform", "--engine", "--filter", "redirect-loop", "--json", "results.json", "--quiet"];
    let error = fail(folder.path(), &args, 2);
    assert!(
        error.contains("engine 0.1.0 was not tested: the only case was skipped (only over sockets"),
        "{error}"
    );
    assert_eq!(results(&folder.path().join("results.json")), ["tracker/http/redirect-loop skip"]);
}

/// The verdicts in a file of results of one client.
fn results(path: &Path) -> Vec<String> {
    let reports: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let results = reports[0]["results"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    results.iter().map(|result| format!("{} {}", text(&result["id"]), text(&result["verdict"]))).collect()
}

/// Options that would be taken and forgotten, and files that could not be written in the end, are refused at once.
#[test]
fn what_would_be_ignored_or_lost_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "[]").unwrap();
    for (args, code, due) in [
        ("--engine --torrent x", 2, "cannot be used with"),
        ("--engine --patience 1s", 2, "cannot be used with"),
        ("--list --json y", 2, "cannot be used with"),
        ("--list --engine", 2, "cannot be used with"),
        ("--merge x", 2, "required arguments were not provided"),
        ("--merge x --html y --filter bep6", 2, "--filter is about a run"),
        ("--engine --json - --html -", 2, "two forms of the results are to go to standard output"),
        ("--engine --json y --html y", 2, "two forms of the results are to go to y"),
        ("--engine --json .", 2, "is a folder, and no file"),
        ("--engine --junit none/y", 3, "cannot write none/y"),
        ("localhost --torrent x", 2, "an address is HOST:PORT"),
    ] {
        let args: Vec<&str> = std::iter::once("conform").chain(args.split(' ')).collect();
        let output = call(folder.path(), &args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(due) && output.stdout.is_empty(), "{args:?}: {error}");
    }
    // "-" is standard output, for each form; what is for people goes elsewhere.
    for (form, begins) in [("--markdown", "# Conformance\n"), ("--html", "<!doctype"), ("--junit", "<?xml")] {
        let output = call(folder.path(), &["conform", "--engine", "--filter", "beyond-end", form, "-"]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.starts_with(begins), "{printed}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("pass   must    bep3/request/beyond-end: closes"), "{said}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["x"]);
}

/// A run of cases of which the second takes long; `more` is added to the setup file. It is interrupted when so many
/// lines were printed; its exit code, and what it printed.
fn interrupted(folder: &Path, more: &str, cases: &[&str], lines: usize) -> (Option<i32>, String) {
    let text = fs::read_to_string(setup("swarmlab.toml")).unwrap();
    let text: String =
        text.lines().filter(|line| !line.starts_with("leech")).map(|line| line.to_owned() + "\n").collect();
    fs::write(folder.join("mine.toml"), text.replace("ports =", &format!("{more}\nports ="))).unwrap();
    let mut command = super::swarmlab(folder);
    command.args(["conform", "--client", "mine.toml", "--patience", "4 s", "--json", "results.json"]);
    command.args(cases.iter().flat_map(|case| ["--filter", case]));
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in 0..lines {
        std::io::BufRead::read_line(&mut said, &mut printed).unwrap();
    }
    // It is under way, and what was printed is in the file.
    assert_eq!(child.try_wait().unwrap(), None, "{printed}");
    assert_eq!(results(&folder.join("results.json")).len(), lines - 1, "{printed}");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    std::io::Read::read_to_string(&mut said, &mut printed).unwrap();
    (child.wait().unwrap().code(), printed)
}

#[test]
fn cases_are_printed_and_kept_as_they_end_and_a_signal_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    let cases = ["bep3/handshake/answered", "bep3/handshake/silent"];
    let (code, printed) = interrupted(folder.path(), "", &cases, 2);
    assert_eq!(code, Some(130), "{printed}");
    // What was under way is let end.
    let kept = results(&folder.path().join("results.json"));
    assert_eq!(kept, ["bep3/handshake/answered pass", "bep3/handshake/silent info"]);
    assert!(printed.contains("swarmlab 0.1.0: "), "{printed}");
}

#[test]
fn what_was_found_counts_though_a_signal_came() {
    let folder = tempfile::tempdir().unwrap();
    // As a leech it ends at once.
    let leech = "leech = [\"no-such-command\"]";
    let cases = ["bep3/handshake/silent", "bep3/leech/interest"];
    let (code, printed) = interrupted(folder.path(), leech, &cases, 2);
    assert!(printed.contains("STUCK  must    bep3/leech/interest"), "{printed}");
    assert_eq!(code, Some(1), "{printed}");
}

/// The second signal ends everything at once, the clients that were started too.
#[test]
#[cfg(target_os = "linux")]
fn a_second_signal_leaves_no_client_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    // What a client is told to seed lies below the folder for temporary files.
    let clients = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&path)).count()
    };
    let soon = |due: bool| {
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            (clients() > 0) == due
        })
    };
    let mut command = super::swarmlab(folder.path());
    command.env("TMPDIR", folder.path()).args(["conform", "--client", &setup("swarmlab.toml")]);
    command.args(["--filter", "bep3/handshake/silent", "--patience", "60 s"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert_eq!(line, "swarmlab 0.1.0\n");
    assert!(soon(true), "no client was started");
    let id = child.id().to_string();
    let interrupt =
        || assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    interrupt();
    // Signals that come at once are one.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None, "the first lets the case end");
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(soon(false), "{} are left", clients());
}

/// Who is gone in the middle of a run is so once, and not in each case that is left.
#[test]
fn a_client_that_goes_away_is_a_crash_and_the_rest_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("film"), vec![7; 300_000]).unwrap();
    succeed(folder.path(), &["create", "film", "--piece", "64 KiB"]);
    let mut seed = Seed::of(folder.path(), &["seed", "film.torrent"]);
    let mut command = super::swarmlab(folder.path());
    command.args(["conform", &seed.addr, "--torrent", "film.torrent", "--filter", "bep3/handshake"]);
    command.args(["--json", "results.json", "--patience", "1 s"]).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in 0..2 {
        std::io::BufRead::read_line(&mut said, &mut printed).unwrap();
    }
    seed.end();
    std::io::Read::read_to_string(&mut said, &mut printed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{printed}");
    let results = results(&folder.path().join("results.json"));
    assert_eq!(results.iter().filter(|result| result.ends_with(" crash")).count(), 1, "{printed}");
    assert!(results[results.len() - 3..].iter().all(|result| result.ends_with(" skip")), "{printed}");
    assert!(printed.contains("nobody takes connections at its address any more"), "{printed}");
}

/// A seed of ours that runs.
struct Seed {
    child: std::process::Child,
    addr: String,
}

impl Seed {
    fn of(folder: &Path, args: &[&str]) -> Self {
        let mut command = super::swarmlab(folder);
        command.args(args).args(["--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        let addr = line.split("x.pe=").nth(1).unwrap().split('&').next().unwrap().trim().replace("%3A", ":");
        Self { child, addr }
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
