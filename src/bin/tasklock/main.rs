//! `tasklock`: answers questions about specs, without a server.

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

/// Says when cron specs fire, and what is wrong with them.
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
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
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
