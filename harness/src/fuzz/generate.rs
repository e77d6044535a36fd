//! Legal dialogues, as proptest strategies: what honest remotes of many kinds would say, at their own pace and across
//! each other. [`mutate`](super::mutate) makes the others of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use engine::layout::BLOCK;
use engine::wire::extension::{UT_METADATA, UT_PEX};
use engine::wire::{
    Contact, ExtendedHandshake, Handshake, InfoHash, Message, MetadataMessage, PeerId, PexMessage, RawBlock,
};
use engine::{Bitfield, Layout};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::dialogue::{Act, Await, Dialogue, METADATA_HERE, Role, Serve, Step};
use super::subject::Subject;

/// The id under which the remotes of a dialogue take `ut_pex` (BEP 11).
const PEX_HERE: u8 = 1;

/// Shapes of content: several blocks in a piece and a short last one; one block in a piece and one byte over; a
/// single odd piece; a byte; so many pieces that the info dictionary is in three parts (BEP 9).
const SHAPES: [(u64, u32); 5] =
    [(270_000, 32 << 10), ((3 << 14) + 1, 16 << 10), (100_000, 100_000), (1, 16 << 10), (2_000_000, 1000)];

static SUBJECTS: LazyLock<Vec<Arc<Subject>>> = LazyLock::new(|| {
    SHAPES.iter().filter_map(|&(total, piece)| Subject::new(total, piece).ok().map(Arc::new)).collect()
});

/// What one remote is like.
#[derive(Clone, Debug)]
struct Kind {
    fast: bool,
    extended: bool,
    name: u8,
    /// Which pieces it has, bit n of it for every piece n modulo 64, if it has some and not all.
    pieces: u64,
}

/// What a remote does once it is on its way.
#[derive(Clone, Debug)]
enum Turn {
    /// Asks for blocks and takes them.
    Ask(Vec<(Index, Index)>),
    /// Asks for a block and thinks better of it.
    Cancel(Index, Index),
    /// Has got a piece.
    Have(Index),
    /// Is no longer interested, and is again.
    Flicker,
    /// Chokes, and unchokes again.
    Pause(u16),
    /// Gives so many blocks.
    Give(u16),
    KeepAlive,
    Port(u16),
    /// Tells of others.
    Pex(Vec<([u8; 4], u16)>),
    /// Asks for metadata.
    Metadata(u8),
    Wait(u16),
}

fn turn() -> impl Strategy<Value = Turn> {
    let block = || (any::<Index>(), any::<Index>());
    prop_oneof![
        4 => vec(block(), 1..6).prop_map(Turn::Ask),
        4 => (1..12u16).prop_map(Turn::Give),
        1 => block().prop_map(|(piece, nth)| Turn::Cancel(piece, nth)),
        1 => any::<Index>().prop_map(Turn::Have),
        1 => Just(Turn::Flicker),
        1 => (0..3000u16).prop_map(Turn::Pause),
        1 => Just(Turn::KeepAlive),
        1 => (1..u16::MAX).prop_map(Turn::Port),
        1 => vec((any::<[u8; 4]>(), 1..u16::MAX), 0..5).prop_map(Turn::Pex),
        1 => (0..4u8).prop_map(Turn::Metadata),
        1 => (0..20_000u16).prop_map(Turn::Wait),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    (any::<bool>(), any::<bool>(), any::<u8>(), any::<u64>())
        .prop_map(|(fast, extended, name, pieces)| Kind { fast, extended, name, pieces })
}

/// What one remote does, with the milliseconds before each step.
type Script = Vec<(u16, Act)>;

/// One remote as it speaks.
struct Speaker<'a> {
    kind: &'a Kind,
    subject: &'a Subject,
    /// It takes from the peer, which has everything; else it gives.
    takes: bool,
    have: Bitfield,
    /// What was asked for last, and all since a cancel: its block may come all the same, and is then taken for the next
    /// that is awaited, so that the last is still on its way.
    asked: Vec<RawBlock>,
    has_cancelled: bool,
    script: Script,
}

