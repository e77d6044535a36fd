//! Any client over TCP and UDP: one that is started for the case, or one that runs at an address.
//!
//! Each connection of ours comes from an address of its own: many clients keep one for each address, and remember
//! who misbehaved.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use engine::Metainfo;
use engine::wire::InfoHash;
use socket2::{Domain, Socket, Type};

use super::serving::{Server, Style, Ticket};
use super::{Answer, Arm, Asked, Death, Heard, Link, NotHere, tracker};
use crate::clock::Clock;
use crate::conform::case::{Role, Setup, Tracking};
use crate::conform::subject::{Forge, NAME, Subject};
use crate::launch::{Client, LaunchError, Net, Running, Share, With};
use crate::{probe, words};

/// Between two looks at what cannot be waited for.
const LOOK: Duration = Duration::from_millis(5);
/// How long a client may take to accept a connection, and to read what is sent.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one attempt may take to see whether it is ready.
const ANSWER: Duration = Duration::from_secs(2);
/// The most that is read at a time.
const READ: usize = 256 << 10;
/// What the health checks may take, beside the time of the case.
const GRACE: Duration = Duration::from_secs(60);

/// What a run says of all its targets.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long a reaction may take.
    pub patience: Duration,
    /// How long a case may take.
    pub limit: Duration,
    /// Where programs and our ends of connections are.
    pub net: Net,
}

/// See the module.
pub struct Sockets {
    clock: Clock,
    terms: Terms,
    end: Duration,
    target: SocketAddr,
    running: Option<Running>,
    subject: Subject,
    /// The torrent that the target has, if that is another than the subject's.
    info_hash: InfoHash,
    ours: crate::launch::Ours,
    links: Vec<Option<TcpStream>>,
    listeners: Vec<TcpListener>,
    server: Option<Server>,
    tickets: BTreeMap<usize, Ticket>,
}

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The case does not apply to it.
    #[error("{0}")]
    Skip(String),
    /// Something went wrong.
    #[error("{0}")]
    Stuck(String),
}

fn stuck(error: impl std::fmt::Display) -> Refused {
    Refused::Stuck(error.to_string())
}

impl Sockets {
    /// A client that runs, has the torrent, and is a seed.
    pub fn at(target: SocketAddr, subject: Subject, terms: Terms) -> Self {
        // The last case's connections may be known to it still.
        let ours = terms.net.ours(terms.net.number());
        Self {
            clock: Clock::start(),
            end: terms.limit,
            terms,
            target,
            running: None,
            info_hash: subject.metainfo.info_hash,
            subject,
            ours,
            links: Vec::new(),
            listeners: Vec::new(),
            server: None,
            tickets: BTreeMap::new(),
        }
    }

    /// Starts a client for a case, and waits until it answers for the torrent.
    pub fn start(client: &Client, setup: Setup, terms: Terms) -> Result<Self, Refused> {
        let able = |what: &str| client.cannot.get(what).map_or(Ok(()), |why| Err(Refused::Skip(why.clone())));
        match setup.tracking {
            Tracking::Tells(_) => {}
            Tracking::Http(_) => able("http-tracker")?,
            Tracking::Udp => able("udp-tracker")?,
        }
        if setup.dials {
            able("dial")?;
            if terms.net.is_loopback() {
                able("dial-loopback")?;
            }
        }
        let place = terms.net.place().map_err(stuck)?;
        let mut ours = terms.net.ours(place.number);
        let mut listeners = Vec::new();
        for _ in 0..tracker::listeners(setup.tracking) {
            let listener = TcpListener::bind((ours.fresh(), 0)).map_err(stuck)?;
            listener.set_nonblocking(true).map_err(stuck)?;
            listeners.push(listener);
        }
        let peers = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let style = match setup.tracking {
            Tracking::Tells(_) => Style::Tells(tracker::reply(peers).to_bytes(true)),
            Tracking::Http(_) => Style::Http,
            Tracking::Udp => Style::Udp,
        };
        let home = ours.fresh();
        let server = Server::start(home, tracker::count(setup.tracking), style).map_err(stuck)?;
        let tiers = tracker::tiers(setup.tracking, server.urls());
        let subject = Subject::new(&tiers, setup.private).map_err(stuck)?;
        let with = setup.role.with();
        let torrent = match setup.role {
            Role::File(make) => make(&Forge { trackers: tiers }),
            Role::Seed | Role::Leech | Role::Link => subject.file.clone(),
        };
        let tracker = server.urls().first().cloned().unwrap_or_default();
        let info_hash = match setup.role {
            // What is no torrent to us may be one to others; nothing is said of it.
            Role::File(_) => Metainfo::parse(&torrent).map_or(InfoHash([0; 20]), |made| made.info_hash),
            _ => subject.metainfo.info_hash,
        };
        let hex = info_hash.to_string();
        let magnet =
            format!("magnet:?xt=urn:btih:{hex}&tr={}", tracker.replace(':', "%3A").replace('/', "%2F"));
        let content = [(PathBuf::from(NAME), subject.content().as_ref())];
        let share = Share {
            torrent: &torrent,
            magnet: &magnet,
            tracker: &tracker,
            info_hash: &hex,
            with,
            may_refuse: matches!(setup.role, Role::File(_)),
            files: if with == With::Seed { &content } else { &[] },
        };
        let target = place.peers();
        let running = Running::start(client, place, &share).map_err(|error| match error {
            LaunchError::Cannot(why) => Refused::Skip(why),
            error => stuck(error),
        })?;
        let mut arm = Self {
            clock: Clock::start(),
            end: terms.limit,
            terms,
            target,
            running: Some(running),
            subject,
            info_hash,
            ours,
            links: Vec::new(),
            listeners,
            server: Some(server),
            tickets: BTreeMap::new(),
        };
        if matches!(setup.tracking, Tracking::Tells(_)) {
            arm.wait_ready(with == With::Seed, Duration::from_secs_f64(client.start.ready_seconds))?;
        }
        arm.clock = Clock::start();
        Ok(arm)
    }

