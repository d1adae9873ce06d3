//! What a command asks for is done, once, and answered.

use std::sync::Arc;
use std::time::Duration;

use crate::control::{
    AUDIT, AUDIT_KEPT, Accepted, Answer, Ask, AuditEntry, AuditResult, COMMANDS, Command, Instance,
    RULES, Refusal, Refused, Rule, RuleKey, Skip, encode, upcoming,
};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::fleet::{EntryId, Expected, FleetStore, Write, Written};
use crate::lock::{FencingToken, Lock, RunStatus, Unlocked};
use crate::scheduler::engine::Engine;
use crate::scheduler::registry::Entry;
use crate::scheduler::steering::record::REFRESH;
use crate::scheduler::steering::taking::{Task, entries_of};
use crate::scheduler::steering::{limited, manual};
use crate::task::{Overlap, RunId, Scope, TaskName};

/// How long an answer is tried to be given.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Between two attempts to write.
const PAUSE: Duration = Duration::from_millis(250);
/// A fire time so near may have been granted already.
const TOO_NEAR: Duration = Duration::from_secs(1);
/// How long a skip is kept after its last fire time.
const KEPT: Duration = Duration::from_secs(3600);

/// Why not, and in words.
pub(super) type No = (Refusal, String);

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) runs: Vec<RunId>,
    pub(super) is_queued: bool,
    pub(super) skipped: Vec<chrono::DateTime<chrono::Utc>>,
}

/// Does what a command asks for, beside everything else.
pub(super) fn spawn(engine: &Arc<Engine>, store: &Arc<dyn FleetStore>, task: Task) {
    let (engine, store) = (engine.clone(), store.clone());
    let tracker = engine.claims.clone();
    tracker.spawn(async move {
        let (done, rest) = act(&engine, store.as_ref(), &task).await;
        let (answering, to) = (engine.clone(), store.clone());
        let command = task.command.clone();
        let tracker = engine.clean_ups.clone();
        // The answer may take its time; a run that waits for another does not wait for it.
        tracker.spawn(async move { answer(&answering, to.as_ref(), task, done).await });
        if let Some(rest) = rest
            && let Err(why) = rest.run(&engine).await
        {
            let instance = engine.settings.instance.to_string();
            let why = as_line(&why);
            let entry = entry(&engine, &command, AuditResult::GivenUp { instance, why });
            tracker.spawn(async move { trail(&engine, store.as_ref(), &entry).await });
        }
    });
}

/// What the audit trail says of a command.
fn entry(engine: &Engine, command: &Command, result: AuditResult) -> AuditEntry {
    AuditEntry {
        id: EntryId::default(),
        at: engine.settings.clock.now(),
        by: command.by.clone(),
        action: command.ask.action().to_owned(),
        task: command.ask.task().cloned(),
        detail: command.ask.detail(),
        command: Some(command.id.clone()),
        result,
    }
}

/// A text as the audit trail has room for it.
fn as_line(text: &str) -> String {
    let fit = text.chars().filter(|c| !c.is_control());
    fit.take(500).collect()
}

async fn act(
    engine: &Arc<Engine>,
    store: &dyn FleetStore,
    task: &Task,
) -> (Result<Done, No>, Option<manual::Queued>) {
    let plain = |done| (done, None);
    match &task.command.ask {
        Ask::Run { .. } => manual::run_now(engine, &task.command).await,
        Ask::Cancel { run_id, grace_ms } => {
            let live = engine.steering.live().get(run_id).cloned();
            plain(match live {
                Some(live) => {
                    live.control
                        .request_end(grace_ms.map(Duration::from_millis));
                    Ok(Done {
                        runs: vec![*run_id],
                        ..Done::default()
                    })
                }
                // It has ended since: that is what was wanted.
                None => Ok(Done {
                    runs: vec![*run_id],
                    ..Done::default()
                }),
            })
        }
        Ask::Skip { task: name, count } => plain(skip(engine, store, task, name, *count).await),
        Ask::Unlock {
            task: name,
            fencing_token,
            force,
        } => plain(unlock(engine, name, *fencing_token, *force).await),
    }
}

pub(super) fn no_such_task(name: &TaskName) -> No {
    (
        Refusal::NoSuchTask,
        format!("no task {name} is registered here"),
    )
}

