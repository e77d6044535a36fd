//! The queue against models: sorted lists, hosts with their turns, division.

use super::*;
use crate::event::{CLASSES, Class};
use proptest::collection::vec;
use proptest::prelude::*;

fn event(time: u64, src: u32, class: u8, conn: u32, number: u32) -> Event {
    Event::new(time, src, CLASSES[class as usize % CLASSES.len()], conn, number, 0)
}

/// What says when it is due; source, class, connection, number; and how many are taken after it.
type Step = (u64, u32, u8, u32, u32, usize);

/// The queue gives what a sorted list would; `delay` makes the time from the last that was taken of what says when.
/// Returns the most that came late into a slot with many.
fn gives_what_a_list_would(steps: Vec<Step>, delay: impl Fn(u64) -> u64) -> Result<usize, TestCaseError> {
    let mut queue = Queue::new(Partition::new(1, 1), 1, Slots::new(1_000_000));
    let mut model = std::collections::BTreeSet::new();
    let (mut now, mut late) = (0, 0);
    for (when, src, class, conn, number, pops) in steps {
        let new = event(now + delay(when), src, class, conn, number);
        if model.insert(new) {
            queue.push(new);
        }
        late = late.max(queue.late.len());
        for _ in 0..pops {
            let expected = model.pop_first();
            prop_assert_eq!(queue.pop_before(u64::MAX), expected);
            now = expected.map_or(now, |event| event.time);
        }
    }
    while let Some(expected) = model.pop_first() {
        prop_assert_eq!(queue.pop_before(expected.time), None);
        prop_assert_eq!(queue.pop_before(u64::MAX), Some(expected));
    }
    prop_assert_eq!(queue.pop_before(u64::MAX), None);
    Ok(late)
}

#[test]
fn what_happens_a_latency_later_is_in_a_later_slot() {
    for latency in [1_000_000, 7_654_321, 50_000_000, 3_000_000_000] {
        let slots = Slots::new(latency);
        for time in (0..400u64).map(|i| i * i * i * 54_321) {
            let slot = slots.of(time);
            assert!(slots.start(slot) <= time && time < slots.end_of(time), "{latency} {time}");
            assert!(slots.of(time + latency) > slot && slots.end_of(time) <= time + latency);
        }
        // No more than a sixteenth of it is given away.
        assert!(slots.end_of(0) * 16 >= latency * 15, "{latency}");
    }
}

proptest! {
    #[test]
    fn to_multiply_by_the_inverse_is_to_divide(
        most in prop_oneof![any::<u64>(), 0u64..10_000_000_000, (0u64..1 << 16).prop_map(|units| units << 16)],
        time in prop_oneof![any::<u64>(), 0u64..1 << 40],
        slot in 0u64..1 << 48,
    ) {
        let slots = Slots::new(most);
        prop_assert!(slots.length << 16 <= most.max(1 << 17));
        // Where a slot begins it is another than just before.
        let border = slot % ((1 << 48) / slots.length) * slots.length;
        for units in [time >> 16, border, border.saturating_sub(1), (1 << 48) - 1] {
            prop_assert_eq!(slots.of(units << 16), units / slots.length);
        }
    }
}

#[test]
fn the_wheel_reaches_no_further_than_the_slot_that_may_be_cut() {
    for far in BUCKETS as u64 - 3..BUCKETS as u64 + 4 {
        let slots = Slots::new(1_000_000);
        let mut queue = Queue::new(Partition::new(1, 1), 1, slots);
        let at = |time: u64| event(time, 0, 0, 0, 0);
        let start = slots.start(5);
        let (first, second) = (at(start), at(start + 500_000));
        let (third, last) = (at(slots.start(6)), at(slots.start(5 + far)));
        queue.push(first);
        queue.push(second);
        queue.push(third);
        assert_eq!(queue.pop_before(start + 1), Some(first));
        // The slot is under way, and the limit cuts it.
        queue.push(last);
        assert_eq!(queue.pop_before(start + 1), None);
        let rest: Vec<Event> = std::iter::from_fn(|| queue.pop_before(u64::MAX)).collect();
        assert_eq!(rest, [second, third, last], "{far} slots on");
    }
}

