//! What is queued on a link or on its way, in one word: a message of the message stack that fits in it, as nearly all do,
//! or the number of a parcel. A word travels in the event that brings it, so that nothing that lies elsewhere is touched.

use engine::peer::About;
use engine::wire::{Message, RawBlock};
use engine::{BLOCK, Layout};

use crate::host::storage::Storage;
use crate::parcel::Parcels;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load(u32);

/// What decides how a load is received: messages that come all the time have kinds of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Have,
    Request,
    /// A block whose bytes are right.
    Block,
    /// Any other message that fits in a word.
    Seldom,
    /// The number of a parcel.
    Parcel(u32),
}

/// The bit of a load that says that it is a message, and no parcel.
const MESSAGE: u32 = 1 << 31;
/// Bits of a message that are its value; those between are its code.
const VALUE_BITS: u32 = 27;
const VALUE: u32 = (1 << VALUE_BITS) - 1;

// Codes of messages. The value is a piece's number, or a block's as [`Notation`] counts them, or nothing.
const HAVE: u32 = 0;
const REQUEST: u32 = 1;
// A block whose bytes are right, and one whose are wrong: they are always of one of two static buffers.
const RIGHT_BLOCK: u32 = 2;
const WRONG_BLOCK: u32 = 3;
const CANCEL: u32 = 4;
const REJECT: u32 = 5;
const ALLOWED_FAST: u32 = 6;
const KEEP_ALIVE: u32 = 7;
const CHOKE: u32 = 8;
const UNCHOKE: u32 = 9;
const INTERESTED: u32 = 10;
const NOT_INTERESTED: u32 = 11;
const HAVE_ALL: u32 = 12;
const HAVE_NONE: u32 = 13;
// The highest code with the highest value would be [`Load::NONE`].
const _: () = assert!(HAVE_NONE < 15);

/// What a message of each code weighs (BEP 3, BEP 6): a table, as what comes next nobody can guess, the processor neither.
const SIZES: [Size; 16] = {
    let mut sizes = [Size(5); 16];
    (sizes[HAVE as usize], sizes[ALLOWED_FAST as usize]) = (Size(9), Size(9));
    (sizes[REQUEST as usize], sizes[CANCEL as usize], sizes[REJECT as usize]) =
        (Size(17), Size(17), Size(17));
    sizes[RIGHT_BLOCK as usize] = Size(IS_BLOCK | (BLOCK_HEADER + BLOCK));
    sizes[WRONG_BLOCK as usize] = sizes[RIGHT_BLOCK as usize];
    sizes[KEEP_ALIVE as usize] = Size(4);
    sizes
};

/// The id on the wire of each code; a keep-alive has none.
const IDS: [Option<u8>; 16] = {
    let mut ids = [None; 16];
    (ids[CHOKE as usize], ids[UNCHOKE as usize]) = (Some(0), Some(1));
    (ids[INTERESTED as usize], ids[NOT_INTERESTED as usize]) = (Some(2), Some(3));
    (ids[HAVE as usize], ids[REQUEST as usize], ids[CANCEL as usize]) = (Some(4), Some(6), Some(8));
    (ids[RIGHT_BLOCK as usize], ids[WRONG_BLOCK as usize]) = (Some(7), Some(7));
    (ids[HAVE_ALL as usize], ids[HAVE_NONE as usize]) = (Some(14), Some(15));
    (ids[REJECT as usize], ids[ALLOWED_FAST as usize]) = (Some(16), Some(17));
    ids
};

impl Load {
    /// Nothing.
    pub const NONE: Self = Self(u32::MAX);

    /// The load that is a parcel: one of the first 2³¹.
    pub fn of_parcel(parcel: u32) -> Self {
        debug_assert!(parcel < MESSAGE);
        Self(parcel)
    }

    /// What [`word`](Self::word) made.
    #[inline]
    pub fn of_word(word: u32) -> Self {
        Self(word)
    }

