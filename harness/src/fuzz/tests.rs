//! Legal dialogues are legal, what is written is read, planted faults are found and cut down to what they need.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::peer::{Deadline, DisconnectReason, Input, Output, Why};
use engine::wire::Message;
use engine::{Instant, RawBlock};
use proptest::prelude::*;

use super::campaign::{Campaign, Found};
use super::dialogue::{Act, Dialogue, Role};
use super::finding::Finding;
use super::generate::any_legal;
use super::machine::{Machine, engine};
use super::memory::Memory;
use super::mutate::any_dialogue;
use super::subject::Subject;
use crate::conduct::Rule;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(dialogue in any_dialogue()) {
        let text = dialogue.to_string();
        prop_assert_eq!(text.parse::<Dialogue>(), Ok(dialogue), "{}", text);
    }

    /// Judged from the remotes' end by the rules that hold for everyone, and by the peer, which closes none of them
    /// for a violation.
    #[test]
    fn legal_dialogues_are_legal(dialogue in any_legal()) {
        let mut arm = Memory::default();
        arm.judge_remotes = true;
        let outcome = arm.hold(&dialogue);
        prop_assert_eq!(&outcome.found, &None, "{}", dialogue);
        // A cancel may cross its block.
        let breach = outcome.remotes.iter().find(|breach| breach.rule != Rule::CancelAsked);
        prop_assert_eq!(breach, None, "{}", dialogue);
        let violation = outcome.closed.iter().find(|reason| matches!(reason, DisconnectReason::Violation(_)));
        prop_assert_eq!(violation, None, "{}", dialogue);
    }
}

proptest! {
    // It is cheap, and seldom is anything asked for again behind a cancel.
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A block that crosses its cancel is taken for the next that is awaited, so that what was asked for last may still
    /// be on its way.
    #[test]
    fn after_a_cancel_no_block_is_asked_for_twice(dialogue in any_legal()) {
        let mut asked = BTreeMap::<u8, Vec<RawBlock>>::new();
        for step in &dialogue.steps {
            match (&step.act, asked.get_mut(&step.remote)) {
                (Act::Say(Message::Cancel(_)), None) => {
                    asked.insert(step.remote, Vec::new());
                }
                (Act::Say(Message::Request(block)), Some(asked)) => {
                    prop_assert!(!asked.contains(block), "{}", dialogue);
                    asked.push(*block);
                }
                _ => {}
            }
        }
    }
}

/// The engine with a fault planted in what crosses its seam.
struct Double {
    inner: Box<dyn Machine>,
    fault: fn(&Input) -> Plant,
    more: Vec<Output>,
    dead: bool,
    /// It wants to be woken without end.
    restless: bool,
    kept: u64,
}

/// What the fault does to an input.
enum Plant {
    Nothing,
    /// Says this besides.
    Says(Output),
    /// Is deaf from here on.
    Dies,
    /// Has something to do at once, for ever.
    Spins,
    /// Keeps so many bytes more.
    Keeps(u64),
}

impl Machine for Double {
    fn input(&mut self, now: Instant, input: Input) {
        match (self.fault)(&input) {
            Plant::Nothing => {}
            Plant::Says(output) => self.more.push(output),
            Plant::Dies => self.dead = true,
            Plant::Spins => self.restless = true,
            Plant::Keeps(bytes) => self.kept += bytes,
        }
        if !self.dead {
            self.inner.input(now, input);
        }
    }
    fn output(&mut self) -> Option<Output> {
        self.inner.output().or_else(|| self.more.pop())
    }
    fn timeout(&self) -> Option<Deadline> {
        if self.restless {
            return Some(Deadline { at: Instant::ZERO, why: Why::Round });
        }
        self.inner.timeout().filter(|_| !self.dead)
    }
    fn turn(&mut self, now: Instant) -> bool {
        self.inner.turn(now)
    }
    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
    fn holds(&self) -> u64 {
        self.inner.holds() + self.kept
    }
}

