//! Hostile inputs by table, and serde_bencode as the oracle for well-formed ones.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bencode::value::Value as Oracle;

use super::*;

#[test]
fn each_hostile_input_is_refused_where_it_is_wrong() {
    use Fault::*;
    for (input, at, fault) in [
        (&b""[..], 0, End),
        (b"e", 0, Byte(b'e')),
        (b"x", 0, Byte(b'x')),
        (b":", 0, Byte(b':')),
        (b"-1:a", 0, Byte(b'-')),
        (b"+3:abc", 0, Byte(b'+')),
        (b"i", 1, End),
        (b"i1", 2, End),
        (b"i-", 2, End),
        (b"ie", 1, Byte(b'e')),
        (b"i-e", 2, Byte(b'e')),
        (b"i+5e", 1, Byte(b'+')),
        (b"i 5e", 1, Byte(b' ')),
        (b"i1.5e", 2, Byte(b'.')),
        (b"i--1e", 2, Byte(b'-')),
        (b"i03e", 1, LeadingZero),
        (b"i007e", 1, LeadingZero),
        (b"i00e", 1, LeadingZero),
        (b"i-03e", 2, LeadingZero),
        (b"i-0e", 1, NegativeZero),
        (b"i9223372036854775808e", 1, Range),
        (b"i-9223372036854775809e", 1, Range),
        (b"i1111111111111111111111111111111111111111e", 1, Range),
        (b"3", 1, End),
        (b"3:ab", 0, StringLength),
        (b"5:abc", 0, StringLength),
        (b"03:abc", 0, LeadingZero),
        (b"00:", 0, LeadingZero),
        (b"1x", 1, Byte(b'x')),
        (b"99999999999:abc", 0, StringLength),
        (b"2147483652:abcd", 0, StringLength),
        (b"18446744073709551615:abc", 0, StringLength),
        (b"18446744073709551617:a", 0, StringLength),
        (b"99999999999999999999999999:a", 0, StringLength),
        (b"d", 1, End),
        (b"d1:a", 4, End),
        (b"d1:ae", 4, NoValue),
        (b"d1:ai1e", 7, End),
        (b"di1e1:ae", 1, KeyType),
        (b"di1ei2ee", 1, KeyType),
        (b"dlei2ee", 1, KeyType),
        (b"ddei2ee", 1, KeyType),
        (b"d1:b0:1:a0:e", 6, KeyOrder),
        (b"d1:bi1e1:ai2ee", 7, KeyOrder),
        (b"d1:\xff0:1:a0:e", 6, KeyOrder),
        (b"d2:aa0:1:a0:e", 7, KeyOrder),
        (b"d1:a0:1:a0:e", 6, KeyTwice),
        (b"d1:ai1e1:ai2ee", 7, KeyTwice),
        (b"d1:ad1:b0:1:a0:ee", 10, KeyOrder),
        (b"l", 1, End),
        (b"le e", 2, Trailing),
        (b"leX", 2, Trailing),
        (b"i1egarbage", 3, Trailing),
        (b"d1:ai1eeTRAIL", 8, Trailing),
    ] {
        assert_eq!(check(input), Err(BencodeError { at, fault }), "{}", input.escape_ascii());
    }
}

#[test]
fn what_is_right_is_accepted() {
    for input in [
        &b"i0e"[..],
        b"i-1e",
        b"i10e",
        b"i9223372036854775807e",
        b"i-9223372036854775808e",
        b"0:",
        b"10:0123456789",
        b"le",
        b"de",
        b"d0:0:e",
        b"d1:\x000:1:\xff0:e",
        b"d1:a0:2:aa0:e",
        b"d1:ad1:a0:e1:blee",
        b"lld1:ali1eeeee",
    ] {
        assert_eq!(check(input), Ok(()), "{}", input.escape_ascii());
    }
    let mut long = b"1048576:".to_vec();
    long.resize(8 + (1 << 20), 0);
    assert_eq!(check(&long), Ok(()));
}

#[test]
fn nesting_and_number_of_tokens_are_limited() {
    for (open, close) in [("l", "e"), ("d1:a", "e"), ("ld0:", "ee")] {
        let per = close.len();
        for levels in [100, 101, 500, 100_000, 900_000] {
            let times = levels / per;
            let closed = [open.repeat(times), "le".into(), close.repeat(times)].concat();
            let expected = if times * per < MAX_DEPTH { None } else { Some(Fault::Depth) };
            let got = check(closed.as_bytes()).err().map(|e| e.fault);
            assert_eq!(got, expected, "{levels} levels of {open}");
            let open = open.repeat(times);
            assert!(check(open.as_bytes()).is_err());
        }
    }
    assert_eq!(check(&[b"l".repeat(99), b"i1e".to_vec(), b"e".repeat(99)].concat()), Ok(()));
    let many = [b"l".to_vec(), b"0:".repeat(MAX_TOKENS as usize - 2), b"e".to_vec()].concat();
    assert_eq!(check(&many), Ok(()));
    let more = [b"l".to_vec(), b"0:".repeat(MAX_TOKENS as usize), b"e".to_vec()].concat();
    assert_eq!(check(&more).err().map(|e| e.fault), Some(Fault::Tokens));
}

#[test]
fn fifty_megabytes_of_zeros_stop_at_the_second() {
    let mut input = vec![b'0'; 50 << 20];
    input[0] = b'i';
    assert_eq!(check(&input), Err(BencodeError { at: 1, fault: Fault::LeadingZero }));
}

