//! The client on this machine alone: files in temporary folders, sockets on loopback.

mod common;
mod net;
mod storage;
mod trackers;
mod transfer;
