//! What is to be written into a history: bounded, in the order in which it happened.
//!
//! ```text
//!  0        1/2           3/4          all
//!  |---------|-------------|------------|   of the room is taken:
//!   all       no decisions  no starts    nothing more
//!             and lines
//! ```
//! So the ends of runs, which say the most, are the last that are dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Decision, RecordKind};
use crate::history::{DecisionRecord, HistoryWrite, RunRecord};
use crate::task::{RunId, RunNotes, TaskName};

/// So much waits to be written, in bytes.
const ROOM: usize = 16 << 20;
/// So many tasks have decisions that wait for more of their kind.
const MOST_GATHERED: usize = 8_192;
/// The room of a start.
const START_WEIGHT: usize = 700;
/// So much is written without waiting for more.
const MUCH: usize = 4 << 20;
/// So many records are written at once, and so many bytes: a millisecond of a store's time.
const RECORDS_PER_WRITE: usize = 64;
const BYTES_PER_WRITE: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Queue {
    writes: VecDeque<Waiting>,
    weight: usize,
    /// The number of the first write that waits; it goes back when some are put back.
    first: i64,
    /// Decisions of firings that others have: one for each task, until it is told or another kind
    /// comes.
    gathered: HashMap<(TaskName, Decision), DecisionRecord>,
    /// Runs that go on here.
    open: HashMap<RunId, Open>,
    /// What runs have said of themselves, to be taken with the next batch.
    noted: Vec<Arc<RunNotes>>,
}

#[derive(Debug)]
enum Waiting {
    /// The start of a run that goes on: its record is among those, so that of most runs, which are
    /// short, it is made once.
    Start(RunId),
    Write(HistoryWrite),
}

impl Waiting {
    fn weight(&self) -> usize {
        match self {
            Waiting::Start(_) => START_WEIGHT,
            Waiting::Write(write) => write.weight(),
        }
    }
}

#[derive(Debug)]
struct Open {
    record: RunRecord,
    notes: Option<Arc<RunNotes>>,
    /// The number of the write of its start.
    start: Option<i64>,
}

/// It did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped(pub(super) RecordKind);

