//! Threads for what blocks: files and hashes. Jobs of one key run in the order they were given, so that a
//! read of a piece sees what was written to it before.

use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Something that blocks.
type Job = Box<dyn FnOnce() + Send>;

/// A few threads. How much work waits for them is for those who give it to bound; every torrent does.
#[derive(Debug)]
pub struct Disk {
    workers: Vec<Sender<Job>>,
}

impl Disk {
    /// `threads` of them, at least one. They end once this is dropped and what was given is done.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let worker = |number: usize| {
            let (sender, jobs) = channel::<Job>();
            let work = move || jobs.into_iter().for_each(|job| job());
            thread::Builder::new().name(format!("disk {number}")).spawn(work)?;
            Ok(sender)
        };
        Ok(Self { workers: (0..threads.max(1)).map(worker).collect::<std::io::Result<_>>()? })
    }

    /// Runs `job` after all that was given under this `key`.
    pub fn run(&self, key: u64, job: impl FnOnce() + Send + 'static) {
        let worker = &self.workers[(key % self.workers.len() as u64) as usize];
        // A worker ends only after all senders are gone.
        let _ = worker.send(Box::new(job));
    }
}
