//! What remotes have said of themselves in their extended handshakes (BEP 10), in a table of its own that is
//! empty unless a peer serves metadata, exchanges peers or is to remember: a simulated swarm has no use for it.
//!
//! One remote takes a bounded amount: a name of [`MAX_NAME`](crate::wire::extension::MAX_NAME) bytes, and of
//! peers exchanged what `pex.rs` says.

use crate::ids::ConnId;
use crate::wire::ExtendedHandshake;
use crate::wire::extension::{UT_METADATA, UT_PEX};

use super::metadata::Served;
use super::pex::Exchange;

/// One remote.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    /// `v`: its client.
    pub client: Option<Box<str>>,
    /// `p`: the port it listens on.
    pub port: Option<u16>,
    /// The ids under which it takes messages; 0: it does not.
    pub pex_id: u8,
    pub metadata_id: u8,
    /// BEP 21: it wants nothing.
    pub upload_only: bool,
    /// It is interested all the same, which does not count until it wants something.
    pub held_back: bool,
    /// What it has had of the metadata.
    pub served: Served,
    pub exchange: Exchange,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Remotes(Vec<Option<Box<Remote>>>);

impl Remotes {
    pub fn get(&self, id: ConnId) -> Option<&Remote> {
        self.0.get(id.index())?.as_deref()
    }

    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Remote> {
        self.0.get_mut(id.index())?.as_deref_mut()
    }

    /// Takes what an extended handshake says; of a later one, what it says anew. `id` is in use.
    pub fn heard(&mut self, id: ConnId, theirs: &ExtendedHandshake) {
        if self.0.len() <= id.index() {
            self.0.resize_with(id.index() + 1, || None);
        }
        let Some(slot) = self.0.get_mut(id.index()) else { return };
        let remote = slot.get_or_insert_default();
        if let Some(client) = &theirs.client {
            remote.client = Some(client.as_str().into());
        }
        remote.port = theirs.port.or(remote.port);
        remote.upload_only = theirs.upload_only.unwrap_or(remote.upload_only);
        // A 0 takes an id back.
        if let Some(&id) = theirs.messages.get(UT_PEX) {
            remote.pex_id = id;
        }
        if let Some(&id) = theirs.messages.get(UT_METADATA) {
            remote.metadata_id = id;
        }
    }

    pub fn forget(&mut self, id: ConnId) {
        if let Some(slot) = self.0.get_mut(id.index()) {
            *slot = None;
        }
        while matches!(self.0.last(), Some(None)) {
            self.0.pop();
        }
    }

    /// Bytes.
    pub fn footprint(&self) -> u64 {
        let remote = |remote: &Remote| {
            let client = remote.client.as_ref().map_or(0, |client| client.len()) as u64;
            size_of::<Remote>() as u64 + client + remote.exchange.footprint()
        };
        super::of(&self.0) + self.0.iter().flatten().map(|of| remote(of)).sum::<u64>()
    }

    pub fn upload_only(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(|remote| remote.upload_only)
    }
}
