//! How many runs may go on at once on this instance, in all and in each group of tasks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::scheduler::claiming::Firing;

/// The limits, who uses them, and who waits.
#[derive(Debug)]
pub(crate) struct Limits {
    most: Option<u32>,
    groups: HashMap<Arc<str>, u32>,
    /// Told when a permit comes back while somebody waits.
    changed: Arc<Notify>,
    // Held to count or to move a firing, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: u32,
    in_group: HashMap<Arc<str>, u32>,
    /// In the order in which they came; each is the front of its task.
    waiting: VecDeque<Firing>,
}

/// The right to run beside the others. Gives itself back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<Limits>,
    group: Option<Arc<str>>,
}

impl Limits {
    pub(crate) fn new(
        most: Option<u32>,
        groups: HashMap<Arc<str>, u32>,
        changed: Arc<Notify>,
    ) -> Arc<Self> {
        Arc::new(Self {
            most,
            groups,
            changed,
            state: Mutex::default(),
        })
    }

    /// The names of all groups, for an error.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(AsRef::as_ref)
    }

    pub(crate) fn has_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// Whether a firing may have to wait for others, if its task is in that group or in none.
    pub(crate) fn apply_to(&self, group: Option<&str>) -> bool {
        self.most.is_some() || group.is_some()
    }

    /// Whether a run could start now, if its task is in that group or in none.
    pub(crate) fn has_room(&self, group: Option<&str>) -> bool {
        let state = self.state();
        let in_group = group.and_then(|group| {
            let used = state.in_group.get(group).copied().unwrap_or_default();
            self.groups.get(group).map(|most| used < *most)
        });
        self.most.is_none_or(|most| state.running < most) && in_group.unwrap_or(true)
    }

    /// Gives a firing its permit, if it has none and there is one. Whether it has one now.
    pub(crate) fn reserve(self: &Arc<Self>, firing: &mut Firing) -> bool {
        if firing.permit.is_none() {
            firing.permit = self.permit(&mut self.state(), firing);
        }
        firing.permit.is_some()
    }

    /// Gives the firings their permits; those that have to wait stay here.
    pub(crate) fn admit(self: &Arc<Self>, firings: Vec<Firing>) -> Vec<Firing> {
        let mut state = self.state();
        let mut admitted = Vec::with_capacity(firings.len());
        for mut firing in firings {
            if firing.permit.is_none() {
                firing.permit = self.permit(&mut state, &firing);
            }
            match firing.permit {
                Some(_) => admitted.push(firing),
                None => state.waiting.push_back(firing),
            }
        }
        admitted
    }

    /// Takes out those that waited and may run now, and those for which `is_late` says that they have
    /// waited too long.
    pub(crate) fn take_ready(
        self: &Arc<Self>,
        is_late: impl Fn(&Firing) -> bool,
    ) -> (Vec<Firing>, Vec<Firing>) {
        let mut state = self.state();
        let (mut ready, mut late) = (Vec::new(), Vec::new());
        for mut firing in std::mem::take(&mut state.waiting) {
            if is_late(&firing) {
                late.push(firing);
                continue;
            }
            firing.permit = self.permit(&mut state, &firing);
            match firing.permit {
                Some(_) => ready.push(firing),
                None => state.waiting.push_back(firing),
            }
        }
        (ready, late)
    }

    /// Takes out those that wait and are meant.
    pub(crate) fn take(&self, is_meant: impl Fn(&Firing) -> bool) -> Vec<Firing> {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting).into_iter();
        let (taken, left): (VecDeque<_>, _) = waiting.partition(is_meant);
        state.waiting = left;
        taken.into()
    }

    /// Takes out all that wait: the scheduler stops.
    pub(crate) fn take_all(&self) -> Vec<Firing> {
        self.state().waiting.drain(..).collect()
    }

    fn permit(self: &Arc<Self>, state: &mut State, firing: &Firing) -> Option<Arc<Permit>> {
        let group = firing.entry.policy.group.clone();
        if self.most.is_some_and(|most| state.running >= most) {
            return None;
        }
        if let Some(group) = &group {
            let used = state.in_group.get(group).copied().unwrap_or_default();
            if self.groups.get(group).is_some_and(|most| used >= *most) {
                return None;
            }
            *state.in_group.entry(group.clone()).or_default() += 1;
        }
        state.running += 1;
        let limits = self.clone();
        Some(Arc::new(Permit { limits, group }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts and moves only: nothing is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limits.state();
        state.running = state.running.saturating_sub(1);
        if let Some(used) = self.group.as_ref().and_then(|g| state.in_group.get_mut(g)) {
            *used = used.saturating_sub(1);
        }
        if !state.waiting.is_empty() {
            self.limits.changed.notify_one();
        }
    }
}
