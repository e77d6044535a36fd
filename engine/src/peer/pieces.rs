//! The pieces of one peer: which it has, which it has begun, and the state of every block in those.
//!
//! Invariants:
//! - a piece is in exactly one state: had, begun (in `begun`), or open (in `Availability`);
//! - in a begun piece, `free + received + busy` is its number of blocks, where a busy block is requested from
//!   at least one connection;
//! - a block is handed out twice only in endgame.

use std::mem::take;
use std::net::{IpAddr, Ipv4Addr};

use smallvec::SmallVec;

use crate::bitfield::Bitfield;
use crate::ids::ConnId;
use crate::layout::{BLOCK, BlockRef, Layout, PieceIndex};
use crate::picker::{Availability, Choice, Picker};
use crate::rng::{self, Rng};

use super::footprint::grow;
use super::of;

const RECEIVED: u8 = u8::MAX;

/// A piece of which some blocks are requested or received: two cache lines.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Begun {
    pub piece: PieceIndex,
    /// For each block: 0 free, [`RECEIVED`], or from how many connections it is requested.
    state: SmallVec<[u8; 16]>,
    free: u32,
    received: u32,
    /// Only this connection may fill it: a suspect must show that it alone sends good data.
    exclusive: Option<ConnId>,
    /// A complete remote was asked for a block of it.
    of_seed: bool,
    /// Who sent its blocks.
    sources: SmallVec<[Source; 16]>,
    verifying: bool,
}

/// Who sent a block, in four bytes that stand for one address as long as a begun piece names it: an address of IPv4 is
/// itself. For others, and for the addresses of 240.0.0.0/4, which is nobody's, it is where they are in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source(u32);

impl Source {
    /// The first of those that stand for a place in the table.
    const LISTED: u32 = 0xf000_0000;

    /// That of an address that needs no table.
    fn plain(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Some(Self(ip.to_bits())).filter(|source| source.0 < Self::LISTED),
            IpAddr::V6(_) => None,
        }
    }

    fn listed(place: usize) -> Self {
        Self(Self::LISTED | place as u32)
    }

    fn ip(self, listed: &[IpAddr]) -> Option<IpAddr> {
        match self.0.checked_sub(Self::LISTED) {
            Some(place) => listed.get(place as usize).copied(),
            None => Some(Ipv4Addr::from_bits(self.0).into()),
        }
    }
}

/// Addresses that sent blocks of one piece.
pub(crate) type Sources = SmallVec<[IpAddr; 16]>;

impl Begun {
    /// Nothing of it is had or asked for.
    fn is_untouched(&self) -> bool {
        self.free as usize == self.state.len()
    }

    fn may_be_filled_by(&self, asker: &Asker<'_>) -> bool {
        match self.exclusive {
            Some(owner) => owner == asker.conn,
            None => !asker.suspect || self.is_untouched(),
        }
    }
}

/// What became of a block that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It was missing; `copies` others were asked for it too, `done` says it was the piece's last.
    New { copies: u8, done: bool },
    /// It was had already.
    Duplicate,
}

/// Who asks for a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub conn: ConnId,
    /// The pieces it has; `None`: all.
    pub remote: Option<&'a Bitfield>,
    /// It must fill pieces alone.
    pub suspect: bool,
    /// What it may be asked for while it chokes us; `None`: anything.
    pub only: Option<&'a [PieceIndex]>,
}

impl Asker<'_> {
    fn has(&self, piece: PieceIndex) -> bool {
        self.remote.is_none_or(|set| set.contains(piece))
            && self.only.is_none_or(|only| only.contains(&piece))
    }
}

/// See the module. Laid out by how often a part is touched.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Pieces {
    have: Bitfield,
    pub availability: Availability,
    pub layout: Layout,
    /// Pieces that were begun: first those that are, one for each of `index`, then those that are no more, whose buffers
    /// are used again.
    begun: Vec<Begun>,
    /// The piece of each that is begun, close together: there are seldom more than a few.
    index: Vec<PieceIndex>,
    /// Begun pieces with a free block, oldest first.
    partial: Vec<PieceIndex>,
    /// The addresses of [`Source`]s that are not of IPv4. A place is used again that no begun piece names.
    listed: Box<[IpAddr]>,
}

