//! What can be asked for.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::instance::Engine;
use crate::{instance, limit, page};

#[derive(Subcommand)]
pub enum Command {
    /// Many tasks due at the same second on one instance, beside a bare loop that only takes keys
    Due(Options),
    /// The same tasks on several instances: who starts late, who starts at all
    Replicas(Options),
    /// Thousands of firings a second for a minute
    Sustained(Options),
    /// Tasks that are not due: registration, memory, processor time
    Idle(Options),
    /// A store that is 20 ms away
    Latency(Options),
    /// What firings cost the store
    Redis(Options),
    /// What one server carries when it is asked without a pause
    Capacity(Options),
    /// What fleets of up to 1 000 instances would cost their store: computed, beside measured ones
    Model(Options),
    /// All of this against the number of tasks and instances, with plots
    Growth(Options),
    /// How long a command is on its way to the instance that takes it
    Control(Options),
    /// What it costs to follow a fleet in which nothing happens
    Follow(Options),
    /// A history of a thousand runs a second, beside none
    History(Options),
    /// Ten thousand tasks defined at run time, and changes of them
    Stored(Options),
    /// Tasks defined at run time that come and go by the thousand
    Churn(Options),
    /// The page of a hundred tasks, open in 200 tabs
    Tabs(Options),
    /// One after the other: what firings cost
    All(Options),
    #[command(hide = true)]
    Instance(instance::Settings),
    #[command(hide = true)]
    Limit(limit::Settings),
    #[command(hide = true)]
    Page(page::Settings),
}

#[derive(Args, Default)]
pub struct Options {
    /// Fewer tasks, rounds and seconds: does it work?
    #[arg(long)]
    pub quick: bool,
    /// How many tasks, instead of what the work would take
    #[arg(long, value_delimiter = ',')]
    pub tasks: Vec<usize>,
    /// How many instances
    #[arg(long, value_delimiter = ',')]
    pub replicas: Vec<usize>,
    /// How often everything is due
    #[arg(long)]
    pub rounds: Option<u32>,
    /// For how long the works `sustained` and `idle` watch
    #[arg(long)]
    pub seconds: Option<u32>,
    /// What wakes the instances of `due`: several are measured one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["own"])]
    pub engine: Vec<Engine>,
    /// The longest lead of the instances of `due`, instead of the scheduler's own
    #[arg(long)]
    pub lead_ms: Option<u64>,
    /// Where `growth` writes its plots
    #[arg(long, default_value = "target/plots")]
    pub plots: PathBuf,
}

impl Options {
    /// The numbers of tasks: as asked for, or as the work has them.
    pub fn tasks(&self, usual: &[usize], quick: &[usize]) -> Vec<usize> {
        choose(&self.tasks, self.quick, usual, quick)
    }

    pub fn replicas(&self, usual: &[usize], quick: &[usize]) -> Vec<usize> {
        choose(&self.replicas, self.quick, usual, quick)
    }

    pub fn rounds(&self, usual: u32, quick: u32) -> u32 {
        self.rounds
            .unwrap_or(if self.quick { quick } else { usual })
    }

    pub fn seconds(&self, usual: u32, quick: u32) -> u32 {
        self.seconds
            .unwrap_or(if self.quick { quick } else { usual })
    }
}

fn choose(asked: &[usize], is_quick: bool, usual: &[usize], quick: &[usize]) -> Vec<usize> {
    let chosen = match (asked, is_quick) {
        ([], false) => usual,
        ([], true) => quick,
        (asked, _) => asked,
    };
    chosen.to_vec()
}
