//! The table of a peer's connections, by the driver's ids, which it keeps small.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::net::IpAddr;

use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::PeerId;

use super::config::PeerConfig;
use super::connection::{Allowed, Connection, NONE, Pools, Ramp, Stage, Traffic};
use super::footprint::{grow, of, of_tree};

/// See the module. Laid out by how often a part is touched.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Connections {
    slots: Vec<Connection>,
    traffic: Vec<Traffic>,
    pools: Pools,
    /// The first place of `traffic` that is free, which names the next; and how many there are.
    free_traffic: u32,
    free_places: u32,
    /// Who each is with; zeros before its handshake.
    peer_ids: Vec<PeerId>,
    /// Only of connections that have any.
    allowed: BTreeMap<ConnId, Allowed>,
    live: u32,
}

/// A connection on which blocks move.
pub(crate) struct Busy<'a> {
    pub conn: &'a mut Connection,
    pub traffic: &'a mut Traffic,
    pub pools: &'a mut Pools,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            traffic: Vec::new(),
            pools: Pools::default(),
            free_traffic: NONE,
            free_places: 0,
            peer_ids: Vec::new(),
            allowed: BTreeMap::new(),
            live: 0,
        }
    }
}

/// Requests that there is room for from the start, for each connection on which blocks move.
const REQUESTS: usize = 3;
/// Blocks asked of us that there is room for from the start: two for each, but no more than five by each of four.
const UPLOADS: usize = 2;
const MOST_UPLOADS: usize = 20;

impl Connections {
    /// The bytes, from the first on, that HAVEs and blocks touch.
    pub const OF_BLOCKS: usize = offset_of!(Self, free_traffic);

