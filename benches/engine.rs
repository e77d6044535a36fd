//! What the engine does all the time, each alone: pick a piece, count a HAVE, decide whom to unchoke, encode
//! and decode messages, read bencode.

// The macros of Criterion make public items of their own.
#![allow(missing_docs)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::choker::{self, Facts, Round};
use engine::metainfo::Builder;
use engine::picker::{self, Availability, Choice};
use engine::wire::{Decoder, Limits, encode};
use engine::{
    BLOCK, Bitfield, ConnId, Instant, Layout, Message, Metainfo, RawBlock, Rng, Seed, bencode, rng,
};

/// 64 MiB in pieces of 256 KiB.
fn layout() -> Layout {
    Layout::new(64 << 20, 256 << 10).expect("the sizes are right")
}

/// A remote with half of the pieces.
fn half(layout: &Layout, rng: &mut Rng) -> Bitfield {
    let mut have = Bitfield::empty(layout);
    for piece in layout.all().filter(|_| rng::below(rng, 2) == 0) {
        have.insert(piece);
    }
    have
}

fn picking(criterion: &mut Criterion) {
    let (layout, mut rng) = (layout(), Seed(1).rng());
    let mut availability = Availability::new(&layout, &mut rng);
    // Forty neighbours, half of the pieces each, and half of the pieces begun or had.
    for _ in 0..40 {
        let have = half(&layout, &mut rng);
        have.iter(&layout).for_each(|piece| availability.increment(piece, &mut rng));
    }
    let begun = half(&layout, &mut rng);
    begun.iter(&layout).for_each(|piece| availability.close(piece));
    let remote = half(&layout, &mut rng);
    for (name, _) in picker::NAMES {
        let mut picker = picker::by_name(name).expect("it is one of the names").build();
        criterion.bench_function(&format!("pick {name}, 256 pieces, 40 neighbours"), |bencher| {
            let choice =
                Choice { remote: Some(black_box(&remote)), availability: &availability, completed: 128 };
            bencher.iter(|| picker.pick(&choice, &mut rng));
        });
    }
    let pieces: Vec<_> = layout.all().collect();
    let mut at = 0;
    criterion.bench_function("count a HAVE and take it back, 256 pieces", |bencher| {
        bencher.iter(|| {
            at = (at + 97) % pieces.len();
            availability.increment(black_box(pieces[at]), &mut rng);
            availability.decrement(pieces[at], &mut rng);
        });
    });
}

fn choking(criterion: &mut Criterion) {
    let mut rng = Seed(2).rng();
    let now = Instant::from_nanos(100_000_000_000);
    let facts: Vec<Facts> = (0..40)
        .map(|n| Facts {
            conn: ConnId(n),
            interested: n % 4 != 0,
            unchoked: n % 10 == 1,
            snubbed: n % 13 == 0,
            complete: false,
            pieces: rng::below(&mut rng, 256),
            download_rate: u64::from(rng::below(&mut rng, 1 << 20)),
            upload_rate: u64::from(rng::below(&mut rng, 1 << 20)),
            sent_since_unchoke: u64::from(rng::below(&mut rng, 1 << 22)),
            connected_at: Instant::ZERO,
            unchoked_at: (n % 10 == 1).then_some(Instant::ZERO),
            flushed: false,
        })
        .collect();
    for (name, _) in choker::NAMES {
        let mut choker = choker::by_name(name).expect("it is one of the names").build();
        facts.iter().for_each(|facts| choker.connected(facts.conn, &mut rng));
        let (mut number, mut unchoke) = (0, Vec::new());
        criterion.bench_function(&format!("decide {name}, 40 connections"), |bencher| {
            bencher.iter(|| {
                number += 1;
                let round = Round { now, number, periodic: true, slots: 4, pieces: 256 };
                unchoke.clear();
                choker.decide(&round, black_box(&facts), &mut rng, &mut unchoke);
                unchoke.len()
            });
        });
    }
}

/// A block with its share of small messages.
fn messages() -> Vec<Message> {
    let block = RawBlock { piece: 7, begin: 3 * BLOCK, length: BLOCK };
    vec![
        Message::Request(block),
        Message::Have(200),
        Message::Piece { piece: 7, begin: 3 * BLOCK, data: Bytes::from(vec![0; BLOCK as usize]) },
        Message::Have(201),
        Message::Cancel(block),
    ]
}

fn codec(criterion: &mut Criterion) {
    let messages = messages();
    let mut wire = Vec::new();
    messages.iter().for_each(|message| encode(message, &mut wire));
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    let mut out = Vec::with_capacity(wire.len());
    group.bench_function("encode a block and four small messages", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&messages).iter().for_each(|message| encode(message, &mut out));
            out.len()
        });
    });
    let mut decoder = Decoder::after_handshake(Limits::default());
    group.bench_function("decode the same from segments of 1460 bytes", |bencher| {
        bencher.iter(|| {
            let mut count = 0;
            for segment in black_box(&wire).chunks(1460) {
                decoder.feed(segment);
                while let Ok(Some(message)) = decoder.poll() {
                    black_box(message);
                    count += 1;
                }
            }
            count
        });
    });
    group.finish();
}

fn torrents(criterion: &mut Criterion) {
    let files = (0..1000).map(|n| (vec![format!("folder{}", n % 10), format!("file{n}")], 4000)).collect();
    let mut hasher = Builder::folder("many", files).hasher().expect("the names are right");
    hasher.write(&vec![0; 4_000_000]);
    let file = hasher.finish().expect("this is all of the content").to_bytes();
    let mut group = criterion.benchmark_group("bencode");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("check a torrent of 1,000 files", |bencher| {
        bencher.iter(|| bencode::check(black_box(&file)).is_ok());
    });
    group.bench_function("parse a torrent of 1,000 files", |bencher| {
        bencher.iter(|| Metainfo::parse(black_box(&file)).map(|torrent| torrent.files.len()));
    });
    group.finish();
}

criterion_group!(benches, picking, choking, codec, torrents);
criterion_main!(benches);