#[test]
fn values_are_read_by_their_type_alone() {
    let value = Value::parse(b"d1:a3:foo1:bi-7e1:cli1ed0:i2eee4:infod1:xi1ee1:z2:\xff\xfee").unwrap();
    assert_eq!(value.get("a").unwrap().string(), Some(&b"foo"[..]));
    assert_eq!(value.get("a").unwrap().text(), Some("foo"));
    assert_eq!(value.get("a").unwrap().integer(), None);
    assert!(value.get("a").unwrap().list().is_none() && value.get("a").unwrap().dictionary().is_none());
    assert_eq!(value.get("b").unwrap().integer(), Some(-7));
    assert_eq!(value.get("b").unwrap().number::<u32>(), None);
    assert_eq!(value.get("b").unwrap().string(), None);
    let items: Vec<_> = value.get("c").unwrap().list().unwrap().map(Value::encoded).collect();
    assert_eq!(items, [&b"i1e"[..], b"d0:i2ee"]);
    assert_eq!(value.get("info").unwrap().encoded(), b"d1:xi1ee");
    assert_eq!(value.get("x"), None, "a key of an inner dictionary is not ours");
    assert_eq!(value.get("z").unwrap().text(), None);
    assert_eq!(value.get("zz"), None);
    let mut none = value.get("c").unwrap().list().unwrap();
    assert_eq!(none.by_ref().count(), 2);
    assert_eq!((none.next(), none.next()), (None, None));
}

#[test]
fn a_prefix_leaves_the_rest() {
    let (value, rest) = Value::parse_prefix(b"d8:msg_typei1ee\x00payload").unwrap();
    assert_eq!(value.get("msg_type").unwrap().integer(), Some(1));
    assert_eq!(rest, b"\x00payload");
    assert!(Value::parse_prefix(b"e").is_err());
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair {
    b: i64,
    a: String,
}

#[test]
fn typed_decoding_is_behind_the_gate() {
    let pair = Pair { b: 2, a: "x".into() };
    assert_eq!(to_bytes(&pair).unwrap(), b"d1:a1:x1:bi2ee");
    assert_eq!(from_bytes::<Pair>(b"d1:a1:x1:bi2ee").unwrap(), pair);
    assert!(matches!(from_bytes::<Pair>(b"li2e1:xe"), Err(DecodeError::NoDictionary)));
    assert!(matches!(from_bytes::<Pair>(b"d1:a1:xe"), Err(DecodeError::Shape(_))));
    assert!(matches!(from_bytes::<Pair>(b"d1:a1:x1:bi02ee"), Err(DecodeError::Syntax(_))));
    // 13,080 levels in an unknown field end the process of who asks serde_bencode alone.
    let deep = ["d1:a1:x1:bi2e1:c", &"l".repeat(13_080), &"e".repeat(13_080), "e"].concat();
    assert!(matches!(from_bytes::<Pair>(deep.as_bytes()), Err(DecodeError::Syntax(_))));
    assert!(matches!(to_bytes(&BTreeMap::from([("a", u64::MAX)])), Err(DecodeError::Syntax(_))));
}

fn item() -> impl Strategy<Value = Item> {
    let string = || prop::collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![any::<i64>().prop_map(Item::Integer), string().prop_map(Item::String)];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::List),
            prop::collection::btree_map(string(), inner, 0..6).prop_map(Item::Dictionary),
        ]
    })
}

/// The value read back into what it was encoded from.
fn read(value: Value<'_>) -> Item {
    if let Some(number) = value.integer() {
        Item::Integer(number)
    } else if let Some(bytes) = value.string() {
        Item::string(bytes)
    } else if let Some(items) = value.list() {
        Item::List(items.map(read).collect())
    } else {
        let entries = value.dictionary().expect("the fourth of four types");
        Item::Dictionary(entries.map(|(key, value)| (key.to_vec(), read(value))).collect())
    }
}

fn as_oracle(item: &Item) -> Oracle {
    match item {
        Item::Integer(number) => Oracle::Int(*number),
        Item::String(bytes) => Oracle::Bytes(bytes.clone()),
        Item::List(items) => Oracle::List(items.iter().map(as_oracle).collect()),
        Item::Dictionary(entries) => {
            Oracle::Dict(entries.iter().map(|(key, item)| (key.clone(), as_oracle(item))).collect())
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_bencode(item in item()) {
        let bytes = item.to_bytes();
        prop_assert_eq!(&serde_bencode::to_bytes(&as_oracle(&item)).unwrap(), &bytes);
        prop_assert_eq!(serde_bencode::from_bytes::<Oracle>(&bytes).unwrap(), as_oracle(&item));
        prop_assert_eq!(read(Value::parse(&bytes).unwrap()), item);
        for end in 0..bytes.len() {
            prop_assert!(check(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn what_passes_is_the_only_encoding(bytes in "[ilde0-3:a-]{0,24}") {
        if let Ok(value) = Value::parse(bytes.as_bytes()) {
            prop_assert_eq!(read(value).to_bytes(), bytes.as_bytes());
        }
    }

    #[test]
    fn one_changed_byte_passes_only_as_the_only_encoding(
        item in item(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = item.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((value, rest)) = Value::parse_prefix(&bytes) {
            prop_assert_eq!([read(value).to_bytes(), rest.to_vec()].concat(), bytes);
        }
    }
}
