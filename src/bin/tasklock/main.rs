//! `tasklock`: answers questions about specs, without a server; and a cron of its own.

mod answer;
mod check;
mod next;
mod question;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit statuses. Clap exits with [`REFUSED`] itself, on arguments that it cannot use.
const FAILED: u8 = 1;
const REFUSED: u8 = 2;
const NEVER: u8 = 3;

/// Scheduled tasks, each instant run by one host: runs those of a file, and says when specs fire.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Next(next::Next),
    Check(check::Check),
    #[cfg(all(feature = "standalone", unix))]
    #[command(flatten)]
    Standalone(tasklock::cli::standalone::Command),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        #[cfg(all(feature = "standalone", unix))]
        Command::Standalone(command) => return standalone(command),
        Command::Next(next) => next.run(),
        Command::Check(check) => check.run(),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        // Whoever read us has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tasklock: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// A cron of its own.
#[cfg(all(feature = "standalone", unix))]
fn standalone(command: tasklock::cli::standalone::Command) -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(command.run()),
        Err(error) => {
            eprintln!("tasklock: {error}");
            ExitCode::from(FAILED)
        }
    }
}
