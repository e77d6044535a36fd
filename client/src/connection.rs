//! One TCP connection: a task that turns its bytes into what they say, and what is to be said into bytes.
//!
//! - Reading stops while the torrent is busy: what was read goes through a bounded channel.
//! - What is to be written waits in a queue: of blocks the engine hands over no more than its watermark, and
//!   it learns by `Sent` when they reach the socket; of all else the torrent sees how much waits
//!   ([`Link::queued`]) and gives up a remote that does not read.
//! - Blocks are neither copied on their way in nor on their way out. An idle connection holds no buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use engine::wire::{Decoded, Decoder, WireError, encode_head};
use engine::{ConnId, Handshake, Message};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::gate::Ticket;
use crate::limit::Limits;
use crate::torrent::Event;

/// The least and the most that is read at a time.
const READ_LEAST: usize = 4 << 10;
const READ_MOST: usize = 256 << 10;
/// The most messages that go to the torrent at a time: small ones are many.
const MESSAGES: usize = 512;
/// The most messages that are written at a time.
const WRITES: usize = 64;
/// The most bytes that the system takes of us ahead of what it has sent: else a remote that does not read looks for
/// megabytes as if it took them.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 << 10;
/// How long a connection that we close may take to send what is left.
const LINGER: Duration = Duration::from_secs(3);

/// A connection's name. The number is used again; the birth tells one holder from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub conn: ConnId,
    pub birth: u64,
}

/// What a connection tells its torrent.
#[derive(Debug)]
pub(crate) enum Wire {
    /// What came, in order.
    Received(Vec<Decoded>),
    /// What came is no message. Nothing follows.
    Malformed(WireError),
    /// Payload has reached the socket.
    Sent(u32),
    /// It is gone; the error, if it did not simply end. Nothing follows.
    Closed(Option<io::Error>),
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Handshake(Handshake),
    Message(Message),
}

/// What both ends see.
#[derive(Debug, Default)]
struct Counters {
    queued: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
}

/// The torrent's end of a connection. Dropped, the connection sends what is queued and ends.
#[derive(Debug)]
pub(crate) struct Link {
    outbox: mpsc::UnboundedSender<Outgoing>,
    counters: Arc<Counters>,
    _open: oneshot::Sender<()>,
}

impl Link {
    /// Queues something to send.
    pub fn send(&self, outgoing: Outgoing) {
        self.counters.queued.fetch_add(weight(&outgoing), Ordering::Relaxed);
        // If the connection has just ended, it says so itself.
        let _ = self.outbox.send(outgoing);
    }

    /// Bytes that wait to be written, blocks not counted.
    pub fn queued(&self) -> usize {
        self.counters.queued.load(Ordering::Relaxed)
    }

    /// Bytes received, all that came.
    pub fn received(&self) -> u64 {
        self.counters.received.load(Ordering::Relaxed)
    }

    /// Bytes sent, all that went.
    pub fn sent(&self) -> u64 {
        self.counters.sent.load(Ordering::Relaxed)
    }
}

/// What counts of it as queued: blocks are bounded by the engine.
fn weight(outgoing: &Outgoing) -> usize {
    match outgoing {
        Outgoing::Message(Message::Piece { .. }) => 0,
        other => length(other),
    }
}

fn length(outgoing: &Outgoing) -> usize {
    match outgoing {
        Outgoing::Handshake(_) => engine::wire::HANDSHAKE_LENGTH,
        Outgoing::Message(message) => message.wire_length() as usize,
    }
}

/// A connection that is up.
pub(crate) struct Connection {
    pub stream: TcpStream,
    /// Holds what was read of it so far.
    pub decoder: Decoder,
    pub ticket: Ticket,
    pub slot: Slot,
    /// To its torrent.
    pub events: mpsc::Sender<Event>,
    pub down: Limits,
    pub up: Limits,
}

impl Connection {
    /// Starts its task.
    pub fn start(self) -> Link {
        let (outbox, queue) = mpsc::unbounded_channel();
        let (open, closed) = oneshot::channel();
        let counters = Arc::new(Counters::default());
        let link = Link { outbox, counters: counters.clone(), _open: open };
        tokio::spawn(self.run(queue, closed, counters));
        link
    }

