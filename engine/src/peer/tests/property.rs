//! Whatever comes in, in whatever order: no panic, nothing sent that is lacked, nothing requested that is
//! had, or that the remote lacks, or while it chokes us; and the books are right after every input. A failure
//! prints the inputs that led to it, made as short as they get.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::bench::*;
use crate::Bitfield;
use crate::ids::ConnId;
use crate::layout::{BLOCK, BlockRef};
use crate::peer::{Event, Input, Output, PeerConfig, Pipeline};
use crate::tracker::AnnounceError;
use crate::wire::{InfoHash, Message, RawBlock, WireError};

const PIECES: u32 = 6;
const REMOTES: u32 = 5;
const DEPTH: u32 = 5;
const BAD: WireError = WireError::Protocol { at: 0, got: 0 };

#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Timeout,
    Connect {
        remote: u32,
        outgoing: bool,
    },
    ConnectFailed(u32),
    Closed(u32),
    Handshake {
        remote: u32,
        id: u8,
        fast: bool,
        right: bool,
    },
    Join {
        remote: u32,
        fast: bool,
        have: u8,
    },
    Say(u32, Message),
    /// The remote gives, or rejects, what it was asked for, the oldest but so many.
    Give {
        remote: u32,
        which: usize,
        short: bool,
    },
    Refuse {
        remote: u32,
        which: usize,
    },
    Read {
        which: usize,
        good: bool,
    },
    Verdict {
        which: usize,
        ok: bool,
    },
    Verified {
        piece: u32,
        ok: bool,
    },
    Sent {
        remote: u32,
        bytes: u32,
    },
    Malformed(u32),
    Discovered(Vec<u32>),
    Announced(Option<Vec<u32>>),
    Stop,
    Start,
    UploadMode(bool),
    Limits(u32, u32),
    Picker(&'static str),
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 0..PIECES, 1 => Just(PIECES), 1 => any::<u32>()]
}

fn range() -> impl Strategy<Value = RawBlock> {
    let begin = prop_oneof![8 => (0u32..4).prop_map(|n| n * BLOCK), 1 => any::<u32>()];
    let length = prop_oneof![8 => Just(BLOCK), 1 => 0..5 * BLOCK, 1 => any::<u32>()];
    (number(), begin, length).prop_map(|(piece, begin, length)| RawBlock { piece, begin, length })
}

fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    prop_oneof![
        3 => (0u8..64).prop_map(|bits| vec![bits << 2].into()),
        1 => prop::collection::vec(any::<u8>(), 0..9).prop_map(Into::into),
        4 => prop::sample::select(vec![
            &b"d4:reqqi3ee"[..],
            b"d11:upload_onlyi1ee",
            b"d11:upload_onlyi0ee",
            b"d1:md11:ut_metadatai4e6:ut_pexi5ee1:pi9e1:v1:xe",
            b"d1:md6:ut_pexi0eee",
            b"d8:msg_typei0e5:piecei0ee",
            b"d5:added12:\x0a\0\0\x0b\x1a\xe1\x0a\0\0\x20\0\x01e",
        ])
        .prop_map(bytes::Bytes::from_static),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => Just(Message::KeepAlive),
        3 => Just(Message::Choke),
        8 => Just(Message::Unchoke),
        4 => Just(Message::Interested),
        2 => Just(Message::NotInterested),
        6 => number().prop_map(Message::Have),
        1 => bytes().prop_map(Message::Bitfield),
        6 => range().prop_map(Message::Request),
        1 => (range(), 0..2 * BLOCK).prop_map(|(raw, length)| {
            Message::Piece { piece: raw.piece, begin: raw.begin, data: payload(length) }
        }),
        3 => range().prop_map(Message::Cancel),
        1 => any::<u16>().prop_map(Message::Port),
        1 => number().prop_map(Message::Suggest),
        1 => Just(Message::HaveAll),
        1 => Just(Message::HaveNone),
        1 => range().prop_map(Message::Reject),
        3 => number().prop_map(Message::AllowedFast),
        6 => (0u8..3, bytes()).prop_map(|(id, payload)| Message::Extended { id, payload }),
        1 => (21u8.., bytes()).prop_map(|(id, payload)| Message::Unknown { id, payload }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let remote = || 0..REMOTES;
    prop_oneof![
        5 => (0u64..30_000).prop_map(Op::Pass),
        1 => Just(Op::Timeout),
        2 => (remote(), any::<bool>()).prop_map(|(remote, outgoing)| Op::Connect { remote, outgoing }),
        1 => remote().prop_map(Op::ConnectFailed),
        1 => remote().prop_map(Op::Closed),
        2 => (remote(), 0u8..4, any::<bool>(), prop::bool::weighted(0.9))
            .prop_map(|(remote, id, fast, right)| Op::Handshake { remote, id, fast, right }),
        12 => (remote(), any::<bool>(), 0u8..64)
            .prop_map(|(remote, fast, have)| Op::Join { remote, fast, have }),
        30 => (remote(), message()).prop_map(|(remote, message)| Op::Say(remote, message)),
        70 => (remote(), 0usize..3, prop::bool::weighted(0.01))
            .prop_map(|(remote, which, short)| Op::Give { remote, which, short }),
        4 => (remote(), 0usize..4).prop_map(|(remote, which)| Op::Refuse { remote, which }),
        16 => (0usize..2, prop::bool::weighted(0.9)).prop_map(|(which, good)| Op::Read { which, good }),
        20 => (0usize..2, prop::bool::weighted(0.7)).prop_map(|(which, ok)| Op::Verdict { which, ok }),
        1 => (0..PIECES, any::<bool>()).prop_map(|(piece, ok)| Op::Verified { piece, ok }),
        4 => (remote(), 0..3 * BLOCK).prop_map(|(remote, bytes)| Op::Sent { remote, bytes }),
        1 => remote().prop_map(Op::Malformed),
        1 => prop::collection::vec(0..2 * REMOTES, 0..5).prop_map(Op::Discovered),
        1 => prop::option::of(prop::collection::vec(0..2 * REMOTES, 0..5)).prop_map(Op::Announced),
        1 => Just(Op::Stop),
        2 => Just(Op::Start),
        1 => prop::bool::weighted(0.2).prop_map(Op::UploadMode),
        1 => (2u32..6, 0u32..4).prop_map(|(connections, slots)| Op::Limits(connections, slots)),
        1 => pickers().prop_map(Op::Picker),
    ]
}

fn pickers() -> impl Strategy<Value = &'static str> {
    prop::sample::select(crate::picker::NAMES.map(|(name, _)| name).to_vec())
}

/// What a remote has said and was told, kept the plain way.
struct Remote {
    fast: bool,
    ready: bool,
    choking: bool,
    have: Bitfield,
    allowed: Vec<u32>,
    asked: Vec<RawBlock>,
}

struct Model {
    bench: Bench,
    open: BTreeMap<ConnId, Remote>,
    reads: Vec<(ConnId, BlockRef)>,
    due: Vec<crate::PieceIndex>,
    seen: Seen,
    upload_mode: bool,
}

/// How often something came of it all.
#[derive(Debug, Default)]
struct Seen {
    requests: u32,
    cancels: u32,
    pieces_sent: u32,
    rejects: u32,
    verified: u32,
    failed: u32,
    banned: u32,
    snubbed: u32,
    endgames: u32,
    completed: u32,
}

impl Model {
    fn input(&mut self, input: Input) {
        self.hear(&input);
        if let Input::Closed { conn } = input {
            self.open.remove(&conn);
        }
        let outputs = self.bench.input(input);
        self.judge_all(outputs);
    }

