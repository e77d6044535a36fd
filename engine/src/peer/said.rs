//! What a peer has said and its driver has not yet heard, first to last.

use crate::wire::Message;

use super::seam::{Event, Output};

/// A buffer of them; `None` is an empty one. Behind a pointer, so that an exchange is one of pointers.
pub type Outputs = Option<Box<Said>>;

/// A list that is read from its front, and begins anew once all of it is read: what is said to one input is taken before
/// the next, so that it need not go round.
#[derive(Debug, Default)]
pub struct Said {
    list: Vec<Output>,
    /// Of `list`, those that were taken.
    taken: usize,
}

impl Said {
    /// Whether nothing is left to be heard.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds one.
    #[inline]
    pub fn push(&mut self, output: Output) {
        self.list.push(output);
    }

    /// Takes the next one.
    pub fn pop(&mut self) -> Option<Output> {
        // What stands in for it says nothing and is never seen.
        let next = std::mem::replace(self.list.get_mut(self.taken)?, Output::Event(Event::EndgameStarted));
        self.taken += 1;
        if self.taken == self.list.len() {
            self.list.clear();
            self.taken = 0;
        }
        Some(next)
    }

    /// Shows each that is left to `hear`, where it lies, and forgets all. To take them out one by one would have the processor
    /// copy each, and wait: what was written field by field does not come back in larger parts before it has left for the cache.
    #[inline(always)]
    pub fn consume(&mut self, mut hear: impl FnMut(&Output)) {
        for output in &mut self.list[self.taken..] {
            hear(output);
            let_go(output);
        }
        self.taken = 0;
        // Nothing in them is left to be let go, and that is not asked again.
        self.list.drain(..).for_each(std::mem::forget);
    }

    /// Bytes.
    pub(crate) fn footprint(&self) -> u64 {
        size_of::<Self>() as u64 + super::of(&self.list)
    }
}

impl Extend<Output> for Said {
    fn extend<I: IntoIterator<Item = Output>>(&mut self, outputs: I) {
        self.list.extend(outputs);
    }
}

/// Lets go what an output has on the heap: of what is said all the time only blocks have anything.
#[inline(always)]
fn let_go(output: &mut Output) {
    match output {
        Output::Send { message: Message::Have(_) | Message::Request(_), .. } | Output::ReadBlock { .. } => {}
        Output::Send { message: Message::Piece { data, .. }, .. } | Output::WriteBlock { data, .. } => {
            drop(std::mem::take(data));
        }
        seldom => drop(std::mem::replace(seldom, Output::Event(Event::EndgameStarted))),
    }
}

/// Adds an output that is said all the time. It is made where there is room for it, field by field: one that is made first
/// and copied then has the processor wait until what it has just written has left for the cache.
#[inline(always)]
pub(crate) fn push_with(outputs: &mut Outputs, make: impl FnOnce() -> Output) {
    match outputs {
        Some(said) if said.list.len() < said.list.capacity() => said.list.push(make()),
        outputs => grow_and_push(outputs, make()),
    }
}

#[cold]
#[inline(never)]
fn grow_and_push(outputs: &mut Outputs, output: Output) {
    outputs.get_or_insert_default().push(output);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::VecDeque;

    use bytes::Bytes;

    use super::*;
    use crate::ids::ConnId;
    use crate::layout::Layout;

    fn output(number: u32) -> Output {
        Output::Event(Event::Snubbed(ConnId(number)))
    }

    fn number(output: &Output) -> u32 {
        match output {
            Output::Event(Event::Snubbed(conn)) => conn.0,
            other => panic!("{other:?} was never said"),
        }
    }

    /// What has a part on the heap lets go of it, whichever way it is heard.
    #[test]
    fn what_is_heard_is_let_go() {
        let bytes = Bytes::from(vec![7; 40]);
        let block = Layout::new(40, 40).unwrap().block(0, 0, 40).unwrap();
        let conn = ConnId(1);
        let mut said = Said::default();
        for taken in 0..4 {
            let data = || bytes.clone();
            said.push(Output::Send { conn, message: Message::Piece { piece: 0, begin: 0, data: data() } });
            said.push(Output::WriteBlock { block, data: data() });
            said.push(Output::Send { conn, message: Message::Have(0) });
            said.push(Output::Send { conn, message: Message::Extended { id: 0, payload: data() } });
            assert!(!bytes.is_unique());
            (0..taken).for_each(|_| drop(said.pop()));
            let mut left = 0;
            said.consume(|_| left += 1);
            assert_eq!((left, said.is_empty(), bytes.is_unique()), (4 - taken, true, true));
        }
    }

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec(0u8..4, 0..60)) {
            let (mut said, mut model, mut next) = (Outputs::None, VecDeque::new(), 0);
            for step in steps {
                match step {
                    0 | 1 => {
                        push_with(&mut said, || output(next));
                        model.push_back(next);
                        next += 1;
                    }
                    2 => {
                        let got = said.as_mut().and_then(|said| said.pop());
                        prop_assert_eq!(got.as_ref().map(number), model.pop_front());
                    }
                    _ => {
                        let mut all = Vec::new();
                        said.iter_mut().for_each(|said| said.consume(|output| all.push(number(output))));
                        prop_assert!(all.into_iter().eq(model.drain(..)));
                    }
                }
                prop_assert_eq!(said.as_ref().is_none_or(|said| said.is_empty()), model.is_empty());
            }
        }
    }
}