/// What a campaign of so many dialogues finds first in the engine with this fault.
fn hunt(role: Role, fault: fn(&Input) -> Plant, most: u64) -> Found {
    let double = move |role, subject: &Arc<Subject>| {
        let inner = engine(role, subject)?;
        Some(Box::new(Double { inner, fault, more: Vec::new(), dead: false, restless: false, kept: 0 })
            as Box<dyn Machine>)
    };
    let mut arm = Memory::of(Box::new(double));
    let campaign = Campaign { roles: vec![role], ..Campaign::new(7) };
    let mut found = (0..most).filter_map(|number| campaign.hold(number, &mut arm, |_| true).unwrap());
    let found = found.next().expect("the fault is found");
    // What is saved is what is found, again.
    let file = found.to_file(campaign.seed);
    let read: Dialogue = file.parse().unwrap();
    assert_eq!(read, found.shrunk);
    assert!(arm.hold(&read).found.is_some_and(|again| again.is_like(&found.finding)), "{file}");
    found
}

fn acts(dialogue: &Dialogue) -> Vec<&Act> {
    dialogue.steps.iter().map(|step| &step.act).collect()
}

#[test]
fn a_panic_is_found_and_cut_down_to_the_number_that_makes_it() {
    let fault = |input: &Input| {
        if let Input::Message { message: Message::Request(RawBlock { begin, length, .. }), .. } = input {
            // As an engine would that adds before it checks.
            let _ = begin.checked_add(*length).expect("an offset that makes sense");
        }
        Plant::Nothing
    };
    let found = hunt(Role::Seed, fault, 3_000);
    assert!(matches!(&found.finding, Finding::Panic { message, .. } if message.contains("makes sense")));
    let acts = acts(&found.shrunk);
    assert!(
        matches!(acts[..], [Act::Handshake { .. } | Act::Connect, .., Act::Say(Message::Request(_))])
            || acts.len() == 1
    );
    assert!(acts.len() <= 2, "{}", found.shrunk);
}

#[test]
fn a_breach_is_found_and_cut_down_to_what_provokes_it() {
    // Sends a block to whoever cancels it, asked or not.
    let fault = |input: &Input| match input {
        Input::Message { conn, message: Message::Cancel(block) } if conn.0 > 0 => {
            let data = vec![0; block.length.min(1 << 14) as usize].into();
            let message = Message::Piece { piece: block.piece, begin: block.begin, data };
            Plant::Says(Output::Send { conn: *conn, message })
        }
        _ => Plant::Nothing,
    };
    let found = hunt(Role::Seed, fault, 3_000);
    assert!(
        matches!(
            found.finding,
            Finding::Breach {
                rule: Rule::PieceAsked
                    | Rule::HandshakeFirst
                    | Rule::PieceHad
                    | Rule::Closed
                    | Rule::FastSaysPieces,
                ..
            }
        ),
        "{}",
        found.finding
    );
    assert!(found.shrunk.steps.len() <= 2, "{}", found.shrunk);
    assert!(
        acts(&found.shrunk).iter().any(|act| matches!(act, Act::Say(Message::Cancel(_)))),
        "{}",
        found.shrunk
    );
}

#[test]
fn a_peer_that_no_longer_serves_is_found() {
    let fault = |input: &Input| match input {
        Input::Message { message: Message::Suggest(piece), .. } if *piece > 100 => Plant::Dies,
        _ => Plant::Nothing,
    };
    for role in Role::ALL {
        let found = hunt(role, fault, 3_000);
        assert!(matches!(found.finding, Finding::Unserved(_)), "{}", found.finding);
        assert!(found.shrunk.steps.len() <= 2, "{}", found.shrunk);
    }
}

#[test]
fn a_peer_that_never_comes_to_rest_is_found_and_cut_down_without_a_clock() {
    let fault = |input: &Input| match input {
        Input::Message { message: Message::Suggest(_), .. } => Plant::Spins,
        _ => Plant::Nothing,
    };
    let found = hunt(Role::Seed, fault, 3_000);
    assert_eq!(found.finding, Finding::Hang);
    assert!(found.shrunk.steps.len() <= 2 && found.drawn.steps.len() > 2, "{}", found.shrunk);
    assert_eq!(hunt(Role::Seed, fault, 3_000).shrunk, found.shrunk, "the same each time");
}

