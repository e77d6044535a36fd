//! Scrape (BEP 48): how many peers a tracker knows for a torrent, without an announce.

use std::collections::BTreeMap;

use super::reply::{Failure, ReplyError};
use super::request::{QueryError, pairs};
use crate::bencode::{Item, Value};
use crate::percent;
use crate::wire::InfoHash;

/// The most torrents that one scrape may ask for, and that one reply may hold.
pub const MAX_TORRENTS: usize = 74;

/// What a tracker counts of one torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Peers that have the whole content.
    pub complete: u32,
    /// Peers that do not.
    pub incomplete: u32,
    /// How often a peer has said that it completed.
    pub downloaded: u32,
}

/// A tracker's answer to a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrapeReply {
    /// The torrents it knows of those asked for.
    pub files: BTreeMap<InfoHash, ScrapeCounts>,
}

/// The URL to scrape at, by that to announce to: the last part of its path must begin with `announce`, which
/// becomes `scrape`. `None` if it does not: such a tracker cannot be scraped.
pub fn scrape_url(announce: &str) -> Option<String> {
    let path = announce.split(['?', '#']).next()?;
    // The path begins at the first slash after the scheme's two.
    let host = path.find("://")? + 3;
    let last = host + path.get(host..)?.rfind('/')? + 1;
    let rest = announce.get(last..)?.strip_prefix("announce")?;
    Some(format!("{}scrape{rest}", &announce[..last]))
}

/// A scrape's query, without the `?`.
pub fn scrape_query(torrents: &[InfoHash]) -> String {
    let mut query = String::new();
    for hash in torrents {
        query.push_str(if query.is_empty() { "info_hash=" } else { "&info_hash=" });
        // Writing to a string cannot fail.
        let _ = percent::encode(&hash.0, &mut query);
    }
    query
}

/// The torrents that a scrape's query asks for. One that asks for none, or for more than [`MAX_TORRENTS`],
/// is refused: a full scrape is not offered.
pub fn read_scrape_query(query: &[u8]) -> Result<Vec<InfoHash>, QueryError> {
    let pairs = pairs(query)?;
    let hashes = pairs.iter().filter(|(key, _)| key.as_slice() == b"info_hash").map(|(_, value)| {
        value.as_slice().try_into().map(InfoHash).map_err(|_| QueryError::Invalid("info_hash"))
    });
    let hashes: Vec<_> = hashes.collect::<Result<_, _>>()?;
    match hashes.len() {
        0 => Err(QueryError::Missing("info_hash")),
        1..=MAX_TORRENTS => Ok(hashes),
        _ => Err(QueryError::TooLong),
    }
}

impl ScrapeReply {
    /// As a bencoded body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let file = |(hash, counts): (&InfoHash, &ScrapeCounts)| {
            let count = |n: u32| Some(Item::Integer(n.into()));
            let counts = Item::dictionary([
                ("complete", count(counts.complete)),
                ("downloaded", count(counts.downloaded)),
                ("incomplete", count(counts.incomplete)),
            ]);
            (hash.0.to_vec(), counts)
        };
        let files = Item::Dictionary(self.files.iter().map(file).collect());
        Item::dictionary([("files", Some(files))]).to_bytes()
    }

    /// The answer that a body says. A torrent whose counts make no sense is left out, and so is what is over
    /// [`MAX_TORRENTS`].
    pub fn from_bytes(body: &[u8]) -> Result<Self, ReplyError> {
        let value = Value::parse(body)?;
        if let Some(failure) = Failure::read(value) {
            return Err(failure.into());
        }
        let files = value.get("files").and_then(Value::dictionary).ok_or(ReplyError::Shape("files"))?;
        let file = |(hash, counts): (&[u8], Value<'_>)| {
            let count = |key: &str| counts.get(key).and_then(Value::number);
            let counts = ScrapeCounts {
                complete: count("complete")?,
                incomplete: count("incomplete")?,
                downloaded: count("downloaded").unwrap_or_default(),
            };
            Some((InfoHash(hash.try_into().ok()?), counts))
        };
        Ok(Self { files: files.filter_map(file).take(MAX_TORRENTS).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_follows_from_the_last_part_of_the_path() {
        for (announce, scrape) in [
            ("http://t.org/announce", Some("http://t.org/scrape")),
            ("http://t.org:80/x/announce", Some("http://t.org:80/x/scrape")),
            ("http://t.org/announce.php", Some("http://t.org/scrape.php")),
            ("http://t.org/announce?x=2%0644/a", Some("http://t.org/scrape?x=2%0644/a")),
            ("http://t.org/a", None),
            ("http://t.org/announce/x", None),
            ("http://announce", None),
            ("announce", None),
            ("", None),
        ] {
            assert_eq!(scrape_url(announce).as_deref(), scrape, "{announce}");
        }
    }

    #[test]
    fn the_example_of_bep_48() {
        let (x, y) = (InfoHash([b'x'; 20]), InfoHash([b'y'; 20]));
        assert_eq!(scrape_query(&[x, y]), "info_hash=xxxxxxxxxxxxxxxxxxxx&info_hash=yyyyyyyyyyyyyyyyyyyy");
        assert_eq!(read_scrape_query(scrape_query(&[x, y]).as_bytes()), Ok(vec![x, y]));
        let reply = ScrapeReply {
            files: BTreeMap::from([
                (x, ScrapeCounts { complete: 11, downloaded: 13772, incomplete: 19 }),
                (y, ScrapeCounts { complete: 21, downloaded: 206, incomplete: 20 }),
            ]),
        };
        let body = b"d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee\
                     20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee";
        assert_eq!(reply.to_bytes(), body);
        assert_eq!(ScrapeReply::from_bytes(body), Ok(reply));
    }

    #[test]
    fn what_makes_no_sense_is_refused_or_left_out() {
        assert_eq!(read_scrape_query(b""), Err(QueryError::Missing("info_hash")));
        assert_eq!(read_scrape_query(b"info_hash=abc"), Err(QueryError::Invalid("info_hash")));
        let many = scrape_query(&[InfoHash([b'x'; 20]); 75]);
        assert_eq!(read_scrape_query(many.as_bytes()), Err(QueryError::TooLong));
        assert_eq!(ScrapeReply::from_bytes(b"de"), Err(ReplyError::Shape("files")));
        let body = b"d5:filesd1:xd8:completei1e10:incompletei1ee20:yyyyyyyyyyyyyyyyyyyyi1eee";
        assert_eq!(ScrapeReply::from_bytes(body), Ok(ScrapeReply::default()));
        let refused = Failure::new("no").to_bytes();
        assert_eq!(ScrapeReply::from_bytes(&refused), Err(Failure::new("no").into()));
    }
}
