//! `tasklock`: asks and steers a fleet, answers questions about specs without one, and is a cron of its
//! own.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Scheduled tasks, each instant run by one host: asks and steers a fleet, runs the tasks of a file, and says
/// when specs fire.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    place: tasklock::cli::Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Verb(tasklock::cli::Verb),
    #[cfg(all(feature = "standalone", unix))]
    #[command(flatten)]
    Standalone(tasklock::cli::standalone::Command),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut runtime = match &arguments.command {
        Command::Verb(verb) if !verb.runs_here() => tokio::runtime::Builder::new_current_thread(),
        #[cfg(all(feature = "standalone", unix))]
        _ => tokio::runtime::Builder::new_multi_thread(),
        // Which has no tasks of its own.
        #[cfg(not(all(feature = "standalone", unix)))]
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => {
            eprintln!("tasklock: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        #[cfg(not(all(feature = "standalone", unix)))]
        Command::Verb(verb) => verb.run(arguments.place, Arguments::command()).await,
        #[cfg(all(feature = "standalone", unix))]
        Command::Verb(verb) => {
            tasklock::cli::standalone::run_verb(verb, arguments.place, Arguments::command()).await
        }
        #[cfg(all(feature = "standalone", unix))]
        Command::Standalone(_) if arguments.place.is_named() => {
            eprintln!(
                "tasklock: where the fleet is says the file of tasks, under [lock]: leave the option out"
            );
            ExitCode::from(2)
        }
        #[cfg(all(feature = "standalone", unix))]
        Command::Standalone(command) => command.run().await,
    }
}
