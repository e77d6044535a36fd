//! Slots that lie idle: who waits behind them, and for how long.

use std::collections::{BTreeSet, VecDeque};

use super::bench::*;
use crate::ids::ConnId;
use crate::layout::{BLOCK, BlockRef};
use crate::peer::{Input, Output, PeerConfig};
use crate::wire::{Handshake, Message, PeerId, RawBlock};

/// What a remote does with its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Asks for nothing.
    Idle,
    /// Asks, and stops to read after two blocks.
    Stuck,
    /// Takes four blocks a second.
    Taker,
    /// Always asks, and takes what our uplink gives.
    Hungry,
}

/// A seed with many remotes, all of them interested.
struct Siege {
    bench: Bench,
    kinds: Vec<Kind>,
    unchoked: BTreeSet<usize>,
    /// Who has ever been unchoked.
    reached: BTreeSet<usize>,
    /// What is on its way to the hungry, and what our uplink gives them all, in bytes a second: in turns, a block each.
    uplink: (u64, VecDeque<(ConnId, BlockRef)>),
    /// What it has not used up of a block.
    credit: u64,
    /// Blocks that each has taken.
    taken: Vec<u64>,
}

impl Siege {
    fn new(lend: bool, choker: &'static str) -> Self {
        let mut setup = Setup::seed(600);
        setup.choker = choker;
        setup.config = PeerConfig { lend_idle_slots: lend, max_connections: 3000, ..PeerConfig::client() };
        Self {
            bench: setup.bench(),
            kinds: Vec::new(),
            unchoked: BTreeSet::new(),
            reached: BTreeSet::new(),
            uplink: (0, VecDeque::new()),
            credit: 0,
            taken: Vec::new(),
        }
    }

    /// So many that always ask, behind an uplink of so many bytes a second.
    fn of_hungry(many: usize, uplink: u64) -> Self {
        let mut siege = Self::new(true, "round-robin");
        siege.uplink.0 = uplink;
        (0..many).for_each(|_| _ = siege.join(Kind::Hungry));
        siege
    }

    fn join(&mut self, kind: Kind) -> usize {
        let n = self.kinds.len();
        self.kinds.push(kind);
        self.taken.push(0);
        let conn = ConnId(n as u32);
        let mut peer_id = [9; 20];
        peer_id[..4].copy_from_slice(&(n as u32).to_be_bytes());
        let handshake = Handshake::new(INFO_HASH, PeerId(peer_id));
        let connected = Input::Connected { conn, addr: addr(1000 + n as u32), outgoing: false };
        let message = Message::Interested;
        for input in [connected, Input::Handshake { conn, handshake }, Input::Message { conn, message }] {
            self.input(input);
        }
        n
    }

    fn input(&mut self, input: Input) {
        let outputs = self.bench.input(input);
        self.heed(outputs);
    }

