//! What became of a run whose instance does not say it any more.

use crate::event::Outcome;
use crate::history::RunRecord;
use crate::lock::{LastFired, RunStatus};

/// How a run that nobody reports on has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) outcome: Outcome,
    pub(crate) why: &'static str,
}

/// What is known of a run whose instance is silent, or does not know it any more: by `last`, what the
/// lock remembers of its task.
///
/// If the lock was told how this very firing ended, that is how it ended, and only its record was
/// lost; otherwise nobody was told, and its lease, which its instance had to renew, is gone.
pub(crate) fn gone(run: &RunRecord, last: Option<&LastFired>) -> Gone {
    let told =
        last.filter(|last| last.fire_time == Some(run.fire_time) && last.owner == run.instance);
    let lost = "its end was not recorded; the lock was told of it";
    match told.map(|last| last.status) {
        Some(RunStatus::Succeeded) => Gone {
            outcome: Outcome::Success,
            why: lost,
        },
        Some(RunStatus::Failed) => Gone {
            outcome: Outcome::Failure,
            why: lost,
        },
        Some(RunStatus::TimedOut) => Gone {
            outcome: Outcome::Timeout,
            why: lost,
        },
        Some(RunStatus::Cancelled) => Gone {
            outcome: Outcome::Cancelled,
            why: lost,
        },
        Some(RunStatus::Running | RunStatus::Abandoned) | None => Gone {
            outcome: Outcome::Abandoned,
            why: "its instance is gone, and its lease with it",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::stored::sample;

    #[test]
    fn what_the_lock_was_told_is_how_a_run_ended() {
        let run = sample("t", "2026-11-21T10:00:00Z");
        let last = |owner: &str, at: &str, status| LastFired {
            fire_time: Some(at.parse().unwrap()),
            status,
            owner: owner.to_owned(),
            ended_at: None,
            failures: 0,
            spec: String::new(),
        };
        let (its, later) = ("2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z");
        for (last, outcome) in [
            (None, Outcome::Abandoned),
            (Some(last("a", its, RunStatus::Running)), Outcome::Abandoned),
            (Some(last("a", its, RunStatus::Succeeded)), Outcome::Success),
            (Some(last("a", its, RunStatus::TimedOut)), Outcome::Timeout),
            (
                Some(last("b", its, RunStatus::Succeeded)),
                Outcome::Abandoned,
            ),
            (
                Some(last("a", later, RunStatus::Succeeded)),
                Outcome::Abandoned,
            ),
        ] {
            assert_eq!(gone(&run, last.as_ref()).outcome, outcome, "{last:?}");
        }
    }
}
