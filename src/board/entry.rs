//! A task with all that is known of it, and what is judged from that. Pure.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::board::health::{Signs, health};
use crate::board::policy::{GRACE, Policy};
use crate::board::stats::stats;
use crate::board::strip::Strip;
use crate::board::task::{Active, LastRun, Override, Schedule};
use crate::board::{Brief, Facts, Health, Pause, Plan, Plans, Stamp, Task, seconds};
use crate::control::{Overridden, Rules};
use crate::history::Counters;
use crate::text::{contained, contained_line};

/// So many runs are in a task's strip.
const STRIP: usize = 60;
/// The longest text of an error in a task, in bytes.
const LONGEST_ERROR: usize = 300;

/// A task with all that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) task: Task,
    pub(crate) facts: Arc<Facts>,
    /// Its schedule, if it can be read.
    pub(crate) plan: Option<Arc<Plan>>,
    /// What somebody has put in its place.
    pub(crate) over: Option<Overridden>,
    /// Its last runs that ended, newest first.
    pub(crate) runs: Arc<[Brief]>,
}

/// What there is about a task beside its facts.
#[derive(Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) counters: Option<&'a Counters>,
    pub(crate) strip: Strip,
    /// Runs that go on, oldest first.
    pub(crate) active: Vec<Active>,
    /// How many runs in a row have failed, as the lock counts it.
    pub(crate) failures: u32,
    pub(crate) registered_on: usize,
    pub(crate) handler_on: usize,
    pub(crate) instances: usize,
    pub(crate) drifts: bool,
}

impl Entry {
    /// What follows from all of it at `now`.
    pub(crate) fn judge(
        facts: Arc<Facts>,
        seen: Seen<'_>,
        rules: &Rules,
        plans: &Plans,
        now: DateTime<Utc>,
    ) -> Self {
        let name = &facts.name;
        let plan = plans.plan(&facts.spec, facts.timezone, facts.dst, now);
        let over = plan.as_ref().and_then(|plan| plan.overridden(name, rules));
        let pause = pause_of(&facts, &seen, rules, now);
        let counters = seen.counters.cloned().unwrap_or_default();
        let is_quiet = pause.is_some() || !facts.is_enabled;
        // A pause that has ended gives it time to succeed.
        let excused = rules.excused_until(name.as_str(), now);
        let since = counters.expected_since().max(excused);
        let deadline = plan
            .as_ref()
            .zip(since)
            .filter(|_| !is_quiet)
            .and_then(|(plan, since)| plan.deadline(over.as_ref(), since, GRACE));
        let next = plan.as_ref().filter(|_| facts.is_enabled);
        let next = next.and_then(|plan| match plan.depends_on_runs() {
            true => facts.next_fire,
            false => plan.next(name, rules, now),
        });
        let delay = facts
            .policy
            .as_ref()
            .map_or(TimeDelta::zero(), |(policy, _)| {
                TimeDelta::from_std(policy.spread + policy.jitter).unwrap_or_default()
            });
        let signs = Signs {
            is_enabled: facts.is_enabled,
            is_paused: pause.is_some(),
            is_running: !seen.active.is_empty(),
            last_due: plan
                .as_ref()
                .filter(|_| !is_quiet)
                .and_then(|plan| plan.last(name, rules, now - delay))
                // Before it was known nobody could run it.
                .filter(|due| counters.known_since.is_some_and(|known| known <= *due)),
            last_start: counters.last_start,
            last_success: counters.last_success,
            has_ended: counters.last_run.is_some(),
            consecutive_failures: counters.consecutive_failures,
            deadline,
        };
        let skip = rules.skip_of(name.as_str());
        let skips = skip.map_or(&[][..], |skip| skip.fire_times.as_slice());
        let task = Task {
            name: name.to_string(),
            description: Some(contained(&facts.description, 4_096)).filter(|d| !d.is_empty()),
            tags: facts
                .tags
                .iter()
                .map(|tag| contained_line(tag, 64))
                .collect(),
            kind: facts.kind.as_deref().unwrap_or("code").to_owned(),
            source: facts.source.clone(),
            health: health(&signs, now),
            running: signs.is_running,
            schedule: schedule(&facts, plan.as_deref(), rules, plans, now),
            policy: facts
                .policy
                .as_ref()
                .map(|(policy, timeout)| Policy::of(policy, *timeout)),
            pause,
            skips: skips
                .iter()
                .filter(|at| **at > now)
                .map(|at| Stamp(*at))
                .collect(),
            next_fire_at: next.map(Stamp),
            success_deadline_at: deadline.map(Stamp),
            last_success_at: counters.last_success.map(Stamp),
            last_failure_at: counters.last_failure.map(Stamp),
            consecutive_failures: counters.consecutive_failures,
            last_run: last_run(&counters, &seen.strip),
            active: seen.active,
            stats: stats(&seen.strip.runs, seen.strip.is_cut, now),
            history: strip(&seen.strip.runs),
            registered_on: seen.registered_on,
            handler_on: facts.kind.as_ref().map(|_| seen.handler_on),
            instances: seen.instances,
            drift: seen.drifts,
        };
        Self {
            task,
            facts,
            plan,
            over,
            runs: seen.strip.runs,
        }
    }

