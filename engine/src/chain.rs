//! Many short queues in one table: what is requested over each connection of a peer, and what is requested of us; what a
//! simulated link has queued for each. A buffer for each would hold the most that its connection ever had, and lie anywhere; a peer's connections take turns,
//! so that one table for all is small, and what one event has brought into the cache serves the next.

use crate::peer::{grow, of};

/// No node.
const NONE: u32 = u32::MAX;

/// One queue in a [`Pool`]: 8 bytes. The last node names the first, so that both ends are at hand.
///
/// A chain belongs to the pool that its first value was put into; it is to be cleared before it is let go.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    tail: u32,
    len: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { tail: NONE, len: 0 }
    }
}

impl Chain {
    /// Values in it.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    value: T,
    next: u32,
}

/// The table. See the module.
#[derive(Debug)]
pub struct Pool<T> {
    nodes: Vec<Node<T>>,
    /// The first of the nodes that are in no chain.
    free: u32,
    /// Nodes that there is room for once there is one, at the least.
    expected: u32,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: NONE, expected: 0 }
    }
}

impl<T: Copy> Pool<T> {
    /// Asks for the memory of a chain's end.
    #[inline]
    pub fn prefetch(&self, chain: Chain) {
        prefetch::element(&self.nodes, chain.tail as usize);
    }

    /// Asks for the memory of the next value that is put in.
    #[inline]
    pub fn prefetch_free(&self) {
        prefetch::element(&self.nodes, self.free as usize);
    }

    /// Asks for the memory of its beginning, which stands at its end.
    #[inline]
    pub fn prefetch_first(&self, chain: Chain) {
        if let Some(last) = self.nodes.get(chain.tail as usize) {
            prefetch::element(&self.nodes, last.next as usize);
        }
        prefetch::element(&self.nodes, self.free as usize);
    }

    /// Bytes.
    pub fn footprint(&self) -> u64 {
        of(&self.nodes)
    }

