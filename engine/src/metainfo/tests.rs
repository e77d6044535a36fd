//! A vector built by hand, what is made parsing back, and hostile files by table.

use proptest::prelude::*;
use sha1::{Digest, Sha1};

use super::*;

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

#[test]
fn the_file_is_what_was_written_by_hand() {
    let trackers =
        vec![vec!["http://a/announce".to_owned(), "http://b/announce".into()], vec!["udp://c:1".into()]];
    let files = vec![(path("x"), 3), (path("empty"), 0), (path("sub/y"), 2)];
    let mut hasher = Builder::folder("dir", files)
        .piece_length(4)
        .private(true)
        .trackers(trackers)
        .comment("hi")
        .created_by("swarmlab")
        .creation_date(1_700_000_000)
        .hasher()
        .unwrap();
    hasher.write(b"ab");
    hasher.write(b"");
    hasher.write(b"cde");
    let made = hasher.finish().unwrap();
    let info = [
        &b"d5:filesld6:lengthi3e4:pathl1:xeed6:lengthi0e4:pathl5:emptyee\
           d6:lengthi2e4:pathl3:sub1:yeee4:name3:dir12:piece lengthi4e6:pieces40:"[..],
        &Sha1::digest(b"abcd"),
        &Sha1::digest(b"e"),
        b"7:privatei1ee",
    ]
    .concat();
    let expected = [
        &b"d8:announce17:http://a/announce13:announce-listll17:http://a/announce17:http://b/announcee\
           l9:udp://c:1ee7:comment2:hi10:created by8:swarmlab13:creation datei1700000000e4:info"[..],
        &info,
        b"e",
    ]
    .concat();
    assert_eq!(made.to_bytes(), expected, "{}", made.to_bytes().escape_ascii());
    assert_eq!(made.info_hash, InfoHash(Sha1::digest(&info).into()));
    let parsed = Metainfo::parse(&expected).unwrap();
    assert_eq!(parsed, made);
    assert_eq!(Metainfo::from_info(&info).unwrap().torrent(), parsed.torrent());
    assert!(parsed.torrent().private);
    let offsets: Vec<_> = parsed.files.iter().map(|f| (f.path.join("/"), f.offset, f.length)).collect();
    assert_eq!(offsets, [("dir/x".into(), 0, 3), ("dir/empty".into(), 3, 0), ("dir/sub/y".to_owned(), 3, 2)]);
}

#[test]
fn a_single_file_has_its_own_form() {
    let mut hasher =
        Builder::file("f", 5).piece_length(5).trackers(vec![vec!["http://t".into()]]).hasher().unwrap();
    hasher.write(b"hello");
    let made = hasher.finish().unwrap();
    let info =
        [&b"d6:lengthi5e4:name1:f12:piece lengthi5e6:pieces20:"[..], &Sha1::digest(b"hello"), b"e"].concat();
    assert_eq!(made.to_bytes(), [&b"d8:announce8:http://t4:info"[..], &info, b"e"].concat());
    assert_eq!(Metainfo::parse(&made.to_bytes()).unwrap(), made);
    assert_eq!(made.files[0].path, ["f"]);
}

#[test]
fn the_wrong_amount_of_content_is_refused() {
    for (content, got) in [(&b"hell"[..], 4), (b"hello!", 6)] {
        let mut hasher = Builder::file("f", 5).hasher().unwrap();
        hasher.write(content);
        assert_eq!(hasher.finish().unwrap_err(), MetainfoError::Content { got, expected: 5 });
    }
    let nothing = Builder::folder("d", vec![(path("a"), 0)]).hasher();
    assert_eq!(nothing.unwrap_err(), MetainfoError::Layout(LayoutError::Empty));
    let huge = Builder::folder("d", vec![(path("a"), u64::MAX), (path("b"), 1)]).hasher();
    assert_eq!(huge.unwrap_err(), Invalid("total length"));
    let url = |url: String| Builder::file("f", 5).trackers(vec![vec![url]]).hasher().err();
    assert_eq!(url(String::new()), Some(Invalid("tracker URL")));
    assert_eq!(url("x".repeat(2049)), Some(Invalid("tracker URL")));
    let talk = Builder::file("f", 5).comment("x".repeat(8193)).hasher();
    assert_eq!(talk.unwrap_err(), Invalid("comment"));
    let fault = PathFault::Step;
    let escape = Builder::folder("d", vec![(path("../b"), 1)]).hasher();
    assert_eq!(escape.unwrap_err(), MetainfoError::Path { path: "..".into(), fault });
}

#[test]
fn the_automatic_piece_length_follows_its_table() {
    const MIB: u64 = 1 << 20;
    for (total, length) in [
        (1, 16 << 10),
        (32 * MIB, 16 << 10),
        (32 * MIB + 1, 32 << 10),
        (1024 * MIB, 512 << 10),
        (16 * 1024 * MIB, 8 * MIB),
        (16 * 1024 * MIB + 1, 16 * MIB),
        (32 * MIB * MIB, 16 * MIB),
        (32 * MIB * MIB + 1, 32 * MIB),
    ] {
        assert_eq!(automatic_piece_length(total), length, "{total}");
        assert!(Layout::new(total, length).is_ok());
    }
}

