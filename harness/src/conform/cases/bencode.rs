//! BEP 3: bencode and the metainfo file. The target is given a torrent file; whether it takes it shows at its
//! tracker: who announces has taken it.

use std::time::Duration;

use engine::InfoHash;
use engine::Message;
use engine::bencode::Item;
use engine::tracker::AnnounceRequest;
use sha1::{Digest as _, Sha1};

use super::{NOBODY, case};
use crate::conform::arm::{Answer, Asked, Question};
use crate::conform::case::Requirement::{May, Must, Robust, Should};
use crate::conform::case::{Case, Finding, Outcome, Reaction, Seen, Setup};
use crate::conform::subject::{Forge, LENGTH, NAME, PIECE};
use crate::conform::talk::{Next, Talk};

const BENCODE: &str = "BEP 3, bencoding";
const METAINFO: &str = "BEP 3, metainfo files";

/// The info-hash that an announce names.
fn named(asked: &Asked) -> Option<InfoHash> {
    let Question::Http(path) = &asked.what else { return None };
    let (_, query) = path.split_once('?')?;
    AnnounceRequest::from_query(query.as_bytes()).ok().map(|request| request.info_hash)
}

/// Whether the target has taken the file: the info-hash that it announces.
fn taken(t: &mut Talk<'_>) -> (Seen, Option<InfoHash>) {
    let since = t.now();
    let end = since + t.patience().max(Duration::from_secs(6));
    loop {
        let slice = Duration::from_millis(250).min(end.saturating_sub(t.now()));
        if let Some(asked) = t.arm().asked(slice) {
            let hash = named(&asked);
            // What it is told does not matter to who only looks whether it asks.
            let _ = t.answer(&asked, Answer::Body(NOBODY.to_vec()));
            return (Seen { reaction: Reaction::Accepts, after: t.now() - since }, hash);
        }
        let gone = t.arm().death().is_some();
        if gone || t.now() >= end {
            return (Seen { reaction: Reaction::Rejects, after: t.now() - since }, None);
        }
    }
}

fn refused(t: &mut Talk<'_>) -> Outcome {
    Ok(taken(t).0.one_of(&[Reaction::Rejects]))
}

fn accepted(t: &mut Talk<'_>) -> Outcome {
    Ok(taken(t).0.one_of(&[Reaction::Accepts]))
}

fn noted(t: &mut Talk<'_>) -> Outcome {
    Ok(taken(t).0.noted())
}

/// Refused, or taken by the hash of the bytes as they are in the file.
fn raw_hash(t: &mut Talk<'_>, info: &[u8]) -> Outcome {
    let (seen, hash) = taken(t);
    let right = InfoHash::of(info);
    let holds = hash.is_none_or(|hash| hash == right);
    let note = match hash {
        Some(hash) if hash != right => format!("it announces {hash}, and the bytes hash to {right}"),
        _ => String::new(),
    };
    Ok(Finding { holds, note, ..seen.noted() })
}

/// Refused; or taken, and when it downloads all of it, nothing lies outside of its folder.
fn contained(t: &mut Talk<'_>) -> Outcome {
    let (seen, hash) = taken(t);
    let Some(hash) = hash else { return Ok(seen.noted()) };
    t.name(hash);
    let conn = t.as_seed_freely()?;
    let time = t.patience().max(Duration::from_secs(8));
    let served = t.serve(conn, time, |message| *message == Message::NotInterested)?;
    if matches!(served.end, Next::Message(_)) {
        // Files may be written a little later.
        t.sleep(Duration::from_millis(500));
    }
    let strays = t.arm().strays();
    let note = match strays.is_empty() {
        true => format!("{} blocks were given", served.requests.len()),
        false => format!("outside of its folder: {}", strays.join(", ")),
    };
    Ok(Finding { holds: strays.is_empty(), note, ..seen.noted() })
}

/// A torrent file with one more key, `c`, whose value is these bytes.
macro_rules! vector {
    ($id:literal, $requirement:expr, $description:literal, $run:expr, $bytes:expr) => {
        case(
            $id,
            BENCODE,
            $requirement,
            $description,
            Setup::file(|forge| forge.file_with(&[b"1:c".as_slice(), $bytes].concat(), forge.info(false))),
            $run,
        )
    };
}

/// A torrent file whose info dictionary is made by this.
macro_rules! info {
    ($id:literal, $requirement:expr, $description:literal, $run:expr, $make:expr) => {
        case($id, METAINFO, $requirement, $description, Setup::file(|forge| forge.file($make(forge))), $run)
    };
}

