//! What must hold in every run, each part in a file of its own. A checker sees what crosses the seam of every peer
//! (inputs and outputs, in order), the run's specification, and the record at the end; it recomputes from these alone.
//!
//! Honest peers are judged, and the simulator with them. What a peer that misbehaves says is no finding; what others
//! make of it is.

mod answers;
mod blame;
mod books;
mod conduct;
mod finish;
mod footprint;
mod idle;
mod limits;
mod memory;
mod pieces;
pub mod table;
mod tracker;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use engine::peer::{Footprint, Input, Output};
use engine::{Bitfield, Instant, Layout};
use simulator::faults::What;
use simulator::spec::{Behaviour, Group, Spec};
use simulator::{Member, Onlooker, Seam};

use table::Table;

/// The most findings of one run that are kept.
const MOST: usize = 50;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which checker found it.
    pub checker: &'static str,
    /// Which peer is at fault, if one is: its place among the run's peers.
    pub peer: Option<usize>,
    /// When, in nanoseconds of simulated time.
    pub at: u64,
    /// What it is, in a sentence.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: at {:.3} s", self.checker, self.at as f64 / 1e9)?;
        if let Some(peer) = self.peer {
            write!(f, ", peer {peer}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is run.
    pub spec: Arc<Spec>,
    /// How its content is cut.
    pub layout: Layout,
    /// The peers.
    pub members: Vec<Member>,
}

impl Case {
    /// The group of a peer.
    pub fn group(&self, peer: usize) -> &Group {
        &self.spec.groups[self.members[peer].group]
    }

    /// Whether a peer keeps to the protocol.
    pub fn honest(&self, peer: usize) -> bool {
        self.group(peer).behaviour == Behaviour::Honest
    }

    /// The peer at an address.
    pub fn at(&self, ip: IpAddr) -> Option<usize> {
        self.members.iter().position(|member| member.addr.ip() == ip)
    }

    /// Whether a fault like this befalls a peer, at whatever time.
    pub fn befalls(&self, peer: usize, like: impl Fn(&What) -> bool) -> bool {
        self.members[peer].faults.iter().any(|&number| like(&self.spec.faults[number].what))
    }
}

/// One event as a checker sees it: the tables are as they were before it.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The run.
    pub case: &'a Case,
    /// Who is told or speaks.
    pub peer: usize,
    /// When.
    pub now: Instant,
    /// What it had been told and had said.
    pub table: &'a Table,
}

/// Holds one thing.
pub trait Checker: Send {
    /// Its name in findings.
    fn name(&self) -> &'static str;

    /// The peer begins to run, with these pieces; again, if it was restarted.
    fn began(&mut self, sight: Sight<'_>, have: &Bitfield, out: &mut Vec<String>) {
        let _ = (sight, have, out);
    }

    /// The peer is told something.
    fn input(&mut self, sight: Sight<'_>, input: &Input, out: &mut Vec<String>) {
        let _ = (sight, input, out);
    }

    /// The peer says something.
    fn output(&mut self, sight: Sight<'_>, output: &Output, out: &mut Vec<String>) {
        let _ = (sight, output, out);
    }

    /// The peer has said all that it had to say to an input; `table` knows it.
    fn settled(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let _ = (sight, out);
    }

    /// The peer's own account of its memory, whenever its clock has rung.
    fn holds(&mut self, sight: Sight<'_>, footprint: &Footprint, out: &mut Vec<String>) {
        let _ = (sight, footprint, out);
    }

    /// The peer is gone.
    fn ended(&mut self, sight: Sight<'_>, out: &mut Vec<String>) {
        let _ = (sight, out);
    }

    /// The run is over. Findings have the peer they are about, if one is.
    fn finish(
        &mut self,
        case: &Case,
        tables: &[Table],
        run: &record::Run,
        out: &mut Vec<(Option<usize>, String)>,
    ) {
        let _ = (case, tables, run, out);
    }
}

/// All checkers of one run.
pub struct Jury {
    case: Case,
    tables: Vec<Table>,
    /// The peer whose last input may have more to say.
    open: Option<(usize, Instant)>,
    checkers: Vec<Box<dyn Checker>>,
    findings: Vec<Finding>,
    said: Vec<String>,
}

