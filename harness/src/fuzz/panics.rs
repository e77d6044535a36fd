//! Panics, caught with the place where they were. What goes on elsewhere in the process is left to the hook that was
//! there before.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::finding::Finding;

thread_local! {
    /// `None`: panics of this thread are not ours. Else the last one's place and words.
    static CAUGHT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `what`; a panic in it is a finding, and says nothing on standard error.
pub fn caught(what: impl FnOnce()) -> Result<(), Finding> {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = CAUGHT.with_borrow_mut(|caught| {
                let Some((at, message)) = caught else { return false };
                let place = info.location();
                *at = place.map_or_else(|| "?".into(), |at| format!("{}:{}", at.file(), at.line()));
                *message = info.payload_as_str().unwrap_or("without words").to_owned();
                true
            });
            if !ours {
                before(info);
            }
        }));
    });
    CAUGHT.set(Some(Default::default()));
    let result = panic::catch_unwind(AssertUnwindSafe(what));
    let caught = CAUGHT.take();
    match (result, caught) {
        (Ok(()), _) => Ok(()),
        (Err(_), caught) => {
            let (at, message) = caught.unwrap_or_default();
            Err(Finding::Panic { at, message })
        }
    }
}
