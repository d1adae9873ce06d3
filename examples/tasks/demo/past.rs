//! A past that never was: runs as they would have been.

use std::time::Duration;

use tasklock::chrono::{DateTime, SubsecRound, TimeDelta, Timelike, Utc};
use tasklock::{History, HistoryWrite, Outcome, RunFacts, RunId, RunRecord, TaskName};

/// A task's past: its name, how long ago its last run was, the time between two of them, how many, how
/// long one takes in milliseconds, and which of them failed: every so-manieth.
type Past = (&'static str, TimeDelta, TimeDelta, i32, u64, i32);

fn all(now: DateTime<Utc>) -> [Past; 7] {
    let since_hour = TimeDelta::minutes(i64::from(now.minute()));
    let minute = TimeDelta::minutes;
    [
        ("fx.rates", minute(1), TimeDelta::seconds(150), 190, 180, 47),
        ("invoices.sync", minute(2), minute(5), 150, 21_400, 31),
        ("search.reindex", minute(7), minute(60), 60, 95_000, 19),
        (
            "reports.daily",
            TimeDelta::hours(75),
            TimeDelta::days(1),
            120,
            38_200,
            23,
        ),
        (
            "dunning.email",
            TimeDelta::hours(23),
            TimeDelta::days(1),
            60,
            1_400,
            0,
        ),
        (
            "backup.snapshot",
            TimeDelta::hours(9),
            TimeDelta::days(1),
            90,
            240_000,
            40,
        ),
        // Its last run was not of the last full hour, but of the one before.
        (
            "statements.hourly",
            since_hour + minute(60),
            minute(60),
            120,
            3_100,
            29,
        ),
    ]
}

/// The first of its runs is when a task became known.
pub(super) async fn begin(history: &dyn History) -> tasklock::Result<()> {
    let now = Utc::now().trunc_subsecs(0);
    for (name, ago, step, count, ..) in all(now) {
        let (task, at) = (name.parse()?, now - ago - step * count);
        history.write(&[HistoryWrite::Seen { task, at }]).await?;
    }
    Ok(())
}

pub(super) async fn write(history: &dyn History, like: &RunFacts) -> tasklock::Result<()> {
    let now = Utc::now().trunc_subsecs(0);
    for (name, ago, step, count, ms, fails) in all(now) {
        let task: TaskName = name.parse()?;
        let writes: Vec<HistoryWrite> = (0..count)
            .rev()
            .filter_map(|n| {
                let due = now - ago - step * n;
                let wave = u64::from(n.unsigned_abs()) * 7_919 % 100;
                let took = Duration::from_millis(ms / 2 + ms * wave / 100);
                let has_failed = fails > 0 && n % fails == fails / 2;
                record(like, (&task, due, took), has_failed)
            })
            .map(|run| HistoryWrite::Run(Box::new(run)))
            .collect();
        history.write(&writes).await?;
    }
    Ok(())
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