proptest! {
    #[test]
    fn few_are_sorted_as_many_are(
        keys in vec((0u64..3, 0u32..3, 0u8..13, 0u32..2, 0u32..3), 0..FEW + 3),
    ) {
        let event = |&(time, src, class, conn, number)| event(time, src, class, conn, number);
        let events: Vec<Event> = keys.iter().map(event).collect();
        let (mut sorted, mut expected) = (Vec::new(), events.clone());
        sort_into(&mut sorted, &events);
        expected.sort_unstable_by(|a, b| b.cmp(a));
        prop_assert_eq!(sorted, expected);
    }
}

/// Hosts of the second of two shards cause events for themselves at any time, and for others a latency later.
fn gives_each_host_its_own(
    causes: &[(u32, u64, u32)],
    limits: &[u64],
    in_order_of_time: bool,
) -> Result<(), TestCaseError> {
    const LATENCY: u64 = 5_000_000;
    const HOSTS: u32 = 7;
    let partition = Partition::new(2 * HOSTS, 2);
    let mut queue = Queue::new(partition, HOSTS as usize, Slots::new(LATENCY));
    if in_order_of_time {
        queue.in_order_of_time();
    }
    let host = |n: u32| n % HOSTS * 2 + 1;
    let mut model = std::collections::BTreeMap::<u32, std::collections::BTreeSet<Event>>::new();
    let (mut number, mut next, mut slot, mut last) = (0, causes.iter().cycle(), 0, 0);
    let mut budget = 3 * causes.len();
    for n in 0..HOSTS {
        let first = Event::new(u64::from(n) * 1_000_000, 0, Class::Join, 0, n, host(n));
        queue.push(first);
        model.entry(first.dst).or_default().insert(first);
    }
    let mut limit = 0;
    for step in limits {
        limit += step;
        while let Some(event) = queue.pop_before(limit) {
            prop_assert!(event.time < limit);
            prop_assert_eq!(model.get_mut(&event.dst).and_then(|own| own.pop_first()), Some(event));
            let now = Slots::new(LATENCY).of(event.time);
            prop_assert!(now >= slot, "slots do not go back");
            slot = now;
            prop_assert!(!in_order_of_time || event.time >= last, "time does not go back");
            last = event.time;
            for (to, delay, more) in next.by_ref().take(2) {
                let (dst, own) = (host(*to), host(*to) == event.dst);
                if *more == 0 && budget > 0 {
                    budget -= 1;
                    number += 1;
                    let time = event.time + delay + if own { 0 } else { LATENCY };
                    let caused = Event::new(time, event.dst, Class::Arrive, 0, number, dst);
                    queue.push(caused);
                    model.entry(dst).or_default().insert(caused);
                }
            }
        }
        let first = model.values().filter_map(|own| own.first()).map(|event| event.time).min();
        prop_assert!(first.is_none_or(|first| first >= limit), "nothing is left behind");
        prop_assert!(queue.next().is_none_or(|next| first.is_some_and(|first| next <= first)));
        prop_assert_eq!(queue.next().is_none(), first.is_none());
        // Between two limits anything may be put in that is due later, in a slot that was cut too: groups that are let
        // in, and what other shards have sent.
        if step % 2 == 0 {
            number += 1;
            let time = limit + step % 7_000_000;
            let late = Event::new(time, 1, Class::Join, 0, number, host(*step as u32 % HOSTS));
            queue.push(late);
            model.entry(late.dst).or_default().insert(late);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn hosts_have_their_turns_and_their_order(
        causes in vec((0u32..7, prop_oneof![0u64..200_000, 0u64..9_000_000, 0u64..9_000_000_000], 0u32..2), 1..60),
        limits in vec(prop_oneof![1u64..3_000_000, 1u64..900_000_000], 1..40),
        in_order_of_time: bool,
    ) {
        gives_each_host_its_own(&causes, &limits, in_order_of_time)?;
    }

    /// Mostly near, sometimes far, as in a run.
    #[test]
    fn pops_in_key_order(
        steps in vec((0u64..40_000_000_000, 0u32..4, 0u8..13, 0u32..3, 0u32..3, 0usize..4), 1..400),
    ) {
        gives_what_a_list_would(steps, |when| if when % 5 == 0 { when } else { when % 3_000_000 })?;
    }

    /// Hundreds in a slot, at few moments of it, as where a swarm begins at once.
    #[test]
    fn a_slot_that_is_full_keeps_its_order(
        steps in vec((0u64..8, 0u32..400, 0u8..13, 0u32..3, 0u32..3, 0usize..2), 300..600),
    ) {
        let late = gives_what_a_list_would(steps, |when| when * 2_000)?;
        prop_assert!(late > 0, "nothing came late");
    }
}
