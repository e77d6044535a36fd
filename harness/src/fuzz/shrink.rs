//! The shortest dialogue that still shows what was found: steps are left out in ever smaller runs, then what is left
//! is made plain. Deterministic; nothing is kept that does not show it.

use std::time::Duration;

use engine::wire::{Decoded, Decoder, Limits};

use super::dialogue::{Act, Dialogue, Step, numbers, payload, with_number, with_payload};
use super::subject::Subject;

/// What `dialogue` can be cut down to, if `shows` is asked at most `tries` times whether a candidate still shows it.
pub fn shrink(dialogue: &Dialogue, tries: u32, mut shows: impl FnMut(&Dialogue) -> bool) -> Dialogue {
    let mut best = dialogue.clone();
    let mut left = tries;
    let mut attempt = |candidate: Dialogue, best: &mut Dialogue| {
        if left == 0 || candidate == *best {
            return false;
        }
        left -= 1;
        let better = shows(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.clone();
        drop_steps(&mut best, &mut attempt);
        let numbered = renumbered(&best);
        attempt(numbered, &mut best);
        let subject = Subject::new(best.total, best.piece_length).ok();
        if let Some(subject) = &subject {
            (0..best.steps.len()).for_each(|at| frame(at, subject, &mut best, &mut attempt));
        }
        for at in 0..best.steps.len() {
            // Each plainer form, until none of them will do.
            while let Some(step) = best.steps.get(at).cloned()
                && plainer(&step).into_iter().any(|plain| {
                    let mut candidate = best.clone();
                    candidate.steps[at] = plain;
                    attempt(candidate, &mut best)
                })
            {}
        }
        if best == before {
            return best;
        }
    }
}

fn drop_steps(best: &mut Dialogue, attempt: &mut impl FnMut(Dialogue, &mut Dialogue) -> bool) {
    let mut run = best.steps.len().div_ceil(2);
    while run > 0 {
        // From the end: what comes last depends on the rest.
        let mut end = best.steps.len();
        while end > 0 {
            let start = end.saturating_sub(run);
            let mut candidate = best.clone();
            candidate.steps.drain(start..end.min(candidate.steps.len()));
            attempt(candidate, best);
            end = start.min(best.steps.len());
        }
        run /= 2;
    }
}

/// The remotes that are left, numbered from 1.
fn renumbered(dialogue: &Dialogue) -> Dialogue {
    let mut left: Vec<u8> = dialogue.steps.iter().map(|step| step.remote).collect();
    left.sort_unstable();
    left.dedup();
    let number = |remote| left.iter().position(|other| *other == remote).map_or(remote, |at| at as u8 + 1);
    let mut dialogue = dialogue.clone();
    dialogue.steps.iter_mut().for_each(|step| step.remote = number(step.remote));
    dialogue
}

/// Bytes as the message that they and what follows of the same remote begin with.
fn frame(
    at: usize,
    subject: &Subject,
    best: &mut Dialogue,
    attempt: &mut impl FnMut(Dialogue, &mut Dialogue) -> bool,
) {
    let Some(Step { act: Act::Bytes(_), remote, .. }) = best.steps.get(at) else { return };
    let mut decoder = Decoder::after_handshake(Limits::default());
    for step in best.steps[at..].iter().filter(|step| step.remote == *remote) {
        decoder.feed(&step.act.bytes(subject));
    }
    if let Ok(Some(Decoded::Message(message))) = decoder.poll() {
        let mut candidate = best.clone();
        candidate.steps[at].act = Act::Say(message);
        attempt(candidate, best);
    }
}

/// Plainer forms of a step, the plainest first; none is longer, and each is less than the step by some measure.
fn plainer(step: &Step) -> Vec<Step> {
    let mut forms = Vec::new();
    let mut add = |act: Act| forms.push(Step { act, ..step.clone() });
    match &step.act {
        Act::Say(message) => {
            for (at, number) in numbers(message).into_iter().enumerate() {
                // Less by all of it, by half of it, and so on.
                let lesses = (0..32).map(|half| number >> half).take_while(|less| *less > 0);
                for smaller in lesses.map(|less| number - less) {
                    let plain = with_number(message, at, smaller);
                    if plain != *message {
                        add(Act::Say(plain));
                    }
                }
            }
        }
        Act::Serve { count, how } => {
            for fewer in [1, count / 2, count.saturating_sub(1)] {
                if fewer > 0 && fewer < *count {
                    add(Act::Serve { count: fewer, how: *how });
                }
            }
        }
        _ => {}
    }
    if let Some(bytes) = payload(&step.act).filter(|bytes| !bytes.is_empty()) {
        let length = bytes.len();
        for shorter in [0, length / 2, length - length.div_ceil(8), length - 1] {
            add(with_payload(&step.act, bytes[..shorter].to_vec()));
        }
        if let Some(at) = bytes.iter().position(|byte| *byte != 0).filter(|_| length > 16) {
            let mut zeros = bytes.to_vec();
            zeros[at..].fill(0);
            add(with_payload(&step.act, zeros));
        }
    }
    if step.slice > 0 {
        forms.push(Step { slice: 0, ..step.clone() });
    }
    if step.wait > Duration::ZERO {
        let millis = step.wait.as_millis() as u64;
        for shorter in [0, millis / 2] {
            forms.push(Step { wait: Duration::from_millis(shorter), ..step.clone() });
        }
    }
    if step.remote > 1 {
        forms.push(Step { remote: 1, ..step.clone() });
    }
    forms
}