/// The hashes of the right pieces.
fn hashes() -> Vec<u8> {
    let forge = Forge { trackers: Vec::new() };
    let info = forge.info(false);
    let value = engine::bencode::Value::parse(&info).ok();
    value
        .and_then(|value| value.get("pieces"))
        .and_then(|pieces| pieces.string())
        .unwrap_or_default()
        .to_vec()
}

/// The info dictionary with these values in place of the right ones; `None` leaves a key out.
fn changed(changes: &[(&str, Option<Item>)]) -> Vec<u8> {
    let mut keys = vec![
        ("length", Some(Item::unsigned(LENGTH))),
        ("name", Some(Item::string(NAME))),
        ("piece length", Some(Item::unsigned(PIECE))),
        ("pieces", Some(Item::String(hashes()))),
    ];
    for (name, value) in changes {
        keys.retain(|(key, _)| key != name);
        keys.push((name, value.clone()));
    }
    Item::dictionary(keys).to_bytes()
}

/// One file with this path.
fn at(path: &[&[u8]]) -> Vec<u8> {
    let path = Item::List(path.iter().map(Item::string).collect());
    let file = Item::dictionary([("length", Some(Item::unsigned(LENGTH))), ("path", Some(path))]);
    changed(&[("length", None), ("files", Some(Item::List(vec![file])))])
}

/// An info dictionary with the right values, written down: what comes before and after its name.
fn written(before: &str, after: &str) -> Vec<u8> {
    let (name, hashes) = (Item::string(NAME).to_bytes(), Item::String(hashes()).to_bytes());
    let rest = format!("{after}12:piece lengthi{PIECE}e6:pieces");
    [b"d", before.as_bytes(), b"4:name", &name, rest.as_bytes(), &hashes, b"e"].concat()
}

/// Keys out of order: `name` before `length`.
fn unsorted() -> Vec<u8> {
    written("", &format!("6:lengthi{LENGTH}e"))
}

/// A leading zero in an integer.
fn zero_led() -> Vec<u8> {
    written(&format!("6:lengthi0{LENGTH}e"), "")
}