    /// What is set is judged as what comes in.
    fn set(&mut self, set: impl FnOnce(&mut Bench)) {
        set(&mut self.bench);
        let outputs = std::iter::from_fn(|| self.bench.peer.poll_output()).collect();
        self.bench.peer.check();
        self.judge_all(outputs);
        assert_eq!(self.bench.peer.connections_info(self.bench.now).count(), self.open.len());
    }

    fn judge_all(&mut self, outputs: Vec<Output>) {
        assert!(outputs.len() < 400, "{} outputs", outputs.len());
        for output in outputs {
            self.judge(output);
        }
    }

    /// What a remote says, as BEP 3 and BEP 6 mean it.
    fn hear(&mut self, input: &Input) {
        let layout = self.bench.layout;
        match input {
            Input::Connected { conn, .. } => {
                let remote = Remote {
                    fast: false,
                    ready: false,
                    choking: true,
                    have: Bitfield::empty(&layout),
                    allowed: Vec::new(),
                    asked: Vec::new(),
                };
                self.open.insert(*conn, remote);
            }
            Input::Handshake { conn, handshake } => {
                if let Some(remote) = self.open.get_mut(conn) {
                    (remote.fast, remote.ready) = (handshake.fast(), true);
                }
            }
            Input::Message { conn, message } => {
                let Some(remote) = self.open.get_mut(conn).filter(|remote| remote.ready) else { return };
                match message {
                    Message::Choke => {
                        remote.choking = true;
                        if !remote.fast {
                            remote.asked.clear();
                        }
                    }
                    Message::Unchoke => remote.choking = false,
                    Message::Have(piece) => {
                        layout.piece(*piece).map(|piece| remote.have.insert(piece));
                    }
                    // Early or late, they add to what it has.
                    Message::Bitfield(bytes) => {
                        let more = Bitfield::from_wire(&layout, bytes).unwrap_or(Bitfield::empty(&layout));
                        for piece in more.iter(&layout) {
                            remote.have.insert(piece);
                        }
                    }
                    Message::HaveAll if remote.fast => remote.have = Bitfield::full(&layout),
                    Message::AllowedFast(piece) => remote.allowed.push(*piece),
                    Message::Reject(raw) => {
                        remove(&mut remote.asked, *raw);
                    }
                    Message::Piece { piece, begin, data } => {
                        let length = data.len() as u32;
                        remove(&mut remote.asked, RawBlock { piece: *piece, begin: *begin, length });
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, output: Output) {
        let have = self.bench.peer.have();
        match output {
            Output::Send { conn, message } => {
                let remote = self.open.get_mut(&conn).expect("sent to somebody who is there");
                match message {
                    Message::Request(raw) => {
                        let block = self.bench.layout.block(raw.piece, raw.begin, raw.length);
                        let piece = block.expect("a request in range").piece();
                        assert!(raw.length <= BLOCK && raw.begin % BLOCK == 0);
                        assert!(!self.upload_mode, "{raw:?} asked for in upload mode");
                        assert!(!have.contains(piece), "{raw:?} is had");
                        assert!(remote.have.contains(piece), "{raw:?} is not the remote's");
                        let allowed = remote.fast && remote.allowed.contains(&raw.piece);
                        assert!(!remote.choking || allowed, "{raw:?} asked of who chokes us");
                        remote.asked.push(raw);
                        self.seen.requests += 1;
                    }
                    Message::Piece { piece, .. } => {
                        let piece = self.bench.layout.piece(piece).expect("a piece in range");
                        assert!(have.contains(piece), "{piece:?} sent and not had");
                        self.seen.pieces_sent += 1;
                    }
                    Message::Cancel(_) => self.seen.cancels += 1,
                    Message::Reject(_) => self.seen.rejects += 1,
                    _ => {}
                }
            }
            Output::SendHandshake { conn, .. } => assert!(self.open.contains_key(&conn)),
            Output::Disconnect { conn, .. } => {
                assert!(self.open.remove(&conn).is_some(), "{conn:?} closed twice");
            }
            Output::ReadBlock { conn, block } => {
                assert!(have.contains(block.piece()), "{block:?} read and not had");
                self.reads.push((conn, block));
            }
            Output::WriteBlock { block, data } => assert_eq!(data.len(), block.length() as usize),
            Output::VerifyPiece { piece } => self.due.push(piece),
            Output::Event(event) => match event {
                Event::PieceCompleted(_) => self.seen.verified += 1,
                Event::Completed => self.seen.completed += 1,
                Event::HashFailed(_) => self.seen.failed += 1,
                Event::Banned(_) => self.seen.banned += 1,
                Event::Snubbed(_) => self.seen.snubbed += 1,
                Event::EndgameStarted => self.seen.endgames += 1,
                Event::Wasted { .. } => {}
            },
            Output::Connect { .. } | Output::Announce(_) => {}
        }
    }

    fn connect(&mut self, conn: ConnId, outgoing: bool) {
        if !self.open.contains_key(&conn) {
            // Remotes 0 and 4 share an address.
            self.input(Input::Connected { conn, addr: addr(10 + conn.0 % 4), outgoing });
        }
    }

    fn apply(&mut self, op: Op) {
        let hosts = |hosts: Vec<u32>| hosts.into_iter().map(|host| addr(10 + host)).collect::<Vec<_>>();
        match op {
            Op::Pass(millis) => {
                self.bench.now = self.bench.now + Duration::from_millis(millis);
                self.input(Input::Timeout);
            }
            Op::Timeout => self.input(Input::Timeout),
            Op::Connect { remote, outgoing } => self.connect(ConnId(remote), outgoing),
            Op::ConnectFailed(host) => self.input(Input::ConnectFailed { addr: addr(10 + host) }),
            Op::Closed(remote) => self.input(Input::Closed { conn: ConnId(remote) }),
            Op::Handshake { remote, id, fast, right } => {
                let mut handshake = handshake(id, fast);
                handshake.info_hash = if right { INFO_HASH } else { InfoHash([0; 20]) };
                self.input(Input::Handshake { conn: ConnId(remote), handshake });
            }
            Op::Join { remote, fast, have } => {
                let conn = ConnId(remote);
                self.connect(conn, false);
                if self.open.get(&conn).is_none_or(|remote| remote.ready) {
                    return;
                }
                self.input(Input::Handshake { conn, handshake: handshake(10 + remote as u8, fast) });
                let message = Message::Bitfield(vec![have << 2].into());
                self.input(Input::Message { conn, message });
                self.input(Input::Message { conn, message: Message::Unchoke });
            }
            Op::Say(remote, message) => self.input(Input::Message { conn: ConnId(remote), message }),
            Op::Give { remote, which, short } => {
                let Some(raw) = self.asked(remote, which) else { return };
                let data = payload(raw.length - u32::from(short));
                let message = Message::Piece { piece: raw.piece, begin: raw.begin, data };
                self.input(Input::Message { conn: ConnId(remote), message });
            }
            Op::Refuse { remote, which } => {
                if let Some(raw) = self.asked(remote, which) {
                    self.input(Input::Message { conn: ConnId(remote), message: Message::Reject(raw) });
                }
            }
            Op::Read { which, good } => {
                if which < self.reads.len() {
                    let (conn, block) = self.reads.swap_remove(which);
                    let data = good.then(|| payload(block.length()));
                    self.input(Input::BlockRead { conn, block, data });
                }
            }
            Op::Verdict { which, ok } => {
                if which < self.due.len() {
                    let piece = self.due.swap_remove(which);
                    self.input(Input::PieceVerified { piece, ok });
                }
            }
            Op::Verified { piece, ok } => {
                let piece = self.bench.piece(piece);
                if !self.due.contains(&piece) {
                    self.input(Input::PieceVerified { piece, ok });
                }
            }
            Op::Sent { remote, bytes } => self.input(Input::Sent { conn: ConnId(remote), bytes }),
            Op::Malformed(remote) => self.input(Input::Malformed { conn: ConnId(remote), error: BAD }),
            Op::Discovered(list) => self.input(Input::Discovered { peers: hosts(list) }),
            Op::Announced(Some(list)) => self.input(Input::Announced(Ok(Box::new(reply(&hosts(list)))))),
            Op::Announced(None) => self.input(Input::Announced(Err(AnnounceError::unanswered("no")))),
            Op::Stop => self.input(Input::Stop),
            Op::Start => self.input(Input::Start),
            Op::UploadMode(on) => {
                self.upload_mode = on;
                self.set(|bench| bench.peer.set_upload_mode(bench.now, on));
            }
            Op::Limits(connections, slots) => {
                self.set(|bench| bench.peer.set_limits(bench.now, connections, slots));
            }
            Op::Picker(name) => self.set(|bench| {
                bench.peer.set_picker(crate::picker::by_name(name).expect("a picker").as_ref());
            }),
        }
    }

    fn asked(&self, remote: u32, which: usize) -> Option<RawBlock> {
        self.open.get(&ConnId(remote))?.asked.get(which).copied()
    }
}

fn remove(asked: &mut Vec<RawBlock>, block: RawBlock) {
    if let Some(at) = asked.iter().position(|&asked| asked == block) {
        asked.remove(at);
    }
}

fn run(setup: Setup, ops: Vec<Op>, seen: Seen) -> Seen {
    let bench = setup.bench();
    let mut model =
        Model { bench, open: BTreeMap::new(), reads: Vec::new(), due: Vec::new(), seen, upload_mode: false };
    for op in ops {
        model.apply(op);
        let asked = model.open.values().map(|remote| remote.asked.len()).max().unwrap_or(0);
        assert!(asked <= (DEPTH as usize) + 256, "{asked} requests unanswered");
    }
    model.seen
}

/// Between them the setups have every choker and picker, both pipelines, gifts and none.
fn setup() -> impl Strategy<Value = Setup> {
    let chokers = prop::sample::select(crate::choker::NAMES.map(|(name, _)| name).to_vec());
    (chokers, pickers(), 0u32..4, any::<[bool; 3]>(), 0..=PIECES, any::<u64>()).prop_map(
        |(choker, picker, allowed_fast, [endgame, fixed, client], have, seed)| {
            let mut setup = Setup::leech(PIECES).with(|config| {
                if client {
                    *config = PeerConfig::client();
                }
                (config.allowed_fast, config.endgame) = (allowed_fast, endgame);
                (config.slots, config.max_queued, config.max_connections) = (2, 6, 4);
                config.pipeline = match fixed {
                    true => Pipeline::Fixed(DEPTH),
                    false => Pipeline::Adaptive { queue: Duration::from_secs(1), min: 1, max: DEPTH },
                };
            });
            setup.have = (0..have).collect();
            Setup { choker, picker, seed, ..setup }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_comes_in_upsets_a_peer(setup in setup(), ops in prop::collection::vec(op(), 0..300)) {
        run(setup, ops, Seen::default());
    }
}

#[test]
fn the_inputs_reach_everything() {
    // Or the property above would say little. One fixed seed.
    let mut runner = TestRunner::deterministic();
    let strategy = (setup(), prop::collection::vec(op(), 300..301));
    let mut seen = Seen::default();
    for _ in 0..400 {
        let (setup, ops) = strategy.new_tree(&mut runner).unwrap().current();
        seen = run(setup, ops, seen);
    }
    let Seen { requests, cancels, pieces_sent, rejects, verified, failed, banned, snubbed, .. } = seen;
    assert!(requests > 5_000 && verified > 200 && failed > 100, "{seen:?}");
    assert!(cancels > 50 && rejects > 100 && pieces_sent > 20 && banned > 30 && snubbed > 5, "{seen:?}");
    assert!(seen.endgames > 50 && seen.completed > 20, "{seen:?}");
}
