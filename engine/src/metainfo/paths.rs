//! The names in an info dictionary, and what must not be in them.

use super::{File, MetainfoError};
use crate::bencode::Value;

use MetainfoError::{Invalid, Missing};

/// The longest component of a path, in bytes: what common file systems take.
const MAX_COMPONENT: usize = 255;
/// The most components of a path.
const MAX_COMPONENTS: usize = 64;
/// How much of a path an error shows, in characters.
const SHOWN: usize = 80;

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It has no components.
    #[error("is empty")]
    Empty,
    /// A component is empty.
    #[error("is an empty component")]
    EmptyComponent,
    /// A component is `.` or `..`.
    #[error("is a step and not a name")]
    Step,
    /// A component has `/` or `\`: it would be absolute, or two components.
    #[error("has a separator in it")]
    Separator,
    /// A component has a NUL, or another control character.
    #[error("has a control character in it")]
    Control,
    /// A component of more than 255 bytes, or a path of more than 64 components.
    #[error("is too long")]
    TooLong,
    /// It is there twice, or is both a file and a folder.
    #[error("is in the way of another file")]
    Clash,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
}

fn fault<T>(path: &str, fault: PathFault) -> Result<T, MetainfoError> {
    Err(MetainfoError::Path { path: path.chars().take(SHOWN).collect(), fault })
}

/// Whether a name may be joined to a folder.
pub(super) fn check_component(name: &str) -> Result<(), MetainfoError> {
    match name {
        "" => fault(name, PathFault::EmptyComponent),
        "." | ".." => fault(name, PathFault::Step),
        _ if name.len() > MAX_COMPONENT => fault(name, PathFault::TooLong),
        _ if name.contains(['/', '\\']) => fault(name, PathFault::Separator),
        _ if name.contains(|c: char| c.is_control()) => fault(name, PathFault::Control),
        _ => Ok(()),
    }
}

/// Whether every path is safe, and none in the way of another. Cases are told apart: on a file system that
/// does not, `A` and `a` are for the driver to see.
pub(super) fn check_files(files: &[File]) -> Result<(), MetainfoError> {
    let mut paths: Vec<_> = files.iter().filter(|file| !file.pad).map(|file| &file.path).collect();
    for path in &paths {
        if path.is_empty() {
            return fault("", PathFault::Empty);
        }
        if path.len() > MAX_COMPONENTS {
            return fault(&path.join("/"), PathFault::TooLong);
        }
        path.iter().try_for_each(|name| check_component(name))?;
    }
    // In order, what a path is in the way of comes right after it.
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        Some(pair) => fault(&pair[0].join("/"), PathFault::Clash),
        None => Ok(()),
    }
}

/// The text of `bytes`.
fn utf8(bytes: &[u8]) -> Result<String, MetainfoError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => fault(&String::from_utf8_lossy(bytes), PathFault::Encoding),
    }
}

/// The torrent's name.
pub(super) fn name(info: Value<'_>) -> Result<String, MetainfoError> {
    let name = info.get("name").ok_or(Missing("name"))?;
    let name = name.string().ok_or(Invalid("name"))?;
    let name = utf8(name)
        .or_else(|error| info.get("name.utf-8").and_then(Value::text).map(str::to_owned).ok_or(error))?;
    check_component(&name)?;
    Ok(name)
}

/// The components of a file's path, below the torrent's folder.
fn path(file: Value<'_>, key: &str) -> Result<Vec<String>, MetainfoError> {
    let components = file.get(key).ok_or(Missing("path"))?.list().ok_or(Invalid("path"))?;
    components.take(MAX_COMPONENTS + 1).map(|c| utf8(c.string().ok_or(Invalid("path"))?)).collect()
}

/// The files that an info dictionary lists, or its single one; checked.
pub(super) fn files(info: Value<'_>, name: &str) -> Result<Vec<File>, MetainfoError> {
    let length = |file: Value<'_>| {
        let length = file.get("length").map(|length| length.number().ok_or(Invalid("length")));
        length.transpose()
    };
    let attribute = |file: Value<'_>, flag| {
        // BEP 47: letters in any order, unknown ones ignored.
        file.get("attr").and_then(Value::string).is_some_and(|attr| attr.contains(&flag))
    };
    let mut files = Vec::new();
    match (length(info)?, info.get("files")) {
        (None, None) => return Err(Missing("length")),
        (Some(_), Some(_)) => return Err(Invalid("length beside its files")),
        (Some(length), None) => {
            let executable = attribute(info, b'x');
            files.push(File { path: vec![name.to_owned()], length, offset: 0, pad: false, executable });
        }
        (None, Some(list)) => {
            let mut offset = 0u64;
            for file in list.list().ok_or(Invalid("files"))? {
                let pad = attribute(file, b'p');
                // BEP 47: a symbolic link need not say its length. It is kept as an empty file, and not
                // followed.
                let length = match length(file)? {
                    None if attribute(file, b'l') => 0,
                    length => length.ok_or(Missing("length"))?,
                };
                let mut full = vec![name.to_owned()];
                if !pad {
                    let below = path(file, "path").or_else(|e| path(file, "path.utf-8").map_err(|_| e))?;
                    if below.is_empty() {
                        return fault("", PathFault::Empty);
                    }
                    full.extend(below);
                }
                let executable = attribute(file, b'x');
                files.push(File { path: full, length, offset, pad, executable });
                offset = offset.checked_add(length).ok_or(Invalid("total length"))?;
            }
        }
    }
    check_files(&files)?;
    Ok(files)
}
