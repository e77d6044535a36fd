//! Text from strangers that people read and nothing depends on.

/// The text of `bytes`, what is not UTF-8 replaced, cut to at most `most` bytes: a replacement has three where there
/// was one.
pub(crate) fn lossy(bytes: &[u8], most: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned();
    text.truncate(text.floor_char_boundary(most));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_no_longer_than_was_said_and_ends_with_a_whole_character() {
        assert_eq!(lossy(b"abc", 3), "abc");
        assert_eq!(lossy(b"abcd", 3), "abc");
        assert_eq!(lossy("aü".as_bytes(), 3), "aü");
        assert_eq!(lossy(&[0xff; 100], 10), "\u{fffd}".repeat(3));
        assert_eq!(lossy(b"a\xff\xffb", 5), "a\u{fffd}");
        assert_eq!(lossy(b"", 0), "");
    }
}
