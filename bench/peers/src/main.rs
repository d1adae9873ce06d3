//! Schedulers at the same work, one after the other: tasks due at the same second, each guarded by a
//! key in Redis.

mod field;
mod outcome;
mod peer;
mod table;
mod turn;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;
use tasklock_fleet::lateness::{median, round};
use tasklock_fleet::redis_server::RedisServer;

use crate::field::Field;
use crate::outcome::Outcome;
use crate::peer::Peer;
use crate::turn::Turn;

#[derive(Parser)]
#[command(about = "Runs schedulers in turn and compares when their tasks start")]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many tasks are due at the same second
    #[arg(long, default_value_t = 1_000)]
    n: usize,
    /// How many processes share the work
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// How often everything is due, in each turn
    #[arg(long)]
    rounds: Option<u32>,
    /// How many turns each has
    #[arg(long)]
    turns: Option<u32>,
    /// Seconds between two rounds; must divide a minute [default: 1, of more than 2 000 tasks 5]
    #[arg(long)]
    period: Option<u32>,
    /// Who takes part [default: all that can run here]
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// One turn of few rounds: does it work?
    #[arg(long)]
    quick: bool,
}

#[derive(Subcommand)]
enum Command {
    /// What is measured: this program, started again
    #[command(hide = true)]
    Peer { peer: Peer },
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.command {
        Some(Command::Peer { peer }) => peer.run(),
        None => compare(&options),
    }
}

fn compare(options: &Options) -> Result<()> {
    let usual = |value: Option<u32>, usual, quick| {
        value.unwrap_or(if options.quick { quick } else { usual })
    };
    let field = Field::of(&options.peers);
    ensure!(!field.peers.is_empty(), "nobody takes part");
    let turn = Turn {
        tasks: options.n,
        replicas: options.replicas,
        rounds: usual(options.rounds, 6, 3),
        period: options
            .period
            .unwrap_or(if options.n > 2_000 { 5 } else { 1 }),
    };
    let server = RedisServer::start()?;
    let mut turns: BTreeMap<Peer, Vec<Option<Outcome>>> = BTreeMap::new();
    for number in 0..usual(options.turns, 2, 1) {
        for peer in &field.peers {
            eprintln!("turn {}: {}", number + 1, peer.name());
            let outcome = turn.run(*peer, &server);
            if let Err(error) = &outcome {
                // What one cannot do must not keep the others from it.
                eprintln!("{} failed: {error:#}", peer.name());
            }
            turns.entry(*peer).or_default().push(outcome.ok());
        }
    }
    let ours = turns.get(&Peer::Tasklock).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for (peer, turns) in turns {
        // Each turn beside our own turn of the same time.
        let pairs = turns.iter().zip(&ours);
        let both = pairs.filter_map(|(theirs, ours)| theirs.as_ref().zip(ours.as_ref()));
        let ratio = median(both.map(|(theirs, ours)| theirs.p99_ms() / ours.p99_ms()));
        let taken: Vec<Outcome> = turns.into_iter().flatten().collect();
        if !taken.is_empty() {
            rows.push((peer, Outcome::median(&taken), round(ratio)));
        }
    }
    for (peer, outcome, ratio) in &rows {
        let mut line = turn.line(*peer);
        line.extend(outcome.line());
        line.insert("ratio_p99".to_owned(), (*ratio).into());
        println!("{}", Value::from(line));
    }
    println!("\n{}", table::of(&turn, &rows));
    for (peer, why) in &field.absent {
        println!("not here: {}: {why}", peer.name());
    }
    Ok(())
}
