//! How many neighbours have each piece, and the open pieces (wanted, not begun) in order of that number,
//! always up to date and never recounted.
//!
//! Invariants, after every call:
//! - `order` holds every piece once: the closed ones first, then the open ones by ascending count;
//! - `places[p].at()` is where `p` stands in `order`;
//! - `start[c]` is where the open pieces of count `c` or more begin, so `start[0]` is the number of closed
//!   ones; the last entry is the number of pieces, and every open piece's count plus one has an entry;
//! - `open` has the open pieces.
//!
//! A change of count is one step over a border between two buckets: at most three pieces change places, and
//! one random number is drawn. Closing and opening a piece costs a step for each count below its own, and
//! moves at most one piece for each bucket that is not empty; closed pieces stand *before* the rarest ones so
//! that rarest first, which takes from the front, pays next to nothing.
//!
//! The order of equals is uniformly random at any time: it starts as a shuffle, a piece enters a bucket at a
//! random place, and the pieces it displaces move regardless of which they are. Without that, peers that
//! hear the same HAVEs would run after the same pieces.

use crate::bitfield::Bitfield;
use crate::layout::{Layout, PieceIndex};
use crate::peer::grow;
use crate::rng::{self, Rng};

/// Borders that there is room for once there are more than two: of as many counts as a peer with few neighbours has, then
/// with as many as a peer mostly has.
const ROOM: [usize; 2] = [8, 48];

/// Open pieces of a remote whose places are compared, where a walk along the order may be longer. With 8 or 128 a swarm of 100
/// peers and 256 pieces takes 0.1 % more instructions.
const FEW: u32 = 32;

/// Availability of one torrent's pieces as one peer sees it. Neighbours that have every piece are not
/// counted here (they change no ranking): the peer keeps their number. Ten bytes and a bit for each piece.
#[derive(Clone, Debug)]
pub struct Availability {
    order: Box<[PieceIndex]>,
    places: Box<[Place]>,
    start: Vec<u32>,
    /// Apart, as a HAVE does not ask for it.
    open: Box<Bitfield>,
}

/// One piece's place in `order` and its count: six bytes side by side, as a HAVE needs both.
#[derive(Clone, Copy, Debug)]
struct Place {
    low: u16,
    high: u16,
    count: u16,
}

impl Place {
    fn at(self) -> u32 {
        u32::from(self.high) << 16 | u32::from(self.low)
    }
    fn set(&mut self, at: u32) {
        self.low = at as u16;
        self.high = (at >> 16) as u16;
    }
}

impl Availability {
    /// No neighbour has anything; every piece is open. The order of equals starts as a shuffle by `rng`.
    pub fn new(layout: &Layout, rng: &mut Rng) -> Self {
        let mut order: Box<[PieceIndex]> = layout.all().collect();
        rng::shuffle(rng, &mut order);
        let mut places = vec![Place { low: 0, high: 0, count: 0 }; order.len()].into_boxed_slice();
        for (at, piece) in order.iter().enumerate() {
            places[piece.index()].set(at as u32);
        }
        Self { order, places, start: vec![0, layout.pieces()], open: Box::new(Bitfield::full(layout)) }
    }

    /// Bytes.
    pub(crate) fn footprint(&self) -> u64 {
        let pieces = size_of_val(&*self.order) + size_of_val(&*self.places);
        (pieces + self.start.capacity() * size_of::<u32>()) as u64
            + size_of::<Bitfield>() as u64
            + self.open.footprint()
    }

    /// Asks for the memory of a piece's place.
    #[inline]
    pub(crate) fn prefetch(&self, piece: PieceIndex) {
        prefetch::known(&self.places, piece.index());
    }

    /// Asks for the memory of the borders of some fifty counts.
    #[inline]
    pub(crate) fn prefetch_borders(&self) {
        prefetch::part(self.start.as_slice(), 0..ROOM[1] * size_of::<u32>());
    }