impl Speaker<'_> {
    fn say(&mut self, wait: u16, message: Message) {
        self.script.push((wait, Act::Say(message)));
    }

    fn layout(&self) -> Layout {
        *self.subject.layout()
    }

    fn nth_block(&self, piece: &Index, nth: &Index) -> Option<RawBlock> {
        let layout = self.layout();
        let piece = layout.piece(piece.index(layout.pieces() as usize) as u32)?;
        Some(layout.nth_block(piece, nth.index(layout.blocks_in(piece) as usize) as u32)?.into())
    }

    fn greet(&mut self, number: u8, magnet: bool) {
        let mut reserved = Handshake::new(InfoHash([0; 20]), PeerId([0; 20])).reserved;
        reserved[7] &= if self.kind.fast { 0xff } else { !0x04 };
        reserved[5] &= if self.kind.extended { 0xff } else { !0x10 };
        let mut peer_id = *b"-SL0001-000000000000";
        (peer_id[8], peer_id[19]) = (b'0' + number, b'a' + self.kind.name % 26);
        self.script.push((0, Act::Handshake { reserved, info_hash: None, peer_id: PeerId(peer_id) }));
        self.script.push((0, Act::Await(Await::Handshake)));
        self.say_pieces();
        if self.kind.extended {
            let info = self.subject.metainfo.info.len() as u32;
            let hello = ExtendedHandshake {
                messages: [(UT_METADATA.to_owned(), METADATA_HERE), (UT_PEX.to_owned(), PEX_HERE)].into(),
                client: Some("swarmlab fuzz".into()),
                metadata_size: (magnet || !self.takes).then_some(info),
                ..ExtendedHandshake::default()
            };
            self.say(20, Message::Extended { id: 0, payload: hello.to_bytes().into() });
        }
    }

    fn say_pieces(&mut self) {
        let (fast, layout) = (self.kind.fast, self.layout());
        let chosen = layout.all().filter(|piece| self.kind.pieces >> (piece.get() % 64) & 1 == 1);
        // A giver that has nothing is a leecher like the peer, and that has everything a seed.
        let some = self.kind.name & 3;
        match some {
            0 if !self.takes => self.have = Bitfield::full(&layout),
            1 => {}
            _ => chosen.for_each(|piece| {
                self.have.insert(piece);
            }),
        }
        // Who takes lacks something, or it has no reason to.
        if self.takes
            && let Some(piece) = layout.piece(0)
        {
            self.have.remove(piece);
        }
        if fast && self.have.is_full() {
            self.say(0, Message::HaveAll);
        } else if fast && self.have.count() == 0 {
            self.say(0, Message::HaveNone);
        } else if fast || self.kind.name & 4 == 0 {
            self.say(0, Message::Bitfield(self.have.to_wire().into()));
        } else {
            let pieces: Vec<_> = self.have.iter(&layout).take(64).collect();
            self.have = Bitfield::empty(&layout);
            for piece in pieces {
                self.have.insert(piece);
                self.say(0, Message::Have(piece.get()));
            }
        }
    }

    fn take_turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Ask(blocks) if self.takes => {
                if !self.has_cancelled {
                    self.asked.clear();
                }
                let before = self.asked.len();
                for (piece, nth) in blocks {
                    if let Some(block) =
                        self.nth_block(piece, nth).filter(|block| !self.asked.contains(block))
                    {
                        self.asked.push(block);
                        self.say(0, Message::Request(block));
                    }
                }
                self.script.extend(self.asked[before..].iter().map(|_| (0, Act::Await(Await::Piece))));
            }
            Turn::Cancel(piece, nth) if self.takes => {
                let unsure = |block: &RawBlock| self.has_cancelled && self.asked.contains(block);
                if let Some(block) = self.nth_block(piece, nth).filter(|block| !unsure(block)) {
                    self.has_cancelled = true;
                    self.asked.push(block);
                    self.say(0, Message::Request(block));
                    self.say(0, Message::Cancel(block));
                    // Either the block or a refusal is on its way.
                    self.say(1000, Message::KeepAlive);
                }
            }
            Turn::Have(piece) => {
                let layout = self.layout();
                let piece = layout.piece(piece.index(layout.pieces() as usize) as u32);
                // Not the one that it came for.
                if let Some(piece) = piece.filter(|piece| piece.get() > 0 && self.have.insert(*piece)) {
                    self.say(0, Message::Have(piece.get()));
                }
            }
            Turn::Flicker if self.takes => {
                self.say(0, Message::NotInterested);
                self.say(100, Message::Interested);
                self.say(15_000, Message::KeepAlive);
            }
            Turn::Pause(time) if !self.takes && self.have.count() > 0 => {
                self.say(0, Message::Choke);
                if self.kind.fast {
                    self.script.push((0, Act::Serve { count: 300, how: Serve::Reject }));
                }
                self.say(*time, Message::Unchoke);
            }
            Turn::Give(count) if !self.takes => {
                self.script.push((0, Act::Serve { count: *count, how: Serve::Good }));
            }
            Turn::KeepAlive => self.say(0, Message::KeepAlive),
            Turn::Port(port) => self.say(0, Message::Port(*port)),
            Turn::Pex(contacts) if self.kind.extended => {
                let contact = |&(ip, port): &([u8; 4], u16)| Contact { addr: (ip, port).into(), flags: 0 };
                let message =
                    PexMessage { added: contacts.iter().map(contact).collect(), dropped: Vec::new() };
                // BEP 11: no more than one a minute.
                self.say(61_000, Message::Extended { id: PEX_HERE, payload: message.to_bytes().into() });
            }
            Turn::Metadata(piece) if self.kind.extended && self.takes => {
                let payload = MetadataMessage::Request { piece: (*piece).into() }.to_bytes().into();
                let id = engine::wire::extension::METADATA_ID;
                self.say(0, Message::Extended { id, payload });
                self.script.push((0, Act::Await(Await::Extended)));
            }
            Turn::Wait(time) => self.say(*time, Message::KeepAlive),
            _ => {}
        }
    }
}

