//! A fleet that people steer: asked on one side, done on another.

mod cancelling;
mod locks;
mod pauses;
mod redis;
mod rules;
mod runs;
mod trail;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklock::chrono::{DateTime, Utc};
use tasklock::testing::RecordingObserver;
use tasklock::{
    Answer, AuditResult, BaseTask, By, CancelReason, ControlPlane, Decision, ErrorKind, Event,
    FleetStore, IfPaused, IfRunning, Missed, Outcome, Overlap, PauseFor, Policy, Recovery,
    RedisFleet, RedisLock, Refusal, RunId, RunNow, Scheduler, Scope, Trigger, Write, chrono_tz,
};

use crate::instances::Fleet;
use crate::support::redis_server::RedisOptions;
use crate::support::{Bench, RedisServer, pass};

const HOUR: Duration = Duration::from_secs(3600);

const MINUTE: Duration = Duration::from_secs(60);

fn by() -> By {
    By::new("ana", "a test").unwrap()
}

/// So many instances with a task that is due each ten seconds.
async fn fleet_of(ids: &[&str], spec: &str) -> (Fleet, Vec<Bench>) {
    let fleet = Fleet::new();
    let all: Vec<Bench> = ids.iter().map(|id| fleet.instance(id)).collect();
    for bench in &all {
        bench.task("t", spec, |_| async { Ok(()) });
        bench.start().await;
    }
    pass(0.1).await;
    (fleet, all)
}

fn accepted(answer: &Answer) -> &tasklock::Accepted {
    match answer {
        Answer::Accepted(accepted) => accepted,
        other => panic!("{other:?}"),
    }
}

/// Has a task run now that can, and returns what was accepted.
async fn run_accepted(fleet: &Fleet, run: RunNow) -> tasklock::Accepted {
    accepted(&answer_to(fleet, run).await).clone()
}

/// What is answered to who asks for a run.
async fn answer_to(fleet: &Fleet, run: RunNow) -> Answer {
    fleet.control.run(run).await.unwrap().answer
}

fn fired(all: &[Bench], task: &str) -> Vec<String> {
    let mut fired: Vec<String> = all.iter().flat_map(|b| b.fired(task)).collect();
    fired.sort_unstable();
    fired
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-21T{text}Z").parse().unwrap()
}
