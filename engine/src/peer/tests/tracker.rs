//! The peer and its tracker.

use super::bench::*;
use crate::peer::{Input, Output};
use crate::tracker::request::Event;
use crate::tracker::{AnnounceError, AnnounceRequest, Failure, Retry};

fn announces(outputs: &[Output]) -> Vec<AnnounceRequest> {
    let announce = |output: &Output| match output {
        Output::Announce(request) => Some((**request).clone()),
        _ => None,
    };
    outputs.iter().filter_map(announce).collect()
}

fn started(setup: &Setup) -> (Bench, AnnounceRequest) {
    let peer = setup.peer();
    let mut bench = Bench { peer, now: crate::Instant::ZERO, layout: setup.layout };
    let announced = announces(&bench.input(Input::Start));
    assert_eq!(announced.len(), 1);
    (bench, announced[0].clone())
}

fn answer(bench: &mut Bench, seconds_between: u64, min: Option<u64>) -> Vec<Output> {
    let mut answer = reply(&[]);
    answer.interval = seconds(seconds_between);
    answer.min_interval = min.map(seconds);
    bench.input(Input::Announced(Ok(Box::new(answer))))
}

#[test]
fn started_completed_stopped() {
    let setup = Setup::leech(4).with(|config| config.numwant = 30);
    let total = setup.layout.total();
    let (mut bench, first) = started(&setup);
    assert_eq!((first.event, first.left, first.numwant, first.port), (Event::Started, total, Some(30), 6881));
    assert_eq!((first.info_hash, first.downloaded), (INFO_HASH, 0));
    assert_eq!(announces(&answer(&mut bench, 1800, None)), []);
    let (conn, asked) = bench.source(2, true);
    let said = announces(&bench.give_all(conn, asked, true));
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].event, said[0].left, said[0].downloaded), (Event::Completed, 0, total));
    assert_eq!(announces(&answer(&mut bench, 1800, None)), []);
    let regular = announces(&bench.pass(seconds(1800)));
    assert_eq!(regular.len(), 1);
    assert_eq!(regular[0].event, Event::None);
    let last = announces(&bench.input(Input::Stop));
    assert_eq!(last.len(), 1, "though one is under way");
    assert_eq!((last[0].event, last[0].numwant), (Event::Stopped, Some(0)));
    assert!(bench.input(Input::Announced(Ok(Box::new(reply(&[addr(9)]))))).is_empty());
}

#[test]
fn who_starts_complete_never_says_completed() {
    let (mut bench, first) = started(&Setup::seed(4));
    assert_eq!((first.event, first.left), (Event::Started, 0));
    answer(&mut bench, 60, None);
    let said = announces(&bench.pass(seconds(60)));
    assert_eq!(said.iter().map(|request| request.event).collect::<Vec<_>>(), [Event::None]);
}

#[test]
fn a_second_start_announces_again_whether_or_not_stopped_was_answered() {
    for answered in [true, false] {
        let (mut bench, _) = started(&Setup::leech(4));
        answer(&mut bench, 1800, None);
        assert_eq!(announces(&bench.input(Input::Stop))[0].event, Event::Stopped);
        if answered {
            bench.input(Input::Announced(Ok(Box::new(reply(&[])))));
        }
        let again = announces(&bench.input(Input::Start));
        assert_eq!(again.iter().map(|request| request.event).collect::<Vec<_>>(), [Event::Started]);
    }
}

#[test]
fn who_is_short_of_neighbours_asks_at_the_minimum_interval() {
    let (mut bench, _) = started(&Setup::leech(4));
    answer(&mut bench, 1800, Some(120));
    let mut at = Vec::new();
    for second in 1..=600 {
        if !announces(&bench.pass(seconds(1))).is_empty() {
            at.push(second);
            answer(&mut bench, 1800, Some(120));
        }
    }
    assert_eq!(at, [120, 240, 360, 480, 600]);
    // With twenty neighbours it waits for the interval.
    let (mut bench, _) = started(&Setup::leech(4));
    answer(&mut bench, 1800, Some(120));
    for n in 2..22 {
        bench.greet(n, true);
    }
    for _ in 0..17 {
        for n in 2..22 {
            bench.say(crate::ConnId(n), crate::Message::KeepAlive);
        }
        assert_eq!(announces(&bench.pass(seconds(100))), []);
    }
}

#[test]
fn failures_are_tried_again_later() {
    let (mut bench, _) = started(&Setup::leech(4));
    let mut at = Vec::new();
    bench.input(Input::Announced(Err(AnnounceError::unanswered("no"))));
    for second in 1..=120 {
        let said = announces(&bench.pass(seconds(1)));
        if let Some(request) = said.first() {
            assert_eq!(request.event, Event::Started);
            at.push(second);
            bench.input(Input::Announced(Err(AnnounceError::unanswered("no"))));
        }
    }
    assert_eq!(at, [15, 45, 105]);
}

#[test]
fn a_tracker_that_says_when_to_ask_again_is_asked_then_or_never() {
    let refuse = |retry| Input::Announced(Err(Failure { reason: "full".into(), retry }.into()));
    let (mut bench, _) = started(&Setup::leech(4));
    bench.input(refuse(Retry::After(seconds(600))));
    assert_eq!(announces(&bench.pass(seconds(599))), [], "though it is short of neighbours");
    assert_eq!(announces(&bench.pass(seconds(1)))[0].event, Event::Started);
    bench.input(refuse(Retry::Never));
    assert_eq!(announces(&bench.pass(seconds(100_000))), []);
    assert_eq!(announces(&bench.input(Input::Stop)), [], "it wants to hear nothing more");
}
