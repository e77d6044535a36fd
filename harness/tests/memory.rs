//! Memory under hostile dialogues, measured by an allocator that counts, and beside it what the engine says that it holds.
//! One test alone: what others allocate would be counted too.

use std::sync::Arc;

use engine::Instant;
use engine::peer::{Deadline, Input, Output};
use engine::wire::Message;
use harness::fuzz::machine::{Machine, engine};
use harness::fuzz::{Act, Campaign, Finding, Memory, Role, Subject};

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

fn held() -> u64 {
    ALLOCATOR.allocated() as u64
}

/// The engine, but what is asked for is kept for ever, and with it the bytes of the answer.
struct Hoarder {
    inner: Box<dyn Machine>,
    kept: Vec<Vec<u8>>,
}

impl Machine for Hoarder {
    fn input(&mut self, now: Instant, input: Input) {
        if let Input::Message { message: Message::Request(block) | Message::Cancel(block), .. } = &input {
            self.kept.push(vec![1; block.length.min(64 << 20) as usize]);
        }
        self.inner.input(now, input);
    }
    fn output(&mut self) -> Option<Output> {
        self.inner.output()
    }
    fn timeout(&self) -> Option<Deadline> {
        self.inner.timeout()
    }
    fn turn(&mut self, now: Instant) -> bool {
        self.inner.turn(now)
    }
    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
    /// It does not know of what it keeps.
    fn holds(&self) -> u64 {
        self.inner.holds()
    }
}

#[test]
fn the_engine_holds_no_more_than_it_may_and_a_hoarder_is_found() {
    let mut arm = Memory::default();
    arm.meter = Some(held);
    let campaign = Campaign::new(5);
    for number in 0..400 {
        if let Some(found) = campaign.hold(number, &mut arm, |_| true).expect("in memory nothing fails") {
            panic!("{}", found.to_file(campaign.seed));
        }
    }
    let hoarder = |role, subject: &Arc<Subject>| {
        let inner = engine(role, subject)?;
        Some(Box::new(Hoarder { inner, kept: Vec::new() }) as Box<dyn Machine>)
    };
    let mut arm = Memory::of(Box::new(hoarder));
    arm.meter = Some(held);
    let campaign = Campaign { roles: vec![Role::Seed], ..Campaign::new(5) };
    let mut found =
        (0..2_000).filter_map(|number| campaign.hold(number, &mut arm, |_| true).expect("it runs"));
    let found = found.next().expect("a hoarder is found");
    assert!(matches!(found.finding, Finding::Memory(bytes) if bytes > 12 << 20), "{}", found.finding);
    let last = found.shrunk.steps.last().map(|step| &step.act);
    let asks = matches!(last, Some(Act::Say(Message::Request(_) | Message::Cancel(_))));
    assert!(asks && found.shrunk.steps.len() <= 3, "{}", found.to_file(campaign.seed));
}