impl Pieces {
    pub fn new(layout: Layout, have: Bitfield, rng: &mut Rng) -> Self {
        let mut availability = Availability::new(&layout, rng);
        for piece in have.iter(&layout) {
            availability.close(piece);
        }
        Self {
            layout,
            have,
            availability,
            begun: Vec::new(),
            index: Vec::new(),
            partial: Vec::new(),
            listed: Box::default(),
        }
    }

    /// Asks for the memory of the lists of begun pieces.
    #[inline]
    pub fn prefetch(&self) {
        prefetch::element(&self.index, 0);
        prefetch::element(&self.partial, 0);
    }

    /// Asks for the memory of a begun piece.
    #[inline]
    pub fn prefetch_begun(&self, piece: PieceIndex) {
        if let Some(begun) = self.begun_of(piece) {
            prefetch::value(begun);
        }
    }

    /// Asks for the memory of the begun pieces that blocks are asked for first.
    #[inline]
    pub fn prefetch_partial(&self) {
        self.partial.iter().take(2).for_each(|piece| self.prefetch_begun(*piece));
    }

    /// Asks for the memory of what lies apart from a begun piece.
    #[inline]
    pub fn prefetch_sources(&self, piece: PieceIndex) {
        if let Some(begun) = self.begun_of(piece) {
            begun.state.first().into_iter().for_each(prefetch::value);
            prefetch::value(begun.sources.as_slice());
        }
    }

    /// Bytes.
    pub fn footprint(&self) -> u64 {
        let spilled = |begun: &Begun| {
            let state = if begun.state.spilled() { begun.state.capacity() } else { 0 };
            let sources = if begun.sources.spilled() { begun.sources.capacity() } else { 0 };
            (state + sources * size_of::<Source>()) as u64
        };
        let buffers: u64 = self.begun.iter().map(spilled).sum();
        let tables = of(&self.begun) + of(&self.index) + of(&self.partial);
        self.have.footprint()
            + self.availability.footprint()
            + tables
            + buffers
            + size_of_val(&*self.listed) as u64
    }

    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Every block that is missing is requested from someone.
    pub fn all_requested(&self) -> bool {
        self.partial.is_empty() && self.availability.rarest_first().is_empty()
    }

    fn place_of(&self, piece: PieceIndex) -> Option<usize> {
        self.index.iter().position(|&begun| begun == piece)
    }

    fn begun_of(&self, piece: PieceIndex) -> Option<&Begun> {
        self.begun.get(self.place_of(piece)?)
    }

    fn begun_mut(&mut self, piece: PieceIndex) -> Option<&mut Begun> {
        let at = self.place_of(piece)?;
        self.begun.get_mut(at)
    }

    /// The next block to ask of `asker`: of a begun piece first (strict priority, oldest first), else of one
    /// that `picker` begins. The block counts as requested from here on.
    ///
    /// A complete remote finishes the pieces that were begun at a complete one; others only when there is
    /// nothing to begin (mainline's `seedstarted`). What others can give is not what a seed is for: with
    /// strict priority alone, a slow seed spends half its uplink on pieces that the swarm has already.
    pub fn next_block(
        &mut self,
        asker: &Asker<'_>,
        picker: &mut dyn Picker,
        rng: &mut Rng,
    ) -> Option<BlockRef> {
        let at = match self.partial_for(asker, |begun| begun.of_seed || asker.remote.is_some()) {
            Some(at) => at,
            None => match self.pick(asker, picker, rng) {
                Some(piece) => self.begin(piece),
                None => self.partial_for(asker, |_| true).or_else(|| self.shared(asker))?,
            },
        };
        let layout = self.layout;
        let begun = self.begun.get_mut(at)?;
        let piece = begun.piece;
        begun.of_seed |= asker.remote.is_none();
        if asker.suspect && begun.is_untouched() {
            begun.exclusive = Some(asker.conn);
        }
        let n = begun.state.iter().position(|&s| s == 0)?;
        begun.state[n] = 1;
        begun.free -= 1;
        if begun.free == 0 {
            self.partial.retain(|&p| p != piece);
        }
        layout.nth_block(piece, n as u32)
    }

    /// Where the oldest begun piece with a free block is that the remote of `asker` has and that `fits`.
    fn first_partial(&self, asker: &Asker<'_>, fits: impl Fn(&Begun) -> bool) -> Option<usize> {
        let pieces = self.partial.iter().copied().filter(|&piece| asker.has(piece));
        pieces.filter_map(|piece| self.place_of(piece)).find(|&at| self.begun.get(at).is_some_and(&fits))
    }