#[test]
fn a_peer_that_hoards_is_found_by_its_own_account() {
    // Little at a time, of what is said and answered often.
    let fault = |input: &Input| match input {
        Input::Message { message: Message::Request(_) | Message::Cancel(_) | Message::Have(_), .. } => {
            Plant::Keeps(12 << 10)
        }
        _ => Plant::Nothing,
    };
    let found = hunt(Role::Seed, fault, 3_000);
    assert!(matches!(found.finding, Finding::Memory(bytes) if bytes > 128 << 10), "{}", found.finding);
}

#[test]
fn what_is_no_longer_worth_it_is_not_cut_down_any_further() {
    let spins = |role, subject: &Arc<Subject>| {
        let inner = engine(role, subject)?;
        let fault = |input: &Input| match input {
            Input::Message { message: Message::Suggest(_), .. } => Plant::Dies,
            _ => Plant::Nothing,
        };
        let (more, dead, restless, kept) = (Vec::new(), false, false, 0);
        Some(Box::new(Double { inner, fault, more, dead, restless, kept }) as Box<dyn Machine>)
    };
    let mut arm = Memory::of(Box::new(spins));
    let campaign = Campaign { roles: vec![Role::Seed], ..Campaign::new(7) };
    let mut found = (0..3_000).filter_map(|number| campaign.hold(number, &mut arm, |_| false).unwrap());
    let found = found.next().expect("the fault is found");
    assert_eq!(found.shrunk, found.drawn, "as it was drawn");
}

#[test]
fn one_seed_draws_the_same_dialogues_and_another_others() {
    let draw = |seed, number| Campaign::new(seed).draw(number).unwrap();
    for number in 0..20 {
        assert_eq!(draw(1, number), draw(1, number));
        assert_ne!(draw(1, number), draw(2, number));
        assert_ne!(draw(1, number), draw(1, number + 1));
    }
}

#[test]
fn the_engine_stands_five_hundred_dialogues() {
    let mut arm = Memory::default();
    let campaign = Campaign::new(1);
    for number in 0..500 {
        if let Some(found) = campaign.hold(number, &mut arm, |_| true).unwrap() {
            panic!("{}", found.to_file(campaign.seed));
        }
    }
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let head = "swarmlab dialogue 1\ntarget seed\ncontent 270000 in pieces of 32768\n";
    for (text, line, part) in [
        ("", 0, "first line is missing"),
        ("hello", 1, "the first line is"),
        ("swarmlab dialogue 1\n\ntarget cow", 3, "`cow`, not one of leech, seed, magnet"),
        ("swarmlab dialogue 1\ntarget seed\ncontent 0 in pieces of 1", 3, "the third line"),
        ("swarmlab dialogue 1\ntarget seed\ncontent 1 in pieces of 0", 3, "the third line"),
        (&format!("{head}\n# x\n9 +0 choke"), 6, "from 1 to 4"),
        (&format!("{head}1 20 choke"), 4, "form +20"),
        (&format!("{head}1 +99999999999 choke"), 4, "at most"),
        (&format!("{head}1 +0 shout"), 4, "`shout` is nothing that a remote does"),
        (&format!("{head}1 +0 have x"), 4, "the piece is no number"),
        (&format!("{head}1 +0 request 0 0"), 4, "the length is missing"),
        (&format!("{head}1 +0 choke 3"), 4, "`3` is more"),
        (&format!("{head}1 +0 bytes 0g"), 4, "hexadecimal"),
        (&format!("{head}1 +0 bytes 000"), 4, "half a byte"),
        (&format!("{head}1 +0 bytes (00*9999999999)"), 4, "at most"),
        (&format!("{head}1 +0 bytes \"abc"), 4, "closing quote"),
        (&format!("{head}1 +0 handshake 00 own \"x\""), 4, "8 bytes, not 1"),
        (&format!("{head}1 +0 choke / 0"), 4, "1 to 65535"),
        (&format!("{head}1 +0 serve 3 nicely"), 4, "`nicely`, not one of"),
    ] {
        let error = text.parse::<Dialogue>().expect_err(text);
        assert_eq!(error.line, line, "{error}: {text}");
        assert!(error.what.contains(part), "{error}");
    }
}
