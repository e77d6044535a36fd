//! A picker that can be held: while it is, nothing new is begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::picker::{Choice, Picker, PickerFactory};
use engine::{PieceIndex, Rng};

/// Makes pickers that are held together.
#[derive(Debug)]
pub(crate) struct HeldFactory {
    pub inner: Arc<dyn PickerFactory>,
    pub held: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Held {
    inner: Box<dyn Picker>,
    held: Arc<AtomicBool>,
}

impl PickerFactory for HeldFactory {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn build(&self) -> Box<dyn Picker> {
        Box::new(Held { inner: self.inner.build(), held: self.held.clone() })
    }
}

impl Picker for Held {
    fn pick(&mut self, choice: &Choice<'_>, rng: &mut Rng) -> Option<PieceIndex> {
        match self.held.load(Ordering::Relaxed) {
            true => None,
            false => self.inner.pick(choice, rng),
        }
    }
}
