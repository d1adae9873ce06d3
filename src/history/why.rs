//! Why a task ran at an instant, or did not.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};

use crate::event::{Decision, Outcome};
use crate::history::{DecisionRecord, RunRecord};
use crate::schedule::Schedule;
use crate::task::{RunId, TaskName};
use crate::text::contained_line;

/// Why a task ran at an instant, or did not: in words by its `Display`, with what that is drawn from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Why {
    /// The task.
    pub task: TaskName,
    /// The instant that was asked about.
    pub at: DateTime<Utc>,
    /// The answer.
    pub because: Because,
    /// The runs of that instant, oldest first.
    pub runs: Vec<RunRecord>,
    /// What instances decided of that instant, apart from those that ran it.
    pub decisions: Vec<DecisionRecord>,
}

/// The answer to why a task ran at an instant, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// It ran.
    Ran {
        /// The run: the last one, if there were several.
        run_id: RunId,
        /// Where.
        instance: String,
        /// How it ended; `None` while it runs.
        outcome: Option<Outcome>,
    },
    /// The schedule does not name the instant.
    NotDue {
        /// The fire time before it.
        before: Option<DateTime<Utc>>,
        /// The fire time after it.
        after: Option<DateTime<Utc>>,
        /// The schedule in words, with its zone.
        schedule: String,
    },
    /// It is yet to come.
    Ahead,
    /// An instance had it and did not tell what became of it; or its record is gone.
    ClaimedBy {
        /// The instance, where it is known.
        holder: Option<String>,
    },
    /// It did not run, for a reason that all give, or that says the most.
    Decided {
        /// The reason.
        decision: Decision,
        /// The instance that gave it.
        instance: String,
        /// Who had it instead, or has paused it, where that is known.
        holder: Option<String>,
    },
    /// It was due, and no instance has decided anything: none was up, or it was decided too long ago for
    /// the history to know.
    Missed,
    /// The task was not known then, or what was known is not kept any more.
    Unknown,
}

/// Reasons, from the one that says the most to the one that says the least.
const WEIGHT: &[Decision] = &[
    Decision::Paused,
    Decision::Overlap,
    Decision::StoreDown,
    Decision::Limited,
    Decision::Misfired,
    Decision::Draining,
];

/// Why `task` ran at `at` or did not, by what a history has of it.
pub(crate) fn why(
    (task, schedule): (TaskName, &Schedule),
    at: DateTime<Utc>,
    (now, known_since): (DateTime<Utc>, Option<DateTime<Utc>>),
    (mut runs, mut decisions): (Vec<RunRecord>, Vec<DecisionRecord>),
) -> Why {
    runs.retain(|run| run.fire_time == at);
    runs.sort_by_key(|run| run.run_id);
    decisions.retain(|decided| decided.is_about(at));
    let because = because(schedule, at, now, known_since, &runs, &decisions);
    Why {
        task,
        at,
        because,
        runs,
        decisions,
    }
}

fn because(
    schedule: &Schedule,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    known_since: Option<DateTime<Utc>>,
    runs: &[RunRecord],
    decisions: &[DecisionRecord],
) -> Because {
    if let Some(run) = runs.last() {
        return Because::Ran {
            run_id: run.run_id,
            instance: run.instance.clone(),
            outcome: run.outcome,
        };
    }
    let weight = |decided: &&DecisionRecord| WEIGHT.iter().position(|d| *d == decided.decision);
    let told = decisions.iter().filter(|d| weight(d).is_some());
    if let Some(decided) = told.min_by_key(weight) {
        return Because::Decided {
            decision: decided.decision,
            instance: decided.instance.clone(),
            holder: decided.holder.clone(),
        };
    }
    if let Some(elsewhere) = decisions.iter().max_by_key(|d| d.holder.is_some()) {
        return Because::ClaimedBy {
            holder: elsewhere.holder.clone(),
        };
    }
    let depends_on_runs = schedule.delay().is_some() || schedule.is_startup();
    let is_due = schedule.prev_before(at + chrono::TimeDelta::nanoseconds(1)) == Some(at);
    if !depends_on_runs && !is_due {
        return Because::NotDue {
            before: schedule.prev_before(at),
            after: schedule.next_after(at),
            schedule: schedule.explain(),
        };
    }
    if at > now {
        return Because::Ahead;
    }
    match known_since {
        Some(known) if known <= at && !depends_on_runs => Because::Missed,
        _ => Because::Unknown,
    }
}

