//! Whether a firing that has come due is worth asking the lock for. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Decision;
use crate::task::Overlap;

/// What the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) fire_time: DateTime<Utc>,
    /// It is too late for it to start.
    pub(crate) is_misfired: bool,
    /// By how much later than its fire time it was to start.
    pub(crate) spread: Duration,
    pub(crate) is_draining: bool,
    /// Somebody has paused the task, or skips this fire time.
    pub(crate) is_held_back: bool,
    pub(crate) overlap: Overlap,
    /// When the newest run of this task that goes on here started.
    pub(crate) running_since: Option<DateTime<Utc>>,
    /// How many of them go on here.
    pub(crate) running: usize,
}

/// What to do with a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Ask the lock.
    Claim,
    /// Keep it until the run that goes on here has ended.
    Wait,
    /// Ask that run to end, and keep it until it has.
    Replace,
    /// It ends here.
    Decide(Decision),
}

/// ```text
///        run here: started |----------------------->
///   firing due before that       firing due meanwhile
///        Wait: it is late,       Overlap: its predecessor
///        not overlapping         still runs
/// ```
pub(crate) fn admit(facts: Facts) -> Admission {
    if facts.is_draining {
        return Admission::Decide(Decision::Draining);
    }
    if facts.is_held_back {
        return Admission::Decide(Decision::Paused);
    }
    if facts.is_misfired {
        return Admission::Decide(Decision::Misfired);
    }
    if let Overlap::Allow(most) = facts.overlap {
        return match facts.running < most as usize {
            true => Admission::Claim,
            false => Admission::Decide(Decision::Overlap),
        };
    }
    match facts.running_since {
        Some(since) if since >= facts.fire_time + facts.spread => Admission::Wait,
        Some(_) => match facts.overlap {
            Overlap::Skip | Overlap::Allow(_) => Admission::Decide(Decision::Overlap),
            Overlap::QueueOne => Admission::Wait,
            Overlap::Replace => Admission::Replace,
        },
        None => Admission::Claim,
    }
}

/// How long after `fire_time` it is; zero before it.
pub(crate) fn lateness(fire_time: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - fire_time).to_std().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn each_hindrance_has_its_answer_and_the_first_one_wins() {
        let fine = Facts {
            fire_time: at(100),
            is_misfired: false,
            spread: Duration::ZERO,
            is_draining: false,
            is_held_back: false,
            overlap: Overlap::Skip,
            running_since: None,
            running: 0,
        };
        let late = Facts {
            is_misfired: true,
            ..fine
        };
        let table = [
            (fine, Admission::Claim),
            (late, Admission::Decide(Decision::Misfired)),
            (
                Facts {
                    running_since: Some(at(99)),
                    ..fine
                },
                Admission::Decide(Decision::Overlap),
            ),
            (
                Facts {
                    running_since: Some(at(101)),
                    ..fine
                },
                Admission::Wait,
            ),
            (
                Facts {
                    running_since: Some(at(104)),
                    spread: Duration::from_secs(5),
                    ..fine
                },
                Admission::Decide(Decision::Overlap),
            ),
            (
                Facts {
                    running_since: Some(at(99)),
                    overlap: Overlap::QueueOne,
                    ..fine
                },
                Admission::Wait,
            ),
            (
                Facts {
                    running_since: Some(at(99)),
                    overlap: Overlap::Replace,
                    ..fine
                },
                Admission::Replace,
            ),
            (
                Facts {
                    running_since: Some(at(99)),
                    ..late
                },
                Admission::Decide(Decision::Misfired),
            ),
            (
                Facts {
                    is_draining: true,
                    ..late
                },
                Admission::Decide(Decision::Draining),
            ),
        ];
        let held_back = Facts {
            is_held_back: true,
            ..late
        };
        assert_eq!(admit(held_back), Admission::Decide(Decision::Paused));
        let draining = Facts {
            is_draining: true,
            ..held_back
        };
        assert_eq!(admit(draining), Admission::Decide(Decision::Draining));
        for (facts, expected) in table {
            assert_eq!(admit(facts), expected, "{facts:?}");
        }
    }
}
