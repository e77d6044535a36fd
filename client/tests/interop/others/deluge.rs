//! Deluge: its daemon, spoken to by a small program in Python, since its remote control is TLS with an encoding
//! of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::lines::Lines;
use super::{Kind, Other, What, Wishes, printed_version};
use crate::Outcome;
use crate::lab::Place;
use crate::process::{Process, find};

/// See the module.
pub const KIND: Kind = Kind::able("deluge", || printed_version(&find("deluged")?, &["--version"]), start);

struct Deluge {
    // Dropped before the daemon.
    control: Lines,
    daemon: Process,
    folder: PathBuf,
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let (ip, port) = (place.addr.ip().to_string(), place.addr.port());
    let config = json!({
        "daemon_port": place.control.port(),
        "allow_remote": false,
        "listen_interface": ip,
        "outgoing_interface": "",
        "listen_ports": [port, port],
        "listen_random_port": null,
        "listen_use_sys_port": false,
        "random_port": false,
        "random_outgoing_ports": true,
        "upnp": false,
        "natpmp": false,
        "lsd": false,
        "dht": false,
        "utpex": wishes.pex,
        "enc_in_policy": 2,
        "enc_out_policy": 2,
        "new_release_check": false,
        "send_info": false,
        "geoip_db_location": "",
        "max_active_seeding": -1,
        "max_active_downloading": -1,
        "max_active_limit": -1,
    });
    std::fs::write(place.work.join("core.conf"), format!("{}{config}", json!({"file": 1, "format": 1})))?;
    std::fs::write(place.work.join("auth"), "interop:interop:10\n")?;
    // It has no setting against uTP, with which it dials first, and with TCP only minutes later; libtorrent has,
    // and Deluge keeps libtorrent's settings in a file.
    let state = b"d8:settingsd19:enable_incoming_utpi0e19:enable_outgoing_utpi0eee";
    std::fs::write(place.work.join("session.state"), state)?;
    let mut command = Command::new(find("deluged")?);
    command.args(["-d", "-u", "127.0.0.1", "-i", &ip, "-L", "info", "-l", "deluged.log"]);
    command.arg("-p").arg(place.control.port().to_string()).arg("-c").arg(&place.work);
    let daemon = Process::start(command, place)?;
    let mut command = Command::new(Path::new("/usr/bin/python3"));
    command.args(["-c", include_str!("../helpers/deluge.py")]);
    Ok(Box::new(Deluge {
        control: Lines::start(command, place, wishes)?,
        daemon,
        folder: place.work.clone(),
    }))
}

impl Other for Deluge {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        self.control.add(what)
    }

    fn add_peer(&mut self, peer: SocketAddr) -> Outcome {
        self.control.add_peer(peer)
    }

    fn progress(&mut self) -> Outcome<f64> {
        self.control.progress()
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        self.control.peers()
    }

    fn process(&mut self) -> &mut Process {
        &mut self.daemon
    }

    fn quit(&mut self) -> Outcome {
        self.control.quit()
    }

    fn last_words(&mut self) -> String {
        let said = self.control.last_words();
        said + &std::fs::read_to_string(self.folder.join("deluged.log")).unwrap_or_default()
    }
}