    async fn run(
        self,
        queue: mpsc::UnboundedReceiver<Outgoing>,
        closed: oneshot::Receiver<()>,
        counters: Arc<Counters>,
    ) {
        let Self { stream, decoder, ticket, slot, events, down, up } = self;
        // Messages go out in batches as it is. That it cannot be set makes it slower and not wrong.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        let (read, write) = stream.into_split();
        let tell = Teller { slot, events };
        let reader = Reader { half: read, decoder, limits: down, tell: tell.clone(), counters: &counters };
        let writer = Writer { half: write, queue, limits: up, tell: tell.clone(), counters: &counters };
        let ending = tokio::select! {
            ending = reader.run() => ending,
            ending = writer.run() => ending,
            () = async { let _ = closed.await; tokio::time::sleep(LINGER).await } => None,
        };
        drop(ticket);
        if let Some(ending) = ending {
            tell.say(ending).await;
        }
    }
}

/// The way to the torrent.
#[derive(Clone)]
struct Teller {
    slot: Slot,
    events: mpsc::Sender<Event>,
}

impl Teller {
    async fn say(&self, wire: Wire) {
        // A torrent that is gone needs to know nothing.
        let _ = self.events.send(Event::Wire(self.slot, wire)).await;
    }
}

struct Reader<'a> {
    half: OwnedReadHalf,
    decoder: Decoder,
    limits: Limits,
    tell: Teller,
    counters: &'a Counters,
}

impl Reader<'_> {
    /// Reads until it ends; how it did.
    async fn run(mut self) -> Option<Wire> {
        let (mut size, mut allowed) = (READ_LEAST, 0);
        loop {
            if let Err(error) = self.hand_out().await {
                return Some(Wire::Malformed(error));
            }
            if self.decoder.buffered() == 0 {
                *self.decoder.buffer() = BytesMut::new();
            }
            if let Err(error) = self.half.readable().await {
                return Some(Wire::Closed(Some(error)));
            }
            // What a turn left over counts only where turns do.
            if allowed == 0 || !self.limits.any() {
                allowed = self.limits.take(size).await;
            }
            let most = allowed.min(size);
            self.decoder.buffer().reserve(most);
            let read = match self.half.try_read_buf(&mut self.decoder.buffer().limit(most)) {
                Ok(0) => return Some(Wire::Closed(None)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Some(Wire::Closed(Some(error))),
            };
            self.counters.received.fetch_add(read as u64, Ordering::Relaxed);
            allowed -= read;
            if read == size {
                size = READ_MOST.min(size * 2);
            } else if read < size / 4 {
                size = READ_LEAST.max(size / 2);
            }
        }
    }

    async fn hand_out(&mut self) -> Result<(), WireError> {
        let mut batch = Vec::new();
        loop {
            let polled = self.decoder.poll();
            let over = !matches!(polled, Ok(Some(_)));
            let error = match polled {
                Ok(decoded) => {
                    batch.extend(decoded);
                    None
                }
                Err(error) => Some(error),
            };
            if batch.len() == MESSAGES || (over && !batch.is_empty()) {
                self.tell.say(Wire::Received(std::mem::take(&mut batch))).await;
            }
            match error {
                Some(error) => return Err(error),
                None if over => return Ok(()),
                None => {}
            }
        }
    }
}

struct Writer<'a> {
    half: OwnedWriteHalf,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    limits: Limits,
    tell: Teller,
    counters: &'a Counters,
}

