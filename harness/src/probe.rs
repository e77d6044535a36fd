//! Whether there is somebody to be tested: looked at once, before anything is tested.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use engine::wire::{Decoded, Decoder, Limits, WireError};
use engine::{Bitfield, Handshake, InfoHash, Layout, Message, PeerId};

use crate::clock::Clock;
use crate::conform::arm::socket::{Refused, Sockets, Terms, connect};
use crate::conform::case::Setup;
use crate::conform::subject::Subject;
use crate::launch::{Client, Net, With, program};
use crate::words;

/// How long whoever is at an address may take to connect, and again to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is nobody to be tested.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// No connection.
    #[error("nobody takes connections at {0}: {1}")]
    Nobody(SocketAddr, io::Error),
    /// A connection, and not what was hoped for.
    #[error("{0} takes connections, but {1}")]
    Odd(SocketAddr, Unlike),
    /// The program of a setup file cannot be run.
    #[error("{name} cannot be started: {why}")]
    Program {
        /// What the setup file calls the client.
        name: String,
        /// Why not.
        why: String,
    },
    /// It runs, or did, and is not what the setup file says.
    #[error("{name} was started {role}, and cannot be tested: {why}")]
    Start {
        /// What the setup file calls the client.
        name: String,
        /// As what.
        role: &'static str,
        /// Why not.
        why: String,
    },
}

impl Absent {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Nobody(..) => {
                "start the client there first, with the torrent of --torrent; or have it started: --client FILE"
            }
            Self::Odd(_, Unlike::Part { .. }) => {
                "give the client all of the content; one that hides pieces (super-seeding) cannot be tested by address"
            }
            Self::Odd(_, Unlike::Other(_) | Unlike::Closed(_)) => {
                "have the client seed the torrent of --torrent there, and see that it needs no encryption"
            }
            Self::Odd(..) => {
                "see that it is a BitTorrent client that listens there, for TCP without encryption"
            }
            Self::Program { .. } => {
                "start.command of the setup file names the program: install it, or give its path"
            }
            Self::Start { .. } => {
                "try the command of the setup file by hand; docs/harness.md says what it needs"
            }
        }
    }
}

/// What came of a handshake that is not as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlike {
    /// The connection was closed.
    #[error("closes the connection on a handshake for the torrent {0}")]
    Closed(InfoHash),
    /// Nothing was said.
    #[error("does not answer a handshake for the torrent {0} within {time}", time = words::time(*.1))]
    Silent(InfoHash, Duration),
    /// What was said is nothing of BitTorrent's.
    #[error("what it says is no BitTorrent: {0}")]
    Malformed(WireError),
    /// Another torrent.
    #[error("answers with a handshake for another torrent, {0}")]
    Other(InfoHash),
    /// No seed.
    #[error("says that it has {has} of {all} pieces, where a seed is needed")]
    Part {
        /// Pieces that it says it has.
        has: u32,
        /// Pieces of the torrent.
        all: u32,
    },
}

/// Whether a seed of the torrent is at an address.
pub fn seed(addr: SocketAddr, subject: &Subject, net: &Net) -> Result<(), Absent> {
    let from = net.ours(net.number()).fresh();
    let stream = connect(from, addr, PATIENCE).map_err(|error| Absent::Nobody(addr, error))?;
    greet(stream, subject.metainfo.info_hash, Some(subject.layout()), PATIENCE)
        .map_err(|unlike| Absent::Odd(addr, unlike))
}

/// Whether a client starts as its setup file says and answers for a torrent, in one of these roles at least. A role
/// that the setup file rules out counts for nothing.
pub fn client(client: &Client, roles: &[With], net: &Net) -> Result<(), Absent> {
    program(client).map_err(|why| Absent::Program { name: client.name.clone(), why })?;
    let ready = Duration::from_secs_f64(client.start.ready_seconds);
    let terms =
        Terms { patience: Duration::from_secs_f64(client.patience_seconds), limit: ready, net: net.clone() };
    let mut first = None;
    for with in roles {
        let (setup, role) = match with {
            With::Seed => (Setup::SEED, "as a seed"),
            With::Leech => (Setup::LEECH, "as a leech"),
            With::Magnet => (Setup::LINK, "with a magnet link"),
        };
        let clock = Clock::start();
        match Sockets::start(client, setup, terms.clone()) {
            Ok(_) => return Ok(()),
            Err(Refused::Skip(_)) => {}
            Err(Refused::Stuck(why)) => {
                first.get_or_insert(Absent::Start { name: client.name.clone(), role, why });
                // Who keeps us waiting as one will do so as another.
                if clock.past(ready) {
                    break;
                }
            }
        }
    }
    first.map_or(Ok(()), Err)
}

/// Says a handshake, and waits for the answer; with a layout, until all pieces are said to be there.
pub(crate) fn greet(
    mut stream: TcpStream,
    info_hash: InfoHash,
    complete: Option<Layout>,
    patience: Duration,
) -> Result<(), Unlike> {
    let ours = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId(*b"-XX0001-ready?------") };
    let clock = Clock::start();
    if stream.write_all(&ours.to_bytes()).is_err() {
        return Err(Unlike::Closed(info_hash));
    }
    let mut decoder = Decoder::new(Limits { block: 4 << 20, unknown: 1 << 20, ..Limits::default() });
    let (mut greeted, mut buffer) = (false, [0; 4096]);
    let mut has = complete.as_ref().map(Bitfield::empty);
    let unlike = |greeted: bool, has: &Option<Bitfield>, otherwise: Unlike| match (has, &complete) {
        (Some(has), Some(layout)) if greeted => Unlike::Part { has: has.count(), all: layout.pieces() },
        _ => otherwise,
    };
    loop {
        let left = patience.saturating_sub(clock.now());
        // No time at all would be for ever.
        let silent = || unlike(greeted, &has, Unlike::Silent(info_hash, patience));
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(silent());
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => decoder.feed(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(silent());
            }
            Ok(_) | Err(_) => return Err(unlike(greeted, &has, Unlike::Closed(info_hash))),
        }
        while let Some(said) = decoder.poll().map_err(Unlike::Malformed)? {
            match (said, &mut has, &complete) {
                (Decoded::Handshake(theirs), ..) if theirs.info_hash != info_hash => {
                    return Err(Unlike::Other(theirs.info_hash));
                }
                (Decoded::Handshake(_), ..) => greeted = true,
                (Decoded::Message(Message::Bitfield(bits)), Some(has), Some(layout)) => {
                    for piece in Bitfield::from_wire(layout, &bits).iter().flat_map(|bits| bits.iter(layout))
                    {
                        has.insert(piece);
                    }
                }
                (Decoded::Message(Message::Have(piece)), Some(has), Some(layout)) => {
                    if let Some(piece) = layout.piece(piece) {
                        has.insert(piece);
                    }
                }
                _ => {}
            }
        }
        let whole = match (&has, &complete) {
            (Some(has), Some(layout)) => has.count() == layout.pieces(),
            _ => true,
        };
        if greeted && whole {
            return Ok(());
        }
    }
}
