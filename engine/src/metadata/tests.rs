//! Fetches against peers that serve, and against remotes that lie, in a network in memory.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bencode::Item;
use crate::bitfield::Bitfield;
use crate::peer::{Peer, Policy};
use crate::testing::{Machine, Net, addr};
use crate::tracker::AnnounceError;
use crate::wire::{MetadataMessage, PeerId, RawBlock};
use crate::{Metainfo, choker, picker};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The info dictionary of ten pieces, `extra` bytes longer than it had to be.
fn info(extra: usize, private: bool) -> Bytes {
    Item::dictionary([
        ("length", Some(Item::Integer(10 * 16384))),
        ("name", Some(Item::string("x"))),
        ("piece length", Some(Item::Integer(16384))),
        ("pieces", Some(Item::string([7; 200]))),
        ("private", private.then_some(Item::Integer(1))),
        ("x", Some(Item::string((0..extra).map(|i| (i / 16384 + i) as u8).collect::<Vec<_>>()))),
    ])
    .to_bytes()
    .into()
}

fn peer_config() -> Arc<PeerConfig> {
    Arc::new(PeerConfig::client())
}

fn identity(n: usize) -> Identity {
    Identity { peer_id: PeerId([n as u8 + 1; 20]), addr: addr(n) }
}

/// A peer with what the info dictionary says, all of it or nothing.
fn peer(n: usize, info: &Bytes, complete: bool) -> Peer {
    let torrent = Metainfo::from_info(info).unwrap().torrent();
    let choker = choker::by_name("unchoke-all").unwrap();
    let policy =
        Policy { leech: choker.clone(), seed: choker, picker: picker::by_name("sequential").unwrap() };
    let have = if complete { Bitfield::full(&torrent.layout) } else { Bitfield::empty(&torrent.layout) };
    let mut peer = Peer::new(torrent, peer_config(), &policy, identity(n), have, Seed(n as u64));
    assert_eq!(peer.set_metadata(info.clone()), !torrent.private);
    peer
}

fn fetch(n: usize, info: &[u8], peers: &[usize]) -> Fetch {
    let peers: Vec<_> = peers.iter().map(|&n| addr(n)).collect();
    Fetch::new(InfoHash::of(info), FetchConfig::new(peer_config()), identity(n), &peers, Seed(99))
}

/// How a remote lies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    /// It sends bytes of its own.
    Junk,
    /// It never answers.
    Silence,
    /// It has nothing after all.
    Reject,
    /// Its pieces have the wrong length.
    Short,
    /// It says one size in its handshake and another with the data.
    Size,
    /// It answers with other pieces than it was asked for, and more of them.
    Unasked,
}

/// A remote that claims to have the metadata.
struct Liar {
    n: usize,
    info_hash: InfoHash,
    size: u32,
    lie: Lie,
    outputs: VecDeque<Output>,
}

impl Liar {
    fn new(n: usize, info: &[u8], size: u32, lie: Lie) -> Self {
        Self { n, info_hash: InfoHash::of(info), size, lie, outputs: VecDeque::new() }
    }

    fn say(&mut self, conn: ConnId, id: u8, payload: Vec<u8>) {
        self.outputs
            .push_back(Output::Send { conn, message: Message::Extended { id, payload: payload.into() } });
    }

    fn answer(&mut self, conn: ConnId, piece: u32) {
        let length = (self.size - piece * METADATA_PIECE).min(METADATA_PIECE) as usize;
        let data = |piece, total_size, length: usize| {
            MetadataMessage::Data { piece, total_size, data: vec![b'j'; length].into() }.to_bytes()
        };
        let answers = match self.lie {
            Lie::Junk => vec![data(piece, self.size, length)],
            Lie::Silence => vec![],
            Lie::Reject => vec![MetadataMessage::Reject { piece }.to_bytes()],
            Lie::Short => vec![data(piece, self.size, length - 1)],
            Lie::Size => vec![data(piece, self.size + 1, length)],
            Lie::Unasked => (1..20).map(|n| data(piece + n, self.size, length)).collect(),
        };
        answers.into_iter().for_each(|answer| self.say(conn, METADATA_ID, answer));
    }
}

