//! What is to be encoded. Keys come out sorted and single by construction, and nothing can fail.

use std::collections::BTreeMap;

/// A value to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    String(Vec<u8>),
    /// A list.
    List(Vec<Item>),
    /// A dictionary.
    Dictionary(BTreeMap<Vec<u8>, Item>),
}

impl Item {
    /// A dictionary of those entries that have a value. Of a key that is named twice, the last counts.
    pub fn dictionary<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, Option<Item>)>) -> Self {
        let present = entries.into_iter().filter_map(|(key, item)| Some((key.as_ref().to_vec(), item?)));
        Self::Dictionary(present.collect())
    }

    /// An integer; what is over 2⁶³ - 1 becomes that.
    pub fn unsigned(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A string.
    pub fn string(bytes: impl AsRef<[u8]>) -> Self {
        Self::String(bytes.as_ref().to_vec())
    }

    /// As bencode.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(&mut out);
        out
    }

    /// Appends it to `out` as bencode.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Integer(number) => integer(*number, out),
            Self::String(bytes) => string(bytes, out),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.encode(out));
                out.push(b'e');
            }
            Self::Dictionary(entries) => {
                out.push(b'd');
                for (key, item) in entries {
                    string(key, out);
                    item.encode(out);
                }
                out.push(b'e');
            }
        }
    }
}

/// Appends an integer.
pub(crate) fn integer(number: i64, out: &mut Vec<u8>) {
    out.push(b'i');
    print(number, out);
    out.push(b'e');
}

/// Appends a string.
pub(crate) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    string_of(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends what a string of so many bytes begins with; they are to follow.
pub(crate) fn string_of(length: usize, out: &mut Vec<u8>) {
    print(length, out);
    out.push(b':');
}

fn print(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