/// A metainfo whose info dictionary has these entries, given as bencode in order.
fn parse(info: &str) -> Result<Metainfo, MetainfoError> {
    Metainfo::parse(format!("d4:infod{info}ee").as_bytes())
}

/// The files of a torrent in one piece, given as bencode.
fn parse_files(files: &str) -> Result<Metainfo, MetainfoError> {
    parse(&format!("5:filesl{files}e4:name1:d12:piece lengthi9e6:pieces20:aaaaaaaaaaaaaaaaaaaa"))
}

/// One file of one byte, with this path.
fn file(path: &[&str]) -> String {
    let path: String = path.iter().map(|c| format!("{}:{c}", c.len())).collect();
    format!("d6:lengthi1e4:pathl{path}ee")
}

#[test]
fn faults_of_the_info_dictionary_are_named() {
    let good = "6:lengthi5e4:name1:f12:piece lengthi4e6:pieces40:aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb";
    assert_eq!(parse(good).unwrap().piece_hashes, [[b'a'; 20], [b'b'; 20]]);
    for (from, to, error) in [
        ("6:lengthi5e", "", Missing("length")),
        ("6:length", "5:filesle6:length", Invalid("length beside its files")),
        ("lengthi5e", "lengthi-5e", Invalid("length")),
        ("lengthi5e", "length1:5", Invalid("length")),
        ("lengthi5e", "lengthi0e", MetainfoError::Layout(LayoutError::Empty)),
        ("lengthi5e", "lengthi9e", MetainfoError::Pieces { got: 40, expected: 60 }),
        ("lengthi5e", "lengthi4e", MetainfoError::Pieces { got: 40, expected: 20 }),
        ("lengthi4e", "lengthi0e", MetainfoError::Layout(LayoutError::PieceLength(0))),
        ("lengthi4e", "lengthi-4e", Invalid("piece length")),
        (
            "lengthi4e",
            "lengthi9223372036854775807e",
            MetainfoError::Layout(LayoutError::PieceLength(i64::MAX as u64)),
        ),
        (
            "lengthi5e",
            "lengthi9223372036854775807e",
            MetainfoError::Layout(LayoutError::TooManyPieces(1 << 61)),
        ),
        ("pieces40:a", "pieces39:", MetainfoError::Pieces { got: 39, expected: 40 }),
        ("4:name1:f", "", Missing("name")),
        ("1:f", "i1e", Invalid("name")),
        ("12:piece lengthi4e", "", Missing("piece length")),
        ("1:f", "2:..", MetainfoError::Path { path: "..".into(), fault: PathFault::Step }),
        ("1:f", "0:", MetainfoError::Path { path: "".into(), fault: PathFault::EmptyComponent }),
        ("1:f", "4:/etc", MetainfoError::Path { path: "/etc".into(), fault: PathFault::Separator }),
    ] {
        assert_eq!(parse(&good.replacen(from, to, 1)).err(), Some(error), "{to}");
    }
    let v2 = "12:meta versioni2e4:name1:f6:lengthi1e".replace("6:lengthi1e", "12:piece lengthi4e");
    assert_eq!(parse(&format!("6:lengthi1e{v2}")), Err(MetainfoError::OnlyVersion2));
    for root in ["le", "d4:infolee", "d4:infoi1ee"] {
        assert!(matches!(Metainfo::parse(root.as_bytes()), Err(Invalid(_))), "{root}");
    }
    assert_eq!(Metainfo::parse(b"de"), Err(Missing("info dictionary")));
    assert!(matches!(Metainfo::parse(b"d4:infod1:b0:1:a0:ee"), Err(MetainfoError::Syntax(_))));
    assert_eq!(Metainfo::parse(&vec![0; MAX_TORRENT + 1]), Err(MetainfoError::TooLarge(MAX_TORRENT + 1)));
}

#[test]
fn no_path_leaves_the_folder_or_meets_another() {
    use PathFault::*;
    let long = "x".repeat(300);
    let deep = vec!["a"; 70];
    for (paths, fault) in [
        (vec![&["..", "x"][..]], Step),
        (vec![&["a", "..", "b"]], Step),
        (vec![&["."]], Step),
        (vec![&[""]], EmptyComponent),
        (vec![&["", "etc"]], EmptyComponent),
        (vec![&[]], Empty),
        (vec![&["/etc/passwd"]], Separator),
        (vec![&["a\\b"]], Separator),
        (vec![&["C:\\x"]], Separator),
        (vec![&["a\0b"]], Control),
        (vec![&["a\nb"]], Control),
        (vec![&[long.as_str()]], TooLong),
        (vec![&deep], TooLong),
        (vec![&["a"], &["b"], &["a"]], Clash),
        (vec![&["a"], &["a!"], &["a", "b"]], Clash),
        (vec![&["a", "b", "c"], &["x"], &["a", "b"]], Clash),
    ] {
        let files: String = paths.iter().map(|path| file(path)).collect();
        match parse_files(&files) {
            Err(MetainfoError::Path { fault: got, path }) => {
                assert_eq!(got, fault, "{paths:?}");
                assert!(path.chars().count() <= 80);
            }
            other => panic!("{paths:?}: {other:?}"),
        }
    }
    assert!(parse_files(&[file(&["a", "b"]), file(&["a", "c"]), file(&["ab"])].concat()).is_ok());
    let over = "d6:lengthi9223372036854775807e4:pathl1:aeed6:lengthi9223372036854775807e4:pathl1:bee\
                d6:lengthi9223372036854775807e4:pathl1:cee";
    assert_eq!(parse_files(over), Err(Invalid("total length")));
    assert_eq!(parse_files("d6:lengthi1ee"), Err(Missing("path")));
    assert_eq!(parse_files("d4:pathl1:aee"), Err(Missing("length")));
    assert_eq!(parse_files("i1e"), Err(Missing("length")));
}

