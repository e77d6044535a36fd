//! The table: hostile bencode and torrent files, and what is made of them.

use engine::bencode::{MAX_DEPTH, MAX_TOKENS};

/// What is made of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is taken.
    Yes,
    /// It is refused.
    No,
    /// Nothing is said of it.
    Nothing,
}

/// How an input is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As one bencoded value.
    Bencode,
    /// As a torrent file.
    Torrent,
}

/// One input.
pub struct Row {
    pub form: Form,
    pub what: &'static str,
    pub bytes: Vec<u8>,
    /// BEP 3.
    pub bep: Says,
    /// The engine.
    pub ours: Says,
    /// libtorrent, 2.0 and 2.1.
    pub libtorrent: Says,
    /// Why they differ.
    pub why: &'static str,
}

use Form::{Bencode, Torrent};
use Says::{No, Nothing, Yes};

const DIGITS: &str =
    "libtorrent reads any digits; two encodings of a value would be two info-hashes of one torrent";
const BITS: &str =
    "BEP 3 sets no limit; 64 bits with sign are what clients keep. libtorrent takes it and reads 0";
const LONG: &str = "BEP 3 sets no limit; 64 bits with sign are what clients keep";
const EARLIER: &str = "BEP 3 sets no limit; libtorrent stops a level before us";
const ELSEWHERE: &str = "BEP 3 does not say; nothing can be called so";
const ORDER: &str = "libtorrent does not look at the order of keys";
const TWICE: &str =
    "BEP 3 sorts keys and says nothing of doubles; libtorrent takes one of them, others another";
const DEPTH: &str = "BEP 3 sets no limit; both stop at 100 levels, so that no reader's stack is at risk";
const TAIL: &str = "libtorrent reads the first value and leaves the rest";
const CLEANED: &str =
    "BEP 3 does not say; libtorrent makes another name of it, we refuse what would lie elsewhere";

fn row(
    form: Form,
    what: &'static str,
    bytes: impl Into<Vec<u8>>,
    [bep, ours, libtorrent]: [Says; 3],
    why: &'static str,
) -> Row {
    Row { form, what, bytes: bytes.into(), bep, ours, libtorrent, why }
}

/// A list in a list, and so on.
fn nested(levels: usize) -> Vec<u8> {
    [b"l".repeat(levels), b"e".repeat(levels)].concat()
}

fn bencode() -> Vec<Row> {
    let b = |what, bytes: &[u8], says, why| row(Bencode, what, bytes, says, why);
    let all = |what, bytes: &[u8], says: Says| b(what, bytes, [says; 3], "");
    vec![
        all("zero", b"i0e", Yes),
        all("a negative number", b"i-7e", Yes),
        all("the largest number of 64 bits", b"i9223372036854775807e", Yes),
        b("the smallest number of 64 bits", b"i-9223372036854775808e", [Yes, Yes, Yes], ""),
        b("one more than 64 bits hold", b"i9223372036854775808e", [Yes, No, Yes], BITS),
        b("one less than 64 bits hold", b"i-9223372036854775809e", [Yes, No, Yes], BITS),
        b("a number of forty digits", b"i1111111111111111111111111111111111111111e", [Yes, No, No], LONG),
        b("a leading zero", b"i03e", [No, No, Yes], DIGITS),
        b("two zeros", b"i00e", [No, No, Yes], DIGITS),
        b("a leading zero after the sign", b"i-03e", [No, No, Yes], DIGITS),
        b(
            "a hundred thousand leading zeros",
            &[b"i".to_vec(), b"0".repeat(100_000), b"1e".to_vec()].concat(),
            [No; 3],
            "",
        ),
        b("negative zero", b"i-0e", [No, No, Yes], DIGITS),
        all("a plus sign", b"i+5e", No),
        all("no digits", b"ie", No),
        b("a sign alone", b"i-e", [No, No, No], ""),
        all("a blank before the digits", b"i 5e", No),
        all("a fraction", b"i1.5e", No),
        all("a number that does not end", b"i12", No),
        all("a string", b"3:abc", Yes),
        all("an empty string", b"0:", Yes),
        all("a string that is not UTF-8", b"2:\xff\xfe", Yes),
        b(
            "a length with a leading zero",
            b"03:abc",
            [Nothing, No, Yes],
            "BEP 3 forbids leading zeros of integers and does not speak of lengths; libtorrent reads any digits",
        ),
        all("a negative length", b"-1:a", No),
        all("a length beyond the end", b"5:abc", No),
        all("a length beyond 32 bits", b"99999999999:abc", No),
        all("a length beyond 64 bits", b"18446744073709551617:a", No),
        all("a length without a colon", b"3", No),
        all("keys in order of their bytes", b"d1:B0:1:a0:1:\xff0:e", Yes),
        b("keys out of order", b"d1:bi1e1:ai2ee", [No, No, Yes], ORDER),
        b("keys in another order than that of bytes", b"d1:a0:1:B0:e", [No, No, Yes], ORDER),
        b("keys out of order further in", b"ld1:ad1:b0:1:a0:eee", [No, No, Yes], ORDER),
        b("a key twice", b"d1:ai1e1:ai2ee", [Nothing, No, Yes], TWICE),
        all("a number for a key", b"di1e1:ae", No),
        all("a list for a key", b"dlei2ee", No),
        all("a key without a value", b"d1:ae", No),
        all("a dictionary that does not end", b"d1:ai1e", No),
        all("a list that does not end", b"li1e", No),
        all("an end of nothing", b"e", No),
        all("nothing", b"", No),
        all("a blank before the value", b" i1e", No),
        b("bytes after the value", b"i1egarbage", [No, No, Yes], TAIL),
        b("a second value after the value", b"i1ei2e", [No, No, Yes], TAIL),
        row(Bencode, "lists nested 99 deep", nested(99), [Yes; 3], ""),
        row(Bencode, "lists nested 100 deep", nested(MAX_DEPTH), [Yes, Yes, No], EARLIER),
        row(Bencode, "lists nested 101 deep", nested(MAX_DEPTH + 1), [Yes, No, No], DEPTH),
        row(Bencode, "a hundred thousand lists that open", b"l".repeat(100_000), [No; 3], ""),
        row(
            Bencode,
            "more than two million tokens",
            [b"l".to_vec(), b"0:".repeat(MAX_TOKENS as usize), b"e".to_vec()].concat(),
            [Yes, No, No],
            "BEP 3 sets no limit; both stop at two million",
        ),
    ]
}

