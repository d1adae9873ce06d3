//! Failovers: of a primary that sentinels watch, and of primaries of a cluster.

mod blow;
mod cluster;
mod gate;
mod node;
mod rounds;
mod servers;
mod watched;

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::support::faults::{Fleet, Outcome, Plan, Random, Scheme, Show};
use crate::support::history::{self, What};
use crate::{USAGE, program, report};

use blow::Blow;
use node::Topology;
use rounds::{Rounds, Strike};
use servers::Servers;

/// What is run: one after the other, each topology with each number of confirmations.
struct Options {
    plan: Plan,
    topologies: Vec<Topology>,
    acks: Vec<usize>,
    rounds: usize,
    blows: Option<Vec<Blow>>,
    keep: Option<PathBuf>,
}

/// What failovers have come to.
pub struct Failovers {
    pub topology: Topology,
    pub outcome: Outcome,
    pub strikes: Vec<Strike>,
    /// From the primary's end to that of the sentinels' or the cluster's vote; milliseconds.
    pub vote: Spread,
    /// From the primary's end to the next start of each task that was there; milliseconds.
    pub again: Spread,
}

/// The middle one, and the largest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spread {
    pub p50: u64,
    pub max: u64,
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        Self {
            p50: values.get(values.len() / 2).copied().unwrap_or(0),
            max: values.last().copied().unwrap_or(0),
        }
    }
}

/// Runs what the options say. True if nothing that is promised was broken.
pub fn run_all(options: &[String]) -> Result<bool, String> {
    let options = read(options)?;
    let mut rows = Vec::new();
    let mut is_clean = true;
    for topology in &options.topologies {
        for acks in &options.acks {
            let mut plan = options.plan.clone();
            plan.replica_acks = *acks;
            let done = run_one(&options, plan, *topology)?;
            println!("{}", report::failovers_as_json(&done));
            rows.push(report::failovers_as_row(&done));
            if done.outcome.plan.scheme == Scheme::Tasklock && !done.outcome.is_clean() {
                eprintln!("{}", done.outcome.complaints(20));
                is_clean = false;
            }
        }
    }
    println!("{}\n{}", report::failovers_heading(), rows.join("\n"));
    Ok(is_clean)
}

fn read(options: &[String]) -> Result<Options, String> {
    let mut read = Options {
        plan: Plan::new(program()?),
        topologies: Topology::ALL.to_vec(),
        acks: vec![0, 1],
        rounds: 7,
        blows: None,
        keep: None,
    };
    read.plan.seconds = 300;
    for pair in options.chunks(2) {
        let [option, value] = pair else {
            return Err(format!("{pair:?} has no value\n{USAGE}"));
        };
        let number = || value.parse::<u64>().map_err(|e| format!("{option}: {e}"));
        match option.as_str() {
            "--topology" if value == "both" => {}
            "--topology" => {
                let found = Topology::ALL.into_iter().find(|t| t.as_str() == value);
                read.topologies = vec![found.ok_or_else(|| format!("no such topology: {value}"))?];
            }
            "--acks" if value == "both" => {}
            "--acks" => read.acks = vec![number()? as usize],
            "--rounds" => read.rounds = number()? as usize,
            "--seconds" => read.plan.seconds = number()?,
            "--replicas" => read.plan.replicas = number()? as usize,
            "--seed" => read.plan.seed = number()?,
            "--scheme" => read.plan.scheme = Scheme::parse(value)?,
            "--faults" => read.blows = Some(Blow::parse_list(value)?),
            "--history" => read.keep = Some(PathBuf::from(value)),
            _ => return Err(format!("no such option: {option}\n{USAGE}")),
        }
    }
    if read.plan.scheme != Scheme::Tasklock {
        // They know nothing of slots, nor of confirmations.
        read.topologies.retain(|t| *t == Topology::Sentinel);
        read.acks = vec![0];
        if read.topologies.is_empty() {
            return Err("the schemes for comparison know of sentinels only".to_owned());
        }
    }
    Ok(read)
}

fn run_one(options: &Options, plan: Plan, topology: Topology) -> Result<Failovers, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    let done = runtime.block_on(fail_over(options, plan, topology, dir.path()));
    if let Some(path) = &options.keep {
        let kept = std::fs::copy(dir.path().join("history"), path);
        kept.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    done
}

async fn fail_over(
    options: &Options,
    plan: Plan,
    topology: Topology,
    dir: &Path,
) -> Result<Failovers, String> {
    let users: Vec<String> = (0..plan.replicas).map(Fleet::name).collect();
    let mut servers = Servers::start(topology, &users).await;
    servers.settle().await?;
    let primaries = servers.primaries().into_iter();
    let primaries = primaries.map(|n| servers.nodes()[n].server.url()).collect();
    let (seen, looked_at) = watch::channel(primaries);
    let stores = users.iter().map(|user| servers.url(user)).collect();
    let random = Random::new(plan.seed);
    let mut show = Show::begin(plan, dir, stores, looked_at);
    let mut rounds = Rounds {
        servers: &mut servers,
        fleet: &mut show.fleet,
        seen,
        random,
        done: Vec::new(),
    };
    let all = Blow::of(topology);
    let mut blows = options.blows.clone().unwrap_or_else(|| all.clone());
    blows.retain(|b| all.contains(b));
    if blows.is_empty() {
        return Err(format!("none of these faults is for {}", topology.as_str()));
    }
    rounds.run(&blows, options.rounds).await?;
    let strikes = std::mem::take(&mut rounds.done);
    // The way to the locks stays as it is up to the end.
    let _seen = rounds.seen;
    let outcome = show.end().await;
    let vote = strikes.iter().map(|s| (s.taken_over - s.at) / 1000);
    Ok(Failovers {
        topology,
        vote: Spread::of(vote.collect()),
        again: Spread::of(again(&strikes, &dir.join("history"))?),
        outcome,
        strikes,
    })
}

/// How long each task that was struck did not start; milliseconds.
fn again(strikes: &[Strike], path: &Path) -> Result<Vec<u64>, String> {
    let (lines, _) = history::read(path).map_err(|e| e.to_string())?;
    let mut all = Vec::new();
    for strike in strikes {
        // What was granted just before may start just after.
        let from = strike.at + 100_000;
        for task in &strike.tasks {
            let next = lines
                .iter()
                .find(|l| l.what == What::Start && l.at > from && l.task == *task);
            all.extend(next.map(|l| (l.at - strike.at) / 1000));
        }
    }
    Ok(all)
}