    /// As an event has it.
    #[inline]
    pub fn word(self) -> u32 {
        self.0
    }

    /// The number of the parcel that it is, if it is one.
    #[inline]
    pub fn parcel(self) -> Option<u32> {
        (self.0 & MESSAGE == 0).then_some(self.0)
    }

    /// `value` is at most [`VALUE`].
    #[inline]
    fn message(code: u32, value: u32) -> Self {
        Self(MESSAGE | code << VALUE_BITS | value)
    }

    /// What it weighs.
    #[inline]
    pub fn size(self, parcels: &Parcels) -> Size {
        match self.parcel() {
            Some(parcel) => parcels[parcel].size(),
            None => SIZES[self.code() as usize],
        }
    }

    /// The id on the wire of the message that it is, no parcel; a keep-alive has none.
    #[inline]
    pub fn id(self) -> Option<u8> {
        debug_assert_eq!(self.parcel(), None);
        IDS[self.code() as usize]
    }

    /// How it is received.
    #[inline]
    pub fn kind(self) -> Kind {
        if let Some(parcel) = self.parcel() {
            return Kind::Parcel(parcel);
        }
        match self.code() {
            HAVE => Kind::Have,
            REQUEST => Kind::Request,
            RIGHT_BLOCK => Kind::Block,
            _ => Kind::Seldom,
        }
    }

    #[inline]
    fn code(self) -> u32 {
        (self.0 & !MESSAGE) >> VALUE_BITS
    }

    #[inline]
    fn value(self) -> u32 {
        self.0 & VALUE
    }
}

/// The bit of a [`Size`] that says that a load is a block.
const IS_BLOCK: u32 = 1 << 31;
/// What a block's message has besides its payload (BEP 3: length, id, piece, offset).
const BLOCK_HEADER: u32 = 13;

/// Bytes on the wire, and whether they are a block's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u32);

impl Size {
    /// Of what is no block: below 2³¹.
    #[inline]
    pub fn of(bytes: u32) -> Self {
        debug_assert!(bytes < IS_BLOCK);
        Self(bytes)
    }

    /// Of a block's message: 13 to below 2³¹.
    #[inline]
    pub fn of_block(bytes: u32) -> Self {
        debug_assert!((BLOCK_HEADER..IS_BLOCK).contains(&bytes));
        Self(bytes | IS_BLOCK)
    }

    /// Bytes on the wire.
    #[inline]
    pub fn bytes(self) -> u32 {
        self.0 & !IS_BLOCK
    }

    /// Of those, payload bytes of a block.
    #[inline]
    pub fn payload(self) -> u32 {
        if self.0 & IS_BLOCK == 0 { 0 } else { self.bytes() - BLOCK_HEADER }
    }
}

/// How messages of one torrent become words, and words messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notation {
    /// Bits of a block's number that are its place within its piece; the others are the piece's.
    place_bits: u32,
}

impl Notation {
    /// Of a torrent that is cut so.
    pub fn new(layout: &Layout) -> Self {
        let most = layout.piece(0).map_or(1, |first| layout.blocks_in(first));
        Self { place_bits: u32::BITS - (most - 1).leading_zeros() }
    }

    /// The word of a message, if it fits in one.
    #[inline(always)]
    pub fn note(self, message: &Message) -> Option<Load> {
        match message {
            Message::Have(piece) => Self::with(HAVE, *piece),
            Message::Request(raw) => self.with_block(REQUEST, *raw),
            Message::Piece { piece, begin, data } => {
                let raw = RawBlock { piece: *piece, begin: *begin, length: data.len() as u32 };
                self.with_block(if Storage::is_right(data) { RIGHT_BLOCK } else { WRONG_BLOCK }, raw)
            }
            other => self.note_seldom(other),
        }
    }