    /// Where a piece would stand that has one neighbour more.
    fn border(&self, piece: PieceIndex) -> Option<usize> {
        let count = usize::from(self.places.get(piece.index())?.count);
        (*self.start.get(count + 1)? as usize).checked_sub(1)
    }

    /// Asks for the memory of a piece's surroundings in the order; [`Self::prefetch`] has brought its place.
    #[inline]
    pub(crate) fn prefetch_order(&self, piece: PieceIndex) {
        if let Some(place) = self.places.get(piece.index()) {
            prefetch::known(&self.order, place.at() as usize);
        }
        if let Some(border) = self.border(piece) {
            prefetch::known(&self.order, border);
        }
    }

    /// Asks for the memory of the piece that would make room for it.
    #[inline]
    pub(crate) fn prefetch_border(&self, piece: PieceIndex) {
        if let Some(other) = self.border(piece).and_then(|border| self.order.get(border)) {
            prefetch::known(&self.places, other.index());
        }
    }

    /// One more neighbour has `piece`. A piece that moves into a bucket takes a random place in it. O(1).
    ///
    /// Counts go up to 65,535: that many neighbours without every piece is the caller's to prevent.
    #[inline]
    pub fn increment(&mut self, piece: PieceIndex, rng: &mut Rng) {
        let place = &mut self.places[piece.index()];
        let (at, old) = (place.at(), usize::from(place.count));
        place.count += 1;
        if at < self.start[0] {
            return;
        }
        if self.start.len() < old + 3 {
            self.reach(old + 1);
        }
        // The last place of the old bucket becomes the first of the new one.
        let border = self.start[old + 1] - 1;
        self.start[old + 1] = border;
        let to = border + draw(rng, self.start[old + 2] - border);
        self.cross(piece, at, border, to);
    }

    /// One neighbour fewer has `piece`; somebody must have had it. O(1).
    #[inline]
    pub fn decrement(&mut self, piece: PieceIndex, rng: &mut Rng) {
        let place = &mut self.places[piece.index()];
        debug_assert!(place.count > 0, "{piece:?} is taken from a neighbour and none had it");
        let (at, old) = (place.at(), usize::from(place.count));
        place.count -= 1;
        if at < self.start[0] {
            return;
        }
        // The first place of the old bucket becomes the last of the new one.
        let border = self.start[old];
        self.start[old] = border + 1;
        let first = self.start[old - 1];
        let to = first + draw(rng, border + 1 - first);
        self.cross(piece, at, border, to);
    }

    /// How many neighbours (complete ones not counted) have `piece`.
    #[inline]
    pub fn count(&self, piece: PieceIndex) -> u16 {
        self.places[piece.index()].count
    }

    /// `piece` is begun or ours: no longer to be picked. No effect if it is not open.
    pub fn close(&mut self, piece: PieceIndex) {
        let place = self.places[piece.index()];
        let mut hole = place.at();
        if hole < self.start[0] {
            return;
        }
        self.open.remove(piece);
        // The hole sinks to the front: in each bucket the first piece goes where the hole is.
        for bucket in (0..=usize::from(place.count)).rev() {
            let first = self.start[bucket];
            self.start[bucket] = first + 1;
            self.shift(first, hole);
            hole = first;
        }
        self.put(piece, hole);
    }

    /// `piece` is to be picked again; it takes a random place among its equals. No effect if it is open.
    pub fn open(&mut self, piece: PieceIndex, rng: &mut Rng) {
        let place = self.places[piece.index()];
        let mut hole = place.at();
        if hole >= self.start[0] {
            return;
        }
        self.open.insert(piece);
        let count = usize::from(place.count);
        self.reach(count);
        // The hole rises: the last closed piece, then the last of each bucket, goes where the hole is.
        for bucket in 0..=count {
            let last = self.start[bucket] - 1;
            self.start[bucket] = last;
            self.shift(last, hole);
            hole = last;
        }
        let to = hole + draw(rng, self.start[count + 1] - hole);
        self.shift(to, hole);
        self.put(piece, to);
    }

