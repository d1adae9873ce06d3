//! A run in a process that fires nothing: beside the fleet, under its lock, or without.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::control::{Refused, RunNow};
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::history::{Failure, History, RunRecord};
use crate::scheduler::Scheduler;
use crate::scheduler::engine::Engine;
use crate::scheduler::steering;
use crate::task::RunId;

/// What a run in this process goes by.
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) run: &'a RunNow,
    /// Whether it takes the task's lock.
    pub(crate) is_locked: bool,
}

impl Scheduler {
    /// Runs a task in this process and waits for its end, or says why it does not. The scheduler has not
    /// been started, and is stopped then. `begun` hears of the runs; they are asked to end when `cut_short`
    /// says so.
    ///
    /// # Errors
    ///
    /// What cannot be asked for; the lock's store cannot be asked.
    pub(crate) async fn run_beside(
        &self,
        beside: Beside<'_>,
        begun: impl FnOnce(&[RunId]),
        cut_short: impl Future<Output = ()>,
    ) -> Result<std::result::Result<Vec<RunRecord>, Refused>> {
        let Beside { run, is_locked } = beside;
        let engine = &self.engine;
        let ask = run.ask(engine.settings.clock.now())?;
        let instance = engine.settings.instance.to_string();
        let ends = Arc::new(Ends::new(instance.clone()));
        engine.settings.observers.also(ends.clone());
        Engine::open(engine, is_locked).await?;
        let mut cut_short = std::pin::pin!(cut_short);
        let mut starting =
            std::pin::pin!(steering::run_here(engine, &ask, run.by.clone(), is_locked));
        let mut is_cut = false;
        let started = loop {
            tokio::select! {
                biased;
                started = &mut starting => break started,
                // A claim on its way comes to its end; a wait for another run is given up.
                () = &mut cut_short, if !is_cut => {
                    is_cut = true;
                    engine.quiet.cancel();
                }
            }
        };
        let runs = match started {
            Ok(runs) => runs,
            Err((why, text)) => {
                self.stop().await;
                return Ok(Err(Refused {
                    instance,
                    why,
                    text,
                }));
            }
        };
        begun(&runs);
        if is_cut {
            request_ends(engine);
        }
        while ends.ended().len() < runs.len() {
            tokio::select! {
                () = ends.news.notified() => {}
                () = &mut cut_short, if !is_cut => {
                    is_cut = true;
                    request_ends(engine);
                }
            }
        }
        // What is to be written of them is written then.
        self.stop().await;
        let mut records = Vec::new();
        for id in &runs {
            let known = match self.handle().history() {
                Some(history) => history.run(*id).await.ok().flatten(),
                None => None,
            };
            let known = known.filter(|run| run.outcome.is_some());
            records.extend(known.or_else(|| ends.ended().remove(id)));
        }
        Ok(Ok(records))
    }
}

/// Asks all runs to end that go on here.
fn request_ends(engine: &Engine) {
    for entry in engine.registry.all_at_work() {
        let slot = entry.slot();
        let running = slot.running.iter();
        running.for_each(|run| run.control.request_end(None));
    }
}

/// Hears how runs have ended.
struct Ends {
    instance: String,
    // Held for one insert or a look.
    ended: Mutex<HashMap<RunId, RunRecord>>,
    news: Notify,
}

impl Ends {
    fn new(instance: String) -> Self {
        Self {
            instance,
            ended: Mutex::default(),
            news: Notify::new(),
        }
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<RunId, RunRecord>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Ends {
    fn on_event(&self, event: &Event) {
        let Event::RunFinished {
            run,
            outcome,
            duration,
            error,
            causes,
            error_type,
            at,
        } = event
        else {
            return;
        };
        let mut record = RunRecord::started(run, self.instance.as_str());
        let error = error.as_deref();
        let error = error.map(|text| Failure::new(text, causes).of_type(*error_type));
        record.finish(*outcome, *at, *duration, error);
        self.ended().insert(run.run_id, record);
        self.news.notify_one();
    }
}