fn instant(at: DateTime<Utc>) -> impl fmt::Display {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// `t at 2026-11-21T14:00:00Z: ran on api-1: success (run 01JD…)`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: ", self.task, instant(self.at))?;
        let named = |name: &str| contained_line(name, 64);
        match &self.because {
            Because::Ran {
                run_id,
                instance,
                outcome,
            } => match outcome {
                Some(outcome) => write!(f, "ran on {}: {outcome} (run {run_id})", named(instance)),
                None => write!(f, "is running on {} (run {run_id})", named(instance)),
            },
            Because::NotDue {
                before,
                after,
                schedule,
            } => {
                write!(f, "not due: the schedule is {schedule}")?;
                let around = [("before it", before), ("after it", after)];
                for (where_, time) in around {
                    if let Some(time) = time {
                        write!(f, "; {where_} {}", instant(*time))?;
                    }
                }
                Ok(())
            }
            Because::Ahead => f.write_str("is yet to come"),
            Because::ClaimedBy { holder: Some(holder) } => {
                let holder = named(holder);
                write!(f, "claimed by {holder}, which left no record of its run")
            }
            Because::ClaimedBy { holder: None } => {
                f.write_str("claimed by another instance, which left no record of its run")
            }
            Because::Decided {
                decision,
                instance,
                holder,
            } => {
                match (decision, holder) {
                    (Decision::Paused, Some(by)) => {
                        write!(f, "paused by {}", contained_line(by, 200))
                    }
                    (Decision::Paused, None) => f.write_str("paused"),
                    (Decision::Overlap, Some(holder)) => {
                        write!(f, "the run before it went on, on {}", named(holder))
                    }
                    (Decision::Overlap, None) => f.write_str("the run before it went on"),
                    (Decision::StoreDown, _) => f.write_str("the lock's store did not answer"),
                    (Decision::Limited, _) => f.write_str("as many runs went on as may"),
                    (Decision::Misfired, _) => f.write_str("it was too late when it could start"),
                    (Decision::Draining, _) => f.write_str("the scheduler was stopping"),
                    (other, _) => write!(f, "{other}"),
                }?;
                write!(f, " (says {}", named(instance))?;
                let said = |d: &&DecisionRecord| d.decision == *decision;
                let all: BTreeSet<&str> = self.decisions.iter().filter(said).map(|d| &*d.instance).collect();
                match all.len().saturating_sub(1) {
                    0 => f.write_str(")"),
                    1 => f.write_str(" and one more)"),
                    n => write!(f, " and {n} more)"),
                }
            }
            Because::Missed => f.write_str(
                "missed: it was due, and no instance has decided anything; all were down, or it is too \
                 long ago",
            ),
            Because::Unknown => f.write_str("unknown: nothing is kept of that time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::stored::sample;

    const AT: &str = "2026-11-21T14:00:00Z";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn decided(decision: Decision, instance: &str, holder: Option<&str>) -> DecisionRecord {
        DecisionRecord::new("t".parse().unwrap(), at(AT), 1, decision, instance)
            .with_holder(holder.map(str::to_owned))
    }

    fn answer(
        spec: &str,
        asked: &str,
        runs: &[RunRecord],
        decisions: &[DecisionRecord],
        known_since: Option<&str>,
    ) -> String {
        let schedule: Schedule = spec.parse().unwrap();
        let now = at("2026-11-21T15:00:00Z");
        let task = "t".parse().unwrap();
        let why = why(
            (task, &schedule),
            at(asked),
            (now, known_since.map(at)),
            (runs.to_vec(), decisions.to_vec()),
        );
        let text = why.to_string();
        let rest = text.strip_prefix(&format!("t at {asked}: "));
        rest.unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    #[test]
    fn each_reason_has_a_sentence() {
        let running = sample("t", AT);
        let done = running.found(Outcome::Success, at(AT) + Duration::from_secs(2), "", "");
        let id = running.run_id;
        let known = Some("2026-11-20T00:00:00Z");
        let elsewhere = |holder| decided(Decision::FiredElsewhere, "api-2", holder);
        for (runs, decisions, sentence) in [
            (vec![running], vec![], format!("is running on a (run {id})")),
            (
                vec![done],
                vec![elsewhere(Some("a"))],
                format!("ran on a: success (run {id})"),
            ),
            (
                vec![],
                vec![elsewhere(None), elsewhere(Some("api-9"))],
                "claimed by api-9, which left no record of its run".to_owned(),
            ),
            (
                vec![],
                vec![elsewhere(None)],
                "claimed by another instance, which left no record of its run".to_owned(),
            ),
            (
                vec![],
                vec![elsewhere(None), decided(Decision::Paused, "api-1", Some("ana"))],
                "paused by ana (says api-1)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Paused, "api-1", None), decided(Decision::Paused, "api-2", None)],
                "paused (says api-1 and one more)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Overlap, "api-1", Some("api-3"))],
                "the run before it went on, on api-3 (says api-1)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Draining, "api-1", None), decided(Decision::StoreDown, "api-2", None)],
                "the lock's store did not answer (says api-2)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Limited, "api-1", None)],
                "as many runs went on as may (says api-1)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Misfired, "evil\u{1b}[2J", None)],
                "it was too late when it could start (says evil\\u{1b}[2J)".to_owned(),
            ),
            (
                vec![],
                vec![decided(Decision::Draining, "api-1", None)],
                "the scheduler was stopping (says api-1)".to_owned(),
            ),
            (
                vec![],
                vec![],
                "missed: it was due, and no instance has decided anything; all were down, or it is too \
                 long ago"
                    .to_owned(),
            ),
        ] {
            let told = answer("0 * * * *", AT, &runs, &decisions, known);
            assert_eq!(told, sentence);
        }
    }

    #[test]
    fn an_instant_that_the_schedule_does_not_name_is_not_due_in_its_zone() {
        let spec = "TZ=Europe/Berlin 0 14 * * *";
        assert_eq!(
            answer(spec, AT, &[], &[], Some("2026-11-20T00:00:00Z")),
            "not due: the schedule is at 14:00, every day, in Europe/Berlin; before it 2026-11-21T13:00:00Z; after \
             it 2026-11-22T13:00:00Z"
        );
        assert_eq!(
            answer("0 0 31 2 *", AT, &[], &[], None),
            format!(
                "not due: the schedule is {}",
                "0 0 31 2 *".parse::<Schedule>().unwrap().explain()
            )
        );
    }

    #[test]
    fn what_is_ahead_and_what_nobody_knows_are_said_to_be_that() {
        let ahead = "2026-11-21T16:00:00Z";
        assert_eq!(answer("0 * * * *", ahead, &[], &[], None), "is yet to come");
        let unknown = "unknown: nothing is kept of that time";
        assert_eq!(answer("0 * * * *", AT, &[], &[], None), unknown);
        let later = Some("2026-11-21T14:30:00Z");
        assert_eq!(answer("0 * * * *", AT, &[], &[], later), unknown);
        assert_eq!(answer("@after 10m", AT, &[], &[], None), unknown);
    }
}
