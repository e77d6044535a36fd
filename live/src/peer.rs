//! One peer of a live run: it comes, takes part, and goes, as its group does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use client::session::{RateLimits, Tap};
use client::{AddTorrentParams, Alert, Session, Settings, TorrentFlags, TorrentHandle};
use engine::Bitfield;
use engine::rng::Rng;
use simulator::population;
use simulator::spec::Leave;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{LiveError, World, stays};

/// How often a peer that leaves at a share ratio looks at its own.
const LOOK: Duration = Duration::from_millis(200);
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// When a peer comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Comes {
    /// After the start.
    At(Duration),
    /// After the leechers of a group have completed.
    After { group: usize, delay: Duration },
}

/// Who takes part.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its place among all peers.
    pub place: usize,
    pub group: usize,
    pub comes: Comes,
    /// How long it has patience.
    pub gives_up: Option<Duration>,
    /// Others may dial it.
    pub reachable: bool,
    pub addr: Ipv4Addr,
    pub rng: Rng,
    /// Others may wait for it to complete or leave.
    pub awaited: bool,
}

/// What ends a peer's part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Leaves,
    Over,
}

pub(crate) async fn take_part(mut member: Member, world: Arc<World>) -> Result<(), LiveError> {
    let mut over = world.over.clone();
    tokio::select! {
        () = ended(&mut over) => return Ok(()),
        () = comes(&member, &world) => {}
    }
    let session = Session::new(settings(&member, &world)).await?;
    let mut alerts = session.alerts();
    let (sharer, place, group) = (world.clone(), member.place, member.group);
    let made = tokio::task::spawn_blocking(move || params(place, group, &sharer)).await;
    let (params, has) = made.map_err(|error| LiveError::Io("make files", error.into()))??;
    let torrent = session.add_torrent(params)?;
    world.book.joined(place, group, &world.spec, has, torrent.clone(), world.elapsed());
    let ends = stay(&mut member, &world, &mut alerts, &torrent).await?;
    let status = torrent.status().await.map_err(|_| LiveError::Gone)?;
    let left = (ends == Ends::Leaves).then(|| world.elapsed());
    world.book.ended(member.place, &status, left);
    if status.state == client::session::TorrentState::Seeding && !world.spec.groups[member.group].seed {
        let (world, folder) = (world.clone(), status.save_path.clone());
        let whole = tokio::task::spawn_blocking(move || world.content.is_whole(&folder)).await;
        match whole.map_err(|error| LiveError::Io("compare files", error.into()))? {
            Ok(true) => {}
            Ok(false) => return Err(LiveError::Files("a complete peer's file differs".to_owned())),
            Err(error) => return Err(LiveError::Io("compare files", error)),
        }
    }
    settle(&mut member, &world);
    session.close().await;
    Ok(())
}

/// Waits until the run is over.
async fn ended(over: &mut watch::Receiver<bool>) {
    // Who can no longer be told is over too.
    let _ = over.wait_for(|over| *over).await;
}

/// Waits until it is time to come.
async fn comes(member: &Member, world: &World) {
    match member.comes {
        Comes::At(time) => sleep_until(world.start + time).await,
        Comes::After { group, delay } => {
            let mut waiting = world.waiting[group].subscribe();
            // The sender lives as long as the world.
            let _ = waiting.wait_for(|&left| left == 0).await;
            tokio::time::sleep(delay).await;
        }
    }
}

/// Takes part until it leaves or the run is over.
async fn stay(
    member: &mut Member,
    world: &World,
    alerts: &mut client::Alerts,
    torrent: &TorrentHandle,
) -> Result<Ends, LiveError> {
    let group = &world.spec.groups[member.group];
    let mut over = world.over.clone();
    let mut leaves = Instant::now() + member.gives_up.unwrap_or(NEVER);
    if group.seed {
        leaves = Instant::now() + stays(group.leave, &mut member.rng).unwrap_or(NEVER);
    }
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ended(&mut over) => return Ok(Ends::Over),
            () = sleep_until(leaves) => return Ok(Ends::Leaves),
            _ = look.tick(), if matches!(group.leave, Leave::AtRatio(_)) => {
                let status = torrent.status().await.map_err(|_| LiveError::Gone)?;
                let given = status.uploaded as f64 / world.spec.content as f64;
                let enough = matches!(group.leave, Leave::AtRatio(ratio) if given >= ratio);
                if enough && status.done == status.total {
                    return Ok(Ends::Leaves);
                }
            }
            alert = alerts.next() => match alert.ok_or(LiveError::Gone)? {
                Alert::PieceFinished { piece, .. } => world.book.piece(member.place, piece),
                Alert::TorrentFinished(_) if !group.seed => {
                    world.book.completed(member.place, world.elapsed());
                    settle(member, world);
                    leaves = Instant::now() + stays(group.leave, &mut member.rng).unwrap_or(NEVER);
                }
                Alert::FileError { error, .. } => return Err(LiveError::Files(error)),
                Alert::Dropped(lost) => return Err(LiveError::Missed(lost)),
                _ => {}
            },
        }
    }
}

/// It is complete, or gone: those who wait for its group hear of it, once.
fn settle(member: &mut Member, world: &World) {
    if std::mem::take(&mut member.awaited) {
        world.waiting[member.group].send_modify(|left| *left -= 1);
    }
}

fn settings(member: &Member, world: &Arc<World>) -> Settings {
    let group = &world.spec.groups[member.group];
    let place = member.place;
    let tap = world.tap.clone().map(|tap| Tap(Arc::new(move |_, seam| tap(place, seam))));
    Settings {
        listen: vec![SocketAddr::from((member.addr, 0))],
        accept: member.reachable,
        seed: Some(world.seed.derive("session", place as u64).0),
        peer: group.peer_config(),
        leech_choker: group.choker.name().to_owned(),
        seed_choker: group.seed_choker.name().to_owned(),
        picker: group.picker.name().to_owned(),
        rates: RateLimits { up: Some(group.up), down: group.down },
        disk_threads: 1,
        tap,
        ..Settings::default()
    }
}

/// What a peer begins with: its torrent, and the pieces that it has.
fn params(place: usize, group: usize, world: &World) -> Result<(AddTorrentParams, Bitfield), LiveError> {
    let (group, content) = (&world.spec.groups[group], &world.content);
    let layout = &content.metainfo.layout;
    let make = |error| LiveError::Io("make a peer's files", error);
    let (folder, has, resume) = if group.seed {
        (content.origin(), Bitfield::full(layout), None)
    } else {
        let folder = content.folder_for(place).map_err(make)?;
        let mut rng = world.seed.derive("pieces", place as u64).rng();
        let has = population::start_pieces(layout, group.start_with, &mut rng);
        let resume = (has.count() > 0).then(|| content.begin(&folder, &has)).transpose().map_err(make)?;
        (folder, has, resume)
    };
    let mut params = AddTorrentParams::metainfo(content.metainfo.clone(), folder);
    params.trackers = vec![vec![world.tracker.clone()]];
    params.resume = resume;
    if group.seed {
        params.flags |= TorrentFlags::SEED_MODE;
    }
    Ok((params, has))
}