    /// Where the oldest begun piece is that `asker` may be asked for a block of, among those that `first`.
    fn partial_for(&self, asker: &Asker<'_>, first: impl Fn(&Begun) -> bool) -> Option<usize> {
        self.first_partial(asker, |begun| first(begun) && begun.may_be_filled_by(asker))
    }

    /// Where a begun piece is that is nobody's own, for a suspect that has no other: rather with its help than never.
    fn shared(&self, asker: &Asker<'_>) -> Option<usize> {
        if !asker.suspect {
            return None;
        }
        self.first_partial(asker, |begun| begun.exclusive.is_none())
    }

    fn pick(&self, asker: &Asker<'_>, picker: &mut dyn Picker, rng: &mut Rng) -> Option<PieceIndex> {
        if let Some(only) = asker.only {
            return only.iter().copied().find(|&p| self.availability.is_open(p) && asker.has(p));
        }
        let choice =
            Choice { remote: asker.remote, availability: &self.availability, completed: self.have.count() };
        let piece = picker.pick(&choice, rng)?;
        // A policy is not trusted to keep its contract.
        (self.availability.is_open(piece) && asker.has(piece)).then_some(piece)
    }

    /// Begins `piece`; where it is.
    fn begin(&mut self, piece: PieceIndex) -> usize {
        self.availability.close(piece);
        let blocks = self.layout.blocks_in(piece);
        let at = self.index.len();
        let used = self.begun.get_mut(at).map(|used| (take(&mut used.state), take(&mut used.sources)));
        let (mut state, mut sources) = used.unwrap_or_default();
        state.clear();
        state.resize(blocks as usize, 0);
        sources.clear();
        let begun = Begun {
            piece,
            state,
            free: blocks,
            received: 0,
            exclusive: None,
            of_seed: false,
            sources,
            verifying: false,
        };
        match self.begun.get_mut(at) {
            Some(place) => *place = begun,
            None => {
                self.make_room();
                self.begun.push(begun);
            }
        }
        self.index.push(piece);
        self.partial.push(piece);
        at
    }

    /// Room for more pieces that are begun, in all tables of those: at first for as many as a swarm of so many pieces
    /// mostly has, sixteen at the most.
    fn make_room(&mut self) {
        if self.begun.capacity() == 0 {
            self.begun.reserve_exact((self.layout.pieces() / 16).clamp(4, 16) as usize);
        }
        grow(&mut self.begun);
        self.index.reserve_exact(self.begun.capacity() - self.index.len());
        self.partial.reserve_exact(self.begun.capacity() - self.partial.len());
    }

    /// In endgame: a busy block that `asker` may be asked for as well, the least requested first, ties by a
    /// random start. `asked` says what it is asked for already.
    pub fn busy_block(
        &mut self,
        asker: &Asker<'_>,
        copies: u8,
        rng: &mut Rng,
        asked: impl Fn(BlockRef) -> bool,
    ) -> Option<BlockRef> {
        let open = &self.begun[..self.index.len()];
        if open.is_empty() || asker.suspect {
            return None;
        }
        let copies = copies.min(RECEIVED - 1);
        let start = rng::below(rng, open.len() as u32) as usize;
        let mut best: Option<(u8, BlockRef)> = None;
        for i in 0..open.len() {
            let begun = &open[(start + i) % open.len()];
            if begun.exclusive.is_some() || begun.verifying || !asker.has(begun.piece) {
                continue;
            }
            for (n, &state) in begun.state.iter().enumerate() {
                if state == 0 || state >= copies || best.is_some_and(|(least, _)| least <= state) {
                    continue;
                }
                if let Some(block) = self.layout.nth_block(begun.piece, n as u32).filter(|&b| !asked(b)) {
                    best = Some((state, block));
                }
            }
        }
        let (_, block) = best?;
        let begun = self.begun_mut(block.piece())?;
        begun.state[(block.begin() / BLOCK) as usize] += 1;
        Some(block)
    }

    /// One connection that was asked for `block` will not send it. True if the block became free.
    pub fn release(&mut self, block: BlockRef) -> bool {
        let piece = block.piece();
        let n = (block.begin() / BLOCK) as usize;
        let Some(begun) = self.begun_mut(piece) else { return false };
        if begun.state[n] == 0 || begun.state[n] == RECEIVED {
            return false;
        }
        begun.state[n] -= 1;
        if begun.state[n] > 0 {
            return false;
        }
        begun.free += 1;
        let (first_free, untouched) = (begun.free == 1, begun.free as usize == begun.state.len());
        if first_free {
            self.partial.push(piece);
        }
        if untouched {
            // Nothing of it is had or asked for: it is as good as not begun, but stays in progress so that
            // its place in the strict priority is not lost; only a suspect's claim on it ends.
            if let Some(begun) = self.begun_mut(piece) {
                begun.exclusive = None;
            }
        }
        true
    }