    /// The same of messages that are not sent all the time.
    #[inline(never)]
    fn note_seldom(self, message: &Message) -> Option<Load> {
        let code = match message {
            Message::AllowedFast(piece) => return Self::with(ALLOWED_FAST, *piece),
            Message::Cancel(raw) => return self.with_block(CANCEL, *raw),
            Message::Reject(raw) => return self.with_block(REJECT, *raw),
            Message::KeepAlive => KEEP_ALIVE,
            Message::Choke => CHOKE,
            Message::Unchoke => UNCHOKE,
            Message::Interested => INTERESTED,
            Message::NotInterested => NOT_INTERESTED,
            Message::HaveAll => HAVE_ALL,
            Message::HaveNone => HAVE_NONE,
            _ => return None,
        };
        Some(Load::message(code, 0))
    }

    #[inline]
    fn with(code: u32, value: u32) -> Option<Load> {
        (value <= VALUE).then(|| Load::message(code, value))
    }

    /// Whole blocks have numbers if there are not too many; other ranges have none.
    #[inline]
    fn with_block(self, code: u32, raw: RawBlock) -> Option<Load> {
        let place = raw.begin / BLOCK;
        let fits = place >> self.place_bits == 0 && raw.piece <= VALUE >> self.place_bits;
        let whole = raw.begin.is_multiple_of(BLOCK) && raw.length == BLOCK;
        (fits && whole).then(|| Load::message(code, raw.piece << self.place_bits | place))
    }

    /// The piece of the block that has a number.
    #[inline]
    fn piece(self, number: u32) -> u32 {
        number >> self.place_bits
    }

    /// The block that has a number.
    #[inline]
    fn range(self, number: u32) -> RawBlock {
        let place = number & ((1 << self.place_bits) - 1);
        RawBlock { piece: self.piece(number), begin: place * BLOCK, length: BLOCK }
    }

    /// The message of a [`Kind::Have`].
    #[inline]
    pub fn have(self, load: Load) -> Message {
        Message::Have(load.value())
    }

    /// That of a [`Kind::Request`].
    #[inline]
    pub fn request(self, load: Load) -> Message {
        Message::Request(self.range(load.value()))
    }

    /// That of a [`Kind::Block`].
    #[inline]
    pub fn block(self, load: Load) -> Message {
        let RawBlock { piece, begin, length } = self.range(load.value());
        Message::Piece { piece, begin, data: Storage::static_bytes(length, true) }
    }

    /// That of a [`Kind::Seldom`].
    #[inline(never)]
    pub fn seldom(self, load: Load) -> Message {
        let value = load.value();
        match load.code() {
            WRONG_BLOCK => {
                let RawBlock { piece, begin, length } = self.range(value);
                Message::Piece { piece, begin, data: Storage::static_bytes(length, false) }
            }
            CANCEL => Message::Cancel(self.range(value)),
            REJECT => Message::Reject(self.range(value)),
            ALLOWED_FAST => Message::AllowedFast(value),
            CHOKE => Message::Choke,
            UNCHOKE => Message::Unchoke,
            INTERESTED => Message::Interested,
            NOT_INTERESTED => Message::NotInterested,
            HAVE_ALL => Message::HaveAll,
            HAVE_NONE => Message::HaveNone,
            code => {
                debug_assert_eq!(code, KEEP_ALIVE, "a word that means nothing");
                Message::KeepAlive
            }
        }
    }

