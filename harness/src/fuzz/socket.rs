//! Dialogues over sockets, with any client that a setup file starts, anew for each dialogue, or with a seed that runs.
//!
//! - Waits of a dialogue are cut to [`WAIT`], since they pass in real time.
//! - Held are: the process is there, what it says can be decoded and breaks no rule that even crossing messages leave
//!   clear, its memory does not grow by more than [`HELD`] and some times what it was sent, and in the end it answers
//!   a newcomer (a seed with a block).
//! - Every remote has an address of its own, of 127.0.0.0/8, so that a client that bans one serves the next.

use std::sync::Arc;
use std::time::Duration;

use engine::ConnId;
use engine::peer::{Input, Output};
use engine::wire::{Decoded, WireError};

use super::campaign;
use super::dialogue::{Dialogue, REMOTES, Role, Serve};
use super::finding::Finding;
use super::remote::Remote;
use super::stage::Stage;
use super::subject::Subject;
use crate::conduct::{Conduct, Rule};
use crate::conform::arm::socket::{Refused, Sockets, Terms};
use crate::conform::arm::{Arm as _, Heard, Link};
use crate::conform::case::{Case, Finding as Judged, Halt, Requirement, Setup};
use crate::conform::{run, subject};
use crate::launch::{Client, Net, Running};

/// The longest wait before a step.
pub const WAIT: Duration = Duration::from_millis(300);
/// The longest wait for a request that is to be served.
const SERVES: Duration = Duration::from_millis(400);
/// How long a remote listens between steps.
const LISTEN: Duration = Duration::from_millis(2);
/// So much is heard of one remote before the others and the clock are looked at, in buffers.
const MOST_BUFFERS: u32 = 64;
/// The longest dialogue.
const LIMIT: Duration = Duration::from_secs(60);
/// What a process may grow by, in bytes, whatever it was sent.
pub const HELD: u64 = 96 << 20;
/// And for each byte that it was sent.
const HELD_PER_BYTE: u64 = 16;
/// How long the system may take to end a process that has crashed.
const DYING: Duration = Duration::from_secs(1);
/// How often a client is started before that has failed.
const STARTS: u32 = 3;
/// How many candidates a dialogue is shrunk by: each starts a client.
const TRIES: u32 = 150;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub enum Who {
    /// A client that is started for each dialogue.
    Client(Box<Client>),
    /// A seed that runs, of this torrent.
    At(std::net::SocketAddr, Box<subject::Subject>),
}

/// The arm over sockets.
pub struct Socket {
    who: Who,
    net: Net,
    patience: Duration,
    about: Arc<Subject>,
}

/// Which rules a client is held to. Messages cross on their way: what depends on what the client had heard when it
/// spoke is left out.
fn holds(rule: Rule, ours: bool) -> bool {
    match rule {
        Rule::ValidBitfield | Rule::PieceInRange | Rule::FastAgreed | Rule::ExtendedAgreed => true,
        Rule::RequestUnchoked | Rule::InterestFounded | Rule::CancelAsked => false,
        // What the engine keeps to and other clients need not.
        _ => ours,
    }
}

impl Socket {
    /// With a client, or a seed that runs. `patience`: how long a reaction may take.
    pub fn new(who: Who, net: Net, patience: Duration) -> Result<Self, String> {
        let about = match &who {
            Who::Client(_) => subject::Subject::new(&[], false).map_err(|error| error.to_string())?,
            Who::At(_, about) => about.as_ref().clone(),
        };
        let about = Arc::new(Subject::given(about.metainfo.clone(), about.content().clone()));
        Ok(Self { who, net, patience, about })
    }

    /// The torrent that its dialogues are about.
    pub fn about(&self) -> &Arc<Subject> {
        &self.about
    }

    /// The roles that the client can have.
    pub fn roles(&self) -> Vec<Role> {
        match &self.who {
            Who::At(..) => vec![Role::Seed],
            Who::Client(client) if client.cannot.contains_key("magnet") => vec![Role::Seed, Role::Leech],
            Who::Client(_) => Role::ALL.to_vec(),
        }
    }

    fn setup(role: Role) -> Setup {
        match role {
            Role::Seed => Setup::SEED,
            Role::Leech => Setup::LEECH,
            Role::Magnet => Setup::LINK,
        }
    }

