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
}

#[test]
fn the_engine_is_tested_in_memory_and_cases_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["conform", "--engine", "--filter", "bep6"]);
    assert!(printed.contains("\nbep6/reject: BEP 6, reject request\n"), "{printed}");
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
    // Somebody listens who speaks another protocol, or hangs up.
    for (said, due) in
        [(b"220 ready, who are you?\r\n".as_slice(), "no BitTorrent"), (b"", "closes the connection")]
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut handshake = [0; 68];
            std::io::Read::read_exact(&mut stream, &mut handshake).unwrap();
            std::io::Write::write_all(&mut stream, said).unwrap();
        });
        let error = told(&["conform", &addr, "--torrent", "film.torrent"]);
        assert!(error.contains(&addr) && error.contains(due), "{error}");
        server.join().unwrap();
    }
    // A client that runs, and has another torrent, or not all of this one.
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
