//! What TCP would allow one direction of a connection, computed from the sender's own history: no
//! acknowledgement is simulated.
//!
//! Time is cut into rounds of one round-trip time. In a round a sender may send one congestion window; the
//! window starts at ten segments (RFC 6928), doubles after a round that used at least half of it (slow
//! start, RFC 5681), never exceeds the receive window nor what the loss rate leaves (Mathis, Semke, Mahdavi,
//! Ott 1997: 1.22 · MSS / √p a round trip), and starts again at ten segments after an idle time-out
//! (RFC 5681, section 4.1).

use crate::spec::Transport;

/// RFC 6928.
const INITIAL_SEGMENTS: u32 = 10;
/// The least retransmission time-out that stacks use in practice (Linux: 200 ms); RFC 6298 says 1 s.
const MIN_TIMEOUT: u64 = 200_000_000;

/// The cap, worked out once for a run.
#[derive(Clone, Copy, Debug)]
pub struct Cap {
    initial: u32,
    max: u32,
}

impl Cap {
    /// The cap of a transport; `None` for an ideal one.
    pub fn of(transport: Transport) -> Option<Self> {
        match transport {
            Transport::Ideal => None,
            Transport::Tcp { window, mss, loss } => {
                let by_loss = if loss > 0.0 { 1.22 * f64::from(mss) / loss.sqrt() } else { f64::INFINITY };
                let max = f64::from(window).min(by_loss).max(f64::from(mss)) as u32;
                Some(Self { initial: (INITIAL_SEGMENTS * mss).min(max), max })
            }
        }
    }
}

/// The state of one direction of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    window: u32,
    sent: u32,
    round_start: u64,
    last_sent: u64,
}

/// When bytes leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The moment at which the last of them is out.
    pub last: u64,
    /// When the connection may send again.
    pub ready_at: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self::NEW
    }
}

impl Flow {
    /// A connection on which nothing was sent.
    pub const NEW: Self = Self { window: 0, sent: 0, round_start: 0, last_sent: 0 };

    /// Bytes go into the link from `start` to `finish`; the last of them is out later than `finish` if the window does
    /// not hold them. `rtt` is the round-trip time in nanoseconds.
    pub fn depart(&mut self, cap: &Cap, rtt: u64, start: u64, finish: u64, size: u32) -> Departure {
        let rtt = rtt.max(1);
        if self.window == 0 || start > self.last_sent + rtt.saturating_mul(2).max(MIN_TIMEOUT) {
            self.window = cap.initial;
            self.sent = 0;
            self.round_start = start;
        } else if start >= self.round_start + rtt {
            self.next_window(cap);
            self.sent = 0;
            self.round_start = start;
        }
        let mut depart = finish;
        let room = self.window - self.sent;
        if size <= room {
            self.sent += size;
        } else {
            // The rest goes in later rounds.
            let mut rest = size - room;
            let mut rounds = 1;
            self.sent = self.window;
            self.next_window(cap);
            while rest > self.window {
                rest -= self.window;
                rounds += 1;
                self.sent = self.window;
                self.next_window(cap);
            }
            self.sent = rest;
            self.round_start += rounds * rtt;
            let tail = (finish - start) * u64::from(rest) / u64::from(size.max(1));
            depart = finish.max(self.round_start + tail);
        }
        self.last_sent = depart;
        let ready_at =
            if self.sent >= self.window { self.round_start + rtt } else { self.round_start.max(start) };
        Departure { last: depart, ready_at }
    }

    /// The window of the next round: double if at least half of this one was used.
    fn next_window(&mut self, cap: &Cap) {
        if u64::from(self.sent) * 2 >= u64::from(self.window) {
            self.window = self.window.saturating_mul(2).min(cap.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 ms.
    const RTT: u64 = 100_000_000;

    /// Sends chunks back to back on an infinitely fast link; the moment the last byte is out.
    fn send(cap: &Cap, chunk: u32, chunks: u32) -> f64 {
        let mut flow = Flow::default();
        let mut out = Departure { last: 0, ready_at: 0 };
        for _ in 0..chunks {
            let start = out.ready_at;
            out = flow.depart(cap, RTT, start, start, chunk);
        }
        out.last as f64 / 1e9
    }

    #[test]
    fn slow_start_doubles_each_round_trip() {
        // 10 (2^k - 1) segments are out by the start of round k: 630 segments take until round 6 begins,
        // that is 5 round trips after the first.
        let cap = Cap::of(Transport::Tcp { window: u32::MAX, mss: 1460, loss: 0.0 }).unwrap();
        let time = send(&cap, 1460, 630);
        assert!((time - 0.5).abs() < 0.025, "{time}");
    }

    #[test]
    fn the_window_caps_the_rate() {
        // 64 KiB in each round trip of 100 ms: 655,360 bytes a second.
        let cap = Cap::of(Transport::Tcp { window: 65_536, mss: 1460, loss: 0.0 }).unwrap();
        let bytes = 16_384 * 2000;
        let rate = f64::from(bytes) / send(&cap, 16_384, 2000);
        assert!((rate / 655_360.0 - 1.0).abs() < 0.05, "{rate}");
    }

    #[test]
    fn loss_caps_the_rate_as_mathis_says() {
        let cap = Cap::of(Transport::Tcp { window: u32::MAX, mss: 1460, loss: 0.01 }).unwrap();
        let expected = 1.22 * 1460.0 / (0.1 * 0.01f64.sqrt());
        let rate = 16_384.0 * 1000.0 / send(&cap, 16_384, 1000);
        assert!((rate / expected - 1.0).abs() < 0.05, "{rate} for {expected}");
    }

    #[test]
    fn idle_starts_again_at_ten_segments() {
        let cap = Cap::of(Transport::Tcp { window: 1 << 20, mss: 1460, loss: 0.0 }).unwrap();
        let mut flow = Flow::default();
        let mut start = 0;
        for _ in 0..100 {
            start = flow.depart(&cap, RTT, start, start, 16_384).ready_at;
        }
        let later = start + 10_000_000_000;
        let first = flow.depart(&cap, RTT, later, later, 14_600);
        assert_eq!(first.last, later);
        assert_eq!(first.ready_at, later + 100_000_000, "ten segments fill the first window again");
    }
}
