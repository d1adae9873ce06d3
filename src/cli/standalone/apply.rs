//! `apply`: the tasks of a file, in the store that a fleet shares.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use chrono_tz::Tz;

use crate::cli::say;
use crate::cli::standalone::cron;
use crate::cli::status::{Failure, Status};
use crate::cli::verbs::asker::Asker;
use crate::config::{Config, Place, TaskOfFile, Work};
use crate::control::{By, ControlPlane};
use crate::error::Error;
use crate::fleet::{Expected, RedisFleet, Version};
use crate::store::{Deleted, Saved, StoredTask, TaskStore};
use crate::time::{Clock, SystemClock};

/// Saves the tasks of a file in the store that the fleet shares: every instance that has their kinds
/// runs them.
#[derive(Debug, Clone, clap::Args)]
pub struct Apply {
    /// The file of tasks; its [lock] says where the store is
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Delete the stored tasks of the file's owner that are not in it
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    asker: Asker,
}

/// Where the tasks are saved, and who does it.
struct Target {
    store: TaskStore,
    control: ControlPlane,
    by: By,
}

/// What is done to one task.
enum Step {
    /// The task, what was there before, and a word for it.
    Save(Box<StoredTask>, Option<Box<StoredTask>>, &'static str),
    Leave(String),
    Delete(Box<StoredTask>),
}

impl Apply {
    pub(super) async fn run(self) -> Result<Status, Failure> {
        let read = Config::read(&self.file, SystemClock.now());
        let config = read.map_err(|faults| Failure::failed(faults.to_string()))?;
        let at = |text: String| Failure::failed(format!("{}: {text}", self.file.display()));
        let mut wrong: Vec<String> = config.tasks.iter().filter_map(unfit).collect();
        let zone = config.settings.zone.unwrap_or(Tz::UTC);
        for task in config.tasks.iter().filter(|task| unfit(task).is_none()) {
            // As the store will: before any of them is saved.
            let checked = task.plan.check(zone, SystemClock.now());
            wrong.extend(checked.err().map(|e| e.to_string()));
        }
        if self.prune && config.settings.owner.is_none() {
            let text = "--prune deletes tasks of the file's owner, and it names none: write \
                        owner = \"…\" at its top, and apply it once without --prune";
            wrong.push(text.to_owned());
        }
        if !wrong.is_empty() {
            let wrong = wrong.into_iter().map(|text| at(text).text);
            return Err(Failure::failed(wrong.collect::<Vec<_>>().join("\n")));
        }
        let Some(place @ Place::Redis { .. }) = &config.settings.place else {
            let text = "lock: the store that a fleet shares is in a Redis: give its address, as \
                        redis_url_file";
            return Err(at(text.to_owned()));
        };
        let lock = cron::redis_lock(place).map_err(at)?;
        let fleet = Arc::new(RedisFleet::beside(&lock));
        let target = Target {
            store: TaskStore::of(fleet.clone(), Arc::new(SystemClock), zone),
            control: ControlPlane::with_clock(fleet, Arc::new(SystemClock)),
            by: self.asker.by()?,
        };
        self.apply(&config, &target).await
    }

    async fn apply(&self, config: &Config, target: &Target) -> Result<Status, Failure> {
        let stored = target.store.list().await?;
        for malformed in &stored.malformed {
            let text = format!(
                "warning: the stored task {} cannot be read: {}",
                malformed.name, malformed.error
            );
            complain(&text);
        }
        let steps = self.steps(config, stored.tasks);
        let (mut saved, mut deleted, mut left) = (0, 0, 0);
        for step in &steps {
            let done = match self.dry_run {
                true => Ok(()),
                false => step.take(target).await?,
            };
            if let Err(why) = done {
                return Err(Failure::new(Status::Refused, why));
            }
            say(step);
            match step {
                Step::Save(..) => saved += 1,
                Step::Delete(_) => deleted += 1,
                Step::Leave(_) => left += 1,
            }
        }
        let dry = if self.dry_run { "dry run: " } else { "" };
        say(format_args!(
            "{dry}{saved} saved, {deleted} deleted, {left} as they were"
        ));
        Ok(Status::Done)
    }

    fn steps(&self, config: &Config, stored: Vec<StoredTask>) -> Vec<Step> {
        let stored = stored.into_iter().map(|task| (task.name.clone(), task));
        let mut stored: BTreeMap<String, StoredTask> = stored.collect();
        let mut steps = Vec::new();
        for task in &config.tasks {
            let mut plan = task.plan.clone();
            let there = stored.remove(&plan.name);
            let word = match &there {
                None => "added",
                Some(there) => {
                    plan.version = there.version;
                    match plan == *there {
                        true => {
                            steps.push(Step::Leave(plan.name));
                            continue;
                        }
                        false => "changed",
                    }
                }
            };
            steps.push(Step::Save(Box::new(plan), there.map(Box::new), word));
        }
        if let (true, Some(owner)) = (self.prune, &config.settings.owner) {
            let is_ours = |task: &StoredTask| task.owner.as_ref() == Some(owner);
            let gone = stored.into_values().filter(is_ours);
            steps.extend(gone.map(|task| Step::Delete(Box::new(task))));
        }
        steps
    }
}

impl Step {
    /// Takes it, or says who was faster.
    async fn take(&self, target: &Target) -> Result<Result<(), String>, Error> {
        let faster = |name: &str| {
            let text = "was changed by somebody else meanwhile: apply the file again";
            Err(format!("the stored task {name} {text}"))
        };
        let Target { store, control, by } = target;
        Ok(match self {
            Step::Leave(_) => Ok(()),
            Step::Save(task, there, _) => {
                control.note_save(task, there.as_deref(), by).await?;
                match store.save(task).await? {
                    Saved::Done(_) => Ok(()),
                    Saved::Refused(_) => faster(&task.name),
                }
            }
            Step::Delete(task) => {
                control.note_delete(task, by).await?;
                let expected: Version = task.version;
                match store.delete(&task.name, Expected::At(expected)).await? {
                    Deleted::Done | Deleted::NotThere => Ok(()),
                    Deleted::Refused(_) => faster(&task.name),
                }
            }
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Save(task, _, word) => write!(f, "{word:<9} {}", task.name),
            Step::Leave(name) => write!(f, "{:<9} {name}", "unchanged"),
            Step::Delete(task) => write!(f, "{:<9} {}", "deleted", task.name),
        }
    }
}

/// Why a task cannot be kept in a store that others read and write.
fn unfit(task: &TaskOfFile) -> Option<String> {
    let name = &task.plan.name;
    match &task.work {
        Work::Program(..) => Some(format!(
            "task {name}: command: what comes out of a store may only name a command that the hosts \
             list: write it under [commands] there, and run = \"…\" here"
        )),
        Work::Request(_, files) if !files.is_empty() => Some(format!(
            "task {name}: headers_from_files: a store keeps no secrets: run the task out of a file, \
             with `tasklock start`"
        )),
        _ => None,
    }
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
