//! An input or output as a line of JSON: `time` in seconds, `dir` (`in`: the peer was told, `out`: it said,
//! `state`: what follows from these), `kind`, `conn` where there is one, then what belongs to the kind.

use engine::Instant;
use engine::peer::{Event, Input, Output};
use engine::tracker::AnnounceRequest;
use engine::wire::{Handshake, Message};
use serde::Serialize;
use serde_json::{Map, Value, json};
use simulator::Seam;

/// A line.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Seconds of simulated time.
    pub time: f64,
    /// `in`, `out` or `state`.
    pub dir: &'static str,
    /// What it is, in the protocol's words.
    pub kind: &'static str,
    /// The peer's number for the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn: Option<u32>,
    /// The rest.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// Seconds.
pub fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}

/// The line of what crosses the seam at `now`.
pub fn of(now: Instant, seam: Seam<'_>) -> Line {
    let (dir, (kind, conn, fields)) = match seam {
        Seam::Input(input) => ("in", input_parts(input)),
        Seam::Output(output) => ("out", output_parts(output)),
    };
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Line { time: seconds(now), dir, kind, conn, fields }
}

type Parts = (&'static str, Option<u32>, Value);

fn input_parts(input: &Input) -> Parts {
    match input {
        Input::Start => ("start", None, Value::Null),
        Input::Timeout => ("timeout", None, Value::Null),
        Input::Connected { conn, addr, outgoing } => {
            ("connected", Some(conn.0), json!({ "addr": addr, "outgoing": outgoing }))
        }
        Input::ConnectFailed { addr } => ("connect-failed", None, json!({ "addr": addr })),
        Input::Closed { conn } => ("closed", Some(conn.0), Value::Null),
        Input::Handshake { conn, handshake } => ("handshake", Some(conn.0), handshake_fields(handshake)),
        Input::Message { conn, message } => message_parts(conn.0, message),
        Input::Malformed { conn, error } => {
            ("malformed", Some(conn.0), json!({ "error": error.to_string() }))
        }
        Input::Sent { conn, bytes } => ("sent", Some(conn.0), json!({ "bytes": bytes })),
        Input::BlockRead { conn, block, data } => {
            let mut fields = block_fields(block.piece().get(), block.begin(), block.length());
            fields["ok"] = json!(data.is_some());
            ("block-read", Some(conn.0), fields)
        }
        Input::PieceVerified { piece, ok } => {
            ("piece-verified", None, json!({ "piece": piece.get(), "ok": ok }))
        }
        Input::Discovered { peers } => ("discovered", None, json!({ "peers": peers })),
        Input::Named { peers } => ("named", None, json!({ "peers": peers })),
        Input::Announced(Ok(reply)) => {
            let fields = json!({
                "interval": reply.interval.as_secs_f64(),
                "complete": reply.complete,
                "incomplete": reply.incomplete,
                "peers": reply.peers,
            });
            ("announced", None, fields)
        }
        Input::Announced(Err(error)) => ("announce-failed", None, json!({ "reason": error.to_string() })),
        Input::Stop => ("stop", None, Value::Null),
    }
}

fn output_parts(output: &Output) -> Parts {
    match output {
        Output::Connect { addr } => ("connect", None, json!({ "addr": addr })),
        Output::Disconnect { conn, reason } => {
            ("disconnect", Some(conn.0), json!({ "reason": reason.to_string() }))
        }
        Output::SendHandshake { conn, handshake } => ("handshake", Some(conn.0), handshake_fields(handshake)),
        Output::Send { conn, message } => message_parts(conn.0, message),
        Output::ReadBlock { conn, block } => {
            let fields = block_fields(block.piece().get(), block.begin(), block.length());
            ("read-block", Some(conn.0), fields)
        }
        Output::WriteBlock { block, .. } => {
            ("write-block", None, block_fields(block.piece().get(), block.begin(), block.length()))
        }
        Output::VerifyPiece { piece } => ("verify-piece", None, json!({ "piece": piece.get() })),
        Output::Announce(request) => ("announce", None, announce_fields(request)),
        Output::Event(event) => event_parts(event),
    }
}

fn event_parts(event: &Event) -> Parts {
    match event {
        Event::PieceCompleted(piece) => ("piece-completed", None, json!({ "piece": piece.get() })),
        Event::Completed => ("completed", None, Value::Null),
        Event::HashFailed(piece) => ("hash-failed", None, json!({ "piece": piece.get() })),
        Event::Banned(ip) => ("banned", None, json!({ "ip": ip })),
        Event::Wasted { conn, bytes } => ("wasted", Some(conn.0), json!({ "bytes": bytes })),
        Event::Snubbed(conn) => ("snubbed", Some(conn.0), Value::Null),
        Event::EndgameStarted => ("endgame-started", None, Value::Null),
    }
}

fn message_parts(conn: u32, message: &Message) -> Parts {
    let (kind, fields) = match message {
        Message::KeepAlive => ("keep-alive", Value::Null),
        Message::Choke => ("choke", Value::Null),
        Message::Unchoke => ("unchoke", Value::Null),
        Message::Interested => ("interested", Value::Null),
        Message::NotInterested => ("not-interested", Value::Null),
        Message::Have(piece) => ("have", json!({ "piece": piece })),
        Message::Bitfield(bits) => {
            let pieces: u32 = bits.iter().map(|byte| byte.count_ones()).sum();
            ("bitfield", json!({ "pieces": pieces }))
        }
        Message::Request(block) => ("request", block_fields(block.piece, block.begin, block.length)),
        Message::Piece { piece, begin, data } => ("piece", block_fields(*piece, *begin, data.len() as u32)),
        Message::Cancel(block) => ("cancel", block_fields(block.piece, block.begin, block.length)),
        Message::Port(port) => ("port", json!({ "port": port })),
        Message::Suggest(piece) => ("suggest", json!({ "piece": piece })),
        Message::HaveAll => ("have-all", Value::Null),
        Message::HaveNone => ("have-none", Value::Null),
        Message::Reject(block) => ("reject", block_fields(block.piece, block.begin, block.length)),
        Message::AllowedFast(piece) => ("allowed-fast", json!({ "piece": piece })),
        Message::Extended { id, payload } => ("extended", json!({ "id": id, "length": payload.len() })),
        Message::Unknown { id, payload } => ("unknown", json!({ "id": id, "length": payload.len() })),
    };
    (kind, Some(conn), fields)
}

fn block_fields(piece: u32, begin: u32, length: u32) -> Value {
    json!({ "piece": piece, "begin": begin, "length": length })
}

fn handshake_fields(handshake: &Handshake) -> Value {
    json!({ "peer_id": handshake.peer_id.0.escape_ascii().to_string() })
}

fn announce_fields(request: &AnnounceRequest) -> Value {
    json!({
        "event": request.event.name(),
        "uploaded": request.uploaded,
        "downloaded": request.downloaded,
        "left": request.left,
        "numwant": request.numwant,
    })
}
