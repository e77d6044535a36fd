//! From a seed to a scenario, as the text of a scenario file.
//!
//! As swarm testing has it (Groce et al., ISSTA 2012), a seed first draws which kinds of trouble there may be at all:
//! a run with a few kinds at a time reaches states that a run with all of them seldom does.

use std::fmt::Write as _;

use engine::rng::{Rng, below, unit};
use engine::{Seed, choker, picker};

/// The kinds of fault that may be drawn; each is in about a quarter of the runs.
const FAULTS: [&str; 9] = [
    "partition",
    "tracker-outage",
    "delay",
    "lost-connections",
    "double-connections",
    "slow-disk",
    "read-errors",
    "hash-failures",
    "restart",
];
/// Those who misbehave; each is in about a quarter of the runs.
const MISBEHAVIOURS: [&str; 3] = ["polluter", "liar", "staller"];
/// Faults happen within this many seconds, so that a partition may outlast every timeout.
const BUSY: u32 = 600;
/// What an honest peer is given after that, in seconds; see `checkers::finish`.
const CALM: u64 = 3 * 3600;

/// The share of the seeds that draw a crowd, and how many times as many its leechers are.
const CROWDS: (f64, u32) = (0.08, 6);

/// The scenario that `seed` draws. Its runs are small: up to about 30 peers, or 150 in a crowd, and 4 MiB.
pub fn draw(seed: u64) -> String {
    let crowd = unit(&mut Seed(seed).derive("crowd", 0).rng()) < CROWDS.0;
    let times = if crowd { CROWDS.1 } else { 1 };
    let mut draw = Draw {
        rng: Seed(seed).derive("torture", 0).rng(),
        words: Words::draw(&mut Seed(seed).derive("extensions", 0).rng()),
        extensions: Seed(seed).derive("extensions", 1).rng(),
        out: String::new(),
        times,
    };
    draw.scenario(seed);
    draw.out
}

/// The chance of each kind of [`Words`].
const OFTEN: f64 = 0.25;

/// What some peers of a run speak, or do not, that by default all do, or none.
#[derive(Clone, Copy, Debug)]
struct Words {
    /// Some tell each other of peers (BEP 11).
    pex: bool,
    /// Some let newcomers have pieces while they are choked (BEP 6).
    allowed: bool,
    /// Some do not speak the fast extension (BEP 6).
    plain: bool,
    /// Some do not speak the extension protocol (BEP 10).
    terse: bool,
}

impl Words {
    fn draw(rng: &mut Rng) -> Self {
        let mut chance = || unit(rng) < OFTEN;
        Self { pex: chance(), allowed: chance(), plain: chance(), terse: chance() }
    }
}

