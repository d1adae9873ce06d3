//! How late, how costly and how large a fleet becomes. Prints a line of JSON for each measurement.

mod due;
mod fit;
mod growth;
mod idle;
mod instance;
mod latency;
mod limit;
mod load;
mod options;
mod plot;
mod proxy;
mod replicas;
mod sustained;
mod tally;
mod trial;

use anyhow::Result;
use clap::Parser;

use options::{Command, Options};

#[derive(Parser)]
#[command(about = "Measures tasklock on a redis-server of its own")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Due(options) => due::run(&options),
        Command::Replicas(options) => replicas::run(&options),
        Command::Sustained(options) => sustained::run(&options),
        Command::Idle(options) => idle::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::Redis(options) => load::run(&options),
        Command::Growth(options) => growth::run(&options),
        Command::All(options) => all(&options),
        Command::Instance(settings) => instance::run(&settings),
        Command::Limit(settings) => limit::run(&settings),
    }
}

fn all(options: &Options) -> Result<()> {
    for work in [
        due::run,
        replicas::run,
        sustained::run,
        idle::run,
        latency::run,
        load::run,
        growth::run,
    ] {
        work(options)?;
    }
    Ok(())
}
