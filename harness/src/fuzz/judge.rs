//! What is held of the peer in memory, whatever is said to it: it keeps to the rules, its outputs to one input and the
//! inputs that a step leads to have an end, and it holds no more memory than what came in accounts for. All is counted
//! and nothing timed, so that a dialogue always comes to the same verdict.

use engine::Layout;
use engine::peer::{Input, Output};

use super::dialogue::REMOTES;
use super::finding::Finding;
use super::memory::Meter;
use crate::conduct::Conduct;

/// The most outputs to one input, and as many more as the torrent has pieces, for each remote.
const MOST_OUTPUTS: usize = 2_000;
/// The most inputs that may follow a step or a request that is served, or come in an hour of virtual time; and as many
/// more for each piece and each block.
const MOST_INPUTS: u64 = 20_000;
const INPUTS_PER_PIECE: u64 = 50;
/// What the peer may hold by its own account, whatever comes in, in bytes; for each piece of the torrent; and for each
/// byte that came in: a connection is some hundred bytes for a handshake of 68, a request some fifty for 17.
const HOLDS: u64 = 128 << 10;
const HOLDS_PER_PIECE: u64 = 400;
const HOLDS_PER_BYTE: u64 = 16;
/// What whatever is metered may grow by: the decoders' own limits, of all remotes, and some times what came in.
const METERED: u64 = 12 << 20;
const METERED_PER_BYTE: u64 = 8;

/// See the module.
pub(super) struct Judge {
    /// The first that is wrong.
    pub found: Option<Finding>,
    conduct: Conduct,
    layout: Layout,
    /// What is metered, and what that was at the start.
    meter: Option<(Meter, u64)>,
    received: u64,
    inputs: u64,
    outputs: usize,
}

impl Judge {
    pub fn new(layout: Layout, meter: Option<Meter>) -> Self {
        Self {
            found: None,
            conduct: Conduct::new(layout),
            layout,
            meter: meter.map(|meter| (meter, meter())),
            received: 0,
            inputs: 0,
            outputs: 0,
        }
    }

    /// Something is wrong. What is found first counts.
    pub fn find(&mut self, finding: Finding) {
        self.found.get_or_insert(finding);
    }

    /// A step begins, or a request is to be served.
    pub fn step(&mut self) {
        self.inputs = 0;
    }

    /// A remote sends so many bytes.
    pub fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The peer is about to be told; false if it has been told enough.
    pub fn input(&mut self, input: &Input) -> bool {
        (self.inputs, self.outputs) = (self.inputs + 1, 0);
        let size = u64::from(self.layout.pieces()) + self.layout.total() / u64::from(engine::BLOCK);
        if self.inputs > MOST_INPUTS + INPUTS_PER_PIECE * size {
            self.find(Finding::Hang);
            return false;
        }
        self.conduct.input(input);
        true
    }

    /// The peer says something; false if it has said enough.
    pub fn output(&mut self, output: &Output) -> bool {
        self.outputs += 1;
        if self.outputs > MOST_OUTPUTS + 2 * self.layout.pieces() as usize * usize::from(REMOTES + 1) {
            self.find(Finding::Flood(self.outputs));
            return false;
        }
        let broken = self.conduct.breaches().len();
        self.conduct.output(output);
        if let Some(breach) = self.conduct.breaches().get(broken) {
            let by = breach.by.chars().take(200).collect();
            self.find(Finding::Breach { rule: breach.rule, by });
        }
        true
    }

    /// The peer has said all, and holds so many bytes by its own account.
    pub fn settled(&mut self, holds: u64) {
        let own = HOLDS + HOLDS_PER_PIECE * u64::from(self.layout.pieces()) + HOLDS_PER_BYTE * self.received;
        if holds > own {
            self.find(Finding::Memory(holds));
        }
        if let Some((meter, before)) = self.meter {
            let held = meter().saturating_sub(before);
            if held > METERED + METERED_PER_BYTE * self.received {
                self.find(Finding::Memory(held));
            }
        }
    }
}