    /// Every read is answered; what is sent leaves, but for the blocks that nobody takes.
    fn heed(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { conn, message: Message::Unchoke } => {
                    self.unchoked.insert(conn.index());
                    self.reached.insert(conn.index());
                    if matches!(self.kinds[conn.index()], Kind::Stuck | Kind::Hungry) {
                        (0..8).for_each(|piece| self.request(conn, piece));
                    }
                }
                Output::Send { conn, message: Message::Choke } => {
                    self.unchoked.remove(&conn.index());
                }
                Output::ReadBlock { conn, block } => {
                    let data = Some(payload(block.length()));
                    self.input(Input::BlockRead { conn, block, data });
                    if self.kinds[conn.index()] == Kind::Hungry {
                        self.uplink.1.push_back((conn, block));
                    } else if self.kinds[conn.index()] == Kind::Taker || block.piece().get() < 2 {
                        self.input(Input::Sent { conn, bytes: block.length() });
                    }
                }
                _ => {}
            }
        }
    }

    fn request(&mut self, conn: ConnId, piece: u32) {
        let message = Message::Request(RawBlock { piece, begin: 0, length: BLOCK });
        self.input(Input::Message { conn, message });
    }

    fn second(&mut self) {
        self.serve();
        self.bench.peer.set_uplink_full(self.uplink.0 > 0 && !self.uplink.1.is_empty());
        let outputs = self.bench.pass(seconds(1));
        self.heed(outputs);
        if (self.bench.now.as_nanos() / 1_000_000_000).is_multiple_of(60) {
            for n in 0..self.kinds.len() {
                self.input(Input::Message { conn: ConnId(n as u32), message: Message::KeepAlive });
            }
        }
        for n in self.takers() {
            (0..4).for_each(|piece| self.request(ConnId(n as u32), piece));
        }
    }

    /// A second of our uplink. Who has had a block asks for it again.
    fn serve(&mut self) {
        self.credit += self.uplink.0;
        while self.credit >= u64::from(BLOCK)
            && let Some((conn, block)) = self.uplink.1.pop_front()
        {
            self.credit -= u64::from(BLOCK);
            self.taken[conn.index()] += 1;
            self.input(Input::Sent { conn, bytes: BLOCK });
            if self.unchoked.contains(&conn.index()) {
                self.request(conn, block.piece().get());
            }
        }
        if self.uplink.1.is_empty() {
            self.credit = 0;
        }
    }

    /// The most that are unchoked at the end of any second of so many.
    fn most_unchoked(&mut self, seconds: u64) -> usize {
        let each = (0..seconds).map(|_| {
            self.second();
            self.unchoked.len()
        });
        each.max().unwrap_or(0)
    }

    /// Those that take something, and may.
    fn takers(&self) -> Vec<usize> {
        self.unchoked.iter().copied().filter(|&n| self.kinds[n] == Kind::Taker).collect()
    }

    /// Seconds until `n` is unchoked, or `most`.
    fn wait(&mut self, n: usize, most: u64) -> u64 {
        (0..most)
            .find(|_| {
                let there = self.reached.contains(&n);
                if !there {
                    self.second();
                }
                there
            })
            .unwrap_or(most)
    }
}

#[test]
fn who_asks_is_found_behind_two_thousand_who_do_not_within_nine_looks() {
    for kind in [Kind::Idle, Kind::Stuck] {
        let mut waits = Vec::new();
        for lend in [true, false] {
            let mut siege = Siege::new(lend, "round-robin");
            (0..2000).for_each(|_| _ = siege.join(kind));
            let honest = siege.join(Kind::Taker);
            waits.push(siege.wait(honest, 400));
        }
        println!("{kind:?}: unchoked after {} s; without, not after {} s", waits[0], waits[1]);
        // 4 + 8 + 16 + ... are tried, 30 s each: 2,044 after nine, of which the last begins after eight.
        // What who reads two blocks has taken is over the hill by then.
        assert!((240..=290).contains(&waits[0]), "{waits:?}");
        assert_eq!(waits[1], 400);
    }
}

#[test]
fn every_choker_lends_what_lies_idle() {
    for choker in ["tit-for-tat", "round-robin", "mainline-seed", "fastest-upload", "anti-leech", "random"] {
        let mut siege = Siege::new(true, choker);
        (0..100).for_each(|_| _ = siege.join(Kind::Idle));
        let honest = siege.join(Kind::Taker);
        // 4 + 8 + 16 + 32 + 64 are 124: five looks, and some more where slots are drawn for; anti-leech gives
        // every slot anew in each round, 4 of 101 at a time.
        let wait = siege.wait(honest, 600);
        println!("{choker}: {wait} s");
        assert!(wait <= 360, "{choker}: {wait} s");
    }
}

#[test]
fn no_more_share_the_uplink_than_there_are_slots() {
    let mut siege = Siege::new(true, "round-robin");
    (0..60).for_each(|_| _ = siege.join(Kind::Idle));
    let honest: Vec<_> = (0..40).map(|_| siege.join(Kind::Taker)).collect();
    // The idle are found, and the trials end.
    (0..300).for_each(|_| siege.second());
    let mut over = 0;
    for _ in 0..2000 {
        siege.second();
        over += u32::from(siege.takers().len() > 4);
    }
    // A trial may find more than there is room for until the next look. None was due, for the slots are in use.
    assert_eq!(over, 0, "seconds of 2,000 with more than four");
    assert!(honest.iter().all(|n| siege.reached.contains(n)), "everyone has had a turn");
}

