//! The command line of swarmlab: parses, hands over to one command, turns the outcome into an exit code.

mod cli;
mod commands;
mod failure;
mod files;
mod live;
mod output;
mod pages;
mod progress;
mod saving;
mod scenarios;
mod selection;
mod stop;
mod target;

use clap::Parser as _;

/// Faster than the system's, with nearly twice the memory: 14 % less CPU time at 300 peers, 45 MiB for 25.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}