/// Names the fire times that nobody is to run, so that all instances skip the same.
async fn skip(
    engine: &Engine,
    store: &dyn FleetStore,
    task: &Task,
    name: &TaskName,
    count: usize,
) -> Result<Done, No> {
    let entries = entries_of(engine, name);
    let entry = entries.first().ok_or_else(|| no_such_task(name))?;
    if entry.depends_on_runs() || entry.is_driven {
        let text = format!("nobody knows yet when task {name} is due next");
        return Err((Refusal::NotPossible, text));
    }
    let key = RuleKey::Skip(name).to_string();
    let begun = engine.settings.clock.monotonic();
    loop {
        let waited = engine.settings.clock.monotonic().saturating_sub(begun);
        let written = async {
            let record = limited(store.get(RULES, &key)).await?;
            let now = engine.settings.clock.now();
            let known = record.as_ref().and_then(|record| Rule::read(record).ok());
            let (known, by_us) = match known {
                Some(Rule::Skip(skip)) => (skip.fire_times, skip.command == task.command.id),
                _ => (Vec::new(), false),
            };
            if by_us {
                // It was written, and the answer lost.
                let from = known.len().saturating_sub(count);
                return Ok(Some(known.get(from..).unwrap_or_default().to_vec()));
            }
            let mut all: Vec<_> = known.into_iter().filter(|at| *at > now).collect();
            let after = all.last().copied().unwrap_or(now + TOO_NEAR);
            let over = engine.steering.overridden(entry);
            let new = upcoming(&entry.schedule, over.as_ref(), after, count);
            let Some(last) = new.last() else {
                return Ok(Some(new));
            };
            let ttl = (*last - now).to_std().unwrap_or_default() + KEPT;
            all.extend(&new);
            let rule = Rule::Skip(Skip::new(name, &task.command.by, all, &task.command.id));
            let expected = record.map_or(Expected::Absent, |record| Expected::At(record.version));
            let write = Write::put(RULES, &key, encode(&rule)?)
                .only_if(expected)
                .lasting(ttl);
            Ok(match limited(store.write(&write)).await? {
                Written::Done(_) => Some(new),
                Written::Refused(_) => None,
            })
        };
        let written: Result<Option<Vec<_>>> = written.await;
        match written {
            Ok(Some(skipped)) if skipped.is_empty() => {
                let text = format!("task {name} is not due any more");
                return Err((Refusal::NotPossible, text));
            }
            Ok(Some(skipped)) => {
                return Ok(Done {
                    skipped,
                    ..Done::default()
                });
            }
            Ok(None) => {}
            Err(error) if !error.is_transient() || waited > ANSWER_WITHIN / 6 => {
                return Err((Refusal::StoreDown, error.to_string()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn unlock(
    engine: &Engine,
    name: &TaskName,
    fencing_token: u64,
    force: bool,
) -> Result<Done, No> {
    let entries = entries_of(engine, name);
    let entry = entries.first().ok_or_else(|| no_such_task(name))?;
    let scope = entry.policy.scope;
    if scope != Scope::Once || matches!(entry.policy.overlap, Overlap::Allow(_)) {
        let text = format!("task {name} has not one lock: cancel its runs instead");
        return Err((Refusal::NotPossible, text));
    }
    let others = engine.steering.others();
    let own =
        engine.steering.live().values().any(|live| {
            live.facts.task == *name && live.facts.fencing_token.get() == fencing_token
        });
    let holder = others.iter().find(|other| {
        let runs = &mut other.running.iter();
        runs.any(|run| run.task == *name && run.fencing_token == fencing_token)
    });
    let holder = holder.map(|other| other.id.as_str());
    let holder = holder.or_else(|| own.then(|| engine.settings.instance.as_ref()));
    let mut holder = holder.map(str::to_owned);
    if holder.is_none() && !force {
        holder = fresh_holder(engine, entry, &others).await;
    }
    if let Some(holder) = holder.filter(|_| !force) {
        let text = format!("{holder} says that it runs it: cancel the run, or use force");
        return Err((Refusal::HolderLives, text));
    }
    match end_lease(engine, &entry.key, FencingToken::new(fencing_token)).await {
        Ok(Unlocked::Freed) => Ok(Done::default()),
        Ok(Unlocked::NotLocked) => Err((Refusal::NotLocked, format!("task {name} is not locked"))),
        Ok(Unlocked::Other { current }) => {
            let text = match current {
                Some(current) => {
                    format!("the lease of task {name} has fencing token {current} now")
                }
                None => format!("the lease of task {name} is not of a scheduled run"),
            };
            Err((Refusal::TokenMovedOn, text))
        }
        Err(error) if error.is_transient() => Err((Refusal::StoreDown, error.to_string())),
        Err(error) => Err((Refusal::NotPossible, error.to_string())),
    }
}

/// Ends a lease, and asks again while the store may have done so and its answer was lost.
async fn end_lease(engine: &Engine, key: &TaskName, fence: FencingToken) -> Result<Unlocked> {
    let begun = engine.settings.clock.monotonic();
    let mut may_be_done = false;
    loop {
        match engine.lock.unlock(key, fence).await {
            // The lease of that token is over, and most likely by what was asked before.
            Ok(_) if may_be_done => return Ok(Unlocked::Freed),
            Err(error) if error.is_transient() => {
                may_be_done |= error.kind() == ErrorKind::StoreAmbiguous;
                let waited = engine.settings.clock.monotonic().saturating_sub(begun);
                if !may_be_done || waited > ANSWER_WITHIN / 6 {
                    return Err(error);
                }
            }
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who has taken the task's last instant so lately that its record need not show the run yet, if that
/// instance lives.
async fn fresh_holder(engine: &Engine, entry: &Entry, others: &[Arc<Instance>]) -> Option<String> {
    let last = engine
        .lock
        .last_fired(std::slice::from_ref(&entry.key))
        .await;
    let last = last.ok()?.into_iter().next()??;
    let now = engine.settings.clock.now();
    let age = (now - last.fire_time?).to_std().unwrap_or_default();
    let lives = others.iter().any(|other| other.id == last.owner);
    let is_fresh = last.status == RunStatus::Running && age < 2 * REFRESH;
    (is_fresh && lives).then_some(last.owner)
}

/// Writes what became of a command, until the store has it.
async fn answer(engine: &Engine, store: &dyn FleetStore, task: Task, done: Result<Done, No>) {
    let Task {
        key,
        mut command,
        version,
    } = task;
    let instance = engine.settings.instance.to_string();
    let taken_at = command
        .taken
        .as_ref()
        .map_or(command.asked, |taken| taken.at);
    let answer = match done {
        Ok(Done {
            runs,
            is_queued,
            skipped,
        }) => Answer::Accepted(Accepted {
            instance: instance.clone(),
            after: (taken_at - command.asked).to_std().unwrap_or_default(),
            runs,
            is_queued,
            skipped,
        }),
        Err((why, text)) => Answer::Refused(Refused {
            instance: instance.clone(),
            why,
            text,
        }),
    };
    let result = match &answer {
        Answer::Refused(refused) => AuditResult::Refused {
            instance,
            why: as_line(&refused.text),
        },
        _ => AuditResult::Done {
            instance: Some(instance),
        },
    };
    let entry = entry(engine, &command, result);
    engine.announce(&Event::CommandAnswered {
        command: command.id.as_str().into(),
        action: command.ask.action(),
        task: command.ask.task().cloned(),
        by: command.by.clone(),
        answer: Arc::new(answer.clone()),
    });
    command.answer = Some(answer);
    let keep = Duration::from_secs(command.keep_s.min(7 * 86_400));
    let Ok(text) = encode(&command) else {
        return;
    };
    let write = Write::put(COMMANDS, key, text)
        .only_if(Expected::At(version))
        .lasting(keep);
    // One that was written though no answer came is refused the second time, as it is not as it was.
    write_surely(engine, store, &write).await;
    trail(engine, store, &entry).await;
}

async fn trail(engine: &Engine, store: &dyn FleetStore, entry: &AuditEntry) {
    if let Ok(text) = encode(entry) {
        append_surely(engine, store, &[text]).await;
    }
}

async fn write_surely(engine: &Engine, store: &dyn FleetStore, write: &Write) {
    let begun = engine.settings.clock.monotonic();
    while let Err(error) = limited(store.write(write)).await {
        if !goes_on(engine, begun, &error).await {
            return;
        }
    }
}

async fn append_surely(engine: &Engine, store: &dyn FleetStore, entries: &[String]) {
    let begun = engine.settings.clock.monotonic();
    while let Err(error) = limited(store.append(AUDIT, entries, AUDIT_KEPT)).await {
        // One that may have been written is not written twice.
        let is_unknown = error.kind() == ErrorKind::StoreAmbiguous;
        if is_unknown || !goes_on(engine, begun, &error).await {
            return;
        }
    }
}

/// Waits before the next attempt, if there is to be one.
async fn goes_on(engine: &Engine, begun: Duration, error: &Error) -> bool {
    let waited = engine.settings.clock.monotonic().saturating_sub(begun);
    if !error.is_transient() || waited > ANSWER_WITHIN {
        return false;
    }
    tokio::time::sleep(PAUSE).await;
    true
}