impl Machine for Liar {
    fn input(&mut self, _: Instant, input: Input) {
        match input {
            Input::Handshake { conn, .. } => {
                let handshake = Handshake::new(self.info_hash, identity(self.n).peer_id);
                self.outputs.push_back(Output::SendHandshake { conn, handshake });
                let said = ExtendedHandshake {
                    messages: BTreeMap::from([(UT_METADATA.to_owned(), 9)]),
                    metadata_size: Some(self.size),
                    ..ExtendedHandshake::default()
                };
                self.say(conn, 0, said.to_bytes());
            }
            Input::Message { conn, message: Message::Extended { id: 9, payload } } => {
                if let Ok(Some(MetadataMessage::Request { piece })) = MetadataMessage::from_bytes(&payload) {
                    self.answer(conn, piece);
                }
            }
            _ => {}
        }
    }
    fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
    fn timeout(&self) -> Option<Deadline> {
        None
    }
    fn any(&mut self) -> &mut dyn std::any::Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// What a node has sent of `ut_metadata`, under the other end's `id`.
fn metadata_messages(net: &Net, from: usize, theirs: u8) -> Vec<(ConnId, MetadataMessage)> {
    let message = |(node, output): &(usize, Output)| match output {
        Output::Send { conn, message: Message::Extended { id, payload } }
            if *node == from && *id == theirs =>
        {
            Some((*conn, MetadataMessage::from_bytes(payload).ok()??))
        }
        _ => None,
    };
    net.log.iter().filter_map(message).collect()
}

fn done(node: usize) -> impl FnMut(&mut Net) -> bool {
    move |net| net.at::<Fetch>(node).info().is_some()
}

#[test]
fn a_magnet_becomes_a_torrent_on_one_connection() {
    let info = info(100_000, false);
    let mut net = Net::new();
    net.add(peer(0, &info, true));
    let me = net.add(fetch(1, &info, &[0]));
    assert!(net.run(seconds(5), done(me)), "{:?}", net.at::<Fetch>(me).progress());
    let got = net.at::<Fetch>(me).info().unwrap().clone();
    assert_eq!(got, info);
    assert_eq!(net.nodes[me].announces, 1);
    let asked = metadata_messages(&net, me, METADATA_ID).len();
    assert_eq!(asked, 7, "each piece once");

    // The peer says that it has everything and that we may ask: that is kept for the one who can use it.
    let started = peer(1, &got, false);
    let fetch: Fetch = net.replace(me, started);
    net.feed(me, Input::Start);
    let (handover, closed) = fetch.hand_over(false);
    assert_eq!((handover.connections.len(), closed), (1, vec![]));
    let now = net.now;
    net.at::<Peer>(me).take_over(now, handover);
    net.drain(me);
    assert!(net.run(seconds(30), move |net| net.at::<Peer>(me).is_complete()));
    let dials = net.log.iter().filter(|(_, output)| matches!(output, Output::Connect { .. })).count();
    assert_eq!(dials, 1, "the connection stayed open");
    let reasons: Vec<_> = net.nodes.iter().flat_map(|node| node.closed.iter().map(|c| c.1)).collect();
    assert!(reasons.iter().all(|reason| *reason == DisconnectReason::BothComplete), "{reasons:?}");
    assert_eq!(net.at::<Peer>(me).stats().wasted, 0);
}

#[test]
fn the_whole_goes_from_fetch_to_fetch_by_those_who_got_it() {
    // Node 1 learns it from node 0, and gives it on though it has no piece of the content yet.
    let info = info(40_000, false);
    let mut net = Net::new();
    net.add(peer(0, &info, true));
    let one = net.add(fetch(1, &info, &[0]));
    assert!(net.run(seconds(5), done(one)));
    let fetched: Fetch = net.replace(one, peer(1, &info, false));
    net.feed(one, Input::Start);
    let now = net.now;
    net.at::<Peer>(one).take_over(now, fetched.hand_over(false).0);
    net.drain(one);
    let two = net.add(fetch(2, &info, &[1]));
    assert!(net.run(seconds(5), done(two)));
}

#[test]
fn several_share_the_work_one_request_each() {
    let info = info(1 << 20, false);
    let mut net = Net::new();
    for n in 0..4 {
        net.add(peer(n, &info, n == 0));
    }
    let me = net.add(fetch(4, &info, &[0, 1, 2, 3]));
    assert!(net.run(seconds(10), done(me)));
    // Every answer comes before the next request to the same remote.
    let mut open = BTreeMap::<usize, u32>::new();
    for (node, output) in &net.log {
        let Output::Send { message: Message::Extended { id, payload }, conn } = output else { continue };
        if *id != METADATA_ID {
            continue;
        }
        match MetadataMessage::from_bytes(payload) {
            Ok(Some(MetadataMessage::Request { .. })) if *node == me => {
                // The nodes were dialled in order.
                let open = open.entry(conn.index()).or_default();
                *open += 1;
                assert_eq!(*open, 1, "two requests at once");
            }
            Ok(Some(MetadataMessage::Data { .. })) => *open.entry(*node).or_default() -= 1,
            _ => {}
        }
    }
    for n in 0..4 {
        let sent = metadata_messages(&net, n, METADATA_ID).len();
        assert!((10..25).contains(&sent), "remote {n} sent {sent} of 65");
    }
}

#[test]
fn who_sends_wrong_bytes_alone_is_banned() {
    let info = info(40_000, false);
    let mut net = Net::new();
    net.add(Liar::new(0, &info, info.len() as u32, Lie::Junk));
    let me = net.add(fetch(1, &info, &[0]));
    net.run(seconds(5), |_| false);
    assert_eq!(net.nodes[me].events, [Event::Banned(addr(0).ip())]);
    assert_eq!(net.at::<Fetch>(me).progress().connections, 0);
    net.add(peer(2, &info, true));
    net.feed(me, Input::Discovered { peers: vec![addr(0), addr(2)] });
    assert!(net.run(seconds(5), done(me)));
    let (handover, _) = net.replace::<Fetch>(me, peer(1, &info, false)).hand_over(false);
    assert_eq!(handover.banned, [addr(0).ip()]);
}

#[test]
fn among_liars_the_honest_one_is_found_and_not_banned() {
    let info = info(100_000, false);
    let right = info.len() as u32;
    let (less, more) = (right - 5000, right + 60_000);
    let lies = |lie, size| (lie, size);
    for (name, liars, most) in [
        ("junk of the right size", vec![lies(Lie::Junk, right); 3], 60),
        ("junk of one other size", vec![lies(Lie::Junk, less); 3], 60),
        ("silence of the right size", vec![lies(Lie::Silence, right); 3], 60),
        ("silence of one other size", vec![lies(Lie::Silence, more); 3], 60),
        ("rejects", vec![lies(Lie::Reject, right), lies(Lie::Reject, more), lies(Lie::Reject, more)], 60),
        ("wrong lengths", vec![lies(Lie::Short, right), lies(Lie::Size, right)], 60),
        ("unasked pieces", vec![lies(Lie::Unasked, right); 3], 60),
        (
            "everything",
            vec![
                lies(Lie::Junk, right),
                lies(Lie::Junk, less),
                lies(Lie::Silence, right),
                lies(Lie::Silence, more),
                lies(Lie::Silence, more),
                lies(Lie::Unasked, less),
                lies(Lie::Short, more),
                lies(Lie::Reject, right),
                lies(Lie::Junk, 16 << 20),
                lies(Lie::Junk, u32::MAX),
                lies(Lie::Junk, 1),
            ],
            600,
        ),
    ] {
        for place in [0, liars.len()] {
            let mut net = Net::new();
            for n in 0..=liars.len() {
                if n == place {
                    net.add(peer(n, &info, true));
                } else {
                    let (lie, size) = liars[n - usize::from(n > place)];
                    net.add(Liar::new(n, &info, size, lie));
                }
            }
            let all: Vec<_> = (0..=liars.len()).collect();
            let me = net.add(fetch(liars.len() + 1, &info, &all));
            let found = net.run(seconds(most), done(me));
            assert!(found, "{name}, honest at {place}: {:?}", net.at::<Fetch>(me).progress());
            let banned = Event::Banned(addr(place).ip());
            assert!(!net.nodes[me].events.contains(&banned), "{name}: the honest one is banned");
            // A size is at most what is allowed, and nothing is held but what has come.
            let asked = metadata_messages(&net, me, 9);
            assert!(asked.iter().all(|(_, message)| match message {
                MetadataMessage::Request { piece } => *piece < (16 << 20) / METADATA_PIECE,
                _ => false,
            }));
        }
    }
}

#[test]
fn without_the_metadata_a_request_is_rejected() {
    let info = info(0, false);
    let mut net = Net::new();
    let me = net.add(fetch(0, &info, &[]));
    let other = net.add(fetch(1, &info, &[0]));
    net.run(seconds(1), |_| false);
    let request = MetadataMessage::Request { piece: 0 }.to_bytes();
    let message = Message::Extended { id: METADATA_ID, payload: request.into() };
    net.feed(me, Input::Message { conn: ConnId(0), message });
    let answers = metadata_messages(&net, me, METADATA_ID);
    assert_eq!(answers, [(ConnId(0), MetadataMessage::Reject { piece: 0 })]);
    assert_eq!(net.nodes[other].closed, []);
}

#[test]
fn of_a_private_torrent_only_those_the_tracker_or_the_user_named_are_handed_on() {
    let info = info(0, true);
    let mut net = Net::new();
    net.tracker = vec![addr(0)];
    // Nobody serves a private torrent's, but the tracker's own choice of peers may.
    for n in 0..3 {
        net.add(peer(n, &info, true));
    }
    let me = net.add(fetch(3, &info, &[2]));
    net.feed(me, Input::Discovered { peers: vec![addr(1)] });
    net.run(seconds(2), |_| false);
    assert_eq!(net.nodes[me].links.len(), 3);
    let (handover, closed) = net.replace::<Fetch>(me, peer(3, &info, false)).hand_over(true);
    let kept: BTreeSet<_> = handover.connections.iter().map(|adopted| adopted.addr).collect();
    assert_eq!((kept, closed.len()), (BTreeSet::from([addr(0), addr(2)]), 1));
}

#[test]
fn a_peer_id_that_somebody_has_heard_keeps_nobody_out() {
    let (mut fetch, _) = one_remote(true);
    let handshake = Handshake::new(InfoHash::of(b"de"), PeerId([9; 20]));
    let mut closed = Vec::new();
    // Another address says the same id, and then the same address does.
    for (conn, from) in [(ConnId(4), 6), (ConnId(5), 5)] {
        for input in [
            Input::Connected { conn, addr: addr(from), outgoing: false },
            Input::Handshake { conn, handshake },
        ] {
            fetch.handle_input(Instant::ZERO, input);
            closed.extend(std::iter::from_fn(|| fetch.poll_output()).filter_map(|output| match output {
                Output::Disconnect { conn, reason } => Some((conn, reason)),
                _ => None,
            }));
        }
    }
    assert_eq!(closed, [(ConnId(5), DisconnectReason::Duplicate)]);
}

/// A fetch with one connection, whose handshake is done, and what it said to that.
fn one_remote(fast: bool) -> (Fetch, Vec<Output>) {
    let mut fetch = fetch(0, b"de", &[]);
    let mut outputs = Vec::new();
    let mut handshake = Handshake::new(InfoHash::of(b"de"), PeerId([9; 20]));
    handshake.reserved[7] = if fast { handshake.reserved[7] } else { 0 };
    let conn = ConnId(3);
    for input in [
        Input::Start,
        Input::Connected { conn, addr: addr(5), outgoing: false },
        Input::Handshake { conn, handshake },
    ] {
        fetch.handle_input(Instant::ZERO, input);
        outputs.extend(std::iter::from_fn(|| fetch.poll_output()));
    }
    (fetch, outputs)
}

fn say(fetch: &mut Fetch, message: Message) -> Vec<Output> {
    fetch.handle_input(Instant::ZERO, Input::Message { conn: ConnId(3), message });
    std::iter::from_fn(|| fetch.poll_output()).collect()
}

fn extended(text: &str) -> Message {
    Message::Extended { id: 0, payload: text.as_bytes().to_vec().into() }
}

#[test]
fn what_was_said_meanwhile_is_said_again() {
    let (mut fetch, greeting) = one_remote(true);
    let sent: Vec<_> = greeting
        .iter()
        .filter_map(|output| match output {
            Output::Send { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert!(matches!(sent[..], [Message::HaveNone, Message::Extended { id: 0, .. }]), "{sent:?}");
    for message in [
        extended("d1:md6:ut_pexi4ee4:reqqi7ee"),
        Message::KeepAlive,
        Message::Bitfield(vec![0x80].into()),
        Message::Unchoke,
        Message::Have(5),
        Message::Interested,
        Message::Have(3),
        Message::Have(5),
        extended("d1:md11:ut_metadatai9ee11:upload_onlyi1ee"),
        Message::AllowedFast(2),
        Message::NotInterested,
        Message::Choke,
        Message::Unchoke,
    ] {
        assert!(say(&mut fetch, message).is_empty());
    }
    let block = RawBlock { piece: 0, begin: 0, length: 1 };
    let reject = say(&mut fetch, Message::Request(block));
    assert!(matches!(reject[..], [Output::Send { message: Message::Reject(_), .. }]), "{reject:?}");
    let (handover, _) = fetch.hand_over(false);
    let adopted = &handover.connections[0];
    assert_eq!((adopted.conn, adopted.outgoing, adopted.handshake_sent), (ConnId(3), false, true));
    let Message::Extended { id: 0, payload } = &adopted.messages[0] else { panic!() };
    let said = ExtendedHandshake::from_bytes(payload).unwrap();
    assert_eq!((said.id(UT_PEX), said.id(UT_METADATA)), (Some(4), Some(9)));
    assert_eq!((said.request_queue, said.upload_only), (Some(7), Some(true)));
    let rest = [
        Message::Bitfield(vec![0x80].into()),
        Message::Have(3),
        Message::Have(5),
        Message::AllowedFast(2),
        Message::Unchoke,
    ];
    assert_eq!(adopted.messages[1..], rest);
}

#[test]
fn the_protocol_is_held_to_as_by_a_peer() {
    let block = RawBlock { piece: 0, begin: 0, length: 1 };
    let piece = Message::Piece { piece: 0, begin: 0, data: Bytes::new() };
    for (fast, before, message, violation) in [
        (true, Some(Message::Have(1)), Message::HaveNone, Violation::LateHaveNone),
        (true, Some(Message::HaveAll), Message::HaveNone, Violation::LateHaveNone),
        (false, None, Message::HaveAll, Violation::FastNotAgreed),
        (false, None, Message::AllowedFast(1), Violation::FastNotAgreed),
        (false, None, Message::Have(1 << 21), Violation::PieceOutOfRange),
        (true, None, Message::Suggest(u32::MAX), Violation::PieceOutOfRange),
        (true, None, Message::Reject(block), Violation::UnrequestedBlock),
        (false, None, piece, Violation::UnrequestedBlock),
        (true, None, extended("le"), Violation::Malformed),
    ] {
        let (mut fetch, _) = one_remote(fast);
        before.into_iter().for_each(|message| assert!(say(&mut fetch, message).is_empty()));
        let outputs = say(&mut fetch, message.clone());
        let [Output::Disconnect { reason, .. }] = outputs[..] else { panic!("{message:?}: {outputs:?}") };
        assert_eq!(reason, DisconnectReason::Violation(violation), "{message:?}");
    }
    let (mut fetch, _) = one_remote(false);
    let closed = (0..remote::MAX_HAVES as u32 + 1).find(|&n| !say(&mut fetch, Message::Have(n)).is_empty());
    assert_eq!(closed, Some(remote::MAX_HAVES as u32), "a remote cannot make us keep more");
}

#[test]
fn the_silent_are_let_go_and_the_quiet_kept_awake() {
    let (mut fetch, _) = one_remote(true);
    let (mut alive, mut closed) = (Vec::new(), None);
    while let Some(deadline) = fetch.poll_timeout().filter(|_| closed.is_none()) {
        fetch.handle_input(deadline.at, Input::Timeout);
        while let Some(output) = fetch.poll_output() {
            match output {
                Output::Send { message: Message::KeepAlive, .. } => alive.push(deadline.at.as_secs_f64()),
                Output::Disconnect { reason, .. } => closed = Some((deadline.at.as_secs_f64(), reason)),
                _ => {}
            }
        }
    }
    assert_eq!(alive, [91.0, 182.0], "before two minutes are over");
    assert_eq!(closed, Some((241.0, DisconnectReason::Idle)));
}

proptest! {
    /// No sequence of messages makes it panic, or find anything but what is right.
    #[test]
    fn no_messages_break_it(steps in prop::collection::vec((0u8..14, 0u32..6, any::<u16>()), 0..80)) {
        let info = info(60_000, false);
        let mut fetch = fetch(0, &info, &[]);
        let mut now = Instant::ZERO;
        let mut open = BTreeSet::new();
        fetch.handle_input(now, Input::Start);
        for (kind, conn, number) in steps {
            while let Some(output) = fetch.poll_output() {
                if let Output::Disconnect { conn, .. } = output {
                    open.remove(&conn);
                }
            }
            let conn = ConnId(conn);
            let size = [info.len() as u32, 50, u32::MAX, 16 << 20][usize::from(number % 4)];
            let say = |message| Input::Message { conn, message };
            let metadata = |message: MetadataMessage| {
                say(Message::Extended { id: METADATA_ID, payload: message.to_bytes().into() })
            };
            let piece = u32::from(number % 5);
            let begin = (piece as usize * 16384).min(info.len());
            let data = info.slice(begin..info.len().min(begin + 16384));
            let input = match kind {
                0 if !open.contains(&conn) => {
                    open.insert(conn);
                    Input::Connected { conn, addr: addr(conn.index()), outgoing: number % 2 == 0 }
                }
                1 => {
                    let peer_id = PeerId([conn.0 as u8 + 50; 20]);
                    Input::Handshake { conn, handshake: Handshake::new(InfoHash::of(&info), peer_id) }
                }
                2 => say(extended(&format!("d1:md11:ut_metadatai9ee13:metadata_sizei{size}ee"))),
                3 => metadata(MetadataMessage::Data { piece, total_size: size, data }),
                4 => metadata(MetadataMessage::Reject { piece }),
                5 => metadata(MetadataMessage::Request { piece }),
                6 => say(Message::Have(number.into())),
                7 => say(Message::HaveAll),
                8 => say(extended("d1:md11:ut_metadatai0eee")),
                9 if open.remove(&conn) => Input::Closed { conn },
                10 => Input::Announced(Err(AnnounceError::unanswered("no"))),
                _ => {
                    now = now + Duration::from_millis(number.into());
                    Input::Timeout
                }
            };
            fetch.handle_input(now, input);
            if let Some(found) = fetch.info() {
                prop_assert_eq!(found, &info);
            }
        }
        while fetch.poll_output().is_some() {}
        fetch.hand_over(false);
    }
}
