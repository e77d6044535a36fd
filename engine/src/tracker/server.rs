//! A tracker's own logic: who is in which swarm, and whom an announce is told of. The same announces, times
//! and generator give the same answers.
//!
//! - A peer is known by the address it comes from and the port it names; one that does not announce for
//!   [`TrackerConfig::expire_after`] is forgotten, and so is a swarm without peers.
//! - An answer costs O(peers in the answer + log swarm). It never holds who asked, nor a seed if a seed asked,
//!   unless [`TrackerConfig::seeds_meet`] has the room that leechers leave filled with them.
//! - Memory is bounded by [`TrackerConfig::most_swarms`] and [`TrackerConfig::most_members`].
//! - Who has to give more first ([`TrackerConfig::min_ratio`]) is told of nobody, but others are told of it: it
//!   could not give otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::net::SocketAddr;
use std::time::Duration;

use super::ledger::{Account, AccountKey, Ledger, MinRatio};
use super::origin::{Family, Origin};
use super::reply::{AnnounceReply, Failure};
use super::request::{AnnounceRequest, Event};
use super::scrape::{ScrapeCounts, ScrapeReply};
use super::swarm::{LEECHERS, MemberId, SEEDS, Swarm};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::InfoHash;

/// Which peers an answer may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returns {
    /// Any, at random.
    #[default]
    All,
    /// Only those that have the whole content: client-server.
    Seeds,
}

/// How a tracker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// What it tells peers to wait between announces.
    pub interval: Duration,
    /// The least that it tells them to wait.
    pub min_interval: Duration,
    /// Who announces again before nine tenths of the least wait are over, without an event, is told of nobody.
    /// So is, until its next announce, who sends again over UDP what was answered and the answer lost.
    pub hold_back: bool,
    /// Peers in an answer to who does not say how many.
    pub default_peers: u32,
    /// The most peers in an answer.
    pub max_peers: u32,
    /// Which peers an answer may hold.
    pub returns: Returns,
    /// Tell who needs nothing of seeds too, after the leechers. Seeds have no use for each other; but a client that
    /// has a magnet link and no torrent as yet may say that it needs nothing, as rqbit does, and would never
    /// get its metadata where there are seeds alone. opentracker makes no difference between peers at all.
    pub seeds_meet: bool,
    /// A peer that has not announced for this long is gone.
    pub expire_after: Duration,
    /// Believe the `ip` of an announce. Lets anyone have a victim's address spread (BEP 7).
    pub trust_ip: bool,
    /// The most torrents at a time.
    pub most_swarms: usize,
    /// The most peers at a time, over all torrents.
    pub most_members: usize,
    /// The share ratio that it asks for.
    pub min_ratio: Option<MinRatio>,
}

impl Default for TrackerConfig {
    /// Half an hour, five minutes, 50 of 200 peers; gone after an hour and a quarter, that is two announces
    /// missed and some slack.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1800),
            min_interval: Duration::from_secs(300),
            hold_back: false,
            default_peers: 50,
            max_peers: 200,
            returns: Returns::All,
            seeds_meet: false,
            expire_after: Duration::from_secs(4500),
            trust_ip: false,
            most_swarms: 100_000,
            most_members: 10_000_000,
            min_ratio: None,
        }
    }
}

impl TrackerConfig {
    /// A tracker in the real world: the default and what simulated peers have no use for.
    pub fn server() -> Self {
        Self { seeds_meet: true, ..Self::default() }
    }
}

/// A tracker.
#[derive(Clone, Debug)]
pub struct Tracker {
    config: TrackerConfig,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// Every member by when it last announced, the longest ago first.
    ages: BTreeSet<(Instant, InfoHash, MemberId)>,
    /// The only torrents it knows; `None`: any.
    allowed: Option<BTreeSet<InfoHash>>,
    /// Empty unless a ratio is asked for.
    ledger: Ledger,
    /// Whom an answer is told of, while it is made.
    chosen: Vec<MemberId>,
}

impl Tracker {
    /// A tracker that knows nobody, open to any torrent.
    pub fn new(config: TrackerConfig) -> Self {
        Self {
            config,
            swarms: BTreeMap::new(),
            ages: BTreeSet::new(),
            allowed: None,
            ledger: Ledger::default(),
            chosen: Vec::new(),
        }
    }