    /// Whether `piece` is open.
    #[inline]
    pub fn is_open(&self, piece: PieceIndex) -> bool {
        self.places[piece.index()].at() >= self.start[0]
    }

    /// The open pieces, rarest first, equals in random order.
    #[inline]
    pub fn rarest_first(&self) -> &[PieceIndex] {
        &self.order[self.start[0] as usize..]
    }

    /// How many of the open pieces are in `set`, which is of this torrent.
    pub fn open_in(&self, set: &Bitfield) -> u32 {
        self.open.count_common(set)
    }

    /// The rarest of the open pieces that are in `set`, which is of this torrent: the first of them in
    /// [`rarest_first`](Self::rarest_first). Few are looked at one by one, as the first may be far from the front.
    pub fn rarest_in(&self, set: &Bitfield) -> Option<PieceIndex> {
        if self.open_in(set) > FEW {
            return self.rarest_first().iter().copied().find(|&piece| set.contains(piece));
        }
        let places = self.open.common(set).filter_map(|piece| self.places.get(piece as usize));
        let first = places.map(|place| place.at()).min()?;
        self.order.get(first as usize).copied()
    }

    /// The open pieces, lowest number first.
    pub fn in_order(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.open.common(&self.open).map(|piece| self.order[self.places[piece as usize].at() as usize])
    }

    /// Gives bucket `count` its two borders.
    #[cold]
    fn reach(&mut self, count: usize) {
        let pieces = self.order.len() as u32;
        while self.start.len() < count + 2 {
            match ROOM.into_iter().find(|&room| room > self.start.len()) {
                Some(room) => self.start.reserve_exact(room - self.start.len()),
                None => grow(&mut self.start),
            }
            self.start.push(pieces);
        }
    }

    /// Moves `piece` over a border: from `at` to `to`, where `border` is the place that changed buckets. What
    /// stood at the border fills the gap, what stood at `to` goes to the border.
    #[inline]
    fn cross(&mut self, piece: PieceIndex, at: u32, border: u32, to: u32) {
        self.shift(border, at);
        self.shift(to, border);
        self.put(piece, to);
    }

    /// Moves the piece at `from` to `to`, where nothing of worth stands.
    #[inline]
    fn shift(&mut self, from: u32, to: u32) {
        if from != to {
            self.put(self.order[from as usize], to);
        }
    }

    #[inline]
    fn put(&mut self, piece: PieceIndex, at: u32) {
        self.order[at as usize] = piece;
        self.places[piece.index()].set(at);
    }
}

