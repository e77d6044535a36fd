//! qBittorrent without a screen, by its HTTP interface.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::{Kind, Other, What, Wishes, printed_version};
use crate::lab::Place;
use crate::process::{Process, find};
use crate::wire::{Reply, escape, http};
use crate::{Outcome, fail};

/// See the module.
pub const KIND: Kind =
    Kind::able("qbittorrent", || printed_version(&find("qbittorrent-nox")?, &["--version"]), start);

struct QBittorrent {
    process: Process,
    place: Place,
    hash: String,
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let folder = place.work.join("qBittorrent/config");
    std::fs::create_dir_all(&folder)?;
    let (ip, port, control) = (place.addr.ip(), place.addr.port(), place.control.port());
    let settings = [
        "[LegalNotice]\nAccepted=true\n[Preferences]\nWebUI\\Address=127.0.0.1\nWebUI\\LocalHostAuth=false",
        "WebUI\\CSRFProtection=false\nWebUI\\HostHeaderValidation=false\nWebUI\\UseUPnP=false",
        &format!("WebUI\\Port={control}\n[Network]\nPortForwardingEnabled=false\n[BitTorrent]"),
        &format!("Session\\Port={port}\nSession\\InterfaceAddress={ip}\nSession\\PeXEnabled={}", wishes.pex),
        "Session\\Interface=lo\nSession\\InterfaceName=lo\nSession\\BTProtocol=TCP\nSession\\Encryption=2",
        "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\QueueingSystemEnabled=false",
        "Session\\BlockPeersOnPrivilegedPorts=false\nSession\\SSRFMitigation=false",
        "Session\\AddExtensionToIncompleteFiles=false\n",
    ];
    std::fs::write(folder.join("qBittorrent.conf"), settings.join("\n"))?;
    let mut command = Command::new(find("qbittorrent-nox")?);
    command.arg(format!("--profile={}", place.work.display()));
    let mut process = Process::start(command, place)?;
    process.wait_port(place.addr)?;
    Ok(Box::new(QBittorrent { process, place: place.clone(), hash: String::new() }))
}

impl QBittorrent {
    fn ask(&self, path: &str, headers: &[String], body: Option<&[u8]>) -> Outcome<Reply> {
        let reply = http(self.place.control, &format!("/api/v2/{path}"), headers, body)?;
        match reply.status {
            200 => Ok(reply),
            status => fail(format!("{path}: {status} {}", reply.text())),
        }
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Outcome<Reply> {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let kind = "Content-Type: application/x-www-form-urlencoded".to_owned();
        self.ask(path, &[kind], Some(fields.join("&").as_bytes()))
    }
}

impl Other for QBittorrent {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        const BOUNDARY: &str = "----interop";
        self.hash = what.made.info_hash().to_string();
        let mut body = Vec::new();
        let mut field = |head: &str, value: &[u8]| {
            let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        };
        field("name=\"savepath\"", what.dir.to_string_lossy().as_bytes());
        field("name=\"contentLayout\"", b"Original");
        match what.magnet {
            true => field("name=\"urls\"", what.link().as_bytes()),
            false => {
                let head =
                    "name=\"torrents\"; filename=\"x.torrent\"\r\nContent-Type: application/x-bittorrent";
                field(head, &std::fs::read(&what.made.torrent)?);
            }
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}");
        let reply = self.ask("torrents/add", &[kind], Some(&body))?;
        match reply.text().contains("Ok") {
            // Connections are reset until it has checked its files, and a little longer than it says that it checks.
            true => self.process.wait_handshake(self.place.addr, what.made.info_hash()),
            false => fail(reply.text()),
        }
    }

    fn add_peer(&mut self, peer: SocketAddr) -> Outcome {
        let peer = peer.to_string();
        self.form("torrents/addPeers", &[("hashes", &self.hash), ("peers", &peer)]).map(drop)
    }

    fn progress(&mut self) -> Outcome<f64> {
        let list: Value = serde_json::from_slice(&self.ask("torrents/info", &[], None)?.body)?;
        let state = list[0]["state"].as_str().unwrap_or("meta");
        let early = ["checking", "meta", "error", "moving"].iter().any(|s| state.to_lowercase().contains(s));
        Ok(if early { 0.0 } else { list[0]["progress"].as_f64().unwrap_or(0.0) })
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        let path = format!("sync/torrentPeers?hash={}", self.hash);
        let answer: Value = serde_json::from_slice(&self.ask(&path, &[], None)?.body)?;
        let peers = answer["peers"].as_object().ok_or("no peers")?;
        Ok(peers.keys().filter_map(|addr| Some((addr.parse().ok()?, false))).collect())
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.form("app/shutdown", &[]).map(drop)
    }
}
