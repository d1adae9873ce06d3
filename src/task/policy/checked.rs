//! What is wrong with a policy: values out of range, and settings that contradict each other.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::task::policy::{Misfire, OnStoreDown, Overlap, Policy, Recovery, Scope};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

impl Policy {
    /// Says what is wrong with the policy of a task whose schedule depends on its runs, as `@after`
    /// does, or not; if anything.
    pub(crate) fn validate(&self, depends_on_runs: bool) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::new(ErrorKind::InvalidTask, text));
        if let Some(text) = self.out_of_range() {
            return refuse(text);
        }
        match self.contradiction(depends_on_runs) {
            Some((one, other, why)) => {
                refuse(format!("{one} and {other} contradict each other: {why}"))
            }
            None => Ok(()),
        }
    }

    fn out_of_range(&self) -> Option<String> {
        let second = Duration::from_secs(1);
        let ranges = [
            (
                "lease_ttl",
                Some(self.lease_ttl),
                second,
                HOUR,
                "1 s to 1 h",
            ),
            (
                "misfire_threshold",
                Some(self.misfire_threshold),
                second,
                WEEK,
                "1 s to 7 days",
            ),
            (
                "start_deadline",
                self.start_deadline,
                self.misfire_threshold,
                WEEK,
                "at least the misfire threshold and at most 7 days",
            ),
            (
                "spread",
                Some(self.spread),
                Duration::ZERO,
                DAY,
                "at most 24 h",
            ),
            (
                "jitter",
                Some(self.jitter),
                Duration::ZERO,
                DAY,
                "at most 24 h",
            ),
            (
                "cancel_grace",
                Some(self.cancel_grace),
                Duration::ZERO,
                HOUR,
                "at most 1 h",
            ),
            (
                "the retry's first_wait",
                Some(self.retry.first_wait),
                Duration::from_millis(1),
                self.retry.longest_wait,
                "1 ms to its longest_wait",
            ),
            (
                "the retry's longest_wait",
                Some(self.retry.longest_wait),
                Duration::ZERO,
                DAY,
                "at most 24 h",
            ),
        ];
        for (name, value, least, most, range) in ranges {
            if let Some(value) = value.filter(|value| *value < least || *value > most) {
                return Some(format!("{name} is {value:?}: give it {range}"));
            }
        }
        if self.lease_ttl.subsec_nanos() != 0 {
            let ttl = self.lease_ttl;
            return Some(format!(
                "lease_ttl is {ttl:?}: the lock counts whole seconds"
            ));
        }
        let counts = [
            (
                "Misfire::RunAll",
                matches!(self.misfire, Misfire::RunAll(n) if !(1..=1000).contains(&n)),
                "1 to 1000 firings",
            ),
            (
                "Scope::Sharded",
                matches!(self.scope, Scope::Sharded(n) if !(2..=1024).contains(&n)),
                "2 to 1024 parts",
            ),
            (
                "Recovery::Rerun",
                matches!(self.recovery, Recovery::Rerun { max: 0 }),
                "at least 1 run",
            ),
            (
                "Overlap::Allow",
                matches!(self.overlap, Overlap::Allow(n) if !(2..=64).contains(&n)),
                "2 to 64 runs",
            ),
            (
                "pause_after",
                self.pause_after == Some(0),
                "at least 1 failure",
            ),
            ("retry", self.retry.times > 1000, "at most 1000 retries"),
        ];
        let wrong = counts.into_iter().find(|(_, is_wrong, _)| *is_wrong);
        wrong.map(|(name, _, range)| format!("{name} is out of range: give it {range}"))
    }

    /// Two settings that cannot both be meant, and why.
    fn contradiction(
        &self,
        depends_on_runs: bool,
    ) -> Option<(&'static str, &'static str, &'static str)> {
        let reruns = self.recovery != Recovery::Skip;
        let everywhere = self.scope == Scope::EveryInstance;
        let allows = matches!(self.overlap, Overlap::Allow(_));
        let run_all = matches!(self.misfire, Misfire::RunAll(_));
        let pairs = [
            (
                everywhere && reruns,
                (
                    "Scope::EveryInstance",
                    "Recovery::Rerun",
                    "what runs on each instance has no run of another to take up",
                ),
            ),
            (
                everywhere && self.misfire != Misfire::Skip,
                (
                    "Scope::EveryInstance",
                    "Misfire",
                    "nobody keeps which instants an instance has run, so none is known to be missed",
                ),
            ),
            (
                everywhere && self.pause_after.is_some(),
                (
                    "Scope::EveryInstance",
                    "pause_after",
                    "the count of failures is kept with the lock, which is not asked",
                ),
            ),
            (
                everywhere && self.on_store_down != OnStoreDown::Skip,
                (
                    "Scope::EveryInstance",
                    "on_store_down",
                    "the store is not asked",
                ),
            ),
            (
                allows && reruns,
                (
                    "Overlap::Allow",
                    "Recovery::Rerun",
                    "the lock keeps how the newest run ended, not how each did",
                ),
            ),
            (
                allows && self.pause_after.is_some(),
                (
                    "Overlap::Allow",
                    "pause_after",
                    "runs that go on beside each other have no row in which to fail",
                ),
            ),
            (
                allows && run_all,
                (
                    "Overlap::Allow",
                    "Misfire::RunAll",
                    "those missed run one after the other",
                ),
            ),
            (
                self.overlap == Overlap::Replace && reruns,
                (
                    "Overlap::Replace",
                    "Recovery::Rerun",
                    "a run that was replaced would be run again",
                ),
            ),
            (
                self.overlap == Overlap::Replace && run_all,
                (
                    "Overlap::Replace",
                    "Misfire::RunAll",
                    "each of those missed would replace the one before it",
                ),
            ),
            (
                self.overlap == Overlap::QueueOne && run_all,
                (
                    "Overlap::QueueOne",
                    "Misfire::RunAll",
                    "one firing waits at most, and RunAll has several wait",
                ),
            ),
            (
                self.on_store_down == OnStoreDown::RunLocally && reruns,
                (
                    "OnStoreDown::RunLocally",
                    "Recovery::Rerun",
                    "a run that the lock does not know of cannot be taken up",
                ),
            ),
            (
                self.on_store_down == OnStoreDown::RunLocally && self.misfire != Misfire::Skip,
                (
                    "OnStoreDown::RunLocally",
                    "Misfire",
                    "what has run without the lock would run again when the store is back",
                ),
            ),
            (
                depends_on_runs && self.misfire != Misfire::Skip,
                (
                    "the spec",
                    "Misfire",
                    "@after and @startup miss nothing: they wait",
                ),
            ),
            (
                depends_on_runs && self.overlap != Overlap::Skip,
                (
                    "the spec",
                    "Overlap",
                    "@after and @startup are not due while the task runs",
                ),
            ),
            (
                depends_on_runs && everywhere,
                (
                    "the spec",
                    "Scope::EveryInstance",
                    "@after counts from the last run of the whole fleet, and @startup waits its turn",
                ),
            ),
            (
                depends_on_runs && self.on_store_down != OnStoreDown::Skip,
                (
                    "the spec",
                    "on_store_down",
                    "@after and @startup wait for the store",
                ),
            ),
        ];
        pairs
            .into_iter()
            .find(|(is_so, _)| *is_so)
            .map(|(_, pair)| pair)
    }
}