impl Writer<'_> {
    /// Writes until there is nothing more to come (`None`), or until it cannot.
    async fn run(mut self) -> Option<Wire> {
        let mut batch = Vec::with_capacity(WRITES);
        loop {
            if self.queue.recv_many(&mut batch, WRITES).await == 0 {
                // What cannot be said any more need not be.
                let _ = self.half.shutdown().await;
                return None;
            }
            let taken = batch.iter().map(weight).sum();
            self.counters.queued.fetch_sub(taken, Ordering::Relaxed);
            let chunks = Chunks::of(&mut batch);
            if let Err(error) = self.write(chunks).await {
                return Some(Wire::Closed(Some(error)));
            }
        }
    }

    async fn write(&mut self, mut chunks: Chunks) -> io::Result<()> {
        while chunks.left > 0 {
            let mut allowed = self.limits.take(chunks.left).await;
            while allowed > 0 {
                let written = self.half.write_vectored(&chunks.slices(allowed)).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                allowed -= written;
                self.counters.sent.fetch_add(written as u64, Ordering::Relaxed);
                let payload = chunks.advance(written);
                if payload > 0 {
                    self.tell.say(Wire::Sent(payload)).await;
                }
            }
        }
        Ok(())
    }
}

/// Bytes on their way out.
struct Chunks {
    chunks: VecDeque<Bytes>,
    left: usize,
    gone: usize,
    /// Where blocks end, and the payload of each.
    marks: VecDeque<(usize, u32)>,
}

impl Chunks {
    /// The bytes of a batch, which is emptied.
    fn of(batch: &mut Vec<Outgoing>) -> Self {
        let mut head = Vec::new();
        let mut cuts: Vec<(usize, Bytes)> = Vec::new();
        let (mut left, mut marks) = (0, VecDeque::new());
        for outgoing in batch.drain(..) {
            left += length(&outgoing);
            match outgoing {
                Outgoing::Handshake(handshake) => head.extend_from_slice(&handshake.to_bytes()),
                Outgoing::Message(message) => {
                    if let Some(block) = encode_head(&message, &mut head) {
                        cuts.push((head.len(), block.clone()));
                        marks.push_back((left, block.len() as u32));
                    }
                }
            }
        }
        let mut head = Bytes::from(head);
        let (mut chunks, mut at) = (VecDeque::new(), 0);
        for (cut, block) in cuts {
            chunks.push_back(head.split_to(cut - at));
            chunks.push_back(block);
            at = cut;
        }
        chunks.push_back(head);
        chunks.retain(|chunk| !chunk.is_empty());
        Self { chunks, left, gone: 0, marks }
    }

    /// What to write next, at most `most` bytes.
    fn slices(&self, mut most: usize) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(self.chunks.len().min(2 * WRITES));
        for chunk in &self.chunks {
            if most == 0 {
                break;
            }
            let now = most.min(chunk.len());
            slices.push(IoSlice::new(&chunk[..now]));
            most -= now;
        }
        slices
    }

    /// So many bytes are gone; the payload of the blocks that went with them.
    fn advance(&mut self, mut written: usize) -> u32 {
        self.left -= written;
        self.gone += written;
        while let Some(chunk) = self.chunks.front_mut() {
            let now = written.min(chunk.len());
            chunk.advance(now);
            written -= now;
            if !chunk.is_empty() {
                break;
            }
            self.chunks.pop_front();
        }
        let mut payload = 0;
        while let Some((_, bytes)) = self.marks.pop_front_if(|(end, _)| *end <= self.gone) {
            payload += bytes;
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_messages_in_order_whatever_is_written_at_a_time() {
        let piece = |n: u32, length: usize| Message::Piece {
            piece: n,
            begin: 0,
            data: Bytes::from((0..length).map(|i| i as u8).collect::<Vec<_>>()),
        };
        let messages = || [Message::Unchoke, piece(1, 100), piece(2, 1), Message::Have(3), piece(3, 0)];
        let mut due = Vec::new();
        messages().iter().for_each(|message| engine::wire::encode(message, &mut due));
        for step in [1, 7, 50, 1000] {
            let mut chunks = Chunks::of(&mut messages().into_iter().map(Outgoing::Message).collect());
            let (mut out, mut payload) = (Vec::new(), 0);
            assert_eq!(chunks.left, due.len());
            while chunks.left > 0 {
                let now: Vec<u8> = chunks.slices(step).iter().flat_map(|slice| slice.to_vec()).collect();
                out.extend_from_slice(&now);
                payload += chunks.advance(now.len());
            }
            assert_eq!((out, payload), (due.clone(), 101), "{step}");
        }
    }
}
