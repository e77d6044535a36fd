//! Which protocol a tracker's URL asks for, so that a driver can choose: HTTP(S) or UDP. [`Tiers`](super::Tiers)
//! hands out URLs of every kind side by side (BEP 12).

/// A tracker's URL, as far as the choice of a protocol needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerUrl<'a> {
    /// `http://`: the query goes by GET (BEP 3).
    Http(&'a str),
    /// `https://`: the same over TLS.
    Https(&'a str),
    /// `udp://`: [`udp::Client`](super::udp::Client) (BEP 15).
    Udp(UdpUrl<'a>),
}

/// The parts of a `udp://` URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpUrl<'a> {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: &'a str,
    /// The port; there is no default one.
    pub port: u16,
    /// Path and query, sent to the tracker with each announce (BEP 41); `""` if there are none.
    pub path: &'a str,
}

impl<'a> TrackerUrl<'a> {
    /// Reads the scheme, and of UDP the parts. `None`: another scheme (`wss`, say), or no host or port above 0
    /// where one is due.
    pub fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if scheme.eq_ignore_ascii_case("http") {
            return (!rest.is_empty()).then_some(Self::Http(url));
        }
        if scheme.eq_ignore_ascii_case("https") {
            return (!rest.is_empty()).then_some(Self::Https(url));
        }
        if !scheme.eq_ignore_ascii_case("udp") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next()?;
        let (host, port) = authority.rsplit_once(':')?;
        let host = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|&port| digits && port != 0)?;
        (!host.is_empty()).then_some(Self::Udp(UdpUrl { host, port, path }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schemes_and_parts() {
        let udp = |host, port, path| Some(TrackerUrl::Udp(UdpUrl { host, port, path }));
        for (url, expected) in [
            ("udp://tracker.org:80/dir?a=b&c=d#x", udp("tracker.org", 80, "/dir?a=b&c=d")),
            ("UDP://1.2.3.4:6969", udp("1.2.3.4", 6969, "")),
            ("udp://[2001:db8::1]:1/announce", udp("2001:db8::1", 1, "/announce")),
            ("udp://h:1?x", udp("h", 1, "?x")),
            ("udp://tracker.org/announce", None),
            ("udp://tracker.org:0", None),
            ("udp://tracker.org:+1", None),
            ("udp://tracker.org:70000", None),
            ("udp://:80", None),
            ("udp://[::1:80", None),
            ("Http://t/announce", Some(TrackerUrl::Http("Http://t/announce"))),
            ("https://t/announce", Some(TrackerUrl::Https("https://t/announce"))),
            ("wss://t/announce", None),
            ("t/announce", None),
            ("", None),
        ] {
            assert_eq!(TrackerUrl::parse(url), expected, "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(udp://)?[a\\[\\]:/?#0-9é]{0,20}") {
            let _ = TrackerUrl::parse(&text);
        }
    }
}