#[test]
fn pads_links_and_executables_are_told() {
    let pad = "d4:attr1:p6:lengthi2e4:pathl4:.pad1:2ee";
    let link = "d4:attr1:l4:pathl1:le12:symlink pathl2:..1:xee";
    let run = "d4:attr2:hx6:lengthi1e4:pathl1:ree";
    let got = parse_files(&[run, pad, run.replace("1:re", "1:se").as_str(), pad, link].concat()).unwrap();
    let files: Vec<_> = got.files.iter().map(|f| (f.offset, f.length, f.pad, f.executable)).collect();
    assert_eq!(
        files,
        [
            (0, 1, false, true),
            (1, 2, true, false),
            (3, 1, false, true),
            (4, 2, true, false),
            (6, 0, false, false)
        ]
    );
}

#[test]
fn names_that_are_not_utf_8_need_another() {
    let torrent = |extra: &[u8]| {
        let head = b"d4:infod6:lengthi1e4:name2:\xff\xfe";
        [&head[..], extra, b"12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"].concat()
    };
    let fault = PathFault::Encoding;
    let path = "\u{fffd}\u{fffd}".to_owned();
    assert_eq!(Metainfo::parse(&torrent(b"")), Err(MetainfoError::Path { path, fault }));
    assert_eq!(Metainfo::parse(&torrent(b"10:name.utf-83:abc")).unwrap().name, "abc");
}

#[test]
fn trackers_come_in_tiers() {
    let info = "4:infod6:lengthi1e4:name1:f12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    for (head, expected) in [
        ("", vec![]),
        ("8:announce1:a", vec![vec!["a"]]),
        ("8:announcei1e", vec![]),
        ("8:announce1:a13:announce-listll1:bel1:c1:dee", vec![vec!["b"], vec!["c", "d"]]),
        ("8:announce1:a13:announce-listllei1el0:ee", vec![vec!["a"]]),
        ("8:announce1:a13:announce-list1:x", vec![vec!["a"]]),
    ] {
        let parsed = Metainfo::parse(format!("d{head}{info}e").as_bytes());
        assert_eq!(parsed.unwrap().trackers, expected, "{head}");
    }
    let many = format!("13:announce-listl{}e", "l1:xe".repeat(1000));
    let parsed = Metainfo::parse(format!("d{many}{info}e").as_bytes()).unwrap();
    assert_eq!(parsed.trackers.len(), MAX_TRACKERS);
}

proptest! {
    #[test]
    fn what_is_made_parses_back(
        lengths in prop::collection::vec(0u64..3000, 1..6),
        piece_length in 1u64..700,
        slices in prop::collection::vec(1usize..900, 1..4),
        private in any::<bool>(),
        comment in prop::option::of(".{0,20}"),
    ) {
        let total: u64 = lengths.iter().sum();
        prop_assume!(total > 0);
        let content: Vec<u8> = (0..total).map(|i| (i * 31 % 251) as u8).collect();
        let files = lengths.iter().enumerate().map(|(i, &length)| (path(&format!("d/{i}")), length)).collect();
        let mut builder = Builder::folder("päck", files).piece_length(piece_length).private(private);
        if let Some(comment) = comment {
            builder = builder.comment(comment);
        }
        let mut hasher = builder.hasher().unwrap();
        let mut rest = content.as_slice();
        for slice in slices.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*slice).min(rest.len()));
            hasher.write(now);
            rest = later;
        }
        let made = hasher.finish().unwrap();
        let expected: Vec<[u8; 20]> =
            content.chunks(piece_length as usize).map(|piece| Sha1::digest(piece).into()).collect();
        prop_assert_eq!(&made.piece_hashes, &expected);
        prop_assert_eq!(Metainfo::parse(&made.to_bytes()).unwrap(), made);
    }

    #[test]
    fn no_file_breaks_it(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = b"d8:announce1:a4:infod5:filesld4:attr1:p6:lengthi3eed6:lengthi3e4:pathl1:xeee4:name3:dir\
                          12:piece lengthi9e6:pieces20:aaaaaaaaaaaaaaaaaaaaee".to_vec();
        prop_assert!(Metainfo::parse(&bytes).is_ok());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Metainfo::parse(&bytes);
    }
}