    /// Beyond this the driver does not keep its promise of small ids.
    const MAX: usize = 1 << 20;

    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&Connection> {
        self.slots.get(id.index()).filter(|conn| conn.stage != Stage::Free)
    }

    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slots.get_mut(id.index()).filter(|conn| conn.stage != Stage::Free)
    }

    /// A connection with its traffic, if it has any.
    #[inline]
    pub fn busy(&mut self, id: ConnId) -> Option<Busy<'_>> {
        let conn = self.slots.get_mut(id.index()).filter(|conn| conn.stage != Stage::Free)?;
        let traffic = self.traffic.get_mut(conn.traffic as usize)?;
        Some(Busy { conn, traffic, pools: &mut self.pools })
    }

    /// A connection with its traffic, which begins if there is none.
    #[inline]
    pub fn active(&mut self, id: ConnId, config: &PeerConfig, now: Instant) -> Option<Busy<'_>> {
        let conn = self.slots.get(id.index()).filter(|conn| conn.stage != Stage::Free)?;
        if conn.traffic == NONE {
            self.begin_traffic(id, config, now);
        }
        self.busy(id)
    }

    /// Traffic of a connection that has none.
    #[inline(never)]
    fn begin_traffic(&mut self, id: ConnId, config: &PeerConfig, now: Instant) {
        let conn = &mut self.slots[id.index()];
        conn.ramp = Ramp::begin(config, now);
        conn.traffic = match self.traffic.get_mut(self.free_traffic as usize) {
            Some(place) => {
                let next = std::mem::replace(place, Traffic::new(now)).next_free();
                self.free_places -= 1;
                std::mem::replace(&mut self.free_traffic, next)
            }
            None => {
                if self.traffic.len() == self.traffic.capacity() {
                    Self::make_room(&mut self.traffic, &mut self.pools);
                }
                self.traffic.push(Traffic::new(now));
                self.traffic.len() as u32 - 1
            }
        };
    }

    /// Asks for the memory of a connection.
    #[inline]
    pub fn prefetch(&self, id: ConnId) {
        prefetch::known(&self.slots, id.index());
    }

    /// Asks for the half of a connection's memory that a HAVE needs.
    #[inline]
    pub fn prefetch_first_line(&self, id: ConnId) {
        if let Some(conn) = self.slots.get(id.index()) {
            prefetch::part(conn, 0..size_of::<Connection>() / 2);
        }
    }

    /// Asks for the memory of a connection's traffic.
    #[inline]
    pub fn prefetch_traffic(&self, id: ConnId) {
        if let Some(conn) = self.slots.get(id.index()) {
            prefetch::element(&self.traffic, conn.traffic as usize);
        }
    }

    /// Asks for the memory of what is requested over a connection.
    #[inline]
    pub fn prefetch_requests(&self, id: ConnId) {
        if let Some(traffic) = self.traffic_at(id) {
            self.pools.requests.prefetch(traffic.requests);
        }
    }

    /// Asks for the memory of what the remote requests.
    #[inline]
    pub fn prefetch_uploads(&self, id: ConnId) {
        if let Some(traffic) = self.traffic_at(id) {
            self.pools.blocks.prefetch(traffic.uploads);
        }
    }

    /// Asks for the memory of the first that is requested over a connection.
    #[inline]
    pub fn prefetch_first_request(&self, id: ConnId) {
        if let Some(traffic) = self.traffic_at(id) {
            self.pools.requests.prefetch_first(traffic.requests);
        }
    }

    /// Asks for the memory of the first that the remote requests.
    #[inline]
    pub fn prefetch_first_upload(&self, id: ConnId) {
        if let Some(traffic) = self.traffic_at(id) {
            self.pools.blocks.prefetch_first(traffic.uploads);
        }
    }

    /// Asks for the memory of what moves on all connections.
    pub fn prefetch_all_traffic(&self) {
        self.slots.iter().for_each(|conn| prefetch::element(&self.traffic, conn.traffic as usize));
    }

    fn traffic_at(&self, id: ConnId) -> Option<&Traffic> {
        self.traffic.get(self.slots.get(id.index())?.traffic as usize)
    }

    /// What may be had over a connection while choked, if there is anything.
    pub fn allowed(&self, id: ConnId) -> Option<&Allowed> {
        self.allowed.get(&id)
    }

    /// The same, to add to it; none for a connection that is not there.
    pub fn allowed_mut(&mut self, id: ConnId) -> Option<&mut Allowed> {
        self.get(id)?;
        Some(self.allowed.entry(id).or_default())
    }

    /// The traffic of a connection that was just looked up.
    pub fn traffic_of(&self, conn: &Connection) -> Option<&Traffic> {
        self.traffic.get(conn.traffic as usize)
    }

    /// The requests that have gone out on a connection, oldest first.
    #[cfg(test)]
    pub fn requests(&self, traffic: &Traffic) -> impl Iterator<Item = &super::connection::Pending> {
        self.pools.requests.iter(traffic.requests)
    }

    /// Room for more connections on which blocks move, and for what is requested over them.
    #[cold]
    #[inline(never)]
    fn make_room(traffic: &mut Vec<Traffic>, pools: &mut Pools) {
        grow(traffic);
        pools.requests.expect(REQUESTS * traffic.capacity());
        pools.blocks.expect((UPLOADS * traffic.capacity()).min(MOST_UPLOADS));
    }

    /// A place in `traffic` is free, and what was there is cleared.
    fn free_traffic(&mut self, at: u32) {
        if let Some(place) = self.traffic.get_mut(at as usize) {
            place.set_free(self.free_traffic);
            self.free_traffic = at;
            self.free_places += 1;
        }
    }

    /// Lets go of the traffic if it is over.
    pub fn settle(&mut self, id: ConnId, config: &PeerConfig, now: Instant) {
        let Some(Busy { conn, traffic, .. }) = self.busy(id) else { return };
        if conn.am_choking && conn.peer_choking && traffic.is_over(config, now) {
            let at = std::mem::replace(&mut conn.traffic, NONE);
            conn.ramp = None;
            self.free_traffic(at);
        }
    }

    /// Gives memory back: to be called where the work is over, since what is given back may be asked for again.
    pub fn trim(&mut self) {
        if self.slots.capacity() > 2 * self.slots.len() + 8 {
            self.slots.shrink_to_fit();
            self.peer_ids.shrink_to_fit();
        }
        if self.free_places as usize == self.traffic.len() {
            (self.traffic, self.free_traffic, self.free_places) = (Vec::new(), NONE, 0);
        }
        self.pools.requests.trim();
        self.pools.blocks.trim();
    }

    /// Bytes of what is kept of connections, and of what moves on them.
    pub fn footprint(&self) -> (u64, u64) {
        let own: u64 = self.slots.iter().map(Connection::footprint).sum();
        let allowed: u64 = self.allowed.values().map(Allowed::footprint).sum();
        let traffic = of(&self.traffic);
        let requests = self.pools.requests.footprint() + self.pools.blocks.footprint();
        let tables = of(&self.slots) + of(&self.peer_ids) + of_tree::<(ConnId, Allowed)>(self.allowed.len());
        (tables + own + allowed, traffic + requests)
    }

    /// One more than the largest id in use.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn live(&self) -> u32 {
        self.live
    }

    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &Connection)> {
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, conn)| conn.stage != Stage::Free).map(|(i, conn)| (ConnId(i as u32), conn))
    }

    /// Who a connection is with; nobody before its handshake.
    pub fn peer_id(&self, id: ConnId) -> Option<PeerId> {
        self.get(id)?;
        self.peer_ids.get(id.index()).copied()
    }

    /// The remote's handshake says who it is.
    pub fn name(&mut self, id: ConnId, peer_id: PeerId) {
        if let Some(place) = self.peer_ids.get_mut(id.index()) {
            *place = peer_id;
        }
    }

    /// The connection, handshake done, of the peer of this id at this address.
    pub fn of_peer(&self, peer_id: PeerId, ip: IpAddr) -> Option<ConnId> {
        // The ids lie closer together than the connections.
        let ids = self.peer_ids.iter().zip(0..).filter(|(id, _)| **id == peer_id);
        let is_there =
            |id: &ConnId| self.get(*id).is_some_and(|conn| conn.is_ready() && conn.addr.ip() == ip);
        ids.map(|(_, at)| ConnId(at)).find(is_there)
    }

    /// False if the id is in use, or too large.
    pub fn insert(&mut self, id: ConnId, conn: Connection) -> bool {
        let at = id.index();
        if at >= Self::MAX || self.get(id).is_some() {
            return false;
        }
        while self.slots.len() <= at {
            grow(&mut self.slots);
            grow(&mut self.peer_ids);
            self.peer_ids.push(PeerId([0; 20]));
            self.slots.push(Connection::free());
        }
        self.slots[at] = conn;
        self.peer_ids[at] = PeerId([0; 20]);
        self.live += 1;
        true
    }

    pub fn remove(&mut self, id: ConnId) -> Option<Connection> {
        let slot = self.slots.get_mut(id.index()).filter(|conn| conn.stage != Stage::Free)?;
        let conn = std::mem::replace(slot, Connection::free());
        if let Some(traffic) = self.traffic.get_mut(conn.traffic as usize) {
            traffic.clear(&mut self.pools);
            self.free_traffic(conn.traffic);
        }
        self.live -= 1;
        self.allowed.remove(&id);
        while self.slots.last().is_some_and(|conn| conn.stage == Stage::Free) {
            self.slots.pop();
            self.peer_ids.pop();
        }
        Some(conn)
    }
}
