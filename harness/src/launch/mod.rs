//! Starting clients.
