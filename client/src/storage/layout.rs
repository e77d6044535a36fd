//! Which file a byte of the content is in, and whether the names can be used at all.
//!
//! The metainfo's reader has refused what leads out of the folder, what is absolute, and what is in another
//! file's way. Refused here on top is what only some file systems would take, so that a download is the same
//! wherever it goes: names that differ in case alone, and those that some systems keep for devices.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use engine::Metainfo;

/// The folder in a download folder that is ours.
pub(crate) const OWN_FOLDER: &str = ".swarmlab";

/// Names that stand for devices on Windows, whatever follows the first dot.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// One file of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies.
    pub path: PathBuf,
    /// Where its first byte is in the content.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// BEP 47: padding, which is not stored.
    pub pad: bool,
    /// BEP 47: to be made executable.
    pub executable: bool,
}

/// Why a torrent's files cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutFault {
    /// Two paths differ in case alone, or one is a file where the other needs a folder.
    #[error("the paths {0:?} and {1:?} are one where upper and lower case are not told apart")]
    Case(String, String),
    /// A name that some systems keep for a device.
    #[error("the path {0:?} has a name in it that is a device on some systems")]
    Device(String),
    /// The name of our own folder.
    #[error("the path {0:?} begins with the folder {OWN_FOLDER:?}, where resume data is kept")]
    Own(String),
    /// A path that is not safe to join.
    #[error("the path {0:?} leads out of the download folder")]
    Outside(String),
}

/// A run of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The file's number.
    pub file: usize,
    /// Where the run begins in the file.
    pub offset: u64,
    /// Its bytes, at least 1.
    pub length: u64,
}

/// The files of a torrent, in the order of their bytes.
#[derive(Clone, Debug)]
pub struct FileMap {
    files: Vec<Stored>,
    top: PathBuf,
    root: PathBuf,
}

impl FileMap {
    /// The files below `root`.
    pub fn new(metainfo: &Metainfo, root: &Path) -> Result<Self, LayoutFault> {
        check(metainfo)?;
        let stored = |file: &engine::metainfo::File| Stored {
            path: file.path.iter().fold(root.to_owned(), |path, name| path.join(name)),
            offset: file.offset,
            length: file.length,
            pad: file.pad,
            executable: file.executable,
        };
        let files = metainfo.files.iter().map(stored).collect();
        Ok(Self { files, top: root.join(&metainfo.name), root: root.to_owned() })
    }

    /// The files.
    pub fn files(&self) -> &[Stored] {
        &self.files
    }

    /// The torrent's only file, or its folder.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The folder that all lies in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The runs that hold `length` bytes of the content from `offset`, in order. Bytes past the end are left
    /// out.
    pub(crate) fn spans(&self, offset: u64, length: u64) -> impl Iterator<Item = Span> {
        let end = offset.saturating_add(length);
        let first = self.files.partition_point(|file| file.offset + file.length <= offset);
        let files = self.files.iter().enumerate().skip(first);
        files.take_while(move |(_, file)| file.offset < end).filter(|(_, file)| file.length > 0).map(
            move |(number, file)| {
                let from = offset.max(file.offset);
                let to = end.min(file.offset + file.length);
                Span { file: number, offset: from - file.offset, length: to - from }
            },
        )
    }
}

/// Whether every path may be used, whatever the file system.
fn check(metainfo: &Metainfo) -> Result<(), LayoutFault> {
    // By the path in lower case: the path itself, and whether it is a file.
    let mut seen: BTreeMap<Vec<String>, (&[String], bool)> = BTreeMap::new();
    for file in metainfo.files.iter().filter(|file| !file.pad) {
        let shown = || file.path.join("/");
        if file.path.is_empty() || file.path.iter().any(|name| !is_name(name)) {
            return Err(LayoutFault::Outside(shown()));
        }
        let folded: Vec<String> = file.path.iter().map(|name| name.to_lowercase()).collect();
        if folded.iter().any(|name| is_device(name)) {
            return Err(LayoutFault::Device(shown()));
        }
        if folded.first().is_some_and(|name| name == OWN_FOLDER) {
            return Err(LayoutFault::Own(shown()));
        }
        for depth in 1..=folded.len() {
            let (prefix, is_file) = (&file.path[..depth], depth == folded.len());
            match seen.entry(folded[..depth].to_vec()) {
                Entry::Vacant(free) => {
                    free.insert((prefix, is_file));
                }
                Entry::Occupied(taken) => {
                    let (known, known_file) = *taken.get();
                    if known != prefix || known_file || is_file {
                        return Err(LayoutFault::Case(known.join("/"), shown()));
                    }
                }
            }
        }
    }
    Ok(())
}

/// One plain name: a second look, so that no other reader of torrents can lead us astray.
fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None) if part == name)
}

fn is_device(folded: &str) -> bool {
    let stem = folded.split('.').next().unwrap_or_default().trim_end();
    DEVICES.contains(&stem)
}
