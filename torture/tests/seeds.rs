//! Fixed seeds.

#[test]
fn fixed_seeds_find_nothing() {
    use std::io::Write as _;
    for seed in std::env::var("SEEDS").ok().map_or(0..40, |s| {
        let (a, b) = s.split_once("..").unwrap();
        a.parse().unwrap()..b.parse().unwrap()
    }) {
        let text = torture::draw(seed);
        let outcome = torture::trial("drawn.toml", &text).unwrap();
        let _ = writeln!(
            std::io::stderr(),
            "seed {seed}: {} findings, {} events, {} B",
            outcome.findings.len(),
            outcome.events,
            outcome.delivered
        );
        for finding in outcome.findings.iter().take(6) {
            let _ = writeln!(std::io::stderr(), "   {finding}");
        }
    }
}
