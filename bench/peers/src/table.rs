//! The comparison for people.

use std::fmt::Write;

use tasklock_fleet::lateness::round;

use crate::outcome::Outcome;
use crate::peer::Peer;
use crate::turn::Turn;

pub fn of(turn: &Turn, rows: &[(Peer, Outcome, f64)]) -> String {
    let mut out = format!(
        "{} tasks every {} s, {} process(es)\n\n\
         | peer | p50 ms | p99 ms | max ms | p99 by ours | lost | twice | early | cpu µs | redis µs | MB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
        turn.tasks, turn.period, turn.replicas
    );
    for (peer, outcome, ratio) in rows {
        let [p50, p99, max] = outcome.lateness.map(round);
        let share = |count: usize| match count {
            0 => "0".to_owned(),
            n => format!("{n} ({:.1} %)", n as f64 / outcome.due as f64 * 100.0),
        };
        let _ = writeln!(
            out,
            "| {} | {p50} | {p99} | {max} | {ratio} | {} | {} | {} | {} | {} | {} |",
            peer.name(),
            share(outcome.lost),
            share(outcome.duplicate),
            outcome.early,
            round(outcome.cpu_us),
            round(outcome.redis_cpu_us),
            round(outcome.peak_mb),
        );
    }
    out
}
