//! One connection as one end sees it.

use std::collections::{BTreeMap, BTreeSet};

use engine::layout::BLOCK;
use engine::wire::{Handshake, Message, RawBlock};
use engine::{Bitfield, Layout};

use super::Rule;

/// A block that is asked for, as it is named on the wire.
type Block = (u32, u32, u32);

fn key(raw: &RawBlock) -> Block {
    (raw.piece, raw.begin, raw.length)
}

/// What one end has said to the other.
#[derive(Debug)]
struct End {
    handshake: Option<Handshake>,
    /// A message that ends the time for a bitfield.
    began: bool,
    pieces: Bitfield,
    choking: bool,
    interested: bool,
    /// Pieces that the other may have while it is choked (BEP 6).
    allows: BTreeSet<u32>,
    /// What it has asked for and the other has not answered, and how often.
    asked: BTreeMap<Block, u32>,
    /// What it has cancelled and the other may answer yet, and how often.
    cancelled: BTreeMap<Block, u32>,
    /// What it has asked for again, and what came since may be the answer to that or to what it had cancelled before.
    unsure: BTreeSet<Block>,
}

impl End {
    fn new(layout: &Layout) -> Self {
        Self {
            handshake: None,
            began: false,
            pieces: Bitfield::empty(layout),
            choking: true,
            interested: false,
            allows: BTreeSet::new(),
            asked: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            unsure: BTreeSet::new(),
        }
    }

    /// What a message says, whoever said it and whether it may or not. Requests, cancels and answers apart.
    fn note(&mut self, message: &Message, layout: &Layout) {
        match message {
            Message::Choke => self.choking = true,
            Message::Unchoke => self.choking = false,
            Message::Interested => self.interested = true,
            Message::NotInterested => self.interested = false,
            Message::Have(piece) => {
                if let Some(piece) = layout.piece(*piece) {
                    self.pieces.insert(piece);
                }
            }
            Message::Bitfield(bytes) => {
                // One that is late adds, as it does in every client: nothing is taken back.
                let had = self.pieces.clone();
                if let Ok(mut pieces) = Bitfield::from_wire(layout, bytes) {
                    had.iter(layout).for_each(|piece| {
                        pieces.insert(piece);
                    });
                    self.pieces = pieces;
                }
            }
            Message::HaveAll => self.pieces = Bitfield::full(layout),
            Message::AllowedFast(piece) => {
                self.allows.insert(*piece);
            }
            _ => {}
        }
        if !matches!(message, Message::KeepAlive | Message::Port(_) | Message::Extended { .. }) {
            self.began = true;
        }
    }

    /// It asks for `block`. Twice is a fault of its own, and two answers are none.
    fn ask(&mut self, block: Block) {
        self.unsure.remove(&block);
        *self.asked.entry(block).or_default() += 1;
    }

    /// It asks for `block` once less: whether it did at all.
    fn ask_less(&mut self, block: &Block) -> bool {
        match self.asked.get_mut(block) {
            Some(1) => self.asked.remove(block).is_some(),
            Some(times) => {
                *times -= 1;
                true
            }
            None => false,
        }
    }

    /// It no longer wants `block`, which may come all the same.
    fn cancel(&mut self, block: Block) {
        if self.ask_less(&block) || self.unsure.remove(&block) {
            *self.cancelled.entry(block).or_default() += 1;
        }
    }

    /// An answer to `block`: whether one was due. Each request has its own, also one that was cancelled, and the older
    /// comes first.
    fn answered(&mut self, block: &Block) -> bool {
        self.cancelled_less(block) || self.ask_less(block)
    }

    /// One answer less is due to what was cancelled of `block`: whether any was.
    fn cancelled_less(&mut self, block: &Block) -> bool {
        let Some(times) = self.cancelled.get_mut(block) else { return false };
        *times -= 1;
        if *times == 0 {
            self.cancelled.remove(block);
        }
        true
    }

    /// An answer that may be to whatever was asked for of `block`: without the fast extension a request that was
    /// cancelled in time has none.
    fn answered_at_last(&mut self, block: &Block) {
        let again = self.asked.remove(block).is_some();
        if self.cancelled_less(block) && again {
            self.unsure.insert(*block);
        }
    }

