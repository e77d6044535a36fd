//! What is tried with each client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::lab::{Made, Place};
use crate::others::{Kind, OTHERS, OURS, Other, What, Wishes};
use crate::time::{Deadline, Stopwatch};
use crate::trackers::{self, Scheme};
use crate::{Cannot, Outcome, fail};

/// The longest a transfer may take: the slowest client needs half a minute to come to speed.
const LONG: Duration = Duration::from_secs(240);
/// Between two attempts to connect.
const REDIAL: Duration = Duration::from_secs(4);
const LARGE: usize = 64 << 20;
const SMALL: usize = 8 << 20;

/// What was moved in what time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    pub bytes: u64,
    /// From the first dial to the end.
    pub time: Duration,
    /// Of that, how much was seen to move in what time: from the first that came to the last.
    pub seen: Option<(u64, Duration)>,
    /// What has to be said of it all the same.
    pub remark: Option<&'static str>,
}

/// A case: its name as a test, its title in the table, and what is done.
pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    pub run: fn(&Kind) -> Outcome<Moved>,
}

/// All of them, in the order of the table.
pub const CASES: [Case; 13] = [
    Case { name: "seeds", title: "it seeds 64 MiB", run: seeds },
    Case { name: "leeches", title: "it gets 64 MiB", run: leeches },
    Case { name: "seeds_several", title: "it seeds several files", run: seeds_several },
    Case { name: "leeches_several", title: "it gets several files", run: leeches_several },
    Case {
        name: "http_tracker",
        title: "by our tracker over HTTP",
        run: |kind| by_tracker(kind, Scheme::Http),
    },
    Case { name: "udp_tracker", title: "by our tracker over UDP", run: |kind| by_tracker(kind, Scheme::Udp) },
    Case { name: "resumes", title: "it resumes after SIGKILL", run: resumes },
    Case { name: "we_resume", title: "we resume after SIGKILL", run: we_resume },
    Case { name: "gives_metadata", title: "magnet: we ask it", run: gives_metadata },
    Case { name: "asks_metadata", title: "magnet: it asks us", run: asks_metadata },
    Case { name: "tells_peers", title: "PEX: it tells us", run: tells_peers },
    Case { name: "hears_of_peers", title: "PEX: we tell it", run: hears_of_peers },
    Case { name: "stops", title: "it stops when asked", run: stops },
];

/// A client with a folder for its files.
pub struct Host {
    pub other: Box<dyn Other>,
    /// Where it listens.
    addr: SocketAddr,
    pub dir: PathBuf,
    dials: Result<(), &'static str>,
    pub name: &'static str,
}

impl Host {
    fn at(kind: &Kind, place: &Place, wishes: Wishes) -> Outcome<Self> {
        let dir = place.work.join("files");
        std::fs::create_dir_all(&dir)?;
        let other = (kind.start)(place, wishes).map_err(|error| format!("{}: {error}", kind.name))?;
        Ok(Self { other, addr: place.addr, dir, dials: kind.dials, name: kind.name })
    }

    pub fn start(kind: &Kind, wishes: Wishes) -> Outcome<Self> {
        Self::at(kind, &Place::fresh(kind.name)?, wishes)
    }

    /// Starts one that has it all, and waits until it knows.
    pub fn seed(kind: &Kind, made: &Made, wishes: Wishes) -> Outcome<Self> {
        let mut host = Self::start(kind, wishes)?;
        made.write(&host.dir)?;
        host.add(made, true)?;
        host.wait("has checked its files", |other| Ok(other.progress()? >= 1.0))?;
        Ok(host)
    }

    /// Starts one that has nothing.
    pub fn leech(kind: &Kind, made: &Made, wishes: Wishes) -> Outcome<Self> {
        let mut host = Self::start(kind, wishes)?;
        host.add(made, false)?;
        Ok(host)
    }

    pub fn add(&mut self, made: &Made, seed: bool) -> Outcome {
        self.other.add(&What { made, magnet: false, peer: None, dir: &self.dir, seed })
    }

