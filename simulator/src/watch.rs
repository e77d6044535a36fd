//! Who looks on while a run goes: at what crosses the seam of one peer, or of all. Nothing that an onlooker does
//! changes the run.

use engine::peer::{Footprint, Input, Output, Seam};
use engine::{Bitfield, Instant, Peer};

/// Is told what crosses the seam of every peer. Peers are named by their place in [`crate::members`].
pub trait Onlooker: Send {
    /// A peer is made, with these pieces: when it joins, and when it is back after a restart.
    fn began(&mut self, peer: usize, now: Instant, have: &Bitfield) {
        let _ = (peer, now, have);
    }

    /// It is told something, or says something.
    fn seam(&mut self, peer: usize, now: Instant, seam: Seam<'_>);

    /// What it holds of memory, whenever its own clock has rung.
    fn holds(&mut self, peer: usize, now: Instant, footprint: Footprint) {
        let _ = (peer, now, footprint);
    }

    /// It is gone: it has left, or will be back after a restart.
    fn ended(&mut self, peer: usize, now: Instant) {
        let _ = (peer, now);
    }
}

/// An observer of one peer is an onlooker of all to whom the others are not shown.
pub(crate) struct Single(pub Box<dyn FnMut(Instant, Seam<'_>) + Send>);

impl Onlooker for Single {
    fn seam(&mut self, _: usize, now: Instant, seam: Seam<'_>) {
        (self.0)(now, seam);
    }
}

/// An onlooker, and which hosts it is shown.
pub(crate) struct Tap {
    /// The place of each host among the members; `None`: not shown.
    places: Vec<Option<usize>>,
    onlooker: Box<dyn Onlooker>,
    /// The last input was a timeout.
    rang: bool,
}

impl Tap {
    pub fn new(places: Vec<Option<usize>>, onlooker: Box<dyn Onlooker>) -> Self {
        Self { places, onlooker, rang: false }
    }

    fn place(&self, host: u32) -> Option<usize> {
        self.places.get(host as usize).copied().flatten()
    }

    #[cold]
    pub fn input(&mut self, host: u32, now: u64, input: &Input) {
        self.rang = matches!(input, Input::Timeout);
        if let Some(peer) = self.place(host) {
            self.onlooker.seam(peer, Instant::from_nanos(now), Seam::Input(input));
        }
    }

    #[cold]
    pub fn output(&mut self, host: u32, now: u64, output: &Output) {
        if let Some(peer) = self.place(host) {
            self.onlooker.seam(peer, Instant::from_nanos(now), Seam::Output(output));
        }
    }

    /// A peer has said all that it had to say.
    #[cold]
    pub fn settled(&mut self, host: u32, now: u64, of: &Peer) {
        if let Some(peer) = self.place(host).filter(|_| self.rang) {
            self.onlooker.holds(peer, Instant::from_nanos(now), of.footprint());
        }
    }

    pub fn began(&mut self, host: u32, now: u64, have: &Bitfield) {
        if let Some(peer) = self.place(host) {
            self.onlooker.began(peer, Instant::from_nanos(now), have);
        }
    }

    pub fn ended(&mut self, host: u32, now: u64) {
        if let Some(peer) = self.place(host) {
            self.onlooker.ended(peer, Instant::from_nanos(now));
        }
    }
}
