//! Where the trackers of a target are, and what those answer that answer by themselves.

use std::net::SocketAddr;
use std::time::Duration;

use engine::tracker::AnnounceReply;

use crate::conform::case::Tracking;

/// What a tracker says that knows of us alone.
pub fn reply(peers: Vec<SocketAddr>) -> AnnounceReply {
    let others = peers.len() as u32;
    AnnounceReply {
        interval: Duration::from_secs(1800),
        complete: Some(others),
        incomplete: Some(1),
        peers,
        ..AnnounceReply::default()
    }
}

/// The URLs of the torrent file in tiers, given those of as many trackers as [`count`] says.
pub fn tiers(tracking: Tracking, urls: &[String]) -> Vec<Vec<String>> {
    let Tracking::Http(tiers) = tracking else { return vec![urls.to_vec()] };
    let mut rest = urls.iter().cloned();
    tiers.iter().map(|&many| rest.by_ref().take(many.into()).collect()).collect()
}

/// How many trackers there are.
pub fn count(tracking: Tracking) -> usize {
    match tracking {
        Tracking::Tells(_) | Tracking::Udp => 1,
        Tracking::Http(tiers) => tiers.iter().copied().map(usize::from).sum(),
    }
}

/// How many addresses of ours a tracker tells of, at least two for cases that answer for it.
pub fn listeners(tracking: Tracking) -> usize {
    match tracking {
        Tracking::Tells(peers) => peers.into(),
        Tracking::Http(_) | Tracking::Udp => 2,
    }
}
