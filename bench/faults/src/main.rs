//! A fleet of processes, a nemesis, and a count of what broke. See README.md.

mod failover;
mod mutants;
mod report;
mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use support::faults::{FaultKind, Outcome, Plan, Scheme, be_replica_if_told, judge, run};

const USAGE: &str = "usage: tasklock-faults run [--seconds N] [--replicas N] [--seed N]
         [--scheme tasklock|naive|owner-checked] [--faults KIND,…] [--history FILE]
       tasklock-faults failover [--topology sentinel|cluster|both] [--acks N|both] [--rounds N]
         [--seconds N] [--replicas N] [--seed N] [--scheme tasklock|naive|owner-checked]
         [--faults KIND,…] [--history FILE]
       tasklock-faults check FILE
       tasklock-faults mutants [NAME…] [control]";

fn main() -> ExitCode {
    if be_replica_if_told() {
        return ExitCode::SUCCESS;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((command, options)) if command == "run" => run_once(options),
        Some((command, [file])) if command == "check" => check(Path::new(file)),
        Some((command, options)) if command == "failover" => failover::run_all(options),
        Some((command, names)) if command == "mutants" => mutants::run_all(names),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
    }
}

/// This very program.
fn program() -> Result<Vec<String>, String> {
    let path = std::env::current_exe().map_err(|e| e.to_string())?;
    Ok(vec![path.display().to_string()])
}

/// Runs what the options say. True if nothing that is promised was broken.
fn run_once(options: &[String]) -> Result<bool, String> {
    let mut plan = Plan::new(program()?);
    let mut keep: Option<PathBuf> = None;
    for pair in options.chunks(2) {
        let [option, value] = pair else {
            return Err(format!("{pair:?} has no value\n{USAGE}"));
        };
        let number = || value.parse::<u64>().map_err(|e| format!("{option}: {e}"));
        match option.as_str() {
            "--seconds" => plan.seconds = number()?,
            "--replicas" => plan.replicas = number()? as usize,
            "--seed" => plan.seed = number()?,
            "--scheme" => plan.scheme = Scheme::parse(value)?,
            "--faults" => plan.faults = FaultKind::parse_list(value)?,
            "--history" => keep = Some(PathBuf::from(value)),
            _ => return Err(format!("no such option: {option}\n{USAGE}")),
        }
    }
    Ok(tell(&execute(plan, keep)?))
}

/// Judges a history of tasklock that was kept, on this machine and since it was started.
fn check(file: &Path) -> Result<bool, String> {
    Ok(tell(&judge(Plan::new(program()?), file)))
}

/// Says what came out. True if nothing that is promised was broken.
fn tell(outcome: &Outcome) -> bool {
    println!("{}", report::as_json(outcome));
    println!("{}\n{}", report::heading(), report::as_row(outcome));
    if outcome.plan.scheme != Scheme::Tasklock {
        return true;
    }
    if !outcome.is_clean() {
        eprintln!("{}", outcome.complaints(20));
    }
    outcome.is_clean()
}

fn execute(mut plan: Plan, keep: Option<PathBuf>) -> Result<Outcome, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    if plan.faults.contains(&FaultKind::Clock) {
        plan.clock_shim = Some(build_clock(dir.path())?);
    }
    let outcome = runtime.block_on(run(plan, dir.path()));
    if let Some(path) = keep {
        let kept = std::fs::copy(dir.path().join("history"), &path);
        kept.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(outcome)
}

/// Builds what lets the server's clock be stepped.
fn build_clock(dir: &std::path::Path) -> Result<String, String> {
    let (source, object) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, include_str!("../clock.c")).map_err(|e| e.to_string())?;
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]);
    cc.arg(&object).arg(&source).arg("-ldl");
    match cc.status() {
        Ok(status) if status.success() => Ok(object.display().to_string()),
        Ok(status) => Err(format!("cc: {status}")),
        Err(e) => Err(format!("steps of the clock need a C compiler: cc: {e}")),
    }
}