    /// What it will be about for the peer that receives it.
    #[inline]
    pub fn about(self, load: Load) -> About {
        if load.parcel().is_some() {
            return About::Other;
        }
        match load.code() {
            HAVE => About::Have(load.value()),
            RIGHT_BLOCK | WRONG_BLOCK => About::Block(self.piece(load.value())),
            REQUEST => About::Upload,
            _ => About::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn piece(raw: RawBlock, right: bool) -> Message {
        let data = Storage::static_bytes(raw.length, right);
        Message::Piece { piece: raw.piece, begin: raw.begin, data }
    }

    /// What comes out of the word of a message, and what it weighs.
    fn round_trip(notation: Notation, message: &Message) -> Option<(Message, u32)> {
        let load = notation.note(message)?;
        assert_eq!(load.parcel(), None);
        assert_eq!(load.id(), message.id());
        let size = load.size(&Parcels::default());
        let payload = if let Message::Piece { data, .. } = message { data.len() as u32 } else { 0 };
        assert_eq!(size.payload(), payload);
        let message = match load.kind() {
            Kind::Have => notation.have(load),
            Kind::Request => notation.request(load),
            Kind::Block => notation.block(load),
            Kind::Seldom => notation.seldom(load),
            Kind::Parcel(_) => panic!("a message became a parcel"),
        };
        Some((message, size.bytes()))
    }

    #[test]
    fn what_swarms_send_all_the_time_fits() {
        let notation = Notation::new(&Layout::new(64 << 20, 256 << 10).unwrap());
        let mut messages = vec![
            Message::KeepAlive,
            Message::Choke,
            Message::Unchoke,
            Message::Interested,
            Message::NotInterested,
            Message::HaveAll,
            Message::HaveNone,
        ];
        for piece in [0, 255, VALUE] {
            messages.extend([Message::Have(piece), Message::AllowedFast(piece)]);
        }
        for (of, begin) in [(0, 0), (255, 15 * BLOCK), (VALUE >> 4, 7 * BLOCK)] {
            let raw = RawBlock { piece: of, begin, length: BLOCK };
            messages.extend([Message::Request(raw), Message::Cancel(raw), Message::Reject(raw)]);
            messages.extend([piece(raw, true), piece(raw, false)]);
        }
        for message in messages {
            assert_eq!(round_trip(notation, &message), Some((message.clone(), message.wire_length())));
        }
    }

    #[test]
    fn what_does_not_fit_has_no_word() {
        let notation = Notation::new(&Layout::new(64 << 20, 256 << 10).unwrap());
        let payload = Bytes::from_static(&[1, 2, 3]);
        let strange = [
            (0, 1, BLOCK),
            (0, 0, BLOCK - 1),
            (0, 16 * BLOCK, BLOCK),
            ((VALUE >> 4) + 1, 0, BLOCK),
            (0, 0, 0),
        ]
        .map(|(piece, begin, length)| RawBlock { piece, begin, length });
        let mut messages: Vec<Message> = strange.map(Message::Request).to_vec();
        messages.extend(strange.map(|raw| piece(raw, true)));
        messages.extend([
            Message::Have(VALUE + 1),
            Message::Bitfield(payload.clone()),
            Message::Port(9),
            Message::Suggest(1),
            Message::Extended { id: 0, payload: payload.clone() },
            Message::Unknown { id: 99, payload },
        ]);
        for message in messages {
            assert_eq!(notation.note(&message), None, "{message:?}");
        }
    }

    proptest! {
        /// Whatever the torrent and the range: what has a word is what went in.
        #[test]
        fn a_word_says_what_went_in(
            total in 1u64..1 << 42,
            piece_length in prop_oneof![1u64..100_000, (14u32..28).prop_map(|bits| 1 << bits)],
            piece in 0u32..1 << 22,
            begin in prop_oneof![0u32..1 << 28, (0u32..1 << 14).prop_map(|n| n * BLOCK)],
            length in prop_oneof![Just(BLOCK), 1u32..40_000],
        ) {
            let Ok(layout) = Layout::new(total, piece_length) else { return Ok(()) };
            let notation = Notation::new(&layout);
            let raw = RawBlock { piece, begin, length };
            for message in [Message::Request(raw), Message::Have(piece)] {
                if let Some(out) = round_trip(notation, &message) {
                    prop_assert_eq!(out, (message.clone(), message.wire_length()));
                }
            }
            let fits = u64::from(layout.pieces()) << notation.place_bits <= 1 << VALUE_BITS;
            if fits && length == BLOCK && layout.block(piece, begin, length).is_some() && begin % BLOCK == 0 {
                prop_assert!(notation.note(&Message::Request(raw)).is_some(), "{:?}", raw);
            }
        }
    }
}
