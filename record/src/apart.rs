//! The peers of a large run, in a file of their own beside the record: as JSON a million take a quarter of a gigabyte, and
//! the record is written again whenever a run of a sweep ends.

use std::io::{Read, Write};

use crate::{Peer, Run};

/// Why a file holds no peers of a run.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// It cannot be read, or is no CSV of this form.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// It cannot be written to its end.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It has more than there can be.
    #[error("it has more than {0} peers, which is how many the run has")]
    TooMany(u64),
}

impl Run {
    /// The name of the file of its peers, if they are to be in one: the run's digest says what is in it.
    pub(crate) fn name_of_peers(&self) -> Option<String> {
        let is_digest = !self.digest.is_empty() && self.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| format!("peers-{}.csv", self.digest))
    }

    /// The run, its peers being in the file `name`.
    pub(crate) fn without_peers(&self, name: String) -> Self {
        Self {
            point: self.point.clone(),
            replicate: self.replicate,
            seed: self.seed.clone(),
            digest: self.digest.clone(),
            content: self.content,
            pieces: self.pieces,
            ended_at: self.ended_at,
            end: self.end,
            bound: self.bound,
            groups: self.groups.clone(),
            peers: Vec::new(),
            peers_file: Some(name),
            series: self.series.clone(),
            counters: self.counters.clone(),
        }
    }

    /// The file of its peers, if it says one and that is the one it has to be.
    pub fn peers_apart(&self) -> Option<Result<&str, &'static str>> {
        let named = self.peers_file.as_deref()?;
        Some(match self.name_of_peers() {
            Some(name) if name == named => Ok(named),
            _ => Err("the file of its peers is not called after its digest"),
        })
    }
}

/// Writes peers as CSV: a line for each with the fields of [`Peer`] under their names, nothing for `None`; every number
/// comes back as it was.
pub fn write_peers(peers: &[Peer], out: impl Write) -> Result<(), PeersError> {
    let mut csv = csv::Writer::from_writer(out);
    peers.iter().try_for_each(|peer| csv.serialize(peer))?;
    Ok(csv.flush()?)
}

/// Reads what [`write_peers`] has written, at most `most` peers.
pub fn read_peers(input: impl Read, most: u64) -> Result<Vec<Peer>, PeersError> {
    let mut csv = csv::Reader::from_reader(input);
    let mut peers = Vec::new();
    for peer in csv.deserialize() {
        if peers.len() as u64 >= most {
            return Err(PeersError::TooMany(most));
        }
        peers.push(peer?);
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(arrived: f64, completed: Option<f64>) -> Peer {
        Peer {
            group: 1,
            arrived,
            completed,
            left: None,
            uploaded: u64::MAX,
            downloaded: 5,
            wasted: 0,
            pieces: 64,
        }
    }

    #[test]
    fn every_number_comes_back_as_it_was() {
        let peers =
            [peer(0.1 + 0.2, Some(1.0 / 3.0)), peer(1e-9, None), peer(12_345.678_901_234_567, Some(1e12))];
        let mut bytes = Vec::new();
        write_peers(&peers, &mut bytes).unwrap();
        assert_eq!(read_peers(&bytes[..], 3).unwrap(), peers);
        let error = read_peers(&bytes[..], 2).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 2 peers, which is how many the run has");
    }

    #[test]
    fn what_is_no_list_of_peers_is_said_with_its_line() {
        for (text, why) in [("a,b\n1,2\n", "group"), ("group,arrived\n1,x\n", "line: 2")] {
            let error = read_peers(text.as_bytes(), 9).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