    /// A suspect is gone, or has stopped: what it alone could fill is anyone's and begun anew. Returns how
    /// many bytes that costs.
    pub fn abandon(&mut self, conn: ConnId) -> u64 {
        let mut lost = 0;
        let open = &mut self.begun[..self.index.len()];
        for begun in open.iter_mut().filter(|begun| begun.exclusive == Some(conn) && !begun.verifying) {
            begun.exclusive = None;
            begun.sources.clear();
            if begun.received > 0 && begun.free == 0 {
                self.partial.push(begun.piece);
            }
            for (n, state) in begun.state.iter_mut().enumerate().filter(|(_, state)| **state == RECEIVED) {
                *state = 0;
                let block = self.layout.nth_block(begun.piece, n as u32);
                lost += block.map_or(0, |block| u64::from(block.length()));
            }
            begun.free += std::mem::take(&mut begun.received);
        }
        lost
    }

    /// A suspect is cleared: what it alone could fill, anyone can.
    pub fn unlock(&mut self, conn: ConnId) {
        for begun in &mut self.begun[..self.index.len()] {
            if begun.exclusive == Some(conn) {
                begun.exclusive = None;
            }
        }
    }

    /// `block` has come from `source`; `counted` says that its request was still counted on.
    pub fn receive(&mut self, block: BlockRef, source: IpAddr, counted: bool) -> Received {
        let source = Source::plain(source).unwrap_or_else(|| self.list(source));
        let Some(begun) = self.begun_mut(block.piece()) else { return Received::Duplicate };
        let n = (block.begin() / BLOCK) as usize;
        let state = begun.state[n];
        if state == RECEIVED {
            return Received::Duplicate;
        }
        begun.state[n] = RECEIVED;
        begun.received += 1;
        if !begun.sources.contains(&source) {
            begun.sources.push(source);
        }
        let done = begun.received as usize == begun.state.len();
        begun.verifying = done;
        if state == 0 {
            begun.free -= 1;
            if begun.free == 0 {
                self.partial.retain(|&p| p != block.piece());
            }
        }
        Received::New { copies: state.saturating_sub(u8::from(counted)), done }
    }

    /// Stands for an address that has to be in the table.
    #[cold]
    #[inline(never)]
    fn list(&mut self, ip: IpAddr) -> Source {
        if let Some(place) = self.listed.iter().position(|&listed| listed == ip) {
            return Source::listed(place);
        }
        let open = &self.begun[..self.index.len()];
        let named = |source| open.iter().any(|begun| begun.sources.contains(&source));
        let free = (0..self.listed.len()).find(|&place| !named(Source::listed(place)));
        let place = free.unwrap_or(self.listed.len());
        match self.listed.get_mut(place) {
            Some(listed) => *listed = ip,
            None => self.listed = self.listed.iter().copied().chain([ip]).collect(),
        }
        Source::listed(place)
    }

    /// The verdict on a piece. Returns who sent it, in no order; `None` if no verdict was due.
    pub fn verified(&mut self, piece: PieceIndex, ok: bool, rng: &mut Rng) -> Option<Sources> {
        if !self.begun_of(piece)?.verifying {
            return None;
        }
        let at = self.place_of(piece)?;
        self.index.swap_remove(at);
        self.begun.swap(at, self.index.len());
        if ok {
            self.have.insert(piece);
        } else {
            self.availability.open(piece, rng);
            if planted!(PieceLost)
                && let Some(good) = self.layout.all().find(|&good| self.have.contains(good))
            {
                self.have.remove(good);
                self.availability.open(good, rng);
            }
        }
        let begun = self.begun.get(self.index.len())?;
        Some(begun.sources.iter().filter_map(|source| source.ip(&self.listed)).collect())
    }

    /// Gives the memory of pieces back that were begun and are no more.
    pub fn trim(&mut self) {
        self.begun.truncate(self.index.len());
        self.begun.shrink_to_fit();
        self.index.shrink_to_fit();
        self.partial.shrink_to_fit();
    }

