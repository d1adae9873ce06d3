//! A fleet by its stores: those of the application's own scheduler, or of a server.

mod acting;
mod findings;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::board::{
    Board, Fire, Instance, InstanceState, Lock, Parts, Run, Snapshot, Summary, Task, Why,
};
use crate::cli::fleet::{Act, Done, Fleet, Line, Readiness, RunsAsked};
use crate::cli::status::{Failure, Status};
use crate::control::{By, ControlPlane};
use crate::history::{History, RunQuery};
use crate::lock::{Finding, Severity};
use crate::scheduler::{Scheduler, SchedulerHandle};
use crate::task::{RunId, TaskName};
pub(crate) use acting::refusal;
use findings::told_of;

/// A fleet by its stores.
pub(crate) struct Stores {
    board: Board,
    /// The program's own tasks, of a scheduler that is never started.
    own: Option<Scheduler>,
}

impl Stores {
    /// Those of the application's own scheduler.
    pub(crate) fn of(scheduler: Scheduler) -> Self {
        Self {
            board: scheduler.handle().board(),
            own: Some(scheduler),
        }
    }

    /// Those of a server.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) fn at(parts: Parts) -> Self {
        Self {
            board: Board::new(parts),
            own: None,
        }
    }

    fn own(&self) -> Option<SchedulerHandle> {
        self.own.as_ref().map(Scheduler::handle)
    }

    fn control(&self) -> Result<&ControlPlane, Failure> {
        self.board.parts().control.as_ref().ok_or_else(|| {
            let text = "the scheduler of this program is in no fleet, so that nobody could be asked: give it \
                        one with SchedulerBuilder::fleet";
            Failure::failed(text)
        })
    }

    fn history(&self) -> Result<&Arc<dyn History>, Failure> {
        self.board.parts().history.as_ref().ok_or_else(|| {
            let text = "the scheduler of this program keeps no history: give it one with SchedulerBuilder::history";
            Failure::failed(text)
        })
    }

    /// What there is now. What a store did not say is not shown as if it were well.
    async fn look(&self) -> Result<Arc<Snapshot>, Failure> {
        let snapshot = self.board.look().await;
        match &snapshot.stale {
            Some((_, why)) => Err(Failure::new(Status::Unreachable, why.clone())),
            None => Ok(snapshot),
        }
    }

    /// Refuses a name that nobody has, as long as somebody is there to have one.
    async fn check_task(&self, name: &str) -> Result<(), Failure> {
        let _: TaskName = name.parse()?;
        let snapshot = self.look().await?;
        match snapshot.entries.is_empty() {
            true => Ok(()),
            false => self.task(name).await.map(drop),
        }
    }
}

#[async_trait]
impl Fleet for Stores {
    async fn summary(&self) -> Result<Summary, Failure> {
        Ok(self.look().await?.summary.clone())
    }

    async fn tasks(&self) -> Result<Vec<Task>, Failure> {
        Ok(self.look().await?.tasks().cloned().collect())
    }

    async fn task(&self, name: &str) -> Result<Task, Failure> {
        let snapshot = self.look().await?;
        match snapshot.entry(name) {
            Some(entry) => Ok(entry.task.clone()),
            None => Err(no_such_task(name, &snapshot)),
        }
    }

    async fn fires(
        &self,
        task: &str,
        from: DateTime<Utc>,
        most: usize,
    ) -> Result<Vec<Fire>, Failure> {
        self.task(task).await?;
        let snapshot = self.look().await?;
        let to = DateTime::<Utc>::MAX_UTC;
        let fires = snapshot
            .entry(task)
            .map(|entry| entry.fires((from, to), most, &snapshot.rules));
        Ok(fires.unwrap_or_default())
    }