const HASH: &str = "20:xxxxxxxxxxxxxxxxxxxx";

/// A torrent file around an info dictionary.
fn around(info: &[u8]) -> Vec<u8> {
    [b"d8:announce8:http://t4:info", info, b"e"].concat()
}

/// One of a single file of five bytes: its keys with what they have, in place of what is sound. An empty one is left
/// out.
fn single(changes: &[(&str, &[u8])]) -> Vec<u8> {
    let sound: [(&str, &[u8]); 4] =
        [("length", b"i5e"), ("name", b"1:f"), ("piece length", b"i16384e"), ("pieces", HASH.as_bytes())];
    let mut keys: std::collections::BTreeMap<&str, &[u8]> = sound.into();
    keys.extend(changes.iter().copied());
    let mut info = b"d".to_vec();
    for (key, value) in keys.iter().filter(|(_, value)| !value.is_empty()) {
        info.extend_from_slice(format!("{}:{key}", key.len()).as_bytes());
        info.extend_from_slice(value);
    }
    info.push(b'e');
    around(&info)
}

/// One of files of three and two bytes, with these paths.
fn folder(paths: [&[u8]; 2]) -> Vec<u8> {
    let [one, two] = paths;
    let files = [b"ld6:lengthi3e4:path", one, b"ed6:lengthi2e4:path", two, b"ee"].concat();
    single(&[("length", b""), ("name", b"1:d"), ("files", &files)])
}

