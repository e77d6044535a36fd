//! The trackers.

use std::path::Path;
use std::process::Command;

use engine::InfoHash;
use serde_json::json;

use crate::Outcome;
use crate::lab::Place;
use crate::others::{ROLE, installed};
use crate::process::{Process, find};

/// A tracker that runs. Dropped, it is killed.
pub struct Tracker {
    pub process: Process,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Udp,
}

/// A tracker that can be started.
pub struct Kind {
    /// As in `SWARMLAB_REQUIRE_CLIENTS`.
    pub name: &'static str,
    /// Its version; the error is why it is not here.
    pub version: fn() -> Outcome<String>,
    command: fn(&Place, &[InfoHash]) -> Outcome<Command>,
}

impl Kind {
    /// Starts it at `place` for `torrents` alone, if it wants to know.
    pub fn start(&self, place: &Place, torrents: &[InfoHash]) -> Outcome<Tracker> {
        let mut process = Process::spawn((self.command)(place, torrents)?, &place.work, false)?;
        process.wait_port(place.addr)?;
        Ok(Tracker { process })
    }

    /// The URL it would have at a place.
    pub fn url(place: &Place, scheme: Scheme) -> String {
        let scheme = if scheme == Scheme::Http { "http" } else { "udp" };
        format!("{scheme}://{}/announce", place.addr)
    }
}

/// Ours.
pub const OURS: Kind = Kind {
    name: "swarmlab-tracker",
    version: || Ok(env!("CARGO_PKG_VERSION").to_owned()),
    command: |place, _| {
        let mut command = Command::new(std::env::current_exe()?);
        let settings = json!({"ip": place.addr.ip().to_string(), "port": place.addr.port()});
        command.args([ROLE, "tracker", &settings.to_string()]);
        Ok(command)
    },
};

/// Debian's, built to serve the torrents of a list.
const OPENTRACKER: Kind = Kind {
    name: "opentracker",
    version: || {
        let program = find("opentracker")?;
        match is_root() {
            true => Ok(debian_version(&program)),
            false => Err("it runs only when started by root".into()),
        }
    },
    command: |place, torrents| {
        let list: String = torrents.iter().map(|torrent| format!("{torrent}\n")).collect();
        std::fs::write(place.work.join("allowed"), list)?;
        let mut command = Command::new(find("opentracker")?);
        let (ip, port) = (place.addr.ip().to_string(), place.addr.port().to_string());
        command.args(["-i", &ip, "-p", &port, "-P", &port, "-w", "/allowed", "-d"]).arg(&place.work);
        Ok(command)
    },
};

/// WebTorrent's, in Node.
const BITTORRENT_TRACKER: Kind = Kind {
    name: "bittorrent-tracker",
    version: || {
        find("node")?;
        let text = std::fs::read_to_string(installed("npm/node_modules/bittorrent-tracker/package.json")?)?;
        let package: serde_json::Value = serde_json::from_str(&text)?;
        Ok(package["version"].as_str().ok_or("no version")?.to_owned())
    },
    command: |place, _| {
        let mut command = Command::new(find("node")?);
        let (ip, port) = (place.addr.ip().to_string(), place.addr.port().to_string());
        command.arg(installed("npm/node_modules/bittorrent-tracker/bin/cmd.js")?);
        command.args(["--http", "--udp", "--interval", "10000", "-p", &port]);
        command.args(["--http-hostname", &ip, "--udp-hostname", &ip]);
        Ok(command)
    },
};

/// Everyone but us.
pub const OTHERS: [&Kind; 2] = [&OPENTRACKER, &BITTORRENT_TRACKER];

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|us| std::os::unix::fs::MetadataExt::uid(&us) == 0)
}

/// It does not say its own.
fn debian_version(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default();
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}"]).arg(name).output();
    match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => "unknown".to_owned(),
    }
}
