//! A network in memory for tests of several machines that know nothing of each other but addresses: a message
//! takes 20 ms, order on a connection is kept, nothing is lost.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use crate::ids::ConnId;
use crate::metadata::Fetch;
use crate::peer::{Deadline, DisconnectReason, Event, Input, Output, Peer};
use crate::time::Instant;
use crate::tracker::AnnounceReply;

/// What runs at an address.
pub(crate) trait Machine {
    fn input(&mut self, now: Instant, input: Input);
    fn output(&mut self) -> Option<Output>;
    fn timeout(&self) -> Option<Deadline>;
    fn any(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl Machine for Peer {
    fn input(&mut self, now: Instant, input: Input) {
        self.handle_input(now, input);
    }
    fn output(&mut self) -> Option<Output> {
        self.poll_output()
    }
    fn timeout(&self) -> Option<Deadline> {
        self.poll_timeout()
    }
    fn any(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Machine for Fetch {
    fn input(&mut self, now: Instant, input: Input) {
        self.handle_input(now, input);
    }
    fn output(&mut self) -> Option<Output> {
        self.poll_output()
    }
    fn timeout(&self) -> Option<Deadline> {
        self.poll_timeout()
    }
    fn any(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A machine and what its driver knows.
pub(crate) struct Node {
    pub machine: Box<dyn Machine>,
    /// Its connections: the other end's node and its name for it.
    pub links: BTreeMap<ConnId, (usize, ConnId)>,
    next: u32,
    pub closed: Vec<(ConnId, DisconnectReason)>,
    pub events: Vec<Event>,
    /// Announces so far.
    pub announces: u32,
}

/// See the module.
pub(crate) struct Net {
    pub now: Instant,
    pub nodes: Vec<Node>,
    /// What is on its way, by when it comes and when it left.
    way: BTreeMap<(Instant, u64), (usize, Input)>,
    sent: u64,
    /// What every tracker says.
    pub tracker: Vec<SocketAddr>,
    /// Every message, with who sent it.
    pub log: Vec<(usize, Output)>,
}

/// Where node number `n` listens.
pub(crate) fn addr(n: usize) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(0x0a00_0001 + n as u32).into(), 6881)
}

impl Net {
    pub fn new() -> Self {
        Self {
            now: Instant::ZERO,
            nodes: Vec::new(),
            way: BTreeMap::new(),
            sent: 0,
            tracker: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Adds a machine and starts it.
    pub fn add(&mut self, machine: impl Machine + 'static) -> usize {
        self.nodes.push(Node {
            machine: Box::new(machine),
            links: BTreeMap::new(),
            next: 0,
            closed: Vec::new(),
            events: Vec::new(),
            announces: 0,
        });
        let node = self.nodes.len() - 1;
        self.feed(node, Input::Start);
        node
    }

    /// The machine at a node, as what it is.
    pub fn at<M: Machine + 'static>(&mut self, node: usize) -> &mut M {
        self.nodes[node].machine.any().downcast_mut().expect("a node of this kind")
    }

    /// Puts another machine in a node's place; what was there. The caller drains it.
    pub fn replace<M: Machine + 'static>(&mut self, node: usize, machine: impl Machine + 'static) -> M {
        let old = std::mem::replace(&mut self.nodes[node].machine, Box::new(machine));
        *old.into_any().downcast().expect("a node of this kind")
    }

    pub fn feed(&mut self, node: usize, input: Input) {
        let now = self.now;
        if let Input::Message { conn, .. } | Input::Handshake { conn, .. } | Input::Closed { conn } = &input {
            if !self.nodes[node].links.contains_key(conn) {
                return;
            }
            if matches!(input, Input::Closed { .. }) {
                self.nodes[node].links.remove(conn);
            }
        }
        self.nodes[node].machine.input(now, input);
        self.drain(node);
    }

    /// Carries out what a machine says.
    pub fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].machine.output() {
            self.carry(node, output);
        }
    }

    fn put(&mut self, node: usize, input: Input) {
        self.sent += 1;
        self.way.insert((self.now + Duration::from_millis(20), self.sent), (node, input));
    }

    fn link(&mut self, node: usize, to: usize, there: ConnId) -> ConnId {
        let conn = ConnId(self.nodes[node].next);
        self.nodes[node].next += 1;
        self.nodes[node].links.insert(conn, (to, there));
        conn
    }

    fn carry(&mut self, node: usize, output: Output) {
        self.log.push((node, output.clone()));
        match output {
            Output::Connect { addr: to } => {
                let Some(other) = (0..self.nodes.len()).find(|&n| addr(n) == to) else {
                    return self.put(node, Input::ConnectFailed { addr: to });
                };
                let here = self.link(node, other, ConnId(0));
                let there = self.link(other, node, here);
                self.nodes[node].links.insert(here, (other, there));
                // A dialler's port says nothing.
                let from = SocketAddr::new(addr(node).ip(), 40_000 + here.0 as u16);
                self.put(other, Input::Connected { conn: there, addr: from, outgoing: false });
                self.put(node, Input::Connected { conn: here, addr: to, outgoing: true });
            }
            Output::Disconnect { conn, reason } => {
                self.nodes[node].closed.push((conn, reason));
                if let Some((other, there)) = self.nodes[node].links.remove(&conn) {
                    self.put(other, Input::Closed { conn: there });
                }
            }
            Output::SendHandshake { conn, handshake } => {
                let Some(&(other, conn)) = self.nodes[node].links.get(&conn) else { return };
                self.put(other, Input::Handshake { conn, handshake });
            }
            Output::Send { conn, message } => {
                let Some(&(other, there)) = self.nodes[node].links.get(&conn) else { return };
                if let crate::Message::Piece { data, .. } = &message {
                    self.put(node, Input::Sent { conn, bytes: data.len() as u32 });
                }
                self.put(other, Input::Message { conn: there, message });
            }
            Output::ReadBlock { conn, block } => {
                let data = Some(Bytes::from(vec![0; block.length() as usize]));
                self.put(node, Input::BlockRead { conn, block, data });
            }
            Output::VerifyPiece { piece } => self.put(node, Input::PieceVerified { piece, ok: true }),
            Output::WriteBlock { .. } => {}
            Output::Announce(_) => {
                self.nodes[node].announces += 1;
                let peers = self.tracker.clone();
                let reply =
                    AnnounceReply { interval: Duration::from_secs(1800), peers, ..Default::default() };
                self.put(node, Input::Announced(Ok(Box::new(reply))));
            }
            Output::Event(event) => self.nodes[node].events.push(event),
        }
    }

    /// Lets time pass until `done` or for `most`. True if it was done.
    pub fn run(&mut self, most: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            if done(self) {
                return true;
            }
            let due = |node: &Node| node.machine.timeout().map(|deadline| deadline.at);
            let timer = (0..self.nodes.len()).filter_map(|n| Some((due(&self.nodes[n])?, n))).min();
            let arrival = self.way.keys().next().map(|&(at, _)| at);
            let next = timer.map(|(at, _)| at).into_iter().chain(arrival).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            match arrival {
                Some(at) if at <= next => {
                    if let Some((_, (node, input))) = self.way.pop_first() {
                        self.feed(node, input);
                    }
                }
                _ => {
                    if let Some((_, node)) = timer {
                        self.feed(node, Input::Timeout);
                    }
                }
            }
        }
    }
}
