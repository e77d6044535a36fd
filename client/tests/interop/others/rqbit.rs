//! rqbit, by its HTTP interface.

use std::process::Command;

use serde_json::Value;

use super::{Kind, Other, What, Wishes, installed, printed_version};
use crate::lab::Place;
use crate::process::Process;
use crate::wire::{escape, http};
use crate::{Outcome, fail};

/// See the module.
pub const KIND: Kind = Kind {
    dials: Err("it can be told of peers only with the torrent"),
    tells: Err("it names only peers that it has dialled, and cannot be told to dial"),
    ..Kind::able("rqbit", || printed_version(&installed("rqbit/bin/rqbit")?, &["--version"]), start)
};

struct Rqbit {
    process: Process,
    place: Place,
}

fn start(place: &Place, _: Wishes) -> Outcome<Box<dyn Other>> {
    let mut command = Command::new(installed("rqbit/bin/rqbit")?);
    command.arg("--http-api-listen-addr").arg(place.control.to_string());
    command.args([
        "--disable-dht",
        "--disable-dht-persistence",
        "--disable-lsd",
        "--disable-upnp-port-forward",
    ]);
    command.arg("--listen-ip").arg(place.addr.ip().to_string());
    command.arg("--listen-port").arg(place.addr.port().to_string());
    // Without a word for ten seconds, it closes a connection; a keep-alive comes every two minutes.
    command.args(["--peer-read-write-timeout", "240s"]);
    command.args(["server", "start", "--disable-persistence"]).arg(&place.work);
    let process = Process::start(command, place)?;
    Ok(Box::new(Rqbit { process, place: place.clone() }))
}

impl Other for Rqbit {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        let body = match what.magnet {
            true => what.link().into_bytes(),
            false => std::fs::read(&what.made.torrent)?,
        };
        // A folder of several files is its own affair, and not the torrent's name.
        let several = what.made.metainfo.files.iter().any(|file| file.path.len() > 1);
        let dir = if several { what.dir.join(&what.made.metainfo.name) } else { what.dir.to_owned() };
        let path = format!("/torrents?overwrite=true&output_folder={}", escape(&dir.to_string_lossy()));
        // It knows no `x.pe`; and to trackers it says that nothing is left until it has the metadata, so that those
        // that keep seeds from seeds, as ours does, name it none.
        let peer = what.peer.map(|peer| format!("&initial_peers={peer}")).unwrap_or_default();
        let path = path + &peer;
        let reply = http(self.place.control, &path, &[], Some(&body))?;
        match reply.status {
            200 => self.process.wait_port(self.place.addr),
            status => fail(format!("{status} {}", reply.text())),
        }
    }

    fn progress(&mut self) -> Outcome<f64> {
        let reply = http(self.place.control, "/torrents/0/stats/v1", &[], None)?;
        let stats: Value = serde_json::from_slice(&reply.body)?;
        let number = |key: &str| stats[key].as_f64().unwrap_or(0.0);
        let early = stats["state"].as_str() == Some("initializing") || number("total_bytes") == 0.0;
        Ok(if early { 0.0 } else { number("progress_bytes") / number("total_bytes") })
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.process.interrupt();
        Ok(())
    }
}
