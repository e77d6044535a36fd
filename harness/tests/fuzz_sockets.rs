//! The fuzzer's arm over sockets, tried with a seed that is honest and with one that has a fault.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use engine::wire::{Decoded, Decoder, Handshake, Limits, Message, PeerId, encode};
use harness::conduct::Rule;
use harness::conform::subject::Subject;
use harness::fuzz::campaign::Arm as _;
use harness::fuzz::shrink::shrink;
use harness::fuzz::socket::Who;
use harness::fuzz::{Dialogue, Finding, Socket};
use harness::launch::Net;

/// What a seed does wrong upon a message.
type Fault = fn(&Message) -> Option<Vec<u8>>;

/// A seed of the torrent of the conformance cases, on a port of its own, for as long as the process lives.
fn seed(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let subject = Arc::new(Subject::new(&[], false).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let subject = subject.clone();
            // Whatever ends the connection ends the thread.
            std::thread::spawn(move || talk(stream, &subject, fault));
        }
    });
    addr
}

fn talk(mut stream: TcpStream, subject: &Subject, fault: Fault) -> Option<()> {
    let (mut decoder, mut buffer) = (Decoder::new(Limits::default()), [0; 65_536]);
    loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        decoder.feed(&buffer[..read]);
        while let Some(decoded) = decoder.poll().ok()? {
            let mut out = Vec::new();
            match decoded {
                Decoded::Handshake(theirs) if theirs.info_hash == subject.metainfo.info_hash => {
                    let mut ours = Handshake::new(theirs.info_hash, PeerId(*b"-XX0001-of-the-test-"));
                    ours.reserved = [0; 8];
                    out.extend_from_slice(&ours.to_bytes());
                    encode(&Message::Bitfield(subject.bitfield(|_| true).into()), &mut out);
                }
                Decoded::Handshake(_) => return None,
                Decoded::Message(message) => {
                    out.extend(fault(&message).unwrap_or_default());
                    match message {
                        Message::Interested => encode(&Message::Unchoke, &mut out),
                        Message::Request(block) => {
                            let data = subject.bytes(&block)?;
                            encode(
                                &Message::Piece { piece: block.piece, begin: block.begin, data },
                                &mut out,
                            );
                        }
                        _ => {}
                    }
                }
            }
            stream.write_all(&out).ok()?;
        }
    }
}

fn arm(fault: Fault) -> Socket {
    let subject = Subject::new(&[], false).unwrap();
    let who = Who::At(seed(fault), Box::new(subject));
    Socket::new(who, Net::loopback(), Duration::from_secs(5)).unwrap()
}

/// A taker who asks for blocks and cancels one.
fn dialogue() -> Dialogue {
    "swarmlab dialogue 1\ntarget seed\ncontent 675360 in pieces of 65536\n\
     1 +0 handshake 0000000000000000 own \"-SL0001-10000000000a\"\n\
     1 +0 await handshake\n\
     2 +0 handshake 0000000000000000 own \"-SL0001-20000000000b\" / 7\n\
     1 +10 interested\n\
     1 +0 await unchoke\n\
     2 +0 have 3\n\
     1 +0 request 1 0 16384\n\
     1 +0 await piece\n\
     1 +0 cancel 1 16384 16384\n\
     2 +0 keep-alive\n"
        .parse()
        .unwrap()
}

#[test]
fn an_honest_seed_has_no_fault() {
    let mut arm = arm(|_| None);
    assert_eq!(arm.roles(), [harness::fuzz::Role::Seed]);
    assert_eq!(arm.hold(&dialogue()), Ok(None));
}

#[test]
fn a_breach_is_found_and_cut_down() {
    let fault: Fault = |message| {
        let mut out = Vec::new();
        encode(&Message::Have(9999), &mut out);
        matches!(message, Message::Cancel(_)).then_some(out)
    };
    let mut arm = arm(fault);
    let is_it =
        |found: &Option<Finding>| matches!(found, Some(Finding::Breach { rule: Rule::PieceInRange, .. }));
    assert!(is_it(&arm.hold(&dialogue()).unwrap()));
    let shrunk = shrink(&dialogue(), 60, |candidate| is_it(&arm.hold(candidate).unwrap()));
    assert_eq!(shrunk.steps.len(), 2, "{shrunk}");
}

#[test]
fn what_is_no_message_is_found() {
    let fault: Fault = |message| matches!(message, Message::Cancel(_)).then(|| vec![0, 0, 0, 9, 0]);
    let found = arm(fault).hold(&dialogue()).unwrap();
    assert!(matches!(found, Some(Finding::Undecodable(_))), "{found:?}");
}

#[test]
fn a_seed_that_gives_no_more_blocks_is_found() {
    static DEAF: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let fault: Fault = |message| {
        let dies = matches!(message, Message::Cancel(_));
        if dies {
            DEAF.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        while DEAF.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(1));
        }
        None
    };
    let found = arm(fault).hold(&dialogue()).unwrap();
    assert!(matches!(found, Some(Finding::Unserved(_))), "{found:?}");
}
