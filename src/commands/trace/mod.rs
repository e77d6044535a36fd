//! `trace`: one peer of a record's run, made again: every input and output as a line of JSON, and between
//! them when and why it is idle.

mod idle;
mod line;

use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Instant;
use simulator::runner;
use simulator::{Options, RunError, Seam, Watch};

use self::idle::Idle;
use super::Outcome;
use crate::cli::Trace;
use crate::failure::{Exit, Failure};
use crate::output::{counted, note, safe};
use crate::{files, selection};

pub fn trace(args: &Trace) -> Outcome {
    let record = files::read_record(&args.record)?;
    let scenario = selection::scenario(&record, args.which.base.as_deref())?;
    let runs = selection::runs(&record, &scenario, &args.which)?;
    let Some((run, job)) = runs.first() else { return Err(Failure::input("the record has no run")) };
    if runs.len() > 1 {
        let which = format!("{}, replicate {}", safe(&runner::describe(&run.point)), run.replicate);
        let of = counted(runs.len() as u64, "run");
        note(&format!("note: this is {which}, the first of {of}: --point and --replicate choose another"));
    }
    let Some(peer) = run.peers.get(args.peer as usize) else {
        let help = match run.peers.len() {
            0 => "the run has no peers".to_owned(),
            n => format!("the run has the peers 0 to {}", n - 1),
        };
        return Err(Failure::Input(format!("there is no peer {}", args.peer), Some(help)));
    };
    let complete = run.groups.get(peer.group as usize).is_some_and(|group| group.seed);
    let tracer = Arc::new(Mutex::new(Tracer {
        out: BufWriter::new(io::stdout()),
        idle: Idle::new(complete),
        last: Instant::ZERO,
        failed: None,
    }));
    let watcher = Arc::clone(&tracer);
    let observer = Box::new(move |now, seam: Seam<'_>| lock(&watcher).see(now, seam));
    let watch = Watch { peer: args.peer as usize, observer };
    let options = Options { stack: super::replay::stack_of(&record)?, ..Options::default() };
    let again = job.run(options, Some(watch), |_| lock(&tracer).failed.is_none());
    lock(&tracer).end()?;
    match again {
        Ok(again) if again.digest != run.digest => {
            note("the run is not that of the record: its digest differs");
            Ok(Exit::Failed)
        }
        Ok(_) => Ok(Exit::Ok),
        // Only when printing failed, which was told above.
        Err(RunError::Interrupted) => Ok(Exit::Interrupted),
        Err(error) => Err(Failure::input(error.to_string())),
    }
}

fn lock(tracer: &Mutex<Tracer>) -> MutexGuard<'_, Tracer> {
    tracer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints what crosses the seam.
struct Tracer {
    out: BufWriter<Stdout>,
    idle: Idle,
    /// When something last crossed.
    last: Instant,
    /// Why nothing can be printed any more.
    failed: Option<io::Error>,
}

impl Tracer {
    fn see(&mut self, now: Instant, seam: Seam<'_>) {
        if self.failed.is_some() {
            return;
        }
        if let Seam::Input(_) = seam {
            // Every output to the last input has been seen: what it is at holds until now.
            self.tell_idle();
        }
        self.idle.see(seam);
        self.last = now;
        self.print(&line::of(now, seam));
    }

    fn tell_idle(&mut self) {
        for line in self.idle.changes(self.last).into_iter().flatten() {
            self.print(&line);
        }
    }

    fn print(&mut self, line: &line::Line) {
        let text = serde_json::to_string(line).map_err(io::Error::from);
        let printed = text.and_then(|text| writeln!(self.out, "{text}"));
        if let Err(error) = printed {
            self.failed.get_or_insert(error);
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.tell_idle();
        let flushed = self.out.flush();
        match self.failed.take() {
            Some(error) => Err(error.into()),
            None => Ok(flushed?),
        }
    }
}