pub const CASES: &[Case] = &[
    case(
        "bencode/file/right",
        METAINFO,
        Must,
        "a right torrent file is taken, and announced by the SHA-1 of its info dictionary",
        Setup::file(|forge| forge.file(forge.info(false))),
        |t| {
            let (seen, hash) = taken(t);
            let right = t.subject().metainfo.info_hash;
            let note = match hash {
                Some(hash) if hash != right => format!("it announces {hash}, where {right} is right"),
                _ => String::new(),
            };
            Ok(Finding { holds: hash == Some(right), note, ..seen.noted() })
        },
    ),
    vector!("bencode/integer/zero", Must, "i0e is taken", accepted, b"i0e"),
    vector!("bencode/integer/negative", Must, "i-3e is taken", accepted, b"i-3e"),
    vector!("bencode/integer/leading-zero", Must, "i03e is refused: invalid", refused, b"i03e"),
    vector!("bencode/integer/negative-zero", Must, "i-0e is refused: invalid", refused, b"i-0e"),
    vector!("bencode/integer/negative-leading-zero", Must, "i-03e is refused: invalid", refused, b"i-03e"),
    vector!("bencode/integer/empty", Must, "ie is refused", refused, b"ie"),
    vector!("bencode/integer/lone-minus", Must, "i-e is refused", refused, b"i-e"),
    vector!("bencode/integer/plus", Should, "i+1e is refused", refused, b"i+1e"),
    vector!("bencode/integer/blank", Should, "an integer with a blank is refused", refused, b"i 1e"),
    vector!("bencode/integer/fraction", Must, "i1.0e is refused", refused, b"i1.0e"),
    vector!(
        "bencode/integer/64-bit",
        Must,
        "i9223372036854775807e is taken",
        accepted,
        b"i9223372036854775807e"
    ),
    vector!(
        "bencode/integer/40-digits",
        May,
        "an integer of forty digits (\"no size limitation\")",
        noted,
        b"i1234567890123456789012345678901234567890e"
    ),
    vector!("bencode/string/empty", Must, "0: is taken", accepted, b"0:"),
    vector!(
        "bencode/string/binary",
        Must,
        "a string with NUL and 0xff is taken",
        accepted,
        b"4:\0\xff\0\xfe"
    ),
    vector!("bencode/string/leading-zero", Should, "03:abc is refused", refused, b"03:abc"),
    vector!("bencode/string/plus", Should, "+3:abc is refused", refused, b"+3:abc"),
    vector!("bencode/string/negative", Must, "-1:a is refused", refused, b"-1:a"),
    vector!(
        "bencode/string/too-long",
        Must,
        "a string longer than the file is refused",
        refused,
        b"99999999999:a"
    ),
    vector!(
        "bencode/string/wraps-32",
        Must,
        "a length that is 4 modulo 2^32 is refused",
        refused,
        b"4294967300:abcd"
    ),
    vector!(
        "bencode/string/wraps-64",
        Must,
        "a length that is 1 modulo 2^64 is refused",
        refused,
        b"18446744073709551617:a"
    ),
    vector!("bencode/list/empty", Must, "le is taken", accepted, b"le"),
    vector!("bencode/dictionary/empty", Must, "de is taken", accepted, b"de"),
    vector!("bencode/dictionary/empty-key", May, "a dictionary with an empty key", noted, b"d0:0:e"),
    vector!(
        "bencode/dictionary/raw-order",
        Must,
        "keys sorted as raw bytes, 0x80 and above last, are taken",
        accepted,
        b"d2:aai1e1:zi2e1:\xffi3ee"
    ),
    vector!(
        "bencode/dictionary/unsorted",
        Must,
        "keys out of order are refused: they appear in sorted order",
        refused,
        b"d1:b0:1:a0:e"
    ),
    vector!(
        "bencode/dictionary/twice",
        Should,
        "a key that appears twice is refused",
        refused,
        b"d1:a0:1:a0:e"
    ),
    vector!(
        "bencode/dictionary/integer-key",
        Must,
        "a key that is an integer is refused: keys must be strings",
        refused,
        b"di1e1:ae"
    ),
    vector!("bencode/dictionary/no-value", Must, "a key without a value is refused", refused, b"d1:ae"),
    vector!(
        "bencode/nested/50",
        Should,
        "fifty lists in one another are taken",
        accepted,
        &[[b'l'; 50], [b'e'; 50]].concat()
    ),
    vector!(
        "bencode/nested/100k",
        Robust,
        "100,000 lists in one another",
        noted,
        &[vec![b'l'; 100_000], vec![b'e'; 100_000]].concat()
    ),
    vector!(
        "bencode/nested/1m-open",
        Robust,
        "a million lists that do not end",
        noted,
        &vec![b'l'; 1_000_000]
    ),
    vector!(
        "bencode/nested/100k-dictionaries",
        Robust,
        "100,000 dictionaries in one another",
        noted,
        &[b"d1:a".repeat(100_000), b"i0e".to_vec(), vec![b'e'; 100_000]].concat()
    ),
    case(
        "bencode/file/trailing",
        BENCODE,
        May,
        "bytes after the file's dictionary",
        Setup::file(|forge| [forge.file(forge.info(false)), b"XX".to_vec()].concat()),
        noted,
    ),
    case(
        "bencode/file/truncated",
        BENCODE,
        Must,
        "a file without its last byte is refused",
        Setup::file(|forge| {
            let mut file = forge.file(forge.info(false));
            file.pop();
            file
        }),
        refused,
    ),
    case(
        "bencode/file/empty",
        BENCODE,
        Must,
        "a file without a byte is refused",
        Setup::file(|_| Vec::new()),
        refused,
    ),
    case(
        "bencode/file/list",
        METAINFO,
        Must,
        "a file that is a list is refused",
        Setup::file(|_| b"le".to_vec()),
        refused,
    ),
    case(
        "metainfo/info/unsorted",
        METAINFO,
        Must,
        "an info dictionary with keys out of order is refused, or hashed as it is",
        Setup::file(|forge| forge.file(unsorted())),
        |t| raw_hash(t, &unsorted()),
    ),
    case(
        "metainfo/info/zero-led",
        METAINFO,
        Must,
        "an info dictionary with a leading zero is refused, or hashed as it is",
        Setup::file(|forge| forge.file(zero_led())),
        |t| raw_hash(t, &zero_led()),
    ),
    case(
        "metainfo/info/missing",
        METAINFO,
        Must,
        "a file without an info dictionary is refused",
        Setup::file(|forge| {
            Item::dictionary([("announce", Some(Item::string(forge.announce())))]).to_bytes()
        }),
        refused,
    ),
    info!(
        "metainfo/pieces/not-20",
        Must,
        "a pieces string that is no multiple of 20 bytes is refused",
        refused,
        |_| {
            let mut pieces = hashes();
            pieces.pop();
            changed(&[("pieces", Some(Item::String(pieces)))])
        }
    ),
    info!("metainfo/pieces/too-few", Must, "fewer hashes than the length needs are refused", refused, |_| {
        let mut pieces = hashes();
        pieces.truncate(200);
        changed(&[("pieces", Some(Item::String(pieces)))])
    }),
    info!(
        "metainfo/pieces/too-many",
        Should,
        "more hashes than the length needs are refused",
        refused,
        |_| {
            let mut pieces = hashes();
            pieces.extend_from_slice(&[7; 20]);
            changed(&[("pieces", Some(Item::String(pieces)))])
        }
    ),
    info!("metainfo/pieces/missing", Must, "an info dictionary without pieces is refused", refused, |_| {
        changed(&[("pieces", None)])
    }),
    info!("metainfo/piece-length/0", Must, "a piece length of 0 is refused", refused, |_| changed(&[(
        "piece length",
        Some(Item::Integer(0))
    )])),
    info!(
        "metainfo/piece-length/negative",
        Must,
        "a negative piece length is refused",
        refused,
        |_| changed(&[("piece length", Some(Item::Integer(-65536)))])
    ),
    info!("metainfo/piece-length/2-to-62", Robust, "a piece length of 2^62", noted, |_| changed(&[(
        "piece length",
        Some(Item::Integer(1 << 62))
    )])),
    info!(
        "metainfo/piece-length/missing",
        Must,
        "an info dictionary without a piece length is refused",
        refused,
        |_| changed(&[("piece length", None)])
    ),
    info!("metainfo/length/negative", Must, "a negative length is refused", refused, |_| changed(&[(
        "length",
        Some(Item::Integer(-5))
    )])),
    info!("metainfo/length/missing", Must, "neither a length nor files is refused", refused, |_| changed(&[
        ("length", None)
    ])),
    info!("metainfo/length/both", May, "both a length and files (BEP 3: not both)", noted, |_| {
        let path = Item::List(vec![Item::string("a")]);
        let file = Item::dictionary([("length", Some(Item::unsigned(LENGTH))), ("path", Some(path))]);
        changed(&[("files", Some(Item::List(vec![file])))])
    }),
    info!("metainfo/length/2-to-62", Robust, "a length of 2^62 in one piece", noted, |_| {
        changed(&[
            ("length", Some(Item::Integer(1 << 62))),
            ("pieces", Some(Item::String(Sha1::digest(b"x").to_vec()))),
        ])
    }),
    info!("metainfo/files/empty-list", Should, "a list of no files is refused", refused, |_| changed(&[
        ("length", None),
        ("files", Some(Item::List(Vec::new())))
    ])),
    info!(
        "metainfo/files/empty-path",
        Must,
        "a path without a component is refused (BEP 3: an error case)",
        refused,
        |_| at(&[])
    ),
    info!(
        "metainfo/files/overflow",
        Robust,
        "two files whose lengths sum to 2^64 and a little",
        noted,
        |_| {
            let file = |name: &str| {
                let path = Item::List(vec![Item::string(name)]);
                Item::dictionary([("length", Some(Item::Integer(i64::MAX))), ("path", Some(path))])
            };
            changed(&[("length", None), ("files", Some(Item::List(vec![file("a"), file("b"), file("c")])))])
        }
    ),
    info!(
        "metainfo/path/dots",
        Robust,
        "a path of dots leads to nothing outside of the download folder",
        contained,
        |_| at(&[b"..", b"..", b"stray.bin"])
    ),
    info!(
        "metainfo/path/dots-in-one",
        Robust,
        "a component with dots and slashes leads to nothing outside of the download folder",
        contained,
        |_| at(&[b"../../stray.bin"])
    ),
    info!(
        "metainfo/path/backslashes",
        Robust,
        "a component with backslashes leads to nothing outside of the download folder",
        contained,
        |_| at(&[b"..\\..\\stray.bin"])
    ),
    info!(
        "metainfo/name/dots",
        Robust,
        "a name of dots leads to nothing outside of the download folder",
        contained,
        |_| changed(&[("name", Some(Item::string("..")))])
    ),
    info!(
        "metainfo/name/slashes",
        Robust,
        "a name with dots and slashes leads to nothing outside of the download folder",
        contained,
        |_| changed(&[("name", Some(Item::string("../../stray.bin")))])
    ),
    info!("metainfo/name/empty", May, "an empty name", noted, |_| changed(&[(
        "name",
        Some(Item::string(""))
    )])),
    info!("metainfo/name/nul", Robust, "a name with a NUL", noted, |_| changed(&[(
        "name",
        Some(Item::string("a\0b"))
    )])),
    info!("metainfo/name/300", Robust, "a name of 300 bytes", noted, |_| changed(&[(
        "name",
        Some(Item::string("n".repeat(300)))
    )])),
    info!("metainfo/name/not-utf8", Robust, "a name that is no UTF-8", noted, |_| changed(&[(
        "name",
        Some(Item::string(b"\xff\xfe\xfd"))
    )])),
    info!("metainfo/name/missing", May, "an info dictionary without a name", noted, |_| changed(&[(
        "name", None
    )])),
];
