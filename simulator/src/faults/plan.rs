//! The faults of a run, with the hosts that each befalls.

use engine::Seed;
use engine::rng::unit;

use crate::context::nanos;
use crate::spec::Spec;

use super::What;

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    what: What,
    from: u64,
    to: u64,
    /// By host.
    befalls: Vec<bool>,
    seed: Seed,
}

impl Plan {
    /// The faults of `spec` among hosts of these groups; `None` if there are none.
    pub fn new(spec: &Spec, seed: Seed, group_of: &[u32]) -> Option<Box<Self>> {
        if spec.faults.is_empty() {
            return None;
        }
        let planned = spec.faults.iter().enumerate().map(|(number, fault)| {
            let seed = seed.derive("fault", number as u64);
            let mut rng = seed.rng();
            let befalls = group_of.iter().map(|&group| {
                // One draw for each, whether it may be befallen or not.
                let drawn = unit(&mut rng) < fault.share;
                drawn && fault.groups.contains(&(group as usize))
            });
            let (from, to) = (nanos(fault.from), nanos(fault.to));
            Planned { what: fault.what, from, to, befalls: befalls.collect(), seed }
        });
        Some(Box::new(Self { faults: planned.collect() }))
    }

    /// The numbers of the faults that befall a host, now or later.
    pub fn of(&self, host: u32) -> impl Iterator<Item = usize> {
        let befallen = move |(_, fault): &(usize, &Planned)| fault.befalls[host as usize];
        self.faults.iter().enumerate().filter(befallen).map(|(number, _)| number)
    }

    /// What goes wrong with `host` at `now`.
    fn at(&self, host: u32, now: u64) -> impl Iterator<Item = &What> {
        let on = move |fault: &&Planned| fault.from <= now && now < fault.to && fault.befalls[host as usize];
        self.faults.iter().filter(on).map(|fault| &fault.what)
    }

    /// How much longer than usual it takes what `from` sends to `to` at `now`.
    pub fn extra(&self, from: u32, to: u32, now: u64) -> u64 {
        let parts = |fault: &&Planned, time: u64| {
            fault.what == What::Partition
                && fault.from <= time
                && time < fault.to
                && fault.befalls[from as usize] != fault.befalls[to as usize]
        };
        let mut open = now;
        // One may begin while another lasts.
        while let Some(fault) = self.faults.iter().find(|fault| parts(fault, open)) {
            open = fault.to;
        }
        let slower = self.at(from, now).map(|what| if let What::Delay(by) = what { nanos(*by) } else { 0 });
        (open - now).saturating_add(slower.sum())
    }

    /// Whether the tracker answers `host`.
    pub fn tracker_answers(&self, host: u32, now: u64) -> bool {
        !self.at(host, now).any(|what| *what == What::TrackerOutage)
    }

    /// How much longer the disk of `host` takes.
    pub fn disk(&self, host: u32, now: u64) -> u64 {
        self.at(host, now).map(|what| if let What::SlowDisk(by) = what { nanos(*by) } else { 0 }).sum()
    }

    /// The chance that a dial of `host` makes two connections.
    pub fn double(&self, host: u32, now: u64) -> f64 {
        self.chance(host, now, |what| if let What::DoubleConnections(chance) = what { *chance } else { 0.0 })
    }

    /// The chance that `host` cannot read a block.
    pub fn unread(&self, host: u32, now: u64) -> f64 {
        self.chance(host, now, |what| if let What::ReadErrors(chance) = what { *chance } else { 0.0 })
    }

    /// The chance that a good piece of `host` fails its hash.
    pub fn misread(&self, host: u32, now: u64) -> f64 {
        self.chance(host, now, |what| if let What::HashFailures(chance) = what { *chance } else { 0.0 })
    }

    fn chance(&self, host: u32, now: u64, of: impl Fn(&What) -> f64) -> f64 {
        self.at(host, now).map(of).fold(0.0, f64::max)
    }

    /// When fault number `number` is to do something to `host` for the first time; `None` if it waits for what the
    /// host does.
    pub fn first(&self, number: usize, host: u32) -> Option<u64> {
        let fault = &self.faults[number];
        let mut rng = fault.seed.derive("moment", u64::from(host)).rng();
        match fault.what {
            What::Restart { .. } => {
                Some(fault.from + ((fault.to - fault.from) as f64 * unit(&mut rng)) as u64)
            }
            What::LostConnections(rate) if rate > 0.0 => {
                let wait = crate::population::exponential(&mut rng, 1.0 / rate) * 1e9;
                Some(fault.from.saturating_add(wait as u64)).filter(|at| *at < fault.to)
            }
            _ => None,
        }
    }

    /// What fault number `number` does, and until when.
    pub fn what(&self, number: usize) -> (What, u64) {
        let fault = &self.faults[number];
        (fault.what, fault.to)
    }
}
