//! Who may have a connection, decided before memory is spent on it: so many in all, so many from one address,
//! so many that have not said yet what they want, so many being dialled.
//!
//! Who has not said what it wants gives way: when there are too many of those, the one that has been silent
//! for longest is let go. Who is honest says it at once, and so gets in however many there are that never
//! will.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// The most connections in all.
    pub connections: usize,
    /// The most connections being dialled.
    pub half_open: usize,
    /// The most accepted connections that have not named a torrent yet; with one more, the oldest goes.
    pub unknown: usize,
    /// The most accepted connections from one address.
    pub per_address: u32,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self { connections: 500, half_open: 50, unknown: 100, per_address: 16 }
    }
}

/// The connections of a session, counted.
#[derive(Debug)]
pub(crate) struct Gate {
    total: Arc<Semaphore>,
    pub half_open: Arc<Semaphore>,
    unknown: Mutex<Silent>,
    most_unknown: usize,
    addresses: Mutex<BTreeMap<IpAddr, u32>>,
    per_address: u32,
}

/// A place for one connection, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    _place: OwnedSemaphorePermit,
    /// Counted under its address.
    counted: Option<(Arc<Gate>, IpAddr)>,
}

/// Those that have not named a torrent, the oldest first. Each is told to go by the end of its channel.
#[derive(Debug, Default)]
struct Silent {
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
    born: u64,
}

/// A place among those that have not named a torrent, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Unknown {
    gate: Arc<Gate>,
    number: u64,
    stays: oneshot::Receiver<()>,
}

impl Unknown {
    /// Returns once the place is wanted for another.
    pub async fn evicted(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.stays).await;
    }
}

impl Gate {
    pub fn new(limits: GateLimits) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::new(Semaphore::new(limits.connections)),
            half_open: Arc::new(Semaphore::new(limits.half_open.max(1))),
            unknown: Mutex::default(),
            most_unknown: limits.unknown,
            addresses: Mutex::default(),
            per_address: limits.per_address,
        })
    }

    fn addresses(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for who has dialled us; `None` if there is none.
    pub fn accept(self: &Arc<Self>, ip: IpAddr) -> Option<(Ticket, Unknown)> {
        let place = self.total.clone().try_acquire_owned().ok()?;
        let mut addresses = self.addresses();
        let count = addresses.entry(ip).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        drop(addresses);
        let ticket = Ticket { _place: place, counted: Some((self.clone(), ip)) };
        Some((ticket, self.stay()?))
    }

    /// A place among those that have not named a torrent, taken from the oldest if there is none.
    fn stay(self: &Arc<Self>) -> Option<Unknown> {
        let mut silent = self.silent();
        if silent.queue.len() >= self.most_unknown {
            silent.queue.pop_front()?;
        }
        let (keep, stays) = oneshot::channel();
        let number = silent.born;
        silent.born += 1;
        silent.queue.push_back((number, keep));
        Some(Unknown { gate: self.clone(), number, stays })
    }

    /// A place for whom we dial; `None` if there is none.
    pub fn dial(&self) -> Option<Ticket> {
        let place = self.total.clone().try_acquire_owned().ok()?;
        Some(Ticket { _place: place, counted: None })
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        let mut silent = self.gate.silent();
        if let Ok(at) = silent.queue.binary_search_by_key(&self.number, |(number, _)| *number) {
            silent.queue.remove(at);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some((gate, ip)) = &self.counted else { return };
        let mut addresses = gate.addresses();
        if let Some(count) = addresses.get_mut(ip) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[test]
    fn places_are_bounded_and_come_free() {
        let gate = Gate::new(GateLimits { connections: 5, half_open: 1, unknown: 4, per_address: 2 });
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        let first = gate.accept(ip(1));
        let second = gate.accept(ip(1)).unwrap();
        assert!(first.is_some() && gate.accept(ip(1)).is_none(), "two from one address");
        let third = gate.accept(ip(2)).unwrap();
        let fourth = gate.accept(ip(3)).unwrap();
        let fifth = gate.dial().unwrap();
        drop((second.1, third.1, fourth.1));
        assert!(gate.dial().is_none() && gate.accept(ip(5)).is_none(), "five in all");
        drop(fifth);
        assert!(gate.accept(ip(5)).is_some(), "the dialled count too");
        drop((first, second.0));
        let again = gate.accept(ip(1));
        assert!(again.is_some());
        drop((again, third.0, fourth.0));
        assert!(gate.addresses().is_empty());
        assert!(gate.silent().queue.is_empty());
    }

    #[test]
    fn who_has_been_silent_for_longest_gives_way() {
        let gate = Gate::new(GateLimits { connections: 9, half_open: 1, unknown: 3, per_address: 9 });
        let mut places: Vec<_> = (0..3).map(|n| gate.accept([10, 0, 0, n].into()).unwrap()).collect();
        let stay = |place: &mut (Ticket, Unknown)| place.1.stays.try_recv() == Err(TryRecvError::Empty);
        // The second speaks: there is room for one.
        places.remove(1);
        places.push(gate.accept([10, 0, 0, 3].into()).unwrap());
        assert!(places.iter_mut().all(stay));
        places.push(gate.accept([10, 0, 0, 4].into()).unwrap());
        assert_eq!(places.iter_mut().map(stay).collect::<Vec<_>>(), [false, true, true, true]);
        places.remove(0);
        places.push(gate.accept([10, 0, 0, 5].into()).unwrap());
        assert_eq!(places.iter_mut().map(stay).collect::<Vec<_>>(), [false, true, true, true]);
        let nobody = Gate::new(GateLimits { unknown: 0, ..GateLimits::default() });
        assert!(nobody.accept([10, 0, 0, 1].into()).is_none());
    }
}
