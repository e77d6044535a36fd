//! The properties that the targets in `fuzz/` hold, on stable Rust: with the corpus that is kept there, and with
//! drawn bytes that look like what the targets read.

use std::path::Path;

use harness::fuzz::properties::{self, Property};
use proptest::prelude::*;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn the_corpus_of_each_target_is_there_small_and_holds() {
    for (target, property) in properties::ALL {
        let files = corpus(target);
        assert!(files.len() >= 2, "{target} has {} files", files.len());
        let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 32 << 10, "{target}'s corpus has {bytes} bytes");
        for (path, bytes) in files {
            println!("{path}");
            property(&bytes);
        }
    }
}

/// Bytes made of words of a target's corpus, of bencode, and of nothing.
fn bytes(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let files: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
    let part =
        (prop::sample::select(files.clone()), any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(file, from, to)| {
                let (from, to) = (from.index(file.len() + 1), to.index(file.len() + 1));
                file[from.min(to)..from.max(to)].to_vec()
            });
    let word = prop::sample::select(vec![
        "i0e",
        "i-0e",
        "i9223372036854775808e",
        "d",
        "l",
        "e",
        "0:",
        "1:a",
        "20:",
        "99999999999:",
        "4:info",
        "\0",
        "\0\0\0\0",
    ])
    .prop_map(|word| word.as_bytes().to_vec());
    let random = prop::collection::vec(any::<u8>(), 0..12);
    let pieces = prop::collection::vec(prop_oneof![4 => part, 2 => word, 1 => random], 0..8);
    let patched = (
        prop::sample::select(files),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    )
        .prop_map(|(mut file, patches)| {
            for (at, byte) in patches {
                let length = file.len();
                if length > 0 {
                    file[at.index(length)] = byte;
                }
            }
            file
        });
    prop_oneof![pieces.prop_map(|pieces| pieces.concat()), patched]
}

/// Draws bytes for one property and shrinks those that break it.
fn hold(target: &str, property: Property, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&bytes(target), |bytes| {
        property(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{target}: {error}");
    }
}

macro_rules! properties {
    ($($name:ident: $cases:expr),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                hold(stringify!($name), properties::$name, $cases);
            }
        )*

        #[test]
        fn each_target_has_a_test_and_a_file() {
            let tested = [$(stringify!($name)),*];
            let all: Vec<&str> = properties::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(all, tested);
            let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
            let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
            for name in all {
                let target = std::fs::read_to_string(fuzz.join(format!("targets/{name}.rs"))).unwrap();
                assert!(target.contains(&format!("properties::{name}(data)")), "{target}");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no binary");
            }
        }
    };
}

properties! {
    bencode: 5_000,
    metainfo: 5_000,
    magnet: 5_000,
    handshake: 2_000,
    decoder: 5_000,
    extended: 5_000,
    tracker_http: 5_000,
    tracker_udp: 5_000,
    peer: 500,
}

/// What the properties hold can be broken: each refuses something that is wrong by its own measure.
#[test]
fn a_second_reading_of_bencode_differs_from_a_lenient_one() {
    // The strict reading and the engine agree on what lenient readers take.
    for lenient in [&b"i007e"[..], b"i-0e", b"03:abc", b"d1:b0:1:a0:e", b"d1:a0:1:a0:e", b"i1egarbage"] {
        properties::bencode(lenient);
        assert!(engine::bencode::check(lenient).is_err(), "{}", lenient.escape_ascii());
    }
}
