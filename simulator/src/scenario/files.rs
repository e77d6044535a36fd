//! The files that a scenario may name: matrices of round-trip times and traces of arrivals.
//!
//! Guarantees: at most [`MAX_BYTES`] are read, whatever the path leads to; an error names the file and the line;
//! each file is read once for a scenario, however many points its sweep has. What was read is kept as text for the
//! record, at most [`MAX_KEPT`] bytes of all files together; a file that does not fit is named instead.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::units::Time;

/// The most that is read of a file.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// The most rows of a matrix: 2048² delays are 64 MiB.
const MAX_ROWS: usize = 2048;
/// The most arrivals of a trace, as many as a run may have peers.
const MAX_ARRIVALS: usize = 2_000_000;
/// The most entries of all files that one scenario keeps.
const MAX_ENTRIES: usize = 16_000_000;
/// The most text of all files of one scenario that is kept.
const MAX_KEPT: usize = 64 << 20;
/// The least one-way delay: what the order of events needs, and what a matrix's smaller entries are raised to.
pub(super) const MIN_ONE_WAY: Duration = Duration::from_millis(1);

/// A square, symmetric matrix of one-way delays, row by row.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub rows: usize,
    pub delays: Arc<[Duration]>,
}

/// The files read so far, by the names that the scenario has for them.
#[derive(Debug)]
pub(super) struct Files {
    /// What a record holds of them.
    held: BTreeMap<String, Arc<str>>,
    /// Where those are that it does not hold; `None`: there is no telling.
    base: Option<PathBuf>,
    matrices: BTreeMap<String, Matrix>,
    /// By name and number of arrivals; the whole trace is under `usize::MAX`.
    traces: BTreeMap<(String, usize), Arc<[Duration]>>,
    /// Entries of all of these.
    entries: usize,
    kept: Kept,
    /// Bytes that may still be kept.
    room: usize,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The texts.
    pub texts: BTreeMap<String, Arc<str>>,
    /// Files whose text was too large to keep.
    pub left_out: Vec<String>,
}

impl Files {
    /// Paths count from the folder `base`.
    pub fn new(base: &Path) -> Self {
        Self::held(BTreeMap::new(), Some(base))
    }

    /// The files that a record holds; others are in the folder `base`, if that is known.
    pub fn held(held: BTreeMap<String, Arc<str>>, base: Option<&Path>) -> Self {
        Self {
            held,
            base: base.map(Path::to_owned),
            matrices: BTreeMap::new(),
            traces: BTreeMap::new(),
            entries: 0,
            kept: Kept::default(),
            room: MAX_KEPT,
        }
    }

    /// What was read, to be kept.
    pub fn into_kept(self) -> Kept {
        self.kept
    }

    /// The text of `name`, and what errors in it call it; an error is a message.
    fn text(&mut self, name: &str) -> Result<(Arc<str>, String), String> {
        let (text, shown) = match (self.held.get(name), &self.base) {
            (Some(text), _) => (Arc::clone(text), name.to_owned()),
            (None, Some(base)) => {
                let path = base.join(name);
                (read(&path, MAX_BYTES)?.into(), path.display().to_string())
            }
            (None, None) => {
                return Err(format!(
                    "the record does not hold {name}: say with --base in which folder it is"
                ));
            }
        };
        if !self.kept.texts.contains_key(name) {
            match self.room.checked_sub(text.len()) {
                Some(room) => {
                    self.room = room;
                    self.kept.texts.insert(name.to_owned(), Arc::clone(&text));
                }
                None => self.kept.left_out.push(name.to_owned()),
            }
        }
        Ok((text, shown))
    }

    /// The matrix in `name`; an error is a message.
    pub fn matrix(&mut self, name: &str) -> Result<Matrix, String> {
        if let Some(known) = self.matrices.get(name) {
            return Ok(known.clone());
        }
        let (text, shown) = self.text(name)?;
        let matrix = parse_matrix(&text).map_err(|problem| in_file(&shown, &problem))?;
        self.count(matrix.delays.len())?;
        self.matrices.insert(name.to_owned(), matrix.clone());
        Ok(matrix)
    }

    /// The times in `name`, ascending, or the first `count` of them (all, if there are fewer); an error is a
    /// message.
    pub fn trace(&mut self, name: &str, count: Option<usize>) -> Result<Arc<[Duration]>, String> {
        let key = (name.to_owned(), count.unwrap_or(usize::MAX));
        if let Some(known) = self.traces.get(&key) {
            return Ok(Arc::clone(known));
        }
        let trace = match count {
            None => {
                let (text, shown) = self.text(name)?;
                parse_trace(&text).map_err(|problem| in_file(&shown, &problem))?
            }
            Some(count) => {
                let all = self.trace(name, None)?;
                if count >= all.len() { all } else { all[..count].into() }
            }
        };
        self.count(trace.len())?;
        self.traces.insert(key, Arc::clone(&trace));
        Ok(trace)
    }

    fn count(&mut self, entries: usize) -> Result<(), String> {
        self.entries += entries;
        if self.entries > MAX_ENTRIES {
            return Err(format!(
                "the matrices and traces of all points have more than {MAX_ENTRIES} entries"
            ));
        }
        Ok(())
    }
}

