//! Dialogues that are not legal any more: legal ones changed in a field, a message, their order, their slices, their
//! pace, or in single bytes.

use std::sync::Arc;
use std::time::Duration;

use engine::wire::{InfoHash, Message, PeerId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::dialogue::{
    Act, Dialogue, REMOTES, Role, Serve, Step, numbers, payload, with_number, with_payload,
};
use super::generate::{any_legal, legal_with, message, number};
use super::subject::Subject;

/// The most steps that mutations make of a dialogue.
const MOST_STEPS: usize = 400;

/// One change.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// A number in a message.
    Field(Index, Index, u32),
    /// A byte of a payload.
    Payload(Index, Index, u8),
    /// The length of a payload, by so many bytes.
    Length(Index, i16),
    /// A message in place of a step.
    Replace(Index, Message),
    /// A message more, from any remote.
    Insert(Index, u8, Message),
    /// A step less.
    Remove(Index),
    /// A step again and again.
    Repeat(Index, u8),
    /// Two steps in each other's place.
    Swap(Index, Index),
    /// A step by another remote.
    Give(Index, u8),
    /// The length of slices.
    Slice(Index, u16),
    /// The wait before a step, in milliseconds.
    Wait(Index, u32),
    /// Another way to answer.
    Serve(Index, Serve),
    /// What a handshake reserves.
    Reserved(Index, u8, u8),
    /// Another torrent.
    OtherTorrent(Index),
    /// The peer id of the first remote, or of the peer that is spoken to.
    SameId(Index, bool),
    /// A connection that ends, or one that begins again.
    Link(Index, u8, bool),
    /// A step's bytes with one of them changed.
    Byte(Index, Index, u8),
    /// A step's bytes with some more, or cut.
    Cut(Index, Index, Vec<u8>),
}

/// Any of them.
pub fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let remote = || 1..=REMOTES;
    let wait = prop_oneof![
        Just(0u32),
        1..100u32,
        1_000..30_000u32,
        prop::sample::select(&[59_999u32, 60_001, 120_001, 240_001, 600_000, 3_600_000]),
    ];
    let how = prop::sample::select(Serve::ALL.map(|(how, _)| how).to_vec());
    prop_oneof![
        4 => (at(), at(), number()).prop_map(|(step, field, to)| Mutation::Field(step, field, to)),
        2 => (at(), at(), any::<u8>()).prop_map(|(step, byte, to)| Mutation::Payload(step, byte, to)),
        2 => (at(), any::<i16>()).prop_map(|(step, by)| Mutation::Length(step, by)),
        3 => (at(), message()).prop_map(|(step, message)| Mutation::Replace(step, message)),
        4 => (at(), remote(), message()).prop_map(|(step, remote, message)| Mutation::Insert(step, remote, message)),
        2 => at().prop_map(Mutation::Remove),
        2 => (at(), 1..40u8).prop_map(|(step, times)| Mutation::Repeat(step, times)),
        2 => (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        1 => (at(), remote()).prop_map(|(step, remote)| Mutation::Give(step, remote)),
        1 => (at(), 1..20u16).prop_map(|(step, slice)| Mutation::Slice(step, slice)),
        2 => (at(), wait).prop_map(|(step, wait)| Mutation::Wait(step, wait)),
        2 => (at(), how).prop_map(|(step, how)| Mutation::Serve(step, how)),
        1 => (at(), 0..8u8, any::<u8>()).prop_map(|(step, byte, to)| Mutation::Reserved(step, byte, to)),
        1 => at().prop_map(Mutation::OtherTorrent),
        1 => (at(), any::<bool>()).prop_map(|(step, own)| Mutation::SameId(step, own)),
        1 => (at(), remote(), any::<bool>()).prop_map(|(step, remote, ends)| Mutation::Link(step, remote, ends)),
        2 => (at(), at(), any::<u8>()).prop_map(|(step, byte, to)| Mutation::Byte(step, byte, to)),
        1 => (at(), at(), vec(any::<u8>(), 0..12)).prop_map(|(step, to, tail)| Mutation::Cut(step, to, tail)),
    ]
}