#[test]
fn who_was_idle_and_asks_is_served_and_takes_its_slot_back_at_the_next_look() {
    let mut siege = Siege::new(true, "round-robin");
    (0..8).for_each(|_| _ = siege.join(Kind::Idle));
    (0..70).for_each(|_| siege.second());
    assert_eq!(siege.unchoked.len(), 8, "nobody takes anything: everyone may");
    siege.kinds.fill(Kind::Taker);
    siege.second();
    assert_eq!(siege.takers().len(), 8);
    (0..40).for_each(|_| siege.second());
    assert_eq!(siege.takers().len(), 4, "back to four slots");
}

#[test]
fn without_idle_remotes_nothing_is_lent() {
    // The same seed, the same remotes: not a choke or an unchoke is another.
    let runs = [true, false].map(|lend| {
        let mut siege = Siege::new(lend, "round-robin");
        (0..12).for_each(|_| _ = siege.join(Kind::Taker));
        let each = (0..600).map(|_| {
            siege.second();
            siege.unchoked.clone()
        });
        each.collect::<Vec<_>>()
    });
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn behind_a_slow_uplink_who_waits_for_us_leaves_no_slot_idle() {
    // 0.5 KiB/s a slot; fifty torrents that share 16 KiB/s, 82 bytes a second for a slot of each; and enough for all.
    for uplink in [2 << 10, (16 << 10) / 50, 64 << 10] {
        let mut siege = Siege::of_hungry(40, uplink);
        let most = siege.most_unchoked(3600);
        println!("{uplink} bytes a second: {most} unchoked at most");
        assert_eq!(most, 4, "at {uplink} bytes a second");
        assert!(siege.reached.len() > 30, "turns go on: {} of 40", siege.reached.len());
    }
}

#[test]
fn a_limit_that_is_lowered_and_raised_again_unchokes_nobody_beyond_the_slots() {
    let mut siege = Siege::of_hungry(40, 1 << 20);
    for uplink in [1 << 20, 2 << 10, 100, 2 << 10, 1 << 20] {
        siege.uplink.0 = uplink;
        let most = siege.most_unchoked(900);
        println!("{uplink} bytes a second: {most} unchoked at most");
        assert_eq!(most, 4, "at {uplink} bytes a second");
    }
}

#[test]
fn what_an_outage_has_unchoked_is_choked_again_however_little_each_gets() {
    // Nothing leaves, and the driver does not see that the line is down.
    let mut siege = Siege::of_hungry(200, 0);
    (0..300).for_each(|_| siege.second());
    assert_eq!(siege.unchoked.len(), 200, "everyone was tried");
    // 200 bytes a second each: nobody takes as much as an idle slot's.
    siege.uplink.0 = 40_000;
    (0..60).for_each(|_| siege.second());
    assert_eq!(siege.unchoked.len(), 4);
}

#[test]
fn while_readers_fill_the_uplink_those_that_do_not_read_stay_found_out() {
    let mut siege = Siege::of_hungry(0, 100_000);
    (0..100).for_each(|_| _ = siege.join(Kind::Stuck));
    (0..100).for_each(|_| siege.second());
    let unchoked = siege.unchoked.len();
    let honest = siege.join(Kind::Hungry);
    siege.wait(honest, 300);
    let before = siege.taken[honest];
    (0..600).for_each(|_| siege.second());
    // It has the uplink to itself, in nearly all of its time: it is not choked for the sake of who reads nothing.
    let blocks = siege.taken[honest] - before;
    println!("{unchoked} unchoked before it came; {blocks} blocks in 600 s");
    assert!(blocks > 9 * 600 * 100_000 / u64::from(BLOCK) / 10, "{blocks} blocks");
}

#[test]
fn new_limits_begin_the_search_anew_and_trials_at_most_double() {
    let mut siege = Siege::new(true, "round-robin");
    (0..500).for_each(|_| _ = siege.join(Kind::Idle));
    let mut before = 4;
    for _ in 0..200 {
        siege.second();
        let after = siege.unchoked.len();
        assert!(after <= 2 * before + 4, "from {before} to {after}");
        before = after;
    }
    assert!(before > 100, "{before} unchoked");
    let now = siege.bench.now;
    siege.bench.peer.set_limits(now, 3000, 6);
    let outputs = std::iter::from_fn(|| siege.bench.peer.poll_output()).collect();
    siege.heed(outputs);
    assert_eq!(siege.unchoked.len(), 6, "who was idle counts again");
    assert_eq!(siege.most_unchoked(30), 18, "and is found out again");
}
