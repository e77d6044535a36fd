//! What a scenario does not say. `docs/scenario.md` lists the same values; a test compares them.

use std::time::Duration;

pub(super) const SEED: u64 = 1;
pub(super) const REPLICATES: u32 = 4;
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(4 * 3600);
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(1);
pub(super) const PIECE: u64 = 256 << 10;
pub(super) const LATENCY: Duration = Duration::from_millis(50);
pub(super) const TRACKER_LATENCY: Duration = Duration::from_millis(50);
/// What Linux's receive window grows to by default lies between 128 KiB and 6 MiB.
pub(super) const WINDOW: u32 = 1 << 20;
/// Ethernet's 1500 bytes without the headers of IPv4 and TCP.
pub(super) const MSS: u32 = 1460;
/// SHA-1 alone makes 2 GB/s; a disk is read on the way.
pub(super) const HASH_RATE: u64 = 500_000_000;
/// BEP 3 leaves it open; trackers say half an hour.
pub(super) const INTERVAL: Duration = Duration::from_secs(1800);
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// What clients ask for by default.
pub(super) const MAX_PEERS: u32 = 50;
pub(super) const CHOKER: &str = "tit-for-tat";
pub(super) const SEED_CHOKER: &str = "mainline-seed";
pub(super) const PICKER: &str = "rarest-first";
/// Three for tit for tat and an optimistic one, as in the mainline client.
pub(super) const SLOTS: u32 = 4;
pub(super) const CONNECTIONS: u32 = 40;
