//! A file that is read again: what has come, changed and gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::{error, info, warn};

use crate::cli::service::Only;
use crate::cli::standalone::cron::{self, Cron};
use crate::cli::standalone::doing::Doing;
use crate::config::{Config, TaskOfFile};
use crate::time::{Clock, SystemClock};

/// What is different in another file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference<'a> {
    added: Vec<&'a str>,
    /// With what is different.
    changed: Vec<(&'a str, String)>,
    removed: Vec<&'a str>,
}

impl Cron {
    /// Goes by what the file says now. A file that something is wrong with changes nothing.
    pub(super) fn read_again(&mut self) {
        let file = self.path.display().to_string();
        let after = match self.read_whole() {
            Ok(after) => after,
            Err(why) => {
                // A line for each fault.
                for why in why.lines() {
                    error!(target: "tasklock", event = "config.refused", error = %why,
                        "File of tasks is not used, and nothing has changed");
                }
                return;
            }
        };
        let needing = self.config.settings.differences(&after.settings);
        if !needing.is_empty() {
            warn!(target: "tasklock", event = "config.restart", file, settings = ?needing,
                "Settings have changed that are read at a start only");
        }
        for warning in &after.warnings {
            warn!(target: "tasklock", event = "config.warning", file, "{warning}");
        }
        let before = std::mem::replace(&mut self.config, after);
        self.config.settings = before.settings;
        if let Err(why) = self.list() {
            error!(target: "tasklock", event = "config.failed", error = %why,
                "Commands and addresses for tasks of the store cannot be used");
        }
        // What the store has may be allowed now.
        self.scheduler.look_at_stored();
        let difference = between(&before.tasks, &self.config.tasks, &self.only);
        self.take(&difference);
        info!(target: "tasklock", event = "config.read", file,
            added = difference.added.len(), changed = difference.changed.len(),
            removed = difference.removed.len(), "File of tasks read again");
    }

    fn read_whole(&self) -> Result<Config, String> {
        let after = Config::read(&self.path, SystemClock.now()).map_err(|e| e.to_string())?;
        cron::refuse_without_place(&self.path, &after).map_err(|e| e.to_string())?;
        // A group is made at the start.
        let groups = &self.config.settings.groups;
        for task in &after.tasks {
            if let Some(group) = task.plan.policy.group.as_deref()
                && !groups.contains_key(group)
            {
                return Err(format!(
                    "{}: task {}: the group {group:?} is new, and needs a restart",
                    self.path.display(),
                    task.plan.name
                ));
            }
        }
        Ok(after)
    }

    fn take(&self, difference: &Difference<'_>) {
        for name in &difference.removed {
            self.scheduler.unregister(name);
            info!(target: "tasklock", event = "config.removed", task = name,
                "Task is not in the file any more");
        }
        let tasks = by_name(&self.config.tasks, &self.only);
        let added = difference.added.iter().map(|name| (*name, None));
        let changed = difference.changed.iter();
        for (name, what) in added.chain(changed.map(|(name, what)| (*name, Some(what)))) {
            let Some(task) = tasks.get(name) else {
                continue;
            };
            let doing = Doing(Arc::new((*task).clone()));
            match (self.scheduler.register_again(doing), what) {
                (Ok(()), None) => info!(target: "tasklock", event = "config.added", task = name,
                    "Task is new in the file"),
                (Ok(()), Some(what)) => info!(target: "tasklock", event = "config.changed",
                    task = name, what, "Task is another one in the file"),
                (Err(why), _) => error!(target: "tasklock", event = "config.failed", task = name,
                    error = %why, "Task of the file cannot be run"),
            }
        }
    }
}

/// Those that fire.
fn by_name<'a>(tasks: &'a [TaskOfFile], only: &Only) -> BTreeMap<&'a str, &'a TaskOfFile> {
    let fires = |task: &&TaskOfFile| task.plan.enabled && only.has(&task.tags);
    let fire = tasks.iter().filter(fires);
    fire.map(|task| (task.plan.name.as_str(), task)).collect()
}

fn between<'a>(before: &'a [TaskOfFile], after: &'a [TaskOfFile], only: &Only) -> Difference<'a> {
    let (before, after) = (by_name(before, only), by_name(after, only));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut difference = Difference::default();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, _) => difference.added.push(name),
            (_, None) => difference.removed.push(name),
            (Some(before), Some(after)) if before != after => {
                difference.changed.push((name, what(before, after)));
            }
            _ => {}
        }
    }
    difference
}

/// In what a task differs, without a value that may be a secret.
fn what(before: &TaskOfFile, after: &TaskOfFile) -> String {
    let (a, b) = (&before.plan, &after.plan);
    let zone = |zone: Option<chrono_tz::Tz>| zone.map_or("UTC", |zone| zone.name());
    let mut what = Vec::new();
    if a.spec != b.spec {
        what.push(format!("spec {:?} to {:?}", a.spec, b.spec));
    }
    if a.timezone != b.timezone {
        let (a, b) = (zone(a.timezone), zone(b.timezone));
        what.push(format!("timezone {a} to {b}"));
    }
    if a.timeout != b.timeout {
        what.push(format!("timeout {:?} to {:?}", a.timeout, b.timeout));
    }
    for (name, differs) in [
        ("policy", a.policy != b.policy),
        ("owner", a.owner != b.owner),
        ("description", a.description != b.description),
        ("tags", before.tags != after.tags),
        ("work", before.work != after.work || a.kind != b.kind),
    ] {
        if differs {
            what.push(name.to_owned());
        }
    }
    what.join(", ")
}
