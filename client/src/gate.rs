//! Who may have a connection, decided before memory is spent on it: so many in all, so many from one address,
//! so many that have not said yet what they want, so many being dialled.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// The most connections in all.
    pub connections: usize,
    /// The most connections being dialled.
    pub half_open: usize,
    /// The most accepted connections that have not named a torrent yet.
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
    unknown: Arc<Semaphore>,
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

/// A place among those that have not named a torrent.
pub(crate) type Unknown = OwnedSemaphorePermit;

impl Gate {
    pub fn new(limits: GateLimits) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::new(Semaphore::new(limits.connections)),
            half_open: Arc::new(Semaphore::new(limits.half_open.max(1))),
            unknown: Arc::new(Semaphore::new(limits.unknown)),
            addresses: Mutex::default(),
            per_address: limits.per_address,
        })
    }

    fn addresses(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for who has dialled us; `None` if there is none.
    pub fn accept(self: &Arc<Self>, ip: IpAddr) -> Option<(Ticket, Unknown)> {
        let place = self.total.clone().try_acquire_owned().ok()?;
        let unknown = self.unknown.clone().try_acquire_owned().ok()?;
        let mut addresses = self.addresses();
        let count = addresses.entry(ip).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some((Ticket { _place: place, counted: Some((self.clone(), ip)) }, unknown))
    }

    /// A place for whom we dial; `None` if there is none.
    pub fn dial(&self) -> Option<Ticket> {
        let place = self.total.clone().try_acquire_owned().ok()?;
        Some(Ticket { _place: place, counted: None })
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
        assert!(gate.accept(ip(4)).is_none(), "four that have not spoken");
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
    }
}