    /// From here on it knows these torrents alone; `None`: any. Those that are on the list no more are
    /// forgotten.
    pub fn allow_only(&mut self, torrents: Option<BTreeSet<InfoHash>>) {
        if let Some(allowed) = &torrents {
            self.swarms.retain(|hash, _| allowed.contains(hash));
            self.ages.retain(|(_, hash, _)| allowed.contains(hash));
        }
        self.allowed = torrents;
    }

    /// What an account has moved, as far as it is known. Counted only where a ratio is asked for.
    pub fn account(&self, key: &AccountKey) -> Option<Account> {
        self.ledger.account(key)
    }

    /// Every account, to be kept by a driver that wants ratios to outlive the tracker.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountKey, Account)> {
        self.ledger.accounts()
    }

    /// Puts an account back, or gives it a credit.
    pub fn set_account(&mut self, now: Instant, key: AccountKey, account: Account) {
        self.ledger.set(now, key, account, self.config.most_members);
    }

    /// Takes an announce and answers it. `origin` is the address it came from, or an [`Origin`] that says more.
    pub fn announce<'a>(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        origin: impl Into<Origin<'a>>,
        rng: &mut Rng,
    ) -> Result<AnnounceReply, Failure> {
        let mut reply = AnnounceReply::default();
        self.answer(now, request, origin, rng, &mut reply)?;
        Ok(reply)
    }

    /// The same, with the answer in place of what was in `reply`, whose lists keep their memory.
    pub fn answer<'a>(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        origin: impl Into<Origin<'a>>,
        rng: &mut Rng,
        reply: &mut AnnounceReply,
    ) -> Result<(), Failure> {
        let origin = origin.into();
        self.expire(now);
        if request.port == 0 {
            return Err(Failure::new("port 0 cannot be connected to"));
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&request.info_hash)) {
            return Err(Failure::new("this tracker does not know the torrent"));
        }
        let ip = request.ip.filter(|_| self.config.trust_ip).unwrap_or(origin.from.ip());
        // An IPv4 peer that came over an IPv6 socket is an IPv4 peer.
        let address = SocketAddr::new(ip.to_canonical(), request.port);
        let refused = self.refuses(now, request, &origin);
        self.chosen.clear();
        if request.event == Event::Stopped {
            self.remove(request.info_hash, address);
        } else {
            let early = self.is_early(now, request, address);
            let id = self.record(now, request, address)?;
            if let Some(refused) = refused {
                return Err(refused);
            }
            if !early {
                self.choose(request, origin.only, id, rng);
            }
        }
        let counts = self.counts(request.info_hash).unwrap_or_default();
        let (mut peers, mut peer_ids) = (take(&mut reply.peers), take(&mut reply.peer_ids));
        peers.clear();
        peer_ids.clear();
        if let Some(swarm) = self.swarms.get(&request.info_hash) {
            peers.extend(self.chosen.iter().map(|&id| swarm.member(id).address));
            if !request.compact {
                peer_ids.extend(self.chosen.iter().map(|&id| swarm.member(id).peer_id));
            }
        }
        *reply = AnnounceReply {
            interval: self.config.interval,
            min_interval: Some(self.config.min_interval),
            complete: Some(counts.complete),
            incomplete: Some(counts.incomplete),
            peers,
            peer_ids,
            ..AnnounceReply::default()
        };
        Ok(())
    }

    /// What is counted of these torrents; those it does not know are left out.
    pub fn scrape(&mut self, now: Instant, torrents: &[InfoHash]) -> ScrapeReply {
        self.expire(now);
        let known = torrents.iter().filter_map(|&hash| Some((hash, self.counts(hash)?)));
        ScrapeReply { files: known.collect() }
    }

    /// Forgets who has not announced for long. Announces and scrapes do so first.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(seen, info_hash, id)) = self.ages.first()
            && now.since(seen) >= self.config.expire_after
        {
            self.forget(info_hash, id);
        }
        self.ledger.expire(now, self.config.expire_after);
    }

    /// How many peers it knows, over all torrents.
    pub fn members(&self) -> usize {
        self.ages.len()
    }

    /// How many torrents it knows.
    pub fn swarms(&self) -> usize {
        self.swarms.len()
    }

    fn counts(&self, info_hash: InfoHash) -> Option<ScrapeCounts> {
        let swarm = self.swarms.get(&info_hash)?;
        let (complete, incomplete) = (swarm.count(SEEDS), swarm.count(LEECHERS));
        Some(ScrapeCounts { complete, incomplete, downloaded: swarm.downloaded })
    }

    /// Counts what the announce says, and what is to be said if it is too little.
    fn refuses(&mut self, now: Instant, request: &AnnounceRequest, origin: &Origin<'_>) -> Option<Failure> {
        let ratio = self.config.min_ratio?;
        let key = AccountKey::of(origin.account, origin.from.ip());
        let account = self.ledger.count(now, key, request, self.config.most_members);
        ratio.refuses(account, request.left, self.config.min_interval)
    }

    /// Whether a peer asks again sooner than it was told to.
    fn is_early(&self, now: Instant, request: &AnnounceRequest, address: SocketAddr) -> bool {
        let swarm = self.swarms.get(&request.info_hash).filter(|_| self.config.hold_back);
        let known = swarm.and_then(|swarm| Some(swarm.member(swarm.find(address)?)));
        let least = self.config.min_interval / 10 * 9;
        request.event == Event::None && known.is_some_and(|member| now.since(member.seen) < least)
    }

    /// Puts the peer in, or up to date.
    fn record(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        address: SocketAddr,
    ) -> Result<MemberId, Failure> {
        let known = self.swarms.get(&request.info_hash);
        let id = known.and_then(|swarm| swarm.find(address));
        if known.is_none() && self.swarms.len() >= self.config.most_swarms {
            return Err(Failure::new("this tracker has as many torrents as it can hold"));
        }
        if id.is_none() && self.ages.len() >= self.config.most_members {
            return Err(Failure::new("this tracker has as many peers as it can hold"));
        }
        let pool = if request.left == 0 { SEEDS } else { LEECHERS };
        let swarm = self.swarms.entry(request.info_hash).or_default();
        let id = match id {
            Some(id) => {
                swarm.set_pool(id, pool);
                id
            }
            None => swarm.insert(address, request.peer_id, pool, now),
        };
        let member = swarm.member_mut(id);
        member.peer_id = request.peer_id;
        let before = std::mem::replace(&mut member.seen, now);
        if request.event == Event::Completed && pool == SEEDS && !member.counted {
            member.counted = true;
            swarm.downloaded = swarm.downloaded.saturating_add(1);
        }
        self.ages.remove(&(before, request.info_hash, id));
        self.ages.insert((now, request.info_hash, id));
        Ok(id)
    }

    fn remove(&mut self, info_hash: InfoHash, address: SocketAddr) {
        if let Some(id) = self.swarms.get(&info_hash).and_then(|swarm| swarm.find(address)) {
            self.forget(info_hash, id);
        }
    }

    /// Takes out a member that is there.
    fn forget(&mut self, info_hash: InfoHash, id: MemberId) {
        let Some(swarm) = self.swarms.get_mut(&info_hash) else { return };
        self.ages.remove(&(swarm.member(id).seen, info_hash, id));
        swarm.remove(id);
        if swarm.len() == 0 {
            self.swarms.remove(&info_hash);
        }
    }

    fn choose(&mut self, request: &AnnounceRequest, only: Option<Family>, id: MemberId, rng: &mut Rng) {
        let chosen = &mut self.chosen;
        let Some(swarm) = self.swarms.get_mut(&request.info_hash) else { return };
        let want = request.numwant.unwrap_or(self.config.default_peers).min(self.config.max_peers) as usize;
        let seeds = request.left > 0;
        let leechers = self.config.returns == Returns::All;
        swarm.sample([seeds, leechers], only, id, want, rng, chosen);
        if !seeds && self.config.seeds_meet {
            swarm.sample([true, false], only, id, want - chosen.len(), rng, chosen);
        }
    }

    #[cfg(test)]
    fn check(&self) {
        self.swarms.values().for_each(Swarm::check);
        self.ledger.check();
        assert_eq!(self.swarms.values().map(Swarm::len).sum::<usize>(), self.ages.len());
    }
}

#[cfg(test)]
mod tests;
