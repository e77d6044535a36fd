//! Torrents to test with.

use std::path::Path;

use engine::Metainfo;
use engine::bencode::Item;
use sha1::{Digest, Sha1};

/// Bytes that look random and are the same each time for one `seed`.
pub fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A file of a torrent.
pub struct Part {
    pub path: &'static str,
    pub length: usize,
    pub attr: &'static str,
}

pub fn part(path: &'static str, length: usize) -> Part {
    Part { path, length, attr: "" }
}

/// What a torrent is made of.
pub struct Made {
    pub metainfo: Metainfo,
    /// All bytes, padding included.
    pub content: Vec<u8>,
}

#[derive(Default)]
pub struct Extra {
    pub private: bool,
    pub trackers: Vec<Vec<String>>,
}

/// A torrent of several files; those with the attribute `p` are padding.
pub fn folder(name: &str, parts: &[Part], piece_length: u64, extra: Extra) -> Result<Made, String> {
    let mut all = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        match part.attr.contains('p') {
            true => all.resize(all.len() + part.length, 0),
            false => all.extend(content(i as u64 + 1, part.length)),
        }
    }
    let file = |part: &Part| {
        let attr = (!part.attr.is_empty()).then(|| Item::string(part.attr));
        let path = Item::List(part.path.split('/').map(Item::string).collect());
        let length = Some(Item::unsigned(part.length as u64));
        Item::dictionary([("attr", attr), ("length", length), ("path", Some(path))])
    };
    let files = Item::List(parts.iter().map(file).collect());
    make(name, all, ("files", files), piece_length, extra)
}

/// A torrent of one file.
pub fn single(name: &str, length: usize, piece_length: u64, extra: Extra) -> Made {
    let all = content(7, length);
    make(name, all, ("length", Item::unsigned(length as u64)), piece_length, extra).unwrap()
}

fn make(
    name: &str,
    all: Vec<u8>,
    what: (&str, Item),
    piece_length: u64,
    extra: Extra,
) -> Result<Made, String> {
    let hashes: Vec<u8> = all.chunks(piece_length as usize).flat_map(Sha1::digest).collect();
    let info = Item::dictionary([
        (what.0, Some(what.1)),
        ("name", Some(Item::string(name))),
        ("piece length", Some(Item::unsigned(piece_length))),
        ("pieces", Some(Item::String(hashes))),
        ("private", extra.private.then_some(Item::Integer(1))),
    ]);
    let metainfo = Metainfo::from_info(&info.to_bytes()).map_err(|error| error.to_string())?;
    Ok(Made { metainfo: Metainfo { trackers: extra.trackers, ..metainfo }, content: all })
}

impl Made {
    /// Writes the files below `root`.
    pub fn write(&self, root: &Path) {
        for file in self.metainfo.files.iter().filter(|file| !file.pad) {
            let path = file.path.iter().fold(root.to_owned(), |path, name| path.join(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.bytes_of(file)).unwrap();
        }
    }

    fn bytes_of(&self, file: &engine::metainfo::File) -> &[u8] {
        &self.content[file.offset as usize..(file.offset + file.length) as usize]
    }

    /// Holds the files below `root` against the content.
    pub fn check(&self, root: &Path) {
        for file in self.metainfo.files.iter().filter(|file| !file.pad) {
            let path = file.path.iter().fold(root.to_owned(), |path, name| path.join(name));
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(bytes.len() as u64, file.length, "{}", path.display());
            assert_eq!(Sha1::digest(&bytes), Sha1::digest(self.bytes_of(file)), "{}", path.display());
        }
    }
}
