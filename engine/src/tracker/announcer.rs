//! When a peer announces, and what it says: one torrent, one tracker.
//!
//! - `started` is the first announce that gets through, `stopped` the last; `completed` is said once, after
//!   `started`, and never by who started complete (the driver calls [`Announcer::completed`] only when the
//!   last piece comes in). An event that fails is said again; `stopped` is not.
//! - At most one announce is under way; the driver answers each with one [`Announcer::reply`], its own
//!   timeout included.
//! - Between announces pass at least the tracker's minimum and at most its interval, but for events, and for
//!   failures: these wait twice as long each time. A deadline changes only by a call that mutates.

use std::net::IpAddr;
use std::time::Duration;

use super::reply::{AnnounceReply, Retry};
use super::request::{AnnounceRequest, Event};
use crate::time::Instant;
use crate::wire::{InfoHash, PeerId};

/// What stays the same in each announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who announces.
    pub peer_id: PeerId,
    /// The port it listens on.
    pub port: u16,
    /// The address it wants to be known by, if not the one it comes from.
    pub ip: Option<IpAddr>,
    /// BEP 7: a random number of its own.
    pub key: Option<u32>,
}

/// What changes from one announce to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payload bytes sent since the start.
    pub uploaded: u64,
    /// Payload bytes received since the start.
    pub downloaded: u64,
    /// Bytes still needed.
    pub left: u64,
}

/// How an announcer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncerConfig {
    /// How many peers to ask for.
    pub numwant: u32,
    /// Ask for the compact form (BEP 23).
    pub compact: bool,
    /// The shortest regular interval that is believed.
    pub least_interval: Duration,
    /// The least wait when more peers are wanted and the tracker names no minimum.
    pub min_interval: Duration,
    /// The wait after the first failure; doubled by each further one.
    pub retry_first: Duration,
    /// The longest wait after a failure.
    pub retry_most: Duration,
}

