//! The record of a run.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

use crate::event::{Outcome, RunFacts, Trigger};
use crate::lock::FencingToken;
use crate::task::{Progress, RunId, Shard, TaskName};
use crate::text::{contained, contained_line};

/// Attempts of a run of which the record tells: the first, and the last ones.
const MOST_ATTEMPTS: usize = 20;
/// The longest text of an error, in bytes.
const LONGEST_MESSAGE: usize = 4096;
/// The longest name of a type, in bytes.
const LONGEST_TYPE: usize = 256;
/// The longest text of a cause, in bytes, and how many there are.
const LONGEST_CAUSE: usize = 1024;
const MOST_CAUSES: usize = 8;

/// What is kept of a run. Times are whole microseconds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunRecord {
    /// Its id.
    pub run_id: RunId,
    /// Its task.
    pub task: TaskName,
    /// Which part of its firing it did, if its task is done in parts.
    pub shard: Option<Shard>,
    /// Why it began.
    pub trigger: Trigger,
    /// The run that it repeats, if somebody asked for that.
    pub retry_of: Option<RunId>,
    /// Who asked for it, if somebody did.
    pub actor: Option<String>,
    /// Why they did.
    pub reason: Option<String>,
    /// The instant it ran for.
    pub fire_time: DateTime<Utc>,
    /// When it started, by its instance's clock.
    pub started: DateTime<Utc>,
    /// Start minus fire time.
    pub lateness: Duration,
    /// When it ended; `None` while it runs.
    pub ended: Option<DateTime<Utc>>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// Why it did not succeed.
    pub error: Option<Failure>,
    /// Calls of the task's code: of more than 20 the first and the last ones.
    pub attempts: Vec<AttemptRecord>,
    /// The instance that ran it.
    pub instance: String,
    /// Its fencing token.
    pub fencing_token: FencingToken,
    /// The trace it belongs to, if that is known.
    pub trace_id: Option<String>,
    /// What it was given; of JSON the values of secrets are `•••`, and all of another text that names
    /// one.
    pub params: Option<String>,
    /// What it said of itself last, in words.
    pub status: Option<String>,
    /// What it said of itself last, in numbers.
    pub progress: Option<Progress>,
    /// Who found that it was gone, if it did not end by itself.
    pub found_by: Option<String>,
}

/// One call of a task's code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// Its number, as in [`RunFacts::attempt`].
    pub number: u32,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took; `None` while it goes on.
    pub duration: Option<Duration>,
    /// Why it did not succeed.
    pub error: Option<Failure>,
}

/// Why a run or an attempt did not succeed. Texts are cut, and characters that would change how others
/// are shown are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong, in at most 4 KiB.
    pub message: String,
    /// The errors that caused it, at most 8, each in at most 1 KiB.
    pub causes: Vec<String>,
    /// The name of the error's type, if it is known: one of a few, to sort failures by.
    pub type_name: Option<String>,
}

impl Failure {
    /// `causes` are the errors one by one, if there were any: the first one is the message.
    pub(crate) fn new(text: &str, causes: &[String]) -> Self {
        let message = causes.first().map_or(text, String::as_str);
        let causes = causes.iter().skip(1).take(MOST_CAUSES);
        Self {
            message: contained(message, LONGEST_MESSAGE),
            causes: causes.map(|c| contained(c, LONGEST_CAUSE)).collect(),
            type_name: None,
        }
    }

    pub(crate) fn of_type(mut self, name: Option<&str>) -> Self {
        self.type_name = name.map(|name| contained_line(name, LONGEST_TYPE));
        self
    }

    fn weight(&self) -> usize {
        let name = self.type_name.as_ref().map_or(0, String::len);
        self.message.len() + name + self.causes.iter().map(|c| c.len() + 24).sum::<usize>()
    }
}

/// The message and its causes, joined by colons.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|c| write!(f, ": {c}"))
    }
}

impl RunRecord {
    /// A run that has just started on `instance`.
    ///
    /// Public for tests of stores outside this crate.
    pub fn started(run: &RunFacts, instance: impl Into<String>) -> Self {
        let request = run.request.as_deref();
        let params = request.and_then(|request| request.params.as_deref());
        Self {
            run_id: run.run_id,
            task: run.task.clone(),
            shard: run.shard,
            trigger: run.trigger,
            retry_of: request.and_then(|request| request.again),
            actor: request.map(|request| request.by.actor().to_owned()),
            reason: request.map(|request| request.by.reason().to_owned()),
            fire_time: whole(run.fire_time),
            started: whole(run.started),
            lateness: whole_micros(run.lateness),
            ended: None,
            duration: None,
            outcome: None,
            error: None,
            attempts: vec![AttemptRecord {
                number: run.attempt,
                started: whole(run.started),
                duration: None,
                error: None,
            }],
            instance: instance.into(),
            fencing_token: run.fencing_token,
            trace_id: run.trace_id.as_deref().map(str::to_owned),
            params: params.map(crate::history::redact::redacted),
            status: None,
            progress: None,
            found_by: None,
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.outcome.is_none()
    }

    /// It has ended.
    pub(crate) fn finish(
        &mut self,
        outcome: Outcome,
        ended: DateTime<Utc>,
        duration: Duration,
        error: Option<Failure>,
    ) {
        self.end_attempt(ended, error.clone());
        self.ended = Some(whole(ended));
        self.duration = Some(whole_micros(duration));
        self.outcome = Some(outcome);
        self.error = error;
    }

    /// The same run as somebody else found it: gone.
    pub(crate) fn found(&self, outcome: Outcome, at: DateTime<Utc>, by: &str, why: &str) -> Self {
        let mut ended = self.clone();
        let took = (at - self.started).to_std().unwrap_or_default();
        ended.finish(outcome, at, took, Some(Failure::new(why, &[])));
        ended.found_by = Some(contained_line(by, 64));
        ended
    }

    /// A further attempt begins.
    pub(crate) fn begin_attempt(&mut self, number: u32, started: DateTime<Utc>) {
        if self.attempts.len() >= MOST_ATTEMPTS {
            self.attempts.remove(1);
        }
        self.attempts.push(AttemptRecord {
            number,
            started: whole(started),
            duration: None,
            error: None,
        });
    }

    pub(crate) fn end_attempt(&mut self, at: DateTime<Utc>, error: Option<Failure>) {
        if let Some(attempt) = self.attempts.last_mut()
            && attempt.duration.is_none()
        {
            let took = (at - attempt.started).to_std().unwrap_or_default();
            attempt.duration = Some(whole_micros(took));
            attempt.error = error;
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        let of = |failure: &Option<Failure>| failure.as_ref().map_or(0, Failure::weight);
        let attempts: usize = self.attempts.iter().map(|a| 64 + of(&a.error)).sum();
        let params = self.params.as_ref().map_or(0, String::len);
        600 + attempts + of(&self.error) + params
    }
}

/// Stores keep microseconds: what is in memory is the same.
fn whole(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

fn whole_micros(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
