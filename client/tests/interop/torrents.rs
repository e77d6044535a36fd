//! Torrent files against those of another tool: the same bytes, where the format leaves no choice.

use std::process::Command;

use engine::metainfo::Builder;
use engine::{Metainfo, Seed};
use rand::Rng as _;

use crate::{Cannot, Outcome, fail, lab};

/// log2 of the piece length.
const PIECE: u32 = 18;
const TRACKER: &str = "http://tracker.example/announce";

/// A single file, and a private folder with a comment.
pub fn same_as_mktorrent() -> Outcome {
    if Command::new("mktorrent").arg("-h").output().is_err() {
        return Err(Box::new(Cannot("mktorrent is not installed".to_owned())));
    }
    let folder = lab::folder("mktorrent")?;
    let mut rng = Seed(18).rng();
    let mut random = |length: usize| {
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    let (film, first, second) = (random(3_000_000), random(100), random(600_000));
    std::fs::create_dir(folder.join("album"))?;
    std::fs::write(folder.join("film.mkv"), &film)?;
    std::fs::write(folder.join("album/a.bin"), &first)?;
    std::fs::write(folder.join("album/b.bin"), &second)?;
    let theirs = |extra: &[&str], what: &str| -> Outcome<Vec<u8>> {
        let out = format!("{what}.torrent");
        let mut command = Command::new("mktorrent");
        command.current_dir(&folder).args(["-d", "-l", &PIECE.to_string(), "-a", TRACKER, "-o", &out]);
        let output = command.args(extra).arg(what).output()?;
        match output.status.success() {
            true => Ok(std::fs::read(folder.join(out))?),
            false => fail(String::from_utf8_lossy(&output.stdout)),
        }
    };
    let ours = |builder: Builder, content: &[&[u8]], theirs: &[u8]| -> Outcome<Vec<u8>> {
        // Who made it is a choice.
        let creator = Metainfo::parse(theirs)?.created_by.unwrap_or_default();
        let builder =
            builder.piece_length(1 << PIECE).trackers(vec![vec![TRACKER.to_owned()]]).created_by(creator);
        let mut hasher = builder.hasher()?;
        content.iter().for_each(|bytes| hasher.write(bytes));
        Ok(hasher.finish()?.to_bytes())
    };
    let single = theirs(&[], "film.mkv")?;
    if ours(Builder::file("film.mkv", film.len() as u64), &[&film], &single)? != single {
        return fail("the torrent of a file differs");
    }
    let several = theirs(&["-p", "-c", "a comment"], "album")?;
    let files = [("a.bin", &first), ("b.bin", &second)];
    let files = files.map(|(name, bytes)| (vec![name.to_owned()], bytes.len() as u64)).to_vec();
    let builder = Builder::folder("album", files).private(true).comment("a comment");
    if ours(builder, &[&first, &second], &several)? != several {
        return fail("the torrent of a folder differs");
    }
    Ok(())
}