    /// From how many connections `block` is requested; `None` if it is received, or its piece not begun.
    #[cfg(test)]
    pub fn copies_of(&self, block: BlockRef) -> Option<u8> {
        let begun = self.begun_of(block.piece())?;
        Some(begun.state[(block.begin() / BLOCK) as usize]).filter(|&state| state != RECEIVED)
    }

    /// The invariants of the module.
    #[cfg(any(test, debug_assertions))]
    pub fn check(&self) {
        assert!(self.index.len() <= self.begun.len(), "a begun piece lost its place");
        for (begun, piece) in self.begun.iter().zip(&self.index) {
            assert_eq!(*piece, begun.piece, "a begun piece lost its place");
            let free = begun.state.iter().filter(|&&s| s == 0).count();
            let received = begun.state.iter().filter(|&&s| s == RECEIVED).count();
            assert_eq!((free, received), (begun.free as usize, begun.received as usize), "{:?}", begun.piece);
            assert_eq!(self.partial.contains(&begun.piece), free > 0, "{:?} in partial", begun.piece);
            assert!(!self.have.contains(begun.piece) && !self.availability.is_open(begun.piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnId;
    use crate::picker::Sequential;
    use crate::rng::Seed;

    #[test]
    fn a_begun_piece_is_two_cache_lines() {
        assert_eq!(size_of::<Begun>(), 128);
    }

    #[test]
    fn sources_come_back_whatever_their_address() {
        let layout = Layout::new(8 * u64::from(BLOCK), 4 * u64::from(BLOCK)).unwrap();
        let mut rng = Seed(1).rng();
        let mut pieces = Pieces::new(layout, Bitfield::empty(&layout), &mut rng);
        let asker = Asker { conn: ConnId(0), remote: None, suspect: false, only: None };
        // Each piece has other senders, of IPv6 and of what is nobody's: their places are used again.
        for round in 0..40 {
            let odd = |n: u32| format!("2001:db8::{round:x}:{n}").parse::<IpAddr>().unwrap();
            let sent = ["10.0.0.1".parse().unwrap(), odd(1), "250.0.0.1".parse().unwrap(), odd(2)];
            let mut blocks = Vec::new();
            while let Some(block) = pieces.next_block(&asker, &mut Sequential, &mut rng) {
                blocks.push(block);
            }
            let (first, second) = blocks.split_at(4);
            for (of_first, of_second) in first.iter().zip(second) {
                let n = (of_first.begin() / BLOCK) as usize;
                pieces.receive(*of_first, sent[n], true);
                pieces.receive(*of_second, sent[n / 3], true);
            }
            let first = pieces.verified(first[0].piece(), false, &mut rng).unwrap();
            assert_eq!(first.as_slice(), sent, "round {round}");
            let second = pieces.verified(second[0].piece(), false, &mut rng).unwrap();
            assert_eq!(second.as_slice(), &sent[..2], "round {round}");
            assert!(pieces.listed.len() <= 3, "{}", pieces.listed.len());
        }
    }

    #[test]
    fn a_seed_is_asked_for_what_only_it_can_give() {
        // Three pieces of two blocks; a neighbour has the first.
        let layout = Layout::new(6 * u64::from(BLOCK), 2 * u64::from(BLOCK)).unwrap();
        let mut rng = Seed(1).rng();
        let mut pieces = Pieces::new(layout, Bitfield::empty(&layout), &mut rng);
        let mut first = Bitfield::empty(&layout);
        first.insert(layout.piece(0).unwrap());
        let neighbour = Asker { conn: ConnId(0), remote: Some(&first), suspect: false, only: None };
        let seed = Asker { conn: ConnId(1), remote: None, ..neighbour };
        let mut ask = |asker| {
            let block = pieces.next_block(asker, &mut Sequential, &mut rng);
            block.map(|block| (block.piece().get(), block.begin() / BLOCK))
        };
        assert_eq!(ask(&neighbour), Some((0, 0)));
        assert_eq!(ask(&seed), Some((1, 0)), "the piece begun at the neighbour is left to it");
        assert_eq!(ask(&seed), Some((1, 1)), "its own comes first");
        assert_eq!([ask(&seed), ask(&seed)], [Some((2, 0)), Some((2, 1))]);
        assert_eq!(ask(&seed), Some((0, 1)), "nothing to begin: it helps with the rest");
        assert_eq!(ask(&neighbour), None);
    }
}
