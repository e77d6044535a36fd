//! What is to happen to a host, and when. Its order among others is (time, source host, class, connection, number within
//! that connection).

/// What kind of event; its number is its rank among events of one moment and one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// A peer joins.
    Join,
    /// Somebody dials.
    Dial,
    /// A dial is answered.
    Answer,
    /// The last byte of a load reaches the receiver's downlink.
    Arrive,
    /// A load has passed the downlink.
    Deliver,
    /// The uplink has sent what it was given.
    LinkFree,
    /// The transport lets a connection send again.
    FlowReady,
    /// The other end has closed.
    Closed,
    /// A piece is hashed.
    Hashed,
    /// An announce reaches the tracker.
    Announce,
    /// The tracker's reply reaches the peer.
    Reply,
    /// The peer's own deadline.
    Timer,
    /// The peer leaves.
    Leave,
    /// A fault befalls the peer.
    Fault,
    /// A slow disk has read a block.
    Disk,
}

#[cfg(test)]
pub(crate) const CLASSES: [Class; 15] = [
    Class::Join,
    Class::Dial,
    Class::Answer,
    Class::Arrive,
    Class::Deliver,
    Class::LinkFree,
    Class::FlowReady,
    Class::Closed,
    Class::Hashed,
    Class::Announce,
    Class::Reply,
    Class::Timer,
    Class::Leave,
    Class::Fault,
    Class::Disk,
];

impl Class {
    /// That of a number. A match and no table: what asks for the class of an event then goes by the number itself.
    #[inline(always)]
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Join,
            1 => Self::Dial,
            2 => Self::Answer,
            3 => Self::Arrive,
            4 => Self::Deliver,
            5 => Self::LinkFree,
            6 => Self::FlowReady,
            7 => Self::Closed,
            8 => Self::Hashed,
            9 => Self::Announce,
            10 => Self::Reply,
            11 => Self::Timer,
            12 => Self::Leave,
            13 => Self::Fault,
            14 => Self::Disk,
            // No event is made of it.
            _ => {
                debug_assert!(false, "a class without a number");
                Self::Disk
            }
        }
    }
}

/// Something that happens to `dst` at `time`. 32 bytes, plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Nanoseconds of simulated time.
    pub time: u64,
    /// The host that caused it.
    pub src: u32,
    /// Class in the upper 8 bits, the source's connection in the lower 24.
    class_conn: u32,
    /// Number within the source's connection.
    pub number: u32,
    /// The host it happens to.
    pub dst: u32,
    /// The receiver's connection, or whatever the class says.
    pub to: u32,
    /// The word of a [`Load`](crate::load::Load), or whatever the class says.
    pub arg: u32,
}

impl Event {
    /// The most connections of one host: 2²⁴.
    pub const MAX_CONN: u32 = 1 << 24;

    /// No event: what an empty place holds.
    pub const NEVER: Self = Self { time: u64::MAX, src: 0, class_conn: 0, number: 0, dst: 0, to: 0, arg: 0 };

    #[inline(always)]
    pub fn new(time: u64, src: u32, class: Class, conn: u32, number: u32, dst: u32) -> Self {
        debug_assert!(conn < Self::MAX_CONN);
        Self { time, src, class_conn: (class as u32) << 24 | conn, number, dst, to: 0, arg: 0 }
    }

    #[inline(always)]
    pub fn with(self, to: u32, arg: u32) -> Self {
        Self { to, arg, ..self }
    }

    /// Its fields in words, which a call takes in registers.
    #[inline(always)]
    pub fn words(self) -> (u64, u64, u64, u64) {
        let two = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        (self.time, two(self.src, self.class_conn), two(self.number, self.dst), two(self.to, self.arg))
    }

    /// What [`words`](Self::words) made.
    pub fn of_words((time, cause, whom, what): (u64, u64, u64, u64)) -> Self {
        let two = |word: u64| ((word >> 32) as u32, word as u32);
        let ((src, class_conn), (number, dst), (to, arg)) = (two(cause), two(whom), two(what));
        Self { time, src, class_conn, number, dst, to, arg }
    }

    #[inline(always)]
    pub fn class(&self) -> Class {
        Class::of((self.class_conn >> 24) as u8)
    }

    /// The source's connection.
    pub fn conn(&self) -> u32 {
        self.class_conn & (Self::MAX_CONN - 1)
    }

    fn key(&self) -> (u64, u64, u32) {
        (self.time, u64::from(self.src) << 32 | u64::from(self.class_conn), self.number)
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_class_that_it_was_given() {
        for class in CLASSES {
            assert_eq!(Event::new(1, 2, class, Event::MAX_CONN - 1, 3, 4).class(), class);
        }
        assert!(CLASSES.is_sorted());
    }

    #[test]
    fn an_event_is_half_a_cache_line() {
        assert_eq!(std::mem::size_of::<Event>(), 32);
    }

    #[test]
    fn an_event_comes_out_of_its_words_as_it_went_in() {
        let event =
            Event::new(u64::MAX - 1, 7, Class::Disk, Event::MAX_CONN - 1, 9, 1 << 31).with(u32::MAX, 11);
        assert_eq!(Event::of_words(event.words()), event);
    }
}
