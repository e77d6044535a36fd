//! Closed forms that runs are held against.

/// No swarm can have the last of `leechers` leechers finish sooner than this many seconds after the first
/// arrival: max(F/Σu_s, F/d_min, N·F/(Σu_s + Σu_i)) (Kumar and Ross, HotWeb 2006). Sizes in bytes, rates in
/// bytes a second; `slowest`: the slowest downlink, `None` if unlimited.
pub fn bound(content: f64, seeds_up: f64, leechers_up: f64, slowest: Option<f64>, leechers: f64) -> f64 {
    let by_seed = content / seeds_up;
    let by_downlink = slowest.map_or(0.0, |down| content / down);
    let by_all = leechers * content / (seeds_up + leechers_up);
    by_seed.max(by_downlink).max(by_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kumar_ross_table() {
        // u_s = 10 u, F/u = 1: 0.500, 0.750, 0.909, 0.990 at N = 10, 30, 100, 1000.
        for (n, expected) in [(10.0, 0.5), (30.0, 0.75), (100.0, 0.909), (1000.0, 0.990)] {
            let time = bound(1.0, 10.0, n, None, n);
            assert!((time - expected).abs() < 5e-4, "N={n}: {time}");
        }
    }
}
