//! Schedules that were read, kept: many tasks have one, and to read some of them takes long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::board::Plan;
use crate::schedule::DstPolicy;

/// So many are kept.
const MOST: usize = 4_096;

type Key = (Box<str>, Tz, DstPolicy);
/// By the day on which they were read; `None` for those that cannot be.
type Read = HashMap<Key, (NaiveDate, Option<Arc<Plan>>)>;

/// Schedules that were read today.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    // Held for a look or an insertion; nothing is read meanwhile.
    plans: Mutex<Read>,
}

impl Plans {
    /// One of them; `None` for a spec that cannot be read.
    pub(crate) fn plan(
        &self,
        spec: &str,
        zone: Tz,
        dst: DstPolicy,
        now: DateTime<Utc>,
    ) -> Option<Arc<Plan>> {
        // What is said of a schedule is about the year ahead.
        let today = now.date_naive();
        let key = (spec.into(), zone, dst);
        if let Some((day, plan)) = self.lock().get(&key)
            && *day == today
        {
            return plan.clone();
        }
        let plan = Plan::read(spec, zone, dst, now).map(Arc::new);
        let mut plans = self.lock();
        if plans.len() >= MOST {
            plans.clear();
        }
        plans.insert(key, (today, plan.clone()));
        plan
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Read> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
