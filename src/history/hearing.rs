//! What the engine announces, heard on the path of runs: nothing happens there but that it is noted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::event::{Decision, Event, Observer};
use crate::history::{DecisionRecord, Failure, HistoryWriter, RunRecord};
use crate::task::{NoteReader, RunNotes};
use crate::text::contained_line;

/// So many events are heard before records are made of them on the spot, and so many bytes of texts.
const MOST_HEARD: usize = 32_768;
const MOST_TEXTS: usize = 16 << 20;
#[derive(Debug, Default)]
pub(super) struct Hearing {
    // Held to add one, or to take all.
    heard: Mutex<Heard>,
    // Held while what was heard goes into the queue, in its order.
    taking_in: Mutex<()>,
}

/// Events of which records are to be made, and when they came.
#[derive(Debug, Default)]
struct Heard {
    events: Vec<(Event, DateTime<Utc>)>,
    /// About how many bytes their texts have.
    texts: usize,
}

impl Hearing {
    pub(super) fn is_empty(&self) -> bool {
        self.heard().events.is_empty()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Nothing that can panic happens while it is held.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for HistoryWriter {
    fn on_event(&self, event: &Event) {
        let texts = match event {
            Event::RunStarted { .. } | Event::AttemptStarted { .. } => 0,
            Event::FiringDecided { decision, .. } if *decision != Decision::Started => 0,
            Event::RunRetried { error, causes, .. } => length(Some(error), causes),
            Event::RunFinished { error, causes, .. } => length(error.as_deref(), causes),
            _ => return,
        };
        let (is_first, is_too_much) = {
            let mut heard = self.hearing.heard();
            heard.texts += texts;
            heard.events.push((event.clone(), self.clock.now()));
            let is_too_much = heard.events.len() >= MOST_HEARD || heard.texts >= MOST_TEXTS;
            (heard.events.len() == 1, is_too_much)
        };
        if is_too_much {
            self.take_in();
        }
        if is_first || is_too_much {
            self.wake.notify_one();
        }
    }
}

fn length(error: Option<&str>, causes: &[String]) -> usize {
    error.map_or(0, str::len) + causes.iter().map(String::len).sum::<usize>()
}

impl HistoryWriter {
    /// Makes records of what was heard, and puts them into the queue.
    pub(super) fn take_in(&self) {
        // One after the other, so that the order stays.
        let _taking_in = self
            .hearing
            .taking_in
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let heard = std::mem::take(&mut *self.hearing.heard());
        for (event, at) in &heard.events {
            self.record(event, *at);
        }
    }

    fn record(&self, event: &Event, heard_at: DateTime<Utc>) {
        match event {
            Event::RunStarted { run } => {
                let record = RunRecord::started(run, &*self.instance);
                self.enqueue(|queue| queue.start(record));
            }
            Event::RunRetried {
                run,
                error,
                causes,
                error_type,
                ..
            } => {
                let failure = Some(Failure::new(error, causes).of_type(*error_type));
                let change = |record: &mut RunRecord| record.end_attempt(heard_at, failure);
                self.queue().change(run.run_id, change);
            }
            Event::AttemptStarted { run } => {
                let change = |record: &mut RunRecord| record.begin_attempt(run.attempt, heard_at);
                self.queue().change(run.run_id, change);
            }
            Event::RunFinished {
                run,
                outcome,
                duration,
                error,
                causes,
                error_type,
                at,
            } => {
                let failure = error
                    .as_deref()
                    .map(|error| Failure::new(error, causes).of_type(*error_type));
                self.enqueue(|queue| {
                    queue.finish(run.run_id, |started| {
                        let started =
                            started.unwrap_or_else(|| RunRecord::started(run, &*self.instance));
                        let mut record = started;
                        record.finish(*outcome, *at, *duration, failure);
                        record
                    })
                });
            }
            Event::FiringDecided {
                task,
                fire_time,
                decision,
                count,
                holder,
            } if *decision != Decision::Started => {
                let (task, instance) = (task.clone(), &*self.instance);
                let holder = holder.as_deref().map(|holder| contained_line(holder, 200));
                let decided = DecisionRecord::new(task, *fire_time, *count, *decision, instance);
                self.enqueue(|queue| queue.decide(decided.with_holder(holder)));
            }
            _ => {}
        }
    }
}

impl NoteReader for HistoryWriter {
    fn noted(&self, notes: &Arc<RunNotes>) {
        // Its start comes first.
        self.take_in();
        self.enqueue(|queue| {
            queue.note(notes);
            Ok(())
        });
    }
}
