//! How fast: 1 GiB over loopback, one core for each side, ours beside others in the same run. On demand, on a machine
//! that does nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::Outcome;
use crate::cases::{Host, connect};
use crate::lab::{Made, folder};
use crate::others::{Kind, OTHERS, OURS, Wishes};
use crate::report;
use crate::time::{Deadline, Stopwatch};

const SIZE: usize = 1 << 30;
/// Each pair is measured so often, all of them in turn, unless `SWARMLAB_ROUNDS` says otherwise; the median counts.
const ROUNDS: usize = 3;
/// Transmission is slow for this long after it has started, which is no measure of it.
const WARM: Duration = Duration::from_secs(60);
/// The longest that one transfer may take.
const LONG: Duration = Duration::from_secs(600);

/// Keeps all threads of a host on one core.
fn pin(host: &mut Host, core: u32) -> Outcome {
    let id = host.other.process().id().to_string();
    let pinned = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &id])
        .stdout(Stdio::null())
        .status()?;
    if pinned.success() { Ok(()) } else { Err("taskset cannot pin a process to a core".into()) }
}

/// MiB a second from one to the other.
fn rate(seed: &Kind, leech: &Kind, made: &Made) -> Outcome<f64> {
    let mut seed = Host::seed(seed, made, Wishes::default())?;
    let mut leech = Host::leech(leech, made, Wishes::default())?;
    pin(&mut seed, 0)?;
    pin(&mut leech, 1)?;
    if [&seed, &leech].iter().any(|host| host.name == "transmission") {
        std::thread::sleep(WARM);
    }
    connect(&mut leech, &mut seed)?;
    let deadline = Deadline::after(LONG);
    // From the first piece on: how soon a client dials is not the question.
    let mut watch = None;
    let mut before = 0.0;
    loop {
        let there = leech.other.progress()?;
        if there > 0.0 && watch.is_none() {
            (watch, before) = (Some(Stopwatch::start()), there);
        }
        if let (Some(watch), true) = (watch, there >= 1.0) {
            let mebibytes = (1.0 - before) * SIZE as f64 / f64::from(1 << 20);
            leech.check(made)?;
            return Ok(mebibytes / watch.elapsed().as_secs_f64());
        }
        if deadline.over() {
            return Err(format!("only {there:.3} of it came\n{}", leech.other.last_words()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn per_second(watch: Stopwatch) -> f64 {
    SIZE as f64 / f64::from(1 << 20) / watch.elapsed().as_secs_f64()
}

/// What no client can beat: the hashing alone, and the copying alone, from a socket to a file.
fn floors() -> Outcome<(f64, f64)> {
    let piece = vec![0x5a; 256 << 10];
    let watch = Stopwatch::start();
    let mut last = 0;
    for _ in 0..SIZE / piece.len() {
        last ^= Sha1::digest(std::hint::black_box(&piece))[0];
    }
    std::hint::black_box(last);
    let hashing = per_second(watch);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let watch = Stopwatch::start();
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(addr)?;
        (0..SIZE / piece.len()).try_for_each(|_| stream.write_all(&piece))
    });
    let (mut stream, _) = listener.accept()?;
    let mut file = std::fs::File::create(folder("floor")?.join("copied"))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read])?;
    }
    sender.join().map_err(|_| "the sender has panicked")??;
    Ok((hashing, per_second(watch)))
}

/// Measures, prints and notes all of it.
pub fn measure() -> Outcome {
    let of = |name: &str| OTHERS.into_iter().find(|kind| kind.name == name && (kind.version)().is_ok());
    let libtorrent = of("libtorrent-2.1").ok_or("libtorrent is not installed")?;
    let mut pairs = vec![(libtorrent, libtorrent), (&OURS, &OURS), (&OURS, libtorrent), (libtorrent, &OURS)];
    if let Some(transmission) = of("transmission") {
        pairs.extend([(transmission, libtorrent), (libtorrent, transmission)]);
        pairs.extend([(transmission, &OURS), (&OURS, transmission)]);
    }
    let made = Made::single("large.bin", SIZE, &[])?;
    let (hashing, copying) = floors()?;
    println!("\n    hashing {hashing:.0} MiB/s, copying {copying:.0} MiB/s");
    let rounds =
        std::env::var("SWARMLAB_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let mut rates = vec![Vec::new(); pairs.len()];
    for _ in 0..rounds.max(1) {
        for (rates, (seed, leech)) in rates.iter_mut().zip(&pairs) {
            let rate = rate(seed, leech, &made)?;
            println!("    {} to {}: {rate:.0} MiB/s", seed.name, leech.name);
            rates.push(rate);
        }
    }
    let rows: Vec<Value> = rates
        .iter_mut()
        .zip(&pairs)
        .map(|(rates, (seed, leech))| {
            rates.sort_by(f64::total_cmp);
            json!({"seed": seed.name, "leech": leech.name, "rate": rates[rates.len() / 2], "all": rates})
        })
        .collect();
    let checked = cfg!(debug_assertions);
    report::note_throughput(json!({
        "hashing": hashing, "copying": copying, "rows": rows, "rounds": rounds.max(1), "checked": checked,
    }));
    Ok(())
}
