//! What happened, in one feed, newest first: page by page, from four sources.

mod cursor;
mod skip;

use chrono::{DateTime, Utc};

use crate::board::{Board, Event, EventKind};
use crate::error::Result;
use crate::event::Outcome;
use crate::history::RunQuery;
use crate::task::TaskName;

pub(crate) use cursor::Cursor;
use cursor::Left;
use skip::Skips;

/// So many pages of a source are looked through for one answer: what is left follows by the cursor.
const PAGES: usize = 5;
/// A page of a source in which not everything is wanted.
const PAGE: usize = 200;

/// What somebody wants to see of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Only what is about this.
    pub(crate) kind: Option<EventKind>,
    /// Only runs that ended so.
    pub(crate) outcome: Option<Outcome>,
    /// Only runs that ended in any way but success or `cancelled`.
    pub(crate) only_failed: bool,
    /// Only what this person did or asked for.
    pub(crate) actor: Option<String>,
    /// Only what is about this task.
    pub(crate) task: Option<TaskName>,
    /// Only what has this text in it.
    pub(crate) text: Option<String>,
    /// Only what happened at this instant or later.
    pub(crate) since: Option<DateTime<Utc>>,
    /// How many.
    pub(crate) limit: usize,
}

/// A page of it.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Newest first.
    pub(crate) events: Vec<Event>,
    /// Where the next page begins; `None` if there is none.
    pub(crate) next: Option<Cursor>,
}

/// What was found in one source: newest first, each with where to go on behind it; and where to go on
/// behind all of it.
#[derive(Debug)]
struct Found {
    events: std::iter::Peekable<std::vec::IntoIter<(Event, Left)>>,
    left: Left,
}

impl Found {
    fn new(events: Vec<(Event, Left)>, left: Left) -> Self {
        Self {
            events: events.into_iter().peekable(),
            left,
        }
    }

    fn nothing() -> Self {
        Self::new(Vec::new(), Left::Nothing)
    }
}

impl Wish {
    fn wants_runs(&self) -> bool {
        self.kind.is_none_or(|kind| kind == EventKind::Run)
    }

    /// Whether anything but runs is wanted, and of this kind.
    fn wants(&self, kind: EventKind) -> bool {
        let is_about_runs = self.outcome.is_some() || self.only_failed;
        !is_about_runs && self.kind.is_none_or(|wanted| wanted == kind)
    }

    fn fits(&self, event: &Event) -> bool {
        let has = |text: &String| {
            let parts = [&event.run_id, &event.actor, &event.reason, &event.instance];
            let mut parts = parts.into_iter().flatten().chain([&event.text]);
            parts.any(|part| part.to_lowercase().contains(text))
        };
        let task = || event.task.as_deref();
        (self.actor.is_none() || self.actor == event.actor)
            && self
                .task
                .as_ref()
                .is_none_or(|wanted| task() == Some(wanted.as_str()))
            && self.since.is_none_or(|since| event.at.0 >= since)
            && self.text.as_ref().is_none_or(has)
    }

    /// How many are read at once.
    fn page(&self) -> usize {
        let is_picky = self.actor.is_some() || self.text.is_some() || self.task.is_some();
        if is_picky {
            PAGE
        } else {
            self.limit.clamp(1, PAGE)
        }
    }
}

impl Board {
    /// A page of what happened.
    ///
    /// # Errors
    ///
    /// What the stores say that cannot be read.
    pub(crate) async fn activity(&self, mut wish: Wish, from: Cursor) -> Result<Activity> {
        wish.text = wish.text.map(|text| text.to_lowercase());
        let found = [
            self.runs(&wish, from.runs).await?,
            self.journal(&wish, EventKind::Action, from.actions).await?,
            self.journal(&wish, EventKind::Cluster, from.cluster)
                .await?,
            self.skips(&wish, from.skips).await?,
        ];
        let start = [from.runs, from.actions, from.cluster, from.skips];
        Ok(merge(found, start, wish.limit.max(1)))
    }