/// Makes a change; one that does not fit changes nothing.
pub fn apply(dialogue: &mut Dialogue, mutation: &Mutation, subject: &Subject) {
    let count = dialogue.steps.len();
    let place = |at: &Index| at.index(count.max(1));
    if let Mutation::Insert(at, remote, message) = mutation {
        if count < MOST_STEPS {
            dialogue.steps.insert(at.index(count + 1), Step::new(*remote, Act::Say(message.clone())));
        }
        return;
    }
    if count == 0 {
        return;
    }
    match mutation {
        Mutation::Swap(one, other) => dialogue.steps.swap(place(one), place(other)),
        Mutation::Remove(at) => drop(dialogue.steps.remove(place(at))),
        Mutation::Repeat(at, times) => {
            let times = usize::from(*times).min(MOST_STEPS.saturating_sub(count));
            let at = place(at);
            let step = dialogue.steps[at].clone();
            dialogue.steps.splice(at..at, std::iter::repeat_n(step, times));
        }
        Mutation::Link(at, remote, ends) => {
            if count < MOST_STEPS {
                let act = if *ends { Act::Close } else { Act::Connect };
                dialogue.steps.insert(place(at), Step::new(*remote, act));
            }
        }
        Mutation::Field(at, ..)
        | Mutation::Payload(at, ..)
        | Mutation::Length(at, ..)
        | Mutation::Replace(at, ..)
        | Mutation::Give(at, ..)
        | Mutation::Slice(at, ..)
        | Mutation::Wait(at, ..)
        | Mutation::Serve(at, ..)
        | Mutation::Reserved(at, ..)
        | Mutation::OtherTorrent(at)
        | Mutation::SameId(at, ..)
        | Mutation::Byte(at, ..)
        | Mutation::Cut(at, ..) => change(&mut dialogue.steps[at.index(count)], mutation, subject),
        Mutation::Insert(..) => {}
    }
}

/// Makes a change to one step.
fn change(step: &mut Step, mutation: &Mutation, subject: &Subject) {
    match (mutation, &mut step.act) {
        (Mutation::Field(_, field, to), Act::Say(message)) => {
            let fields = numbers(message).len();
            if fields > 0 {
                *message = with_number(message, field.index(fields), *to);
            }
        }
        (Mutation::Payload(_, at, to), act) => {
            if let Some(bytes) = payload(act).filter(|bytes| !bytes.is_empty()) {
                let mut bytes = bytes.to_vec();
                let at = at.index(bytes.len());
                bytes[at] = *to;
                *act = with_payload(act, bytes);
            }
        }
        (Mutation::Length(_, by), act) => {
            if let Some(bytes) = payload(act) {
                let mut bytes = bytes.to_vec();
                bytes.resize(bytes.len().saturating_add_signed((*by).into()), 0xa5);
                *act = with_payload(act, bytes);
            }
        }
        (Mutation::Replace(_, message), act) => *act = Act::Say(message.clone()),
        (Mutation::Give(_, remote), _) => step.remote = *remote,
        (Mutation::Slice(_, slice), _) => step.slice = *slice,
        (Mutation::Wait(_, wait), _) => step.wait = Duration::from_millis((*wait).into()),
        (Mutation::Serve(_, to), Act::Serve { how, .. }) => *how = *to,
        (Mutation::Reserved(_, at, to), Act::Handshake { reserved, .. }) => {
            reserved[usize::from(*at) % 8] = *to;
        }
        (Mutation::OtherTorrent(_), Act::Handshake { info_hash, .. }) => *info_hash = Some(InfoHash([9; 20])),
        (Mutation::SameId(_, own), Act::Handshake { peer_id, .. }) => {
            *peer_id = if *own { PeerId([1; 20]) } else { PeerId(*b"-SL0001-100000000000") };
        }
        (Mutation::Byte(_, at, to), act) => {
            let mut bytes = act.bytes(subject);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = *to;
                *act = Act::Bytes(bytes);
            }
        }
        (Mutation::Cut(_, at, tail), act) => {
            let mut bytes = act.bytes(subject);
            bytes.truncate(at.index(bytes.len() + 1));
            bytes.extend_from_slice(tail);
            *act = Act::Bytes(bytes);
        }
        _ => {}
    }
}

/// Dialogues with a peer in this role, legal but for one to a dozen changes.
pub fn mutated(role: Role) -> impl Strategy<Value = Dialogue> {
    mutated_about(role, None)
}

/// The same, about this torrent if there is one.
pub fn mutated_about(role: Role, about: Option<Arc<Subject>>) -> impl Strategy<Value = Dialogue> {
    (legal_with(role, about), vec(mutation(), 1..12)).prop_map(|((mut dialogue, subject), mutations)| {
        mutations.iter().for_each(|mutation| apply(&mut dialogue, mutation, &subject));
        dialogue
    })
}

/// Dialogues with a peer in any role, one in ten of them legal.
pub fn any_dialogue() -> impl Strategy<Value = Dialogue> {
    prop_oneof![
        3 => mutated(Role::Leech),
        3 => mutated(Role::Seed),
        3 => mutated(Role::Magnet),
        1 => any_legal(),
    ]
}