/// A number below `bound`; none is drawn where there is no choice.
#[inline]
fn draw(rng: &mut Rng, bound: u32) -> u32 {
    if bound > 1 { rng::below(rng, bound) } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rng::Seed;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Increment(u32),
        Decrement(u32),
        Close(u32),
        Open(u32),
    }

    fn op(pieces: u32) -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..pieces).prop_map(Op::Increment),
            2 => (0..pieces).prop_map(Op::Decrement),
            2 => (0..pieces).prop_map(Op::Close),
            1 => (0..pieces).prop_map(Op::Open),
        ]
    }

    /// Holds the structure to its invariants and to counts and flags kept the plain way.
    fn check(kept: &Availability, layout: &Layout, counts: &[u16], open: &[bool]) {
        for piece in layout.all() {
            assert_eq!(kept.count(piece), counts[piece.index()]);
            assert_eq!(kept.is_open(piece), open[piece.index()]);
            assert_eq!(kept.order[kept.places[piece.index()].at() as usize], piece);
        }
        let listed = kept.rarest_first();
        assert!(listed.is_sorted_by_key(|&p| kept.count(p)), "{listed:?}");
        let expected: Vec<_> = layout.all().filter(|p| open[p.index()]).collect();
        // Few and many of them, none, and all.
        for part in [1, 2, 7, u32::MAX] {
            let mut set = Bitfield::empty(layout);
            layout.all().filter(|p| p.get() % part == part - 1).for_each(|p| _ = set.insert(p));
            let in_set: Vec<_> = listed.iter().copied().filter(|&p| set.contains(p)).collect();
            assert_eq!(kept.open_in(&set) as usize, in_set.len());
            assert_eq!(kept.rarest_in(&set), in_set.first().copied());
        }
        assert_eq!(kept.in_order().collect::<Vec<_>>(), expected);
        assert_eq!(listed.len(), expected.len());
        for (count, &start) in kept.start.iter().enumerate() {
            let below = listed.partition_point(|&p| usize::from(kept.count(p)) < count);
            let closed = layout.pieces() as usize - listed.len();
            assert_eq!(start as usize, closed + below, "start of bucket {count}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_recounting(
            pieces in prop_oneof![3 => 1u32..40, 1 => 2 * FEW..5 * FEW],
            seed: u64,
            ops in prop::collection::vec(op(5 * FEW), 0..300),
        ) {
            let layout = Layout::new(u64::from(pieces), 1).unwrap();
            let mut rng = Seed(seed).rng();
            let mut kept = Availability::new(&layout, &mut rng);
            let mut counts = vec![0u16; pieces as usize];
            let mut open = vec![true; pieces as usize];
            check(&kept, &layout, &counts, &open);
            for op in ops {
                let (Op::Increment(i) | Op::Decrement(i) | Op::Close(i) | Op::Open(i)) = op;
                let piece = layout.piece(i % pieces).unwrap();
                let i = piece.index();
                match op {
                    Op::Increment(_) => {
                        counts[i] += 1;
                        kept.increment(piece, &mut rng);
                    }
                    Op::Decrement(_) if counts[i] == 0 => {}
                    Op::Decrement(_) => {
                        counts[i] -= 1;
                        kept.decrement(piece, &mut rng);
                    }
                    Op::Close(_) => {
                        open[i] = false;
                        kept.close(piece);
                    }
                    Op::Open(_) => {
                        open[i] = true;
                        kept.open(piece, &mut rng);
                    }
                }
                check(&kept, &layout, &counts, &open);
            }
        }
    }

    #[test]
    fn equals_stand_in_uniformly_random_order() {
        // Eight pieces go up and down, in and out, always in the same sequence, and end with one count: each
        // must then come first in 1/8 of the runs. 8,000 runs: 1,000 each, standard deviation 30.
        let layout = Layout::new(8, 1).unwrap();
        let mut first = [0u32; 8];
        let mut last = [0u32; 8];
        for seed in 0..8_000 {
            let mut rng = Seed(1).derive("order of equals", seed).rng();
            let mut kept = Availability::new(&layout, &mut rng);
            for piece in layout.all() {
                kept.increment(piece, &mut rng);
            }
            for piece in layout.all().take(4) {
                kept.increment(piece, &mut rng);
                kept.close(piece);
            }
            for piece in layout.all().take(4) {
                kept.open(piece, &mut rng);
                kept.decrement(piece, &mut rng);
            }
            first[kept.rarest_first()[0].index()] += 1;
            last[kept.rarest_first()[7].index()] += 1;
        }
        for n in first.into_iter().chain(last) {
            assert!((850..=1150).contains(&n), "{first:?} {last:?}");
        }
    }

    #[test]
    fn a_high_count_reached_while_closed_is_no_obstacle() {
        let layout = Layout::new(3, 1).unwrap();
        let mut rng = Seed(2).rng();
        let mut kept = Availability::new(&layout, &mut rng);
        let piece = layout.piece(1).unwrap();
        kept.close(piece);
        for _ in 0..1000 {
            kept.increment(piece, &mut rng);
        }
        assert_eq!(kept.rarest_first().len(), 2);
        kept.open(piece, &mut rng);
        assert_eq!(kept.rarest_first()[2], piece);
        check(&kept, &layout, &[0, 1000, 0], &[true; 3]);
    }

    #[test]
    fn a_piece_costs_ten_bytes() {
        assert_eq!(size_of::<Place>() + size_of::<PieceIndex>(), 10);
    }
}
