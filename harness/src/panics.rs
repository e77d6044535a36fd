//! Panics, caught with the place where they were. What goes on elsewhere in the process is left to the hook that was
//! there before: a panic that is nobody's finding is shown.

use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// A panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panic {
    /// File and line.
    pub at: String,
    /// Its words.
    pub message: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.message)
    }
}

thread_local! {
    /// `None`: panics of this thread are not ours. Else the last one.
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `what`; a panic in it, on this thread, says nothing on standard error.
pub fn caught<T>(what: impl FnOnce() -> T) -> Result<T, Panic> {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = CAUGHT.with_borrow_mut(|caught| {
                let Some(caught) = caught else { return false };
                let place = info.location();
                caught.at = place.map_or_else(|| "?".into(), |at| format!("{}:{}", at.file(), at.line()));
                caught.message = info.payload_as_str().unwrap_or("without words").to_owned();
                true
            });
            if !ours {
                before(info);
            }
        }));
    });
    CAUGHT.set(Some(Panic::default()));
    let result = panic::catch_unwind(AssertUnwindSafe(what));
    let caught = CAUGHT.take();
    result.map_err(|panic| {
        let caught = caught.unwrap_or_default();
        if !caught.at.is_empty() {
            return caught;
        }
        // It was on a thread that this one waited for, which has shown it.
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words");
        Panic { at: "another thread".to_owned(), message: text.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_place_and_words() {
        assert_eq!(caught(|| 3), Ok(3));
        let panic = caught(|| panic!("number {}", 4)).unwrap_err();
        assert_eq!(panic.message, "number 4");
        assert!(panic.at.contains("panics.rs:"), "{panic}");
    }

    #[test]
    fn a_panic_of_another_thread_is_left_to_the_hook_and_known_by_its_words() {
        let panic = caught(|| {
            let thread = std::thread::spawn(|| panic!("elsewhere"));
            let result = thread.join();
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        assert_eq!(panic.unwrap_err().to_string(), "at another thread: elsewhere");
    }
}
