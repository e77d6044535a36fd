//! A remote's end of a dialogue, whichever arm holds it: what it has said and heard, and what waits to be served.

use engine::wire::{Decoded, Decoder, ExtendedHandshake, Limits, Message, WireError, extension};

use super::dialogue::{Await, METADATA_HERE, Serve};
use super::serve::answer;
use super::subject::Subject;

/// The most messages of the peer that are kept to be waited for.
const MOST_HEARD: usize = 10_000;

/// See the module.
pub(super) struct Remote {
    /// It has dialled before.
    pub came: bool,
    /// It has sent a handshake.
    pub greeted: bool,
    /// It speaks BEP 6.
    fast: bool,
    /// Reads what it sends.
    own: Decoder,
    /// Reads what the peer sends it.
    ears: Decoder,
    /// What the peer has said and nobody has waited for; `None` is its handshake.
    heard: Vec<Option<Message>>,
    /// Requests that have not been served.
    asked: Vec<Message>,
    /// The id under which the peer takes `ut_metadata`.
    metadata: u8,
}

impl Remote {
    /// One that has never dialled.
    pub fn new() -> Self {
        Self {
            came: false,
            greeted: false,
            fast: false,
            own: Decoder::new(Limits::default()),
            ears: Decoder::new(Limits::default()),
            heard: Vec::new(),
            asked: Vec::new(),
            metadata: 0,
        }
    }

    /// It dials: nothing has been said yet.
    pub fn dials(&mut self) {
        *self = Self { came: true, ..Self::new() };
    }

    /// Its connection is gone. What was heard is still known.
    pub fn hung_up(&mut self) {
        (self.own, self.ears) = (Decoder::new(Limits::default()), Decoder::new(Limits::default()));
        self.asked.clear();
    }

    /// It sends bytes; [`Remote::says`] has what they say.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.own.feed(bytes);
    }

    /// Bytes of its own that are not a whole message yet.
    pub fn unfinished(&self) -> u64 {
        self.own.buffered() as u64
    }

    /// The next that it has said, whole.
    pub fn says(&mut self) -> Result<Option<Decoded>, WireError> {
        let said = self.own.poll()?;
        match &said {
            Some(Decoded::Handshake(handshake)) => (self.greeted, self.fast) = (true, handshake.fast()),
            // Without BEP 6 a choke forgets what was asked for.
            Some(Decoded::Message(Message::Choke)) if !self.fast => {
                self.asked.retain(|asked| !matches!(asked, Message::Request(_)));
            }
            _ => {}
        }
        Ok(said)
    }

    /// Bytes come from the peer; [`Remote::hears`] has what they say.
    pub fn gets(&mut self, bytes: &[u8]) {
        self.ears.feed(bytes);
    }

    /// The next that the peer has said to it, whole.
    pub fn hears(&mut self) -> Result<Option<Decoded>, WireError> {
        let heard = self.ears.poll()?;
        let message = match &heard {
            None => return Ok(None),
            Some(Decoded::Handshake(_)) => None,
            Some(Decoded::Message(message)) => Some(message.clone()),
        };
        match &message {
            Some(Message::Extended { id: 0, payload }) => {
                let theirs = ExtendedHandshake::from_bytes(payload);
                let id = theirs.ok().and_then(|theirs| theirs.id(extension::UT_METADATA));
                self.metadata = id.unwrap_or(self.metadata);
            }
            Some(asked @ (Message::Request(_) | Message::Extended { id: METADATA_HERE, .. }))
                if self.asked.len() < MOST_HEARD =>
            {
                self.asked.push(asked.clone());
            }
            _ => {}
        }
        if self.heard.len() < MOST_HEARD {
            self.heard.push(message);
        }
        Ok(heard)
    }

    /// Whether the peer has said this once more than was waited for; it is waited for no longer.
    pub fn awaited(&mut self, what: Await) -> bool {
        let found = self.heard.iter().position(|heard| match heard {
            None => what == Await::Handshake,
            Some(message) => what.is(message),
        });
        found.is_some_and(|at| {
            self.heard.remove(at);
            true
        })
    }

    /// Whether something waits to be served.
    pub fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The answer to what waits longest.
    pub fn serve(&mut self, how: Serve, subject: &Subject) -> Option<Vec<u8>> {
        if self.asked.is_empty() {
            return None;
        }
        Some(answer(&self.asked.remove(0), how, self.metadata, subject))
    }
}
