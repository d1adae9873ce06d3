//! One task's place in the engine: which of its firings is being settled, which wait behind it.
//!
//! Firings of one task are settled strictly in the order of their fire times: a claim out of order
//! would make the lock refuse the older one for ever.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::event::{Decision, Outcome, RunFacts};
use crate::scheduler::handle::LastRun;
use crate::task::{CancelReason, RunControl, RunId};

/// The changing part of a registered task. Its owner keeps it under a mutex, for short sections.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) next_fire: Option<DateTime<Utc>>,
    // In a place of its own: many tasks wait for long before their first run.
    pub(crate) last_run: Option<Box<LastRun>>,
    /// The runs that go on: one, unless the policy allows more.
    pub(crate) running: Vec<Running>,
    /// The spec that another instance was last seen to have in place of ours.
    pub(crate) other_spec: Option<String>,
    /// The firing that is being settled with the lock.
    front: Option<Front>,
    /// Firings that came due behind it or behind the run, oldest first.
    waiting: VecDeque<Waiting>,
}

/// A firing that waits for those before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) fire_time: DateTime<Utc>,
    /// When it could first have started: its fire time, or the end of a run that it waited for.
    pub(crate) since: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) facts: RunFacts,
    pub(crate) control: RunControl,
    /// Its end has been announced.
    pub(crate) is_reported: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Front {
    fire_time: DateTime<Utc>,
    hold: Hold,
}

/// What the front waits for.
#[derive(Debug, Clone)]
pub(crate) enum Hold {
    /// The lock's answer.
    Answer,
    /// A store that does not answer.
    Store,
    /// The store's clock, which is behind ours.
    StoreClock,
    /// The end of somebody else's run. The token wakes whoever waits, to make room for a newer
    /// firing; it ends with this decision then.
    Holder(CancellationToken, Decision),
}

impl Slot {
    /// Whether nothing of the task goes on here or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.front.is_none() && self.waiting.is_empty() && self.running.is_empty()
    }

    /// Makes `fire_time` the front, if nothing is before it.
    pub(crate) fn try_front(&mut self, fire_time: DateTime<Utc>) -> bool {
        if self.front.is_some() || !self.waiting.is_empty() {
            return false;
        }
        self.front = Some(Front {
            fire_time,
            hold: Hold::Answer,
        });
        true
    }

    /// Says what the front waits for. False if `fire_time` is not the front any more.
    pub(crate) fn hold(&mut self, fire_time: DateTime<Utc>, hold: Hold) -> bool {
        match &mut self.front {
            Some(front) if front.fire_time == fire_time => {
                front.hold = hold;
                true
            }
            _ => false,
        }
    }

    /// Ends the front. False if `fire_time` is not the front any more: somebody else has ended it.
    pub(crate) fn leave(&mut self, fire_time: DateTime<Utc>) -> bool {
        if self
            .front
            .as_ref()
            .is_some_and(|front| front.fire_time == fire_time)
        {
            self.front = None;
            return true;
        }
        false
    }

    /// Makes room for a newer firing if the front only waits for somebody else's lease to end: the
    /// front is out then, and returned.
    pub(crate) fn displace_held(&mut self) -> Option<(DateTime<Utc>, Decision)> {
        let Some(Front {
            fire_time,
            hold: Hold::Holder(waker, decision),
        }) = &self.front
        else {
            return None;
        };
        let displaced = (*fire_time, *decision);
        waker.cancel();
        self.front = None;
        Some(displaced)
    }

    /// Lets a firing wait behind the front or the run, as one of at most `most`, or of
    /// `most_in_outage` if it is for the store that they wait. Returns those that must give way, with
    /// the decision that ends them.
    pub(crate) fn wait(
        &mut self,
        waiting: Waiting,
        most: usize,
        most_in_outage: usize,
    ) -> Vec<(DateTime<Utc>, Decision)> {
        let (most, decision) = match self.front.as_ref().map(|f| &f.hold) {
            Some(Hold::Store) => (most_in_outage, Decision::StoreDown),
            Some(Hold::StoreClock) => (most, Decision::Misfired),
            // It may be for the store that they will wait.
            Some(Hold::Answer) if self.running.is_empty() => {
                (most.max(most_in_outage), Decision::Overlap)
            }
            _ => (most, Decision::Overlap),
        };
        self.waiting.push_back(waiting);
        let surplus = self.waiting.len().saturating_sub(most);
        self.waiting
            .drain(..surplus)
            .map(|waiting| (waiting.fire_time, decision))
            .collect()
    }

    /// Puts `earlier` before the front, which waits for it. False if `front` is not the front any
    /// more.
    pub(crate) fn step_back(&mut self, front: Waiting, earlier: DateTime<Utc>) -> bool {
        if !self.leave(front.fire_time) {
            return false;
        }
        self.waiting.push_front(front);
        self.front = Some(Front {
            fire_time: earlier,
            hold: Hold::Answer,
        });
        true
    }

    /// The oldest firing that waits, if nothing is before it.
    pub(crate) fn first_waiting(&self) -> Option<Waiting> {
        if self.front.is_some() {
            None
        } else {
            self.waiting.front().copied()
        }
    }

    /// Takes out all that wait but the newest.
    pub(crate) fn drop_all_but_newest(&mut self) -> Vec<DateTime<Utc>> {
        let older = self.waiting.len().saturating_sub(1);
        self.waiting.drain(..older).map(|w| w.fire_time).collect()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Makes the first waiting one the front.
    pub(crate) fn promote_waiting(&mut self) {
        if let Some(Waiting { fire_time, .. }) = self.waiting.pop_front() {
            self.front = Some(Front {
                fire_time,
                hold: Hold::Answer,
            });
        }
    }

    /// Takes the first waiting one out.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.pop_front();
    }

    /// Everything that waits: the scheduler stops.
    pub(crate) fn clear_waiting(&mut self) -> Vec<DateTime<Utc>> {
        if let Some(Front {
            hold: Hold::Holder(waker, _),
            ..
        }) = &self.front
        {
            waker.cancel();
        }
        self.waiting.drain(..).map(|w| w.fire_time).collect()
    }

    /// Asks the run that goes on to end, for the next one to take its place.
    pub(crate) fn replace_running(&self) {
        for running in &self.running {
            running.control.cancel(CancelReason::Replaced);
        }
    }

    pub(crate) fn finish_run(
        &mut self,
        run_id: RunId,
        outcome: Outcome,
        at: DateTime<Utc>,
        took: Duration,
    ) {
        let place = self.running.iter().position(|r| r.facts.run_id == run_id);
        if let Some(Running { facts, .. }) = place.map(|place| self.running.remove(place)) {
            for waiting in &mut self.waiting {
                waiting.since = at;
            }
            self.last_run = Some(Box::new(LastRun {
                run_id: facts.run_id,
                fire_time: facts.fire_time,
                outcome,
                ended_at: at,
                duration: took,
            }));
        }
    }
}
