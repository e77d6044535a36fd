//! The client on this machine alone: files in temporary folders, sockets on loopback.

mod common;
mod flags;
mod hostile;
mod limits;
mod net;
mod pex;
mod storage;
mod torrents;
mod trackers;
mod transfer;
