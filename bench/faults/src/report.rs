//! What a run has come to: one line of JSON, one row of a table.

use serde_json::{Map, Value, json};

use crate::failover::Failovers;
use crate::support::checker::Kind;
use crate::support::faults::{FaultKind, Outcome};

pub fn as_json(outcome: &Outcome) -> Value {
    let Outcome {
        plan,
        verdict,
        faults,
        ..
    } = outcome;
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
    put("scheme", json!(plan.scheme.as_str()));
    put("seed", json!(plan.seed));
    put("seconds", json!(plan.seconds));
    put("replicas", json!(plan.replicas));
    let by_kind = |kind: &FaultKind| {
        let n = faults.get(kind).copied().unwrap_or(0);
        (n > 0).then(|| (kind.as_str().to_owned(), json!(n)))
    };
    let counted: Map<String, Value> = FaultKind::ALL.iter().filter_map(by_kind).collect();
    put("faults", Value::Object(counted));
    put("deaths_at_points", json!(outcome.deaths_at_points));
    put("longest_stop_ms", json!(outcome.longest_stop_ms));
    put("lost_replies", json!(outcome.lost_replies));
    put("instants", json!(verdict.instants));
    put("starts", json!(verdict.starts));
    put("effects", json!(verdict.effects));
    put("refused", json!(verdict.refused));
    for kind in Kind::ALL {
        put(kind.as_str(), json!(verdict.count(*kind)));
    }
    put("not_started", json!(verdict.excused));
    put("p50_ms", json!((verdict.p50_ms * 10.0).round() / 10.0));
    put("p99_ms", json!((verdict.p99_ms * 10.0).round() / 10.0));
    put("crashes", json!(outcome.crashes.len()));
    put("lines", json!(outcome.lines));
    put("broken_lines", json!(outcome.broken_lines));
    Value::Object(fields)
}

pub fn heading() -> String {
    let kinds: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
    let columns = format!(
        "| scheme | seed | s | faults | starts | {} | p50 ms | p99 ms |",
        kinds.join(" | ")
    );
    let dashes = columns.matches('|').count() - 1;
    format!("{columns}\n|---|{}", "---:|".repeat(dashes - 1))
}

pub fn as_row(outcome: &Outcome) -> String {
    let Outcome { plan, verdict, .. } = outcome;
    let counts: Vec<String> = Kind::ALL
        .iter()
        .map(|k| verdict.count(*k).to_string())
        .collect();
    format!(
        "| {} | {} | {} | {} | {} | {} | {:.1} | {:.1} |",
        plan.scheme.as_str(),
        plan.seed,
        plan.seconds,
        outcome.faults.values().sum::<usize>(),
        verdict.starts,
        counts.join(" | "),
        verdict.p50_ms,
        verdict.p99_ms
    )
}

pub fn failovers_as_json(done: &Failovers) -> Value {
    let mut all = as_json(&done.outcome);
    if let Value::Object(fields) = &mut all {
        let mut faults: Map<String, Value> = Map::new();
        for strike in &done.strikes {
            let word = strike.blow.as_str();
            let n = faults.get(word).and_then(Value::as_u64).unwrap_or(0);
            faults.insert(word.to_owned(), json!(n + 1));
        }
        let mut put = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
        put("topology", json!(done.topology.as_str()));
        put("replica_acks", json!(done.outcome.plan.replica_acks));
        put("failovers", json!(done.strikes.len()));
        put("faults", Value::Object(faults));
        put("vote_p50_ms", json!(done.vote.p50));
        put("vote_max_ms", json!(done.vote.max));
        put("again_p50_ms", json!(done.again.p50));
        put("again_max_ms", json!(done.again.max));
    }
    all
}

/// Only the columns of which a failover can say something.
const OF_FAILOVERS: &[Kind] = &[
    Kind::Duplicate,
    Kind::DuplicateAfterDataLoss,
    Kind::Overlap,
    Kind::OverlapAfterDataLoss,
    Kind::FenceRegress,
    Kind::StaleEffect,
    Kind::Lost,
    Kind::Unaccounted,
    Kind::Leaked,
    Kind::Early,
    Kind::Stuck,
];

pub fn failovers_heading() -> String {
    let kinds: Vec<&str> = OF_FAILOVERS.iter().map(|k| k.as_str()).collect();
    let kinds = kinds.join(" | ");
    let columns = format!(
        "| topology | scheme | acks | seed | failovers | starts | {kinds} | refused | not_started \
         | vote p50 ms | max | again p50 ms | max |"
    );
    let dashes = columns.matches('|').count() - 1;
    format!("{columns}\n|---|---|{}", "---:|".repeat(dashes - 2))
}

pub fn failovers_as_row(done: &Failovers) -> String {
    let Outcome { plan, verdict, .. } = &done.outcome;
    let counts = OF_FAILOVERS.iter().map(|k| verdict.count(*k).to_string());
    let counts: Vec<String> = counts.collect();
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        done.topology.as_str(),
        plan.scheme.as_str(),
        plan.replica_acks,
        plan.seed,
        done.strikes.len(),
        verdict.starts,
        counts.join(" | "),
        verdict.refused,
        verdict.excused,
        done.vote.p50,
        done.vote.max,
        done.again.p50,
        done.again.max,
    )
}
