//! A choking policy of one's own against two that ship: `cargo run --release --example my_choker`.
//!
//! It unchokes whoever has the fewest pieces. Does charity make the swarm faster, or the free riders?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::choker::{Choker, FactoryOf, Facts, Round};
use engine::{ConnId, Rng};
use simulator::runner::{self, Settings};
use simulator::scenario::{Registry, Scenario};

/// Unchokes the neediest.
#[derive(Debug)]
struct Charity;

impl Choker for Charity {
    fn decide(&mut self, round: &Round, peers: &[Facts], _: &mut Rng, unchoke: &mut Vec<ConnId>) {
        let waiting = peers.iter().filter(|peer| peer.interested);
        let mut ranked: Vec<_> = waiting.map(|peer| (peer.pieces, peer.conn)).collect();
        ranked.sort_unstable();
        unchoke.extend(ranked.iter().take(round.slots).map(|&(_, conn)| conn));
    }
}

const SCENARIO: &str = r#"
    # Does it help to serve whoever has least?
    content.size = "16 MiB"
    charts = ["speed-by-group", "share-ratio", "completion"]
    groups.seed = { role = "seed", up = "4 Mbit/s" }
    groups.slow = { count = 15, up = "1 Mbit/s", down = "20 Mbit/s" }
    groups.fast = { count = 15, up = "4 Mbit/s", down = "20 Mbit/s" }
    groups.free-riders = { count = 10, up = "4 Mbit/s", down = "20 Mbit/s", choker = "never", seed-choker = "never" }
    sweep."groups.slow,fast.choker" = ["tit-for-tat", "random", "charity"]
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().with_choker(Arc::new(FactoryOf::new("charity", || Charity)));
    let scenario = Scenario::parse_with("my-choker.toml", SCENARIO, Path::new("."), &[], &registry)?;
    let settings = Settings { jobs: std::thread::available_parallelism()?.get(), ..Settings::default() };
    let record = runner::run_all(&scenario, &settings, None, &AtomicBool::new(false), |_| {})?;
    print!("{}", reports::table::summary(&record));
    for path in reports::write(&record, Path::new("out/my-choker"))? {
        println!("{}", path.display());
    }
    Ok(())
}
