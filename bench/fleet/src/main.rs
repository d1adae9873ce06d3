//! How late, how costly and how large a fleet becomes. Prints a line of JSON for each measurement.

mod ask;
mod capacity;
mod churn;
mod control;
mod due;
mod fit;
mod follow;
mod growth;
mod history;
mod idle;
mod instance;
mod latency;
mod limit;
mod load;
mod model;
mod options;
mod page;
mod plot;
mod proxy;
mod replicas;
mod stored;
mod sustained;
mod tabs;
mod tally;
mod trial;
mod turns;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::json;

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
        Command::Capacity(options) => capacity::run(&options),
        Command::Model(options) => model::run(&options),
        Command::Growth(options) => growth::run(&options),
        Command::Control(options) => control::run(&options),
        Command::Follow(options) => follow::run(&options),
        Command::History(options) => history::run(&options),
        Command::Stored(options) => stored::run(&options),
        Command::Churn(options) => churn::run(&options),
        Command::Tabs(options) => tabs::run(&options),
        Command::All(options) => all(&options),
        Command::Instance(settings) => instance::run(&settings),
        Command::Limit(settings) => limit::run(&settings),
        Command::Page(settings) => page::run(&settings),
    }
}

/// Without `replicas` and `capacity`: `growth` and `model` measure the same. And without what is about
/// people's wishes and records.
fn all(options: &Options) -> Result<()> {
    type Work = fn(&Options) -> Result<()>;
    let works: [(&str, Work); 7] = [
        ("due", due::run),
        ("sustained", sustained::run),
        ("idle", idle::run),
        ("latency", latency::run),
        ("redis", load::run),
        ("model", model::run),
        ("growth", growth::run),
    ];
    let mut failed = Vec::new();
    for (name, work) in works {
        let begun = Instant::now();
        let ended = work(options);
        eprintln!("{name}: {} s", begun.elapsed().as_secs());
        // What one cannot measure must not keep the others from it.
        if let Err(error) = ended {
            println!("{}", json!({"work": name, "error": format!("{error:#}")}));
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
