//! Firings that did not run, of many tasks, newest first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::board::activity::Left;
use crate::board::instance::and;
use crate::board::{Event, EventKind};
use crate::error::Result;
use crate::event::Decision;
use crate::history::{DecisionRecord, History};
use crate::task::TaskName;
use crate::text::contained_line;

/// Those of so many tasks are looked at: the worst ones.
pub(super) const TASKS: usize = 200;
/// So many instances are named.
const NAMED: usize = 4;

/// Firings that did not run. What several instances decided alike is one.
#[derive(Debug, Default)]
pub(super) struct Skips(BTreeMap<(DateTime<Utc>, TaskName, &'static str), Skip>);

#[derive(Debug)]
struct Skip {
    decision: Decision,
    first: DateTime<Utc>,
    count: u64,
    holder: Option<String>,
    instances: Vec<String>,
}

impl Skips {
    /// Those of the tasks, as far as they are kept.
    pub(super) async fn read(history: &dyn History, tasks: &[TaskName]) -> Result<Self> {
        let mut skips = Self::default();
        for task in tasks {
            for record in history.decisions(task).await? {
                skips.add(record);
            }
        }
        Ok(skips)
    }

    fn add(&mut self, record: DecisionRecord) {
        // That others have it is no news, nor that somebody waits for the end of it.
        if matches!(
            record.decision,
            Decision::FiredElsewhere | Decision::Started
        ) {
            return;
        }
        let key = (record.last, record.task, record.decision.as_str());
        let skip = self.0.entry(key).or_insert_with(|| Skip {
            decision: record.decision,
            first: record.first,
            count: 0,
            holder: None,
            instances: Vec::new(),
        });
        skip.first = skip.first.min(record.first);
        skip.count = skip.count.max(record.count);
        skip.holder = skip.holder.take().or(record.holder);
        skip.instances.push(record.instance);
    }

    /// What is left of them as events, newest first, each with where to go on behind it.
    pub(super) fn events(self, left: Left) -> impl Iterator<Item = (Event, Left)> {
        let mut last: Option<(DateTime<Utc>, usize)> = None;
        let all = self.0.into_iter().rev().map(move |((at, task, _), skip)| {
            let behind = match last {
                Some((before, n)) if before == at => n + 1,
                _ => 0,
            };
            last = Some((at, behind));
            (at, behind, skip.event(at, &task))
        });
        all.filter_map(move |(at, behind, event)| {
            let is_left = match left {
                Left::BeforeFire(before, n) => at < before || at == before && behind > n,
                _ => true,
            };
            is_left.then_some((event, Left::BeforeFire(at, behind)))
        })
    }
}

impl Skip {
    fn event(self, at: DateTime<Utc>, task: &TaskName) -> Event {
        let decision = self.decision;
        let mut detail = match decision {
            Decision::Overlap => "the run before it still went on",
            Decision::Paused => "paused",
            Decision::Misfired => "noticed too late",
            Decision::Limited => "no room, or no code for it there",
            Decision::Draining => "the scheduler was stopping",
            Decision::StoreDown => "the lock's store did not answer",
            _ => decision.as_str(),
        }
        .to_owned();
        if let Some(holder) = &self.holder {
            detail.push_str(&format!(", by {}", contained_line(holder, 200)));
        }
        if self.count > 1 {
            let since = match self.first < at {
                true => format!("since {} UTC", self.first.format("%H:%M:%S")),
                false => "up to then".to_owned(),
            };
            detail.push_str(&format!("; {} fire times {since}", self.count));
        }
        let mut instances: Vec<String> = self.instances;
        instances.sort_unstable();
        instances.dedup();
        let one = match instances.as_slice() {
            [one] => Some(contained_line(one, 64)),
            many => {
                let named = many.iter().take(NAMED).map(|one| contained_line(one, 64));
                let mut named: Vec<String> = named.collect();
                if many.len() > NAMED {
                    named.push(format!("{} more", many.len() - NAMED));
                }
                detail.push_str(&format!("; on {}", and(&named)));
                None
            }
        };
        Event {
            id: format!("{task}@{}", at.timestamp_micros()),
            at: at.into(),
            kind: EventKind::Skip,
            text: format!("{task} did not run: {detail}"),
            detail,
            task: Some(task.to_string()),
            run_id: None,
            outcome: None,
            instance: one,
            action: None,
            actor: None,
            reason: None,
            result: None,
            request_id: None,
            address: None,
            decision: Some(decision),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn skips() -> Skips {
        let mut skips = Skips::default();
        for (task, seconds, decision, instance) in [
            ("a", 10, Decision::Paused, "api-1"),
            ("a", 10, Decision::Paused, "api-2"),
            ("b", 10, Decision::Misfired, "api-1"),
            ("b", 10, Decision::FiredElsewhere, "api-2"),
            ("a", 20, Decision::Overlap, "api-2"),
        ] {
            let task = task.parse().unwrap();
            skips.add(DecisionRecord::new(
                task,
                at(seconds),
                1,
                decision,
                instance,
            ));
        }
        skips
    }

    #[test]
    fn what_several_decided_alike_is_told_once_and_that_others_have_it_not_at_all() {
        let texts: Vec<String> = skips().events(Left::All).map(|(e, _)| e.text).collect();
        assert_eq!(
            texts,
            [
                "a did not run: the run before it still went on",
                "b did not run: noticed too late",
                "a did not run: paused; on api-1 and api-2",
            ]
        );
    }

    #[test]
    fn it_goes_on_where_it_has_ended_within_one_instant_too() {
        let all: Vec<(Event, Left)> = skips().events(Left::All).collect();
        for (n, (_, left)) in all.iter().enumerate() {
            let rest = skips().events(*left).map(|(e, _)| e.text);
            let expected = all.iter().skip(n + 1).map(|(e, _)| e.text.clone());
            assert!(rest.eq(expected), "after {n}");
        }
    }
}
