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
/// Between two looks at how far it is: each costs a client some work.
const LOOK: Duration = Duration::from_millis(50);
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

/// What came of one transfer.
struct Measured {
    /// MiB a second, from the first piece to the last.
    rate: f64,
    /// CPU time of the seed and of the leech, in seconds, from the dial on.
    cpu: [f64; 2],
}

/// What both have used of the processor, in seconds.
fn cpu(hosts: [&mut Host; 2]) -> Outcome<[f64; 2]> {
    let [seed, leech] = hosts.map(|host| host.other.process().cpu());
    Ok([seed?, leech?])
}

/// All of it from one to the other; their files are removed.
fn transfer(seed: &Kind, leech: &Kind, made: &Made) -> Outcome<Measured> {
    let mut seed = Host::seed(seed, made, Wishes::default())?;
    let mut leech = Host::leech(leech, made, Wishes::default())?;
    let measured = watch(&mut seed, &mut leech, made);
    let dirs = [seed.dir.clone(), leech.dir.clone()];
    drop((seed, leech));
    dirs.iter().try_for_each(std::fs::remove_dir_all)?;
    measured
}

fn watch(seed: &mut Host, leech: &mut Host, made: &Made) -> Outcome<Measured> {
    // What waits for the disk would slow down whoever writes next.
    Command::new("sync").status()?;
    pin(seed, 0)?;
    pin(leech, 1)?;
    let before = cpu([seed, leech])?;
    connect(leech, seed)?;
    let deadline = Deadline::after(LONG);
    // From the first piece on: how soon a client dials is not the question.
    let mut first = None;
    loop {
        let there = leech.other.progress()?;
        if there > 0.0 && first.is_none() {
            first = Some((Stopwatch::start(), there));
        }
        if let (Some((watch, first)), true) = (first, there >= 1.0) {
            let rate = (1.0 - first) * SIZE as f64 / f64::from(1 << 20) / watch.elapsed().as_secs_f64();
            leech.check(made)?;
            let after = cpu([seed, leech])?;
            return Ok(Measured { rate, cpu: [after[0] - before[0], after[1] - before[1]] });
        }
        if deadline.over() {
            return Err(format!("only {there:.3} of it came\n{}", leech.other.last_words()).into());
        }
        std::thread::sleep(LOOK);
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
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
    let mut measured: Vec<Vec<Measured>> = pairs.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds.max(1) {
        for (measured, (seed, leech)) in measured.iter_mut().zip(&pairs) {
            let one = transfer(seed, leech, &made)?;
            let (rate, [sending, receiving]) = (one.rate, one.cpu);
            println!(
                "    {} to {}: {rate:.0} MiB/s, CPU {sending:.2} s and {receiving:.2} s",
                seed.name, leech.name
            );
            measured.push(one);
        }
    }
    let rows: Vec<Value> = measured
        .iter()
        .zip(&pairs)
        .map(|(measured, (seed, leech))| {
            let all: Vec<f64> = measured.iter().map(|one| one.rate).collect();
            let cpu = [0, 1].map(|side| median(measured.iter().map(|one| one.cpu[side]).collect()));
            json!({"seed": seed.name, "leech": leech.name, "rate": median(all.clone()), "all": all, "cpu": cpu})
        })
        .collect();
    let checked = cfg!(debug_assertions);
    report::note_throughput(json!({
        "hashing": hashing, "copying": copying, "rows": rows, "rounds": rounds.max(1), "checked": checked,
    }));
    Ok(())
}
