//! The crate with one defence taken out, under the faults that this defence is for.
//!
//! A harness that does not see that a defence is missing proves nothing about those that are there.

use std::process::Command;
use std::time::Duration;

use crate::support::checker::Kind;
use crate::support::faults::{FaultKind, Outcome, Plan};
use crate::{USAGE, execute};

/// A defence, and what shows that it is missing.
struct Mutant {
    name: &'static str,
    faults: &'static str,
    seconds: u64,
    /// Any of these kills it.
    shown_by: &'static [Kind],
    change: fn(&mut Plan),
}

fn as_it_is(_: &mut Plan) {}

/// Runs of which one is mostly still going on when the lease of a stopped one is over.
fn long_runs(plan: &mut Plan) {
    for task in plan.tasks.iter_mut().skip(5) {
        (task.shortest, task.longest, task.timeout) = (1200, 2600, 0);
    }
}

/// Runs that end soon after a renewal.
fn about_a_renewal(plan: &mut Plan) {
    for task in plan.tasks.iter_mut().skip(2) {
        (task.shortest, task.longest, task.timeout) = (950, 1400, 0);
    }
    plan.pause = 200..500;
}

/// Runs that their timeout ends, just before the next instant.
fn cut_short(plan: &mut Plan) {
    for task in plan.tasks.iter_mut().skip(4) {
        (task.shortest, task.longest, task.timeout) = (1200, 2600, 850);
    }
}

/// An instant is lost only if there was time to start it: a fault that lasts nearly as long as the
/// threshold, or is followed by the next, excuses it.
fn with_time_to_recover(plan: &mut Plan) {
    plan.pause = 5000..6500;
    plan.misfire_threshold = Duration::from_secs(10);
}

/// New processes live long enough to catch up.
fn time_to_live(plan: &mut Plan) {
    plan.pause = 4000..6500;
}

/// Runs that outlive a lease that cannot be renewed.
fn longer_than_leases(plan: &mut Plan) {
    for task in plan.tasks.iter_mut().skip(5) {
        (task.shortest, task.longest, task.timeout) = (3000, 9000, 0);
    }
    plan.pause = 200..600;
}

fn patient_client(plan: &mut Plan) {
    longer_than_leases(plan);
    plan.response_timeout = Duration::from_millis(900);
}

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "owner-check",
        faults: "stop",
        seconds: 60,
        shown_by: &[Kind::Overlap],
        change: long_runs,
    },
    Mutant {
        name: "marker",
        faults: "none",
        seconds: 10,
        shown_by: &[Kind::Duplicate],
        change: as_it_is,
    },
    Mutant {
        name: "same-token",
        faults: "slow",
        seconds: 40,
        shown_by: &[Kind::Lost],
        change: with_time_to_recover,
    },
    Mutant {
        name: "order",
        faults: "killall",
        seconds: 60,
        shown_by: &[Kind::Lost],
        change: time_to_live,
    },
    Mutant {
        name: "catch-up",
        faults: "killall",
        seconds: 60,
        shown_by: &[Kind::Lost],
        change: time_to_live,
    },
    Mutant {
        name: "look-before-poll",
        faults: "stop",
        seconds: 60,
        shown_by: &[Kind::StaleEffect],
        change: long_runs,
    },
    Mutant {
        name: "margin",
        faults: "blackhole,pause,pause",
        seconds: 45,
        shown_by: &[Kind::Overlap, Kind::StaleEffect],
        change: longer_than_leases,
    },
    Mutant {
        name: "count-from-request",
        faults: "latency,blackhole,pause",
        seconds: 60,
        shown_by: &[Kind::Overlap, Kind::StaleEffect],
        change: patient_client,
    },
    Mutant {
        name: "running-only",
        faults: "latency",
        seconds: 60,
        shown_by: &[Kind::Leaked, Kind::Lost],
        change: about_a_renewal,
    },
    Mutant {
        name: "fence-from-clock",
        faults: "flush",
        seconds: 20,
        shown_by: &[Kind::FenceRegress],
        change: as_it_is,
    },
    Mutant {
        name: "drop-before-release",
        faults: "none",
        seconds: 20,
        shown_by: &[Kind::Overlap],
        change: cut_short,
    },
];

/// Builds this program with the defences that can be taken out; where it is then.
fn build() -> Result<String, String> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let target = std::env::var("CARGO_TARGET_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target").to_owned());
    let target = format!("{target}/mutants");
    let status = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["build", "--release", "--manifest-path", manifest])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", "--cfg tasklock_mutants")
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    match status.success() {
        true => Ok(format!("{target}/release/tasklock-faults")),
        false => Err("the mutants cannot be built".to_owned()),
    }
}

/// Runs all, or those named. True if all were killed and the same without a mutant was clean.
pub fn run_all(names: &[String]) -> Result<bool, String> {
    let is_known = |n: &&String| *n == "control" || MUTANTS.iter().any(|m| m.name == **n);
    if let Some(name) = names.iter().find(|n| !is_known(n)) {
        return Err(format!("no such mutant: {name}\n{USAGE}"));
    }
    let program = build()?;
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    println!("| mutant | faults | s | starts | shown by | |\n|---|---|---:|---:|---|---|");
    let (mut all, mut killed) = (0, 0);
    for mutant in MUTANTS.iter().filter(|m| is_wanted(m.name)) {
        all += 1;
        let outcome = run_one(mutant, &program, true)?;
        let is_killed = mutant.shown_by.iter().any(|k| outcome.count(*k) > 0);
        killed += usize::from(is_killed);
        let word = if is_killed { "killed" } else { "**survived**" };
        row(mutant.name, mutant, &outcome, word);
    }
    println!("\nkilled {killed}/{all}");
    // The same faults and tasks, and all defences.
    let mut is_clean = true;
    if is_wanted("control") {
        println!("\n| control | faults | s | starts | violations | |\n|---|---|---:|---:|---|---|");
        for mutant in MUTANTS
            .iter()
            .filter(|m| names.len() < 2 || is_wanted(m.name))
        {
            let outcome = run_one(mutant, &program, false)?;
            let word = if outcome.is_clean() {
                "clean"
            } else {
                "**not clean**"
            };
            row(&format!("for {}", mutant.name), mutant, &outcome, word);
            eprint!("{}", outcome.complaints(10));
            is_clean &= outcome.is_clean();
        }
    }
    Ok(killed == all && is_clean)
}

fn run_one(mutant: &Mutant, program: &str, is_mutant: bool) -> Result<Outcome, String> {
    let mut plan = Plan::new(vec![program.to_owned()]);
    plan.seconds = mutant.seconds;
    plan.faults = FaultKind::parse_list(mutant.faults)?;
    plan.mutant = is_mutant.then(|| mutant.name.to_owned());
    (mutant.change)(&mut plan);
    execute(plan, None)
}

fn row(name: &str, mutant: &Mutant, outcome: &Outcome, word: &str) {
    let counts = Kind::ALL.iter().filter(|k| outcome.count(**k) > 0);
    let counts: Vec<String> = counts
        .map(|k| format!("{} {}", k.as_str(), outcome.count(*k)))
        .collect();
    let (faults, seconds, starts) = (mutant.faults, mutant.seconds, outcome.verdict.starts);
    let counts = counts.join(", ");
    println!("| {name} | {faults} | {seconds} | {starts} | {counts} | {word} |");
}
