//! aria2, by its JSON over HTTP.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::{Kind, Other, What, Wishes, printed_version};
use crate::lab::{Place, isolated};
use crate::process::{Process, find};
use crate::wire::{base64, http};
use crate::{Outcome, fail};

/// See the module.
pub const KIND: Kind = Kind {
    dials: Err("it cannot be told of a peer"),
    ..Kind::able("aria2", || printed_version(&find("aria2c")?, &["--version"]), start)
};

struct Aria2 {
    process: Process,
    place: Place,
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let mut command = Command::new(find("aria2c")?);
    command.args([
        "--no-conf",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--disable-ipv6=true",
        "--bt-require-crypto=false",
        "--bt-min-crypto-level=plain",
        "--seed-ratio=0.0",
        "--file-allocation=none",
        "--follow-torrent=mem",
        "--auto-save-interval=1",
        "--summary-interval=0",
        "--console-log-level=warn",
        "--log=aria2.log",
        "--log-level=info",
        "--enable-rpc=true",
        "--rpc-listen-all=false",
    ]);
    // Without DHT, it says of a tracker over UDP that "udp is not supported yet".
    command.arg(format!("--enable-dht={}", isolated()));
    command.arg(format!("--dht-listen-port={}", place.addr.port()));
    command.arg(format!("--dht-file-path={}", place.work.join("dht.dat").display()));
    command.arg(format!("--enable-peer-exchange={}", wishes.pex));
    command.arg(format!("--interface={}", place.addr.ip()));
    command.arg(format!("--listen-port={}", place.addr.port()));
    command.arg(format!("--rpc-listen-port={}", place.control.port()));
    let process = Process::start(command, place)?;
    Ok(Box::new(Aria2 { process, place: place.clone() }))
}

impl Aria2 {
    fn call(&self, method: &str, params: &Value) -> Outcome<Value> {
        let body =
            json!({"jsonrpc": "2.0", "id": "1", "method": format!("aria2.{method}"), "params": params});
        let reply = http(self.place.control, "/jsonrpc", &[], Some(body.to_string().as_bytes()))?;
        let mut answer: Value = serde_json::from_slice(&reply.body)?;
        match answer["error"].is_null() {
            true => Ok(answer["result"].take()),
            false => fail(answer["error"].to_string()),
        }
    }

    /// What it works at; a magnet link's metadata is a download of its own.
    fn active(&self) -> Outcome<Vec<Value>> {
        let keys = json!([["gid", "totalLength", "completedLength", "verifiedLength", "bittorrent"]]);
        Ok(self.call("tellActive", &keys)?.as_array().cloned().unwrap_or_default())
    }
}

impl Other for Aria2 {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        let mut options = json!({"dir": what.dir, "check-integrity": "true", "allow-overwrite": "true"});
        if what.seed {
            options["bt-hash-check-seed"] = "true".into();
        }
        match what.magnet {
            true => self.call("addUri", &json!([[what.link()], options]))?,
            false => {
                let torrent = base64(&std::fs::read(&what.made.torrent)?);
                self.call("addTorrent", &json!([torrent, [], options]))?
            }
        };
        // It listens once it has a torrent.
        self.process.wait_port(self.place.addr)
    }

    fn progress(&mut self) -> Outcome<f64> {
        let of = |download: &Value| {
            let number = |key: &str| download[key].as_str()?.parse::<f64>().ok();
            let named = download["bittorrent"]["info"].is_object();
            let checking = download.get("verifiedLength").is_some();
            let total = number("totalLength").filter(|&total| total > 0.0 && named && !checking)?;
            Some(number("completedLength")? / total)
        };
        Ok(self.active()?.iter().filter_map(of).fold(0.0, f64::max))
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        let mut all = Vec::new();
        for download in self.active()? {
            let peers = self.call("getPeers", &json!([download["gid"]]))?;
            for peer in peers.as_array().into_iter().flatten() {
                let port = peer["port"].as_str().unwrap_or_default();
                let addr = format!("{}:{port}", peer["ip"].as_str().unwrap_or_default());
                all.extend(addr.parse().ok().map(|addr| (addr, false)));
            }
        }
        Ok(all)
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.call("forceShutdown", &json!([])).map(drop)
    }

    fn last_words(&mut self) -> String {
        let log = std::fs::read_to_string(self.place.work.join("aria2.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}