impl Jury {
    /// The checkers of a run.
    pub fn new(case: Case) -> Self {
        let peers = case.members.len();
        let checkers: Vec<Box<dyn Checker>> = vec![
            Box::new(pieces::Pieces::new(&case)),
            Box::new(books::Books::new(peers)),
            Box::new(limits::Limits::new(peers)),
            Box::new(memory::Memory),
            Box::new(footprint::Tables::new(peers)),
            Box::new(conduct::Rules::new(&case)),
            Box::new(answers::Answers::new(peers)),
            Box::new(blame::Blame::new(peers)),
            Box::new(tracker::Announces::new(peers)),
            Box::new(idle::Idle::new(peers)),
            Box::new(finish::Finish),
        ];
        let tables = (0..peers).map(|_| Table::default()).collect();
        Self { case, tables, open: None, checkers, findings: Vec::new(), said: Vec::new() }
    }

    fn each(
        &mut self,
        peer: usize,
        now: Instant,
        mut ask: impl FnMut(&mut dyn Checker, Sight<'_>, &mut Vec<String>),
    ) {
        let sight = Sight { case: &self.case, peer, now, table: &self.tables[peer] };
        for checker in &mut self.checkers {
            ask(checker.as_mut(), sight, &mut self.said);
            for what in self.said.drain(..) {
                if self.findings.len() < MOST {
                    let at = now.as_nanos();
                    self.findings.push(Finding { checker: checker.name(), peer: Some(peer), at, what });
                }
            }
        }
    }

    fn settle(&mut self) {
        if let Some((peer, now)) = self.open.take() {
            self.each(peer, now, |checker, sight, out| checker.settled(sight, out));
            self.tables[peer].settled();
        }
    }

    fn began(&mut self, peer: usize, now: Instant, have: &Bitfield) {
        self.settle();
        self.each(peer, now, |checker, sight, out| checker.began(sight, have, out));
        self.tables[peer].began(have);
    }

    fn seam(&mut self, peer: usize, now: Instant, seam: Seam<'_>) {
        match seam {
            Seam::Input(input) => {
                self.settle();
                self.each(peer, now, |checker, sight, out| checker.input(sight, input, out));
                self.tables[peer].input(input, now, &self.case.layout);
                self.open = Some((peer, now));
            }
            Seam::Output(output) => {
                self.each(peer, now, |checker, sight, out| checker.output(sight, output, out));
                self.tables[peer].output(output);
            }
        }
    }

    fn holds(&mut self, peer: usize, now: Instant, footprint: &Footprint) {
        self.settle();
        self.each(peer, now, |checker, sight, out| checker.holds(sight, footprint, out));
    }

    fn ended(&mut self, peer: usize, now: Instant) {
        self.settle();
        self.each(peer, now, |checker, sight, out| checker.ended(sight, out));
        self.tables[peer].ended();
    }

    /// What was found, now that the run is over.
    pub fn verdict(mut self, run: &record::Run) -> Vec<Finding> {
        self.settle();
        let at = (run.ended_at * 1e9) as u64;
        let mut said = Vec::new();
        for checker in &mut self.checkers {
            checker.finish(&self.case, &self.tables, run, &mut said);
            let name = checker.name();
            self.findings.extend(said.drain(..).map(|(peer, what)| Finding {
                checker: name,
                peer,
                at,
                what,
            }));
        }
        self.findings.truncate(MOST);
        self.findings
    }

    /// What was found so far, of a run that came to no end.
    pub fn so_far(self) -> Vec<Finding> {
        self.findings
    }
}

/// A jury that can be shown a run and asked afterwards.
#[derive(Clone)]
pub(crate) struct Seat(pub Arc<Mutex<Option<Jury>>>);

impl Seat {
    pub fn new(jury: Jury) -> Self {
        Self(Arc::new(Mutex::new(Some(jury))))
    }

    fn with(&self, tell: impl FnOnce(&mut Jury)) {
        if let Some(jury) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            tell(jury);
        }
    }

    pub fn take(&self) -> Option<Jury> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Onlooker for Seat {
    fn began(&mut self, peer: usize, now: Instant, have: &Bitfield) {
        self.with(|jury| jury.began(peer, now, have));
    }

    fn seam(&mut self, peer: usize, now: Instant, seam: Seam<'_>) {
        self.with(|jury| jury.seam(peer, now, seam));
    }

    fn holds(&mut self, peer: usize, now: Instant, footprint: Footprint) {
        self.with(|jury| jury.holds(peer, now, &footprint));
    }

    fn ended(&mut self, peer: usize, now: Instant) {
        self.with(|jury| jury.ended(peer, now));
    }
}

/// The peers that came, each with what the record says of it.
fn recorded<'a>(
    tables: &'a [Table],
    run: &'a record::Run,
) -> impl Iterator<Item = (usize, &'a record::Peer)> {
    let came = tables.iter().enumerate().filter(|(_, table)| table.lives > 0).map(|(peer, _)| peer);
    came.zip(&run.peers)
}