    /// A client that is ready. One that does not start is tried again, at another place: a port may be taken.
    fn start(&self, role: Role) -> Result<Sockets, String> {
        let mut tries = 1;
        loop {
            match self.start_once(role) {
                Err(_) if tries < STARTS => tries += 1,
                result => return result,
            }
        }
    }

    fn start_once(&self, role: Role) -> Result<Sockets, String> {
        let terms = Terms { patience: self.patience, limit: LIMIT, net: self.net.clone() };
        match &self.who {
            Who::At(addr, about) => Ok(Sockets::at(*addr, about.as_ref().clone(), terms)),
            Who::Client(client) => {
                Sockets::start(client, Self::setup(role), terms).map_err(|error| match error {
                    Refused::Skip(why) => format!("{} cannot: {why}", client.name),
                    Refused::Stuck(why) => why,
                })
            }
        }
    }

    fn is_ours(&self) -> bool {
        matches!(&self.who, Who::Client(client) if client.name == "swarmlab")
    }
}

impl campaign::Arm for Socket {
    fn hold(&mut self, dialogue: &Dialogue) -> Result<Option<Finding>, String> {
        let mut sockets = self.start(dialogue.role)?;
        let before = resident(&sockets);
        let mut talk = Talk {
            subject: self.about.clone(),
            patience: self.patience,
            ours: self.is_ours(),
            lines: (0..=REMOTES).map(|_| Line::new(&self.about)).collect(),
            sent: 0,
            found: None,
            sockets: &mut sockets,
        };
        talk.hold(dialogue);
        let (found, sent) = (talk.found.take(), talk.sent);
        drop(talk);
        if let Some(death) = sockets.death() {
            return Ok(Some(Finding::Gone(death.text)));
        }
        if found.is_some() {
            return Ok(found);
        }
        let grown = resident(&sockets).saturating_sub(before);
        if grown > HELD + HELD_PER_BYTE * sent {
            return Ok(Some(Finding::Memory(grown)));
        }
        sockets.grace();
        let health = run::healthy(&case(Self::setup(dialogue.role)), &mut sockets);
        if health.is_err() {
            // A process that dies takes its time, and its connections go first.
            std::thread::sleep(DYING);
        }
        Ok(match (sockets.death(), health) {
            (Some(death), _) => Some(Finding::Gone(death.text)),
            (None, Err(why)) => Some(Finding::Unserved(why)),
            (None, Ok(())) => None,
        })
    }

    fn tries(&self, finding: &Finding) -> u32 {
        match (&self.who, finding) {
            // Who is gone for good shows it to whatever is said next.
            (Who::At(..), Finding::Gone(_) | Finding::Unserved(_)) => 0,
            _ => TRIES,
        }
    }
}

/// As much of a case as its health checks need.
fn case(setup: Setup) -> Case {
    fn nothing(_: &mut crate::conform::talk::Talk<'_>) -> Result<Judged, Halt> {
        Err(Halt::Skip(String::new()))
    }
    Case {
        id: "fuzz",
        section: "",
        requirement: Requirement::Must,
        description: "",
        setup,
        ends: false,
        run: nothing,
    }
}

/// What the client has in memory, in bytes; 0 where that cannot be had.
fn resident(sockets: &Sockets) -> u64 {
    sockets.running().and_then(Running::memory).unwrap_or_default()
}

/// One remote of the dialogue, and its connection.
struct Line {
    link: Option<Link>,
    end: Remote,
    /// The rules for the peer, on this connection.
    conduct: Conduct,
}

impl Line {
    fn new(subject: &Subject) -> Self {
        Self { link: None, end: Remote::new(), conduct: Conduct::new(*subject.layout()) }
    }
}

struct Talk<'a> {
    sockets: &'a mut Sockets,
    subject: Arc<Subject>,
    patience: Duration,
    ours: bool,
    lines: Vec<Line>,
    sent: u64,
    found: Option<Finding>,
}

