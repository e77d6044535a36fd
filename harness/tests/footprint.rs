//! What a peer says that it holds is what an allocator that counts has given it: a table that nobody accounts for would
//! show as a difference. One test alone: what others allocate would be counted too.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use engine::peer::{Input, Output};
use engine::wire::{ExtendedHandshake, Message, PexMessage};
use engine::{BLOCK, Bitfield, ConnId, Handshake, Instant, Peer, PeerId, RawBlock};
use harness::fuzz::Subject;
use harness::fuzz::machine::peer;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

fn held() -> u64 {
    ALLOCATOR.allocated() as u64
}

fn addr(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number), 6881))
}

/// Tells it, and forgets what it says.
fn tell(peer: &mut Peer, now: Instant, input: Input) {
    peer.handle_input(now, input);
    while let Some(output) = peer.poll_output() {
        if let Output::Disconnect { conn, reason } = output {
            panic!("{conn:?} was closed: {reason}");
        }
    }
}

/// A remote that says all that a remote can say, and asks for much.
fn busy(peer: &mut Peer, subject: &Subject, number: u32, now: Instant) {
    let conn = ConnId(number);
    tell(peer, now, Input::Connected { conn, addr: addr(number), outgoing: false });
    let mut id = [b'x'; 20];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let handshake = Handshake::new(subject.metainfo.info_hash, PeerId(id));
    tell(peer, now, Input::Handshake { conn, handshake });
    let mut have = Bitfield::empty(subject.layout());
    for piece in subject.layout().all().filter(|piece| piece.get() % 7 != number % 7) {
        have.insert(piece);
    }
    let hello = ExtendedHandshake {
        messages: [("ut_pex".to_owned(), 1)].into(),
        client: Some("a client with a long name of its own".to_owned()),
        port: Some(6881),
        ..ExtendedHandshake::default()
    };
    let contacts =
        (0..50).map(|other| engine::wire::Contact { addr: addr(10_000 + 50 * number + other), flags: 0 });
    let pex = PexMessage { added: contacts.collect(), dropped: Vec::new() };
    let mut said = vec![
        Message::Bitfield(have.to_wire().into()),
        Message::Extended { id: 0, payload: hello.to_bytes().into() },
        Message::Extended { id: 1, payload: pex.to_bytes().into() },
        Message::Interested,
        Message::Unchoke,
    ];
    said.extend((0..20).map(Message::AllowedFast));
    for message in said {
        tell(peer, now, Input::Message { conn, message });
    }
}

#[test]
fn a_peer_knows_what_it_holds() {
    // 4,096 pieces of 16 KiB: bitfields are on the heap.
    let subject = Subject::new(64 << 20, BLOCK).expect("a torrent");
    let start = Instant::from_nanos(1_000_000_000);
    for (seeds, remotes) in [(false, 0), (false, 5), (false, 60), (true, 60)] {
        let before = held();
        let mut peer = peer(&subject, seeds, 1, addr(1)).expect("a peer");
        tell(&mut peer, start, Input::Start);
        for number in 2..2 + remotes {
            busy(&mut peer, &subject, number, start);
        }
        let mut now = start;
        // Rounds unchoke some, and tell everybody of the others.
        for _ in 0..7 {
            now = now + Duration::from_secs(10);
            tell(&mut peer, now, Input::Timeout);
        }
        if seeds {
            for number in 2..2 + remotes {
                for piece in 0..40 {
                    let block = RawBlock { piece, begin: 0, length: BLOCK };
                    tell(
                        &mut peer,
                        now,
                        Input::Message { conn: ConnId(number), message: Message::Request(block) },
                    );
                }
            }
        }
        // An address that is told twice, and one that fails.
        tell(&mut peer, now, Input::ConnectFailed { addr: addr(20_000) });
        let (says, holds) = (peer.footprint().total(), held() - before);
        let (least, most) = (holds * 8 / 10, holds * 12 / 10 + 2048);
        assert!(
            (least..=most).contains(&says),
            "{remotes} remotes, seeds: {seeds}: it says {says} bytes and holds {holds}: {:?}",
            peer.footprint()
        );
        drop(peer);
    }
}
