//! What is printed for people: words for counts, and text made safe for a terminal.

use std::io::{self, Write as _};

/// `1 run`, `2 runs`.
pub fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Says something beside the output. That it cannot be said is no reason to stop.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text from outside without control characters, which a terminal would obey.
pub fn safe(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// A size with a binary unit and the bytes, as in `1.5 MiB (1572864 bytes)`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, None);
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = Some(name);
    }
    match unit {
        None => counted(bytes, "byte"),
        Some(unit) if value.fract() == 0.0 => format!("{value} {unit} ({bytes} bytes)"),
        Some(unit) => format!("{value:.2} {unit} ({bytes} bytes)"),
    }
}

/// Text in lines of at most `width` characters, each after `indent` blanks.
pub fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut length = width;
    for word in text.split_whitespace() {
        let needed = word.chars().count() + 1;
        if length + needed > width {
            out.push_str(if out.is_empty() { "" } else { "\n" });
            out.push_str(&" ".repeat(indent));
            out.push_str(word);
            length = indent + needed - 1;
        } else {
            out.push(' ');
            out.push_str(word);
            length += needed;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_in_words() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(16384), "16 KiB (16384 bytes)");
        assert_eq!(size(1_600_000), "1.53 MiB (1600000 bytes)");
        assert_eq!((counted(1, "run"), counted(0, "run")), ("1 run".to_owned(), "0 runs".to_owned()));
    }

    #[test]
    fn text_is_wrapped_and_cleaned() {
        assert_eq!(wrapped("one two three", 2, 9), "  one two\n  three");
        assert_eq!(safe("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
