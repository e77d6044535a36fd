//! Placeholders in setup files: `{name}` of a known name. Other braces stay, so that JSON needs no care.

use std::borrow::Cow;

use super::Share;
use super::place::Place;
use super::setup::Client;

/// A name that is none of those that are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the placeholder {{{0}}} is not known: there are {names}", names = NAMES.join(", "))]
pub struct TemplateError(String);

/// What can be filled in.
const NAMES: [&str; 15] = [
    "ip",
    "port",
    "peers",
    "control",
    "control-port",
    "dir",
    "data",
    "torrent",
    "torrent-base64",
    "magnet",
    "tracker",
    "info-hash",
    "INFO-HASH",
    "self",
    "setup",
];

/// What is filled in for one program.
pub(super) struct Values(Vec<(&'static str, String)>);

/// The parts of a text: what stays, and names.
fn parts(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(open) = rest[from..].find('{').map(|at| from + at) {
            let inside = &rest[open + 1..];
            let name = inside.find('}').map(|close| &inside[..close]);
            let name = name.filter(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
            if let Some(name) = name {
                let before = &rest[..open];
                rest = &rest[open + name.len() + 2..];
                return Some((before, Some(name)));
            }
            from = open + 1;
        }
        Some((std::mem::take(&mut rest), None))
    })
}

/// Whether every name in a text is known.
pub(super) fn check(text: &str) -> Result<(), TemplateError> {
    let odd = parts(text).filter_map(|(_, name)| name).find(|name| !NAMES.contains(name));
    odd.map_or(Ok(()), |name| Err(TemplateError(name.to_owned())))
}

/// Fills in what is known without a program that runs.
pub(super) fn fixed(text: &str, client: &Client) -> Result<String, TemplateError> {
    Values(of_client(client)).fill(text)
}

fn of_client(client: &Client) -> Vec<(&'static str, String)> {
    vec![("self", client.program.display().to_string()), ("setup", client.folder.display().to_string())]
}

impl Values {
    pub fn new(client: &Client, place: &Place, share: &Share<'_>) -> Self {
        let mut values = of_client(client);
        values.extend([
            ("ip", place.ip.to_string()),
            ("port", place.port.to_string()),
            ("peers", place.peers().to_string()),
            ("control", place.control().to_string()),
            ("control-port", place.control().port().to_string()),
            ("dir", place.folder().display().to_string()),
            ("data", place.downloads().display().to_string()),
            ("torrent", place.torrent().display().to_string()),
            ("torrent-base64", base64(share.torrent)),
            ("magnet", share.magnet.to_owned()),
            ("tracker", share.tracker.to_owned()),
            ("info-hash", share.info_hash.to_owned()),
            ("INFO-HASH", share.info_hash.to_uppercase()),
        ]);
        Self(values)
    }

    pub fn fill(&self, text: &str) -> Result<String, TemplateError> {
        let mut filled = String::with_capacity(text.len());
        for (before, name) in parts(text) {
            filled.push_str(before);
            let Some(name) = name else { continue };
            let value = self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
            filled.push_str(value.ok_or_else(|| TemplateError(name.to_owned()))?);
        }
        Ok(filled)
    }
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let used = digit <= three.len();
            text.push(if used { DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char } else { '=' });
        }
    }
    text
}

/// Text that is shown, cut to what fits.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(300) {
        Some((at, _)) => Cow::Owned(format!("{} …", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_placeholders() {
        let values = Values(vec![("ip", "1.2.3.4".to_owned()), ("port", "5".to_owned())]);
        let filled = values.fill(r#"{"a": {"b": "{ip}"}, "c": {port}, {}, "{"}"#);
        assert_eq!(filled.as_deref(), Ok(r#"{"a": {"b": "1.2.3.4"}, "c": 5, {}, "{"}"#));
        assert_eq!(check("{prot}"), Err(TemplateError("prot".to_owned())));
        assert_eq!(check(r#"{"file": 1}{"format": 1}"#), Ok(()));
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
