//! The record that a lock keeps of a task's last firing, and its text.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::lock::Completion;

/// What a lock remembers of the last instant taken of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFired {
    /// The last instant that counts as taken; `None` if the only one was abandoned.
    pub fire_time: Option<DateTime<Utc>>,
    /// How far its run has come.
    pub status: RunStatus,
    /// Who took it.
    pub owner: String,
    /// When the task's last run ended, by the store's clock: that of this instant, or while that one
    /// goes on, the one before. `None` if none has.
    pub ended_at: Option<DateTime<Utc>>,
    /// How many runs in a row failed or timed out.
    pub failures: u32,
    /// What the task's spec was for its owner, as in [`Claim::with_spec`](crate::Claim::with_spec).
    pub spec: String,
}

/// How far the last run of a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunStatus {
    /// Granted, and not reported finished: it runs, or its owner died.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// Its timeout ended it.
    TimedOut,
    /// A shutdown or the loss of its lease ended it.
    Cancelled,
    /// It never began; its instant counts as not taken.
    Abandoned,
}

impl RunStatus {
    /// The letter that stands for it in the state's text.
    pub(crate) fn letter(self) -> char {
        match self {
            RunStatus::Running => 'R',
            RunStatus::Succeeded => 'S',
            RunStatus::Failed => 'F',
            RunStatus::TimedOut => 'T',
            RunStatus::Cancelled => 'C',
            RunStatus::Abandoned => 'A',
        }
    }

    pub(crate) fn from_letter(letter: &str) -> Option<Self> {
        Some(match letter {
            "R" => RunStatus::Running,
            "S" => RunStatus::Succeeded,
            "F" => RunStatus::Failed,
            "T" => RunStatus::TimedOut,
            "C" => RunStatus::Cancelled,
            "A" => RunStatus::Abandoned,
            _ => return None,
        })
    }
}

impl From<Completion> for RunStatus {
    fn from(completion: Completion) -> Self {
        match completion {
            Completion::Succeeded => RunStatus::Succeeded,
            Completion::Failed => RunStatus::Failed,
            Completion::TimedOut => RunStatus::TimedOut,
            Completion::Cancelled => RunStatus::Cancelled,
            Completion::Abandoned => RunStatus::Abandoned,
        }
    }
}

/// One task's state: `prev|inst|fence|status|attempt|ttl_ms|ended|fails|spec|token|owner`, the same text in every
/// store, so that an operator can read it and the pure model can be compared with the scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The instant that counts as taken if the last one was abandoned; epoch ms, 0 for none.
    pub(crate) prev: i64,
    /// The instant granted last; epoch ms.
    pub(crate) inst: i64,
    /// The fencing token of that grant.
    pub(crate) fence: u64,
    /// How far its run has come.
    pub(crate) status: RunStatus,
    /// Which attempt at the instant it is.
    pub(crate) attempt: u32,
    /// The TTL of its lease.
    pub(crate) ttl_ms: u64,
    /// The end of the last run that has ended, maybe one before this; epoch ms, 0 for none.
    pub(crate) ended: i64,
    /// How many runs in a row failed or timed out.
    pub(crate) fails: u32,
    /// What the task's spec is, as its instances say: [`Claim::spec`](crate::Claim::spec).
    pub(crate) spec: String,
    /// The token of its claim.
    pub(crate) token: String,
    /// The label of its owner.
    pub(crate) owner: String,
}

impl State {
    /// The last instant that counts as taken; 0 for none.
    pub(crate) fn last(&self) -> i64 {
        if self.status == RunStatus::Abandoned {
            self.prev
        } else {
            self.inst
        }
    }

    /// The part of it that the world outside the lock may know.
    pub(crate) fn last_fired(&self) -> LastFired {
        let instant = |ms| DateTime::from_timestamp_millis(ms).filter(|_| ms > 0);
        LastFired {
            fire_time: instant(self.last()),
            status: self.status,
            owner: self.owner.clone(),
            ended_at: instant(self.ended),
            failures: self.fails,
            spec: self.spec.clone(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            prev,
            inst,
            fence,
            status,
            attempt,
            ttl_ms,
            ended,
            fails,
            spec,
            token,
            owner,
        } = self;
        let letter = status.letter();
        write!(
            f,
            "{prev}|{inst}|{fence}|{letter}|{attempt}|{ttl_ms}|{ended}|{fails}|{spec}|{token}|{owner}"
        )
    }
}

impl FromStr for State {
    /// Which part could not be read.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        fn number<T: FromStr>(part: Option<&str>, name: &'static str) -> Result<T, &'static str> {
            // `parse` would take a sign; the scripts' `%d+` does not.
            let part = part.filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse().ok()).ok_or(name)
        }
        let mut parts = text.splitn(11, '|');
        Ok(Self {
            prev: number(parts.next(), "previous instant")?,
            inst: number(parts.next(), "instant")?,
            fence: number(parts.next(), "fencing token")?,
            status: parts
                .next()
                .and_then(RunStatus::from_letter)
                .ok_or("status")?,
            attempt: number(parts.next(), "attempt")?,
            ttl_ms: number(parts.next(), "ttl")?,
            ended: number(parts.next(), "end")?,
            fails: number(parts.next(), "failures")?,
            spec: parts.next().ok_or("spec")?.to_owned(),
            token: parts.next().ok_or("token")?.to_owned(),
            owner: parts.next().ok_or("owner")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_round_trips() {
        let text =
            "0|1795220851000|1795221061405123|S|1|30000|1795220853250|0|9f0c|00ff|host-a:71:9f";
        let state: State = text.parse().unwrap();
        assert_eq!(
            (state.inst, state.status),
            (1_795_220_851_000, RunStatus::Succeeded)
        );
        assert_eq!(state.to_string(), text);
    }

    #[test]
    fn foreign_text_is_refused_with_the_part() {
        for (text, part) in [
            ("", "previous instant"),
            ("0|x|1|S|1|1|t|o", "instant"),
            ("0|-1|1|S|1|1|t|o", "instant"),
            (
                "0|1|99999999999999999999999|S|1|1|1|0||t|o",
                "fencing token",
            ),
            ("0|1|1|Z|1|1|1|0||t|o", "status"),
            ("0|1|1|S|1|1|t|o", "end"),
            ("0|1|1|S|1|1|1|x||t|o", "failures"),
            ("0|1|1|S|1|1|1|0||t", "owner"),
        ] {
            assert_eq!(text.parse::<State>().unwrap_err(), part, "{text:?}");
        }
    }
}
