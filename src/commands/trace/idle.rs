//! When and why a peer neither downloads nor uploads, from what crosses its seam: what is outstanding either
//! way on each connection, who chokes whom, who wants something.

use std::collections::{BTreeMap, BTreeSet};

use engine::Instant;
use engine::peer::{Event, Input, Output};
use engine::wire::{Handshake, Message};
use serde_json::{Map, Value};
use simulator::Seam;

use super::line::{Line, seconds};

/// A block by piece and offset.
type Block = (u32, u32);

/// One connection as the trace shows it.
#[derive(Debug)]
struct Link {
    /// Each side's handshake has the bit of BEP 6.
    fast: [bool; 2],
    am_choking: bool,
    am_interested: bool,
    peer_choking: bool,
    peer_interested: bool,
    /// What we asked for.
    asked: BTreeSet<Block>,
    /// What it asked for.
    owed: BTreeSet<Block>,
}

impl Link {
    fn new() -> Self {
        Self {
            fast: [false; 2],
            am_choking: true,
            am_interested: false,
            peer_choking: true,
            peer_interested: false,
            asked: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }

    /// BEP 6: a choke rejects requests one by one; without it, all at once.
    fn is_fast(&self) -> bool {
        self.fast == [true; 2]
    }

    fn hears(&mut self, message: &Message) {
        match message {
            Message::Choke => {
                self.peer_choking = true;
                if !self.is_fast() {
                    self.asked.clear();
                }
            }
            Message::Unchoke => self.peer_choking = false,
            Message::Interested => self.peer_interested = true,
            Message::NotInterested => self.peer_interested = false,
            Message::Request(block) => _ = self.owed.insert((block.piece, block.begin)),
            Message::Cancel(block) => _ = self.owed.remove(&(block.piece, block.begin)),
            Message::Reject(block) => _ = self.asked.remove(&(block.piece, block.begin)),
            Message::Piece { piece, begin, .. } => _ = self.asked.remove(&(*piece, *begin)),
            _ => {}
        }
    }

    fn says(&mut self, message: &Message) {
        match message {
            Message::Choke => {
                self.am_choking = true;
                if !self.is_fast() {
                    self.owed.clear();
                }
            }
            Message::Unchoke => self.am_choking = false,
            Message::Interested => self.am_interested = true,
            Message::NotInterested => self.am_interested = false,
            Message::Request(block) => _ = self.asked.insert((block.piece, block.begin)),
            Message::Cancel(block) => _ = self.asked.remove(&(block.piece, block.begin)),
            Message::Reject(block) => _ = self.owed.remove(&(block.piece, block.begin)),
            Message::Piece { piece, begin, .. } => _ = self.owed.remove(&(*piece, *begin)),
            _ => {}
        }
    }
}

/// What a peer is at, either way.
#[derive(Debug)]
pub struct Idle {
    links: BTreeMap<u32, Link>,
    running: bool,
    complete: bool,
    /// What was last told of downloading and of uploading.
    told: [Option<&'static str>; 2],
}

/// The word for what is not idle.
const BUSY: &str = "busy";

impl Idle {
    /// Of a peer that has everything from the start, or not.
    pub fn new(complete: bool) -> Self {
        Self { links: BTreeMap::new(), running: false, complete, told: [None; 2] }
    }

    /// Takes note of what crosses the seam.
    pub fn see(&mut self, seam: Seam<'_>) {
        match seam {
            Seam::Input(Input::Start) => self.running = true,
            Seam::Input(Input::Stop) => {
                self.running = false;
                self.links.clear();
            }
            Seam::Input(Input::Connected { conn, .. }) => _ = self.links.insert(conn.0, Link::new()),
            Seam::Input(Input::Closed { conn }) | Seam::Output(Output::Disconnect { conn, .. }) => {
                self.links.remove(&conn.0);
            }
            Seam::Input(Input::Handshake { conn, handshake }) => self.shake(conn.0, 0, handshake),
            Seam::Output(Output::SendHandshake { conn, handshake }) => self.shake(conn.0, 1, handshake),
            Seam::Input(Input::Message { conn, message }) => {
                self.links.get_mut(&conn.0).into_iter().for_each(|link| link.hears(message));
            }
            Seam::Output(Output::Send { conn, message }) => {
                self.links.get_mut(&conn.0).into_iter().for_each(|link| link.says(message));
            }
            Seam::Output(Output::Event(Event::Completed)) => self.complete = true,
            _ => {}
        }
    }

