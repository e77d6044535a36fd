//! rTorrent as a daemon, by its XML over SCGI.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{Kind, Other, What, Wishes, printed_version};
use crate::lab::Place;
use crate::process::{Process, find};
use crate::wire::scgi;
use crate::{Outcome, fail};

/// See the module.
pub const KIND: Kind = Kind::able("rtorrent", || printed_version(&find("rtorrent")?, &["-h"]), start);

struct RTorrent {
    process: Process,
    place: Place,
    hash: String,
}

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let session = place.work.join("session");
    std::fs::create_dir_all(&session)?;
    let (ip, port) = (place.addr.ip(), place.addr.port());
    let settings = [
        format!("network.bind_address.set = {ip}\nnetwork.port_range.set = {port}-{port}"),
        "network.port_random.set = no\ndht.mode.set = disable\nprotocol.encryption.set = none".to_owned(),
        format!("protocol.pex.set = {}", if wishes.pex { "yes" } else { "no" }),
        format!("network.scgi.open_port = {}\nsession.path.set = {}", place.control, session.display()),
        "network.xmlrpc.size_limit.set = 4M\npieces.hash.on_completion.set = yes".to_owned(),
        "throttle.max_uploads.set = 50\nlog.open_file = \"l\", rtorrent.log\nlog.add_output = \"info\", \"l\"".to_owned(),
        "system.daemon.set = true\n".to_owned(),
    ];
    std::fs::write(place.work.join("rc"), settings.join("\n"))?;
    let mut command = Command::new(find("rtorrent")?);
    command.args(["-n", "-o", "import=rc"]);
    let mut process = Process::start(command, place)?;
    process.wait_port(place.addr)?;
    Ok(Box::new(RTorrent { process, place: place.clone(), hash: String::new() }))
}

impl RTorrent {
    /// Calls a method with strings; the text of the answer's value.
    fn call(&self, method: &str, params: &[&str]) -> Outcome<String> {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let param = |text: &&str| format!("<param><value><string>{}</string></value></param>", escape(text));
        let params: String = params.iter().map(param).collect();
        let call = format!(
            "<?xml version=\"1.0\"?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
        );
        let answer = scgi(self.place.control, &call)?;
        if answer.contains("<fault>") {
            return fail(format!("{method}: {answer}"));
        }
        let value = answer.split("<value>").nth(1).and_then(|rest| rest.split("</value>").next());
        let value = value.unwrap_or_default().replace("<string/>", "");
        let inner = value.split('>').nth(1).and_then(|rest| rest.split('<').next());
        Ok(inner.unwrap_or(&value).to_owned())
    }

    fn number(&self, method: &str) -> Outcome<f64> {
        Ok(self.call(method, &[&self.hash])?.parse()?)
    }
}

impl Other for RTorrent {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        self.hash = what.made.info_hash().to_string().to_uppercase();
        self.call("directory.default.set", &["", &what.dir.to_string_lossy()])?;
        let source = match what.magnet {
            true => what.link(),
            false => what.made.torrent.to_string_lossy().into_owned(),
        };
        self.call("load.start_verbose", &["", &source])?;
        for _ in 0..100 {
            if self.number("d.size_chunks").is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        fail("it did not take the torrent")
    }

    fn add_peer(&mut self, peer: SocketAddr) -> Outcome {
        self.call("add_peer", &[&self.hash, &peer.to_string()]).map(drop)
    }

    fn progress(&mut self) -> Outcome<f64> {
        // While a magnet link's metadata comes, it is a torrent of its own kind, and then gone for a moment.
        let early =
            self.number("d.hashing").unwrap_or(1.0) != 0.0 || self.number("d.is_meta").unwrap_or(1.0) != 0.0;
        if early {
            return Ok(0.0);
        }
        Ok(self.number("d.completed_chunks")? / self.number("d.size_chunks")?.max(1.0))
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        let escape = format!(
            "<?xml version=\"1.0\"?><methodCall><methodName>p.multicall</methodName><params>\
            <param><value><string>{}</string></value></param><param><value><string></string></value></param>\
            <param><value><string>p.address=</string></value></param>\
            <param><value><string>p.port=</string></value></param></params></methodCall>",
            self.hash
        );
        let answer = scgi(self.place.control, &escape)?;
        let text = |rest: &str, tag: &str| {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            Some(rest.split(&open).nth(1)?.split(&close).next()?.to_owned())
        };
        let peer = |rest: &str| {
            let port = text(rest, "i8").or_else(|| text(rest, "i4"))?;
            Some((format!("{}:{port}", text(rest, "string")?).parse().ok()?, false))
        };
        Ok(answer.split("<array>").skip(2).filter_map(peer).collect())
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.call("system.shutdown.quick", &[""]).map(drop)
    }

    fn last_words(&mut self) -> String {
        std::fs::read_to_string(self.place.work.join("rtorrent.log")).unwrap_or_default()
    }
}
