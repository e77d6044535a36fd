//! What a host may use while it handles an event: the clock, the queue, the table of parcels, what all hosts
//! share and never change, and a tally for observers that no host reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::Torrent;
use engine::peer::{Event as PeerEvent, Identity, Input, Output, Outputs, PeerConfig, Policy};
use engine::rng::{self, Rng};
use engine::wire::{Message, PeerId};
use engine::{Bitfield, Layout, Peer, Seed};

use crate::event::Event;
use crate::faults::Plan;
use crate::host::Host;
use crate::host::actor::Actor;
use crate::host::storage::Content;
use crate::load::{Load, Notation};
use crate::network::flow::Cap;
use crate::network::latency;
use crate::network::rate::Rate;
use crate::parcel::Parcels;
use crate::population;
use crate::prompt::Prompt;
use crate::queue::{Queue, Slots};
use crate::shard::Outbox;
use crate::spec::Spec;
use crate::watch::Tap;

/// What every host of a run shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub spec: Arc<Spec>,
    pub layout: Layout,
    pub torrent: Torrent,
    /// How the message stack writes messages down.
    pub notation: Notation,
    pub seed: Seed,
    latency_seed: Seed,
    pub cap: Option<Cap>,
    /// The wire stack's bytes; `None` in the message stack.
    pub content: Option<Box<Content>>,
    /// The tracker's number as a host: one past the last peer's.
    pub tracker: u32,
    pub tracker_latency: u64,
    /// No host acts on another in the slot of time in which it does something.
    pub slots: Slots,
    jitter: u64,
    configs: Vec<Arc<PeerConfig>>,
    policies: Vec<Policy>,
    pub checks: bool,
    /// Of each group.
    uplinks: Vec<Rate>,
    /// The group of each host.
    pub group_of: Vec<u32>,
    /// What goes wrong, if anything.
    pub faults: Option<Box<Plan>>,
}

impl Shared {
    /// `group_of` names the group of each host.
    pub fn new(
        spec: Arc<Spec>,
        torrent: Torrent,
        seed: Seed,
        content: Option<Box<Content>>,
        checks: bool,
        group_of: Vec<u32>,
    ) -> Self {
        let configs = spec.groups.iter().map(|group| Arc::new(group.peer_config())).collect();
        let policies = spec.groups.iter().map(|group| Policy {
            leech: group.choker.clone(),
            seed: group.seed_choker.clone(),
            picker: group.picker.clone(),
        });
        let tracker_latency = nanos(spec.tracker.latency.max(latency::MIN_LATENCY));
        Self {
            layout: torrent.layout,
            notation: Notation::new(&torrent.layout),
            torrent,
            seed,
            latency_seed: seed.derive("latency", 0),
            cap: Cap::of(spec.network.transport),
            content,
            tracker: group_of.len() as u32,
            uplinks: spec.groups.iter().map(|group| Rate::new(group.up)).collect(),
            faults: Plan::new(&spec, seed, &group_of),
            group_of,
            tracker_latency,
            slots: Slots::new(nanos(latency::least(&spec.network.latency)).min(tracker_latency)),
            jitter: spec.network.jitter.as_nanos() as u64,
            configs,
            policies: policies.collect(),
            checks,
            spec,
        }
    }

    /// One-way delay between two hosts, nanoseconds.
    pub fn latency(&self, a: u32, b: u32) -> u64 {
        // Host numbers are a permutation that the run's seed draws, so that the delay of a pair may hang on
        // them; the halves of the hosts' own come on top.
        let core = latency::between(&self.spec.network.latency, self.latency_seed, a, b);
        let own = |host: u32| self.spec.groups[self.group_of[host as usize] as usize].latency;
        nanos((core + own(a) + own(b)).max(latency::MIN_LATENCY))
    }

    /// One-way delay of what host `a` sends to host `b` at `now`: the usual one, and what faults add.
    pub fn way(&self, a: u32, b: u32, now: u64) -> u64 {
        self.latency(a, b).saturating_add(self.extra(a, b, now))
    }

    /// The rate of a host's uplink.
    #[inline]
    pub fn uplink_of(&self, host: u32) -> Rate {
        self.uplinks[self.group_of[host as usize] as usize]
    }

    /// The word of a message, if it is to travel as one.
    #[inline(always)]
    pub fn word_of(&self, message: &Message) -> Option<Load> {
        if self.content.is_none() { self.notation.note(message) } else { None }
    }

    /// What faults add to the one-way delay.
    #[inline]
    pub fn extra(&self, a: u32, b: u32, now: u64) -> u64 {
        self.faults.as_ref().map_or(0, |faults| faults.extra(a, b, now))
    }

