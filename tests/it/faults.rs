//! A fleet under a nemesis: a minute of what `bench/faults` does for hours.

use crate::support::faults::{FaultKind, Plan, be_replica_if_told, run};

/// Not a test: what a replica's process runs. Does nothing unless it was started as one.
#[test]
fn replica_process() {
    be_replica_if_told();
}

#[test]
fn nothing_promised_is_broken_by_kills_stops_and_a_bad_network() {
    let program = std::env::current_exe().unwrap().display().to_string();
    let arguments = ["--exact", "faults::replica_process", "--nocapture"];
    let mut command = vec![program];
    command.extend(arguments.map(str::to_owned));
    let mut plan = Plan::new(command);
    plan.seconds = 60;
    plan.seed = 7;
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = runtime.block_on(run(plan, dir.path()));
    assert!(outcome.is_clean(), "{}", outcome.complaints(10));
    let faults: usize = FaultKind::ALL
        .iter()
        .filter_map(|k| outcome.faults.get(k))
        .sum();
    assert!(faults >= 40 && outcome.verdict.starts >= 100, "{outcome:?}");
}
