//! Progress on a terminal: a bar for each run that goes on, and one for all. Elsewhere nothing is drawn.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use simulator::Progress;
use simulator::runner::{Job, Update};

use crate::output::counted;

/// Steps of a run's bar.
const STEPS: u64 = 1000;

/// The bars.
pub struct Bars {
    multi: MultiProgress,
    all: ProgressBar,
    /// How many runs there are.
    count: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the number of the job: its bar, and what it counts for in the bar of all.
    running: BTreeMap<usize, (ProgressBar, u64)>,
    /// Cost of what has ended.
    done: u64,
    ended: u64,
}

impl Bars {
    /// Bars for these jobs; nothing at all if `quiet` or if nobody would see them.
    pub fn new<'a>(jobs: impl IntoIterator<Item = &'a Job>, quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let multi = MultiProgress::with_draw_target(target);
        let (mut count, mut cost) = (0, 0);
        for job in jobs {
            count += 1;
            cost += job.cost();
        }
        let all = multi.add(ProgressBar::new(cost));
        all.set_style(style("{bar:24.green} {msg}  {elapsed} gone, {eta} left"));
        all.set_message(format!("0 of {}", counted(count, "run")));
        all.enable_steady_tick(Duration::from_millis(500));
        Self { multi, all, count, state: Mutex::default() }
    }

    /// Draws what has changed.
    pub fn update(&self, update: Update<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match update {
            Update::Started(job) => {
                let bar = self.multi.insert_before(&self.all, ProgressBar::new(STEPS));
                bar.set_style(style("{bar:24.cyan} {prefix}  {msg}  {eta} left"));
                bar.set_prefix(prefix(job));
                state.running.insert(job.number, (bar, 0));
            }
            Update::Running(job, progress) => {
                if let Some((bar, counts)) = state.running.get_mut(&job.number) {
                    let share = progress.pieces as f64 / progress.pieces_in_all.max(1) as f64;
                    bar.set_position((share * STEPS as f64) as u64);
                    bar.set_message(message(progress));
                    *counts = (share.min(1.0) * job.cost() as f64) as u64;
                }
            }
            Update::Finished(job, _) => {
                if let Some((bar, _)) = state.running.remove(&job.number) {
                    bar.finish_and_clear();
                    self.multi.remove(&bar);
                }
                state.done += job.cost();
                state.ended += 1;
                self.all.set_message(format!("{} of {}", state.ended, counted(self.count, "run")));
            }
        }
        let under_way: u64 = state.running.values().map(|(_, counts)| counts).sum();
        self.all.set_position(state.done + under_way);
    }

    /// Takes everything off the screen.
    pub fn clear(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.values().for_each(|(bar, _)| bar.finish_and_clear());
        self.all.finish_and_clear();
    }
}

fn prefix(job: &Job) -> String {
    let point = job.point.join(", ");
    let gap = if point.is_empty() { "" } else { " " };
    format!("{point}{gap}#{}", job.replicate)
}

fn message(progress: Progress) -> String {
    let Progress { time, settled, leechers, .. } = progress;
    let (minutes, seconds) = (time as u64 / 60, time as u64 % 60);
    format!("{minutes}:{seconds:02} simulated, {settled} of {} done", counted(leechers.into(), "peer"))
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and right: this is for the type alone.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
