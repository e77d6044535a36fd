//! Sessions on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use client::session::TorrentState;
use client::{Alert, Alerts, Session, Settings};
use engine::peer::PeerConfig;

/// Longer than anything takes, however slow the machine.
pub const LONG: Duration = Duration::from_secs(120);

pub fn settings() -> Settings {
    Settings {
        listen: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)],
        peer: PeerConfig { one_per_address: false, ..PeerConfig::client() },
        ..Settings::default()
    }
}

pub async fn session() -> Session {
    Session::new(settings()).await.unwrap()
}

pub fn addr(session: &Session) -> SocketAddr {
    session.local_addrs()[0]
}

/// Waits for an alert that `wanted` finds something in.
pub async fn wait<T>(alerts: &mut Alerts, what: &str, wanted: impl FnMut(&Alert) -> Option<T>) -> T {
    find(alerts, wanted, LONG).await.unwrap_or_else(|| panic!("never came: {what}"))
}

/// The same, for so long; `None` if it does not come.
pub async fn find<T>(
    alerts: &mut Alerts,
    mut wanted: impl FnMut(&Alert) -> Option<T>,
    time: Duration,
) -> Option<T> {
    let found = async {
        loop {
            if let Some(found) = wanted(&alerts.next().await?) {
                return Some(found);
            }
        }
    };
    tokio::time::timeout(time, found).await.ok().flatten()
}

pub async fn state(alerts: &mut Alerts, wanted: TorrentState) {
    wait(alerts, &format!("{wanted}"), |alert| match alert {
        Alert::StateChanged { to, .. } if *to == wanted => Some(()),
        Alert::FileError { error, .. } => panic!("{error}"),
        _ => None,
    })
    .await;
}

pub async fn finished(alerts: &mut Alerts) {
    wait(alerts, "finished", |alert| matches!(alert, Alert::TorrentFinished(_)).then_some(())).await;
}
