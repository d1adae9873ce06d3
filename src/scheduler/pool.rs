//! What many tasks have in common, each kept once: of a thousand tasks few have a schedule or a policy
//! of their own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono_tz::Tz;

use crate::schedule::{DstPolicy, Schedule, SpecError};
use crate::scheduler::spread::Fingerprint;
use crate::task::Policy;

/// Gives equal values the same place. What nobody has any more it forgets now and then.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    // Held to look something up, or to add it.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By zone and policy, of which there are few, so that a spec is looked up as it is given.
    plans: HashMap<(Tz, DstPolicy), HashMap<Arc<str>, Timetable>>,
    policies: HashSet<Arc<Policy>>,
    /// How many tasks have let go of what they had since it was last looked who has what.
    let_go: usize,
}

/// It is not looked more often who has what than after so many tasks have let go.
const FEW: usize = 64;

/// A spec as it is read.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) spec: Arc<str>,
    pub(crate) timetable: Timetable,
}

/// A schedule, and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Timetable {
    pub(crate) schedule: Arc<Schedule>,
    /// What it is, in short: the same on all instances that have the same.
    pub(crate) fingerprint: Fingerprint,
}

impl Pool {
    /// Reads a spec, unless the same one was read before.
    pub(crate) fn plan(&self, spec: &str, zone: Tz, dst: DstPolicy) -> Result<Plan, SpecError> {
        let known = |inner: &Inner| {
            let (spec, timetable) = inner.plans.get(&(zone, dst))?.get_key_value(spec)?;
            let (spec, timetable) = (spec.clone(), timetable.clone());
            Some(Plan { spec, timetable })
        };
        if let Some(plan) = known(&self.inner()) {
            return Ok(plan);
        }
        let schedule = Schedule::parse_in(spec, zone)?.with_dst(dst);
        let timetable = Timetable {
            fingerprint: Fingerprint::of_schedule(&schedule),
            schedule: Arc::new(schedule),
        };
        let spec: Arc<str> = spec.into();
        let mut inner = self.inner();
        let plans = inner.plans.entry((zone, dst)).or_default();
        plans.insert(spec.clone(), timetable.clone());
        Ok(Plan { spec, timetable })
    }

    pub(crate) fn policy(&self, policy: Policy) -> Arc<Policy> {
        let mut inner = self.inner();
        if let Some(known) = inner.policies.get(&policy) {
            return known.clone();
        }
        let policy = Arc::new(policy);
        inner.policies.insert(policy.clone());
        policy
    }

    /// A task is gone, or has got other values. Forgets those that nobody has, once so many are gone
    /// that the work is worth it.
    pub(crate) fn let_go(&self) {
        let mut inner = self.inner();
        inner.let_go += 1;
        let kept = inner.plans.values().map(HashMap::len).sum::<usize>() + inner.policies.len();
        if inner.let_go < FEW.max(kept / 2) {
            return;
        }
        inner.let_go = 0;
        for plans in inner.plans.values_mut() {
            plans.retain(|spec, timetable| {
                Arc::strong_count(spec) > 1 || Arc::strong_count(&timetable.schedule) > 1
            });
            plans.shrink_to_fit();
        }
        inner.plans.retain(|_, plans| !plans.is_empty());
        inner
            .policies
            .retain(|policy| Arc::strong_count(policy) > 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing but a look or an insertion happens while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Overlap;

    #[test]
    fn a_spec_is_read_once_for_each_zone_and_policy() {
        let pool = Pool::default();
        let schedule = |spec, zone, dst| pool.plan(spec, zone, dst).unwrap().timetable.schedule;
        let first = schedule("0 0 2 * * *", Tz::UTC, DstPolicy::RunOnce);
        let again = schedule("0 0 2 * * *", Tz::UTC, DstPolicy::RunOnce);
        assert!(Arc::ptr_eq(&first, &again));
        let berlin = schedule("0 0 2 * * *", Tz::Europe__Berlin, DstPolicy::RunOnce);
        assert_eq!(berlin.timezone(), Tz::Europe__Berlin);
        let robfig = schedule("0 0 2 * * *", Tz::UTC, DstPolicy::Robfig);
        assert_eq!(robfig.dst(), DstPolicy::Robfig);
        let named = schedule("TZ=Asia/Tokyo 0 2 * * *", Tz::UTC, DstPolicy::RunOnce);
        assert_eq!(named.timezone(), Tz::Asia__Tokyo);
    }

    #[test]
    fn a_spec_that_cannot_be_read_is_refused_each_time() {
        let pool = Pool::default();
        for _ in 0..2 {
            assert!(pool.plan("x", Tz::UTC, DstPolicy::RunOnce).is_err());
        }
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let pool = Pool::default();
        let kept = pool.plan("@hourly", Tz::UTC, DstPolicy::RunOnce).unwrap();
        for n in 0..1_000 {
            let spec = format!("@every {}s", n + 1);
            pool.plan(&spec, Tz::UTC, DstPolicy::RunOnce).unwrap();
            pool.policy(Policy::default().pause_after(n + 1));
            pool.let_go();
        }
        let inner = pool.inner();
        let plans: usize = inner.plans.values().map(HashMap::len).sum();
        assert!(plans + inner.policies.len() < 200, "{plans}");
        drop(inner);
        let again = pool.plan("@hourly", Tz::UTC, DstPolicy::RunOnce).unwrap();
        assert!(Arc::ptr_eq(&kept.spec, &again.spec));
    }

    #[test]
    fn equal_policies_have_one_place_and_others_another() {
        let pool = Pool::default();
        let first = pool.policy(Policy::default());
        assert!(Arc::ptr_eq(&first, &pool.policy(Policy::default())));
        let other = pool.policy(Policy::default().overlap(Overlap::QueueOne));
        assert_eq!(other.overlap, Overlap::QueueOne);
    }
}