    /// So many values may be in it at once: there is to be room for all of them as soon as there is one, rather than in
    /// small steps while the work is done.
    pub fn expect(&mut self, values: usize) {
        self.expected = self.expected.max(values as u32);
        if !self.nodes.is_empty() {
            self.make_room();
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        self.nodes.reserve_exact((self.expected as usize).saturating_sub(self.nodes.len()));
        grow(&mut self.nodes);
    }

    fn insert(&mut self, value: T) -> u32 {
        let node = Node { value, next: NONE };
        match self.nodes.get_mut(self.free as usize) {
            Some(place) => {
                let at = self.free;
                self.free = std::mem::replace(place, node).next;
                at
            }
            None => {
                if self.nodes.len() == self.nodes.capacity() {
                    self.make_room();
                }
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Puts a value behind the others.
    pub fn push_back(&mut self, chain: &mut Chain, value: T) {
        let at = self.insert(value);
        let first = match self.nodes.get_mut(chain.tail as usize) {
            Some(last) => std::mem::replace(&mut last.next, at),
            None => at,
        };
        self.nodes[at as usize].next = first;
        chain.tail = at;
        chain.len += 1;
    }

    /// Takes the node out that stands behind `before`.
    fn remove_after(&mut self, chain: &mut Chain, before: u32) -> T {
        let at = self.nodes[before as usize].next;
        let Node { value, next } = self.nodes[at as usize];
        if !planted!(RequestKept) {
            self.nodes[at as usize].next = self.free;
            self.free = at;
        }
        chain.len -= 1;
        if chain.len == 0 {
            chain.tail = NONE;
        } else {
            self.nodes[before as usize].next = next;
            if chain.tail == at {
                chain.tail = before;
            }
        }
        value
    }

    /// Takes the first value out, if there is one.
    pub fn pop_front(&mut self, chain: &mut Chain) -> Option<T> {
        (!chain.is_empty()).then(|| self.remove_after(chain, chain.tail))
    }

    /// Takes the first value out that is `wanted`.
    pub fn take(&mut self, chain: &mut Chain, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut before = chain.tail;
        for _ in 0..chain.len {
            let at = self.nodes[before as usize].next;
            if wanted(&self.nodes[at as usize].value) {
                return Some(self.remove_after(chain, before));
            }
            before = at;
        }
        None
    }

    /// The values, first to last.
    pub fn iter(&self, chain: Chain) -> impl Iterator<Item = &T> {
        let mut at = chain.tail;
        (0..chain.len).map(move |_| {
            at = self.nodes[at as usize].next;
            &self.nodes[at as usize].value
        })
    }

    /// Shows each value, first to last, until `done` says so of one.
    pub fn visit(&mut self, chain: Chain, mut done: impl FnMut(&mut T) -> bool) -> bool {
        let mut at = chain.tail;
        (0..chain.len).any(|_| {
            at = self.nodes[at as usize].next;
            done(&mut self.nodes[at as usize].value)
        })
    }

    /// Keeps of the values those that `keep` says.
    pub fn retain(&mut self, chain: &mut Chain, mut keep: impl FnMut(&T) -> bool) {
        let mut before = chain.tail;
        for _ in 0..chain.len {
            let at = self.nodes[before as usize].next;
            if keep(&self.nodes[at as usize].value) {
                before = at;
            } else {
                self.remove_after(chain, before);
            }
        }
    }

    /// Takes all values out.
    pub fn clear(&mut self, chain: &mut Chain) {
        self.retain(chain, |_| false);
    }

    /// Nodes that are in a chain.
    fn used(&self) -> usize {
        let first = self.nodes.get(self.free as usize);
        let free = std::iter::successors(first, |node| self.nodes.get(node.next as usize));
        self.nodes.len() - free.count()
    }

    /// Gives the memory back if nothing is in it.
    pub fn trim(&mut self) {
        if self.used() == 0 {
            *self = Self { expected: self.expected, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn a_chain_is_8_bytes() {
        assert_eq!(size_of::<Chain>(), 8);
    }

    #[test]
    fn what_is_expected_has_room_at_once() {
        let mut pool = Pool::default();
        let mut chain = Chain::default();
        pool.expect(30);
        assert_eq!(pool.nodes.capacity(), 0);
        for value in 0..30 {
            pool.push_back(&mut chain, value);
            assert_eq!(pool.nodes.capacity(), 30);
        }
        pool.expect(20);
        pool.push_back(&mut chain, 30);
        assert_eq!(pool.nodes.capacity(), 34, "small steps from there on");
        pool.expect(50);
        assert_eq!(pool.nodes.capacity(), 50);
    }

    proptest! {
        /// Three chains in one pool behave as three queues, and the pool is no longer than what they held at most.
        #[test]
        fn chains_are_queues(steps in prop::collection::vec((0usize..3, 0u8..7, 0u32..6), 0..200)) {
            let mut pool = Pool::default();
            let (mut chains, mut queues) = ([Chain::default(); 3], [const { VecDeque::new() }; 3]);
            let mut most = 0;
            for (which, step, value) in steps {
                let (chain, queue) = (&mut chains[which], &mut queues[which]);
                match step {
                    0..3 => {
                        pool.push_back(chain, value);
                        queue.push_back(value);
                    }
                    3 => prop_assert_eq!(pool.pop_front(chain), queue.pop_front()),
                    4 => {
                        let at = queue.iter().position(|&known| known == value);
                        let expected = at.and_then(|at| queue.remove(at));
                        prop_assert_eq!(pool.take(chain, |&known| known == value), expected);
                    }
                    5 => {
                        pool.retain(chain, |&known| known > value);
                        queue.retain(|&known| known > value);
                    }
                    _ => {
                        let found = pool.visit(*chain, |known| {
                            let found = *known == value;
                            *known += u32::from(found);
                            found
                        });
                        let in_queue = queue.iter_mut().find(|known| **known == value);
                        prop_assert_eq!(found, in_queue.map(|known| *known += 1).is_some());
                    }
                }
                most = most.max(queues.iter().map(VecDeque::len).sum::<usize>());
                for (chain, queue) in chains.iter().zip(&queues) {
                    prop_assert_eq!(chain.len(), queue.len());
                    prop_assert!(pool.iter(*chain).eq(queue));
                }
                prop_assert!(pool.nodes.len() <= most);
                prop_assert_eq!(pool.used(), queues.iter().map(VecDeque::len).sum::<usize>());
            }
            chains.iter_mut().for_each(|chain| pool.clear(chain));
            prop_assert!(chains.iter().all(|chain| chain.is_empty()));
            pool.trim();
            prop_assert_eq!(pool.nodes.capacity(), 0);
        }
    }
}
