//! A past that never was: runs as they would have been.

use std::time::Duration;

use tasklock::chrono::{DateTime, SubsecRound, TimeDelta, Timelike, Utc};
use tasklock::{
    History, HistoryWrite, Outcome, RunFacts, RunId, RunQuery, RunRecord, TaskName, Trigger,
};

/// A task's past.
struct Past {
    task: &'static str,
    /// How long ago its last run was.
    ago: TimeDelta,
    /// The time between two runs.
    step: TimeDelta,
    count: i32,
    /// How long one takes.
    ms: u64,
    /// One of so many failed; 0 for none.
    fails: i32,
    /// So many of the last ones failed.
    down: i32,
}

fn all(now: DateTime<Utc>) -> Vec<Past> {
    let minute = TimeDelta::minutes;
    let past = |task, (ago, step), (count, ms), (fails, down)| Past {
        task,
        ago,
        step,
        count,
        ms,
        fails,
        down,
    };
    let since_hour = minute(i64::from(now.minute()));
    let (hour, day) = (minute(60), minute(1_440));
    vec![
        past("fx.rates", (minute(1), minute(3)), (190, 180), (47, 0)),
        past(
            "invoices.sync",
            (minute(i64::from(now.minute() % 15)), minute(15)),
            (150, 5_400),
            (31, 1),
        ),
        past(
            "bank.feed",
            (minute(i64::from((now.minute() + 25) % 30)), minute(30)),
            (150, 150),
            (37, 1),
        ),
        past("search.reindex", (minute(3), hour), (60, 95_000), (19, 0)),
        past(
            "stock.levels",
            (minute(i64::from(now.minute() % 20)), minute(20)),
            (180, 2_100),
            (29, 0),
        ),
        past(
            "mail.digest",
            (minute(9), minute(30)),
            (150, 9_000),
            (13, 0),
        ),
        past(
            "reports.daily",
            (day * 3 + hour, day),
            (120, 38_200),
            (23, 0),
        ),
        past("dunning.email", (hour * 23, day), (60, 1_400), (0, 0)),
        past(
            "backup.snapshot",
            (hour * 5, hour * 6),
            (150, 240_000),
            (40, 0),
        ),
        // Its last run was not of the last full hour, but of the one before.
        past(
            "statements.hourly",
            (since_hour + hour, hour),
            (120, 3_100),
            (29, 0),
        ),
    ]
}

/// The first of its runs is when a task became known.
pub(super) async fn begin(history: &dyn History) -> tasklock::Result<()> {
    let now = Utc::now().trunc_subsecs(0);
    for past in all(now) {
        let (task, at) = (past.task.parse()?, now - past.ago - past.step * past.count);
        history.write(&[HistoryWrite::Seen { task, at }]).await?;
    }
    Ok(())
}

pub(super) async fn write(history: &dyn History, like: &RunFacts) -> tasklock::Result<()> {
    // Another replica has written it: this task runs too rarely to have runs of its own.
    let written = RunQuery::of("dunning.email".parse()?).limit(1);
    if !history.runs(&written).await?.runs.is_empty() {
        return Ok(());
    }
    let now = Utc::now().trunc_subsecs(0);
    for past in all(now) {
        history.write(&past.runs(now, like)?).await?;
    }
    Ok(())
}

impl Past {
    /// Its runs, oldest first.
    fn runs(&self, now: DateTime<Utc>, like: &RunFacts) -> tasklock::Result<Vec<HistoryWrite>> {
        let task: TaskName = self.task.parse()?;
        let run = |n: i32| {
            let due = now - self.ago - self.step * n;
            let wave = u64::from(n.unsigned_abs()) * 7_919 % 100;
            let took = Duration::from_millis(self.ms / 2 + self.ms * wave / 100);
            let has_failed = n < self.down || self.fails > 0 && n % self.fails == self.fails / 2;
            record(like, (&task, due, took), has_failed)
        };
        let runs = (0..self.count).rev().filter_map(run);
        Ok(runs.map(|run| HistoryWrite::Run(Box::new(run))).collect())
    }
}

/// A run like another one, of that task and time.
fn record(
    like: &RunFacts,
    (task, due, took): (&TaskName, DateTime<Utc>, Duration),
    has_failed: bool,
) -> Option<RunRecord> {
    let lateness = Duration::from_millis(took.as_millis() as u64 % 23);
    let mut facts = like.clone();
    facts.task = task.clone();
    facts.fire_time = due;
    facts.started = due + lateness;
    facts.lateness = lateness;
    facts.run_id = id(due, task)?;
    facts.trigger = Trigger::Schedule;
    facts.request = None;
    let mut run = RunRecord::started(&facts, format!("api-7f9c-{}", due.timestamp() % 3));
    let ended = facts.started + took;
    run.outcome = Some(match has_failed {
        true => Outcome::Failure,
        false => Outcome::Success,
    });
    run.ended = Some(ended);
    run.duration = Some(took);
    if let Some(attempt) = run.attempts.last_mut() {
        attempt.duration = Some(took);
    }
    Some(run)
}

/// The id of a run of that time, the same in each process.
fn id(at: DateTime<Utc>, task: &TaskName) -> Option<RunId> {
    let ms = u64::try_from(at.timestamp_millis()).ok()?;
    let salt = task
        .as_str()
        .bytes()
        .fold(7_u128, |salt, b| salt * 31 + u128::from(b));
    ulid::Ulid::from_parts(ms, salt).to_string().parse().ok()
}
