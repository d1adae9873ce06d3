//! A fleet by its stores: those of the application's own scheduler, or of a server.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::board::{Board, Fire, Instance, InstanceState, Lock, Parts, Run, Snapshot, Summary, Task, Why};
use crate::cli::fleet::{Act, Done, Fleet, Line, Readiness, RunsAsked};
use crate::cli::status::{Failure, Status};
use crate::cli::when;
use crate::control::{Answer, By, ControlPlane, PauseFor, Refusal, Refused, RunNow};
use crate::error::ErrorKind;
use crate::fleet::Version;
use crate::history::{History, RunQuery, why};
use crate::lock::{Finding, Severity};
use crate::scheduler::{Scheduler, SchedulerHandle};
use crate::task::{RunId, TaskName};
use crate::time::{Clock, SystemClock};

/// How long instances may take to see what was written.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(50);
/// Clocks that differ by more are told of, in seconds.
const SKEW: f64 = 0.5;

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

    /// Who has seen a rule, for those who want to know when it is followed.
    async fn seen(&self, version: Version) -> String {
        let Ok(control) = self.control() else {
            return String::new();
        };
        let until = SystemClock.monotonic() + SEEN_WITHIN;
        loop {
            let known = tokio::try_join!(control.instances(), control.followers(version));
            let Ok((instances, followers)) = known else {
                return String::new();
            };
            let (seen, all) = (followers.len(), instances.len());
            if seen >= all || SystemClock.monotonic() >= until {
                return match all {
                    0 => "; no instance is up to follow it yet".to_owned(),
                    _ => format!("; seen by {seen} of {all} instances"),
                };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What became of a command that one instance does.
    async fn answered(&self, what: &str, answer: Answer) -> Result<Done, Failure> {
        match answer {
            Answer::Accepted(accepted) => {
                let by = format!(
                    "by {} after {}",
                    accepted.instance,
                    when::took(accepted.after.as_secs_f64())
                );
                let skipped: Vec<String> =
                    accepted.skipped.iter().map(|at| when::instant(*at)).collect();
                let text = match (accepted.is_queued, skipped.is_empty()) {
                    (true, _) => format!("{what}: accepted {by}; waits for a run that goes on"),
                    (_, false) => format!("{what}: {}", skipped.join(", ")),
                    _ => format!("{what}: accepted {by}"),
                };
                Ok(Done {
                    text,
                    runs: accepted.runs,
                })
            }
            Answer::Refused(refused) => Err(refusal(what, &refused)),
            Answer::Taken { instance, runs } => {
                let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
                let runs = match runs.is_empty() {
                    true => String::new(),
                    false => format!("; its run would be {}", runs.join(", ")),
                };
                let text = format!(
                    "{what}: {instance} took it and has not said what became of it{runs}"
                );
                Err(Failure::new(Status::TimedOut, text))
            }
            Answer::NotTaken => {
                let instances = self.control()?.instances().await?;
                Err(match instances.len() {
                    0 => Failure::not_found(format!("{what}: no instance is up")),
                    n => Failure::new(
                        Status::TimedOut,
                        format!("{what}: none of {n} instances took it in time"),
                    ),
                })
            }
        }
    }

    async fn resume(&self, task: Option<&str>, by: &By) -> Result<Done, Failure> {
        let was_paused = self.control()?.resume(task, by).await?;
        let Some(name) = task else {
            return Ok(Done::said(match was_paused {
                true => "all tasks: resumed".to_owned(),
                false => "the fleet was not paused; tasks that are paused one by one stay so".to_owned(),
            }));
        };
        // A task that failed too often is paused by its lock.
        let had_failed = self.look().await?.entry(name).is_some_and(|entry| {
            let pause = entry.task.pause.as_ref();
            pause.is_some_and(|pause| pause.of == crate::board::PauseOf::Failures)
        });
        if had_failed {
            let resumed = match (self.own(), &self.board.parts().lock) {
                (Some(own), _) if own.task(name).is_some() => own.resume(name).await,
                (_, Some(lock)) => lock.resume(&name.parse()?).await,
                _ => Ok(()),
            };
            match resumed {
                Err(error) if error.kind() != ErrorKind::InvalidConfig => return Err(error.into()),
                _ => {}
            }
        }
        self.board.forget().await;
        Ok(Done::said(match was_paused || had_failed {
            true => format!("{name}: resumed"),
            false => format!("{name}: was not paused"),
        }))
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
        let fires = snapshot.entry(task).map(|entry| entry.fires((from, to), most, &snapshot.rules));
        Ok(fires.unwrap_or_default())
    }

    async fn runs(&self, asked: &RunsAsked) -> Result<Vec<Run>, Failure> {
        let history = self.history()?;
        if asked.is_running {
            let mut runs = history.running(None).await?;
            runs.retain(|run| asked.task.as_ref().is_none_or(|task| run.task.as_str() == task));
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
            let page = history.runs(&query.clone().limit(asked.most - runs.len())).await?;
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
        let history = self.history()?;
        let name: TaskName = task.parse()?;
        let snapshot = self.look().await?;
        let entry = snapshot.entry(task);
        let plan = entry.and_then(|entry| entry.plan.as_ref()).ok_or_else(|| {
            Failure::failed(format!("the schedule of task {task} cannot be read here"))
        })?;
        let over = entry.and_then(|entry| entry.over.as_ref());
        let over = over.filter(|over| over.from <= at && at < over.until);
        let schedule = over.map_or(&plan.schedule, |over| &over.schedule);
        let mut query = RunQuery::of(name.clone()).since(at).limit(200);
        let mut runs = Vec::new();
        loop {
            let page = history.runs(&query).await?;
            runs.extend(page.runs);
            match page.next {
                Some(next) => query = query.before(next),
                None => break,
            }
        }
        let decisions = history.decisions(&name).await?;
        let counters = history.counters(std::slice::from_ref(&name)).await?;
        let known_since = counters.into_iter().flatten().next().and_then(|c| c.known_since);
        let known = (self.board.now(), known_since);
        Ok(Why::of(&why((name, schedule), at, known, (runs, decisions))))
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
        let control = self.control()?;
        if let Some(task) = act.task() {
            self.check_task(task).await?;
        }
        match act {
            Act::Run {
                task,
                params,
                due_at,
                if_running,
                if_paused,
                instance,
                key,
            } => {
                let mut run = RunNow::new(task, by).if_running(*if_running).if_paused(*if_paused);
                if let Some(params) = params {
                    run = run.params(params.as_str());
                }
                if let Some(at) = due_at {
                    run = run.as_of(*at);
                }
                if let Some(instance) = instance {
                    run = run.on(instance);
                }
                if let Some(key) = key {
                    run = run.idempotency_key(key);
                }
                let answer = control.run(run).await?.answer;
                self.answered(&format!("run of {task}"), answer).await
            }
            Act::Pause {
                task,
                length,
                missed,
            } => {
                let pause = match task {
                    Some(task) => PauseFor::task(task, by),
                    None => PauseFor::all(by),
                };
                let version = control.pause(pause.lasting(*length).missed(*missed)).await?;
                let until = when::instant(self.board.now() + *length);
                let what = task.as_deref().unwrap_or("all tasks");
                let seen = self.seen(version).await;
                Ok(Done::said(format!("{what}: paused until {until}{seen}")))
            }
            Act::Resume { task } => self.resume(task.as_deref(), by).await,
            Act::Skip { task, count } => {
                let answer = control.skip(task, *count, by).await?.answer;
                self.answered(&format!("{task} skips"), answer).await
            }
            Act::Override {
                task,
                spec,
                timezone,
                length,
            } => {
                let version =
                    control.override_spec(task, spec, *timezone, *length, by).await?;
                let until = when::instant(self.board.now() + *length);
                let seen = self.seen(version).await;
                Ok(Done::said(format!("{task}: has {spec} until {until}{seen}")))
            }
            Act::Reset { task } => {
                let had = control.reset(task, by).await?;
                Ok(Done::said(match had {
                    true => format!("{task}: has its code's schedule again"),
                    false => format!("{task}: had its code's schedule"),
                }))
            }
            Act::Cancel { run, grace } => {
                let answer = control.cancel(*run, *grace, by).await?.answer;
                match (answer, self.run(*run).await.ok().flatten()) {
                    (Answer::NotTaken, Some(run)) if run.outcome.is_some() => {
                        let text = format!("run {} has ended", run.id);
                        Err(Failure::new(Status::Refused, text))
                    }
                    (Answer::NotTaken, _) => {
                        let text = format!("no instance has a run {run}: it has ended, or never was");
                        Err(Failure::not_found(text))
                    }
                    (answer, _) => self.answered(&format!("cancel of {run}"), answer).await,
                }
            }
            Act::Drain { instance } => {
                let version = control.drain(instance, by).await?;
                let seen = self.seen(version).await;
                Ok(Done::said(format!("{instance}: takes no new firings{seen}")))
            }
            Act::Undrain { instance } => {
                let was = control.undrain(instance, by).await?;
                Ok(Done::said(match was {
                    true => format!("{instance}: takes firings again"),
                    false => format!("{instance}: was not drained"),
                }))
            }
            Act::Unlock { task, fence, force } => {
                let answer = control.unlock(task, *fence, *force, by).await?.answer;
                self.answered(&format!("unlock of {task}"), answer).await
            }
        }
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
    let hint = match (snapshot.similar(&short).first(), snapshot.entries.is_empty()) {
        (Some(like), _) => format!("did you mean {like}?"),
        (None, true) => "no instance is up that has one".to_owned(),
        (None, false) => "list shows those that there are".to_owned(),
    };
    Failure::not_found(format!("no task {short:?} is known: {hint}"))
}

/// What instances say of themselves that somebody should know.
fn told_of(snapshot: &Snapshot) -> Vec<(Severity, String, String)> {
    let mut told = Vec::new();
    for instance in &snapshot.instances {
        let severity = match instance.state {
            InstanceState::Ready => Severity::Ok,
            InstanceState::Draining | InstanceState::Stopping => Severity::Warning,
            InstanceState::Lost => Severity::Error,
        };
        let mut text = instance.state.as_str().to_owned();
        if let Some(skew) = instance.clock_skew_s {
            text.push_str(&format!(", clock {:+.0} ms", -skew * 1e3));
        }
        told.push((severity, format!("instance {}", instance.id), text));
        if instance.clock_skew_s.is_some_and(|skew| skew.abs() > SKEW) {
            let text = "its clock is far from that of the lock's store".to_owned();
            told.push((Severity::Warning, format!("instance {}", instance.id), text));
        }
    }
    let versions: HashSet<&str> = snapshot.instances.iter().map(|i| i.version.as_str()).collect();
    if versions.len() > 1 {
        let text = "instances have different versions of this crate".to_owned();
        told.push((Severity::Warning, "versions".to_owned(), text));
    }
    for drift in &snapshot.drifts {
        let variants: Vec<String> = drift
            .variants
            .iter()
            .map(|(what, who)| format!("{what} on {}", who.join(", ")))
            .collect();
        let text = format!("differs: {}", variants.join("; "));
        told.push((Severity::Warning, format!("task {}", drift.task), text));
    }
    told
}

fn refusal(what: &str, refused: &Refused) -> Failure {
    let status = match refused.why {
        Refusal::NoSuchTask | Refusal::NotLocked => Status::NotFound,
        Refusal::StoreDown => Status::Unreachable,
        _ => Status::Refused,
    };
    let hint = match refused.why {
        Refusal::AlreadyRunning => "; --queue waits for its end",
        Refusal::Paused => "; --even-if-paused runs it nevertheless",
        Refusal::HolderLives => "; --force takes it nevertheless, and two runs may work at once",
        _ => "",
    };
    let text = format!("{what}: refused by {}: {}{hint}", refused.instance, refused.text);
    Failure::new(status, text)
}