    /// Where it belongs: worst first, those that run before others of their health.
    pub(crate) fn place(&self) -> (u8, &str) {
        let task = &self.task;
        let rank = match (task.health, task.running) {
            (Health::Overdue, _) => 0,
            (Health::Failing, _) => 1,
            (Health::Late, _) => 2,
            (Health::New | Health::Healthy, true) => 3,
            (Health::Paused, _) => 4,
            (Health::New, false) => 5,
            (Health::Healthy, false) => 6,
            (Health::Disabled, _) => 7,
        };
        (rank, &task.name)
    }
}

fn pause_of(facts: &Facts, seen: &Seen<'_>, rules: &Rules, now: DateTime<Utc>) -> Option<Pause> {
    if let Some(pause) = rules.pause_of(facts.name.as_str(), now) {
        return Some(Pause::of(pause));
    }
    let most = facts.policy.as_ref()?.0.pause_after?;
    (seen.failures >= most).then(|| Pause::of_failures(seen.failures))
}

fn schedule(
    facts: &Facts,
    plan: Option<&Plan>,
    rules: &Rules,
    plans: &Plans,
    now: DateTime<Utc>,
) -> Schedule {
    let other = rules.override_of(facts.name.as_str(), now).map(|other| {
        let plan = plans.plan(&other.spec, other.timezone, facts.dst, now);
        let zone = plan
            .as_ref()
            .map_or(other.timezone, |plan| plan.schedule.timezone());
        Override {
            cron: other.spec.to_string(),
            timezone: zone.name().to_owned(),
            text: plan.map(|plan| plan.text.clone()).unwrap_or_default(),
            actor: other.by.actor().to_owned(),
            reason: other.by.reason().to_owned(),
            from: other.from.into(),
            until: other.until.into(),
        }
    });
    let zone = plan.map_or(facts.timezone, |plan| plan.schedule.timezone());
    Schedule {
        cron: contained_line(&facts.spec, 1_024),
        timezone: zone.name().to_owned(),
        text: plan.map(|plan| plan.text.clone()).unwrap_or_default(),
        other,
        lint: plan.map(|plan| plan.lint.clone()).unwrap_or_default(),
    }
}

fn last_run(counters: &Counters, strip: &Strip) -> Option<LastRun> {
    let (id, ended) = counters.last_run?;
    let record = strip.last.as_ref().filter(|run| run.run_id == id);
    let error = record.and_then(|run| run.error.as_ref());
    Some(LastRun {
        id: id.to_string(),
        outcome: counters.last_outcome?,
        ended_at: ended.into(),
        duration_s: counters.last_duration.map(seconds),
        instance: record.map(|run| contained_line(&run.instance, 64)),
        error: error.map(|error| contained_line(&error.to_string(), LONGEST_ERROR)),
    })
}

fn strip(runs: &[Brief]) -> Vec<(crate::event::Outcome, f64)> {
    let newest = runs.iter().take(STRIP);
    let mut strip: Vec<_> = newest
        .map(|run| (run.outcome, seconds(run.duration)))
        .collect();
    strip.reverse();
    strip
}
