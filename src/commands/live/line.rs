//! One line that says how a torrent is: a bar on a terminal, nothing elsewhere.

use std::time::Duration;

use client::session::{TorrentState, TorrentStatus};
use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Client;
use crate::output::{counted, safe};

/// See the module.
pub struct Line {
    bar: ProgressBar,
    /// Tell every alert.
    pub verbose: bool,
}

impl Line {
    /// A line that is drawn if anybody would see it.
    pub fn new(args: &Client) -> Self {
        let target = if args.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        // The template is a constant, and right: this is for the type alone.
        let style = ProgressStyle::with_template("{bar:24.cyan} {percent:>3} %  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, verbose: args.verbose }
    }

    pub fn draw(&self, status: &TorrentStatus) {
        match status.state {
            TorrentState::CheckingFiles => {
                self.bar.set_length(1000);
                self.bar.set_position((status.checked * 1000.0) as u64);
            }
            _ => {
                self.bar.set_length(status.total.max(1));
                self.bar.set_position(status.done);
            }
        }
        self.bar.set_message(said(status));
    }

    /// Prints something above it.
    pub fn above(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn said(status: &TorrentStatus) -> String {
    let name = safe(&status.name);
    let peers = counted(status.peers.into(), "peer");
    let rate = |rate: u64| format!("{}/s", BinaryBytes(rate));
    match status.state {
        TorrentState::CheckingFiles | TorrentState::CheckingResumeData => format!("{name}: {}", status.state),
        TorrentState::DownloadingMetadata => format!("{name}: {}, {peers}", status.state),
        TorrentState::Downloading => format!(
            "{name}: {} down, {} up, {peers}, ratio {:.2}, {}",
            rate(status.download_rate),
            rate(status.upload_rate),
            status.ratio(),
            left(status),
        ),
        TorrentState::Seeding => {
            format!("{name}: {} up, {peers}, ratio {:.2}", rate(status.upload_rate), status.ratio())
        }
    }
}

fn left(status: &TorrentStatus) -> String {
    match (status.total - status.done).checked_div(status.download_rate) {
        Some(seconds) => format!("{} left", HumanDuration(Duration::from_secs(seconds))),
        None => "waiting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use client::TorrentFlags;
    use engine::InfoHash;

    use super::*;

    #[test]
    fn the_line_says_rate_peers_ratio_and_time_left() {
        let status = TorrentStatus {
            info_hash: InfoHash([0; 20]),
            name: "film\u{1b}".to_owned(),
            state: TorrentState::Downloading,
            paused: false,
            error: None,
            flags: TorrentFlags::DEFAULT,
            save_path: "x".into(),
            total: 10 << 20,
            done: 4 << 20,
            pieces: 10,
            pieces_done: 4,
            checked: 1.0,
            uploaded: 1 << 20,
            downloaded: 4 << 20,
            wasted: 0,
            upload_rate: 0,
            download_rate: 1 << 20,
            peers: 1,
            swarm: None,
        };
        assert_eq!(
            said(&status),
            "film\\u{1b}: 1.00 MiB/s down, 0 B/s up, 1 peer, ratio 0.25, 6 seconds left"
        );
        assert!(said(&TorrentStatus { download_rate: 0, ..status.clone() }).ends_with("waiting"));
        let seeding = TorrentStatus { state: TorrentState::Seeding, ..status };
        assert_eq!(said(&seeding), "film\\u{1b}: 0 B/s up, 1 peer, ratio 0.25");
    }
}