impl Queue {
    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.gathered.is_empty() && self.noted.is_empty()
    }

    /// Whether so much waits that it should not wait for more.
    pub(super) fn is_much(&self) -> bool {
        self.weight >= MUCH
    }

    /// Adds a write if so much of the room is free for its kind. Answers its number.
    fn push(&mut self, write: Waiting, kind: RecordKind, room: usize) -> Result<i64, Dropped> {
        let weight = write.weight();
        if self.weight + weight > room {
            return Err(Dropped(kind));
        }
        self.weight += weight;
        self.writes.push_back(write);
        Ok(self.first + self.writes.len() as i64 - 1)
    }

    pub(super) fn start(&mut self, record: RunRecord) -> Result<(), Dropped> {
        let run_id = record.run_id;
        let pushed = self.push(Waiting::Start(run_id), RecordKind::Run, ROOM / 4 * 3);
        let open = Open {
            record,
            notes: None,
            start: pushed.ok(),
        };
        self.open.insert(run_id, open);
        pushed.map(drop)
    }

    /// Changes the record of a run that goes on.
    pub(super) fn change(&mut self, run: RunId, change: impl FnOnce(&mut RunRecord)) {
        if let Some(open) = self.open.get_mut(&run) {
            change(&mut open.record);
        }
    }

    /// A run has ended; `record` makes its record from that of its start, if it is known.
    pub(super) fn finish(
        &mut self,
        run: RunId,
        record: impl FnOnce(Option<RunRecord>) -> RunRecord,
    ) -> Result<(), Dropped> {
        let Some(open) = self.open.remove(&run) else {
            let write = Waiting::Write(HistoryWrite::Run(Box::new(record(None))));
            return self.push(write, RecordKind::Run, ROOM).map(drop);
        };
        let mut record = record(Some(open.record));
        if let Some(notes) = open.notes {
            let noted = notes.take();
            record.status = noted.status;
            record.progress = noted.progress;
            self.noted.retain(|other| other.run_id != run);
        }
        let write = Waiting::Write(HistoryWrite::Run(Box::new(record)));
        let place = open.start.map(|start| usize::try_from(start - self.first));
        if let Some(Ok(place)) = place
            && let Some(start) = self.writes.get_mut(place)
        {
            // Its start has not been told yet: its end says all of it.
            self.weight = (self.weight + write.weight()).saturating_sub(start.weight());
            *start = write;
            return Ok(());
        }
        self.push(write, RecordKind::Run, ROOM).map(drop)
    }

    pub(super) fn decide(&mut self, decided: DecisionRecord) -> Result<(), Dropped> {
        let is_common = matches!(
            decided.decision,
            Decision::FiredElsewhere | Decision::Overlap
        );
        if !is_common || self.gathered.len() >= MOST_GATHERED {
            return self.push_decided(decided);
        }
        let key = (decided.task.clone(), decided.decision);
        let Some(before) = self.gathered.get_mut(&key) else {
            self.gathered.insert(key, decided);
            return Ok(());
        };
        if before.absorb(&decided) {
            return Ok(());
        }
        let before = std::mem::replace(before, decided);
        self.push_decided(before)
    }

    fn push_decided(&mut self, decided: DecisionRecord) -> Result<(), Dropped> {
        let write = Waiting::Write(HistoryWrite::Decided(decided));
        self.push(write, RecordKind::Event, ROOM / 2).map(drop)
    }

    /// Decisions that have waited for more of their kind wait no longer. Answers how many did not fit.
    pub(super) fn tell_gathered(&mut self) -> u64 {
        let gathered = std::mem::take(&mut self.gathered);
        let pushed = gathered.into_values().map(|d| self.push_decided(d));
        pushed.filter(Result::is_err).count() as u64
    }

    pub(super) fn log(&mut self, lines: HistoryWrite) -> Result<(), Dropped> {
        self.push(Waiting::Write(lines), RecordKind::Log, ROOM / 2)
            .map(drop)
    }

    /// Something that is not counted if it does not fit, as it is told again.
    pub(super) fn add(&mut self, write: HistoryWrite) {
        let _ = self.push(Waiting::Write(write), RecordKind::Event, ROOM);
    }

    pub(super) fn note(&mut self, notes: &Arc<RunNotes>) {
        if let Some(open) = self.open.get_mut(&notes.run_id) {
            open.notes = Some(notes.clone());
            self.noted.push(notes.clone());
        }
    }

    pub(super) fn take_noted(&mut self) -> Vec<Arc<RunNotes>> {
        std::mem::take(&mut self.noted)
    }

    /// The next writes, in their order.
    pub(super) fn take(&mut self) -> Vec<HistoryWrite> {
        let mut weight = 0;
        let mut batch = Vec::new();
        while batch.len() < RECORDS_PER_WRITE && (batch.is_empty() || weight < BYTES_PER_WRITE) {
            let Some(waiting) = self.writes.pop_front() else {
                break;
            };
            weight += waiting.weight();
            self.first += 1;
            match waiting {
                Waiting::Write(write) => batch.push(write),
                Waiting::Start(run) => {
                    let record = self.open.get(&run).map(|open| open.record.clone());
                    batch.extend(record.map(|record| HistoryWrite::Run(Box::new(record))));
                }
            }
        }
        self.weight = self.weight.saturating_sub(weight);
        batch
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&mut self, batch: Vec<HistoryWrite>) {
        for write in batch.into_iter().rev() {
            let waiting = Waiting::Write(write);
            self.weight += waiting.weight();
            self.first -= 1;
            self.writes.push_front(waiting);
        }
    }

    /// Whether a run goes on here, or its end is still to be written.
    pub(super) fn knows(&self, run: RunId) -> bool {
        let is_its =
            |w: &Waiting| matches!(w, Waiting::Write(HistoryWrite::Run(r)) if r.run_id == run);
        self.open.contains_key(&run) || self.writes.iter().any(is_its)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;
    use crate::history::stored::sample;

    fn run(second: u32) -> RunRecord {
        sample("t", &format!("2026-11-21T10:00:{second:02}Z"))
    }

    fn end(queue: &mut Queue, run: &RunRecord) -> Result<(), Dropped> {
        queue.finish(run.run_id, |started| {
            let run = started.unwrap_or_else(|| run.clone());
            run.found(Outcome::Success, run.started, "", "")
        })
    }

    fn runs(batch: &[HistoryWrite]) -> Vec<bool> {
        let is_running = |w: &HistoryWrite| matches!(w, HistoryWrite::Run(r) if r.is_running());
        batch.iter().map(is_running).collect()
    }

    #[test]
    fn a_run_that_ends_before_its_start_is_told_is_told_once() {
        let mut queue = Queue::default();
        queue.start(run(0)).unwrap();
        queue.start(run(1)).unwrap();
        end(&mut queue, &run(1)).unwrap();
        assert_eq!(runs(&queue.take()), [true, false]);
        end(&mut queue, &run(0)).unwrap();
        assert!(queue.knows(run(0).run_id) && !queue.knows(run(1).run_id));
        assert_eq!(runs(&queue.take()), [false]);
        assert!(queue.is_empty());
        assert_eq!(queue.weight, 0);
    }

    #[test]
    fn what_is_put_back_keeps_its_place() {
        let mut queue = Queue::default();
        queue.start(run(0)).unwrap();
        queue.start(run(1)).unwrap();
        let batch = queue.take();
        queue.start(run(2)).unwrap();
        queue.put_back(batch);
        end(&mut queue, &run(1)).unwrap();
        end(&mut queue, &run(2)).unwrap();
        assert_eq!(runs(&queue.take()), [true, false, false]);
    }

    #[test]
    fn a_full_queue_drops_decisions_first_and_ends_last() {
        let mut queue = Queue::default();
        let decided = |n: u32| {
            let run = run(n % 60);
            DecisionRecord::new(run.task, run.fire_time, 1, Decision::Misfired, "a")
        };
        let mut n = 0;
        while queue.decide(decided(n)).is_ok() {
            n += 1;
        }
        assert!(n > 1_000 && queue.weight > ROOM / 2 - 1_000, "{n}");
        let mut started = 0;
        let run = |n: u32| RunRecord {
            run_id: RunId::first_at(run(0).started + chrono::TimeDelta::milliseconds(n.into())),
            ..run(0)
        };
        while queue.start(run(started)).is_ok() {
            started += 1;
        }
        assert_eq!(queue.start(run(started)), Err(Dropped(RecordKind::Run)));
        // Of that one only the end is told.
        assert_eq!(end(&mut queue, &run(started)), Ok(()));
        let mut ended = started + 1;
        while end(&mut queue, &run(ended)).is_ok() {
            ended += 1;
        }
        assert!(queue.weight <= ROOM && queue.weight > ROOM - 1_000);
        assert!(!queue.take().is_empty() && queue.weight <= ROOM);
    }

    #[test]
    fn decisions_of_firings_that_others_have_are_gathered() {
        let mut queue = Queue::default();
        for second in 0..10 {
            let run = run(second);
            let decision = Decision::FiredElsewhere;
            let decided = DecisionRecord::new(run.task, run.fire_time, 1, decision, "a");
            queue
                .decide(decided.with_holder(Some("b".to_owned())))
                .unwrap();
        }
        assert!(queue.take().is_empty() && !queue.is_empty());
        assert_eq!(queue.tell_gathered(), 0);
        let batch = queue.take();
        let [HistoryWrite::Decided(decided)] = batch.as_slice() else {
            panic!("{batch:?}");
        };
        assert_eq!(decided.count, 10);
        assert!(decided.is_about(run(4).fire_time) && !decided.is_about(run(10).fire_time));
        assert_eq!(decided.holder.as_deref(), Some("b"));
    }
}
