//! Bugs on purpose, to prove that checkers find such: only with the feature `planted`, and then none is at work until
//! a thread chooses one with [`plant`]. No other build has a trace of them.

use std::cell::Cell;

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A piece counts whatever its hash says.
    HashCheckSkipped,
    /// A request is served though its sender is choked.
    ServedWhileChoked,
    /// A remote takes a request back and is served all the same.
    CancelIgnored,
    /// In endgame, who else was asked for a block that has come is not told.
    CancelNotSent,
    /// The torrent's last block is asked for a byte short.
    LastBlockShort,
    /// A banned address may connect again.
    BanForgotten,
    /// One of several who sent a bad piece is banned, whoever it was.
    InnocentBanned,
    /// One connection never hears of new pieces.
    HaveNotTold,
    /// A piece is announced before its hash is known.
    HaveTooEarly,
    /// One remote more than there are slots is unchoked.
    SlotTooMany,
    /// A remote is handed all it asks for at once.
    WatermarkIgnored,
    /// A remote is asked for thousands of blocks at once.
    PipelineUnbounded,
    /// A piece that fails its hash takes a good one with it.
    PieceLost,
    /// What was sent is counted twice.
    BytesCountedTwice,
    /// A second connection to one peer is kept.
    DuplicateKept,
    /// The tracker is not told who leaves.
    StoppedNotTold,
    /// A choke does not refuse what was queued (BEP 6).
    RejectNotSent,
    /// Interest is never withdrawn.
    InterestKept,
    /// An unchoke is not heard.
    UnchokeIgnored,
    /// A tracker that failed once is never asked again.
    TrackerGivenUp,
    /// Who once had nothing to be asked for is never asked again.
    DryForEver,
    /// A slot is left to nobody.
    SlotTooFew,
    /// The place of a request that is done with is never used again, nor that of what an uplink had queued.
    RequestKept,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 23] = [
        Self::HashCheckSkipped,
        Self::ServedWhileChoked,
        Self::CancelIgnored,
        Self::CancelNotSent,
        Self::LastBlockShort,
        Self::BanForgotten,
        Self::InnocentBanned,
        Self::HaveNotTold,
        Self::HaveTooEarly,
        Self::SlotTooMany,
        Self::WatermarkIgnored,
        Self::PipelineUnbounded,
        Self::PieceLost,
        Self::BytesCountedTwice,
        Self::DuplicateKept,
        Self::StoppedNotTold,
        Self::RejectNotSent,
        Self::InterestKept,
        Self::UnchokeIgnored,
        Self::TrackerGivenUp,
        Self::DryForEver,
        Self::SlotTooFew,
        Self::RequestKept,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in every engine that this thread drives, in place of the last; `None` weeds.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is at work on this thread.
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