    /// By a magnet link that names a peer.
    fn add_magnet(&mut self, made: &Made, peer: SocketAddr) -> Outcome {
        let what = What { made, magnet: true, peer: Some(peer), dir: &self.dir, seed: false };
        self.other.add(&what)
    }

    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&mut dyn Other) -> Outcome<bool>) -> Outcome {
        let deadline = Deadline::after(LONG);
        while !done(&mut *self.other)? {
            if deadline.over() {
                return fail(format!("{} never {what}\n{}", self.name, self.other.last_words()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Its files against what they should be. What is verified may have yet to be written.
    pub fn check(&mut self, made: &Made) -> Outcome {
        let deadline = Deadline::after(Duration::from_secs(20));
        while let Some(difference) = made.difference(&self.dir) {
            if deadline.over() {
                return fail(format!("{}: {difference}", self.name));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }
}

/// Has one of the two dial: the first if it can be told to.
pub fn connect(first: &mut Host, second: &mut Host) -> Outcome {
    match (first.dials, second.dials) {
        (Ok(()), _) => first.other.add_peer(second.addr),
        (_, Ok(())) => second.other.add_peer(first.addr),
        (Err(why), Err(_)) => Err(Cannot(why.to_owned()).into()),
    }
}

/// How a transfer went on: what had moved when the first of it was seen, and when the last was.
struct Course {
    watch: Stopwatch,
    begin: Option<u64>,
    first: Option<(u64, Duration)>,
    last: (u64, Duration),
}

impl Course {
    fn start() -> Self {
        Self { watch: Stopwatch::start(), begin: None, first: None, last: (0, Duration::ZERO) }
    }

    /// So much has moved by now.
    fn note(&mut self, bytes: u64) {
        let now = (bytes, self.watch.elapsed());
        let begin = *self.begin.get_or_insert(bytes);
        if bytes > begin && bytes > self.last.0 {
            self.first.get_or_insert(now);
            self.last = now;
        }
    }

    /// What came to an end now, after `bytes`. What was all but over when it was first seen has no speed.
    fn end(&self, bytes: u64) -> Moved {
        let seen = self.first.map(|first| (self.last.0 - first.0, self.last.1 - first.1));
        let seen = seen.filter(|&(moved, _)| moved > bytes / 4);
        Moved { bytes, time: self.watch.elapsed(), seen, remark: None }
    }
}

/// Waits until `leech` has as much as `share` of it, from `seed` or whomever it knows.
fn reach(seed: &mut Host, leech: &mut Host, made: &Made, share: f64, dial: bool) -> Outcome<Moved> {
    let mut course = Course::start();
    let (deadline, mut redial) = (Deadline::after(LONG), Deadline::after(Duration::ZERO));
    let kept = leech.other.progress()?;
    let mut last = kept;
    loop {
        let there = leech.other.progress()?;
        let came = (there * made.length() as f64) as u64;
        // What it gives away is known of ours at once; some say what they have only now and then.
        course.note(seed.other.sent()?.unwrap_or(came));
        if there >= share {
            return Ok(course.end(((there - kept) * made.length() as f64) as u64));
        }
        // Not only at first: a client may take no connections until it has checked its files.
        if dial && there > last {
            redial = Deadline::after(REDIAL);
        }
        if dial && redial.over() {
            connect(leech, seed)?;
            redial = Deadline::after(REDIAL);
        }
        last = there;
        if deadline.over() || !seed.other.process().alive() {
            let (seeds, leeches) = (seed.other.last_words(), leech.other.last_words());
            return fail(format!(
                "{} has {there:.3} of it\n-- {}\n{leeches}\n-- {}\n{seeds}",
                leech.name, leech.name, seed.name
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All of it from one to the other, and held against what it should be.
pub fn transfer(seed: &mut Host, leech: &mut Host, made: &Made, dial: bool) -> Outcome<Moved> {
    let moved = reach(seed, leech, made, 1.0, dial)?;
    leech.check(made)?;
    let remark = made.lacks_empty(&leech.dir).then_some("it makes no files that have nothing in them");
    Ok(Moved { remark, ..moved })
}

fn one_to_one(seed: &Kind, leech: &Kind, made: &Made) -> Outcome<Moved> {
    let mut seed = Host::seed(seed, made, Wishes::default())?;
    let mut leech = Host::leech(leech, made, Wishes::default())?;
    transfer(&mut seed, &mut leech, made, true)
}

/// Between any two, which is how the drivers themselves are tried.
pub fn between(seed: &Kind, leech: &Kind) -> Outcome<Moved> {
    one_to_one(seed, leech, &Made::single("film.bin", LARGE, &[])?)
}

fn seeds(kind: &Kind) -> Outcome<Moved> {
    between(kind, &OURS)
}

fn leeches(kind: &Kind) -> Outcome<Moved> {
    between(&OURS, kind)
}

fn seeds_several(kind: &Kind) -> Outcome<Moved> {
    match one_to_one(kind, &OURS, &Made::several("box", &[])?)? {
        Moved { remark: Some(remark), .. } => fail(format!("ours: {remark}")),
        moved => Ok(moved),
    }
}

fn leeches_several(kind: &Kind) -> Outcome<Moved> {
    one_to_one(&OURS, kind, &Made::several("box", &[])?)
}

/// Neither knows more than a tracker; it gets what we have.
fn by_tracker(kind: &Kind, scheme: Scheme) -> Outcome<Moved> {
    if scheme == Scheme::Udp {
        kind.udp.map_err(|why| Cannot(why.to_owned()))?;
    }
    through(&trackers::OURS, scheme, &OURS, kind)
}

/// From one to the other, who know only the tracker.
pub fn through(tracker: &trackers::Kind, scheme: Scheme, seed: &Kind, leech: &Kind) -> Outcome<Moved> {
    let place = Place::at_home(tracker.name)?;
    let made = Made::single("found.bin", 2 * SMALL, &[trackers::Kind::url(&place, scheme)])?;
    let _tracker = tracker.start(&place, &[made.info_hash()])?;
    let mut seed = Host::seed(seed, &made, Wishes::default())?;
    // It announces itself first, since a peer without company asks again only after a while.
    std::thread::sleep(Duration::from_secs(2));
    let mut leech = Host::leech(leech, &made, Wishes::default())?;
    transfer(&mut seed, &mut leech, &made, false)
}

/// A rate at which a kill comes half way.
const SLOW: u64 = 4 << 20;

fn resumes(kind: &Kind) -> Outcome<Moved> {
    let made = Made::single("resumed.bin", LARGE, &[])?;
    let mut seed = Host::seed(&OURS, &made, Wishes { up: Some(SLOW), ..Wishes::default() })?;
    let mut leech = Host::leech(kind, &made, Wishes::default())?;
    reach(&mut seed, &mut leech, &made, 0.3, true)?;
    leech.other.process().kill();
    let dir = leech.dir.clone();
    drop((seed, leech));
    let mut seed = Host::seed(&OURS, &made, Wishes::default())?;
    // A new one that finds the files: its own notes are not asked for.
    let mut again = Host { dir, ..Host::start(kind, Wishes::default())? };
    again.add(&made, false)?;
    again.wait("found what there was", |other| Ok(other.progress()? > 0.2))?;
    if again.other.progress()? >= 1.0 {
        return fail("the kill came too late");
    }
    transfer(&mut seed, &mut again, &made, true)
}

fn we_resume(kind: &Kind) -> Outcome<Moved> {
    let made = Made::single("resumed.bin", LARGE, &[])?;
    let mut seed = Host::seed(kind, &made, Wishes::default())?;
    let place = Place::fresh(OURS.name)?;
    let mut leech = Host::at(&OURS, &place, Wishes { down: Some(SLOW), ..Wishes::default() })?;
    leech.add(&made, false)?;
    reach(&mut seed, &mut leech, &made, 0.3, true)?;
    leech.other.process().kill();
    drop(leech);
    let mut again = Host::at(&OURS, &place, Wishes::default())?;
    again.add(&made, false)?;
    // Without a connection, it comes back to where it was.
    again.wait("found what it had", |other| Ok(other.progress()? > 0.2))?;
    transfer(&mut seed, &mut again, &made, true)
}

fn by_magnet(seed: &Kind, leech: &Kind) -> Outcome<Moved> {
    // Some close the connection over which the metadata came, and want to find us again.
    let place = Place::at_home(trackers::OURS.name)?;
    let made = Made::fine("named.bin", LARGE, &[trackers::Kind::url(&place, Scheme::Http)])?;
    let _tracker = trackers::OURS.start(&place, &[made.info_hash()])?;
    let mut seed = Host::seed(seed, &made, Wishes::default())?;
    let mut leech = Host::start(leech, Wishes::default())?;
    leech.add_magnet(&made, seed.addr)?;
    transfer(&mut seed, &mut leech, &made, true)
}

fn gives_metadata(kind: &Kind) -> Outcome<Moved> {
    by_magnet(kind, &OURS)
}

fn asks_metadata(kind: &Kind) -> Outcome<Moved> {
    kind.magnet.map_err(|why| Cannot(why.to_owned()))?;
    by_magnet(&OURS, kind)
}

/// Whether `host` has a connection with the address of `with`.
fn knows(host: &mut Host, with: &Host) -> Outcome<bool> {
    let ip = with.addr.ip();
    Ok(host.other.peers()?.iter().any(|(addr, _)| addr.ip() == ip))
}

/// Two of ours that know only it, and come to know each other.
fn tells_peers(kind: &Kind) -> Outcome<Moved> {
    kind.tells.map_err(|why| Cannot(why.to_owned()))?;
    let made = Made::single("spread.bin", SMALL, &[])?;
    let wishes = Wishes { pex: true, ..Wishes::default() };
    let mut middle = Host::leech(kind, &made, wishes)?;
    let (mut one, mut two) = (Host::leech(&OURS, &made, wishes)?, Host::leech(&OURS, &made, wishes)?);
    // None has anything: seeds need no seeds, and some tell them of none.
    let (watch, deadline) = (Stopwatch::start(), Deadline::after(LONG));
    let mut redial = Deadline::after(Duration::ZERO);
    while !knows(&mut one, &two)? {
        if redial.over() {
            // Whom it has dialled it can name by the port where that listens.
            if !knows(&mut one, &middle)? {
                connect(&mut middle, &mut one)?;
            }
            if !knows(&mut two, &middle)? {
                connect(&mut two, &mut middle)?;
            }
            redial = Deadline::after(REDIAL);
        }
        if deadline.over() {
            return fail(format!(
                "ours never met\n{}\n--\n{}",
                one.other.last_words(),
                middle.other.last_words()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Moved { time: watch.elapsed(), ..Moved::default() })
}

/// It knows only one of ours, who tells it of another, from whom it gets all.
fn hears_of_peers(kind: &Kind) -> Outcome<Moved> {
    kind.hears.map_err(|why| Cannot(why.to_owned()))?;
    let made = Made::single("spread.bin", SMALL, &[])?;
    let wishes = Wishes { pex: true, ..Wishes::default() };
    // The seed takes no part in PEX, so that it is told of nobody and dials nobody; the one between gets next
    // to nothing.
    let mut seed = Host::seed(&OURS, &made, Wishes::default())?;
    let mut between = Host::leech(&OURS, &made, Wishes { down: Some(4 << 10), ..wishes })?;
    connect(&mut between, &mut seed)?;
    let mut leech = Host::leech(kind, &made, wishes)?;
    let watch = Stopwatch::start();
    let (deadline, mut redial) = (Deadline::after(LONG), Deadline::after(Duration::ZERO));
    while leech.other.progress()? < 1.0 {
        if redial.over() && !knows(&mut between, &leech)? {
            connect(&mut leech, &mut between)?;
            redial = Deadline::after(REDIAL);
        }
        if deadline.over() {
            return fail(format!(
                "it never had all\n{}\n--\n{}",
                leech.other.last_words(),
                between.other.last_words()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    leech.check(&made)?;
    Ok(Moved { time: watch.elapsed(), ..Moved::default() })
}

/// Asked to, it ends, and we see it go.
fn stops(kind: &Kind) -> Outcome<Moved> {
    let made = Made::single("brief.bin", SMALL, &[])?;
    let mut seed = Host::seed(kind, &made, Wishes::default())?;
    let mut leech = Host::leech(&OURS, &made, Wishes::default())?;
    let moved = transfer(&mut seed, &mut leech, &made, true)?;
    seed.other.stop()?;
    leech.wait("saw it go", |other| Ok(other.peers()?.is_empty()))?;
    Ok(moved)
}

/// All that are here, and us, in one swarm from one seed, found by a tracker and by each other.
pub fn everyone() -> Outcome<Moved> {
    let place = Place::at_home("everyone")?;
    let urls = [Scheme::Http, Scheme::Udp].map(|scheme| trackers::Kind::url(&place, scheme));
    let made = Made::single("everyone.bin", LARGE, &urls)?;
    let tracker = trackers::OURS.start(&place, &[made.info_hash()])?;
    let wishes = Wishes { pex: true, ..Wishes::default() };
    let _seed = Host::seed(&OURS, &made, wishes)?;
    let kinds = OTHERS.into_iter().chain([&OURS]).filter(|kind| (kind.version)().is_ok());
    let mut hosts = kinds.map(|kind| Host::leech(kind, &made, wishes)).collect::<Outcome<Vec<_>>>()?;
    let (watch, deadline) = (Stopwatch::start(), Deadline::after(2 * LONG));
    let mut missing: Vec<usize> = (0..hosts.len()).collect();
    while !missing.is_empty() {
        for at in std::mem::take(&mut missing) {
            let host = &mut hosts[at];
            match host.other.progress()? >= 1.0 {
                true => println!("    everyone: {} after {:.1} s", host.name, watch.elapsed().as_secs_f64()),
                false => missing.push(at),
            }
        }
        if deadline.over() {
            let names: Vec<&str> = missing.iter().map(|&at| hosts[at].name).collect();
            let words: String = missing.iter().map(|&at| hosts[at].other.last_words()).collect();
            return fail(format!("without it: {}\n{words}\n{}", names.join(", "), tracker.process.tail()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let time = watch.elapsed();
    for host in &mut hosts {
        host.check(&made)?;
    }
    Ok(Moved { bytes: made.length() * hosts.len() as u64, time, ..Moved::default() })
}