    async fn runs(&self, wish: &Wish, mut left: Left) -> Result<Found> {
        let Some(history) = self.parts().history.as_ref().filter(|_| wish.wants_runs()) else {
            return Ok(Found::nothing());
        };
        let mut query = match &wish.task {
            Some(task) => RunQuery::of(task.clone()),
            None => RunQuery::all(),
        };
        query = query.limit(wish.page());
        if let Some(outcome) = wish.outcome {
            query = query.outcome(outcome);
        }
        if wish.only_failed {
            query = query.failed();
        }
        if let Some(since) = wish.since {
            query = query.since(since);
        }
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let page = match left {
                Left::All => history.runs(&query).await?,
                Left::BeforeRun(id) => history.runs(&query.clone().before(id)).await?,
                _ => break,
            };
            left = page.next.map_or(Left::Nothing, Left::BeforeRun);
            let events = page.runs.iter();
            let events = events.map(|run| (Event::of_run(run), Left::BeforeRun(run.run_id)));
            found.extend(events.filter(|(event, _)| wish.fits(event)));
            if found.len() >= wish.limit {
                break;
            }
        }
        Ok(Found::new(found, left))
    }

    /// What people did, or what happened to the fleet.
    async fn journal(&self, wish: &Wish, kind: EventKind, mut left: Left) -> Result<Found> {
        let Some(control) = self.parts().control.as_ref().filter(|_| wish.wants(kind)) else {
            return Ok(Found::nothing());
        };
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let before = match left {
                Left::All => None,
                Left::BeforeEntry(id) => Some(id),
                _ => break,
            };
            let events: Vec<_> = match kind {
                EventKind::Action => {
                    let entries = control.audit(before, wish.page()).await?;
                    let entries = entries.iter();
                    entries
                        .map(|entry| (Event::of_action(entry), entry.id))
                        .collect()
                }
                _ => {
                    let entries = control.happenings(before, wish.page()).await?;
                    let entries = entries.iter();
                    entries
                        .map(|entry| (Event::of_happening(entry), entry.id))
                        .collect()
                }
            };
            let oldest = events.last();
            let is_over = |at: DateTime<Utc>| wish.since.is_some_and(|since| at < since);
            left = match oldest {
                Some((event, id)) if !is_over(event.at.0) => Left::BeforeEntry(*id),
                _ => Left::Nothing,
            };
            let events = events.into_iter();
            let events = events.map(|(event, id)| (event, Left::BeforeEntry(id)));
            found.extend(events.filter(|(event, _)| wish.fits(event)));
            if found.len() >= wish.limit {
                break;
            }
        }
        Ok(Found::new(found, left))
    }

    async fn skips(&self, wish: &Wish, left: Left) -> Result<Found> {
        let parts = self.parts();
        let Some(history) = parts
            .history
            .as_ref()
            .filter(|_| wish.wants(EventKind::Skip))
        else {
            return Ok(Found::nothing());
        };
        if left == Left::Nothing {
            return Ok(Found::nothing());
        }
        let tasks = match &wish.task {
            Some(task) => vec![task.clone()],
            None => {
                let snapshot = self.look().await;
                let entries = snapshot.entries.iter().take(skip::TASKS);
                entries.map(|entry| entry.facts.name.clone()).collect()
            }
        };
        let skips = Skips::read(&**history, &tasks).await?;
        let events = skips.events(left);
        let events = events.filter(|(event, _)| wish.fits(event)).collect();
        Ok(Found::new(events, Left::Nothing))
    }
}

/// The newest of all. What is in order within a source stays so; behind what a source was looked through
/// for, nothing is told that is older.
fn merge(mut found: [Found; 4], mut at: [Left; 4], limit: usize) -> Activity {
    let mut events = Vec::new();
    while events.len() < limit {
        let is_cut_off = |one: &mut Found| one.events.peek().is_none() && one.left != Left::Nothing;
        if found.iter_mut().any(is_cut_off) {
            break;
        }
        let heads = found.iter_mut().enumerate();
        let heads = heads.filter_map(|(n, one)| Some((one.events.peek()?.0.at, n)));
        let Some((_, newest)) = heads.max_by_key(|(at, n)| (*at, std::cmp::Reverse(*n))) else {
            break;
        };
        let next = found.get_mut(newest).and_then(|one| one.events.next());
        if let (Some((event, left)), Some(at)) = (next, at.get_mut(newest)) {
            events.push(event);
            *at = left;
        }
    }
    for (one, at) in found.iter_mut().zip(&mut at) {
        if one.events.peek().is_none() {
            *at = one.left;
        }
    }
    let [runs, actions, cluster, skips] = at;
    let is_over = at.iter().all(|left| *left == Left::Nothing);
    let next = Cursor {
        runs,
        actions,
        cluster,
        skips,
    };
    Activity {
        events,
        next: (!is_over).then_some(next),
    }
}
