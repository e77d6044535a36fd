//! Percent-encoding (RFC 3986) of raw bytes, as tracker queries (BEP 3) and magnet links (BEP 9) use it.

use std::fmt::{self, Write};

use smallvec::SmallVec;

/// Appends `bytes` to `out`; all but letters, digits and `-._~` as `%XX`.
pub(crate) fn encode(bytes: &[u8], out: &mut impl Write) -> fmt::Result {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.write_char(byte as char)?;
        } else {
            out.write_char('%')?;
            out.write_char(HEX[usize::from(byte >> 4)] as char)?;
            out.write_char(HEX[usize::from(byte & 15)] as char)?;
        }
    }
    Ok(())
}

/// What was encoded. Hashes and ids find room in it without an allocation.
pub(crate) type Decoded = SmallVec<[u8; 24]>;

/// The bytes that `text` encodes; `None` if a `%` is not followed by two hexadecimal digits. All else, `+`
/// too, stands for itself.
pub(crate) fn decode(text: &[u8]) -> Option<Decoded> {
    let mut bytes = Decoded::new();
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push((high << 4 | low) as u8);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&all, &mut text).unwrap();
        assert_eq!(decode(text.as_bytes()).unwrap().as_slice(), all);
        assert!(text.starts_with("%00%01") && text.ends_with("%FE%FF") && text.contains("xyz"));
    }

    #[test]
    fn broken_escapes_are_none() {
        for text in ["%", "%1", "a%zz", "%%41", "%+1"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"a+b%2b%2B").unwrap().as_slice(), b"a+b++");
    }
}