fn torrents() -> Vec<Row> {
    let t = |what, bytes: Vec<u8>, says, why| row(Torrent, what, bytes, says, why);
    let key = |what, changes: &[(&str, &[u8])], says, why| row(Torrent, what, single(changes), says, why);
    let sound = single(&[]);
    let swapped = b"d6:lengthi5e12:piece lengthi16384e4:name1:f6:pieces20:xxxxxxxxxxxxxxxxxxxxe";
    let twice = b"d6:lengthi5e6:lengthi5e4:name1:f12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe";
    let deep = [b"l".repeat(200), b"e".repeat(200)].concat();
    vec![
        t("a single file", sound.clone(), [Yes; 3], ""),
        t("a folder", folder([b"l1:ae", b"l1:b1:ce"]), [Yes; 3], ""),
        t("a newline after the file", [sound.clone(), b"\n".to_vec()].concat(), [No, No, Yes], TAIL),
        t("keys of the info dictionary out of order", around(swapped), [No, No, Yes], ORDER),
        t("a key of the info dictionary twice", around(twice), [Nothing, No, Yes], TWICE),
        t(
            "a leading zero outside of the info dictionary",
            [b"d3:fooi007e", &sound[1..]].concat(),
            [No, No, Yes],
            DIGITS,
        ),
        key("a leading zero in the info dictionary", &[("x", b"i007e")], [No, No, Yes], DIGITS),
        key("an unknown key nested 200 deep", &[("x", &deep)], [Yes, No, No], DEPTH),
        t("a list for a file", b"le".to_vec(), [No; 3], ""),
        t("no info dictionary", b"d8:announce8:http://te".to_vec(), [No; 3], ""),
        t("a list for the info dictionary", around(b"le"), [No; 3], ""),
        key("no name", &[("name", b"")], [No; 3], ""),
        key("no piece length", &[("piece length", b"")], [No; 3], ""),
        key("no pieces", &[("pieces", b"")], [No; 3], ""),
        key("neither length nor files", &[("length", b"")], [No; 3], ""),
        key(
            "length and files",
            &[("files", b"ld6:lengthi5e4:pathl1:aeee")],
            [No, No, Yes],
            "one of both, says BEP 3; libtorrent looks at the files",
        ),
        key(
            "no files",
            &[("length", b""), ("files", b"le")],
            [Nothing, No, No],
            "there is nothing to be had",
        ),
        key(
            "no bytes at all",
            &[("length", b"i0e"), ("pieces", b"0:")],
            [Nothing, No, No],
            "there is nothing to be had",
        ),
        key("a negative length", &[("length", b"i-5e")], [No; 3], ""),
        key("a length that is a string", &[("length", b"1:5")], [No; 3], ""),
        key("more length than pieces", &[("length", b"i4611686018427387904e")], [No; 3], ""),
        key("a piece length of zero", &[("piece length", b"i0e")], [No; 3], ""),
        key("a negative piece length", &[("piece length", b"i-16384e")], [No; 3], ""),
        key(
            "a piece length of 1 TiB",
            &[("piece length", b"i1099511627776e")],
            [Yes, No, No],
            "BEP 3 sets no limit; we stop at 256 MiB, libtorrent short of 1 GiB",
        ),
        key("a hash too few", &[("length", b"i16385e")], [No; 3], ""),
        key(
            "a hash too many",
            &[("pieces", b"40:xxxxxxxxxxxxxxxxxxxxyyyyyyyyyyyyyyyyyyyy")],
            [No, No, No],
            "",
        ),
        key("half a hash", &[("pieces", b"30:xxxxxxxxxxxxxxxxxxxxyyyyyyyyyy")], [No; 3], ""),
        key("pieces that are a number", &[("pieces", b"i1e")], [No; 3], ""),
        key(
            "version 2 alone",
            &[
                ("meta version", b"i2e"),
                ("length", b""),
                ("pieces", b""),
                ("file tree", b"d1:fd0:d6:lengthi5e11:pieces root32:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxeee"),
            ],
            [No, No, Yes],
            "BEP 52, which we do not speak",
        ),
        key("an empty name", &[("name", b"0:")], [Nothing, No, No], ELSEWHERE),
        key("a name that leads up", &[("name", b"2:..")], [Nothing, No, No], ELSEWHERE),
        key("a name with a separator", &[("name", b"3:a/b")], [Nothing, No, Yes], CLEANED),
        key("an absolute name", &[("name", b"4:/etc")], [Nothing, No, Yes], CLEANED),
        key("a name with a NUL", &[("name", b"3:a\0b")], [Nothing, No, Yes], CLEANED),
        key(
            "a name that is not UTF-8",
            &[("name", b"2:\xff\xfe")],
            [No, No, Yes],
            "BEP 3 asks for UTF-8; libtorrent replaces what is not",
        ),
        key(
            "a name of a thousand bytes",
            &[("name", &[b"1000:".to_vec(), vec![b'n'; 1000]].concat())],
            [Nothing, No, Yes],
            "no file system takes it; libtorrent cuts it",
        ),
        t("a path that leads up", folder([b"l2:..2:..3:etce", b"l1:be"]), [Nothing, No, Yes], CLEANED),
        t("a path with an empty part", folder([b"l0:1:ae", b"l1:be"]), [Nothing, No, Yes], CLEANED),
        t("an empty path", folder([b"le", b"l1:be"]), [No; 3], ""),
        t("a path that is a string", folder([b"1:a", b"l1:be"]), [No; 3], ""),
        t(
            "a path twice",
            folder([b"l1:ae", b"l1:ae"]),
            [Nothing, No, Yes],
            "libtorrent gives one of them another name",
        ),
        t(
            "a file that is a folder too",
            folder([b"l1:ae", b"l1:a1:be"]),
            [Nothing, No, Yes],
            "libtorrent gives one of them another name",
        ),
    ]
}

/// All of it.
pub fn all() -> Vec<Row> {
    bencode().into_iter().chain(torrents()).collect()
}
