//! Transmission's daemon, by its JSON over HTTP.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::{Kind, Other, What, Wishes, printed_version};
use crate::lab::Place;
use crate::process::{Process, find};
use crate::wire::{base64, http};
use crate::{Outcome, fail};

/// See the module.
pub const KIND: Kind = Kind {
    dials: Err("it cannot be told of a peer"),
    ..Kind::able("transmission", || printed_version(&find("transmission-daemon")?, &["--version"]), start)
};

struct Transmission {
    process: Process,
    place: Place,
    /// It wants its own token with each request.
    token: RefCell<String>,
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let settings = json!({
        "bind-address-ipv4": place.addr.ip().to_string(),
        "bind-address-ipv6": "::1",
        "peer-port": place.addr.port(),
        "peer-port-random-on-start": false,
        "rpc-bind-address": "127.0.0.1",
        "rpc-port": place.control.port(),
        "rpc-authentication-required": false,
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "dht-enabled": false,
        "lpd-enabled": false,
        "utp-enabled": false,
        "pex-enabled": wishes.pex,
        "encryption": 0,
        "port-forwarding-enabled": false,
        "upload-slots-per-torrent": 14,
        "speed-limit-up-enabled": false,
        "speed-limit-down-enabled": false,
        "ratio-limit-enabled": false,
        "idle-seeding-limit-enabled": false,
        "rename-partial-files": false,
        "download-dir": place.work,
    });
    std::fs::write(place.work.join("settings.json"), settings.to_string())?;
    let mut command = Command::new(find("transmission-daemon")?);
    command.args(["--foreground", "--log-info", "--config-dir"]).arg(&place.work);
    let mut process = Process::start(command, place)?;
    process.wait_port(place.addr)?;
    Ok(Box::new(Transmission { process, place: place.clone(), token: RefCell::default() }))
}

impl Transmission {
    fn call(&self, method: &str, arguments: &Value) -> Outcome<Value> {
        const TOKEN: &str = "X-Transmission-Session-Id";
        let body = json!({"method": method, "arguments": arguments}).to_string();
        for _ in 0..2 {
            let header = format!("{TOKEN}: {}", self.token.borrow());
            let reply = http(self.place.control, "/transmission/rpc", &[header], Some(body.as_bytes()))?;
            if reply.status == 409 {
                *self.token.borrow_mut() = reply.header(TOKEN).unwrap_or_default().to_owned();
                continue;
            }
            let answer: Value = serde_json::from_slice(&reply.body)?;
            return match answer["result"].as_str() {
                Some("success") => Ok(answer["arguments"].clone()),
                _ => fail(answer.to_string()),
            };
        }
        fail("its token does not hold")
    }

    fn field(&self, fields: &[&str]) -> Outcome<Value> {
        Ok(self.call("torrent-get", &json!({"fields": fields}))?["torrents"][0].clone())
    }
}

impl Other for Transmission {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        let mut arguments = json!({"download-dir": what.dir, "paused": false});
        match what.magnet {
            true => arguments["filename"] = what.link().into(),
            false => arguments["metainfo"] = base64(&std::fs::read(&what.made.torrent)?).into(),
        }
        self.call("torrent-add", &arguments).map(drop)
    }

    fn progress(&mut self) -> Outcome<f64> {
        let torrent = self.field(&["percentDone", "status", "metadataPercentComplete"])?;
        let checking = matches!(torrent["status"].as_u64(), Some(1 | 2));
        let whole = torrent["metadataPercentComplete"].as_f64() == Some(1.0);
        Ok(if checking || !whole { 0.0 } else { torrent["percentDone"].as_f64().unwrap_or(0.0) })
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        let torrent = self.field(&["peers"])?;
        let peers = torrent["peers"].as_array().ok_or("no peers")?;
        let peer = |peer: &Value| {
            let ip = peer["address"].as_str()?.parse().ok()?;
            let port = u16::try_from(peer["port"].as_u64()?).ok()?;
            Some((SocketAddr::new(ip, port), !peer["isIncoming"].as_bool()?))
        };
        Ok(peers.iter().filter_map(peer).collect())
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.call("session-close", &json!({})).map(drop)
    }
}