struct Draw {
    rng: Rng,
    words: Words,
    /// What the words are drawn from: a stream of its own, so that whatever else a seed draws does not depend on them.
    extensions: Rng,
    out: String,
    /// How many times as many leechers as otherwise.
    times: u32,
}

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        below(&mut self.rng, bound)
    }

    fn chance(&mut self, chance: f64) -> bool {
        unit(&mut self.rng) < chance
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }

    fn key(&mut self, key: &str, value: impl std::fmt::Display) {
        // A String takes whatever is written to it.
        let _ = writeln!(self.out, "{key} = {value}");
    }

    fn text(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key, format_args!("\"{value}\""));
    }

    fn scenario(&mut self, seed: u64) {
        let _ = writeln!(self.out, "# Torture, seed {seed}.\n");
        self.key("seed", seed >> 1);
        self.key("replicates", 1);
        self.text("sample-every", "10 s");
        self.text("until", "time-limit");
        self.text("time-limit", format_args!("{} s", u64::from(BUSY) + CALM));
        self.out.push_str("\n[content]\n");
        // Not a whole number of pieces, nor of blocks, but now and then.
        let size = match self.below(10) {
            0 => 1 + self.below(64 << 10),
            1 => (1 + self.below(64)) << 16,
            _ => (64 << 10) + self.below(4 << 20),
        };
        self.text("size", format_args!("{size} B"));
        let piece = self.of(&[16, 32, 64, 128, 256]);
        self.text("piece", format_args!("{piece} KiB"));
        self.network();
        self.tracker();
        let groups = self.groups();
        self.faults(&groups);
    }

    fn network(&mut self) {
        self.out.push_str("\n[network]\n");
        let latency = match self.below(4) {
            0 => "\"1 ms\"".to_owned(),
            1 => "\"planetlab\"".to_owned(),
            2 => "{ from = \"2 ms\", to = \"300 ms\" }".to_owned(),
            _ => format!("\"{} ms\"", 1 + self.below(150)),
        };
        self.key("latency", latency);
        if self.chance(0.3) {
            let jitter = 1 + self.below(200);
            self.text("jitter", format_args!("{jitter} ms"));
        }
        match self.below(3) {
            0 => self.text("transport", "ideal"),
            1 => {
                let (loss, window) = (self.below(30), self.of(&[64, 256, 1024]));
                self.text("loss", format_args!("0.{loss} %"));
                self.text("window", format_args!("{window} KiB"));
            }
            _ => {}
        }
        let hash_rate = self.of(&["unlimited", "500 MB/s", "10 MB/s", "1 MB/s"]);
        self.text("hash-rate", hash_rate);
    }

    fn tracker(&mut self) {
        self.out.push_str("\n[tracker]\n");
        let (interval, most) = (self.of(&[2, 10, 30]), self.of(&[3, 10, 50]));
        self.text("interval", format_args!("{interval} min"));
        self.key("max-peers", most);
        if self.chance(0.1) {
            self.text("returns", "seeds");
        }
        let latency = 1 + self.below(500);
        self.text("latency", format_args!("{latency} ms"));
    }

    /// The groups, with whether each is of seeds.
    fn groups(&mut self) -> Vec<(String, bool)> {
        let mut groups = vec![("seeds".to_owned(), true)];
        let count = 1 + self.below(3);
        self.group("seeds", count);
        self.text("role", "seed");
        // Most of the time somebody with everything stays, or nothing could be said of who finishes.
        if self.chance(0.15) {
            let stay = 30 + self.below(300);
            self.key("leave", format_args!("{{ after = \"{stay} s\" }}"));
        }
        for number in 0..1 + self.below(3) {
            let name = format!("leechers-{number}");
            let count = self.times * (1 + self.below(8));
            self.group(&name, count);
            self.leechers();
            groups.push((name, false));
        }
        for kind in MISBEHAVIOURS {
            if self.chance(0.25) {
                let seed = self.chance(0.3);
                let count = 1 + self.below(3);
                self.group(kind, count);
                self.text("behaviour", kind);
                if seed && kind != "liar" {
                    self.text("role", "seed");
                }
                groups.push((kind.to_owned(), seed && kind != "liar"));
            }
        }
        groups
    }

    /// What every group has.
    fn group(&mut self, name: &str, count: u32) {
        let _ = writeln!(self.out, "\n[groups.{name}]");
        self.key("count", count);
        let up = 20 + self.below(1000);
        self.text("up", format_args!("{up} kB/s"));
        if self.chance(0.5) {
            let down = 50 + self.below(4000);
            self.text("down", format_args!("{down} kB/s"));
        }
        // A group in ten gives nothing as long as it lacks something.
        let rides = self.chance(0.1);
        let fair = |name: &&str| *name != "never";
        let chokers: Vec<&str> = choker::NAMES.iter().map(|known| known.0).filter(fair).collect();
        let pickers: Vec<&str> = picker::NAMES.iter().map(|known| known.0).collect();
        for (key, names) in [("choker", &chokers), ("seed-choker", &chokers), ("picker", &pickers)] {
            if key == "choker" && rides {
                self.text(key, "never");
            } else if self.chance(0.5) {
                let name = self.of(names);
                self.text(key, name);
            }
        }
        if self.chance(0.5) {
            let slots = 1 + self.below(6);
            self.key("slots", slots);
        }
        if self.chance(0.4) {
            let connections = 2 + self.below(40);
            self.key("connections", connections);
        }
        if self.chance(0.2) {
            let latency = self.below(100);
            self.text("latency", format_args!("{latency} ms"));
        }
        if self.chance(0.1) {
            let depth = self.of(&[1, 2, 16, 250]);
            self.key("pipeline", depth);
        }
        self.words();
    }

    /// What a group speaks.
    fn words(&mut self) {
        std::mem::swap(&mut self.rng, &mut self.extensions);
        let (plain, terse) = (self.words.plain && self.chance(0.5), self.words.terse && self.chance(0.4));
        let allowed = self.words.allowed && !plain && self.chance(0.7);
        if plain {
            self.key("fast", false);
        }
        if allowed {
            let pieces = 1 + self.below(12);
            self.key("allowed-fast", pieces);
        }
        if terse {
            self.key("extended", false);
        } else if self.words.pex && self.chance(0.8) {
            self.key("pex", true);
        }
        std::mem::swap(&mut self.rng, &mut self.extensions);
    }

    fn leechers(&mut self) {
        let arrival = match self.below(5) {
            0 => format!("{{ evenly = {{ to = \"{} s\" }} }}", 1 + self.below(120)),
            1 => format!("{{ poisson = {{ rate = \"0.{} /s\" }} }}", 1 + self.below(9)),
            2 => format!("{{ flash-crowd = {{ decay = \"{} s\" }} }}", 1 + self.below(30)),
            3 => format!("{{ at = \"{} s\" }}", self.below(60)),
            _ => "{ at = \"1 s\" }".to_owned(),
        };
        self.key("arrival", arrival);
        let leave = match self.below(8) {
            0 => "\"on-completion\"".to_owned(),
            1 => format!("{{ after = \"{} s\" }}", self.below(120)),
            2 => format!("{{ after-exponential = \"{} s\" }}", 1 + self.below(60)),
            3 => format!("{{ at-ratio = {}.{} }}", self.below(2), 1 + self.below(9)),
            _ => "\"never\"".to_owned(),
        };
        self.key("leave", leave);
        if self.chance(0.15) {
            let rate = 1 + self.below(60);
            self.text("abort-rate", format_args!("{rate} /h"));
        }
        if self.chance(0.2) {
            let share = 20 + self.below(80);
            self.text("reachable", format_args!("{share} %"));
        }
        if self.chance(0.2) {
            let share = 5 + self.below(90);
            self.text("start-with", format_args!("{share} %"));
        }
    }

    fn faults(&mut self, groups: &[(String, bool)]) {
        let kinds: Vec<&str> = FAULTS.into_iter().filter(|_| self.chance(0.25)).collect();
        for kind in kinds {
            for number in 0..1 + self.below(2) {
                self.fault(kind, number, groups);
            }
        }
    }

    fn fault(&mut self, kind: &str, number: u32, groups: &[(String, bool)]) {
        let _ = writeln!(self.out, "\n[faults.{kind}-{number}]");
        let keep = if self.chance(0.5) { 100 } else { self.below(100) };
        let rate = 1 + self.below(20);
        let chance = 1 + self.below(20);
        let millis = 1 + self.below(1000);
        let what = match kind {
            "partition" | "tracker-outage" => format!("\"{kind}\""),
            "delay" => format!("{{ delay = \"{millis} ms\" }}"),
            "slow-disk" => format!("{{ slow-disk = \"{} ms\" }}", 1 + millis / 10),
            "lost-connections" => format!("{{ lost-connections = \"{rate} /min\" }}"),
            "double-connections" => format!("{{ double-connections = \"{} %\" }}", 5 * chance),
            "restart" => {
                let (down, crash) = (self.below(90), self.chance(0.5));
                format!("{{ restart = {{ down = \"{down} s\", keep = \"{keep} %\", crash = {crash} }} }}")
            }
            _ => format!("{{ {kind} = \"{chance} %\" }}"),
        };
        self.key("what", what);
        // Seeds keep what they have.
        let forgets = kind == "restart" && keep < 100;
        let mut named: Vec<&str> = Vec::new();
        for (name, seed) in groups {
            if !(forgets && *seed) && self.chance(0.6) {
                named.push(name);
            }
        }
        if named.is_empty() && forgets {
            named.push("leechers-0");
        }
        if !named.is_empty() {
            let list = named.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            self.key("groups", format_args!("[{list}]"));
        }
        if self.chance(0.6) {
            let share = 10 + self.below(90);
            self.text("share", format_args!("{share} %"));
        }
        let from = self.below(BUSY - 60);
        // Mostly short, sometimes to the end.
        let longest = if self.chance(0.7) { 120.min(BUSY - from) } else { BUSY - from };
        let to = from + 1 + self.below(longest);
        self.text("from", format_args!("{from} s"));
        self.text("to", format_args!("{to} s"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::scenario::Scenario;

    #[test]
    fn every_seed_draws_a_scenario_that_can_be_run() {
        let mut kinds = std::collections::BTreeSet::new();
        let (mut peers, mut words) = (Vec::new(), std::collections::BTreeSet::new());
        for seed in (0..500).chain([u64::MAX, 1 << 63]) {
            let text = draw(seed);
            assert_eq!(text, draw(seed), "seed {seed} draws one scenario");
            let scenario = Scenario::parse("drawn.toml", &text, ".".as_ref(), &[])
                .unwrap_or_else(|error| panic!("seed {seed}: {}\n{text}", error.render()));
            let spec = &scenario.points()[0].spec;
            kinds.extend(spec.faults.iter().map(|fault| fault.what.name()));
            kinds.extend(spec.groups.iter().map(|group| group.behaviour.name()));
            peers.push(spec.groups.iter().map(|group| group.count).sum::<u32>());
            for group in &spec.groups {
                let said = [!group.fast, !group.extended, group.allowed_fast > 0, group.pex];
                words.extend(said.iter().enumerate().filter(|(_, said)| **said).map(|(word, _)| word));
            }
        }
        assert_eq!(words.len(), 4, "there are those without BEP 6, without BEP 10, with gifts, with BEP 11");
        assert_eq!(kinds.len(), FAULTS.len() + MISBEHAVIOURS.len() + 1, "every kind is drawn: {kinds:?}");
        assert!(peers.iter().all(|count| (2..=160).contains(count)), "{peers:?}");
        assert!(peers.iter().any(|count| *count > 80), "a crowd now and then: {peers:?}");
    }
}