    /// Whether there may be something to cancel.
    fn may_cancel(&self, block: &Block) -> bool {
        self.asked.contains_key(block) || self.unsure.contains(block)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Dialogue {
    we: End,
    they: End,
}

impl Dialogue {
    pub fn new(layout: &Layout) -> Self {
        Self { we: End::new(layout), they: End::new(layout) }
    }

    /// Both ends have shown the bit (BEP 6).
    fn fast(&self) -> bool {
        [&self.we, &self.they].iter().all(|end| end.handshake.is_some_and(|handshake| handshake.fast()))
    }

    pub fn heard_handshake(&mut self, handshake: &Handshake) {
        self.they.handshake = Some(*handshake);
    }

    pub fn said_handshake(&mut self, handshake: &Handshake) -> Result<(), Rule> {
        match self.we.handshake.replace(*handshake) {
            Some(_) => Err(Rule::OneHandshake),
            None => Ok(()),
        }
    }

    pub fn heard(&mut self, message: &Message, layout: &Layout) {
        let fast = self.fast();
        self.they.note(message, layout);
        match message {
            Message::Request(raw) => self.they.ask(key(raw)),
            Message::Cancel(raw) => {
                // BEP 6 wants an answer all the same; BEP 3 a block only if it is on its way.
                self.they.cancel(key(raw));
            }
            Message::Piece { piece, begin, data } => {
                let block = (*piece, *begin, data.len() as u32);
                match fast {
                    true => drop(self.we.answered(&block)),
                    false => self.we.answered_at_last(&block),
                }
            }
            Message::Reject(raw) => {
                self.we.answered(&key(raw));
            }
            Message::Choke if !fast => {
                self.we.asked.clear();
                self.we.cancelled.clear();
                self.we.unsure.clear();
            }
            _ => {}
        }
    }

    /// Judges a message, and takes it as said.
    pub fn said(&mut self, message: &Message, layout: &Layout) -> Result<(), Rule> {
        let verdict = self.judge(message, layout);
        let fast = self.fast();
        self.we.note(message, layout);
        match message {
            Message::Request(raw) => self.we.ask(key(raw)),
            Message::Cancel(raw) => self.we.cancel(key(raw)),
            Message::Piece { piece, begin, data } => {
                self.they.answered(&(*piece, *begin, data.len() as u32));
            }
            Message::Reject(raw) => {
                self.they.answered(&key(raw));
            }
            Message::Choke if !fast => {
                self.they.asked.clear();
                self.they.cancelled.clear();
            }
            _ => {}
        }
        verdict
    }

    fn judge(&self, message: &Message, layout: &Layout) -> Result<(), Rule> {
        let hold = |holds: bool, rule: Rule| if holds { Ok(()) } else { Err(rule) };
        let in_range = |piece: u32| hold(layout.piece(piece).is_some(), Rule::PieceInRange);
        hold(self.we.handshake.is_some(), Rule::HandshakeFirst)?;
        let pieces = matches!(message, Message::Bitfield(_) | Message::HaveAll | Message::HaveNone);
        let aside = matches!(message, Message::KeepAlive | Message::Port(_) | Message::Extended { .. });
        if pieces {
            hold(!self.we.began, Rule::PiecesFirst)?;
        } else if !aside && self.fast() {
            hold(self.we.began, Rule::FastSaysPieces)?;
        }
        match message {
            Message::Bitfield(bytes) => hold(Bitfield::from_wire(layout, bytes).is_ok(), Rule::ValidBitfield),
            Message::HaveAll | Message::HaveNone => hold(self.fast(), Rule::FastAgreed),
            Message::Suggest(piece) | Message::AllowedFast(piece) => {
                hold(self.fast(), Rule::FastAgreed)?;
                in_range(*piece)
            }
            Message::Have(index) => {
                let piece = layout.piece(*index).ok_or(Rule::PieceInRange)?;
                hold(!self.we.pieces.contains(piece), Rule::HaveOnce)
            }
            Message::Interested => {
                hold(!self.we.interested, Rule::InterestChanges)?;
                hold(self.they.pieces.count_missing_from(&self.we.pieces) > 0, Rule::InterestFounded)
            }
            Message::NotInterested => hold(self.we.interested, Rule::InterestChanges),
            Message::Choke => hold(!self.we.choking, Rule::ChokeChanges),
            Message::Unchoke => hold(self.we.choking, Rule::ChokeChanges),
            Message::Request(raw) => self.judge_request(raw, layout),
            Message::Cancel(raw) => hold(self.we.may_cancel(&key(raw)), Rule::CancelAsked),
            Message::Piece { piece, begin, data } => {
                let had = layout.piece(*piece).is_some_and(|piece| self.we.pieces.contains(piece));
                hold(had, Rule::PieceHad)?;
                let block = (*piece, *begin, data.len() as u32);
                hold(self.waits_for(&block), Rule::PieceAsked)
            }
            Message::Reject(raw) => {
                hold(self.fast(), Rule::FastAgreed)?;
                hold(self.waits_for(&key(raw)), Rule::RejectAsked)
            }
            Message::Extended { .. } => {
                let bit = self.they.handshake.is_some_and(|handshake| handshake.extended());
                hold(bit, Rule::ExtendedAgreed)
            }
            Message::KeepAlive | Message::Port(_) | Message::Unknown { .. } => Ok(()),
        }
    }

    fn waits_for(&self, block: &Block) -> bool {
        self.they.asked.contains_key(block) || self.they.cancelled.contains_key(block)
    }

    fn judge_request(&self, raw: &RawBlock, layout: &Layout) -> Result<(), Rule> {
        let block = layout.block(raw.piece, raw.begin, raw.length).ok_or(Rule::RequestIsBlock)?;
        let whole = (0..layout.blocks_in(block.piece()))
            .filter_map(|n| layout.nth_block(block.piece(), n))
            .any(|nth| nth == block);
        if !whole || raw.length > BLOCK {
            return Err(Rule::RequestIsBlock);
        }
        if !self.they.pieces.contains(block.piece()) {
            return Err(Rule::RequestHad);
        }
        if self.they.choking && !(self.fast() && self.they.allows.contains(&raw.piece)) {
            return Err(Rule::RequestUnchoked);
        }
        if !self.we.interested {
            return Err(Rule::RequestInterested);
        }
        if self.we.asked.contains_key(&key(raw)) {
            return Err(Rule::RequestOnce);
        }
        Ok(())
    }
}