/// The script of one remote.
fn script(number: u8, kind: &Kind, turns: &[Turn], closes: bool, role: Role, subject: &Subject) -> Script {
    let takes = role == Role::Seed;
    let have = Bitfield::empty(subject.layout());
    let (asked, script) = (Vec::new(), Vec::new());
    let mut speaker = Speaker { kind, subject, takes, have, asked, has_cancelled: false, script };
    speaker.greet(number, role == Role::Magnet);
    if takes {
        // By then it has heard what the peer has.
        speaker.say(100, Message::Interested);
        speaker.script.push((0, Act::Await(Await::Unchoke)));
    } else {
        speaker.say(10, Message::Unchoke);
    }
    turns.iter().for_each(|turn| speaker.take_turn(turn));
    if closes {
        speaker.script.push((0, Act::Close));
    }
    speaker.script
}

/// Scripts of several remotes, woven into one another.
fn weave(scripts: Vec<Script>, order: &[u8]) -> Vec<Step> {
    let mut rest: Vec<_> = scripts.into_iter().map(Vec::into_iter).collect();
    let mut steps = Vec::new();
    let mut picks = order.iter().cycle();
    loop {
        let left: Vec<usize> = (0..rest.len()).filter(|&at| rest[at].len() > 0).collect();
        if left.is_empty() {
            return steps;
        }
        let pick = picks.next().copied().unwrap_or_default();
        let at = left[usize::from(pick) % left.len()];
        if let Some((wait, act)) = rest[at].next() {
            let wait = Duration::from_millis(wait.into());
            steps.push(Step { wait, ..Step::new(at as u8 + 1, act) });
        }
    }
}

/// Torrents that suit a peer in this role.
fn subject(role: Role) -> impl Strategy<Value = Arc<Subject>> {
    let shape = match role {
        Role::Magnet => prop_oneof![2 => Just(0), 1 => Just(4)].boxed(),
        _ => prop_oneof![4 => Just(0usize), 1 => 1..4usize].boxed(),
    };
    shape.prop_map(|shape| SUBJECTS[shape].clone())
}

/// Legal dialogues with a peer in this role, about one torrent or several: up to three honest remotes.
fn honest(
    role: Role,
    subject: impl Strategy<Value = Arc<Subject>>,
) -> impl Strategy<Value = (Dialogue, Arc<Subject>)> {
    let remotes = vec((kind(), vec(turn(), 0..7), any::<bool>()), 1..4);
    (subject, remotes, vec(any::<u8>(), 16)).prop_map(move |(subject, remotes, order)| {
        let scripts = remotes.iter().enumerate();
        let scripts = scripts
            .map(|(at, (kind, turns, closes))| script(at as u8 + 1, kind, turns, *closes, role, &subject));
        let steps = weave(scripts.collect(), &order);
        let (total, piece_length) = (subject.layout().total(), subject.layout().piece_length());
        (Dialogue { role, total, piece_length, steps }, subject)
    })
}