impl Talk<'_> {
    fn hold(&mut self, dialogue: &Dialogue) {
        for step in &dialogue.steps {
            self.wait(step.wait.min(WAIT).max(LISTEN), |_| false);
            if self.is_over() {
                break;
            }
            self.act(step);
        }
        self.wait(WAIT, |_| false);
        for number in 1..=REMOTES {
            self.close(number);
        }
    }

    fn line(&mut self, number: u8) -> &mut Line {
        let last = self.lines.len() - 1;
        &mut self.lines[usize::from(number).min(last)]
    }

    /// What the peer has sent to a remote.
    fn hear(&mut self, number: u8, bytes: &[u8]) {
        let (conn, ours) = (ConnId(number.into()), self.ours);
        let line = self.line(number);
        line.end.gets(bytes);
        let mut found = None;
        while found.is_none() {
            let broken = line.conduct.breaches().len();
            match line.end.hears() {
                Ok(None) => break,
                Ok(Some(Decoded::Handshake(handshake))) => {
                    line.conduct.output(&Output::SendHandshake { conn, handshake });
                }
                Ok(Some(Decoded::Message(message))) => line.conduct.output(&Output::Send { conn, message }),
                // Who does not begin with a handshake may be answered in an encrypted one.
                Err(WireError::Protocol { .. }) if !line.end.greeted => break,
                Err(error) => found = Some(Finding::Undecodable(error.to_string())),
            }
            let breach = line.conduct.breaches().get(broken);
            if let Some(breach) = breach.filter(|breach| holds(breach.rule, ours)) {
                let by = breach.by.chars().take(200).collect();
                found = Some(Finding::Breach { rule: breach.rule, by });
            }
        }
        if let Some(found) = found {
            self.found.get_or_insert(found);
        }
    }
}

impl Stage for Talk<'_> {
    fn subject(&self) -> Arc<Subject> {
        self.subject.clone()
    }

    fn remote(&mut self, number: u8) -> &mut Remote {
        &mut self.line(number).end
    }

    fn is_open(&mut self, number: u8) -> bool {
        self.line(number).link.is_some()
    }

    fn is_over(&self) -> bool {
        self.found.is_some() || self.sockets.is_over()
    }

    fn connect(&mut self, number: u8) {
        let from = self.sockets.fresh();
        let link = self.sockets.dial(from);
        let conduct = Conduct::new(*self.subject.layout());
        let conn = ConnId(number.into());
        let line = self.line(number);
        (line.link, line.conduct) = (link, conduct);
        line.end.dials();
        // For the rules the peer is told of a connection that it has taken.
        let addr = std::net::SocketAddr::from((from, 1));
        line.conduct.input(&Input::Connected { conn, addr, outgoing: false });
    }

    fn close(&mut self, number: u8) {
        if let Some(link) = self.line(number).link.take() {
            self.sockets.close(link);
        }
    }

    fn send(&mut self, number: u8, bytes: &[u8], slice: u16) {
        let slice = if slice == 0 { bytes.len().max(1) } else { slice.into() };
        // A system call for each byte of a long message would take all day.
        for bytes in bytes.chunks(slice.max(bytes.len() / 256)) {
            let Some(link) = self.line(number).link else { return };
            self.sent += bytes.len() as u64;
            let conn = ConnId(number.into());
            let line = self.line(number);
            line.end.sends(bytes);
            while let Ok(Some(decoded)) = line.end.says() {
                line.conduct.input(&match decoded {
                    Decoded::Handshake(handshake) => Input::Handshake { conn, handshake },
                    Decoded::Message(message) => Input::Message { conn, message },
                });
            }
            if !self.sockets.send(link, bytes) {
                self.close(number);
            }
        }
    }

    /// Hears all remotes meanwhile.
    fn wait(&mut self, time: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.sockets.now() + time;
        loop {
            for number in 1..=REMOTES {
                // One that sends as fast as it is heard does not keep us from the others, nor from the clock.
                for _ in 0..MOST_BUFFERS {
                    let Some(link) = self.line(number).link else { break };
                    match self.sockets.hear(link, Duration::ZERO) {
                        Heard::Bytes(bytes) => self.hear(number, &bytes),
                        Heard::Closed => self.close(number),
                        Heard::Nothing => break,
                    }
                    if self.found.is_some() {
                        return;
                    }
                }
            }
            if done(self) || self.sockets.now() >= end || self.sockets.is_over() {
                return;
            }
            self.sockets.sleep(LISTEN);
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn serves(&self, how: Serve) -> Duration {
        if how == Serve::Reject { LISTEN } else { SERVES }
    }
}
