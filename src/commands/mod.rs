//! The commands, one file each: each takes its arguments, prints to standard output, and says how it ended.

mod bench;
mod check;
mod compare;
mod conform;
mod create;
mod fuzz;
mod list;
mod live;
mod replay;
mod report;
mod run;
mod show;
mod torture;
mod trace;
mod validate;

use std::io::{self, BufWriter, Write};

use simulator::Stack;

use crate::cli::{self, Command};
use crate::failure::{Exit, Failure};

/// What every command returns.
pub type Outcome = Result<Exit, Failure>;

/// Does what is asked for.
pub fn run(command: Command) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = match command {
        Command::Run(args) => run::run(&args, &mut out),
        Command::Check(args) => check::check(&args, &mut out),
        Command::List => list::list(&mut out),
        Command::Replay(args) => replay::replay(&args, &mut out),
        Command::Report(args) => report::report(&args, &mut out),
        Command::Compare(args) => compare::compare(&args, &mut out),
        Command::Trace(args) => trace::trace(&args),
        Command::Validate(args) => validate::validate(&args, &mut out),
        Command::Torture(args) => torture::torture(&args, &mut out),
        Command::Bench(args) => bench::bench(&args, &mut out),
        Command::Create(args) => create::create(&args, &mut out),
        Command::Show(args) => show::show(&args, &mut out),
        Command::Seed(args) => live::seed::seed(&args, &mut out),
        Command::Get(args) => live::get::get(&args, &mut out),
        Command::Tracker(args) => live::tracker::tracker(&args, &mut out),
        Command::Conform(args) => conform::conform(&args, &mut out),
        Command::Fuzz(args) => fuzz::fuzz(&args, &mut out),
    };
    // What was printed before an error is printed before it.
    let flushed = out.flush();
    let exit = outcome?;
    flushed?;
    Ok(exit)
}

/// Runs at a time.
fn jobs(args: &cli::Jobs) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    args.jobs.map_or_else(cores, usize::from)
}

fn stack(stack: cli::Stack) -> Stack {
    match stack {
        cli::Stack::Message => Stack::Message,
        cli::Stack::Wire => Stack::Wire,
    }
}