    /// An extra delay.
    pub fn jitter(&self, rng: &mut Rng) -> u64 {
        if self.jitter == 0 { 0 } else { (rng::unit(rng) * self.jitter as f64) as u64 }
    }

    /// The peer of a host that joins.
    pub fn new_actor(&self, host: &Host, rng: &mut Rng) -> Actor {
        let group = &self.spec.groups[host.group as usize];
        let have = if group.seed {
            Bitfield::full(&self.layout)
        } else {
            population::start_pieces(&self.layout, group.start_with, rng)
        };
        self.actor_with(host, have, 0)
    }

    /// The peer of a host in its life number `life`, with what it has.
    pub fn actor_with(&self, host: &Host, have: Bitfield, life: u32) -> Actor {
        let group = &self.spec.groups[host.group as usize];
        let identity = Identity { peer_id: peer_id(host.id), addr: host.addr };
        let first = self.seed.derive("engine", u64::from(host.id));
        let seed = if life == 0 { first } else { first.derive("life", u64::from(life)) };
        let (config, policy) = (&self.configs[host.group as usize], &self.policies[host.group as usize]);
        let peer = Peer::new(self.torrent, config.clone(), policy, identity, have, seed);
        Actor::new(peer, group.behaviour, self.layout)
    }
}

/// A peer id in Azureus style that says who it is.
fn peer_id(host: u32) -> PeerId {
    let mut id = *b"-SL0100-000000000000";
    let number = format!("{host:012}");
    id[8..].copy_from_slice(&number.as_bytes()[..12]);
    PeerId(id)
}

/// See the module.
pub(crate) struct Context<'a> {
    pub now: u64,
    pub queue: &'a mut Queue,
    pub parcels: &'a mut Parcels,
    pub shared: &'a Shared,
    pub tally: &'a mut Tally,
    /// What is for hosts that others look after.
    pub outbox: &'a mut Outbox,
    /// The buffer that the peer at work puts its outputs into, but while they are carried out.
    pub outputs: Option<&'a mut Outputs>,
    /// Inputs without delay of the host at work.
    pub prompt: &'a mut Prompt,
    pub tap: Option<&'a mut Tap>,
}

impl Context<'_> {
    /// An event for another host, in a later one of the [`Shared::slots`].
    #[inline(always)]
    pub fn post(&mut self, event: Event) {
        debug_assert!(self.shared.slots.end_of(self.now) <= event.time, "sooner than any latency");
        self.outbox.post(event, self.queue, self.parcels);
    }

    pub fn traced_input(&mut self, host: u32, input: &Input) {
        if let Some(tap) = &mut self.tap {
            tap.input(host, self.now, input);
        }
    }

    pub fn traced_output(&mut self, host: u32, output: &Output) {
        if let Some(tap) = &mut self.tap {
            tap.output(host, self.now, output);
        }
    }
}

/// Message kinds that are counted, in the order of their ids' names.
const KINDS: usize = 21;

/// What a run counts. Hosts write it and never read it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub events: u64,
    /// Payload that has left an uplink, that came, and that came when its connection was closed there.
    pub payload_sent: u64,
    pub payload_delivered: u64,
    pub payload_lost: u64,
    pub blocks_delivered: u64,
    pub hash_failures: u64,
    pub pieces_completed: u64,
    pub snubs: u64,
    /// Hosts that somebody has banned, with how often.
    pub bans: BTreeMap<u32, u64>,
    messages: [u64; KINDS],
    /// Copies of each piece among the peers present.
    pub copies: Vec<u32>,
    pub leechers: u32,
    pub seeds: u32,
    pub completed: u32,
    /// Peers that have left or completed, of those that began without everything.
    pub settled: u32,
    /// Sum of the uplinks present, bytes a second.
    pub uplink: u64,
    /// Peers that are away and will be back.
    pub down: u32,
}

impl Tally {
    pub fn new(layout: &Layout) -> Self {
        Self { copies: vec![0; layout.pieces() as usize], ..Self::default() }
    }