    async fn runs(&self, asked: &RunsAsked) -> Result<Vec<Run>, Failure> {
        let history = self.history()?;
        if asked.is_running {
            let mut runs = history.running(None).await?;
            runs.retain(|run| {
                asked
                    .task
                    .as_ref()
                    .is_none_or(|task| run.task.as_str() == task)
            });
            runs.reverse();
            return Ok(runs.iter().take(asked.most).map(Run::of).collect());
        }
        let mut query = match &asked.task {
            Some(task) => RunQuery::of(task.parse()?),
            None => RunQuery::all(),
        };
        if let Some(outcome) = asked.outcome {
            query = query.outcome(outcome);
        }
        if let Some(since) = asked.since {
            query = query.since(since);
        }
        let mut runs = Vec::new();
        while runs.len() < asked.most {
            let page = history
                .runs(&query.clone().limit(asked.most - runs.len()))
                .await?;
            runs.extend(page.runs.iter().map(Run::of));
            match page.next {
                Some(next) => query = query.before(next),
                None => break,
            }
        }
        Ok(runs)
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, Failure> {
        Ok(self.history()?.run(id).await?.as_ref().map(Run::of))
    }

    async fn lines(&self, id: RunId, after: u64) -> Result<Vec<Line>, Failure> {
        let tail = self.history()?.log(id, after).await?;
        Ok(tail.lines.into_iter().map(Line::from).collect())
    }

    async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        self.control()?;
        Ok(self.look().await?.instances.clone())
    }

    async fn locks(&self) -> Result<Vec<Lock>, Failure> {
        Ok(self.look().await?.locks.clone())
    }

    async fn why(&self, task: &str, at: DateTime<Utc>) -> Result<Why, Failure> {
        self.task(task).await?;
        self.history()?;
        let snapshot = self.look().await?;
        let found = match snapshot.entry(task) {
            Some(entry) => self.board.why(entry, at).await?,
            None => None,
        };
        found.ok_or_else(|| {
            Failure::failed(format!("the schedule of task {task} cannot be read here"))
        })
    }

    async fn diagnose(&self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let mut add = |severity, subject: &str, text: String| {
            findings.push(Finding {
                severity,
                subject: subject.to_owned(),
                text,
            });
        };
        if let Some(lock) = &self.board.parts().lock {
            let diagnosis = lock.diagnose().await?;
            add(Severity::Ok, "store", diagnosis.store().to_owned());
            for finding in diagnosis.findings() {
                add(finding.severity, &finding.subject, finding.text.clone());
            }
        }
        let snapshot = self.board.look().await;
        if let Some((_, why)) = &snapshot.stale {
            add(Severity::Error, "store", why.clone());
        }
        if self.board.parts().control.is_none() {
            let text = "the scheduler is in no fleet: SchedulerBuilder::fleet".to_owned();
            add(Severity::Warning, "fleet", text);
        }
        for (severity, subject, text) in told_of(&snapshot) {
            add(severity, &subject, text);
        }
        Ok(findings)
    }

    async fn is_ready(&self, host: Option<&str>) -> Result<Readiness, Failure> {
        let instances = self.instances().await?;
        let is_here = |i: &&Instance| host.is_none_or(|host| i.host == host);
        let here: Vec<&Instance> = instances.iter().filter(is_here).collect();
        let ready = here.iter().find(|i| i.state == InstanceState::Ready);
        Ok(match (ready, here.first()) {
            (Some(ready), _) => Readiness {
                is_ready: true,
                text: format!("ready   {}", ready.id),
            },
            (None, Some(other)) => Readiness {
                is_ready: false,
                text: format!("{}   {}", other.state.as_str(), other.id),
            },
            (None, None) => Readiness {
                is_ready: false,
                text: match host {
                    Some(host) => format!("no instance on {host}"),
                    None => "no instance".to_owned(),
                },
            },
        })
    }

    async fn act(&self, act: &Act, by: &By) -> Result<Done, Failure> {
        self.carry_out(act, by).await
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// That there is no such task, and which one is like it.
fn no_such_task(name: &str, snapshot: &Snapshot) -> Failure {
    let short: String = name.chars().take(TaskName::MAX_LEN).collect();
    let hint = match (
        snapshot.similar(&short).first(),
        snapshot.entries.is_empty(),
    ) {
        (Some(like), _) => format!("did you mean {like}?"),
        (None, true) => "no instance is up that has one".to_owned(),
        (None, false) => "list shows those that there are".to_owned(),
    };
    Failure::not_found(format!("no task {short:?} is known: {hint}"))
}
