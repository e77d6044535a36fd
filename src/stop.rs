//! Ctrl-C: the first asks the runs to stop, the second ends the process where it stands.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Watches for Ctrl-C (and a polite request to end) from here on; the flag it sets.
pub fn watch() -> &'static AtomicBool {
    let on_signal = || {
        if STOP.swap(true, Ordering::Relaxed) {
            // Clients that were started have process groups of their own, which no Ctrl-C reaches.
            harness::launch::kill_all();
            std::process::exit(130);
        }
    };
    // Where signals cannot be watched, Ctrl-C ends the process at once: worse, and no reason not to run.
    let _ = ctrlc::set_handler(on_signal);
    &STOP
}