    /// Back to nothing.
    pub fn clear(&mut self) {
        let mut copies = std::mem::take(&mut self.copies);
        copies.fill(0);
        *self = Self { copies, ..Self::default() };
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        // Named one by one, so that none is forgotten.
        let Self {
            events,
            payload_sent,
            payload_delivered,
            payload_lost,
            blocks_delivered,
            hash_failures,
            pieces_completed,
            snubs,
            bans,
            messages,
            copies,
            leechers,
            seeds,
            down,
            completed,
            settled,
            uplink,
        } = other;
        self.events += events;
        self.payload_sent += payload_sent;
        self.payload_delivered += payload_delivered;
        self.payload_lost += payload_lost;
        self.blocks_delivered += blocks_delivered;
        self.hash_failures += hash_failures;
        self.pieces_completed += pieces_completed;
        self.snubs += snubs;
        for (host, times) in bans {
            *self.bans.entry(*host).or_default() += times;
        }
        self.messages.iter_mut().zip(messages).for_each(|(sum, n)| *sum += n);
        self.copies.iter_mut().zip(copies).for_each(|(sum, n)| *sum += n);
        self.leechers += leechers;
        self.seeds += seeds;
        self.down += down;
        self.completed += completed;
        self.settled += settled;
        self.uplink += uplink;
    }

    /// Payload that is on its way.
    pub fn in_flight(&self) -> u64 {
        self.payload_sent - self.payload_delivered - self.payload_lost
    }

    pub fn joined(&mut self, have: &Bitfield, layout: &Layout, up: u64) {
        self.uplink += up;
        have.iter(layout).for_each(|piece| self.copies[piece.index()] += 1);
        if have.is_full() {
            self.seeds += 1;
        } else {
            self.leechers += 1;
        }
    }

    pub fn left(&mut self, have: &Bitfield, layout: &Layout, up: u64, completed_here: bool) {
        self.uplink -= up;
        have.iter(layout).for_each(|piece| self.copies[piece.index()] -= 1);
        if have.is_full() {
            self.seeds -= 1;
        } else {
            self.leechers -= 1;
        }
        self.settled += u32::from(!have.is_full() && !completed_here);
    }

    /// A peer goes that will be back.
    pub fn went_down(&mut self, have: &Bitfield, layout: &Layout, up: u64) {
        self.left(have, layout, up, true);
        self.down += 1;
    }

    /// A peer that had completed is back without everything.
    pub fn unsettle(&mut self) {
        self.completed -= 1;
        self.settled -= 1;
    }

    pub fn observe(&mut self, event: &PeerEvent) {
        match event {
            PeerEvent::PieceCompleted(piece) => {
                self.pieces_completed += 1;
                self.copies[piece.index()] += 1;
            }
            PeerEvent::Completed => {
                self.leechers -= 1;
                self.seeds += 1;
                self.completed += 1;
                self.settled += 1;
            }
            PeerEvent::HashFailed(_) => self.hash_failures += 1,
            PeerEvent::Snubbed(_) => self.snubs += 1,
            PeerEvent::Wasted { .. } | PeerEvent::Banned(_) | PeerEvent::EndgameStarted => {}
        }
    }

    pub fn banned(&mut self, host: Option<u32>) {
        if let Some(host) = host {
            *self.bans.entry(host).or_default() += 1;
        }
    }

    pub fn sent(&mut self, payload: u32) {
        self.payload_sent += u64::from(payload);
    }

    pub fn arrived(&mut self, payload: u32, open: bool) {
        if open {
            self.payload_delivered += u64::from(payload);
            self.blocks_delivered += u64::from(payload > 0);
        } else {
            self.payload_lost += u64::from(payload);
        }
    }

    /// A message of this id, or a keep-alive, is queued.
    #[inline]
    pub fn sent_message(&mut self, id: Option<u8>) {
        let kind = id.map_or(0, |id| usize::from(id) + 1).min(KINDS - 1);
        self.messages[kind] += 1;
    }

    /// Counters by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        const NAMES: [(usize, &str); 10] = [
            (1, "choke"),
            (2, "unchoke"),
            (3, "interested"),
            (4, "not_interested"),
            (5, "have"),
            (6, "bitfield"),
            (7, "request"),
            (8, "piece"),
            (9, "cancel"),
            (17, "reject"),
        ];
        let mut counters: BTreeMap<String, u64> =
            NAMES.iter().map(|(kind, name)| (format!("messages_{name}"), self.messages[*kind])).collect();
        let more = [
            ("events", self.events),
            ("blocks_delivered", self.blocks_delivered),
            ("payload_sent_bytes", self.payload_sent),
            ("payload_received_bytes", self.payload_delivered),
            ("payload_lost_bytes", self.payload_lost),
            ("payload_in_flight_bytes", self.in_flight()),
            ("hash_failures", self.hash_failures),
            ("pieces_completed", self.pieces_completed),
            ("snubs", self.snubs),
            ("banned_hosts", self.bans.len() as u64),
        ];
        counters.extend(more.map(|(name, value)| (name.to_string(), value)));
        counters
    }
}

/// The duration as whole nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
