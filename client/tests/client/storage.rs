use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use client::storage::{FileStamp, LayoutFault, OpenFiles, ResumeData, ResumeError, Storage};
use engine::Bitfield;
use engine::bencode::Item;
use tempfile::tempdir;

use crate::common::{Extra, Made, Part, content, folder, part, single};

fn pad(length: usize) -> Part {
    Part { path: ".pad/0", length, attr: "p" }
}

/// Small files, padding, an empty file, one across many pieces.
fn several() -> Made {
    let parts = [
        part("a/one", 10),
        pad(90),
        part("a/empty", 0),
        part("b/two", 1234),
        Part { path: "run", length: 77, attr: "x" },
        part("last", 1),
    ];
    folder("several", &parts, 100, Extra::default()).unwrap()
}

fn storage(made: &Made, root: &Path, limit: usize) -> Storage {
    Storage::new(&made.metainfo, root, Arc::new(OpenFiles::new(limit))).unwrap()
}

#[test]
fn what_is_written_lies_where_the_metainfo_says_and_padding_is_not_stored() {
    let (made, dir) = (several(), tempdir().unwrap());
    for limit in [1, 2, 100] {
        let root = dir.path().join(limit.to_string());
        let storage = storage(&made, &root, limit);
        storage.prepare().unwrap();
        assert_eq!(fs::metadata(root.join("several/a/empty")).unwrap().len(), 0);
        // In slices that fit no border, from the end.
        let step = 33;
        for at in (0..made.content.len()).step_by(step).collect::<Vec<_>>().into_iter().rev() {
            let end = made.content.len().min(at + step);
            storage.write(at as u64, &made.content[at..end]).unwrap();
        }
        made.check(&root);
        assert!(!root.join("several/.pad").exists());
        let mut read = vec![1; made.content.len()];
        storage.read(0, &mut read).unwrap();
        assert_eq!(read, made.content);
        for piece in storage.layout().all() {
            assert!(storage.verify(piece).unwrap(), "{piece:?}");
        }
        storage.sync().unwrap();
    }
}

#[cfg(unix)]
#[test]
fn executables_are_made_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let (made, dir) = (several(), tempdir().unwrap());
    storage(&made, dir.path(), 9).write(0, &made.content).unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join("several").join(name)).unwrap().permissions().mode();
    assert_ne!(mode("run") & 0o100, 0);
    assert_eq!(mode("last") & 0o100, 0);
}

#[test]
fn files_are_sparse_and_missing_bytes_are_no_errors_but_wrong_pieces() {
    let (made, dir) = (single("big", 64 << 20, 1 << 20, Extra::default()), tempdir().unwrap());
    let storage = storage(&made, dir.path(), 4);
    let all: Vec<_> = storage.layout().all().collect();
    assert!(!storage.anything_there());
    assert!(!storage.verify(all[0]).unwrap(), "there is no file");
    let last = 63 << 20;
    storage.write(last as u64, &made.content[last..]).unwrap();
    assert!(storage.anything_there());
    assert!(storage.verify(all[63]).unwrap());
    assert!(!storage.verify(all[0]).unwrap(), "a hole");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let data = fs::metadata(dir.path().join("big")).unwrap();
        assert_eq!(data.len(), 64 << 20);
        assert!(data.blocks() * 512 < 8 << 20, "{} blocks", data.blocks());
    }
    fs::OpenOptions::new().write(true).open(dir.path().join("big")).unwrap().set_len(70_000).unwrap();
    assert!(!storage.verify(all[63]).unwrap(), "cut short");
}

#[test]
fn names_that_only_some_systems_take_are_refused() {
    let layout = |parts: &[Part]| {
        let made = folder("t", parts, 100, Extra::default()).unwrap();
        Storage::new(&made.metainfo, Path::new("/tmp/x"), Arc::new(OpenFiles::new(1))).err()
    };
    assert_eq!(
        layout(&[part("Readme", 5), part("README", 5)]),
        Some(LayoutFault::Case("t/Readme".into(), "t/README".into()))
    );
    assert_eq!(
        layout(&[part("a", 5), part("A/b", 5)]),
        Some(LayoutFault::Case("t/a".into(), "t/A/b".into()))
    );
    assert_eq!(layout(&[part("A/b", 5), part("a", 5)]), Some(LayoutFault::Case("t/A".into(), "t/a".into())));
    assert_eq!(
        layout(&[part("A/b", 5), part("a/c", 5)]),
        Some(LayoutFault::Case("t/A".into(), "t/a/c".into()))
    );
    for name in ["NUL", "aux.c", "x/Com1", "lpt9 .txt"] {
        let name: &'static str = name;
        assert!(matches!(layout(&[part(name, 5)]), Some(LayoutFault::Device(_))), "{name}");
    }
    assert_eq!(layout(&[part("A/b", 5), part("A/c", 5), part("console", 5), part("nullify.c", 5)]), None);
    let own = single(".Swarmlab", 5, 100, Extra::default());
    let refused = Storage::new(&own.metainfo, Path::new("/tmp/x"), Arc::new(OpenFiles::new(1)));
    assert!(matches!(refused, Err(LayoutFault::Own(_))));
}

