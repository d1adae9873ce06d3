//! What every [`History`] must do, as tests that any implementation can run.

mod decisions;
mod ends;
mod logs;
mod runs;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::event::{Outcome as Ended, RunFacts, Trigger};
use crate::history::{Counters, History, HistoryWrite, RunPage, RunQuery, RunRecord};
use crate::lock::FencingToken;
use crate::task::{RunId, TaskName};
use crate::testing::case::{Breach, Outcome, holds, run, same};

/// A history, and the means to make its time pass.
#[async_trait]
pub trait HistoryUnderTest: Send + Sync {
    /// The history, as one instance sees it. It keeps as much as it does by default.
    fn history(&self) -> Arc<dyn History>;

    /// The same history, as another instance sees it.
    fn other(&self) -> Arc<dyn History>;

    /// The time by the store's clock.
    async fn now(&self) -> DateTime<Utc>;

    /// Makes so much of the store's time pass.
    async fn pass(&self, time: Duration);
}

/// Runs every case on tasks of its own; the history may hold others. Needs a tokio runtime.
///
/// # Panics
///
/// At the first breach, with the case's name and what was wrong.
pub async fn history_conformance(subject: &impl HistoryUnderTest) {
    macro_rules! run {
        ($($part:ident::$case:ident)*) => {
            $(run("history", stringify!($case), $part::$case(&Case::new(subject).await)).await;)*
        };
    }
    run! {
        runs::a_run_is_there_from_its_start
        runs::an_end_needs_no_start
        runs::an_end_is_not_undone_by_a_start_that_comes_later
        runs::records_come_back_as_they_were
        runs::runs_are_listed_newest_first_and_in_pages
        runs::runs_are_listed_by_outcome_and_time
        runs::a_task_keeps_its_last_runs
        runs::runs_that_are_too_old_are_gone
        runs::a_status_ends_by_itself_and_with_its_run
        ends::what_is_written_twice_counts_once
        ends::counters_of_many_tasks_come_in_their_order
        ends::counters_outlive_the_runs_that_they_count
        ends::a_task_is_known_since_it_was_first_seen
        ends::a_task_is_excused_until_the_latest_instant_that_was_said
        ends::runs_of_silent_instances_are_found
        ends::of_two_who_end_a_run_one_does
        ends::the_own_instance_knows_better_than_who_found_a_run_abandoned
        decisions::decisions_are_kept_by_fire_time
        decisions::a_decision_that_is_written_twice_is_there_once
        decisions::decisions_on_the_last_fire_times_are_kept
        decisions::many_instances_that_came_late_leave_room_for_those_who_say_more
        logs::lines_are_read_after_a_line
        logs::lines_that_are_not_kept_any_more_are_said_to_be_cut
        logs::the_logs_of_the_last_runs_are_kept
    }
}

/// One case's task and instance.
struct Case<'a> {
    subject: &'a dyn HistoryUnderTest,
    history: Arc<dyn History>,
    other: Arc<dyn History>,
    task: TaskName,
    instance: String,
    now: DateTime<Utc>,
}

impl<'a> Case<'a> {
    async fn new(subject: &'a dyn HistoryUnderTest) -> Self {
        Self {
            subject,
            history: subject.history(),
            other: subject.other(),
            task: fresh_task(),
            instance: format!("i-{:016x}", random()),
            now: subject.now().await.trunc_subsecs(3),
        }
    }

    /// A run of the case's task that started so many seconds after ten minutes ago.
    fn started(&self, second: i64) -> RunRecord {
        let at = self.now - TimeDelta::seconds(600 - second);
        self.started_at(&self.task, at)
    }

    fn started_at(&self, task: &TaskName, at: DateTime<Utc>) -> RunRecord {
        let facts = RunFacts {
            task: task.clone(),
            run_id: RunId::new(at, random() as u128),
            fire_time: at.trunc_subsecs(0),
            attempt: 1,
            fencing_token: FencingToken::new(7),
            started: at,
            lateness: Duration::from_millis(3),
            shard: None,
            trigger: Trigger::Schedule,
            request: None,
            trace_id: None,
        };
        RunRecord::started(&facts, &*self.instance)
    }

    /// The same run, ended a second after its start.
    fn ended(&self, run: &RunRecord, outcome: Ended) -> RunRecord {
        let at = run.started + TimeDelta::seconds(1);
        let mut ended = run.found(outcome, at, "", "it went wrong");
        ended.found_by = None;
        ended
    }

    async fn write(&self, run: &RunRecord) -> Outcome {
        let write = HistoryWrite::Run(Box::new(run.clone()));
        Ok(self.history.write(&[write]).await?)
    }

    async fn write_all(&self, runs: impl IntoIterator<Item = RunRecord>) -> Outcome {
        let writes = runs.into_iter().map(|run| HistoryWrite::Run(Box::new(run)));
        let writes: Vec<HistoryWrite> = writes.collect();
        Ok(self.history.write(&writes).await?)
    }

    /// The record as the other instance reads it.
    async fn reads(&self, run: &RunRecord) -> Outcome {
        same(self.other.run(run.run_id).await?, Some(run.clone()))
    }

    async fn counters(&self) -> std::result::Result<Counters, Breach> {
        let counters = self
            .other
            .counters(std::slice::from_ref(&self.task))
            .await?;
        let counters = counters.into_iter().next().flatten();
        counters.ok_or_else(|| Breach("no counters".to_owned()))
    }

    async fn page(&self, query: &RunQuery) -> std::result::Result<RunPage, Breach> {
        Ok(self.other.runs(query).await?)
    }
}

fn ids(runs: &[RunRecord]) -> Vec<RunId> {
    runs.iter().map(|run| run.run_id).collect()
}

fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A name that no run of the suite has used in a store that outlives it.
fn fresh_task() -> TaskName {
    #[allow(clippy::expect_used)] // The suite's own names are good.
    format!("conformance.{:016x}", random())
        .parse()
        .expect("a task name")
}
