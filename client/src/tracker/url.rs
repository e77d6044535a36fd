//! `http://` URLs, as far as a GET needs them.

/// A URL to get something from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, without the brackets of IPv6.
    pub host: String,
    /// The port; 80 if the URL has none.
    pub port: u16,
    /// Path and query, beginning with a slash.
    pub path: String,
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// TLS is not spoken.
    #[error("{0:?} asks for https, which is not supported: use the tracker's http:// or udp:// address")]
    Https(String),
    /// Another scheme, or none.
    #[error("{0:?} is not of a kind that is supported (http://, udp://)")]
    Scheme(String),
    /// No host, a port that is none, or characters that no URL has.
    #[error("{0:?} is no URL that can be read")]
    Shape(String),
}

impl Url {
    /// Reads an `http://` URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let shape = || UrlError::Shape(shown(text));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::Scheme(shown(text)))?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlError::Https(shown(text)));
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme(shown(text)));
        }
        // What would end the request's line, or begin another, is no part of a URL.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(shape());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(shape)?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let port = match port.ok_or_else(shape)? {
            "" => 80,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| shape())?
            }
            _ => return Err(shape()),
        };
        if host.is_empty() || port == 0 || host.contains('@') {
            return Err(shape());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { host: host.to_owned(), port, path: format!("{slash}{path}") })
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }

    /// The same with a query more.
    pub(crate) fn with_query(mut self, query: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(query);
        self
    }

    /// Where a `Location` leads from here.
    pub(crate) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let base = format!("http://{}", self.authority());
        match location {
            _ if location.contains("://") => Self::parse(location),
            _ if location.starts_with("//") => Self::parse(&format!("http:{location}")),
            _ if location.starts_with('/') => Self::parse(&format!("{base}{location}")),
            _ => {
                let path = self.path.split('?').next().unwrap_or_default();
                let folder = &path[..=path.rfind('/').unwrap_or_default()];
                Self::parse(&format!("{base}{folder}{location}"))
            }
        }
    }
}

/// A URL in an error, cut if it is long.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_their_parts() {
        for (text, expected) in [
            ("http://t.org/announce?x=1#y", Some(("t.org", 80, "/announce?x=1"))),
            ("HTTP://t.org:6969", Some(("t.org", 6969, "/"))),
            ("http://[::1]:80/a", Some(("::1", 80, "/a"))),
            ("http://[::1]", Some(("::1", 80, "/"))),
            ("http://t.org?x", Some(("t.org", 80, "/?x"))),
            ("http://t.org:/a", Some(("t.org", 80, "/a"))),
            ("http://t.org:0/", None),
            ("http://t.org:+1/", None),
            ("http://t.org:70000/", None),
            ("http://u@t.org/", None),
            ("http:///a", None),
            ("http://[::1/a", None),
            ("http://t.org/a b", None),
            ("http://t.org/a\r\nX: y", None),
        ] {
            let parsed = Url::parse(text).ok();
            let parts = parsed.as_ref().map(|url| (url.host.as_str(), url.port, url.path.as_str()));
            assert_eq!(parts, expected, "{text}");
        }
        assert!(matches!(Url::parse("https://t/"), Err(UrlError::Https(_))));
        assert!(matches!(Url::parse("wss://t/"), Err(UrlError::Scheme(_))));
        assert!(matches!(Url::parse("t"), Err(UrlError::Scheme(_))));
    }

    #[test]
    fn redirects_lead_on() {
        let url = Url::parse("http://[::1]:81/x/announce?a=/b").unwrap();
        for (location, path) in [("/y", "/y"), ("z?q", "/x/z?q"), ("http://[::1]:81/w", "/w")] {
            let next = url.join(location).unwrap();
            assert_eq!((next.host.as_str(), next.port, next.path.as_str()), ("::1", 81, path));
        }
        assert!(url.join("https://t/").is_err());
        assert_eq!(url.clone().with_query("k=v").path, "/x/announce?a=/b&k=v");
        assert_eq!(url.authority(), "[::1]:81");
    }
}
