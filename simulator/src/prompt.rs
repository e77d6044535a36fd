//! Inputs without delay: what a host is told at once of what its peer has said, first to last. They are made where they
//! lie and read there, as the processor waits where what was written field by field is copied in larger parts.

use engine::peer::Input;

/// See the module. What was read stays until all is, as something that holds nothing.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    list: Vec<Input>,
    /// Of `list`, those that were read.
    read: usize,
}

impl Prompt {
    /// Whether there is nothing to be told.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds what `make` makes.
    #[inline(always)]
    pub fn push_with(&mut self, make: impl FnOnce() -> Input) {
        if self.list.len() < self.list.capacity() {
            self.list.push(make());
        } else {
            self.grow(make());
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, input: Input) {
        self.list.push(input);
    }

    /// The next one, to be taken from where it is; `None` once there is none, and none is kept any more.
    #[inline]
    pub fn next(&mut self) -> Option<&mut Input> {
        if self.read == self.list.len() {
            self.read = 0;
            self.list.clear();
            return None;
        }
        self.read += 1;
        self.list.get_mut(self.read - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ConnId;

    #[test]
    fn what_comes_meanwhile_is_told_after_what_was_there() {
        let mut prompt = Prompt::default();
        let mut told = Vec::new();
        let closed = |n| Input::Closed { conn: ConnId(n) };
        for round in 0..3 {
            (0..3).for_each(|n| prompt.push_with(|| closed(n)));
            while let Some(input) = prompt.next() {
                let Input::Closed { conn } = std::mem::replace(input, Input::Timeout) else {
                    panic!("{round}")
                };
                told.push(conn.0);
                if conn.0 < 2 {
                    prompt.push_with(|| closed(conn.0 + 10));
                }
            }
            assert!(prompt.is_empty());
            assert_eq!(std::mem::take(&mut told), [0, 1, 2, 10, 11], "{round}");
        }
    }
}
