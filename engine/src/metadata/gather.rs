//! Who is asked for which piece, and what becomes of what comes.

use std::cmp::Reverse;
use std::time::Duration;

use crate::ids::ConnId;
use crate::peer::DisconnectReason;
use crate::time::Instant;
use crate::wire::{Message, MetadataMessage};

use super::Fetch;
use super::attempt::{Attempt, Verdict};
use super::remote::{Asked, Remote};

/// Requests without an answer, or with a wrong one, after which a remote is asked no more.
const MAX_STRIKES: u8 = 3;
/// How often one piece is asked for at a time, once all are asked for.
const COPIES: usize = 2;
/// How long one remote may take to send all of it alone, if others wait: this, and for each piece as much more
/// as makes 64 KiB/s.
const ALONE: Duration = Duration::from_secs(30);
const ALONE_PIECE: Duration = Duration::from_millis(250);

impl Fetch {
    /// What is due by the clock.
    pub(super) fn tick(&mut self, now: Instant) {
        let config = &self.config.peer;
        let (mut close, mut quiet) = (Vec::new(), Vec::new());
        for (&id, remote) in &mut self.remotes {
            if !remote.is_ready() {
                if now.since(remote.since) > config.handshake_timeout {
                    close.push((id, DisconnectReason::HandshakeTimeout));
                }
                continue;
            }
            if now.since(remote.heard) > config.idle_timeout {
                close.push((id, DisconnectReason::Idle));
            } else if now.since(remote.spoke) > config.keep_alive * 3 / 4 {
                quiet.push(id);
            }
            if remote.asked.is_some_and(|asked| now.since(asked.at) > self.config.request_timeout * 3) {
                remote.asked = None;
                remote.strikes += 1;
            }
        }
        close.into_iter().for_each(|(id, reason)| self.disconnect(id, reason, now));
        quiet.into_iter().for_each(|id| self.send(id, Message::KeepAlive, now));
        self.review(now);
        // An attempt without anybody to ask, and too few neighbours: others may know more.
        if self.info.is_none() && (self.remotes.len() as u32) < self.config.peer.min_connections {
            self.announcer.want_peers();
        }
    }

    /// Gives an attempt up that goes nowhere.
    fn review(&mut self, now: Instant) {
        let Some(attempt) = &self.attempt else { return };
        let others = self.remotes.iter().any(|(&id, remote)| match attempt.alone {
            Some(alone) => id != alone && self.size_of(remote).is_some(),
            None => self.size_of(remote).is_some_and(|size| size != attempt.size),
        });
        let dead = match attempt.alone {
            Some(alone) => {
                let gone = self.remotes.get(&alone).is_none_or(|r| self.size_of(r) != Some(attempt.size));
                gone || now.since(attempt.begun) > ALONE + ALONE_PIECE * attempt.pieces()
            }
            None => now.since(attempt.progress) > self.config.request_timeout,
        };
        let orphan = !self.remotes.values().any(|remote| self.size_of(remote) == Some(attempt.size));
        if (dead || orphan) && others {
            self.stalled = Some(attempt.size);
            self.attempt = None;
        }
    }

    /// The size of the metadata that a remote offers, if it is to be asked at all.
    fn size_of(&self, remote: &Remote) -> Option<u32> {
        let (_, size) = remote.metadata()?;
        (remote.strikes < MAX_STRIKES && size <= self.config.max_size).then_some(size)
    }

    /// Begins an attempt if there is none: with the one remote that has been tried least; or at the size that
    /// most name, of several the smallest, and rather at another than has just led nowhere.
    fn begin(&mut self, now: Instant) {
        let offers: Vec<_> = self
            .remotes
            .iter()
            .filter_map(|(&id, remote)| Some((remote.alone, id, self.size_of(remote)?)))
            .collect();
        let (size, alone) = if self.alone {
            let Some(&(_, id, size)) = offers.iter().min() else { return };
            if let Some(remote) = self.remotes.get_mut(&id) {
                remote.alone += 1;
            }
            (size, Some(id))
        } else {
            let votes = |size: u32| offers.iter().filter(|(.., other)| *other == size).count();
            let rank = |size: u32| (Some(size) != self.stalled, votes(size), Reverse(size));
            let best = offers.iter().map(|&(.., size)| rank(size)).max();
            let Some((.., Reverse(size))) = best else { return };
            (size, None)
        };
        self.attempts += 1;
        self.attempt = Some(Attempt::new(self.attempts, size, alone, now));
    }

    /// Asks whoever can be asked.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.info.is_some() {
            return;
        }
        if self.attempt.is_none() {
            self.begin(now);
        }
        let Some(attempt) = &self.attempt else { return };
        let number = attempt.number;
        let ids: Vec<_> = self
            .remotes
            .iter()
            .filter(|(id, remote)| {
                attempt.alone.is_none_or(|alone| alone == **id)
                    && remote.asked.is_none()
                    && remote.not_before <= now
                    && self.size_of(remote) == Some(attempt.size)
            })
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            let Some(piece) = self.next_piece(now) else { return };
            let Some(remote) = self.remotes.get_mut(&id) else { continue };
            let Some(theirs) = remote.metadata_id() else { continue };
            remote.asked = Some(Asked { attempt: number, piece, at: now });
            let payload = MetadataMessage::Request { piece }.to_bytes().into();
            self.send(id, Message::Extended { id: theirs, payload }, now);
        }
    }

    /// The missing piece that the fewest are asked for, by requests that are not overdue.
    fn next_piece(&self, now: Instant) -> Option<u32> {
        let attempt = self.attempt.as_ref()?;
        let live = |asked: &Asked| {
            asked.attempt == attempt.number && now.since(asked.at) <= self.config.request_timeout
        };
        let asked: Vec<_> =
            self.remotes.values().filter_map(|remote| remote.asked.filter(live)).map(|a| a.piece).collect();
        let copies = |piece: u32| asked.iter().filter(|&&asked| asked == piece).count();
        let least = attempt.missing().map(|piece| (copies(piece), piece)).min()?;
        (least.0 < COPIES).then_some(least.1)
    }

    /// The answer to what a remote was asked; `None` for anything else, which changes nothing.
    fn answered(&mut self, id: ConnId, piece: u32) -> Option<Asked> {
        let remote = self.remotes.get_mut(&id)?;
        let asked = remote.asked.filter(|asked| asked.piece == piece)?;
        remote.asked = None;
        Some(asked)
    }

    pub(super) fn on_reject(&mut self, id: ConnId, piece: u32, now: Instant) {
        if self.answered(id, piece).is_some()
            && let Some(remote) = self.remotes.get_mut(&id)
        {
            remote.not_before = now + self.config.retry_rejected;
        }
    }

    pub(super) fn on_data(&mut self, id: ConnId, piece: u32, total_size: u32, data: &[u8], now: Instant) {
        let Some(asked) = self.answered(id, piece) else { return };
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.number == asked.attempt) else {
            return;
        };
        let Some(remote) = self.remotes.get_mut(&id) else { return };
        if total_size != attempt.size || attempt.length_of(piece) != Some(data.len() as u32) {
            // No piece of what it offers.
            remote.strikes = MAX_STRIKES;
            return;
        }
        if attempt.put(piece, data, remote.addr.ip(), now)
            && let Some(attempt) = self.attempt.take()
        {
            match attempt.judge(self.info_hash) {
                Verdict::Right(info) => self.info = Some(info),
                Verdict::Wrong(sources) => match sources.as_slice() {
                    &[culprit] => self.ban(culprit, now),
                    _ => self.alone = true,
                },
            }
        }
    }
}
