//! What is done with a fleet through its stores.

use std::time::Duration;

use crate::board::PauseOf;
use crate::cli::fleet::stores::Stores;
use crate::cli::fleet::{Act, Done, Fleet};
use crate::cli::status::{Failure, Status};
use crate::cli::when;
use crate::control::{Answer, By, PauseFor, Refusal, Refused};
use crate::error::ErrorKind;
#[cfg(feature = "dynamic")]
use crate::fleet::Expected;
use crate::fleet::Version;
#[cfg(feature = "dynamic")]
use crate::store::Deleted;
use crate::time::{Clock, SystemClock};

/// How long instances may take to see what was written.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(50);

impl Stores {
    pub(super) async fn carry_out(&self, act: &Act, by: &By) -> Result<Done, Failure> {
        let control = self.control()?;
        if let Some(task) = act.task() {
            self.check_task(task).await?;
        }
        match act {
            Act::Run(wanted) => {
                let answer = control.run(wanted.run_now(by)).await?.answer;
                let what = format!("run of {}", wanted.task);
                self.answered(&what, answer).await
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
                let version = control
                    .pause(pause.lasting(*length).missed(*missed))
                    .await?;
                let until = when::second(self.board.now() + *length);
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
                let version = control
                    .override_spec(task, spec, *timezone, *length, by)
                    .await?;
                let until = when::second(self.board.now() + *length);
                let seen = self.seen(version).await;
                Ok(Done::said(format!(
                    "{task}: has {spec} until {until}{seen}"
                )))
            }
            Act::Reset { task } => {
                let had = control.reset(task, by).await?;
                Ok(Done::said(match had {
                    true => format!("{task}: has its code's schedule again"),
                    false => format!("{task}: had its code's schedule"),
                }))
            }
            Act::Delete { task } => self.delete(task, by).await,
            Act::Cancel { run, grace } => {
                let answer = control.cancel(*run, *grace, by).await?.answer;
                match (answer, self.run(*run).await.ok().flatten()) {
                    (Answer::NotTaken, Some(run)) if run.outcome.is_some() => {
                        let text = format!("run {} has ended", run.id);
                        Err(Failure::new(Status::Refused, text))
                    }
                    (Answer::NotTaken, _) => {
                        let text =
                            format!("no instance has a run {run}: it has ended, or never was");
                        Err(Failure::not_found(text))
                    }
                    (answer, _) => self.answered(&format!("cancel of {run}"), answer).await,
                }
            }
            Act::Drain { instance } => {
                let version = control.drain(instance, by).await?;
                let seen = self.seen(version).await;
                Ok(Done::said(format!(
                    "{instance}: takes no new firings{seen}"
                )))
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
                let skipped: Vec<String> = accepted
                    .skipped
                    .iter()
                    .map(|at| when::instant(*at))
                    .collect();
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
                let text =
                    format!("{what}: {instance} took it and has not said what became of it{runs}");
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

    #[cfg(feature = "dynamic")]
    async fn delete(&self, task: &str, by: &By) -> Result<Done, Failure> {
        let store = self.board.parts().store.as_ref();
        let store = store.ok_or_else(|| Failure::failed("there is no store of tasks"))?;
        let Some(there) = store.get(task).await? else {
            let text = format!("task {task} belongs to code, which alone can take it out");
            return Err(Failure::new(Status::Refused, text));
        };
        self.control()?.note_delete(&there, by).await?;
        match store.delete(task, Expected::Anything).await? {
            Deleted::Done => Ok(Done::said(format!("{task}: deleted"))),
            _ => Err(Failure::not_found(format!(
                "task {task} was deleted by somebody else"
            ))),
        }
    }

    #[cfg(not(feature = "dynamic"))]
    async fn delete(&self, task: &str, _: &By) -> Result<Done, Failure> {
        Err(Failure::usage(format!(
            "task {task} cannot be deleted by this program, which was built without the feature dynamic"
        )))
    }

    async fn resume(&self, task: Option<&str>, by: &By) -> Result<Done, Failure> {
        let was_paused = self.control()?.resume(task, by).await?;
        let Some(name) = task else {
            return Ok(Done::said(match was_paused {
                true => "all tasks: resumed".to_owned(),
                false => {
                    "the fleet was not paused; tasks that are paused one by one stay so".to_owned()
                }
            }));
        };
        // A task that failed too often is paused by its lock.
        let had_failed = self.look().await?.entry(name).is_some_and(|entry| {
            let pause = entry.task.pause.as_ref();
            pause.is_some_and(|pause| pause.of == PauseOf::Failures)
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

pub(crate) fn refusal(what: &str, refused: &Refused) -> Failure {
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
    let text = format!(
        "{what}: refused by {}: {}{hint}",
        refused.instance, refused.text
    );
    Failure::new(status, text)
}
