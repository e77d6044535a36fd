//! Bencode (BEP 3), strictly: the gate for all bytes from outside.
//!
//! - What passes [`Value::parse`] is the only encoding of what it says: no leading zeros, no `-0`, integers
//!   within 64 bits with sign, keys strings in ascending order without doubles, nothing left over.
//! - No recursion and no allocation: the depth is at most [`MAX_DEPTH`], the tokens [`MAX_TOKENS`], the work
//!   linear in the input. No input makes it panic.
//! - A [`Value`] is made by the check alone, and is a view: reading it copies nothing, and what has another
//!   type than asked for is `None`, never something converted.
//!
//! Decode what a stranger sent through [`Value`]: it tells a list from a dictionary and minds no key that is
//! not text. [`from_bytes`] is for the rest; see its traps.

mod check;
mod item;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use check::{BencodeError, Fault, MAX_DEPTH, MAX_TOKENS};
pub use item::Item;
pub(crate) use item::{integer, string, string_of};

use check::{Token, Tokens};

/// Whether `bytes` are one bencoded value and nothing else.
pub fn check(bytes: &[u8]) -> Result<(), BencodeError> {
    Value::parse(bytes).map(|_| ())
}

/// One value in bytes that have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value that all of `bytes` encode.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        let (value, rest) = Self::parse_prefix(bytes)?;
        if rest.is_empty() {
            return Ok(value);
        }
        Err(BencodeError { at: bytes.len() - rest.len(), fault: Fault::Trailing })
    }

    /// The value that `bytes` begin with, and what follows it: a BEP 9 message is a dictionary and then raw
    /// bytes.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BencodeError> {
        let (value, rest) = bytes.split_at(check::value_length(bytes)?);
        Ok((Self(value), rest))
    }

    /// Its bytes, exactly as they came: what an info-hash is the hash of.
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// The number, if it is an integer.
    pub fn integer(self) -> Option<i64> {
        match self.tokens().next() {
            Ok(Token::Integer(number)) => Some(number),
            _ => None,
        }
    }

    /// The integer as another type, if it is one and fits.
    pub fn number<T: TryFrom<i64>>(self) -> Option<T> {
        self.integer()?.try_into().ok()
    }

    /// The bytes, if it is a string.
    pub fn string(self) -> Option<&'a [u8]> {
        match self.tokens().next() {
            Ok(Token::String(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The text, if it is a string of UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// The items, if it is a list.
    pub fn list(self) -> Option<Items<'a>> {
        (self.0.first() == Some(&b'l')).then(|| Items(self.inside()))
    }

    /// The keys and values in ascending order of keys, if it is a dictionary.
    pub fn dictionary(self) -> Option<Entries<'a>> {
        (self.0.first() == Some(&b'd')).then(|| Entries(self.inside()))
    }

    /// The value of `key`, if it is a dictionary that has it. Reads through the keys before it.
    pub fn get(self, key: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let key = key.as_ref();
        self.dictionary()?.find(|(k, _)| *k >= key).filter(|(k, _)| *k == key).map(|(_, value)| value)
    }

    fn tokens(self) -> Tokens<'a> {
        Tokens::new(self.0)
    }

    /// Past the first byte of a list or a dictionary.
    fn inside(self) -> Tokens<'a> {
        let mut tokens = self.tokens();
        let _opening = tokens.next();
        tokens
    }
}

/// The items of a list.
#[derive(Clone, Debug)]
pub struct Items<'a>(Tokens<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;
    fn next(&mut self) -> Option<Value<'a>> {
        self.0.skip_value().map(Value)
    }
}

/// The keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'a>(Tokens<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], Value<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        let key = Value(self.0.skip_value()?).string()?;
        Some((key, Value(self.0.skip_value()?)))
    }
}

/// Why bytes do not decode into a type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are not bencode.
    #[error(transparent)]
    Syntax(#[from] BencodeError),
    /// They are bencode of something that is no dictionary.
    #[error("a dictionary was due")]
    NoDictionary,
    /// They are a dictionary of another shape.
    #[error("a dictionary of another shape was due")]
    Shape(#[from] serde_bencode::Error),
}

/// Decodes a dictionary, once it has passed the gate, by way of serde.
///
/// Traps that come with serde_bencode: a dictionary with any key that is not UTF-8 is an error even if the
/// key is unknown, and a *nested* list is taken for a struct's fields in order. Where that matters, walk the
/// [`Value`].
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    Value::parse(bytes)?.dictionary().ok_or(DecodeError::NoDictionary)?;
    Ok(serde_bencode::from_bytes(bytes)?)
}

/// Encodes by way of serde, keys sorted. Fails on what bencode has no form for: floats, `None` outside a
/// skipped field, integers outside 64 bits with sign. [`Item`] is the form that cannot fail.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, DecodeError> {
    let bytes = serde_bencode::to_bytes(value)?;
    check(&bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