fn in_file(shown: &str, (line, what): &(usize, String)) -> String {
    format!("{shown}:{line}: {what}")
}

/// The text of a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<String, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot open {shown}: {error}"))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{shown} is larger than the {} KiB that are read", limit >> 10));
    }
    String::from_utf8(bytes).map_err(|_| format!("{shown} is no UTF-8 text"))
}

/// Lines that say something, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Round-trip times in milliseconds, separated by commas, a line for each row.
fn parse_matrix(text: &str) -> Result<Matrix, (usize, String)> {
    let rows: Vec<(usize, &str)> = lines(text).collect();
    let n = rows.len();
    if n == 0 || n > MAX_ROWS {
        return Err((1, format!("{n} rows: a matrix has 1 to {MAX_ROWS}")));
    }
    let mut delays = Vec::with_capacity(n * n);
    for (row, (line, text)) in rows.iter().enumerate() {
        let before = delays.len();
        for (column, cell) in text.split(',').enumerate() {
            if column >= n {
                return Err((*line, format!("more than {n} values, though there are {n} rows")));
            }
            let ms: f64 = cell.trim().parse().map_err(|_| {
                let cell: String = cell.trim().chars().take(20).flat_map(char::escape_debug).collect();
                (*line, format!("value {}, \"{cell}\", is no number of milliseconds", column + 1))
            })?;
            if !(0.0..=86_400_000.0).contains(&ms) {
                return Err((*line, format!("value {}, {ms} ms, is outside 0 to one day", column + 1)));
            }
            // Half of the round trip, in whole nanoseconds.
            let one_way = Duration::from_nanos((ms * 500_000.0) as u64).max(MIN_ONE_WAY);
            if column < row && delays[column * n + row] != one_way {
                let at = format!("row {} and column {}", row + 1, column + 1);
                return Err((*line, format!("{at}: the matrix is not symmetric, the other half differs")));
            }
            delays.push(one_way);
        }
        let found = delays.len() - before;
        if found != n {
            return Err((*line, format!("{found} values, though there are {n} rows")));
        }
    }
    Ok(Matrix { rows: n, delays: delays.into() })
}

/// Times of arrival, a line each: seconds as a plain number, or a time with a unit.
fn parse_trace(text: &str) -> Result<Arc<[Duration]>, (usize, String)> {
    let mut times = Vec::new();
    for (line, text) in lines(text) {
        let with_unit = if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            format!("{text} s")
        } else {
            text.to_owned()
        };
        let time: Time = with_unit.parse().map_err(|error| (line, format!("{error}")))?;
        if times.len() == MAX_ARRIVALS {
            return Err((line, format!("more than {MAX_ARRIVALS} arrivals")));
        }
        times.push(time.duration());
    }
    if times.is_empty() {
        return Err((1, "no arrival in it: write a time on each line, in seconds or with a unit".into()));
    }
    times.sort_unstable();
    Ok(times.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_kept_as_long_as_there_is_room() {
        let held = [("a", "1\n2\n"), ("b", "3\n")].map(|(name, text)| (name.to_owned(), text.into()));
        let mut files = Files::held(held.into(), None);
        files.room = 5;
        assert_eq!(files.trace("a", Some(1)).unwrap().len(), 1);
        assert_eq!(files.trace("a", None).unwrap().len(), 2);
        assert_eq!(files.trace("b", None).unwrap().len(), 1);
        assert!(files.trace("../c", None).unwrap_err().contains("--base"));
        let kept = files.into_kept();
        assert_eq!(kept.texts.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(kept.left_out, ["b"]);
    }

    #[test]
    fn a_matrix_is_halved_and_raised_to_the_least_delay() {
        let matrix = parse_matrix("# ms\n0, 10.5, 3\n10.5, 0, 0.2\n\n3,0.2,0\n").unwrap();
        assert_eq!(matrix.rows, 3);
        let micros: Vec<_> = matrix.delays.iter().map(Duration::as_micros).collect();
        assert_eq!(micros, [1000, 5250, 1500, 5250, 1000, 1000, 1500, 1000, 1000]);
    }

    #[test]
    fn what_is_no_matrix_is_refused_with_its_line() {
        let cases = [
            ("", 1, "0 rows"),
            ("0,1\n1", 2, "1 values, though there are 2 rows"),
            ("0,1\n1,0,5", 2, "more than 2 values"),
            ("0,10\n20,0", 2, "not symmetric"),
            ("0,1\n\nx,0", 3, "value 1, \"x\", is no number"),
            ("0,-1\n-1,0", 1, "outside 0 to one day"),
            ("NaN", 1, "outside 0 to one day"),
        ];
        for (text, line, part) in cases {
            let (at, message) = parse_matrix(text).unwrap_err();
            assert_eq!(at, line, "{text:?}");
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_trace_is_sorted_and_takes_units() {
        let trace = parse_trace("# arrivals\n3\n1.5\n\n2 min\n500 ms\n").unwrap();
        let millis: Vec<_> = trace.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [500, 1500, 3000, 120_000]);
        assert_eq!(parse_trace("1\n2 parsecs").unwrap_err(), (2, "\"parsecs\" is no unit of a time".into()));
        assert_eq!(parse_trace("# none\n").unwrap_err().0, 1);
    }
}
