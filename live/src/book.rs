//! What is written down of a live run while it goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use client::TorrentHandle;
use client::session::TorrentStatus;
use engine::{Bitfield, Layout};
use simulator::spec::Spec;

/// See the module. Times are seconds.
#[derive(Debug)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Debug)]
struct Pages {
    layout: Layout,
    /// By place: of those who have come.
    peers: BTreeMap<usize, Entry>,
    /// Copies of each piece among the peers present.
    copies: Vec<u32>,
    /// What leechers have, those who are gone included.
    pieces: u64,
    settled: u32,
    completed: u32,
}

#[derive(Debug)]
struct Entry {
    facts: record::Peer,
    up: u64,
    seed: bool,
    has: Vec<bool>,
    /// While it is there.
    handle: Option<TorrentHandle>,
}

impl Book {
    pub fn new(layout: &Layout) -> Self {
        let copies = vec![0; layout.pieces() as usize];
        let peers = BTreeMap::new();
        Self(Mutex::new(Pages { layout: *layout, peers, copies, pieces: 0, settled: 0, completed: 0 }))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn joined(
        &self,
        place: usize,
        group: usize,
        spec: &Spec,
        has: Bitfield,
        handle: TorrentHandle,
        now: f64,
    ) {
        let pages = &mut *self.pages();
        let of = &spec.groups[group];
        let has: Vec<bool> = pages.layout.all().map(|piece| has.contains(piece)).collect();
        for (copies, _) in pages.copies.iter_mut().zip(&has).filter(|(_, has)| **has) {
            *copies += 1;
            pages.pieces += u64::from(!of.seed);
        }
        let facts = record::Peer {
            group: group as u32,
            arrived: now,
            completed: None,
            left: None,
            uploaded: 0,
            downloaded: 0,
            wasted: 0,
            pieces: 0,
        };
        let entry = Entry { facts, up: of.up, seed: of.seed, has, handle: Some(handle) };
        pages.peers.insert(place, entry);
    }

    pub fn piece(&self, place: usize, piece: u32) {
        let pages = &mut *self.pages();
        let Some(entry) = pages.peers.get_mut(&place) else { return };
        let Some(has) = entry.has.get_mut(piece as usize) else { return };
        if !std::mem::replace(has, true) {
            pages.copies[piece as usize] += 1;
            pages.pieces += 1;
        }
    }

    pub fn completed(&self, place: usize, now: f64) {
        let pages = &mut *self.pages();
        let Some(entry) = pages.peers.get_mut(&place) else { return };
        entry.facts.completed = Some(now);
        pages.completed += 1;
        pages.settled += 1;
    }

    /// It leaves, if `left` says when; or the run is over.
    pub fn ended(&self, place: usize, status: &TorrentStatus, left: Option<f64>) {
        let pages = &mut *self.pages();
        let Some(entry) = pages.peers.get_mut(&place) else { return };
        entry.facts.note(status);
        if left.is_none() {
            return;
        }
        entry.facts.left = left;
        entry.handle = None;
        pages.settled += u32::from(entry.facts.completed.is_none() && !entry.seed);
        for (copies, _) in pages.copies.iter_mut().zip(&entry.has).filter(|(_, has)| **has) {
            *copies -= 1;
        }
    }

    pub fn settled(&self) -> u32 {
        self.pages().settled
    }

    pub fn pieces(&self) -> u64 {
        self.pages().pieces
    }

    /// Peers that have come.
    pub fn arrived(&self) -> usize {
        self.pages().peers.len()
    }

    /// The swarm now.
    pub async fn sample(&self, time: f64) -> record::Sample {
        let handles: Vec<(usize, TorrentHandle)> = {
            let pages = self.pages();
            let there = pages.peers.iter();
            there.filter_map(|(&place, entry)| Some((place, entry.handle.clone()?))).collect()
        };
        for (place, handle) in handles {
            // Who is gone in the meantime has written down what it had.
            let Ok(status) = handle.status().await else { continue };
            if let Some(entry) = self.pages().peers.get_mut(&place).filter(|entry| entry.handle.is_some()) {
                entry.facts.note(&status);
            }
        }
        let pages = self.pages();
        let present = || pages.peers.values().filter(|entry| entry.handle.is_some());
        let seeds = present().filter(|entry| entry.seed || entry.facts.completed.is_some()).count();
        let copies = &pages.copies;
        record::Sample {
            time,
            leechers: (present().count() - seeds) as u32,
            seeds: seeds as u32,
            completed: pages.completed,
            downloaded: pages.peers.values().map(|entry| entry.facts.downloaded).sum(),
            uploaded: pages.peers.values().map(|entry| entry.facts.uploaded).sum(),
            uplink: present().map(|entry| entry.up).sum(),
            rarest: copies.iter().copied().min().unwrap_or(0),
            mean_copies: copies.iter().map(|&n| f64::from(n)).sum::<f64>() / copies.len().max(1) as f64,
        }
    }

    /// Everybody's facts, in order of group and arrival.
    pub fn peers(&self) -> Vec<record::Peer> {
        self.pages().peers.values().map(|entry| entry.facts.clone()).collect()
    }
}

/// What a status says that a record wants.
trait Note {
    fn note(&mut self, status: &TorrentStatus);
}

impl Note for record::Peer {
    fn note(&mut self, status: &TorrentStatus) {
        self.uploaded = status.uploaded;
        self.downloaded = status.downloaded;
        self.wasted = status.wasted;
        self.pieces = status.pieces_done;
    }
}
