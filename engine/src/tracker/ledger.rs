//! Who has sent and received how much, for trackers that ask for a share ratio. Kept by account: the passkey that
//! the driver knows, or else the address.
//!
//! - What counts is what announces add up to. A peer names totals since it started (BEP 3), so that a session
//!   (account, torrent, peer id) counts for what its totals have grown by; totals that have fallen are a restart
//!   under the same peer id, and count from zero.
//! - A session that is not known counts from zero if it says `started`, and else from where it is: the tracker has
//!   been restarted, or has forgotten it, and to count it twice would be worse than to count too little.
//! - An announce that comes twice (a packet sent again) counts once.
//! - What peers report is believed. This keeps order among friends; it is no proof of anything.
//! - Memory is bounded by [`TrackerConfig::most_members`](super::TrackerConfig::most_members): so many sessions,
//!   and so many accounts, of which the one that was silent longest is forgotten first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::reply::{Failure, Retry};
use super::request::{AnnounceRequest, Event};
use crate::time::Instant;
use crate::wire::{InfoHash, PeerId};

/// The share ratio that a tracker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRatio {
    /// Uploaded by downloaded, in percent.
    pub percent: u32,
    /// Nothing is asked of who has downloaded no more than this many bytes: everyone has to begin somewhere.
    pub grace: u64,
}

/// Whose a count is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountKey {
    /// What the driver calls it.
    Named(Box<[u8]>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: one household has no fewer.
    V6([u8; 8]),
}

impl AccountKey {
    /// The account of an announce.
    pub fn of(named: Option<&[u8]>, ip: IpAddr) -> Self {
        match (named, ip.to_canonical()) {
            (Some(name), _) => Self::Named(name.into()),
            (None, IpAddr::V4(ip)) => Self::V4(ip),
            (None, IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// What an account has moved, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Sent.
    pub uploaded: u64,
    /// Received.
    pub downloaded: u64,
}

type SessionKey = (AccountKey, InfoHash, PeerId);

/// The totals a session named last, and when.
#[derive(Clone, Copy, Debug)]
struct Session {
    totals: Account,
    seen: Instant,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<AccountKey, (Account, Instant)>,
    silent: BTreeSet<(Instant, AccountKey)>,
    sessions: BTreeMap<SessionKey, Session>,
    ages: BTreeSet<(Instant, SessionKey)>,
}

impl Ledger {
    pub fn account(&self, key: &AccountKey) -> Option<Account> {
        self.accounts.get(key).map(|(account, _)| *account)
    }

    pub fn accounts(&self) -> impl Iterator<Item = (&AccountKey, Account)> {
        self.accounts.iter().map(|(key, (account, _))| (key, *account))
    }

    pub fn set(&mut self, now: Instant, key: AccountKey, account: Account, most: usize) {
        match self.accounts.insert(key.clone(), (account, now)) {
            Some((_, before)) => drop(self.silent.remove(&(before, key.clone()))),
            None if self.accounts.len() > most => {
                if let Some((_, silent)) = self.silent.pop_first() {
                    self.accounts.remove(&silent);
                }
            }
            None => {}
        }
        self.silent.insert((now, key));
    }

    /// Forgets sessions that have not announced for long.
    pub fn expire(&mut self, now: Instant, after: Duration) {
        while let Some((seen, _)) = self.ages.first()
            && now.since(*seen) >= after
            && let Some((_, key)) = self.ages.pop_first()
        {
            self.sessions.remove(&key);
        }
    }

    /// Takes what an announce says; what its account has by now.
    pub fn count(
        &mut self,
        now: Instant,
        key: AccountKey,
        request: &AnnounceRequest,
        most: usize,
    ) -> Account {
        let totals = Account { uploaded: request.uploaded, downloaded: request.downloaded };
        let session = (key.clone(), request.info_hash, request.peer_id);
        let before = self.sessions.get(&session).copied();
        let from = match before {
            Some(Session { totals: last, .. })
                if totals.uploaded >= last.uploaded && totals.downloaded >= last.downloaded =>
            {
                last
            }
            None if request.event != Event::Started => totals,
            Some(_) | None => Account::default(),
        };
        let mut account = self.account(&key).unwrap_or_default();
        account.uploaded = account.uploaded.saturating_add(totals.uploaded - from.uploaded);
        account.downloaded = account.downloaded.saturating_add(totals.downloaded - from.downloaded);
        self.set(now, key, account, most);
        if let Some(Session { seen, .. }) = before {
            self.ages.remove(&(seen, session.clone()));
        } else if self.sessions.len() >= most
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.sessions.remove(&oldest);
        }
        self.ages.insert((now, session.clone()));
        self.sessions.insert(session, Session { totals, seen: now });
        account
    }

    #[cfg(test)]
    pub fn check(&self) {
        assert_eq!(self.accounts.len(), self.silent.len());
        assert_eq!(self.sessions.len(), self.ages.len());
    }
}

impl MinRatio {
    /// What is said to an account that has not given enough; `None` if it has. Nothing is asked of seeds.
    pub(super) fn refuses(&self, account: Account, left: u64, wait: Duration) -> Option<Failure> {
        let Account { uploaded, downloaded } = account;
        let due = u128::from(downloaded) * u128::from(self.percent) / 100;
        if left == 0 || downloaded <= self.grace || u128::from(uploaded) >= due {
            return None;
        }
        let ratio = u128::from(uploaded) * 100 / u128::from(downloaded);
        let decimal = |percent: u128| format!("{}.{:02}", percent / 100, percent % 100);
        let reason = format!(
            "your share ratio of {} is below the {} that this tracker asks for: upload {} bytes more, by seeding, \
             before you download on",
            decimal(ratio),
            decimal(self.percent.into()),
            due - u128::from(uploaded),
        );
        Some(Failure { reason, retry: Retry::After(wait) })
    }
}