#[test]
fn what_leads_out_of_the_folder_is_refused_before_it_gets_here() {
    for name in ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "c:\\x"] {
        assert!(folder("t", &[part(name, 5)], 100, Extra::default()).is_err(), "{name}");
    }
    for clash in
        [[part("a", 1), part("a", 1)], [part("a", 1), part("a/b", 1)], [part("a/b", 1), part("a", 1)]]
    {
        assert!(folder("t", &clash, 100, Extra::default()).is_err());
    }
    let long: &'static str = "n".repeat(256).leak();
    assert!(folder("t", &[part(long, 1)], 100, Extra::default()).is_err());
    let dir = tempdir().unwrap();
    let made = folder("t", &[part(&long[..255], 300)], 100, Extra::default()).unwrap();
    storage(&made, dir.path(), 1).write(0, &made.content).unwrap();
    made.check(dir.path());
}

#[test]
fn open_files_are_bounded() {
    let parts: Vec<Part> = (0..50).map(|i| part(format!("f{i}").leak(), 100)).collect();
    let (made, dir) = (folder("many", &parts, 64, Extra::default()).unwrap(), tempdir().unwrap());
    let open = Arc::new(OpenFiles::new(7));
    let storage = Storage::new(&made.metainfo, dir.path(), open.clone()).unwrap();
    for (i, block) in made.content.chunks(60).enumerate() {
        storage.write(i as u64 * 60, block).unwrap();
        assert!(open.len() <= 7);
    }
    made.check(dir.path());
    storage.sync().unwrap();
    storage.close();
    assert!(open.is_empty());
}

#[test]
fn only_its_own_files_are_removed() {
    let (made, dir) = (several(), tempdir().unwrap());
    made.write(dir.path());
    fs::write(dir.path().join("several/a/mine"), "x").unwrap();
    storage(&made, dir.path(), 9).remove().unwrap();
    assert!(dir.path().join("several/a/mine").exists());
    assert!(!dir.path().join("several/b").exists() && !dir.path().join("several/run").exists());
    fs::remove_file(dir.path().join("several/a/mine")).unwrap();
    made.write(dir.path());
    storage(&made, dir.path(), 9).remove().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn errors_name_the_file_and_what_was_done() {
    let (made, dir) = (several(), tempdir().unwrap());
    // A file where a folder is due.
    fs::write(dir.path().join("several"), "x").unwrap();
    let error = storage(&made, dir.path(), 9).write(0, &made.content).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot write ") && text.contains("several/a/one"), "{text}");
    assert!(!error.is_full());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_apart() {
    let (made, dir) = (single("full", 5000, 1000, Extra::default()), tempdir().unwrap());
    std::os::unix::fs::symlink("/dev/full", dir.path().join("full")).unwrap();
    let error = storage(&made, dir.path(), 9).write(0, &made.content).unwrap_err();
    assert!(error.is_full(), "{error}");
}

#[test]
fn pieces_in_memory_and_in_files_have_one_verdict() {
    let (made, dir) = (several(), tempdir().unwrap());
    let storage = storage(&made, dir.path(), 9);
    storage.prepare().unwrap();
    for piece in storage.layout().all() {
        let start = piece.index() * 100;
        let bytes = &made.content[start..start + storage.layout().length_of(piece) as usize];
        let (a, b) = bytes.split_at(bytes.len() / 3);
        let blocks = [Bytes::copy_from_slice(a), Bytes::copy_from_slice(b)];
        assert!(storage.matches(piece, blocks.clone()));
        assert!(!storage.matches(piece, [blocks[0].clone()]));
        storage.write_blocks(piece, [(0, &blocks[0]), (a.len() as u32, &blocks[1])]).unwrap();
        assert!(storage.verify(piece).unwrap());
    }
    made.check(dir.path());
}

fn resume() -> ResumeData {
    let made = several();
    let mut have = Bitfield::empty(&made.metainfo.layout);
    have.insert(made.metainfo.layout.piece(3).unwrap());
    ResumeData {
        info_hash: made.metainfo.info_hash,
        pieces: have.to_wire().into(),
        files: vec![None, Some(FileStamp { length: 5, modified: 1_700_000_000_123_456_789 })],
        uploaded: 17,
        downloaded: u64::MAX >> 1,
        info: Some(made.metainfo.info),
    }
}

#[test]
fn resume_data_reads_what_it_writes_and_replaces_its_file_whole() {
    let (data, dir) = (resume(), tempdir().unwrap());
    assert_eq!(ResumeData::from_bytes(&data.to_bytes()), Ok(data.clone()));
    let path = ResumeData::path(&dir.path().join("below"), data.info_hash);
    assert_eq!(ResumeData::load(&path), Ok(None));
    data.save(&path).unwrap();
    let second = ResumeData { info: None, ..data.clone() };
    second.save(&path).unwrap();
    assert_eq!(ResumeData::load(&path), Ok(Some(second)));
    assert_eq!(fs::read_dir(dir.path().join("below")).unwrap().count(), 1, "nothing else is left there");
    let layout = several().metainfo.layout;
    assert_eq!(data.have(&layout).map(|have| have.count()), Some(1));
    assert_eq!(data.have(&engine::Layout::new(1, 1).unwrap()), None);
}

#[test]
fn bytes_that_are_no_resume_data_are_refused() {
    let good = resume().to_bytes();
    for cut in 0..good.len() {
        assert!(ResumeData::from_bytes(&good[..cut]).is_err());
    }
    let later = Item::dictionary([("version", Some(Item::Integer(2)))]).to_bytes();
    assert_eq!(ResumeData::from_bytes(&later), Err(ResumeError::Version(2)));
    assert_eq!(ResumeData::from_bytes(b"de"), Err(ResumeError::Shape("version")));
    for (at, byte) in content(3, 300).into_iter().enumerate() {
        let mut bytes = good.clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = ResumeData::from_bytes(&bytes);
    }
}
