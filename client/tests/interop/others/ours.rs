//! Our own client, as a process like every other: this program, started in another role.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use client::session::{RateLimits, Tap, TorrentState};
use client::tracker::{TrackerServer, TrackerSettings};
use client::{AddTorrentParams, Alert, Session, Settings, TorrentHandle};
use engine::peer::PeerConfig;
use engine::{Magnet, Metainfo};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::lines::Lines;
use super::{Kind, Other, Wishes};
use crate::Outcome;
use crate::lab::Place;
use crate::time::Stopwatch;

/// See the module.
pub const KIND: Kind = Kind::able("swarmlab", || Ok(env!("CARGO_PKG_VERSION").to_owned()), start);

/// If set, our client writes all that crosses its seam to its log.
const TRACE: &str = "SWARMLAB_INTEROP_TRACE";

/// The argument before a role.
pub const ROLE: &str = "--as-a";

fn start(place: &Place, wishes: Wishes) -> Outcome<Box<dyn Other>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ROLE, "client"]);
    Ok(Box::new(Lines::start(command, place, wishes)?))
}

/// What the process does that was started with [`ROLE`] and these arguments.
pub fn main(role: &str, settings: &str) -> Outcome {
    let settings: Value = serde_json::from_str(settings)?;
    let runtime = tokio::runtime::Runtime::new()?;
    match role {
        "client" => runtime.block_on(serve(&settings)),
        "tracker" => runtime.block_on(track(&settings)),
        _ => Err(format!("no role {role}").into()),
    }
}

fn addr_of(value: &Value) -> Outcome<SocketAddr> {
    let ip = value["ip"].as_str().ok_or("no address")?.parse()?;
    Ok(SocketAddr::new(ip, u16::try_from(value["port"].as_u64().ok_or("no port")?)?))
}

async fn track(settings: &Value) -> Outcome {
    let addr = addr_of(settings)?;
    let settings = TrackerSettings { http: vec![addr], udp: vec![addr], ..TrackerSettings::default() };
    let _server = TrackerServer::start(settings).await?;
    std::future::pending().await
}

/// Lines of input as they come, read by a thread of its own.
fn requests() -> mpsc::UnboundedReceiver<Value> {
    let (to, requests) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(request) = serde_json::from_str(&line) else { return };
            if to.send(request).is_err() {
                return;
            }
        }
    });
    requests
}

async fn serve(start: &Value) -> Outcome {
    let work = PathBuf::from(start["work"].as_str().ok_or("no folder")?);
    let mut settings = Settings {
        listen: vec![addr_of(start)?],
        rates: RateLimits { up: start["up"].as_u64(), down: start["down"].as_u64() },
        resume_folder: Some(work.join("resume")),
        resume_interval: Duration::from_secs(1),
        ..Settings::default()
    };
    if std::env::var_os(TRACE).is_some() {
        let watch = Stopwatch::start();
        settings.tap = Some(Tap(Arc::new(move |_, seam| {
            let text: String = format!("{seam:?}").chars().take(300).collect();
            eprintln!("{:.3} {text}", watch.elapsed().as_secs_f64());
        })));
    }
    settings.peer = PeerConfig { pex: start["pex"] == true, ..settings.peer };
    let session = Session::new(settings).await?;
    let mut alerts = session.alerts();
    tokio::spawn(async move {
        while let Some(alert) = alerts.next().await {
            if !matches!(alert, Alert::PieceFinished { .. }) {
                eprintln!("{alert:?}");
            }
        }
    });
    let mut requests = requests();
    let mut torrent = None;
    println!("{{}}");
    while let Some(request) = requests.recv().await {
        if request["do"] == "quit" {
            session.close().await;
            println!("{{}}");
            break;
        }
        let answer = answer(&session, &mut torrent, &request).await;
        println!("{}", answer.unwrap_or_else(|error| json!({"error": error.to_string()})));
    }
    Ok(())
}

async fn answer(session: &Session, torrent: &mut Option<TorrentHandle>, request: &Value) -> Outcome<Value> {
    if request["do"] == "add" {
        let dir = request["dir"].as_str().ok_or("no folder")?;
        let params = match (request["magnet"].as_str(), request["torrent"].as_str()) {
            (Some(link), _) => AddTorrentParams::magnet(link.parse::<Magnet>()?, dir),
            (_, Some(path)) => AddTorrentParams::metainfo(Metainfo::parse(&std::fs::read(path)?)?, dir),
            _ => return Err("no torrent".into()),
        };
        *torrent = Some(session.add_torrent(params)?);
        return Ok(json!({}));
    }
    let torrent = torrent.as_ref().ok_or("no torrent yet")?;
    match request["do"].as_str() {
        Some("peer") => torrent.add_peers(vec![addr_of(request)?]).await?,
        Some("status") => {
            let status = torrent.status().await?;
            let ready = matches!(status.state, TorrentState::Downloading | TorrentState::Seeding);
            let share = if ready { status.done as f64 / status.total.max(1) as f64 } else { 0.0 };
            return Ok(json!({"progress": share, "sent": status.uploaded}));
        }
        Some("peers") => {
            let peers = torrent.peers().await?.into_iter();
            let peers: Vec<Value> = peers.map(|peer| json!([peer.addr.to_string(), peer.outgoing])).collect();
            return Ok(json!({"peers": peers}));
        }
        Some("log") => {
            for peer in torrent.peers().await? {
                eprintln!("{peer:?}");
            }
            eprintln!("{:?}", torrent.status().await?);
        }
        other => return Err(format!("no request {other:?}").into()),
    }
    Ok(json!({}))
}
