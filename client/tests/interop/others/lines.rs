//! A client that is driven by lines of JSON through its input and output: a small program of ours around a
//! library, one answer to each request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command};

use serde_json::{Value, json};

use super::{Other, What, Wishes};
use crate::lab::Place;
use crate::process::Process;
use crate::{Outcome, fail};

/// See the module.
pub struct Lines {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the program is told when it starts.
pub fn settings(place: &Place, wishes: Wishes) -> Value {
    json!({
        "ip": place.addr.ip().to_string(),
        "port": place.addr.port(),
        "control": place.control.port(),
        "work": place.work,
        "pex": wishes.pex,
        "up": wishes.up,
        "down": wishes.down,
    })
}

impl Lines {
    /// Starts `command` with its settings as the last argument, and waits until it says that it is ready.
    pub fn start(mut command: Command, place: &Place, wishes: Wishes) -> Outcome<Self> {
        command.arg(settings(place, wishes).to_string());
        let mut process = Process::spawn(command, &place.work, true)?;
        let (input, output) = process.pipes().ok_or("no pipes")?;
        let mut lines = Self { process, input, output: BufReader::new(output) };
        lines.answer().map_err(|error| format!("{error}: {}", lines.process.tail()))?;
        lines.process.wait_port(place.addr)?;
        Ok(lines)
    }

    fn answer(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return fail(format!("it has ended: {}", self.process.tail()));
        }
        let answer: Value = serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}"))?;
        match answer["error"].as_str() {
            Some(error) => fail(error.to_owned()),
            None => Ok(answer),
        }
    }

    fn ask(&mut self, request: &Value) -> Outcome<Value> {
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        self.answer()
    }
}

impl Other for Lines {
    fn add(&mut self, what: &What<'_>) -> Outcome {
        let magnet = what.magnet.then(|| what.link());
        let torrent = (!what.magnet).then_some(&what.made.torrent);
        let request = json!({
            "do": "add", "torrent": torrent, "magnet": magnet, "dir": what.dir, "seed": what.seed,
        });
        self.ask(&request).map(drop)
    }

    fn add_peer(&mut self, peer: SocketAddr) -> Outcome {
        let request = json!({"do": "peer", "ip": peer.ip().to_string(), "port": peer.port()});
        self.ask(&request).map(drop)
    }

    fn progress(&mut self) -> Outcome<f64> {
        let answer = self.ask(&json!({"do": "status"}))?;
        Ok(answer["progress"].as_f64().ok_or("no progress")?)
    }

    fn sent(&mut self) -> Outcome<Option<u64>> {
        Ok(self.ask(&json!({"do": "status"}))?["sent"].as_u64())
    }

    fn peers(&mut self) -> Outcome<Vec<(SocketAddr, bool)>> {
        let answer = self.ask(&json!({"do": "peers"}))?;
        let peers = answer["peers"].as_array().ok_or("no peers")?;
        let peer = |peer: &Value| {
            let addr = peer[0].as_str().and_then(|addr| addr.parse().ok()).ok_or("no address")?;
            Ok((addr, peer[1].as_bool().unwrap_or(false)))
        };
        peers.iter().map(peer).collect()
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn quit(&mut self) -> Outcome {
        self.ask(&json!({"do": "quit"})).map(drop)
    }

    fn last_words(&mut self) -> String {
        // It writes what it knows to its log.
        let _ = self.ask(&json!({"do": "log"}));
        self.process.tail()
    }
}
