//! What a torrent is asked to be: libtorrent's flags, by their names and with their meanings. Each is obeyed,
//! or refused with the reason; none is ignored.

use bitflags::bitflags;

bitflags! {
    /// See the module. The default is [`TorrentFlags::DEFAULT`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct TorrentFlags: u32 {
        /// All files are taken to be there and whole. A piece is hashed when it is first asked for; if one is
        /// wrong, the flag is taken back and all of them are checked.
        const SEED_MODE = 1 << 0;
        /// Nothing is downloaded.
        const UPLOAD_MODE = 1 << 1;
        /// Download only what helps the ratio. Refused.
        const SHARE_MODE = 1 << 2;
        /// The session's [`IpFilter`](crate::session::IpFilter) holds for this torrent.
        const APPLY_IP_FILTER = 1 << 3;
        /// It begins paused.
        const PAUSED = 1 << 4;
        /// The session's queue decides when it runs. Refused: there is no queue.
        const AUTO_MANAGED = 1 << 5;
        /// To add a torrent that is there already is an error; without it, that one's handle is returned.
        const DUPLICATE_IS_ERROR = 1 << 6;
        /// Its status is among those that [`Session::post_torrent_updates`](crate::Session::post_torrent_updates)
        /// tells.
        const UPDATE_SUBSCRIBE = 1 << 7;
        /// Hide from each peer what others are to get from it (BEP 16). Refused.
        const SUPER_SEEDING = 1 << 8;
        /// Pieces are downloaded in order.
        const SEQUENTIAL_DOWNLOAD = 1 << 9;
        /// It pauses by itself once its files are checked, before it takes part.
        const STOP_WHEN_READY = 1 << 10;
        /// The trackers given replace those of the metainfo; without it, they are added.
        const OVERRIDE_TRACKERS = 1 << 11;
        /// The web seeds given replace those of the metainfo. Refused: there are no web seeds.
        const OVERRIDE_WEB_SEEDS = 1 << 12;
        /// Its resume data is to be saved even if nothing changes.
        const NEED_SAVE_RESUME = 1 << 13;
        /// It is not announced in the DHT. Obeyed: nothing is.
        const DISABLE_DHT = 1 << 14;
        /// It is not announced on the local network. Obeyed: nothing is.
        const DISABLE_LSD = 1 << 15;
        /// Addresses of peers are not exchanged with peers (BEP 11).
        const DISABLE_PEX = 1 << 16;
        /// Resume data is believed without a look at the files.
        const NO_VERIFY_FILES = 1 << 17;
        /// Nothing is downloaded until it is asked for
        /// ([`TorrentHandle::set_download`](crate::TorrentHandle::set_download)).
        const DEFAULT_DONT_DOWNLOAD = 1 << 18;
        /// A torrent of the I2P network. Refused.
        const I2P_TORRENT = 1 << 19;
    }
}

impl TorrentFlags {
    /// What is usual.
    pub const DEFAULT: Self =
        Self::APPLY_IP_FILTER.union(Self::UPDATE_SUBSCRIBE).union(Self::NEED_SAVE_RESUME);
}

impl Default for TorrentFlags {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A flag that cannot be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flag {} is not supported: {reason}", name(*flag))]
pub struct RefusedFlag {
    /// Which.
    pub flag: TorrentFlags,
    /// Why not.
    pub reason: &'static str,
}

fn name(flag: TorrentFlags) -> String {
    flag.iter_names().map(|(name, _)| name.to_lowercase()).collect::<Vec<_>>().join(" | ")
}

/// The flags that are refused, and why.
pub const REFUSED: [(TorrentFlags, &str); 5] = [
    (TorrentFlags::SHARE_MODE, "what would raise the ratio is not estimated"),
    (TorrentFlags::AUTO_MANAGED, "there is no queue that would start and pause torrents"),
    (TorrentFlags::SUPER_SEEDING, "BEP 16 is not spoken"),
    (TorrentFlags::OVERRIDE_WEB_SEEDS, "web seeds are not used"),
    (TorrentFlags::I2P_TORRENT, "I2P is not spoken"),
];

/// Whether all of `flags` can be obeyed.
pub(crate) fn check(flags: TorrentFlags) -> Result<(), RefusedFlag> {
    match REFUSED.iter().find(|(flag, _)| flags.contains(*flag)) {
        Some(&(flag, reason)) => Err(RefusedFlag { flag, reason }),
        None => Ok(()),
    }
}