    /// Waits until the target answers for the torrent; a seed, until it says that it has all of it.
    fn wait_ready(&mut self, complete: bool, limit: Duration) -> Result<(), Refused> {
        let clock = Clock::start();
        loop {
            if let Some(death) = self.death() {
                return Err(Refused::Stuck(death.text));
            }
            let why = match self.greet(complete) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if clock.past(limit) {
                let said = self.running.as_ref().map(Running::last_words).unwrap_or_default();
                let said = if said.is_empty() { said } else { format!("; it printed: {said}") };
                let (limit, target) = (words::time(limit), self.target);
                return Err(Refused::Stuck(format!("within {limit} it was not ready: {target} {why}{said}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it answers for its torrent, and if it is to be `complete`, says that it has all; if not, why.
    fn greet(&mut self, complete: bool) -> Result<(), String> {
        let ours = self.ours.fresh();
        let stream =
            connect(ours, self.target, CONNECT).map_err(|error| format!("takes no connection: {error}"))?;
        let layout = complete.then(|| self.subject.layout());
        probe::greet(stream, self.info_hash, layout, ANSWER).map_err(|unlike| unlike.to_string())
    }

    /// What is left of a wait before the case is over.
    fn within(&self, wanted: Duration) -> Duration {
        wanted.min(self.end.saturating_sub(self.clock.now()))
    }

    /// The client that was started.
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }
}

/// Connects from an address; where that cannot be had, from any.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddr, limit: Duration) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if to.is_ipv4() && to.ip().is_loopback() == from.is_loopback() {
        // Only Linux has all of 127.0.0.0/8.
        let _ = socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into());
    }
    socket.connect_timeout(&to.into(), limit)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(CONNECT))?;
    Ok(stream)
}

impl Arm for Sockets {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn subject(&self) -> &Subject {
        &self.subject
    }

    fn patience(&self) -> Duration {
        self.terms.patience
    }

    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(self.within(time));
    }

    fn fresh(&mut self) -> Ipv4Addr {
        self.ours.fresh()
    }

    fn dial(&mut self, from: Ipv4Addr) -> Option<Link> {
        let limit = self.within(CONNECT).max(LOOK);
        let stream = connect(from, self.target, limit).ok()?;
        self.links.push(Some(stream));
        Some(self.links.len() - 1)
    }

    fn accept(&mut self, at: usize, within: Duration) -> Option<Link> {
        let (within, clock) = (self.within(within), Clock::start());
        loop {
            match self.listeners.get(at)?.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).ok()?;
                    stream.set_nodelay(true).ok()?;
                    stream.set_write_timeout(Some(CONNECT)).ok()?;
                    self.links.push(Some(stream));
                    return Some(self.links.len() - 1);
                }
                Err(_) if clock.past(within) => return None,
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn ours(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    fn send(&mut self, link: Link, bytes: &[u8]) -> bool {
        match self.links.get_mut(link) {
            // What fails shows when it is heard.
            Some(Some(stream)) => stream.write_all(bytes).is_ok(),
            _ => false,
        }
    }

    fn hear(&mut self, link: Link, within: Duration) -> Heard {
        let within = self.within(within);
        let Some(Some(stream)) = self.links.get_mut(link) else { return Heard::Closed };
        let mut buffer = vec![0; READ];
        // No time at all would be for ever.
        if stream.set_read_timeout(Some(within.max(Duration::from_millis(1)))).is_err() {
            return Heard::Closed;
        }
        match stream.read(&mut buffer) {
            Ok(0) => Heard::Closed,
            Ok(read) => {
                buffer.truncate(read);
                Heard::Bytes(buffer)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Heard::Nothing,
                _ => Heard::Closed,
            },
        }
    }

    fn close(&mut self, link: Link) {
        if let Some(stream) = self.links.get_mut(link) {
            *stream = None;
        }
    }

    fn asked(&mut self, within: Duration) -> Option<Asked> {
        let within = self.within(within);
        let (tracker, what, ticket) = self.server.as_ref()?.next(within)?;
        let number = self.tickets.len();
        self.tickets.insert(number, ticket);
        Some(Asked { ticket: number, tracker, at: self.now(), what })
    }

    fn answer(&mut self, ticket: usize, answer: Answer) -> Result<(), NotHere> {
        if let (Some(ticket), Some(server)) = (self.tickets.get_mut(&ticket), &self.server) {
            server.answer(ticket, answer);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), NotHere> {
        match &self.running {
            Some(running) => running.ask_to_stop(),
            None => return Err(NotHere("it was not started here".to_owned())),
        }
        Ok(())
    }

    fn death(&mut self) -> Option<Death> {
        let (orderly, text) = self.running.as_mut()?.death()?;
        Some(Death { orderly, text })
    }

    fn memory(&mut self) -> Option<u64> {
        self.running.as_ref()?.memory()
    }

    fn left(&self) -> Duration {
        self.end.saturating_sub(self.clock.now())
    }

    fn is_over(&self) -> bool {
        self.clock.past(self.end)
    }

    fn grace(&mut self) {
        self.end = self.clock.now() + GRACE;
    }

    fn strays(&mut self) -> Vec<String> {
        let Some(running) = &self.running else { return Vec::new() };
        let place = running.place();
        let expected = ["client", "content", "x.torrent", "downloads"];
        let below = |folder: PathBuf| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        let all = below(place.root().to_owned()).chain(below(place.root().join("content")));
        all.filter(|name| !expected.contains(&name.as_str())).collect()
    }
}