impl Default for AnnouncerConfig {
    /// 50 peers and five minutes, as the mainline client had it; failures from 15 s to half an hour.
    fn default() -> Self {
        Self {
            numwant: 50,
            compact: true,
            least_interval: Duration::from_secs(30),
            min_interval: Duration::from_secs(300),
            retry_first: Duration::from_secs(15),
            retry_most: Duration::from_secs(30 * 60),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started, or stopped and done.
    Idle,
    Active,
    /// To say `stopped`, since this moment.
    Stopping(Instant),
    /// The tracker wants to hear no more (BEP 31).
    Banned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completion {
    None,
    /// To be said, since this moment.
    Due(Instant),
    Said,
}

/// The announces of one peer. See the module.
#[derive(Clone, Debug)]
pub struct Announcer {
    identity: Identity,
    config: AnnouncerConfig,
    phase: Phase,
    /// The event of the announce under way.
    under_way: Option<Event>,
    /// The tracker may know us.
    announced: bool,
    /// It has heard `started`.
    started: bool,
    completion: Completion,
    short_of_peers: bool,
    /// The regular announce, or the next try after a failure.
    next: Instant,
    /// No announce for want of peers before this.
    earliest: Instant,
    failures: u32,
    tracker_id: Option<Vec<u8>>,
}

impl Announcer {
    /// One that has not started.
    pub fn new(identity: Identity, config: AnnouncerConfig) -> Self {
        Self {
            identity,
            config,
            phase: Phase::Idle,
            under_way: None,
            announced: false,
            started: false,
            completion: Completion::None,
            short_of_peers: false,
            next: Instant::FAR,
            earliest: Instant::FAR,
            failures: 0,
            tracker_id: None,
        }
    }

    /// The peer starts: `started` is due now. No effect unless it is idle.
    pub fn start(&mut self, now: Instant) {
        if self.is_idle() {
            *self = Self { phase: Phase::Active, next: now, ..Self::new(self.identity, self.config) };
        }
    }

    /// The last piece has come in: `completed` is due now, once. Not to be called for a peer that started
    /// complete.
    pub fn completed(&mut self, now: Instant) {
        if self.completion == Completion::None {
            self.completion = Completion::Due(now);
        }
    }

    /// The peer leaves: `stopped` is due now. An announce under way is counted on no more: who leaves when the
    /// last piece has come would otherwise wait for the answer to `completed`, and a driver that is done with
    /// the peer would never say that it went. A tracker that has never been asked is not told.
    pub fn stop(&mut self, now: Instant) {
        match self.phase {
            Phase::Active if self.announced => {
                self.under_way = None;
                self.phase = Phase::Stopping(now);
            }
            Phase::Active | Phase::Banned => self.phase = Phase::Idle,
            Phase::Idle | Phase::Stopping(_) => {}
        }
    }

    /// The peer is short of neighbours: the next announce is due at the minimum interval. Holds until that
    /// announce.
    pub fn want_peers(&mut self) {
        self.short_of_peers = true;
    }

    /// Nothing is due and nothing under way: it has not started, or `stopped` is done with.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle && self.under_way.is_none()
    }

    /// When [`due`](Self::due) will say something; `None` while an announce is under way and when there is
    /// nothing to say. May be in the past.
    pub fn deadline(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        match (self.phase, self.completion) {
            (Phase::Idle | Phase::Banned, _) => None,
            (Phase::Stopping(since), _) => Some(since),
            (Phase::Active, Completion::Due(since)) if self.started && self.failures == 0 => Some(since),
            (Phase::Active, _) if self.short_of_peers => Some(self.next.min(self.earliest)),
            (Phase::Active, _) => Some(self.next),
        }
    }

    /// The announce that is due now, if one is. It is then under way until [`reply`](Self::reply).
    pub fn due(&mut self, now: Instant, stats: Stats) -> Option<AnnounceRequest> {
        self.deadline().filter(|&deadline| deadline <= now)?;
        let event = match (self.phase, self.completion) {
            (Phase::Stopping(_), _) => Event::Stopped,
            _ if !self.started => Event::Started,
            (_, Completion::Due(_)) => Event::Completed,
            _ => Event::None,
        };
        self.under_way = Some(event);
        self.announced = true;
        self.short_of_peers = false;
        let Identity { info_hash, peer_id, port, ip, key } = self.identity;
        let Stats { uploaded, downloaded, left } = stats;
        Some(AnnounceRequest {
            info_hash,
            peer_id,
            ip,
            port,
            uploaded,
            downloaded,
            left,
            event,
            numwant: Some(if event == Event::Stopped { 0 } else { self.config.numwant }),
            compact: self.config.compact,
            key,
            tracker_id: self.tracker_id.clone(),
        })
    }

    /// What became of the announce under way. The error is what a refusal says of trying again, and
    /// [`Retry::Unsaid`] for a tracker that cannot be reached or understood. No effect if none is under way.
    pub fn reply(&mut self, now: Instant, result: Result<&AnnounceReply, Retry>) {
        let Some(event) = self.under_way.take() else { return };
        if event == Event::Stopped {
            self.phase = Phase::Idle;
            return;
        }
        match result {
            Ok(reply) => self.accepted(now, event, reply),
            Err(retry) => self.refused(now, retry),
        }
    }

    fn accepted(&mut self, now: Instant, event: Event, reply: &AnnounceReply) {
        match event {
            Event::Started => self.started = true,
            Event::Completed => self.completion = Completion::Said,
            Event::Stopped | Event::None => {}
        }
        self.failures = 0;
        if reply.tracker_id.is_some() {
            self.tracker_id.clone_from(&reply.tracker_id);
        }
        let least = reply.min_interval.unwrap_or_default().max(self.config.least_interval);
        let interval = reply.interval.max(least);
        let minimum = reply.min_interval.unwrap_or(self.config.min_interval).min(interval);
        self.next = now + interval;
        self.earliest = now + minimum;
    }

    fn refused(&mut self, now: Instant, retry: Retry) {
        let AnnouncerConfig { retry_first, retry_most, .. } = self.config;
        // 2³¹ times anything is over any limit.
        let backoff = retry_first.saturating_mul(1 << self.failures.min(31)).min(retry_most);
        self.failures = self.failures.saturating_add(1);
        let wait = match retry {
            Retry::Unsaid => backoff,
            Retry::After(wait) => wait.max(retry_first),
            Retry::Never => {
                // Not even `stopped`: BEP 31 asks never to send the query again.
                self.phase =
                    if matches!(self.phase, Phase::Stopping(_)) { Phase::Idle } else { Phase::Banned };
                return;
            }
        };
        self.next = now + wait;
        self.earliest = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn announcer() -> Announcer {
        let identity = Identity {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            port: 6881,
            ip: None,
            key: Some(7),
        };
        Announcer::new(identity, AnnouncerConfig::default())
    }

    fn reply(interval: u64, min: Option<u64>) -> AnnounceReply {
        AnnounceReply {
            interval: Duration::from_secs(interval),
            min_interval: min.map(Duration::from_secs),
            ..AnnounceReply::default()
        }
    }

    /// The event that is due at this second, answered at once.
    fn step(announcer: &mut Announcer, second: u64, answer: &AnnounceReply) -> Option<Event> {
        let request = announcer.due(at(second), Stats::default())?;
        announcer.reply(at(second), Ok(answer));
        Some(request.event)
    }

    #[test]
    fn a_life_of_announces() {
        let mut a = announcer();
        assert_eq!((a.deadline(), a.due(at(0), Stats::default())), (None, None));
        a.start(at(5));
        assert_eq!(a.deadline(), Some(at(5)));
        let stats = Stats { uploaded: 1, downloaded: 2, left: 3 };
        let request = a.due(at(5), stats).unwrap();
        assert_eq!((request.event, request.numwant, request.port), (Event::Started, Some(50), 6881));
        assert_eq!((request.uploaded, request.downloaded, request.left), (1, 2, 3));
        assert_eq!((a.deadline(), a.due(at(6), stats)), (None, None), "one at a time");
        a.reply(at(7), Ok(&reply(1800, Some(60))));
        assert_eq!(a.deadline(), Some(at(1807)));
        assert_eq!(a.due(at(1806), stats), None);
        assert_eq!(step(&mut a, 1807, &reply(900, None)), Some(Event::None));
        assert_eq!(a.deadline(), Some(at(2707)));
        a.completed(at(2000));
        assert_eq!(a.deadline(), Some(at(2000)));
        assert_eq!(step(&mut a, 2000, &reply(900, None)), Some(Event::Completed));
        a.completed(at(2001));
        assert_eq!(a.deadline(), Some(at(2900)), "completed is said once");
        a.stop(at(2100));
        let request = a.due(at(2100), stats).unwrap();
        assert_eq!((request.event, request.numwant), (Event::Stopped, Some(0)));
        a.reply(at(2130), Err(Retry::Unsaid));
        assert_eq!((a.deadline(), a.is_idle()), (None, true), "stopped is not said again");
    }

    #[test]
    fn want_of_peers_waits_for_the_minimum() {
        let mut a = announcer();
        a.start(at(0));
        step(&mut a, 0, &reply(1800, Some(60)));
        a.want_peers();
        assert_eq!(a.deadline(), Some(at(60)));
        assert_eq!(step(&mut a, 60, &reply(1800, None)), Some(Event::None));
        assert_eq!(a.deadline(), Some(at(1860)), "asked once");
        a.want_peers();
        assert_eq!(a.deadline(), Some(at(360)), "no minimum named: five minutes");
        step(&mut a, 360, &reply(100, None));
        a.want_peers();
        assert_eq!(a.deadline(), Some(at(460)), "never after the regular one");
    }

    #[test]
    fn failures_wait_longer_and_keep_the_event() {
        let mut a = announcer();
        a.start(at(0));
        let mut now = 0;
        for wait in [15, 30, 60, 120, 240, 480, 960, 1800, 1800] {
            assert_eq!(a.due(at(now), Stats::default()).unwrap().event, Event::Started);
            a.reply(at(now), Err(Retry::Unsaid));
            a.want_peers();
            a.completed(at(now));
            now += wait;
            assert_eq!(a.deadline(), Some(at(now)));
        }
        assert_eq!(step(&mut a, now, &reply(1800, None)), Some(Event::Started));
        assert_eq!(step(&mut a, now, &reply(1800, None)), Some(Event::Completed), "after started, at once");
        now += 1800;
        a.due(at(now), Stats::default()).unwrap();
        a.reply(at(now), Err(Retry::After(Duration::from_secs(7200))));
        assert_eq!(a.deadline(), Some(at(now + 7200)));
        assert_eq!(step(&mut a, now + 7200, &reply(1800, None)), Some(Event::None));
        a.due(at(now + 9000), Stats::default()).unwrap();
        a.reply(at(now + 9000), Err(Retry::Unsaid));
        assert_eq!(a.deadline(), Some(at(now + 9015)), "a success begins the count anew");
    }

    #[test]
    fn leaving_does_not_wait_for_what_is_under_way() {
        let mut a = announcer();
        a.start(at(0));
        a.due(at(0), Stats::default()).unwrap();
        a.stop(at(1));
        assert_eq!((a.deadline(), a.is_idle()), (Some(at(1)), false));
        assert_eq!(step(&mut a, 1, &reply(0, None)), Some(Event::Stopped));
        a.reply(at(2), Ok(&reply(1800, None)));
        assert!(a.is_idle(), "the answer to what was under way comes too late to matter");
        a.start(at(3));
        assert_eq!(step(&mut a, 3, &reply(1800, None)), Some(Event::Started), "and starts again");

        let mut a = announcer();
        a.start(at(0));
        a.stop(at(1));
        assert_eq!((a.deadline(), a.is_idle()), (None, true), "who never came need not say that it goes");
    }

    #[test]
    fn never_is_never() {
        let mut a = announcer();
        a.start(at(0));
        a.due(at(0), Stats::default()).unwrap();
        a.reply(at(0), Err(Retry::Never));
        a.want_peers();
        a.completed(at(0));
        assert_eq!(a.deadline(), None);
        a.stop(at(1));
        assert_eq!((a.deadline(), a.is_idle()), (None, true));
    }

    #[test]
    fn hostile_intervals_and_replies_out_of_turn_do_no_harm() {
        let mut a = announcer();
        a.reply(at(0), Ok(&reply(5, None)));
        assert_eq!(a.deadline(), None);
        a.start(at(0));
        step(&mut a, 0, &reply(0, None));
        assert_eq!(a.deadline(), Some(at(30)));
        step(&mut a, 30, &reply(10, Some(90)));
        assert_eq!(a.deadline(), Some(at(120)), "the minimum is above the interval");
        let id = AnnounceReply { tracker_id: Some(b"x".to_vec()), ..reply(60, None) };
        step(&mut a, 120, &id);
        step(&mut a, 180, &reply(60, None));
        assert_eq!(a.due(at(240), Stats::default()).unwrap().tracker_id.as_deref(), Some(&b"x"[..]));
    }
}