/// Legal dialogues with the torrents that they are about: this one, or several of ours.
pub(super) fn legal_with(role: Role, about: Option<Arc<Subject>>) -> BoxedStrategy<(Dialogue, Arc<Subject>)> {
    match about {
        Some(about) => honest(role, Just(about)).boxed(),
        None => honest(role, subject(role)).boxed(),
    }
}

/// Legal dialogues with a peer in this role: up to three honest remotes.
pub fn legal(role: Role) -> impl Strategy<Value = Dialogue> {
    legal_with(role, None).prop_map(|(dialogue, _)| dialogue)
}

/// Legal dialogues with a peer in any role.
pub fn any_legal() -> impl Strategy<Value = Dialogue> {
    prop_oneof![legal(Role::Leech), legal(Role::Seed), legal(Role::Magnet)]
}

/// Any message, with numbers that are likely to be at some limit.
pub fn message() -> impl Strategy<Value = Message> {
    let number = || number();
    let raw = move || {
        (number(), number(), number()).prop_map(|(piece, begin, length)| RawBlock { piece, begin, length })
    };
    let bytes = |most: usize| vec(any::<u8>(), 0..most).prop_map(bytes::Bytes::from);
    prop_oneof![
        Just(Message::KeepAlive),
        Just(Message::Choke),
        Just(Message::Unchoke),
        Just(Message::Interested),
        Just(Message::NotInterested),
        number().prop_map(Message::Have),
        bytes(40).prop_map(Message::Bitfield),
        vec(any::<u8>(), 1..3).prop_map(|few| Message::Bitfield(few.into())),
        raw().prop_map(Message::Request),
        (number(), number(), bytes(100)).prop_map(|(piece, begin, data)| Message::Piece {
            piece,
            begin,
            data
        }),
        raw().prop_map(Message::Cancel),
        any::<u16>().prop_map(Message::Port),
        number().prop_map(Message::Suggest),
        Just(Message::HaveAll),
        Just(Message::HaveNone),
        raw().prop_map(Message::Reject),
        number().prop_map(Message::AllowedFast),
        (0..5u8, extension()).prop_map(|(id, payload)| Message::Extended { id, payload: payload.into() }),
        (21..=255u8, bytes(40)).prop_map(|(id, payload)| Message::Unknown { id, payload }),
    ]
}

/// A number that is likely to be at some limit.
pub fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0..10u32,
        2 => (0..20u32).prop_map(|n| n * (BLOCK / 2)),
        1 => prop::sample::select(&[BLOCK - 1, BLOCK + 1, 1 << 17, (1 << 17) + 1, 1 << 31, u32::MAX - 1, u32::MAX, i32::MAX as u32]),
        1 => any::<u32>(),
    ]
}

/// The payload of an extended message: sound, or nearly so.
fn extension() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(&[
        "m",
        "v",
        "p",
        "reqq",
        "metadata_size",
        "upload_only",
        "yourip",
        "msg_type",
        "piece",
        "total_size",
        "added",
        "added.f",
        "added6",
        "dropped",
        "ut_pex",
        "ut_metadata",
        "lt_donthave",
        "x",
    ]);
    let leaf = prop_oneof![
        number().prop_map(|n| engine::bencode::Item::Integer(n.into())),
        any::<i64>().prop_map(engine::bencode::Item::Integer),
        vec(any::<u8>(), 0..30).prop_map(engine::bencode::Item::String),
        (0..200usize).prop_map(|n| engine::bencode::Item::String(vec![1; n * 6])),
    ];
    let item = leaf.prop_recursive(3, 20, 5, move |inner| {
        let entries = vec((key.clone(), inner.clone()), 0..6);
        prop_oneof![
            entries.prop_map(|entries| {
                engine::bencode::Item::dictionary(entries.into_iter().map(|(key, item)| (key, Some(item))))
            }),
            vec(inner, 0..4).prop_map(engine::bencode::Item::List),
        ]
    });
    (item, vec(any::<u8>(), 0..4)).prop_map(|(item, tail)| {
        let mut bytes = item.to_bytes();
        bytes.extend(tail);
        bytes
    })
}