    fn shake(&mut self, conn: u32, side: usize, handshake: &Handshake) {
        if let Some(link) = self.links.get_mut(&conn) {
            // BEP 6: the third least significant bit of the last reserved byte.
            link.fast[side] = handshake.reserved[7] & 0x04 != 0;
        }
    }

    /// Lines for downloading and uploading where these changed since they were last told.
    pub fn changes(&mut self, at: Instant) -> [Option<Line>; 2] {
        let now = [self.download(), self.upload()];
        let mut lines = [None, None];
        for (way, kind) in [(0, "download"), (1, "upload")] {
            if self.told[way] != now[way] {
                self.told[way] = now[way];
                lines[way] = now[way].map(|reason| Line {
                    time: seconds(at),
                    dir: "state",
                    kind,
                    conn: None,
                    fields: state_fields(reason),
                });
            }
        }
        lines
    }

    /// Why nothing is asked for; `None` if there is nothing to download.
    fn download(&self) -> Option<&'static str> {
        if !self.running {
            return None;
        }
        let mut wanted = self.links.values().filter(|link| link.am_interested);
        Some(if self.complete {
            "complete"
        } else if self.links.values().any(|link| !link.asked.is_empty()) {
            BUSY
        } else if self.links.is_empty() {
            "no-connections"
        } else if wanted.clone().next().is_none() {
            "not-interested"
        } else if wanted.all(|link| link.peer_choking) {
            "choked-by-all"
        } else {
            "nothing-outstanding"
        })
    }

    /// Why nothing is served.
    fn upload(&self) -> Option<&'static str> {
        if !self.running {
            return None;
        }
        let mut wanting = self.links.values().filter(|link| link.peer_interested);
        Some(if self.links.values().any(|link| !link.owed.is_empty()) {
            BUSY
        } else if self.links.is_empty() {
            "no-connections"
        } else if wanting.clone().next().is_none() {
            "nobody-interested"
        } else if wanting.all(|link| link.am_choking) {
            "choking-all"
        } else {
            "nothing-requested"
        })
    }
}

fn state_fields(reason: &'static str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("state".to_owned(), if reason == BUSY { BUSY.into() } else { "idle".into() });
    if reason != BUSY {
        fields.insert("reason".to_owned(), reason.into());
    }
    fields
}

#[cfg(test)]
mod tests {
    use engine::{ConnId, RawBlock};

    use super::*;

    fn reasons(idle: &mut Idle) -> Vec<String> {
        let lines = idle.changes(Instant::ZERO).into_iter().flatten();
        lines
            .map(|line| {
                let reason = line.fields.get("reason").or_else(|| line.fields.get("state"));
                format!("{} {}", line.kind, reason.and_then(Value::as_str).unwrap_or("?"))
            })
            .collect()
    }

    #[test]
    fn each_reason_in_turn() {
        let mut idle = Idle::new(false);
        let conn = ConnId(3);
        assert_eq!(reasons(&mut idle), [] as [&str; 0]);
        idle.see(Seam::Input(&Input::Start));
        assert_eq!(reasons(&mut idle), ["download no-connections", "upload no-connections"]);
        let addr = ([10, 0, 0, 1], 1).into();
        idle.see(Seam::Input(&Input::Connected { conn, addr, outgoing: true }));
        assert_eq!(reasons(&mut idle), ["download not-interested", "upload nobody-interested"]);
        idle.see(Seam::Output(&Output::Send { conn, message: Message::Interested }));
        idle.see(Seam::Input(&Input::Message { conn, message: Message::Interested }));
        assert_eq!(reasons(&mut idle), ["download choked-by-all", "upload choking-all"]);
        idle.see(Seam::Input(&Input::Message { conn, message: Message::Unchoke }));
        assert_eq!(reasons(&mut idle), ["download nothing-outstanding"]);
        let request = Message::Request(RawBlock { piece: 0, begin: 0, length: 16384 });
        idle.see(Seam::Output(&Output::Send { conn, message: request.clone() }));
        assert_eq!(reasons(&mut idle), ["download busy"]);
        // Without BEP 6 a choke takes every request with it.
        idle.see(Seam::Input(&Input::Message { conn, message: Message::Choke }));
        assert_eq!(reasons(&mut idle), ["download choked-by-all"]);
        idle.see(Seam::Output(&Output::Send { conn, message: Message::Unchoke }));
        assert_eq!(reasons(&mut idle), ["upload nothing-requested"]);
        idle.see(Seam::Input(&Input::Message { conn, message: request }));
        idle.see(Seam::Output(&Output::Event(Event::Completed)));
        assert_eq!(reasons(&mut idle), ["download complete", "upload busy"]);
    }
}
